"""What a bridge between detections costs against K: holding the last places, KLT, and a tracker that knows the truth.

    OMP_NUM_THREADS=1 python benchmarks/kpnet_bridges.py --out runs/bridges [--flies DIR] [--k 2 5 10 20 30]

The labels of every K-th frame are the detections, so that all of the error is the bridge's. Three videos: a rendered
one of the tests, in which one point goes across, one is covered for a while, one leaves and one comes in; a real one of
two flies with 13 points each, every frame labelled (``--flies``: a folder with ``flies.mp4``, ``gt_13kp.txt``), which
hardly move; and the same through a window that moves over it, as a camera would, by about 5 px a frame. Rows are made
as `kaname kpnet infer` makes them, with ids along time. The error is over the points that are truly visible and have a
place; ``found`` is the share of those that are truly visible and lie within 5 px of it. Writes ``OUT/bridges.md`` and
``OUT/bridges.png``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kaname.data.formats.mot_kp_rows import objects_of, read_rows
from kaname.data.formats.skeleton import Skeleton
from kaname.data.seeking import VideoReader
from kaname.files import write_text
from kaname.metrics.hota_kp import Objects, score, sequence
from kaname.metrics.keypoint_objects import SUMS, measures
from kaname.recipes.kpnet.rows import Rows, Writing
from kaname.tracking.bridge import ABSENT, VISIBLE, Bridged, Follow, Found, bridged, hold
from kaname.tracking.klt import klt
from kaname.types import FloatArray, Frame, Image, Size

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from tracking import moving

NEAR, REACH = 5.0, 11.8  # pixels: of a point that is found, of an object that is taken for the same
TRACKERS = ("hold", "klt", "reference")
LENGTH = 91  # of the rendered video
RATE = 30.0


@dataclass(frozen=True)
class Case:
    """A video of which everything is known.

    Attributes:
        places: ``(C, 2)`` and visibilities ``(C,)`` of a frame's channels.
        images: of all frames, decoded anew.
    """

    name: str
    skeleton: Skeleton
    size: Size
    length: int
    places: Callable[[int], tuple[FloatArray, FloatArray]]
    images: Callable[[], Iterable[Image]]
    truth: dict[str, Objects]

    def found(self, frame: int) -> Found:
        """The labels as a detection."""
        xy, visible = self.places(frame)
        there = visible > ABSENT
        return Found(np.where(there[:, None], xy, np.nan), visible.astype(np.int64), there.astype(float))


def rendered() -> Case:
    """Four points of classes of their own."""
    classes = {name: {"id": number, "points": [f"{name}.point"]} for number, name in enumerate(moving.POINTS)}
    skeleton = Skeleton.from_dict({"name": "moving", "classes": classes})
    visible = np.array([moving.visibility(frame) for frame in range(LENGTH)])
    points = np.array([moving.places(frame) for frame in range(LENGTH)])
    frames, ids = np.arange(LENGTH), [0] * LENGTH
    truth = {name: Objects(frames, ids, points[:, [at]], visible[:, [at]]) for at, name in enumerate(moving.POINTS)}
    images = lambda: (moving.image(frame) for frame in range(LENGTH))  # noqa: E731
    return Case("rendered", skeleton, moving.SIZE, LENGTH, lambda n: (points[n], visible[n]), images, truth)


def flies(folder: Path, length: int) -> Case:
    """Two animals in one class."""
    names = [f"p{number}" for number in range(13)]
    skeleton = Skeleton.from_dict({"name": "flies", "classes": {"fly": {"id": 0, "points": names, "instances": 2}}})
    rows = [row for row in read_rows(folder / "gt_13kp.txt", skeleton, predictions=False) if row.frame < length]
    xy, visible = np.full((length, 26, 2), np.nan), np.zeros((length, 26), np.int64)
    for row in rows:
        own = slice(13 * int(row.track), 13 * (int(row.track) + 1))
        there = (row.third > ABSENT)[:, None]
        xy[row.frame, own], visible[row.frame, own] = np.where(there, row.points, np.nan), row.third
    with VideoReader(folder / "flies.mp4") as reader:
        height, width = reader.read(0).image.shape[:2]

    def images() -> Iterator[Image]:
        with VideoReader(folder / "flies.mp4") as reader:
            yield from (frame.image for frame in reader.frames(range(length)))

    truth = objects_of(rows, skeleton)
    return Case("flies", skeleton, (height, width), length, lambda n: (xy[n], visible[n]), images, truth)


def moved(case: Case, side: int = 640) -> Case:
    """A real video through a window of ``side`` pixels that goes round in it."""
    corners = np.array([(60 + 60 * np.cos(n / 12), 200 + 60 * np.sin(n / 12)) for n in range(case.length)]).round()

    def images() -> Iterator[Image]:
        for image, (x, y) in zip(case.images(), corners.astype(int), strict=True):
            yield np.ascontiguousarray(image[y : y + side, x : x + side])

    def places(frame: int) -> tuple[FloatArray, FloatArray]:
        xy, visible = case.places(frame)
        return xy - corners[frame], visible

    truth = {name: replace(own, points=own.points - corners[own.frames][:, None]) for name, own in case.truth.items()}
    return Case(f"{case.name} through a moving window", case.skeleton, (side, side), case.length, places, images, truth)


def walked(case: Case, tracker: str, k: int, out: Path) -> Path:
    """The rows of a video by a tracker."""
    number = [0]
    blank = np.broadcast_to(np.zeros(3, np.uint8), (*case.size, 3))  # who needs no picture waits for none

    def frames() -> Iterator[Frame]:
        pictures = case.images() if tracker == "klt" else (blank for _ in range(case.length))
        for number[0], image in enumerate(pictures):
            yield Frame(number[0], number[0] / RATE, image)

    def reference(images: Iterator[Image], points: FloatArray) -> Iterator[tuple[FloatArray, FloatArray]]:
        next(images)
        apart = np.linalg.norm(case.places(number[0])[0][None] - points[:, None], axis=2)
        which = np.nanargmin(np.where(np.isnan(apart), np.inf, apart), axis=1)
        last = points
        for _ in images:
            xy, visible = (values[which] for values in case.places(number[0]))
            last = np.where(np.isnan(xy), last, xy)  # what is not labelled for a while has not left
            yield last, (visible == VISIBLE).astype(float)

    follow: Follow = {"hold": hold, "klt": klt, "reference": reference}[tracker]
    rows = Rows(case.skeleton, case.size, Writing())
    rows.places = somewhere(case)
    steps: Iterator[Bridged] = bridged(frames(), lambda frame: case.found(frame.index), follow, k=k)
    path = out / f"{case.name.replace(' ', '_')}_{tracker}_{k}.txt"
    write_text(path, "".join(line for step in steps for line in rows.of(step)))
    return path


def somewhere(case: Case) -> FloatArray:
    """The first known place of each channel, in the stead of what a network holds for likeliest before that."""
    xy = np.array([case.found(frame).xy for frame in range(case.length)])
    known = np.isfinite(xy).all(axis=2)
    return np.asarray(xy[known.argmax(axis=0), np.arange(xy.shape[1])], np.float64)


def judged(case: Case, path: Path) -> dict[str, float]:
    """``error``, ``found``, ``hota`` of a file."""
    predicted = objects_of(read_rows(path, case.skeleton, predictions=True), case.skeleton)
    whole = sequence(case.truth, predicted, frames=range(case.length), step=1)
    sums = np.zeros(len(SUMS))
    for name, group in case.skeleton.groups.items():
        how = {"limit": NEAR, "reach": REACH, "instances": group.instances}
        there = predicted[name].visible > ABSENT  # the last place of a point that has gone is no answer
        answers = predicted[name]
        answers = Objects(answers.frames, answers.ids, np.where(there[:, :, None], answers.points, np.nan),
                          answers.visible)  # fmt: skip
        sums += measures(case.truth[name], answers, whole.grid, **how)[: len(SUMS)]
    by_name = dict(zip(SUMS, sums, strict=True))
    return {"error": by_name["error"] / by_name["placed"], "found": by_name["found"] / by_name["seen"],
            "hota": float(score([whole])["mean"]["HOTA"].mean())}  # fmt: skip


def table(case: Case, figures: dict[tuple[str, int], dict[str, float]], ks: list[int]) -> list[str]:
    """A Markdown table: a row a K."""
    heading = ["K", *(f"{name} {what}" for what in ("error, px", "found", "HOTA-KP") for name in TRACKERS)]
    lines = [f"{case.name}: {case.length} frames", "", "| " + " | ".join(heading) + " |",
             "|---:" * len(heading) + "|"]  # fmt: skip
    for k in ks:
        cells = [f"{figures[name, k][key]:.3f}" for key in ("error", "found", "hota") for name in TRACKERS]
        lines.append("| " + " | ".join([str(k), *cells]) + " |")
    return lines


def plot(path: Path, found: dict[str, dict[tuple[str, int], dict[str, float]]], ks: list[int]) -> None:
    """Error and HOTA-KP against K, a column a video."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, len(found), figsize=(4.2 * len(found), 6), sharex=True, squeeze=False)
    for column, (name, figures) in enumerate(found.items()):
        for row, (key, words) in enumerate((("error", "mean error, px"), ("hota", "HOTA-KP"))):
            panel = axes[row, column]
            for tracker, marker in zip(TRACKERS, "osx", strict=True):
                panel.plot(ks, [figures[tracker, k][key] for k in ks], marker=marker, label=tracker)
            panel.set_ylim(bottom=0)
            panel.grid(alpha=0.3)
            panel.set_ylabel(words)
        axes[0, column].set_title(name)
        axes[1, column].set_xlabel("K, frames from detection to detection")
    axes[0, 0].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=80)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--flies", type=Path, default=None)
    parser.add_argument("--frames", type=int, default=900, help="of the flies")
    parser.add_argument("--k", type=int, nargs="+", default=[2, 5, 10, 20, 30])
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    cases = [rendered()]
    if args.flies is not None:
        real = flies(args.flies, args.frames)
        cases += [real, moved(real)]
    found: dict[str, dict[tuple[str, int], dict[str, float]]] = {}
    lines: list[str] = []
    for case in cases:
        figures = {(name, k): judged(case, walked(case, name, k, args.out)) for k in args.k for name in TRACKERS}
        found[case.name] = figures
        lines += [*table(case, figures, args.k), ""]
        print("\n".join(lines[-len(args.k) - 5 :]), flush=True)
        if 10 in args.k:
            held, followed = figures["hold", 10], figures["klt", 10]
            better = followed["error"] < held["error"] and followed["hota"] > held["hota"]
            lines += [f"K = 10: KLT is {'better than holding' if better else 'NOT better than holding'}", ""]
    write_text(args.out / "bridges.md", "\n".join(lines))
    plot(args.out / "bridges.png", found, args.k)


if __name__ == "__main__":
    main()
