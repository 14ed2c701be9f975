"""Which of two flies is which: ids of the slots, ids carried along time, and those of a real tracker.

    OMP_NUM_THREADS=1 python benchmarks/kpnet_identity.py --flies DIR [--every 1 10 30] [--turn 0 3]

DIR holds ``gt_2kp.txt``, the labels of every frame, and ``tracker_2kp.txt``, what a real tracker made of the video. Its
places, and the labels' own, get three kinds of ids: those of the slots, filled from left to right in each frame as a
detector fills them; those of `kaname.tracking.identity`, which is given the slots' objects; and the tracker's or the
labels' own. An identity switch is counted where the object nearest to a true one (within ``--reach`` px) has another id
than before. ``--every``: the objects are looked at in every N-th frame alone. ``--turn``: the picture turns by so many
degrees a frame, so that left and right change places. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np

from kaname.data.formats.mot_kp_rows import Row, objects_of, read_rows
from kaname.data.formats.skeleton import Skeleton
from kaname.metrics.hota_kp import score, sequence
from kaname.metrics.keypoint_objects import SUMS, measures
from kaname.tracking.identity import GATE, Identity

SKELETON = Skeleton.from_dict({"name": "flies", "classes": {"fly": {"id": 0, "points": ["head", "abdomen"],
                                                                   "instances": 2}}})  # fmt: skip
WIDTH = 1024
NEAR = 10.0  # pixels, of a point that is found


def slots(rows: list[Row]) -> list[Row]:
    """Ids from left to right in each frame."""
    frames: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        frames[row.frame].append(row)
    ordered = [sorted(own, key=lambda row: float(np.nanmean(row.points[:, 0]))) for own in frames.values()]
    return [replace(row, track=number) for own in ordered for number, row in enumerate(own)]


def carried(rows: list[Row]) -> list[Row]:
    """Ids along time."""
    identity, found = Identity([0, 1], gate=GATE * WIDTH), list[Row]()
    frames: dict[int, list[Row]] = defaultdict(list)
    for row in slots(rows):
        frames[row.frame].append(row)
    for frame in sorted(frames):
        own = frames[frame]
        given = identity.assign([row.points for row in own])
        found += [replace(row, track=one) for row, one in zip(own, given, strict=True)]
    return found


def turned(rows: list[Row], degrees: float) -> list[Row]:
    """The same in a picture that turns around its middle by so much a frame."""
    found: list[Row] = []
    for row in rows:
        angle = np.deg2rad(degrees * row.frame)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        found.append(replace(row, points=(row.points - WIDTH / 2) @ turn.T + WIDTH / 2))
    return found


def figures(truth: list[Row], rows: list[Row], every: int, reach: float) -> list[str]:
    """HOTA-KP, DetA, AssA, switches."""
    true, own = objects_of(truth, SKELETON), objects_of(rows, SKELETON)
    whole = sequence(true, own, step=every)
    sums = measures(true["fly"], own["fly"], whole.grid, limit=NEAR, reach=reach, instances=2)
    mean = score([whole])["mean"]
    return [*(f"{float(mean[name].mean()):.3f}" for name in ("HOTA", "DetA", "AssA")),
            str(int(sums[SUMS.index("switches")]))]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flies", type=Path, required=True)
    parser.add_argument("--every", type=int, nargs="+", default=[1, 10, 30])
    parser.add_argument("--turn", type=float, nargs="+", default=[0.0, 3.0])
    parser.add_argument("--reach", type=float, default=30.0)
    args = parser.parse_args()
    truth = read_rows(args.flies / "gt_2kp.txt", SKELETON, predictions=False)
    places = {"the tracker's": read_rows(args.flies / "tracker_2kp.txt", SKELETON, predictions=True),
              "the labels'": truth}  # fmt: skip
    heading = ("places", "degrees a frame", "every", "ids", "HOTA-KP", "DetA", "AssA", "identity switches")
    print("| " + " | ".join(heading) + " |\n|---|---:|---:|---|---:|---:|---:|---:|")
    for name, rows in places.items():
        for degrees in args.turn:
            for every in args.every:
                thin, true = (turned([row for row in own if row.frame % every == 0], degrees) for own in (rows, truth))
                for ids, made in (("slots", slots(thin)), ("carried along", carried(thin)), ("its own", thin)):
                    cells = [name, f"{degrees:g}", str(every), ids, *figures(true, made, every, args.reach)]
                    print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
