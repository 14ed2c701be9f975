"""Pages and pictures where something is not as usual: masks of another program, a second stage, named annotations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from calling import call
from kaname.codecs.roi_mask import inside
from kaname.data.formats import rle
from kaname.errors import InputError
from kaname.geometry.affine import Affine
from kaname.recipes.roimask import RECIPE
from kaname.training.settings import RunOptions
from recipes.roimask import crowds


def test_a_page_for_another_programs_masks(folder: Path, tmp_path: Path) -> None:
    """No grid, so no table of classes; the figures of the image are there. What is no person is left out, and said."""
    entries = []
    for photo in crowds.photos(crowds.config_of(folder), "val"):
        masks = [inside(shape, Affine.identity(), photo.size) for shape in photo.shapes()]
        entries += [
            {"image_id": photo.image_id, "category_id": 1, "score": 0.9, "segmentation": rle.encode(mask)}
            for mask in masks
        ]
    dogs = [{**entries[0], "category_id": 18, "score": 0.95}]
    (tmp_path / "other.json").write_text(json.dumps(entries + dogs))
    words = ("--predictions", tmp_path / "other.json", "--data", folder / "data", "--out-dir", tmp_path / "out")
    done = call("roimask", "evaluate", *words).done()
    assert "1 of another category" in done.err
    figures = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert figures["all"]["iou_image_mean"]["value"] == 1 and figures["all"]["leak"]["value"] is None
    assert (tmp_path / "out" / "report.html").is_file()


def test_a_second_stage_draws_its_own_picture(folder: Path, tmp_path: Path) -> None:
    """The first stage's files have the same epochs, and stay beside under other names."""
    from kaname.pipeline.train import run

    out = tmp_path / "run"
    run(RECIPE, crowds.config_of(folder, train__epochs=1, train__num_workers=0), RunOptions(out_dir=out))
    (picture,) = out.glob("validation_all_images_epoch_0001.png")
    before = picture.stat().st_mtime_ns
    second = crowds.config_of(folder, train__epochs=2, train__num_workers=0, loss__boundary_weight=1)
    run(RECIPE, second, RunOptions(out_dir=out, resume=str(out / "last.pt")))
    assert list((out / "checkpoints").glob("checkpoint_epoch_0001_*.stage1.pth"))
    assert picture.stat().st_mtime_ns > before


def test_two_evaluations_compare_without_further_words(folder: Path, model: Path, tmp_path: Path) -> None:
    """Whether the annotations were found in the documented places or named."""
    data = folder / "data"
    table = data / "annotations" / "instances_val2017_person_only_no_crowd.json"
    named = ("--images", data / "images" / "val2017", "--annotations", table)
    for number, words in enumerate([("--data", data), named]):
        out = tmp_path / str(number)
        call("roimask", "evaluate", "--checkpoint", model, *words, "--no-noise", "--out-dir", out).done()
        answer = call("compare", out, out, "--split", "val", "--out-dir", tmp_path / f"compared{number}").done()
        assert "paired box" in answer.out


def test_a_run_does_not_go_on_with_another_extractor(folder: Path, tmp_path: Path) -> None:
    """Of the same tensor and channels, which the weights would fit; the same file elsewhere is the same."""
    from kaname.pipeline.train import run

    out, how = tmp_path / "run", {"train__num_workers": 0, "extractor__path": tmp_path / "moved.onnx"}
    run(RECIPE, crowds.config_of(folder, train__epochs=1, train__num_workers=0), RunOptions(out_dir=out))
    crowds.extractor(tmp_path / "moved.onnx", seed=1)
    again = RunOptions(out_dir=out, resume=str(out / "last.pt"))
    with pytest.raises(InputError, match=r"another extractor \(sha256 was"):
        run(RECIPE, crowds.config_of(folder, train__epochs=2, **how), again)
    with pytest.raises(InputError, match=r"another extractor \(preprocessing.order was RGB, and is BGR"):
        run(RECIPE, crowds.config_of(folder, train__epochs=2, train__num_workers=0, extractor__order="BGR"), again)
    crowds.extractor(tmp_path / "moved.onnx")
    run(RECIPE, crowds.config_of(folder, train__epochs=2, **how), again)
