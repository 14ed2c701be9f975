"""The verb ``train``: from a configuration to a run's files, and the page of its best weights."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kaname import config as configuration
from kaname.data.formats.files import write_json
from kaname.extras import require_package
from kaname.pipeline.labelled import Sets
from kaname.pipeline.outcome import outcome
from kaname.pipeline.presets import check_weights
from kaname.pipeline.recipe import Recipe

if TYPE_CHECKING:
    from kaname.training.resume import Progress
    from kaname.training.settings import RunOptions
    from kaname.training.task import Task


def run(recipe: Recipe, config: Any, options: RunOptions, *, validate: bool = False, debug: bool = False) -> Progress:
    """Train.

    Files in ``options.out_dir``: the best weights, ``last.pt``, ``loss.json``, ``parameters.json``, ``config.yaml``,
    ``log.csv``, ``run.log``, ``tb/``, ``report.html``.

    Args:
        validate: score every set afterwards, with pictures, instead of some samples for the page.
        debug: first write some samples as the network sees them.
    """
    # A run may be repeated from anywhere, so its data must not depend on the working folder.
    for key in (recipe.data, *recipe.paths):
        config = configuration.absolute(config, key)
    settings = getattr(config, recipe.loop)
    # What can be refused is refused before torch is imported, which takes seconds.
    require_package("torch", "training")
    if settings.logger == "wandb":
        require_package("wandb", "--logger wandb")
    sets = recipe.read_sets(config)
    if options.resume is None:
        check_weights(recipe, config)
    from kaname.pipeline.pages import Pages
    from kaname.training.loop import Run
    from kaname.training.run_folder import write_parameters

    pages = Pages(recipe, config, options, validate=validate)
    task = build_task(recipe, config, options, sets)
    work = Run(task, settings, options)
    first = work.runtime.is_first and not options.dry_run
    if first and not work.start.finished:
        write_parameters(task, config, options)
        if debug:
            recipe.debug(getattr(task.train, "samples", task.train), options.out_dir / "debug")
    progress = work.fit()
    if first and not (work.start.finished and pages.newer_than(options.out_dir / task.last_name)):
        pages.write(print if work.start.finished else work.journal.say)
    if first and not work.start.finished:
        for line in outcome(recipe, progress, options.out_dir, scored=validate):
            work.journal.say(line)
    return progress


def build_task(recipe: Recipe, config: Any, options: RunOptions, sets: Sets) -> Task:
    """Everything the loop needs for a configuration and its sets; a dry run stores no features.

    Raises:
        InputError: the network cannot be built.
    """
    from kaname.pipeline.model import card_of
    from kaname.training.features import with_cached_features
    from kaname.training.resume import card_to_go_on
    from kaname.training.runtime import seed_weights
    from kaname.training.task import Task

    settings = getattr(config, recipe.loop)
    seed_weights(settings.seed)
    started = recipe.weights and configuration.value_at(config, recipe.weights)  # from a file that may be gone
    network = recipe.build(config, card=card_to_go_on(options, recipe.best_name, recipe.name) if started else None)
    stored = replace(settings, cache_budget=0.0) if options.dry_run else settings
    keeping = replace(config, **{recipe.loop: stored})
    samples = recipe.samples(keeping, sets["train"], augment=True)
    held_out = recipe.samples(keeping, sets["val"], augment=False) if sets.get("val") else None
    train, val = with_cached_features(samples, held_out, network, stored, augmented=samples.augmented)
    draw, log = recipe.pictures, options.out_dir / "loss.json"
    drawn = None if draw is None else lambda _, epoch, folder: draw(config, sets.get("val", ()), epoch, folder)
    own = {"pictures": drawn, **recipe.task(keeping, network, samples, held_out)}
    return Task(
        recipe=recipe.name,
        config=configuration.to_dict(config),
        card={**card_of(recipe, config, network), **own.pop("card", {})},
        model=network,
        step=recipe.step(config),
        train=train,
        val=val,
        fixed=recipe.fixed,
        best_name=recipe.best_name,
        after_epoch=lambda rows: write_json(log, {str(row["epoch"]): row["train_loss"] for row in rows}),
        **own,
    )
