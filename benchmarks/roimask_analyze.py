"""``analyze`` against a plain loop with pycocotools over the same COCO file, in one run.

    python benchmarks/roimask_analyze.py --annotations instances.json [--repeat 20]

The loop draws every mask (``annToMask``), combines those of the image inside each box and compares every pair, as the
definitions say it; it runs in one process, ``analyze`` in one for each core and also in one. ``--repeat`` copies the
file's images under new numbers, so that a small file gives a steady figure. Both must give the same counts.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools.coco import COCO

from kaname.data.roi_statistics import measure

FULL = 231_242  # instances of the person-only train2017 file


def loop(path: Path) -> tuple[list[int], int]:
    """Pixels of background, target and others, and the pairs that share a pixel."""
    with contextlib.redirect_stdout(io.StringIO()):
        data = COCO(str(path))
    pixels, pairs = np.zeros(3, np.int64), 0
    for image in data.imgs.values():
        entries = data.loadAnns(data.getAnnIds(image["id"], catIds=[1], iscrowd=False))
        masks = [data.annToMask(entry).astype(bool) for entry in entries]
        for one in range(len(masks)):
            pairs += sum(bool((masks[one] & masks[other]).any()) for other in range(one + 1, len(masks)))
        for number, entry in enumerate(entries):
            x, y, w, h = entry["bbox"]
            x1, x2 = max(0, int(x - 0.1 * w)), min(image["width"], int(x + 1.1 * w))
            y1, y2 = max(0, int(y - 0.1 * h)), min(image["height"], int(y + 1.1 * h))
            classes = np.zeros((max(0, y2 - y1), max(0, x2 - x1)), np.int64)
            for other, mask in enumerate(masks):
                if other != number:
                    classes[mask[y1:y2, x1:x2]] = 2
            classes[masks[number][y1:y2, x1:x2]] = 1
            pixels += np.bincount(classes.ravel(), minlength=3)
    return pixels.tolist(), pairs


def repeated(path: Path, times: int, folder: Path) -> Path:
    """The file with its images and instances ``times`` times."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    images, annotations = [], []
    shift = max(one["id"] for name in ("images", "annotations") for one in content[name]) + 1
    for turn in range(times):
        images += [one | {"id": one["id"] + turn * shift, "file_name": f"{turn}_{one['file_name']}"}
                   for one in content["images"]]  # fmt: skip
        annotations += [one | {"id": one["id"] + turn * shift, "image_id": one["image_id"] + turn * shift}
                        for one in content["annotations"]]  # fmt: skip
    content |= {"images": images, "annotations": annotations}
    (folder / "repeated.json").write_text(json.dumps(content), encoding="utf-8")
    return folder / "repeated.json"


def timed(call: Callable[[], Any]) -> tuple[Any, float, float]:
    """What a call returns, the seconds it took, and those of processor time in this process."""
    wall, work = time.perf_counter(), time.process_time()
    found = call()
    return found, time.perf_counter() - wall, time.process_time() - work


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--annotations", type=Path, required=True)
    words.add_argument("--repeat", type=int, default=20)
    given = words.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = repeated(given.annotations, given.repeat, Path(folder))
        expected, slow, slow_work = timed(lambda: loop(given.annotations))
        seconds: dict[int, float] = {}
        work = 0.0
        for workers in sorted({1, os.cpu_count() or 1}):
            found, seconds[workers], used = timed(lambda: measure(path, workers=workers, speak=False))  # noqa: B023
            work = work or used
    instances = found["total_instances"]
    counted = [count // given.repeat for count in found["pixel_counts"].values()]
    same = (counted, found["overlap_stats"]["total_overlapping_pairs"] // given.repeat) == expected
    slow_each = slow / (instances / given.repeat)
    print(f"{instances} instances ({given.repeat} copies); the loop took one copy; same counts: {same}")
    print(f"pycocotools loop: {1000 * slow_each:.2f} s per 1,000 instances; the full file {FULL * slow_each:.0f} s")
    ratio = slow_work * given.repeat / work
    print("processor time of one process each, which other programs disturb less, s per 1,000 instances: loop "
          f"{1000 * slow_work * given.repeat / instances:.2f}, analyze {1000 * work / instances:.2f}, "
          f"{ratio:.1f} times as fast; the full file {FULL * work / instances:.0f} s")  # fmt: skip
    for workers, taken in seconds.items():
        each = taken / instances
        print(f"analyze, {workers} processes: {1000 * each:.2f} s per 1,000 instances, {slow_each / each:.1f} times as")
        print(f"  fast; the full file {FULL * each:.0f} s")


if __name__ == "__main__":
    main()
