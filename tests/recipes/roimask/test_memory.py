"""Peak memory of ``predict``, each run in a process of its own: flat in the boxes and in the images."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kaname.geometry.image import write_image

RUN = """
import resource, sys
from kaname.cli import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert not end.code, end.code
print("PEAK", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
pytestmark = pytest.mark.slow


def peak(model: Path, *words: object) -> float:
    """MB that a prediction took at most."""
    given = ["roimask", "predict", "--checkpoint", str(model), "--device", "cpu", *map(str, words)]
    done = subprocess.run([sys.executable, "-c", RUN, *given], capture_output=True, text=True, check=True)
    return float(done.stdout.split("PEAK")[1])


def test_a_hundred_boxes_on_twelve_megapixels(model: Path, tmp_path: Path) -> None:
    """Within 500 MB above one box; a full-size mask of each alone would take 1,200 MB, probabilities 14,400."""
    random = np.random.default_rng(0)
    write_image(
        tmp_path / "large.png", np.kron(random.integers(0, 256, (75, 100, 3)), np.ones((40, 40, 1))).astype("u1")
    )
    corners = random.uniform(0, [2000, 1500], (100, 2))
    table = np.concatenate([corners, corners + random.uniform(300, 1400, (100, 2))], axis=1).round()
    boxes = [",".join(map(str, row)) for row in table]
    for more in ((), ("--overlap", "exclusive", "--cutouts")):
        one, all_ = (
            peak(model, tmp_path / "large.png", "--out", tmp_path / "out", *more, "--boxes", *some)
            for some in (boxes[:1], boxes)
        )
        assert all_ - one < 500, (one, all_)


def test_a_thousand_images(model: Path, tmp_path: Path) -> None:
    """Less than 50 MB more than ten."""
    folders = {count: tmp_path / str(count) for count in (10, 1000)}
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    for count, folder in folders.items():
        folder.mkdir()
        for number in range(count):
            write_image(folder / f"{number}.jpg", image)
    few, many = (peak(model, folder, "--out", tmp_path / f"out{folder.name}") for folder in folders.values())
    assert many - few < 50, (few, many)
