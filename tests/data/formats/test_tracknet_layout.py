"""TrackNetV2's folders are read as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kaname.data.formats import tracknet
from kaname.recipes.tracknet.labels import clips

HEADS = ("Frame,Visibility,X,Y", "Frame,Ball,x,y")


def rally(match: Path, name: str, places: list[tuple[int, int]], head: str = HEADS[0]) -> None:
    (match / "frame" / name).mkdir(parents=True)
    (match / "csv").mkdir(exist_ok=True)
    rows = [head]
    for number, (x, y) in enumerate(places):
        Image.fromarray(np.zeros((36, 64, 3), np.uint8)).save(match / "frame" / name / f"{number}.png")
        rows.append(f"{number},{int(x + y > 0)},{x},{y}")
    (match / "csv" / f"{name}_ball.csv").write_text("\n".join(rows), encoding="utf-8")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    rally(tmp_path / "match1", "1_01_00", [(3, 4), (5, 6), (0, 0)])
    rally(tmp_path / "match1", "1_10_00", [(13, 14)] * 11)
    rally(tmp_path / "match1", "1_02_00", [(23, 24)], HEADS[1])
    rally(tmp_path / "match2", "1_01_00", [(33, 34)])
    (tmp_path / "match1" / "video").mkdir()
    return tmp_path


def test_a_data_set_of_matches(root):
    found = [(clip.game, clip.name) for clip in tracknet.clips(root)]
    assert found == [("match1", "1_01_00"), ("match1", "1_02_00"), ("match1", "1_10_00"), ("match2", "1_01_00")]
    assert not tracknet.problems(root)
    samples = tracknet.read(root)
    assert [clip.source for clip in clips(samples)] == [
        "match1/1_01_00",
        "match1/1_02_00",
        "match1/1_10_00",
        "match2/1_01_00",
    ]
    assert samples[0].points["ball"].tolist() == [[3.5, 4.5]] and samples[2].visible["ball"].tolist() == [0]
    assert [sample.image.name for sample in samples[4:15]] == [f"{number}.png" for number in range(11)]


@pytest.mark.parametrize("path", ["match1", "match1/csv", "match1/csv/1_10_00_ball.csv"])
def test_a_part_of_it(root, path):
    found = {(sample.meta["game"], sample.meta["clip"]) for sample in tracknet.read(root / path)}
    assert ("match1", "1_10_00") in found and len(found) == (1 if path.endswith(".csv") else 3)


def test_matches_of_two_sets_stay_apart(root):
    (root / "train").mkdir()
    (root / "match1").rename(root / "train" / "match1")
    (root / "test").mkdir()
    (root / "match2").rename(root / "test" / "match1")
    assert {sample.meta["game"] for sample in tracknet.read(root)} == {"train_match1", "test_match1"}


def test_what_lacks_its_partner(root):
    (root / "match2" / "frame" / "1_01_00").rename(root / "match2" / "frame" / "9_01_00")
    first, second = tracknet.problems(root / "match2")
    assert "does not exist" in first.reason and first.path.endswith("1_01_00")
    assert "frames without labels" in second.reason and "9_01_00_ball.csv" in second.remedy
    (root / "match2" / "video").mkdir()
    (root / "match2" / "video" / "1_01_00.mp4").touch()
    fault = tracknet.problems(root / "match2")[0]
    assert "the video is damaged" in fault.reason and fault.path.endswith("video/1_01_00.mp4")


def test_what_kaname_wrote_there_is_no_game(root: Path) -> None:
    """Where the data is the working folder, runs and pictures lie in it."""
    before = [(clip.game, clip.name) for clip in tracknet.clips(root)]
    for name, record in (("drawn", "draw"), ("found", "predict"), ("evaluation/val", "evaluate")):
        (root / name / "game1" / "Clip1").mkdir(parents=True)
        Image.fromarray(np.zeros((36, 64, 3), np.uint8)).save(root / name / "game1" / "Clip1" / "0.png")
        (root / name / f".kaname-{record}.json").touch()
    (root / "runs" / "ball").mkdir(parents=True)
    for name in ("log.csv", "config.yaml", "parameters.json"):
        (root / "runs" / "ball" / name).touch()
    assert not tracknet.problems(root) and [(clip.game, clip.name) for clip in tracknet.clips(root)] == before
    (root / "runs" / "ball" / "config.yaml").unlink()
    assert "no Label.csv, only log.csv" in tracknet.problems(root)[0].reason
    for name in ("config.yaml", "Label.csv"):  # labels are data, whatever lies beside them
        (root / "runs" / "ball" / name).touch()
    assert "ball" in tracknet.problems(root)[0].path
