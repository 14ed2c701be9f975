"""Trackers' text files beside the truth's: HOTA-KP and what stands beside it, several trackers at once. No torch.

``gt/VIDEO.txt`` (or a file a frame, ``VIDEO_frame_ID.txt``) is the truth, ``VIDEO_pred.txt`` are predictions. The third
value of a predicted triple, visibility or confidence, has no part in HOTA-KP.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kaname import config as configuration
from kaname.config import nearest
from kaname.data.formats import mot_kp
from kaname.data.formats import skeleton as skeletons
from kaname.data.formats.files import write_json
from kaname.data.formats.mot_kp_files import ENDING, PREDICTED, LabelFile, label_file, label_files
from kaname.data.formats.mot_kp_rows import objects_of, parse_rows, read_rows
from kaname.data.formats.skeleton import Skeleton
from kaname.errors import InputError
from kaname.files import spreadsheet_text, write_text
from kaname.metrics.hota_kp import Objects
from kaname.metrics.intervals import LEAST
from kaname.pipeline.labelled import Result
from kaname.progress import Bar
from kaname.recipes.kpnet import STATES
from kaname.recipes.kpnet.aligned import Rules, VideoSums, sums_of
from kaname.recipes.kpnet.evaluate import facts_of, table_of
from kaname.recipes.kpnet.report import HEADLINE, metrics_note
from kaname.recipes.kpnet.videos import HOW, SUMS_FILE, groups_of, read_sums, scored, sums_content
from kaname.reporting.compare import comparison, table
from kaname.reporting.page import Table
from kaname.reporting.report import Report, command_line, data_hash, write_report
from kaname.reporting.results import print_table

CSV = Path("hota", "mot_challenge_kp_results.csv")
COMBINED = "COMBINED_SEQ"
OWN_SKELETON = "skeleton.yaml"
NOTHING_ELSE: Mapping[str, str] = dict.fromkeys(
    ["pictures", "calibration", "curves", "speed"], "text files were scored"
)


@dataclass(frozen=True)
class Truth:
    """The labels of one video.

    Attributes:
        objects: by class.
        frames: that are labelled; None where the file cannot say which have no object.
    """

    objects: Mapping[str, Objects]
    frames: Sequence[int] | None


def skeleton_name(given: str | None, gt_folder: Path) -> str:
    """Whose points are scored: as it is asked for, else ``skeleton.yaml`` in or above the truth's folder, else that of
    the challenge."""
    folder = gt_folder.resolve()
    beside = (place / OWN_SKELETON for place in (folder, *list(folder.parents)[:2]))
    return given or next((str(path) for path in beside if path.is_file()), mot_kp.DEFAULT_SKELETON)


def read_truth(folder: Path, skeleton: Skeleton, videos: Sequence[str] | None = None) -> dict[str, Truth]:
    """The labels of a folder by video, of some videos or of all.

    Raises:
        InputError: the first fault of a file, a video that is not labelled, or labels without any visible point.
    """
    files: dict[str, list[LabelFile]] = {}
    for file in label_files(folder):
        files.setdefault(file.video, []).append(file)
    if lost := [name for name in videos or () if name not in files]:
        raise InputError(f"no labels of the video {lost[0]!r}", path=folder, remedy=nearest(lost[0], sorted(files)))
    found = {video: _truth(files[video], skeleton) for video in files if videos is None or video in videos}
    if not any((one.visible == 2).any() for truth in found.values() for one in truth.objects.values()):
        raise InputError("the labels have no visible point: nothing could be scored", path=folder, remedy="check them")
    return found


def _truth(files: Sequence[LabelFile], skeleton: Skeleton) -> Truth:
    rows = []
    for file in files:
        own = read_rows(file.path, skeleton, predictions=False)
        if file.frame is None and not own:
            raise InputError("the file is empty", path=file.path, remedy="label the video, or remove the file")
        for row in own:
            if file.frame is not None and row.frame != file.frame:
                remedy = f"rows of this file are of frame {file.frame}"
                raise InputError(f"the row is of frame {row.frame}", path=file.path, row=row.line, remedy=remedy)
        rows += own
    frames = [file.frame for file in files if file.frame is not None]
    return Truth(objects_of(rows, skeleton), frames if len(frames) == len(files) else None)


def tracker_folders(folder: Path, names: Sequence[str]) -> dict[str, Path]:
    """Where the files of each tracker are: in a folder of its name, else in the folder itself, which one name labels.

    Without names: the folders in it that hold predictions, else the folder itself under its own name.

    Raises:
        InputError: no predictions there, or both the folder and the one of that name hold some.
    """
    if not folder.is_dir():
        raise InputError("the folder of trackers does not exist", path=folder, remedy="check --trackers-folder")
    own = predicted_files(folder)
    inside = {path.name: path for path in sorted(folder.iterdir()) if path.is_dir() and predicted_files(path)}
    if not names:
        if own and inside:
            remedy = "name what is to be scored with --trackers-to-eval"
            raise InputError(f"predictions here and in {', '.join(inside)}", path=folder, remedy=remedy)
        if not own and not inside:
            raise InputError(f"no predictions (VIDEO{PREDICTED}{ENDING})", path=folder, remedy="predict first")
        return inside or {folder.resolve().name: folder}
    found: dict[str, Path] = {}
    for name in names:
        if name in inside and own:
            remedy = f"move those of {name} to a folder of its own, or those here elsewhere"
            raise InputError(f"predictions both here and in {name}", path=folder, remedy=remedy)
        if name in inside:
            found[name] = inside[name]
        elif own and len(names) == 1:
            found[name] = folder
        else:
            remedy = nearest(name, list(inside)) if inside else f"put its VIDEO{PREDICTED}{ENDING} into {folder / name}"
            raise InputError(f"no predictions of the tracker {name!r}", path=folder, remedy=remedy)
    return found


def predicted_files(folder: Path) -> dict[str, Path]:
    """Files of predictions in a folder by video: ``VIDEO_pred.txt``, or ``VIDEO.txt`` where there is none of that."""
    texts = [path for path in sorted(folder.glob(f"*{ENDING}")) if path.is_file() and path.name[0] != "."]
    plain = {path.stem: path for path in texts if not path.stem.endswith(PREDICTED)}
    return plain | {path.stem.removesuffix(PREDICTED): path for path in texts if path.stem.endswith(PREDICTED)}


def label_of(path: Path) -> str:
    """The video of a file of predictions."""
    return label_file(path).video


def score_tracker(
    files: Mapping[str, Path], truth: Mapping[str, Truth], skeleton: Skeleton, rules: Rules, place: Path
) -> tuple[dict[str, VideoSums], Rules, list[str]]:
    """The sums of each video, the rules with what the files state, and what a reader must know.

    Args:
        files: by video; others than the truth's are not scored, and said.
        place: where they are, for messages.

    Raises:
        InputError: videos without a file, all of them named; the first fault of a file.
    """
    if lost := [video for video in truth if video not in files]:
        names = ", ".join(f"{video}{PREDICTED}{ENDING}" for video in lost)
        remedy = "predict them too, or name the others with --videos"
        raise InputError(f"no predictions of {len(lost)} of {len(truth)} videos: {names}", path=place, remedy=remedy)
    notes: list[str] = []
    if others := sorted(set(files) - set(truth)):
        notes.append(f"Not labelled and not scored: {', '.join(files[name].name for name in others[:10])}")
    sums: dict[str, VideoSums] = {}
    told = True
    with Bar(f"scoring {place.name}", len(truth)) as bar:
        for video, labels in truth.items():
            found = parse_rows(files[video], skeleton, predictions=True)
            if found.faults:
                raise found.faults[0]
            if not found.rows:
                notes.append(f"{files[video].name} is empty: nothing was predicted, and it is scored as that.")
            told &= not found.confidences
            own = replace(rules, told=not found.confidences)
            predicted = objects_of(found.rows, skeleton)
            try:
                sums[video] = sums_of(labels.objects, predicted, skeleton, own, labels.frames)
            except InputError as error:
                raise InputError(error.reason, path=files[video], row=error.row, remedy=error.remedy) from error
            bar.advance()
    for what, count in (
        ("predicted", sum(one.left_out for one in sums.values())),
        ("true", sum(one.truth_left_out for one in sums.values())),
    ):
        if count:
            notes.append(f"{count} {what} objects lie off the grid of the labelled frames and were not scored.")
    return sums, replace(rules, told=told), notes


def compared_texts(
    folder: Path, gt_folder: Path, rules: Rules, skeleton: str | None
) -> tuple[dict[str, VideoSums], list[str]]:
    """The sums of a folder of ``VIDEO_pred.txt`` by video, and the classes, for ``kaname compare``."""
    bones = skeletons.find(skeleton_name(skeleton, gt_folder))
    sums, _, _ = score_tracker(predicted_files(folder), read_truth(gt_folder, bones), bones, rules, folder)
    return sums, list(bones.groups)


def result_of(sums: Mapping[str, VideoSums], skeleton: Skeleton, rules: Rules, about: Mapping[str, Any]) -> Result:
    """The figures of a tracker."""
    groups = groups_of(sums, skeleton)
    facts = {"recipe": "kpnet", **about, **facts_of(sums, skeleton, rules), "visibility_stated": rules.told}
    confusion = groups["all"]["visibility"]["confusion"]
    files = {
        "visibility.json": {"rows": list(STATES), "columns": list(STATES), "counts": confusion},
        SUMS_FILE: sums_content(sums, skeleton, {"settings": facts}),
    }
    title = f"{facts['frames']} frames of {len(sums)} videos, found within {rules.pck_px:g} px"
    return Result(groups, facts, table_of(groups), title, confusion, files)


def write_result(folder: Path, result: Result) -> None:
    """``metrics.json`` and the other files of a tracker."""
    content = configuration.plain({**result.groups, "settings": result.settings})
    write_json(folder / "metrics.json", content)
    for name, more in result.files.items():
        write_json(folder / name, more)


def write_csv(folder: Path, results: Mapping[str, Result]) -> Path:
    """``hota/mot_challenge_kp_results.csv``: TRACKER, SEQ, HOTA of each video and of all together, in 0..1."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["TRACKER", "SEQ", "HOTA"])
    for tracker, result in results.items():
        entry = result.groups["all"]["hota"]
        for video, value in sorted(entry["videos"].items()):
            writer.writerow([spreadsheet_text(tracker), spreadsheet_text(video), f"{value:.6f}"])
        writer.writerow([spreadsheet_text(tracker), COMBINED, f"{entry['value']:.6f}"])
    write_text(folder / CSV, text.getvalue())
    return folder / CSV


