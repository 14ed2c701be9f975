"""The verbs of ``kaname tracknet`` besides ``train``. Each imports what it needs when it runs: help answers at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from kaname.config import merged
from kaname.pipeline.flags import (
    OUT_NAMES,
    Checkpoint,
    Damage,
    Device,
    Jobs,
    Limit,
    OnnxFile,
    OutFolder,
    Overwrite,
    ParityCount,
    ParityImages,
    ProfileFlag,
    Results,
    RunFlags,
    Weights,
    report_problems,
    split_sources,
    validating,
)
from kaname.pipeline.sampling import Without
from kaname.pipeline.split import SplitFlags
from kaname.pipeline.weights import model_for
from kaname.recipes.tracknet import RECIPE
from kaname.recipes.tracknet.commands import Data
from kaname.schema import sides_of

Smooth = Annotated[
    Literal["none", "kalman", "inpaint"], Parameter(help="Gate jumps and fill gaps, with a marked, lower confidence.")
]
Method = Annotated[
    Literal["argmax", "soft-argmax", "dark"] | None, Parameter(help="How the heatmap's peak is refined.")
]
Threshold = Annotated[float | None, Parameter(help="A frame whose peak is not above this has no ball.")]
Balls = Annotated[Path | None, Parameter(help="A ball.csv or predictions.csv.")]


def sample(
    *,
    out: OutFolder,
    count: Annotated[int, Parameter(help="How many clips.")] = 10,
    seed: Annotated[int, Parameter(help="Clip i depends on (seed, i) alone.")] = 0,
    size: Annotated[
        list[str] | None, Parameter(help="W,H of the frames; default: 1280,720.", consume_multiple=True, negative=())
    ] = None,
    games: Annotated[int | None, Parameter(help="Over how many games the clips are spread.")] = None,
    clip_length: Annotated[int, Parameter(help="Frames of a clip.")] = 48,
    variety: Annotated[
        Literal["full", "plain"], Parameter(help="full: everything the renderer knows; plain: an everyday view.")
    ] = "full",
    without: Without = None,
) -> None:
    """Render a small data set of clips with exact truth, in the layout that train takes."""
    from kaname.samples.tracknet import write

    width, height = sides_of(",".join(size or ["1280,720"]), "--size", order="W,H")
    off = without or ()
    write(out, count, seed, size=(height, width), games=games, clip_length=clip_length, variety=variety, without=off)
    made = len(list(out.glob("game*")))
    print(f"{count} rendered clips of {clip_length} frames, of {made} games (each has a clip at least), in {out}")


def check(
    *,
    data: Data,
    leaks: Annotated[bool, Parameter(help="Also look for near copies of frames between the sets.")] = True,
) -> None:
    """Read a data set, decode every frame, report every problem; exit code 2 if there is one."""
    import numpy as np

    from kaname.data.formats import tracknet as label_files
    from kaname.data.split import copies
    from kaname.errors import InputError
    from kaname.pipeline.labelled import check_lengths, warn_unjudged
    from kaname.recipes.tracknet import labels
    from kaname.recipes.tracknet.evaluate import data_settings

    settings = data_settings(data)
    report_problems(label_files.problems(settings.root))
    chosen = {name: clips for name, clips in labels.sets(settings).items() if clips}
    for clips in chosen.values():
        check_lengths(clips, settings.sequence.length, remedy=labels.SHORTER)
    for name in labels.SETS:
        clips = chosen.get(name, [])
        count = sum(len(clip.frames) for clip in clips)
        seen = np.bincount(np.concatenate([clip.visibility for clip in clips]), minlength=4) if clips else np.zeros(4)
        games = ", ".join(dict.fromkeys(clip.game for clip in clips))
        print(
            f"{name}: {len(clips)} clips, {count} frames ({games or 'none'}); "
            f"no ball {int(seen[0])}, easy {int(seen[1])}, hard {int(seen[2])}, occluded {int(seen[3])}"
        )
    if not any((clip.visibility > 0).any() for clip in chosen["train"]):
        reason = "no frame of the training games has a ball"
        raise InputError(reason, path=settings.root, remedy="label it, or choose other games")
    frames = {name: [path for clip in clips for path in clip.frames] for name, clips in chosen.items()}
    report_problems(copies(frames if leaks else {}))
    warn_unjudged(chosen)
    print("no problems")


def split(
    *,
    data: Data,
    out: Annotated[Path, Parameter(name=OUT_NAMES, help="The YAML file to write, which --data takes.")],
    flags: SplitFlags = SplitFlags(),
) -> None:
    """Divide the games of a data set into train and val (of one game its clips): a file for --data.

    Whole games stay on one side, clips too with --group clip; near copies of frames always do.
    """
    from kaname.recipes.tracknet.prepare import split as run

    run(data, out, flags)


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
    overwrite: Overwrite = False,
    device: Device = "auto",
) -> None:
    """Score a model or a file of balls against labels: a table, metrics.json and report.html."""
    from kaname.pipeline.evaluate import evaluate as run
    from kaname.recipes.tracknet.evaluate import labelled

    folder = None if data is None else labelled(data, {}, overrides)
    changes = {"tolerance": tolerance, "score_threshold": score_threshold, "method": method}
    run(
        RECIPE, folder, checkpoint=checkpoint, predictions=predictions, out=out, split=split, changes=changes,
        how={"occluded_absent": occluded_absent, "smooth": smooth}, words=overrides, device=device,
        overwrite=overwrite,
    )  # fmt: skip


validate = validating(evaluate)


def predict(
    *sources: Annotated[str, Parameter(help="Videos or folders of frames; key=value changes the detection.")],
    checkpoint: Checkpoint | None = None,
    out: OutFolder,
    overlay: Annotated[bool, Parameter(help="Also write an mp4 with the ball and its trail.", negative=())] = False,
    smooth: Smooth = "none",
    max_gap: Annotated[int, Parameter(help="Frames that a filled gap has at most.")] = 10,
    fastest: Annotated[float, Parameter(help="Frame widths that the ball moves from frame to frame at most.")] = 0.2,
    max_filled: Annotated[float, Parameter(help="Rows that are filled for each detected one at most.")] = 1.0,
    keep_static: Annotated[
        bool, Parameter(help="Keep what is found at spots that never move, such as a logo.", negative=())
    ] = False,
    rate: Annotated[float, Parameter(help="Frames a second of a folder of frames.")] = 25.0,
    score_threshold: Threshold = None,
    method: Method = None,
    damaged: Damage = "error",
    jobs: Jobs = 1,
    overwrite: Overwrite = False,
    run_on: RunFlags = RunFlags(),
    profile: ProfileFlag = False,
) -> None:
    """Find the ball in every frame: ball.csv and its plot ball.svg, with --overlay also a video."""
    from kaname.recipes.tracknet.predict import predict as run
    from kaname.tracking.smoothing import Smoothing

    paths, words = split_sources(sources)
    checkpoint = model_for(RECIPE.name, checkpoint)
    changes = merged(words, {"score_threshold": score_threshold, "method": method}, "detect")
    smoothing = Smoothing(smooth, max_gap, fastest, max_filled)
    how = {"keep_static": keep_static, "overlay": overlay, "rate": rate, "damaged": damaged, "changes": changes}
    how |= {"overwrite": overwrite, "profile": profile}
    run(paths, checkpoint, out, smoothing, **how, processes=jobs, running=run_on.running())


def export(*, checkpoint: Weights, out: OnnxFile, source: ParityImages = None, count: ParityCount = 16) -> None:
    """Write an ONNX file with the preprocessing inside, after checking that it answers like the model."""
    from kaname.pipeline.export import export as run

    run(RECIPE, checkpoint, out, source, count)


def draw(
    *,
    out: OutFolder,
    data: Data | None = None,
    predictions: Balls = None,
    source: Annotated[Path | None, Parameter(help="The video or folder that the predictions belong to.")] = None,
    limit: Limit = 0,
    damaged: Damage = "error",
    overwrite: Overwrite = False,
) -> None:
    """Draw labels, predictions or both on their frames."""
    from kaname.pipeline.draw import draw as run
    from kaname.recipes.tracknet.evaluate import labelled

    folder = None if data is None else labelled(data, {})
    run(RECIPE, folder, predictions, source, out, limit, damaged=damaged, overwrite=overwrite)
