"""``masks``: whole videos from their labelled frames, by a propagator that knows the truth."""

from __future__ import annotations

import csv
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kaname.cli import main
from kaname.errors import InputError
from kaname.geometry.image import write_image
from kaname.recipes.kpnet import masks
from kaname.recipes.kpnet.classes import find_masks
from kaname.recipes.kpnet.config import DataSettings
from kaname.recipes.kpnet.labels import skeleton_of
from kaname.recipes.kpnet.masks import make
from models.tiny_sam2 import save_tiny
from recipes.kpnet.filmed import NUMBERS, Box, Film, Seer, same
from recipes.kpnet.masking import (
    FILM,
    LABELLED,
    MASKED,
    contents,
    how,
    in_place_of_sam_2,
    pictures,
    record_of,
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return FILM.write(tmp_path_factory.mktemp("filmed"), LABELLED, MASKED)


@pytest.fixture
def seer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Seer:
    return in_place_of_sam_2(FILM, tmp_path, monkeypatch)


def test_every_frame_has_its_truth_under_its_own_number(data: Path, tmp_path: Path, seer: Seer) -> None:
    """Ten frames of thirty a second, and the labelled ones; later objects over earlier; what comes and what goes."""
    make(["A36O"], how(data, tmp_path))
    found = pictures(tmp_path / "masks")
    assert list(found) == sorted({*range(0, 60, 3), *LABELLED})
    for number, classes in found.items():
        assert (classes == FILM.classes(number)).all(), number
    # The right hand goes after frame 30 and is not labelled in frame 41; the second needle comes in frame 12.
    assert {1, 2, 3, 6} <= set(np.unique(found[20])) and 2 not in found[33] and 2 in found[30]
    assert (FILM.boxes[0].mask(20) & FILM.boxes[2].mask(20)).any(), "the scissors lie over the hand"
    rows = list(csv.DictReader((tmp_path / "masks" / "A36O_frames.csv").open(encoding="utf-8")))
    assert [int(row["frame"]) for row in rows] == list(found)
    assert [float(row["seconds"]) for row in rows] == pytest.approx([number / 30 for number in found], abs=1e-4)
    assert [int(row["frame"]) for row in rows if row["labelled"] == "1"] == list(LABELLED)
    assert not [path for path in (tmp_path / "masks").iterdir() if path.name.startswith(".")]


def test_training_reads_them(data: Path, tmp_path: Path, seer: Seer) -> None:
    make(["A36O"], how(data, tmp_path))
    skeleton = skeleton_of(DataSettings(data))
    found = find_masks(data / "none", tmp_path / "masks", skeleton)
    assert sorted(number for _, number in found) == list(pictures(tmp_path / "masks"))
    assert (found["A36O", 18].read((64, 96)) == FILM.classes(18)).all()


def test_forwards_then_backwards_to_fill(data: Path, tmp_path: Path, seer: Seer) -> None:
    make(["A36O"], how(data, tmp_path))
    back, between, second, last = [5, 3, 0], [5, 6, 9, 12, 15, 18], [20, 21, 24, 27, 30, 33, 36, 39], [41]
    assert seer.seen[0] == (True, back)
    assert seer.seen[1] == (False, between)
    # The second needle is labelled in frame 20 alone: it is followed back as far as frame 6, for in frame 5 it is
    # labelled as not there.
    assert seer.seen[2] == (True, [20, 18, 15, 12, 9, 6])
    assert set(seer.told[2][20]) == {("needle", 6)} and 5 not in seer.told[2]
    # From there on both needles are known at both ends; the right hand is not there in frame 41.
    assert seer.seen[3] == (False, second) and len(seer.seen) == 5
    assert set(seer.told[3][20]) - set(seer.told[3][41]) == {("right_hand", 1)}
    assert seer.seen[4] == (False, [*last, *range(42, 60, 3)])


def test_clicks_where_there_is_no_mask(data: Path, tmp_path: Path, seer: Seer) -> None:
    make(["A36O"], how(data, tmp_path))
    told = seer.told[3][20]
    assert {name for name, prompt in told.items() if prompt.mask is not None} == {
        ("left_hand", 0), ("needle", 6), ("needle", 9)
    }  # fmt: skip
    prompt = told["scissors", 2]
    assert prompt.mask is None and np.allclose(prompt.inside, FILM.boxes[2].points(20), atol=0.01)
    others = np.concatenate([box.points(20) for box in FILM.boxes if box.there(20) and box.group != "scissors"])
    assert sorted(map(tuple, prompt.outside.round(2))) == sorted(map(tuple, others.round(2)))


def test_a_hidden_object_is_followed_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All its points are hidden in the first labelled frame, where it is therefore not clicked on."""
    film = Film("B", 31, (Box("scissors", 2, (20, 14), (24, 10)), Box("tweezers", 3, (50, 30))))
    film.write(tmp_path, [0], hidden=["tweezers"])
    film.write(tmp_path, [30])
    seer = in_place_of_sam_2(film, tmp_path, monkeypatch)
    seer._meant = lambda number, prompt: next(  # type: ignore[method-assign]
        box for box in film.boxes if same(box.points(number), prompt.inside)
    )
    make(["B"], how(tmp_path, tmp_path))
    assert set(seer.told[0][0]) == {("scissors", 2)}
    for number, classes in pictures(tmp_path / "masks", "B").items():
        assert (classes == film.classes(number)).all(), number  # in frame 0, too: it is labelled there


def test_all_frames(data: Path, tmp_path: Path, seer: Seer) -> None:
    make(["A36O"], how(data, tmp_path, fps=0.0))
    assert list(pictures(tmp_path / "masks")) == list(range(60))


def test_what_is_done_is_not_done_again(
    data: Path, tmp_path: Path, seer: Seer, capsys: pytest.CaptureFixture[str]
) -> None:
    make(["A36O"], how(data, tmp_path))
    record = record_of(tmp_path / "masks")
    assert record["complete"] and record["frames"] == 23 and record["settings"]["fps"] == 10
    assert record["stretches"] == [[None, 5], [5, 20], [20, 41], [41, None]]
    assert record["inputs"]["video"]["name"] == "A36O.mp4" and len(record["inputs"]["checkpoint"]["sha256"]) == 64
    before, calls = contents(tmp_path / "masks"), len(seer.seen)
    make(["A36O"], how(data, tmp_path))
    assert len(seer.seen) == calls and contents(tmp_path / "masks") == before
    assert "A36O: 23 masks, finished before" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        make(["A36O"], how(data, tmp_path, fps=5.0))
    assert "made with fps 10.0, not 5.0" in capsys.readouterr().err
    assert contents(tmp_path / "masks") == before
    make(["A36O"], how(data, tmp_path, fps=5.0, overwrite=True))
    assert list(pictures(tmp_path / "masks")) == sorted({*range(0, 60, 6), *LABELLED})
    assert record_of(tmp_path / "masks")["settings"]["fps"] == 5


def test_a_record_counts_and_not_what_lies_there(
    data: Path, tmp_path: Path, seer: Seer, capsys: pytest.CaptureFixture[str]
) -> None:
    make(["A36O"], how(data, tmp_path))
    whole = contents(tmp_path / "masks")
    (tmp_path / "masks" / "A36O" / "A36O_frame_18.png").unlink()
    make(["A36O"], how(data, tmp_path))
    assert contents(tmp_path / "masks") == whole, "a picture that is gone is made again"
    (tmp_path / "masks" / "A36O_masks.json").unlink()
    with pytest.raises(SystemExit):
        make(["A36O"], how(data, tmp_path))
    assert "23 masks without a record of how they were made" in capsys.readouterr().err
    make(["A36O"], how(data, tmp_path, overwrite=True))
    assert contents(tmp_path / "masks") == whole


def test_other_labels_are_other_masks(tmp_path: Path, seer: Seer, capsys: pytest.CaptureFixture[str]) -> None:
    FILM.write(tmp_path, LABELLED, MASKED)
    make(["A36O"], how(tmp_path, tmp_path))
    before = contents(tmp_path / "masks")
    (tmp_path / "train" / "masks" / "A36O_frame_20_left_hand_mask.png").unlink()
    with pytest.raises(SystemExit):
        make(["A36O"], how(tmp_path, tmp_path))
    assert "A36O_masks.json: made with another labels (mot)" in capsys.readouterr().err
    assert contents(tmp_path / "masks") == before
    make(["A36O"], how(tmp_path, tmp_path, overwrite=True))
    assert ("left_hand", 0) in seer.told[-2][20] and seer.told[-2][20]["left_hand", 0].mask is None


def test_a_device_that_is_not_there(data: Path, tmp_path: Path, seer: Seer, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, however many videos."""
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="no CUDA device is visible"):
        make(["A36O", "B"], how(data, tmp_path, device="cuda:0"))


