"""``visualize`` and ``suggest``: what is drawn where, in which order, and which frames are worth a label."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from kaname.cli import main
from kaname.data.video import VideoWriter
from kaname.errors import InputError
from kaname.geometry.image import read_image, write_image
from kaname.recipes.kpnet.judging import draw, suggest, visualize
from kaname.recipes.kpnet.suggestions import spread
from kaname.reporting.pairs import BETWEEN, FALSE, MISSED, PREDICTED, TRUE

SKELETON = "name: pairs\nclasses:\n  tool: {id: 0, points: [left, right], colour: '#0000ff'}\n"


def row(frame: int, xs: tuple[float, float], states: tuple[float, float] = (2, 2), y: int = 60) -> str:
    left, right = (f"{4 * x:g},{4 * y}" for x in xs)  # quarters of the size make short tests
    return f"{frame},1,0,-1,-1,-1,-1,{left},{states[0]:g},{right},{states[1]:g}\n"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A black video of 40 frames, of which 0, 10, 20 and 30 are labelled, two with images."""
    root = tmp_path / "data"
    (root / "val" / "mot").mkdir(parents=True)
    (root / "val" / "frames" / "A").mkdir(parents=True)
    (root / "movie").mkdir()
    (root / "skeleton.yaml").write_text(SKELETON)
    (root / "val" / "mot" / "A.txt").write_text("".join(row(frame, (50, 150)) for frame in (0, 10, 20, 30)))
    for frame in (0, 10):
        write_image(root / "val" / "frames" / "A" / f"A_frame_{frame}.png", np.zeros((480, 800, 3), np.uint8))
    with VideoWriter(root / "movie" / "A.mp4", quality=12) as writer:
        for frame in range(40):
            writer.write(np.full((480, 800, 3), 3 * frame, np.uint8), frame / 30)
    return root


def near(image: np.ndarray, xy: tuple[int, int], colour: tuple[int, int, int], reach: int = 4, apart: int = 60) -> bool:
    """Whether a colour (a JPEG's) is to be seen near a place."""
    x, y, reach = 4 * xy[0], 4 * xy[1], 4 * reach
    part = image[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1].astype(int)
    return bool((np.abs(part - colour).max(axis=2) < apart).any())


def predictions(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "A_pred.txt"
    path.write_text(text)
    return path


def test_lines_misses_and_false_ones(data: Path, tmp_path: Path) -> None:
    """A pair 120 px apart has a line; in frame 10 nothing was predicted; in frame 30 only one point has a place."""
    text = row(0, (80, 150)) + row(20, (50, 150)) + row(30, (50, 150), (2, 2), y=100)
    visualize(video="A", pred=predictions(tmp_path, text), out=tmp_path / "out", data_root=data, limit=0)
    names = [f"A_frame_{frame}_overlay.jpg" for frame in (0, 10, 20, 30)]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    first, second, third, _ = (read_image(tmp_path / "out" / name) for name in names)
    assert near(first, (50, 60), TRUE) and near(first, (80, 60), PREDICTED)
    assert near(first, (65, 60), BETWEEN, 3, apart=100) and not near(first, (110, 60), BETWEEN, 3)
    assert near(second, (50, 60), MISSED) and near(second, (150, 60), MISSED)
    assert not near(second, (100, 60), BETWEEN, 20)
    assert near(third, (50, 60), PREDICTED)


def test_a_false_object(data: Path, tmp_path: Path) -> None:
    (data / "val" / "mot" / "A.txt").write_text(row(0, (50, 150)) + row(10, (0, 0), (0, 0)))
    text = row(0, (50, 150)) + row(10, (120, 170))
    visualize(video="A", pred=predictions(tmp_path, text), out=tmp_path / "out", data_root=data)
    second = read_image(tmp_path / "out" / "A_frame_10_overlay.jpg")
    assert near(second, (120, 60), FALSE) and near(second, (170, 60), FALSE)
    assert not near(read_image(tmp_path / "out" / "A_frame_0_overlay.jpg"), (150, 60), FALSE)


def test_a_point_that_is_said_to_be_out_of_frame_is_missed(data: Path, tmp_path: Path) -> None:
    """Its coordinates mean nothing."""
    text = row(0, (0, 150), (0, 2))
    visualize(video="A", pred=predictions(tmp_path, text), out=tmp_path / "out", data_root=data, limit=1)
    image = read_image(tmp_path / "out" / "A_frame_0_overlay.jpg")
    assert near(image, (50, 60), MISSED) and not near(image, (35, 60), BETWEEN)


def test_the_worst_first_and_the_documents_line(data: Path, tmp_path: Path) -> None:
    """Frame 20 was missed and is the worst; frame 10 is 40 px off."""
    text = row(0, (51, 151)) + row(10, (90, 190)) + row(30, (50, 150))
    words = ["--data-root", data, "--gt-folder", data / "val" / "mot", "--pred", predictions(tmp_path, text)]
    words += ["--video", "A", "--out", tmp_path / "out", "--limit", 2, "--order", "worst"]
    with pytest.raises(SystemExit) as stop:
        main(["kpnet", "visualize", *map(str, words)])
    assert not stop.value.code
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"A_frame_20_overlay.jpg", "A_frame_10_overlay.jpg"}


