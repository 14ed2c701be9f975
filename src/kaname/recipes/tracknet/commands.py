"""The verbs of ``kaname tracknet``. Each imports what it needs when it runs, so that help answers at once."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from kaname.errors import InputError
from kaname.pipeline.flags import (
    Checkpoint,
    Device,
    OutFolder,
    Results,
    TrainFlags,
    default_run_folder,
    report_problems,
    resolve,
    run_options,
    split_sources,
)
from kaname.recipes.tracknet.config import TracknetConfig
from kaname.recipes.tracknet.keys import FLAG_KEYS, groups_of

Data = Annotated[str, Parameter(help="A name or YAML file of configs/data, or a folder with game1/Clip1/0000.jpg ...")]
Smooth = Annotated[
    Literal["none", "kalman", "inpaint"], Parameter(help="Gate jumps and fill gaps, with a marked, lower confidence.")
]
Method = Annotated[
    Literal["argmax", "soft-argmax", "dark"] | None, Parameter(help="How the heatmap's peak is refined.")
]
Threshold = Annotated[float | None, Parameter(help="A frame whose peak is not above this has no ball.")]


def sample(
    *,
    out: OutFolder,
    count: Annotated[int, Parameter(help="How many clips.")] = 10,
    seed: Annotated[int, Parameter(help="Clip i depends on (seed, i) alone.")] = 0,
    size: Annotated[tuple[int, int], Parameter(help="Width and height of the frames.")] = (1280, 720),
    games: Annotated[int | None, Parameter(help="Over how many games the clips are spread.")] = None,
    clip_length: Annotated[int, Parameter(help="Frames of a clip.")] = 48,
    variety: Annotated[
        Literal["full", "plain"], Parameter(help="full: everything the renderer knows; plain: an everyday view.")
    ] = "full",
) -> None:
    """Render a small data set of clips with exact truth, in the layout that train takes."""
    from kaname.samples.tracknet import write

    width, height = size
    write(out, count, seed, size=(height, width), games=games, clip_length=clip_length, variety=variety)
    made = len(list(out.glob("game*")))
    print(f"{count} rendered clips of {clip_length} frames, of {made} games (each has a clip at least), in {out}")


def check(
    *,
    data: Data,
    leaks: Annotated[bool, Parameter(help="Also look for near copies of frames between the sets.")] = True,
) -> None:
    """Read a data set, decode every frame, report every problem; exit code 2 if there is one."""
    from kaname.recipes.tracknet.checking import check_data

    report_problems(check_data(data, leaks=leaks))
    print("no problems")


def train(
    *overrides: Annotated[str, Parameter(help="key=value of the configuration; see --print-config.")],
    data: Data | None = None,
    model: Annotated[str | None, Parameter(help="A name or YAML file of configs/model.")] = None,
    training: Annotated[str | None, Parameter(help="A name or YAML file of configs/training.")] = None,
    logger: Annotated[
        Literal["tensorboard", "wandb", "none"] | None, Parameter(help="Where figures go beside log.csv.")
    ] = None,
    flags: TrainFlags = TrainFlags(),  # noqa: B008
) -> None:
    """Train a ball detector: best.pt, last.pt, logs and curves in the run's folder."""
    groups, extra = groups_of(data, model, training)
    config = resolve(
        TracknetConfig, flags, overrides, {**extra, "training.logger": logger}, groups=groups, names=FLAG_KEYS
    )
    if config is None:
        return
    from kaname.recipes.tracknet.training import run

    if flags.out_dir is not None and any(word.startswith("training.ckpt_dir=") for word in overrides):
        raise InputError("the run's folder is given twice, by training.ckpt_dir and by --out-dir", remedy="give one")

    def folder() -> Path:
        if config.training.ckpt_dir is not None:
            return config.training.ckpt_dir
        return default_run_folder(Path("runs/tracknet"), resume=flags.resume)

    run(config, run_options(flags, folder))


