"""A training run of ``gauge`` from its configuration to its files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from kaname.data.formats.files import make_folder
from kaname.errors import InputError
from kaname.geometry.image import write_image
from kaname.recipes.gauge import CHANNELS, labels, report
from kaname.recipes.gauge.config import GaugeConfig
from kaname.recipes.gauge.predict import open_model
from kaname.recipes.gauge.scoring import refuse_data_folder, score, score_model
from kaname.recipes.gauge.step import task as build_task
from kaname.reporting import draw
from kaname.training.loop import Progress, Run
from kaname.training.run_folder import reported
from kaname.training.settings import RunOptions
from kaname.training.task import Task, write_parameters

DEBUG_SAMPLES = 16
REPORT_IMAGES = 64  # that a run scores for its page


def run(config: GaugeConfig, options: RunOptions, *, validate: bool, debug: bool) -> Progress:
    """Train; with ``debug`` write augmented samples first, with ``validate`` score every set afterwards.

    Files in ``options.out_dir``: ``model.pt`` (the best), ``last.pt``, ``loss.json``, ``parameters.json``,
    ``log.csv``, ``run.log``, ``tb/``, ``report.html``.
    """
    if validate:
        refuse_data_folder(options.out_dir, labels.sets(config.data))
    task = build_task(config, options.out_dir, store=not options.dry_run)
    work = Run(task, config.train, options)
    if not options.dry_run and work.runtime.is_first and not work.start.finished:
        make_folder(options.out_dir)
        # A run may be repeated from anywhere, so its data must not depend on the working folder.
        write_parameters(task, replace(config, data=config.data.resolve()), options)
        if debug:
            write_debug(task, options.out_dir / "debug")
    progress = work.fit()
    sets = labels.sets(config.data) if validate else {}
    pages = ["report.html", *(f"{name}/metrics.json" for name in sets)]
    whole = all(reported(work, options.out_dir / page) for page in pages)
    if options.dry_run or not work.runtime.is_first or whole:
        return progress
    if validate:
        model = options.out_dir / task.best_name
        score(config.data, model, None, options.out_dir, split="all", truth="points", changes={}, pictures=True,
              device=config.train.device, limit=config.train.limit)  # fmt: skip
    else:
        try:
            write_report(config, options, options.out_dir / task.best_name)
        except InputError as error:  # the run itself is whole
            print(f"no report.html: {error}")
    return progress


def write_report(config: GaugeConfig, options: RunOptions, model: Path) -> None:
    """``report.html`` of a run: its best weights on some validation images (where there are none, on training images).

    The predictions and figures behind the page lie in ``report/``; ``--val`` scores whole sets instead.
    """
    found = labels.sets(config.data)
    name = "val" if "val" in found else next(iter(found))
    whole, limit = labels.read(found[name], allow_missing=True), min(config.train.limit or REPORT_IMAGES, REPORT_IMAGES)
    dials, folder = whole[:limit], options.out_dir / "report"
    opened = open_model(model, runtime=config.train.device)
    notes = {"source": model.name, "set": name, **({"limit": limit} if len(dials) < len(whole) else {})}
    result = score_model(opened, dials, folder, config.extract, title=name, truth="points", pictures=False, notes=notes)
    page = options.out_dir / "report.html"
    title = f"gauge: training run {options.out_dir.resolve().name}"
    report.write(result, dials, folder, model=opened, source=model, path=page, title=title, command=options.command)
    print(f"report in {page}")


def write_debug(task: Task, folder: Path) -> None:
    """Augmented samples as the network sees them, with their target maps laid over, and their shapes on screen."""
    make_folder(folder)
    for index in range(min(DEBUG_SAMPLES, len(task.train))):
        row = getattr(task.train, "samples", task.train).sample(index, 0)
        image, maps = row["image"], row["heatmaps"].astype(np.float32) / 255
        if index == 0:
            print(f"image {image.shape} {image.dtype}, heatmaps {maps.shape} (start, middle, end)")
        write_image(folder / f"sample_{index:03d}.png", draw.heatmap_overlay(image, maps, CHANNELS))
    print(f"augmented samples in {folder}")