def test_masks_lie_over_the_frame(data: Path, tmp_path: Path) -> None:
    classes = np.zeros((480, 800), np.uint8)
    classes[320:] = 1
    (tmp_path / "masks" / "A").mkdir(parents=True)
    write_image(tmp_path / "masks" / "A" / "A_frame_0.png", classes)
    text = row(0, (50, 150))
    how = {"data_root": data, "seg_root": tmp_path / "masks", "limit": 1}
    visualize(video="A", pred=predictions(tmp_path, text), out=tmp_path / "out", **how)  # type: ignore[arg-type]
    image = read_image(tmp_path / "out" / "A_frame_0_overlay.jpg").astype(int)
    assert image[440, 400, 2] - image[440, 400, 0] > 60 and image[300, 400, 2] < 40


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"video": "B"}, "no labels of the video 'B'"),
        ({"video_root": Path("nowhere")}, "no image of frame 20 of 'A', and no video"),
        ({"limit": -1}, "--limit must not be negative"),
    ],
)
def test_refusals(data: Path, tmp_path: Path, change: dict, said: str) -> None:
    how = {"video": "A", "data_root": data, "limit": 0, **change}
    with pytest.raises(InputError, match=said):
        visualize(pred=predictions(tmp_path, row(0, (50, 150))), out=tmp_path / "out", **how)


def test_draw_of_a_folder_of_text(data: Path, tmp_path: Path) -> None:
    """Labels green, predictions red, on the frames that have an image."""
    folder = tmp_path / "trackers"
    folder.mkdir()
    (folder / "A_pred.txt").write_text("".join(row(frame, (80, 150)) for frame in range(40)))
    draw(out=tmp_path / "out", data_root=data, predictions=folder)
    assert {path.name for path in (tmp_path / "out").glob("*.jpg")} == {"A_frame_0.jpg", "A_frame_10.jpg"}
    image = read_image(tmp_path / "out" / "A_frame_10.jpg")
    assert near(image, (50, 60), TRUE) and near(image, (80, 60), PREDICTED)


def suggested(data: Path, tmp_path: Path, text: str, **how: object) -> list[dict[str, str]]:
    suggest(video="A", pred=predictions(tmp_path, text), out=tmp_path / "next", data_root=data, **how)  # type: ignore[arg-type]
    with (tmp_path / "next" / "suggest.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_jump_is_suggested_first(data: Path, tmp_path: Path) -> None:
    """As an image of that frame, with the reason; labelled frames are not among them."""
    text = "".join(row(frame, (50 + frame + 30 * (frame == 17), 150)) for frame in range(40))
    found = suggested(data, tmp_path, text, count=5)
    assert found[0]["frame"] == "17" and float(found[0]["jump_px"]) == pytest.approx(120)
    assert len(found) == 5 and not {"0", "10", "20", "30"} & {one["frame"] for one in found}
    shown = read_image(tmp_path / "next" / "A_frame_17.png")
    assert abs(float(shown.mean()) - 3 * 17) < 4
    assert len(list((tmp_path / "next").glob("*.png"))) == 5


def test_doubt_and_disagreement(data: Path, tmp_path: Path) -> None:
    """Low confidence in frame 8; another file is 100 px apart in frame 33."""
    text = "".join(row(frame, (50, 150), (0.1, 0.1) if frame == 8 else (0.9, 0.9)) for frame in range(40))
    other = tmp_path / "other.txt"
    other.write_text("".join(row(frame, (75, 175) if frame == 33 else (50, 150)) for frame in range(40)))
    found = suggested(data, tmp_path, text, count=2, beside=other)
    assert {one["frame"] for one in found} == {"8", "33"}
    by_frame = {one["frame"]: one for one in found}
    assert float(by_frame["8"]["doubt"]) == pytest.approx(0.9)
    assert float(by_frame["33"]["apart_px"]) == pytest.approx(100)


def test_frames_are_spread() -> None:
    """The second best is next to the best, and waits."""
    scores = np.zeros(100)
    scores[[50, 51, 10]] = [1.0, 0.9, 0.5]
    assert spread(range(100), scores, 2) == [50, 0] and spread(range(100), scores, 3) == [50, 10, 83]
    assert len(spread(range(100), scores, 100)) == 100 and len(spread([3, 4], np.zeros(2), 5)) == 2
