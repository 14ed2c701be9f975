"""The verbs as their users call them: what is written, and one clear line for what is wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import kaname
from calling import Answer, call
from damaging import damaged, encoded
from kaname.codecs.mask_regions import regions
from kaname.codecs.roi_mask import inside
from kaname.data.formats import rle
from kaname.data.video import VideoWriter, frames
from kaname.geometry.affine import Affine
from kaname.geometry.image import image_size, read_image, write_image
from recipes.roimask import crowds


def roimask(*words: object) -> Answer:
    return call("roimask", *words)


@pytest.fixture
def image(folder: Path) -> Path:
    return sorted((folder / "data" / "images" / "val2017").glob("*.jpg"))[2]


def test_everything_that_predict_writes(model: Path, image: Path, tmp_path: Path) -> None:
    """RLE, outlines, a PNG and a cut-out of each person, and a picture, all of the same masks."""
    height, width = image_size(image)
    boxes = [[4, 5, width * 0.6, height - 3], [width * 0.3, 2, width - 2, height * 0.8]]
    given = [",".join(map(str, box)) for box in boxes]
    out = tmp_path / "out"
    roimask("predict", "--image", image, "--checkpoint", model, "--boxes", *given, "--cutouts", "--out", out).done()
    entries, outlines = (json.loads((out / name).read_text()) for name in ("masks.json", "polygons.json"))
    masks = kaname.load(model).predict(image, boxes)
    for number, region in enumerate(regions(masks)):
        whole = np.zeros((height, width), bool)
        whole[region.rows, region.columns] = region.inside
        assert (rle.decode(entries[number]["segmentation"]) == whole).all()
        assert entries[number]["bbox"] == pytest.approx(
            [*boxes[number][:2], *np.subtract(boxes[number][2:], boxes[number][:2])]
        )
        drawn = cv2.imread(str(out / "masks" / f"{image.stem}_{number}.png"), cv2.IMREAD_GRAYSCALE)
        assert ((drawn > 0) == whole).all()
        cut = cv2.imread(str(out / "cutouts" / f"{image.stem}_{number}.png"), cv2.IMREAD_UNCHANGED)
        assert ((cut[..., 3] > 0) == region.inside).all()
        rings, holes = (
            inside([np.array(ring).reshape(-1, 2) for ring in outlines[number][key]], Affine.identity(), whole.shape)
            for key in ("segmentation", "holes")
        )
        assert ((rings & ~holes) == whole).all() and whole.any()
    assert (out / "pictures" / f"{image.stem}.jpg").is_file() and entries[0]["kaname"]["recipe"] == "roimask"


@pytest.mark.parametrize(
    ("form", "units", "numbers"),
    [
        ("xyxy", "normalised", "0.1,0.2,0.7,0.9"), ("cxcywh", "normalised", "0.4,0.55,0.6,0.7"),
        ("cxcywh", "pixel", None), ("xywh", "pixel", None),
    ],
)  # fmt: skip
def test_boxes_in_any_form(
    model: Path, image: Path, tmp_path: Path, form: str, units: str, numbers: str | None
) -> None:
    """One box in four spellings gives one answer."""
    height, width = image_size(image)
    x1, y1, x2, y2 = 0.1 * width, 0.2 * height, 0.7 * width, 0.9 * height
    pixel = {"cxcywh": [(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1], "xywh": [x1, y1, x2 - x1, y2 - y1]}
    text = numbers or ",".join(map(str, pixel[form]))
    words = ("--boxes", text, "--box-format", form, "--box-units", units, "--out", tmp_path / "out")
    roimask("predict", image, "--checkpoint", model, *words).done()
    (entry,) = json.loads((tmp_path / "out" / "masks.json").read_text())
    assert entry["bbox"] == pytest.approx([x1, y1, x2 - x1, y2 - y1])


def test_no_box_at_all(model: Path, image: Path, tmp_path: Path) -> None:
    """An image whose list is empty has an empty answer; without --boxes the image is one box, and that is said."""
    table = tmp_path / "boxes.json"
    table.write_text(json.dumps({image.name: []}))
    answer = roimask("predict", image, "--checkpoint", model, "--boxes", table, "--out", tmp_path / "none").done()
    assert json.loads((tmp_path / "none" / "masks.json").read_text()) == [] and "no box in 1" in answer.out
    assert json.loads((tmp_path / "none" / "polygons.json").read_text()) == []
    answer = roimask("predict", image, "--checkpoint", model, "--out", tmp_path / "whole").done()
    assert len(json.loads((tmp_path / "whole" / "masks.json").read_text())) == 1 and "the whole of it" in answer.out


def test_a_video_has_masks_of_every_frame(model: Path, image: Path, tmp_path: Path) -> None:
    """With the number of each."""
    with VideoWriter(tmp_path / "v.mp4") as writer:
        for number in range(3):
            writer.write(np.ascontiguousarray(read_image(image)[:96, :96]), number / 25)
    roimask(
        "predict", tmp_path / "v.mp4", "--checkpoint", model, "--boxes", "5,5,80,90", "--out", tmp_path / "o"
    ).done()
    entries = json.loads((tmp_path / "o" / "masks.json").read_text())
    assert [entry["frame"] for entry in entries] == [0, 1, 2]
    outlines = json.loads((tmp_path / "o" / "polygons.json").read_text())
    keys = ("image", "image_id", "frame", "seconds", "bbox")
    assert [[one[key] for key in keys] for one in outlines] == [[one[key] for key in keys] for one in entries]
    assert len(list((tmp_path / "o" / "masks").iterdir())) == 3
    shown = list(frames(tmp_path / "o" / "pictures" / "v.mp4"))
    assert len(shown) == 3 and shown[0].image.shape == (96, 96, 3)


def test_outlines_of_two_videos_of_one_name(model: Path, image: Path, tmp_path: Path) -> None:
    """They are named as in masks.json, so that one can be told from the other."""
    films = [tmp_path / folder / "v.mp4" for folder in ("left", "right")]
    for film in films:
        film.parent.mkdir()
        with VideoWriter(film) as writer:
            writer.write(np.ascontiguousarray(read_image(image)[:96, :96]), 0.0)
    roimask("predict", *films, "--checkpoint", model, "--boxes", "5,5,80,90", "--out", tmp_path / "o").done()
    entries, outlines = (json.loads((tmp_path / "o" / name).read_text()) for name in ("masks.json", "polygons.json"))
    assert [one["image"] for one in outlines] == [one["image"] for one in entries]
    assert [one["image_id"] for one in outlines] == [one["image_id"] for one in entries]
    assert len({one["image"] for one in outlines}) == 2


def test_a_video_with_lost_frames(model: Path, image: Path, tmp_path: Path) -> None:
    """No mask, no outline and no row of a frame that was lost."""
    picture = read_image(image)
    even = picture[: len(picture) // 2 * 2, : picture.shape[1] // 2 * 2]
    path = damaged(encoded(tmp_path / "a.mp4", [np.roll(even, step, 1) for step in range(8)], "libx264", 1), [3, 4])
    words = ("predict", path, "--checkpoint", model, "--boxes", "20,20,60,60", "--out", tmp_path / "out")
    roimask(*words).refused("after frame 2 ", "--damaged blank")
    done = roimask(*words, "--damaged", "blank").done()
    assert "2 frames, the first 3, of 8 lost" in done.err
    rows = json.loads((tmp_path / "out" / "masks.json").read_text())
    outlines = json.loads((tmp_path / "out" / "polygons.json").read_text())
    assert [row["frame"] for row in rows] == [row["frame"] for row in outlines] == [0, 1, 2, 5, 6, 7]


def test_rescore_and_overlap(model: Path, image: Path, tmp_path: Path) -> None:
    """They reach the files: exclusive masks share no pixel."""
    height, width = image_size(image)
    given = [f"2,2,{width * 0.8},{height - 2}", f"{width * 0.2},2,{width - 2},{height - 2}"]
    words = ("predict", image, "--checkpoint", model, "--boxes", *given, "--threshold", 0.2)
    for name, more in (("keep", ()), ("apart", ("--overlap", "exclusive", "--rescore"))):
        roimask(*words, *more, "--out", tmp_path / name).done()
    keep, apart = (
        [rle.decode(one["segmentation"]) for one in json.loads((tmp_path / name / "masks.json").read_text())]
        for name in ("keep", "apart")
    )
    assert (keep[0] & keep[1]).any() and not (apart[0] & apart[1]).any()


# ---- what is wrong


@pytest.mark.parametrize(
    ("boxes", "words", "said"),
    [
        ("500,500,600,600", (), "lies outside"),
        ("10,10,10,40", (), "no area"),
        ("40,40,10,10", (), "ends before it begins"),
        ("10,10,90,90", ("--box-units", "normalised"), "look like pixels"),
        ("0.1,0.1,0.5,0.5", (), "look like shares"),
        ("10,10,90", (), "four numbers"),
        ("a,b,c,d", (), "x1,y1,x2,y2"),
    ],
)
def test_boxes_that_make_no_sense(
    model: Path, image: Path, tmp_path: Path, boxes: str, words: tuple[str, ...], said: str
) -> None:
    """One line, and nothing is written."""
    answer = roimask("predict", image, "--checkpoint", model, "--boxes", boxes, *words, "--out", tmp_path / "out")
    answer.refused(said)
    assert not (tmp_path / "out" / "masks.json").exists()


def spoilt(folder: Path, tmp_path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A copy of the set whose training annotations are changed."""
    copy = shutil.copytree(folder, tmp_path / "set")
    path = copy / "data" / "annotations" / "instances_train2017_person_only_no_crowd.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return copy