def failures(capsys: pytest.CaptureFixture[str], *words: object) -> list[str]:
    with pytest.raises(SystemExit) as ended:
        main(["kpnet", "masks", *map(str, words)])
    assert ended.value.code == 2
    return capsys.readouterr().err.splitlines()


def test_bad_videos_do_not_stop_the_others(
    data: Path, tmp_path: Path, seer: Seer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Missing, truncated, labels beyond the end, no labelled frame at all: a line each, in the end."""
    FILM.write(tmp_path, LABELLED, MASKED)
    movie = tmp_path / "movie"
    for name in ("cut", "short", "bare", "gone"):
        if name != "gone":
            (movie / f"{name}.mp4").write_bytes((movie / "A36O.mp4").read_bytes())
        if name != "bare":
            Film(name, 60).write(tmp_path / "other", LABELLED)
    for path in (tmp_path / "other" / "train" / "mot").iterdir():
        path.rename(tmp_path / "train" / "mot" / path.name)
    (movie / "cut.mp4").write_bytes((movie / "A36O.mp4").read_bytes()[:-3000])
    far = tmp_path / "train" / "mot" / "short_frame_41.txt"
    far.rename(far.with_name("short_frame_60.txt")).write_text(
        far.with_name("short_frame_60.txt").read_text().replace("41", "60", 1).replace("\n41", "\n60")
    )
    words = ["--data-root", tmp_path, "--out-dir", tmp_path / "masks", "--ckpt", tmp_path / "sam2.pt"]
    said = failures(capsys, *words, "--device", "cpu", "--videos", "cut,gone,A36O,short,bare")
    assert len(said) == 4 and all(line.startswith("error: ") and ";" in line for line in said)
    text = "\n".join(said)
    assert "cut.mp4: the video is truncated" in text or "cut.mp4: the video is damaged" in text
    assert f"{movie / 'gone.mp4'}: there is no video 'gone'" in text
    assert "short_frame_60.txt: labels of frame 60, but short.mp4 has frames 0 to 59" in text
    assert "no labelled frame of the video 'bare'" in text
    assert record_of(tmp_path / "masks")["complete"], "the others are finished"


def test_a_mask_of_another_size(data: Path, tmp_path: Path, seer: Seer, capsys: pytest.CaptureFixture[str]) -> None:
    FILM.write(tmp_path, LABELLED, MASKED)
    wrong = tmp_path / "train" / "masks" / "A36O_frame_20_left_hand_mask.png"
    write_image(wrong, np.zeros((32, 48), np.uint8))
    words = ["--data-root", tmp_path, "--out-dir", tmp_path / "masks", "--ckpt", tmp_path / "sam2.pt"]
    said = failures(capsys, *words, "--device", "cpu", "--video", "A36O")
    assert len(said) == 1 and str(wrong) in said[0] and "48 x 32" in said[0]


def test_a_value_that_is_no_class(data: Path, tmp_path: Path, seer: Seer) -> None:
    """Where training reads the masks."""
    make(["A36O"], how(data, tmp_path))
    wrong = tmp_path / "masks" / "A36O" / "A36O_frame_20.png"
    write_image(wrong, np.full((64, 96), 7, np.uint8))
    found = find_masks(data / "none", tmp_path / "masks", skeleton_of(DataSettings(data)))
    with pytest.raises(InputError, match="the value 7 in a pseudo mask of 6 classes"):
        found["A36O", 20].read((64, 96))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name a video with --video, or several with --videos"),
        (["--video", "A36O", "--videos", "A36O"], "name a video"),
        (["--video", "A36O", "--fps", "-1"], "--fps must lie in 0..1000, got -1.0; 0 takes all"),
        (["--video", "A36O", "--fps", "nan"], "--fps must lie in 0..1000"),
        (["--video", "A36O", "--jobs", "0"], "--jobs must be at least 1"),
        (["--video", "A36O", "--config", "sam2.1_hiera_x.yaml"], "no configuration of SAM 2.1"),
        (["--video", "A36O", "--ckpt", "nowhere.pt"], "the checkpoint does not exist"),
    ],
)
def test_usage(capsys: pytest.CaptureFixture[str], tmp_path: Path, words: list[str], said: str) -> None:
    lines = failures(capsys, "--data-root", tmp_path, *words)
    assert len(lines) == 1 and said in lines[0]


@pytest.fixture
def without_transformers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "transformers", None)
    yield


def test_transformers_is_missing(
    without_transformers: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = failures(capsys, "--data-root", tmp_path, "--video", "A36O", "--ckpt", "facebook/sam2.1-hiera-tiny")
    (line,) = lines
    assert line.startswith("error: SAM 2 needs transformers, which is not installed; pip install ")


def test_every_flag_of_the_document(monkeypatch: pytest.MonkeyPatch) -> None:
    """The words of the original's script, with our verb before them."""
    given: list[Any] = []
    fake = types.SimpleNamespace(make=lambda names, how, processes, ray: given.append((names, how, processes)))
    monkeypatch.setattr(masks, "make", fake.make)
    words = "--video A36O --fps 10 --config configs/sam2.1/sam2.1_hiera_b+.yaml"
    with pytest.raises(SystemExit) as ended:
        main(["kpnet", "masks", *words.split(), "--ckpt", "sam2/checkpoints/sam2.1_hiera_base_plus.pt",
              "--device", "cuda:0"])  # fmt: skip
    assert ended.value.code == 0
    names, asked, processes = given[0]
    assert names == ["A36O"] and processes == 1 and asked.fps == 10 and asked.device == "cuda:0"
    assert asked.config == "configs/sam2.1/sam2.1_hiera_b+.yaml" and asked.out == Path("artifacts/seg_pseudo6")
    assert asked.data == DataSettings() and asked.checkpoint == "sam2/checkpoints/sam2.1_hiera_base_plus.pt"


def test_a_small_sam_2_from_end_to_end(data: Path, tmp_path: Path) -> None:
    """Random weights in a local folder: every frame has a mask of the frame's size, the labelled ones what is known."""
    folder = save_tiny(tmp_path / "tiny")
    words = ["--data-root", data, "--out-dir", tmp_path / "masks", "--ckpt", folder, "--device", "cpu"]
    with pytest.raises(SystemExit) as ended:
        main(["kpnet", "masks", "--video", "A36O", "--fps", "5", *map(str, words)])
    assert ended.value.code == 0
    found = pictures(tmp_path / "masks")
    assert list(found) == sorted({*range(0, 60, 6), *LABELLED})
    for number, classes in found.items():
        assert classes.shape == (64, 96) and classes.max() <= 6
        if number in LABELLED:
            assert (classes[FILM.boxes[3].mask(number)] == NUMBERS["needle"]).all()
    record = record_of(tmp_path / "masks")
    assert record["complete"] and record["settings"] == {"fps": 5.0, "precision": "fp32", "classes": list(NUMBERS)}
    assert record["inputs"]["checkpoint"]["files"] == 2