def evaluate_trackers(
    gt_folder: Path,
    trackers: Mapping[str, tuple[Path, Mapping[str, Path]]],
    out: Path,
    rules: Rules,
    *,
    skeleton: str | None = None,
    videos: Sequence[str] | None = None,
) -> dict[str, Result]:
    """Score trackers, print their tables, and write figures and pages: into ``out``, of several each into ``out/NAME``.

    Args:
        gt_folder: of the truth.
        trackers: by name, the folder and its files by video.

    Raises:
        InputError: unusable truth or predictions; nothing is written then.
    """
    bones = skeletons.find(skeleton_name(skeleton, gt_folder))
    truth = read_truth(gt_folder, bones, videos)
    labels = [(file.path, b"") for file in label_files(gt_folder) if file.video in truth]
    about = {"data": gt_folder.resolve().as_posix(), "data_hash": data_hash(labels), "named": {}}
    results: dict[str, Result] = {}
    for name, (place, files) in trackers.items():
        sums, own, notes = score_tracker(files, truth, bones, rules, place)
        made = {"model": name, "source": place.name, "predictions": place.resolve().as_posix(), "notes": notes}
        results[name] = result_of(sums, bones, own, {**about, **made})
    for name, result in results.items():
        folder = out / name if len(results) > 1 else out
        write_result(folder, result)
        write_report(folder / "report.html", tracker_page(name, result, command_line()))
        print(f"\n{name}: {result.title}")
        print_table(result.table)
        print("\n".join(f"note: {line}" for line in result.settings["notes"]))
    if len(results) > 1:
        _write_together(out, results)
    print(f"\n{write_csv(out, results)}, metrics.json and report.html in {out}")
    return results


