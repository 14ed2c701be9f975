"""The recipes. A recipe is one folder with fixed file names: who knows one knows all.

| file | holds | torch |
|---|---|---|
| ``__init__.py`` | what it does, in numbers, and its ``RECIPE`` | no |
| ``config.py`` | the typed configuration | no |
| ``commands.py`` ``verbs.py`` | the command line: ``train``, and the other verbs | no (imported when a verb runs) |
| ``labels.py`` | reading and checking the recipe's data folders | no |
| ``data.py`` ``model.py`` ``step.py`` | training samples, network, loss | yes |
| ``decode.py`` ``predictions.py`` | from a network's outputs to answers; files of them, where they are its own | no |
| ``evaluate.py`` | figures from files of predictions | no |
| ``report.py`` | what its pages and pictures show | no |
| ``demo.py`` | what its demo renders, trains and shows | no |

Functions have their usual names too (`kaname.pipeline.recipe.Recipe.of`).

Adding a recipe: a folder with these files, its name and package in :data:`RECIPES`, and in
``tests/recipes/<name>/test_<name>.py`` a class that inherits ``RecipeContract`` and names it. The package may lie
anywhere; nothing is looked for among what is installed, because that would cost every command's start 50 ms.
"""

from __future__ import annotations

import importlib

from kaname.pipeline.recipe import Recipe

RECIPES = {name: f"kaname.recipes.{name}" for name in ("gauge", "tracknet", "landmark", "roimask", "kpnet")}


def recipe_of(name: str) -> Recipe:
    """The value in which a recipe's package describes itself."""
    return importlib.import_module(RECIPES[name]).RECIPE


def target_of(recipe: str, verb: str) -> str:
    """A verb's "module:function" in full.

    A recipe writes ``function`` for one of its ``commands.py``, ``module:function`` for one of another module of its
    own package, and a dotted ``package.module:function`` for one from another package.
    """
    module, _, function = recipe_of(recipe).verbs[verb][0].rpartition(":")
    return f"{module}:{function}" if "." in module else f"{RECIPES[recipe]}.{module or 'commands'}:{function}"
