"""A training run of ``tracknet`` from its configuration to its files."""

from __future__ import annotations

import json
from dataclasses import replace

from kaname import __version__
from kaname import config as configuration
from kaname.data.formats.files import write_json, write_text
from kaname.engine.loop import Progress, Run
from kaname.engine.progress import weights_and_biases
from kaname.engine.settings import RunOptions
from kaname.recipes.tracknet.config import TracknetConfig
from kaname.recipes.tracknet.step import task as build_task


def run(config: TracknetConfig, options: RunOptions) -> Progress:
    """Train. Files in ``options.out_dir``: ``best.pt``, ``last.pt``, ``loss.json``, ``parameters.json``,
    ``config.yaml``, ``log.csv``, ``run.log``, ``tb/``."""
    if config.training.logger == "wandb":
        weights_and_biases()
    options = replace(options, logger=config.training.logger, log_dir=config.training.log_dir)
    task = build_task(config, options.out_dir, store=not options.dry_run)
    work = Run(task, config.training.loop, options)
    if not options.dry_run and work.runtime.is_first:
        content = {"config": dict(task.config), "command": options.command, "kaname": __version__,
                   "card": dict(task.card)}  # fmt: skip
        write_json(options.out_dir / "parameters.json", json.loads(json.dumps(content, sort_keys=True)))
        resolved = replace(config, data=replace(config.data, root=config.data.root.resolve()))
        write_text(options.out_dir / "config.yaml", configuration.to_yaml(resolved))
    return work.fit()
