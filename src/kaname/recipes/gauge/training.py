"""A training run of ``gauge`` from its configuration to its files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from kaname import __version__
from kaname import config as configuration
from kaname.data.formats.files import write_json
from kaname.engine import draw
from kaname.engine.loop import Progress, Run
from kaname.engine.settings import RunOptions
from kaname.engine.task import Task
from kaname.geometry.image import write_image
from kaname.recipes.gauge import CHANNELS
from kaname.recipes.gauge.config import GaugeConfig
from kaname.recipes.gauge.labels import make_folder
from kaname.recipes.gauge.step import task as build_task

DEBUG_SAMPLES = 16


def run(config: GaugeConfig, options: RunOptions, *, validate: bool, debug: bool) -> Progress:
    """Train; with ``debug`` write augmented samples first, with ``validate`` score every set afterwards.

    Files in ``options.out_dir``: ``model.pt`` (the best), ``last.pt``, ``loss.json``, ``parameters.json``,
    ``log.csv``, ``run.log``, ``tb/``.
    """
    task = build_task(config, options.out_dir, store=not options.dry_run)
    work = Run(task, config.train, options)
    if not options.dry_run and work.runtime.is_first:
        make_folder(options.out_dir)
        write_parameters(task, config, options)
        if debug:
            write_debug(task, options.out_dir / "debug")
    progress = work.fit()
    if validate and not options.dry_run and work.runtime.is_first:
        from kaname.recipes.gauge.scoring import score

        model = options.out_dir / task.best_name
        score(config.data, model, None, options.out_dir, split="all", truth="points", changes={}, pictures=True,
              device=config.train.device)  # fmt: skip
    return progress


def write_parameters(task: Task, config: GaugeConfig, options: RunOptions) -> None:
    """``parameters.json``: the resolved configuration, the command, the version; ``config.yaml``: the same to reuse."""
    content = {"config": dict(task.config), "command": options.command, "kaname": __version__, "card": dict(task.card)}
    write_json(options.out_dir / "parameters.json", json.loads(json.dumps(content, sort_keys=True)))
    (options.out_dir / "config.yaml").write_text(configuration.to_yaml(config), encoding="utf-8")


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
