"""Lost frames of a video: refused, or frames without rows, counted; everything else as of the whole video."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from calling import call
from damaging import damaged, encoded
from kaname.data.video import frames
from recipes.kpnet import tiny
from recipes.kpnet.tiny import infer

LOST = {3, 10, 11}


@pytest.fixture(scope="module")
def films(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``whole/val00.mp4`` and ``damaged/val00.mp4``, where every packet is a key frame."""
    folder = tmp_path_factory.mktemp("films")
    images = [frame.image for frame in frames(next((made / "data" / "movie").glob("val00.*")))]
    for name in ("whole", "damaged"):
        (folder / name).mkdir()
        encoded(folder / name / "val00.mp4", images, "libx264", 1)
    damaged(folder / "damaged" / "val00.mp4", sorted(LOST))
    return folder


def rows(folder: Path) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for line in (folder / "val00_pred.txt").read_text().splitlines():
        found.setdefault(int(line.split(",")[0]), []).append(line)
    return found


def seen(lines: list[str]) -> list[tuple[str, str, str, str]]:
    """The points that are to be seen; where others may be is said from the frames before."""
    cells = [line.split(",") for line in lines]
    points = [(row[2], *row[at : at + 3]) for row in cells for at in range(7, len(row), 3)]
    return sorted(point for point in points if point[-1] != "0")


@pytest.mark.parametrize(
    ("words", "model"), [((), "rgb.pt"), ((), "six.pt"), (("--tracker", "klt", "--k", 4), "rgb.pt")]
)
def test_infer(made: Path, films: Path, tmp_path: Path, words: tuple[object, ...], model: str) -> None:
    given = ("--videos", "val00", "--every", 1, *words)
    infer(made, tmp_path / "whole", *given, "--video-root", films / "whole", model=model).done()
    own = (*given, "--video-root", films / "damaged")
    refused = infer(made, tmp_path / "refused", *own, model=model)
    assert refused.code == 2 and "--damaged blank" in refused.err + refused.out
    said = infer(made, tmp_path / "blank", *own, "--damaged", "blank", model=model).done().out
    assert "(3 frames lost in damaged packets: without an answer)" in said
    record = json.loads((tmp_path / "blank" / "val00_pred.json").read_text())
    assert record["lost"] == 3 and record["frames"] == tiny.LENGTH and record["settings"]["damaged"] == "blank"
    whole, blank = rows(tmp_path / "whole"), rows(tmp_path / "blank")
    assert not LOST & blank.keys() and LOST & whole.keys()
    if not words and model == "rgb.pt":  # each frame on its own
        for frame in whole.keys() - LOST:
            assert seen(blank[frame]) == seen(whole[frame])
    assert {frame for frame in whole if frame not in LOST} - blank.keys() <= {4, 12}  # motion may hide a point


def test_predict_with_a_video_of_it(made: Path, films: Path, tmp_path: Path) -> None:
    words = (
        "kpnet",
        "predict",
        films / "damaged" / "val00.mp4",
        "--ckpt",
        made / "rgb.pt",
        "--overlay",
        "--device",
        "cpu",
    )
    refused = call(*words, "--out", tmp_path / "no")
    assert refused.code == 2 and "--damaged blank" in refused.err + refused.out
    said = call(*words, "--out", tmp_path / "out", "--damaged", "blank").done().out
    assert "3 frames lost" in said and not LOST & rows(tmp_path / "out").keys()
    assert sum(1 for _ in frames(tmp_path / "out" / "val00_overlay.mp4")) == tiny.LENGTH
    # What was made without the flag of a whole video is another result.
    again = call(*words, "--out", tmp_path / "out")
    assert again.code == 2 and "damaged" in again.err
