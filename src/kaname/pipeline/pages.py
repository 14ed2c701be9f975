"""What a run writes when its training is done: the page of its best weights, or with ``--val`` every set scored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kaname import config as configuration
from kaname.errors import InputError
from kaname.pipeline import evaluate
from kaname.pipeline.model import open_model
from kaname.pipeline.recipe import Recipe

if TYPE_CHECKING:
    from kaname.training.settings import RunOptions

PAGE = "report.html"
EXCERPT = 64  # samples that a run scores for its page
CLIPS = 8  # of which they are, where an item has several frames


class Pages:
    """The pages of one run.

    Raises:
        InputError: with ``validate``, where the run's folder holds the data set.
    """

    def __init__(self, recipe: Recipe, config: Any, options: RunOptions, *, validate: bool) -> None:
        self.recipe, self.config, self.options, self.validate = recipe, config, options, validate
        self.names = [PAGE]
        if validate:
            self.labelled = recipe.judging.labelled(None, configuration.to_dict(config), ())
            self.labelled.refuse(options.out_dir, self.labelled.names)
            self.names += [f"{name}/metrics.json" for name in self.labelled.names]

    def newer_than(self, state: Path) -> bool:
        """Whether all pages are there and of the run's last stage: they are written last of all."""
        pages = [self.options.out_dir / name for name in self.names]
        return all(page.is_file() and page.stat().st_mtime >= state.stat().st_mtime for page in pages)

    def write(self, say: Callable[[str], object] = print) -> None:
        """Write them; one that cannot be written is reported, and the run still counts as done.

        Args:
            say: hears of the page, and of what a user has to know of the model.
        """
        recipe, out = self.recipe, self.options.out_dir
        settings = getattr(self.config, recipe.loop)
        best = out / recipe.best_name
        if self.validate:
            chosen = {"split": "all", "pictures": True, "limit": settings.limit, "device": settings.device}
            chosen["overwrite"] = True  # the run is its own: an earlier stage of it is no other result
            evaluate.evaluate(recipe, self.labelled, checkpoint=best, out=out, **chosen)
            return
        try:
            for line in self._write_excerpt(best):
                say(line)
        except InputError as error:
            say(f"no {PAGE}: {error}")

    def _write_excerpt(self, best: Path) -> list[str]:
        """The best weights on some validation samples (where there are none, training samples).

        The predictions and figures behind the page lie in ``report/``; ``evaluate`` scores whole sets.
        """
        recipe, config, options = self.recipe, self.config, self.options
        sets = recipe.read_sets(config)
        name = "val" if sets.get("val") else "train"
        model = open_model(recipe, best, runtime=getattr(config, recipe.loop).device)
        items, limit = excerpt(sets[name], model.frames, getattr(config, recipe.loop).limit)
        notes = {"source": best.name, "set": name, **({"limit": limit} if limit else {})}
        root, folder = configuration.value_at(config, recipe.data), options.out_dir / "report"
        settings = getattr(config, recipe.answering.section)
        scoring = evaluate.Scoring(recipe, settings, root, recipe.judging.ways(config), notes)
        result = evaluate.score_model(scoring, model, items, folder, title=name)
        title = f"{recipe.name}: training, folder {options.out_dir.resolve().name}"
        page = evaluate.Page(options.out_dir / PAGE, title, options.command)
        written = evaluate.write_page(scoring, result, items, folder, model=model, source=best, page=page)
        return [f"report in {written}", *result.said]


def excerpt(items: Sequence[Any], frames: int, limit: int = 0) -> tuple[list[Any], str | int]:
    """Some of the items, and what they are where they are not all: the first images, or the beginnings of clips.

    Args:
        frames: of a window of the model.
        limit: that training keeps to; 0 = none.
    """
    if all(len(item.frames) == 1 for item in items):
        count = min(limit or EXCERPT, EXCERPT)
        return list(items[:count]), count if len(items) > count else 0
    chosen = items[:: -(-len(items) // CLIPS)]
    short = [item.beginning(EXCERPT // len(chosen) * frames) for item in chosen]
    whole = sum(len(item.frames) for item in items) == sum(len(item.frames) for item in short)
    return short, "" if whole else f"frames of {len(short)} clips"
