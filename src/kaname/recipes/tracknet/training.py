"""A training run of ``tracknet`` from its configuration to its files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from kaname.errors import InputError
from kaname.recipes.tracknet import labels, report
from kaname.recipes.tracknet.config import TracknetConfig
from kaname.recipes.tracknet.labels import Clip
from kaname.recipes.tracknet.predict import open_model
from kaname.recipes.tracknet.scoring import Scoring, score_model
from kaname.recipes.tracknet.step import task as build_task
from kaname.training.journal import weights_and_biases
from kaname.training.loop import Progress, Run
from kaname.training.run_folder import reported
from kaname.training.settings import RunOptions
from kaname.training.task import write_parameters

REPORT_WINDOWS = 64  # that a run scores for its page
REPORT_CLIPS = 8  # of which they are


def run(config: TracknetConfig, options: RunOptions) -> Progress:
    """Train. Files in ``options.out_dir``: ``best.pt``, ``last.pt``, ``loss.json``, ``parameters.json``,
    ``config.yaml``, ``log.csv``, ``run.log``, ``tb/``, ``report.html``."""
    if config.training.logger == "wandb":
        weights_and_biases()
    options = replace(options, logger=config.training.logger, log_dir=config.training.log_dir)
    task = build_task(config, options.out_dir, store=not options.dry_run)
    work = Run(task, config.training.loop, options)
    first = not options.dry_run and work.runtime.is_first
    if first and not work.start.finished:
        # A run may be repeated from anywhere, so its data must not depend on the working folder.
        write_parameters(task, replace(config, data=replace(config.data, root=config.data.root.resolve())), options)
    progress = work.fit()
    if first and not reported(work, options.out_dir / report.PAGE):
        try:
            write_report(config, options, options.out_dir / task.best_name)
        except InputError as error:  # the run itself is whole
            print(f"no {report.PAGE}: {error}")
    return progress


def write_report(config: TracknetConfig, options: RunOptions, model: Path) -> None:
    """``report.html`` of a run: its best weights on some validation windows (without any, on training windows).

    The predictions and figures behind the page lie in ``report/``; ``evaluate`` scores whole sets.
    """
    found = labels.sets(config.data)
    name = "val" if found["val"] else "train"
    opened = open_model(model, runtime=config.training.device, detect={"score_threshold": 0.0})
    clips, folder = _some(found[name], opened.frames), options.out_dir / "report"
    how = Scoring(config.data, config.detect, occluded_absent=config.data.occluded_absent)
    notes = {"source": model.name, "set": name}
    if len(clips) < len(found[name]) or any(
        len(clip.frames) < len(whole.frames) for clip, whole in zip(clips, found[name], strict=True)
    ):
        notes["limit"] = f"frames of {len(clips)} clips"
    result = score_model(opened, clips, folder, how, notes, title=name)
    page = options.out_dir / report.PAGE
    title = f"tracknet: training run {options.out_dir.resolve().name}"
    report.write(result, clips, folder, model=opened, source=model, path=page, title=title, command=options.command)
    print(f"report in {page}")


def _some(clips: Sequence[Clip], length: int) -> list[Clip]:
    """The beginnings of some clips: ``REPORT_WINDOWS`` windows of ``length`` frames at most."""
    step = -(-len(clips) // REPORT_CLIPS)
    chosen = clips[::step]
    return [labels.beginning(clip, REPORT_WINDOWS // len(chosen) * length) for clip in chosen]
