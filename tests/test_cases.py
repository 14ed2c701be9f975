"""Labels and videos as public bug reports have them: whatever `check` says of them, training says too.

Every case is given to every recipe, also to those that have no way to read it. What `check` passes, training takes (all
of it is built and one batch goes through); what training refuses, `check` names. Neither ends in a fault of ours.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from calling import Answer, call

CASES = Path(__file__).resolve().parents[2] / "shared" / "data" / "cases"
NAMES = sorted(path.name for path in CASES.iterdir()) if CASES.is_dir() else []
CPU = ("--device", "cpu", "--num-workers", 0, "--precision", "fp32", "--dry-run")
# How many ways of reading a case have no problem; of all others there is at least one.
SOUND = {
    ("gauge", "ls_ground_truth"): 2, ("gauge", "ls_negative_height"): 1, ("gauge", "ls_prefix"): 1,
    ("gauge", "valid_folder"): 1, ("tracknet", "tracknet_v2_layout"): 1,
}  # fmt: skip
Words = tuple[tuple[object, ...], tuple[object, ...]]  # of check, of train


def gauge(case: Path) -> Iterator[Words]:
    """The folder as it is, and each file of Label Studio in the place of its annotation."""
    train = ("--backbone", "small:8", "--size", 64, *CPU)
    yield ("--data", case), ("--data", case, *train)
    for file in sorted(case.glob("*.json")):
        if file.name != "annotation.json" and isinstance(json.loads(file.read_text()), list):
            other = case.parent / f"{case.name}_{file.stem}"
            shutil.copytree(case, other)
            shutil.copyfile(file, other / "annotation.json")
            if (other / "photos").is_dir():
                (other / "photos").rename(other / "images")
            yield ("--data", other), ("--data", other, *train)


def tracknet(case: Path) -> Iterator[Words]:
    from recipes.tracknet.clips import TINY

    small = (*TINY, "data.sequence.length=3", "--dry-run")
    yield ("--data", case), ("--data", case, *small)


def kpnet(case: Path) -> Iterator[Words]:
    small = ("--image-size", "48,90", "--resize-only", "--heatmap-size", 16, "--in-chans", 3, "--backbone", "small:8")
    yield ("--data-root", case), ("--data-root", case, *small, "--seg-loss-weight", 0, *CPU)


def roimask(case: Path) -> Iterator[Words]:
    from recipes.roimask.crowds import TENSOR, extractor

    detector = extractor(case.parent / "extractor.onnx")
    small = ("--width", 8, "--roi-size", "4,4", "--mask-size", "8,8", "--min-target", 1)
    for file in sorted(case.glob("*.json")) or [case / "c.json"]:
        data = ("--images", case / "images", "--annotations", file)
        data = (*data, "--val-images", case / "images", "--val-annotations", file)
        yield data, (*data, "--extractor", detector, "--tensor", TENSOR, *small, *CPU)


def landmark(case: Path) -> Iterator[Words]:
    data = ("--image-dir", case / "images", "--annotation-dir", case)
    yield data, (*data, "--backbone", "small:8", "--size", 64, *CPU)


RECIPES: dict[str, Callable[[Path], Iterator[Words]]] = {
    "gauge": gauge, "tracknet": tracknet, "kpnet": kpnet, "roimask": roimask, "landmark": landmark,
}  # fmt: skip


@pytest.mark.skipif(not NAMES, reason="needs the real data in ../shared/data")
@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("name", NAMES)
def test_check_and_train_agree(name: str, recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KANAME_CACHE", str(tmp_path / "cache"))
    shutil.copytree(CASES / name, tmp_path / name)
    passed = 0
    for check, train in RECIPES[recipe](tmp_path / name):
        checked, trained = call(recipe, "check", *check), call(recipe, "train", *train)
        assert checked.code in (0, 2) and trained.code in (0, 2), (checked, trained)
        if checked.code == trained.code:
            passed += checked.code == 0
            continue
        # Training may go on past what `check` names, and says the same of it.
        assert (checked.code, trained.code) == (2, 0), said(checked, trained)
        for line in checked.err.splitlines():
            assert line.removeprefix("error: ").rpartition("; ")[0] in trained.err, said(checked, trained)
    assert passed == SOUND.get((recipe, name), 0)


def said(checked: Answer, trained: Answer) -> str:
    """What the two said, for the report of a test."""
    return f"check {checked.code}: {checked.out}{checked.err}\ntrain {trained.code}: {trained.err}"