def _write_together(out: Path, results: Mapping[str, Result]) -> None:
    """Several trackers in one table, and each beside the first with p-values over videos."""
    first, *others = results
    groups = {name: result.groups["all"] for name, result in results.items()}
    settings = {**results[first].settings, "trackers": list(results), "notes": []}
    write_json(out / "metrics.json", configuration.plain({**groups, "settings": settings}))
    tables = [Table(*_heading_and_rows(table_of(groups)), heading="All classes")]
    print("\nall classes")
    print_table(table_of(groups))
    for name in others:
        pair = [read_sums(out / one / SUMS_FILE) for one in (first, name)]
        about = [{key: settings.get(key) for key in (*HOW, "data")} for _, _, settings in pair]
        content = comparison(*(scored(*one[:2], how) for one, how in zip(pair, about, strict=True)))
        content["settings"] |= {"a": first, "b": name}
        write_json(out / name / "compare.json", json.loads(json.dumps(content, sort_keys=True)))
        rows = table({"all": content["all"], "settings": content["settings"]})
        print(f"\n{name} (B) beside {first} (A), over {content['settings']['pairs']} videos")
        print_table(rows)
        tables.append(Table(*_heading_and_rows(rows), heading=f"{name} (B) beside {first} (A)"))
    page = Report(title="kpnet: trackers beside each other", sections=tables, command=command_line(),
                  metrics={**groups, "settings": settings}, missing=NOTHING_ELSE)  # fmt: skip
    write_report(out / "report.html", page)