def evaluate(
    *overrides: Annotated[str, Parameter(help="key=value of the configuration's data, such as data.absent=negative.")],
    data: Data | None = None,
    checkpoint: Checkpoint | None = None,
    predictions: Annotated[Path | None, Parameter(help="A ball.csv or predictions.csv to score.")] = None,
    out: Results = None,
    split: Annotated[
        Literal["train", "val", "test", "all"] | None, Parameter(help="Default: test, else val, else train.")
    ] = None,
    tolerance: Annotated[float | None, Parameter(help="Pixels of the frame within which a ball is found.")] = None,
    score_threshold: Threshold = None,
    method: Method = None,
    occluded_absent: Annotated[bool | None, Parameter(help="Count visibility 3 as no ball.")] = None,
    smooth: Smooth = "none",
    device: Device = "auto",
) -> None:
    """Score a model or a file of balls against labels: a table, metrics.json and report.html."""
    from kaname.recipes.tracknet.scoring import data_settings, score

    score(
        data_settings(data, overrides), checkpoint, predictions, out, split=split, tolerance=tolerance,
        score_threshold=score_threshold, method=method, occluded_absent=occluded_absent, smooth=smooth, device=device,
        overrides=overrides,
    )  # fmt: skip


def predict(
    *sources: Annotated[str, Parameter(help="Videos or folders of frames; key=value changes the detection.")],
    checkpoint: Checkpoint,
    out: OutFolder,
    overlay: Annotated[bool, Parameter(help="Also write an mp4 with the ball and its trail.", negative=())] = False,
    smooth: Smooth = "none",
    max_gap: Annotated[int, Parameter(help="Frames that a filled gap has at most.")] = 10,
    fastest: Annotated[float, Parameter(help="Frame widths that the ball moves from frame to frame at most.")] = 0.2,
    rate: Annotated[float, Parameter(help="Frames a second of a folder of frames.")] = 25.0,
    score_threshold: Threshold = None,
    method: Method = None,
    device: Device = "auto",
) -> None:
    """Find the ball in every frame: ball.csv, with --overlay also a video."""
    from kaname.recipes.tracknet.prediction import Smoothing, detect_changes, predict_sources

    paths, words = split_sources(sources)
    changes = detect_changes(words, score_threshold=score_threshold, method=method)
    predict_sources(
        paths, checkpoint, out, changes=changes, overlay=overlay, rate=rate, device=device,
        smoothing=Smoothing(smooth, max_gap, fastest),
    )  # fmt: skip


def export(
    *,
    checkpoint: Checkpoint,
    out: Annotated[Path, Parameter(help="The .onnx file to write.")],
    source: Annotated[
        Path | None, Parameter(help="A video or a folder of frames for the parity check; default: the run's data.")
    ] = None,
    count: Annotated[int, Parameter(help="How many windows of frames to compare.")] = 16,
) -> None:
    """Write an ONNX file with the preprocessing inside, after checking that it answers like the model."""
    from kaname.recipes.tracknet.prediction import export_checked

    parity = export_checked(checkpoint, out, source, count)
    print(
        f"{out}: {parity.images} windows, maps within {parity.map_difference:.2g}, {len(parity.distances)} balls "
        f"within {parity.percentile_99_px:.4f} px (99th percentile)"
    )
    if parity.warning:
        print(f"warning: {parity.warning}")


def draw(
    *,
    out: OutFolder,
    data: Data | None = None,
    predictions: Annotated[Path | None, Parameter(help="A ball.csv or predictions.csv.")] = None,
    source: Annotated[Path | None, Parameter(help="The video or folder that the predictions belong to.")] = None,
    limit: Annotated[int, Parameter(help="Frames at most; 0 draws all.")] = 0,
) -> None:
    """Draw labels, predictions or both on their frames."""
    if data is None and predictions is None:
        raise InputError("nothing to draw", remedy="give --data, --predictions or both")
    from kaname.recipes.tracknet.prediction import draw_all

    started = time.monotonic()
    count = draw_all(out, data, predictions, source, limit)
    print(f"{count} pictures in {out} ({time.monotonic() - started:.0f} s)")
