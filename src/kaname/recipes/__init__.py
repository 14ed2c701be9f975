"""The recipes. A recipe is one folder with fixed file names: who knows one knows all.

| file | holds | torch |
|---|---|---|
| ``__init__.py`` | what it does, in numbers, and its ``RECIPE`` | no |
| ``config.py`` | the typed configuration | no |
| ``commands.py`` | the command line: one function a verb | no (imported when a verb runs) |
| ``labels.py`` | reading and checking the recipe's data folders | no |
| ``evaluate.py`` | figures from files of predictions | no |
| ``compare.py`` | one file of predictions scored sample by sample, for ``kaname compare`` | no |
| ``report.py`` | the page of a run and of an evaluation | no |
| ``predict.py`` | from a network's maps to an answer in original pixels | no |
| ``data.py`` ``model.py`` ``step.py`` | training samples, network, loss | yes |
| ``demo.py`` | the recipe from nothing to an export, with a page | no (imported when it runs) |

Adding a recipe: a folder with these files, its name in :data:`RECIPES`, and in ``tests/recipes/<name>/test_<name>.py``
a class that inherits ``RecipeContract`` and names it.
"""

from __future__ import annotations

from dataclasses import dataclass

RECIPES = ("gauge", "tracknet")


@dataclass(frozen=True)
class Recipe:
    """What the command line knows of a recipe before it imports anything of it.

    Attributes:
        name: name of the folder and of the command.
        summary: one line for the help.
        verbs: verb to (function in ``commands.py``, one line for the help); several verbs may share a function.
        predictions: names of the files that hold its predictions, the most telling first; what is no JSON that names
            its recipe is told by its name.
    """

    name: str
    summary: str
    verbs: dict[str, tuple[str, str]]
    predictions: tuple[str, ...] = ("points.json",)