def polygon(content: dict[str, Any]) -> None:
    content["annotations"][1]["segmentation"] = [[1, 2, 3, 4]]


def encoding(content: dict[str, Any]) -> None:
    content["annotations"][1]["segmentation"] = rle.encode(np.ones((7, 7), bool))


def other_size(content: dict[str, Any]) -> None:
    content["images"][0]["width"] += 1


def missing(content: dict[str, Any]) -> None:
    content["images"][0]["file_name"] = "lost.jpg"


def unknown(content: dict[str, Any]) -> None:
    content["annotations"][0]["image_id"] = 4711


@pytest.mark.parametrize("change", [polygon, encoding, other_size, missing, unknown])
def test_annotations_with_faults(folder: Path, tmp_path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """``check`` and ``train`` both refuse them."""
    copy = spoilt(folder, tmp_path, change)
    found = roimask("check", "--data", copy / "data")
    assert found.code == 2 and "error: " in found.err and "Traceback" not in found.err
    words = ("--extractor", copy / "extractor.onnx", "--tensor", crowds.TENSOR, "--out-dir", tmp_path / "run")
    roimask("train", "--data", copy / "data", *words).refused()
    assert not (tmp_path / "run" / "last.pt").exists()


def train(folder: Path, out: Path, *words: object) -> Answer:
    """A training run that is to be refused."""
    usual = {
        **{"--extractor": folder / "extractor.onnx", "--tensor": crowds.TENSOR, "--roi-size": "4,4"},
        **{"--mask-size": "8,8", "--min-target": 4},
    }
    more = [word for flag, value in usual.items() if flag not in words for word in (flag, value)]
    return roimask("train", "--data", folder / "data", *more, *words, "--out-dir", out)


def test_wrong_words_of_train(folder: Path, tmp_path: Path) -> None:
    """One clear line each."""
    out = tmp_path / "run"
    train(folder, out, "--category", "9").refused("9")
    train(folder, out, "--min-target", 999).refused("none has sides")
    train(folder, out, "--tensor", "deep/mop").refused("deep/map")
    train(folder, out, "--tensor", "score", "--extractor", folder / "nothing.onnx").refused(
        "nothing.onnx", "does not exist"
    )
    train(folder, out, "--classes", 2, "--dice-non-target-weight", 1).refused("2 classes")
    train(folder, out, "--head", "roimap").refused("roi_size", "crop or dynamic")
    train(folder, out, "extractor.size=[64,64]").refused("takes images of")
    train(folder, out, "--roi-size", "4").refused("--roi-size is 2 numbers, got '4'")
    train(folder, out, "--roi-size", "16,16").refused("mask size")
    train(folder, out, "--jitter-iou", "0.9,0.2").refused("LOW,HIGH")
    train(folder, out, "--backbone", "small").refused("--extractor")
    assert not (out / "last.pt").exists()


def test_a_tensor_that_is_no_map(folder: Path, tmp_path: Path) -> None:
    """Its shape is said."""
    import onnx
    from onnx import helper

    graph = onnx.load(str(folder / "extractor.onnx"))
    graph.graph.node.append(helper.make_node("Flatten", [crowds.TENSOR], ["flat"]))
    onnx.save(graph, str(tmp_path / "flat.onnx"))
    train(folder, tmp_path / "run", "--extractor", tmp_path / "flat.onnx", "--tensor", "flat").refused(
        "not that of a map"
    )


def test_a_picture_that_vanished(model: Path, folder: Path, tmp_path: Path) -> None:
    """A damaged image among others is found before the first is predicted."""
    place = shutil.copytree(folder / "data" / "images" / "val2017", tmp_path / "images")
    (place / "broken.jpg").write_bytes(b"no image")
    answer = roimask("predict", place, "--checkpoint", model, "--out", tmp_path / "out")
    answer.refused("broken.jpg")
    write_image(place / "broken.jpg", np.zeros((8, 8, 3), np.uint8))
    roimask("predict", place, "--checkpoint", model, "--out", tmp_path / "out").done()


def test_validate_says_what_it_replaced(model: Path, folder: Path, tmp_path: Path) -> None:
    """The documented images are not here."""
    answer = roimask("validate", "--checkpoint", model, "--out", tmp_path).done()
    assert "in place of 000000020992.jpg" in answer.out
    assert (tmp_path / "validation_all_images_epoch_0002.png").is_file()
    wanted = sorted(path.name for path in (folder / "data" / "images" / "val2017").iterdir())[:2]
    roimask("validate", "--checkpoint", model, "--out", tmp_path / "b", "--picture-images", *wanted).done()
    before, after = (read_image(place / "validation_all_images_epoch_0002.png") for place in (tmp_path, tmp_path / "b"))
    assert after.shape[1] < before.shape[1]
