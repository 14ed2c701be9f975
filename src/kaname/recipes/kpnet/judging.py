"""The verbs of ``kaname kpnet`` that judge what was predicted: ``evaluate``, ``visualize``, ``suggest``, ``draw``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from kaname.errors import InputError
from kaname.pipeline.flags import (
    OUT_NAMES,
    Checkpoint,
    Device,
    Limit,
    OutFolder,
    Overwrite,
    validating,
)
from kaname.recipes.kpnet import RECIPE
from kaname.recipes.kpnet.verbs import Bones, Data, Missing, Videos

Results = Annotated[
    Path | None,
    Parameter(
        name=[*OUT_NAMES, "--output-folder", "--OUTPUT_FOLDER"],
        help="Folder to write into; default: evaluation beside what is scored.",
    ),
]
Truth = Annotated[
    Path | None,
    Parameter(name=["--gt-folder", "--GT_FOLDER"], help="Folder of VIDEO.txt; default: val/mot of --data-root."),
]
Trackers = Annotated[
    Path | None, Parameter(name=["--trackers-folder", "--TRACKERS_FOLDER"], help="Folder of VIDEO_pred.txt.")
]
Names = Annotated[
    list[str] | None,
    Parameter(
        name=["--trackers-to-eval", "--TRACKERS_TO_EVAL"],
        help="Folders in there, or a name for the folder itself.",
        consume_multiple=True,
        negative=(),
    ),
]
Chosen = Annotated[str | None, Parameter(help="Only these: names with commas, or a text file with one a line.")]
Video = Annotated[str, Parameter(help="The video's name.")]
Pred = Annotated[Path, Parameter(name=["--pred", "--predictions"], help="Its predictions, usually VIDEO_pred.txt.")]
DEFAULT_ROOT = Path("data")
Absent = Annotated[float | None, Parameter(help="A point is out of frame where that is more probable than this.")]
Pixels = Annotated[float | None, Parameter(help="Pixels within which a point is found; default 10.")]


def evaluate(
    *,
    checkpoint: Checkpoint | None = None,
    predictions: Annotated[
        Path | None, Parameter(help="points.json, VIDEO_pred.txt, or a folder of those, to score instead of a model.")
    ] = None,
    data_root: Data = None,
    gt_folder: Truth = None,
    trackers_folder: Trackers = None,
    trackers_to_eval: Names = None,
    skeleton: Bones = None,
    video_root: Videos = None,
    missing_flow: Missing = None,
    split: Annotated[str | None, Parameter(help="A set (train, val) or all; default: val.")] = None,
    out: Results = None,
    videos: Chosen = None,
    length: Annotated[int | None, Parameter(help="The last frame that is scored; default: the truth's.")] = None,
    frame_step: Annotated[
        str, Parameter(help="Frames between two that are scored; auto: as the truth has them.")
    ] = "auto",
    pck_px: Pixels = None,
    similarity: Annotated[Literal["gaussian", "linear"] | None, Parameter(help="Of HOTA-KP.")] = None,
    scale_px: Annotated[float | None, Parameter(help="Its scale in pixels; default 10.")] = None,
    absent: Absent = None,
    overwrite: Overwrite = False,
    device: Device = "auto",
) -> None:
    """Score a model, a file of predictions or trackers' text files: HOTA-KP, PCK, visibility, jitter, switches.

    Writes hota/mot_challenge_kp_results.csv, metrics.json, hota.json and report.html, and prints a table.
    """
    from kaname.recipes.kpnet.sources import names_in

    names = None if videos is None else names_in(videos)
    step = step_of(frame_step)
    scored = {"pck_px": pck_px, "similarity": similarity, "scale_px": scale_px}
    if gt_folder is not None or trackers_folder is not None or trackers_to_eval or _texts(predictions):
        if checkpoint is not None or (predictions is not None and trackers_folder is not None):
            reason = "--checkpoint and --predictions do not go with --trackers-folder"
            raise InputError(reason, remedy="give one of them")
        folder = trackers_folder or predictions
        if folder is None:
            raise InputError("--gt-folder needs predictions", remedy="give --trackers-folder, or --predictions")
        truth = gt_folder or _labels(data_root, split)
        named = [name for word in trackers_to_eval or [] for name in word.split(",") if name]
        _trackers(truth, folder, named, out, names, length, step, skeleton, scored)
        return
    if data_root is not None and video_root is None and predictions is None:
        video_root = data_root / "movie"
    changes = {**scored, "absent": absent, "video_root": video_root, "missing_flow": missing_flow}
    how = {"videos": names, "length": length, "step": step}
    _model_or_points(checkpoint, predictions, data_root, skeleton, split, out, changes, how, device, overwrite)


validate = validating(evaluate)


def _model_or_points(
    checkpoint: Path | None,
    predictions: Path | None,
    data_root: Path | None,
    skeleton: str | None,
    split: str | None,
    out: Path | None,
    changes: dict[str, Any],
    how: dict[str, Any],
    device: str,
    overwrite: bool,
) -> None:
    from kaname.pipeline.evaluate import evaluate as run
    from kaname.recipes.kpnet import labels

    words = _words(data_root, skeleton)
    file = predictions / "points.json" if predictions is not None and predictions.is_dir() else predictions
    labelled = labels.labelled(None, {"data": {}}, words) if file is not None else None
    results = run(
        RECIPE, labelled, checkpoint=checkpoint, predictions=file, out=out, split=split, changes=changes, how=how,
        words=words, device=device, overwrite=overwrite,
    )  # fmt: skip
    source = checkpoint or predictions
    if out is not None and source is not None:
        from kaname.recipes.kpnet.trackers import write_csv

        print(write_csv(out, {source.stem: results["val" if "val" in results else list(results)[-1]]}))


def _words(data_root: Path | None, skeleton: str | None) -> list[str]:
    """Where the labels are, as words of the configuration."""
    named: dict[str, Any] = {"root": data_root, "skeleton": skeleton}
    return [f"{name}={value}" for name, value in named.items() if value is not None]


def _trackers(
    gt_folder: Path,
    folder: Path,
    names: list[str],
    out: Path | None,
    videos: list[str] | None,
    length: int | None,
    step: int | None,
    skeleton: str | None,
    scored: dict[str, Any],
) -> None:
    from kaname.config import from_dict
    from kaname.recipes.kpnet.aligned import rules_of
    from kaname.recipes.kpnet.config import AnswerSettings
    from kaname.recipes.kpnet.trackers import evaluate_trackers, label_of, predicted_files, tracker_folders
    from kaname.reporting.results import results_folder

    if folder.is_file():
        video = label_of(folder)
        found = {(names or [folder.stem])[0]: (folder, {video: folder})}
        videos = videos or [video]
    else:
        found = {name: (place, predicted_files(place)) for name, place in tracker_folders(folder, names).items()}
    settings = from_dict(AnswerSettings, {name: value for name, value in scored.items() if value is not None})
    place = out or results_folder(folder, gt_folder)
    rules = rules_of(settings, length=length, step=step)
    evaluate_trackers(gt_folder, found, place, rules, skeleton=skeleton, videos=videos)


def _labels(data_root: Path | None, split: str | None) -> Path:
    if data_root is None:
        raise InputError("labels are needed to score predictions", remedy="give --gt-folder or --data-root")
    return data_root / (split or "val") / "mot"


def _texts(predictions: Path | None) -> bool:
    """Whether predictions are text files."""
    if predictions is None:
        return False
    if predictions.is_dir():
        return not (predictions / "points.json").is_file()
    return predictions.suffix.lower() == ".txt"


def step_of(text: str) -> int | None:
    """The number of ``--frame-step``; None for ``auto``."""
    if text == "auto":
        return None
    if not re.fullmatch(r"\d{1,9}", text) or int(text) < 1:
        raise InputError(f"--frame-step is {text!r}", remedy="write auto, or a number of at least 1")
    return int(text)


def visualize(
    *,
    video: Video,
    pred: Pred,
    out: OutFolder,
    data_root: Data = None,
    gt_folder: Truth = None,
    limit: Annotated[int, Parameter(help="At most this many frames; 0 draws all.")] = 12,
    order: Annotated[Literal["first", "worst"], Parameter(help="Frames as they come, or the worst first.")] = "first",
    seg_root: Annotated[Path | None, Parameter(help="Folder of masks VIDEO/VIDEO_frame_ID.png to lay over.")] = None,
    video_root: Videos = None,
    skeleton: Bones = None,
) -> None:
    """Draw truth and predictions of a video on its frames: VIDEO_frame_ID_overlay.jpg.

    Green is labelled, red predicted; a line joins matched points, with their distance in pixels; missed points have a
    ring, false ones a cross.
    """
    from kaname.recipes.kpnet.pictures import visualize as run

    how = {"limit": limit, "order": order, "seg_root": seg_root, "video_root": video_root, "skeleton": skeleton}
    run(data_root or DEFAULT_ROOT, video, pred, out, gt_folder=gt_folder, **how)  # type: ignore[arg-type]


def suggest(
    *,
    video: Video,
    pred: Pred,
    out: OutFolder,
    data_root: Data = None,
    count: Annotated[int, Parameter(help="How many frames.")] = 50,
    beside: Annotated[
        Path | None, Parameter(help="Other predictions of the video, such as the detector's beside a bridge's.")
    ] = None,
    video_root: Videos = None,
    skeleton: Bones = None,
) -> None:
    """Choose the frames to label next, by jumps, doubt and disagreement, spread over time: images and suggest.csv."""
    from kaname.recipes.kpnet.suggestions import suggest as run

    how = {"count": count, "beside": beside, "video_root": video_root, "skeleton": skeleton}
    run(data_root or DEFAULT_ROOT, video, pred, out, **how)  # type: ignore[arg-type]


def draw(
    *,
    out: OutFolder,
    data_root: Data = None,
    skeleton: Bones = None,
    predictions: Annotated[
        Path | None,
        Parameter(help="points.json (its images lie in --images, or beside it), VIDEO_pred.txt or a folder of those."),
    ] = None,
    images: Annotated[Path | None, Parameter(help="Folder of the predicted images.")] = None,
    limit: Limit = 0,
    overwrite: Overwrite = False,
) -> None:
    """Draw labels (with --data-root), predictions (with --predictions), or both, on their frames."""
    if _texts(predictions):
        from kaname.recipes.kpnet.pictures import draw_texts

        assert predictions is not None
        draw_texts(predictions, data_root or DEFAULT_ROOT, out, limit=limit, skeleton=skeleton, overwrite=overwrite)
        return
    from kaname.pipeline.draw import draw as run
    from kaname.recipes.kpnet import labels

    if predictions is not None and predictions.is_dir():
        predictions = predictions / "points.json"
    words = _words(data_root, skeleton)
    own = data_root is not None or predictions is None
    run(RECIPE, labels.labelled(None, {"data": {}}, words) if own else None, predictions, images, out, limit,
        overwrite=overwrite)  # fmt: skip