def _heading_and_rows(rows: Sequence[Sequence[str]]) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    return rows[0], rows[1:]


def tracker_page(name: str, result: Result, command: str) -> Report:
    """The page of one tracker."""
    settings, confusion = result.settings, result.details
    rows = [[f"truly {state}", *map(str, row)] for state, row in zip(STATES, confusion, strict=True)]
    shown = (
        [Table(["", *STATES], rows, heading="Visibility, true and predicted")] if settings["visibility_stated"] else []
    )
    each = result.groups["all"]
    columns = ("hota", "det_a", "ass_a", "pck", "pixel_error")
    by_video = [[video, *("-" if each[one]["videos"][video] is None else f"{each[one]['videos'][video]:.3f}"
                          for one in columns)] for video in settings["videos"]]  # fmt: skip
    sections = [shown, Table(["video", *columns], by_video, heading="Videos")]
    notes = list(settings["notes"])
    if len(settings["videos"]) < LEAST:
        notes.append(f"{len(settings['videos'])} videos are too few for intervals.")
    return Report(
        title=f"kpnet: {name}",
        subtitle=f"{settings['frames']} frames of {len(settings['videos'])} videos",
        notes=notes,
        metrics={**result.groups, "settings": settings},
        metrics_note=metrics_note(settings),
        headline=HEADLINE,
        sections=sections if settings["visibility_stated"] else sections[1:],
        config={name: value for name, value in settings.items() if name not in ("videos", "notes")},
        command=command,
        data={"folder": settings["data"], "frames": settings["frames"], "hash": settings["data_hash"]},
        missing=NOTHING_ELSE,
    )
