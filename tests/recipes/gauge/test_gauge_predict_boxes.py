"""A file of boxes beside the images that are predicted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from calling import Answer, call
from kaname.geometry.image import write_image
from recipes.gauge.conftest import Trained
from recipes.gauge.dials import dial_points, draw_dial, task, write_json


def predict(model: Path, out: Path, *words: object) -> Answer:
    return call("gauge", "predict", "--model-path", model, "--out", out, *words)


@pytest.mark.parametrize("kind", ["labelstudio", "coco"])
def test_boxes_of_other_photographs_do_not_matter(trained: Trained, tmp_path: Path, kind: str) -> None:
    """The file names one that is gone and one without a rectangle; neither is predicted."""
    for name in ("p.png", "no_box.png"):
        write_image(tmp_path / name, draw_dial(dial_points(8)))
    if kind == "labelstudio":
        boxes = write_json(tmp_path / "b.json", [
            task(1, "gone.png", {}, boxes=[(0, 0, 9, 9)]), task(2, "p.png", {}, boxes=[(0, 0, 64, 64)]),
            task(3, "no_box.png", dial_points(8)),
        ])  # fmt: skip
    else:
        names = enumerate(("gone.png", "p.png", "no_box.png"), 1)
        boxes = write_json(tmp_path / "b.json", {
            "images": [{"id": number, "file_name": name, "height": 64, "width": 64} for number, name in names],
            "categories": [{"id": 1, "name": "gauge"}],
            "annotations": [{"id": number, "image_id": number, "category_id": 1, "bbox": [0, 0, 64, 64]}
                            for number in (1, 2)],
        })  # fmt: skip
    predict(trained.model, tmp_path / "out", tmp_path / "p.png", "--boxes", boxes).done()
    found = json.loads((tmp_path / "out" / "points.json").read_text(encoding="utf-8"))
    assert [row["image"] for row in found["images"]] == ["p.png#1"]
    predict(trained.model, tmp_path / "o2", tmp_path / "no_box.png", "--boxes", boxes).refused("no box for no_box.png")
    write_image(tmp_path / "x.png", draw_dial({}))
    both = (tmp_path / "p.png", tmp_path / "x.png", tmp_path / "no_box.png")
    predict(trained.model, tmp_path / "o2", *both, "--boxes", boxes).refused("no box for ", "no_box.png")
