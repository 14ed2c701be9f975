"""Coordinates in the wrong unit are refused with the likely one, in every format; the right ones pass."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kaname.data.formats import coco, cvat, dlc, labelstudio, landmarks, mot_kp, pts, tracknet
from kaname.data.formats.units import fault_of
from kaname.errors import InputError
from kaname.geometry.boxes import pixel_boxes
from kaname.types import Sample

HEIGHT, WIDTH = 480, 640
PLACES = np.array([[0.1, 0.2], [0.5, 0.9], [0.7, 0.3]])  # shares of the image


def image(folder: Path, name: str = "a.png") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(folder / name)
    return folder / name


def coco_file(folder: Path, scale: np.ndarray) -> Path:
    xy = PLACES * scale
    x, y, width, height = [float(value) for value in (*(np.array([0.1, 0.1]) * scale), *(np.array([0.8, 0.8]) * scale))]
    triples = [float(value) for place in xy for value in (*place, 2)]
    entry = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [x, y, width, height], "keypoints": triples}
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": WIDTH, "height": HEIGHT}],
        "annotations": [entry],
        "categories": [{"id": 1, "name": "dial", "keypoints": ["start", "middle", "end"]}],
    }
    path = folder / "c.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def label_csv(folder: Path, scale: np.ndarray) -> Path:
    folder = folder / "clip"
    rows = [f"{number}.png,1,{x:.4f},{y:.4f}" for number, (x, y) in enumerate(PLACES * scale)]
    for number in range(len(rows)):
        image(folder, f"{number}.png")
    path = folder / "Label.csv"
    path.write_text("\n".join(["file name,visibility,x-coordinate,y-coordinate", *rows]), encoding="utf-8")
    return path


def dlc_csv(folder: Path, scale: np.ndarray) -> Path:
    cells = ",".join(f"{value:.4f}" for value in (PLACES * scale).ravel())
    head = ["scorer" + ",me" * 6, "bodyparts,a,a,b,b,c,c", "coords,x,y,x,y,x,y"]
    path = folder / "d.csv"
    path.write_text("\n".join([*head, f"a.png,{cells}"]), encoding="utf-8")
    return path


def cvat_xml(folder: Path, scale: np.ndarray) -> Path:
    points = "".join(
        f'<points label="{n}" points="{x:.4f},{y:.4f}"/>' for n, (x, y) in zip("abc", PLACES * scale, strict=True)
    )
    path = folder / "a.xml"
    text = f'<annotations><image id="0" name="a.png" width="{WIDTH}" height="{HEIGHT}">{points}</image></annotations>'
    path.write_text(text, encoding="utf-8")
    return path


def pts_file(folder: Path, scale: np.ndarray) -> Path:
    rows = "\n".join(f"{x + 1:.4f} {y + 1:.4f}" for x, y in PLACES * scale)
    path = folder / "a.pts"
    path.write_text(f"version: 1\nn_points: 3\n{{\n{rows}\n}}\n", encoding="utf-8")
    return path


def landmark_file(folder: Path, scale: np.ndarray) -> Path:
    one = landmarks.Annotation("a.png", (HEIGHT, WIDTH), PLACES * scale, np.array([2, 2, 2]))
    path = folder / "labels" / "a.json"
    landmarks.write_annotation(path, one)
    return path.parent


def mot_file(folder: Path, scale: np.ndarray) -> Path:
    skeleton = mot_kp.find_skeleton(None)
    name, group = next(iter(skeleton.groups.items()))
    xy = np.resize(PLACES, (len(group.points), 2)) * scale + 0.5  # the file holds indices
    sample = Sample(
        folder / "V_frame_0.png",
        points={point: xy[None, number] for number, point in enumerate(group.points)},
        visible={point: np.array([2]) for point in group.points},
        size=(HEIGHT, WIDTH),
        ids=[1],
        labels=[name],
        frame=0,
        meta={"video": "V"},
    )
    path = folder / "V.txt"
    mot_kp.write(path, [sample])
    image(folder, "V_frame_0.png")
    return path


MAKERS = {
    coco: coco_file,
    tracknet: label_csv,
    dlc: dlc_csv,
    cvat: cvat_xml,
    pts: pts_file,
    landmarks: landmark_file,
    mot_kp: mot_file,
}


@pytest.mark.parametrize("module", MAKERS, ids=lambda module: module.__name__.rpartition(".")[2])
@pytest.mark.parametrize(("scale", "unit"), [((1, 1), "0..1"), ((100, 100), "0..100"), ((WIDTH, HEIGHT), None)])
def test_every_format_of_pixels_refuses_shares_and_percent(tmp_path, module, scale, unit):
    image(tmp_path)
    path = MAKERS[module](tmp_path, np.array(scale, float))
    images = path.parent if module is tracknet else tmp_path
    found = module.problems(path, images)
    if unit is None:
        assert not found and module.read(path, images)
        return
    assert unit in found[0].reason and "pixels are meant" in found[0].reason and found[0].remedy
    with pytest.raises(InputError, match=r"pixels are meant"):
        module.read(path, images)


@pytest.mark.parametrize(("scale", "wrong"), [(1.0, True), (100.0, False)])
def test_percent_are_doubted_too(tmp_path, scale, wrong):
    image(tmp_path)
    results = [
        {
            "type": "keypointlabels",
            "original_width": WIDTH,
            "original_height": HEIGHT,
            "value": {"x": x * scale, "y": y * scale, "keypointlabels": ["start"]},
        }
        for x, y in PLACES
    ]
    task = {"id": 7, "data": {"image": "a.png"}, "annotations": [{"result": results}]}
    path = tmp_path / "ls.json"
    path.write_text(json.dumps([task]), encoding="utf-8")
    found = labelstudio.problems(path, tmp_path)
    assert bool(found) == wrong
    assert not wrong or ("percent are meant" in found[0].reason and "multiply them by 100" in (found[0].remedy or ""))


def test_what_lies_in_a_corner_is_not_doubted():
    """Labels of a small image, one object in the first hundred pixels, whole pixels: all of these are real."""
    tiny = Sample(Path("a.png"), {"p": np.array([[0.4, 0.7]])}, size=(4, 6))
    corner = Sample(Path("a.png"), {"p": np.array([[20.0, 30.0], [25.0, 40.0]])}, size=(720, 1280))
    whole = Sample(Path("a.png"), {"p": np.array([[1.0, 0.0]])}, size=(720, 1280))
    box = Sample(Path("a.png"), boxes=np.array([[10.0, 20, 60, 80]]), size=(480, 640))
    face = Sample(Path("a.png"), {"p": np.array([[20.0, 30], [70, 31], [45, 60], [25, 85]])}, size=(720, 1280))
    for sample in (tiny, corner, whole, box, face):
        assert fault_of([sample], Path("x"), "continuous") is None


def test_percent_near_the_middle_of_several_images_are_doubted():
    """One image alone may have a small object in its corner; that each of several has it is hardly so."""
    places = [np.array([[35.0, 40.0], [65.0, 60.0]]), np.array([[36.0, 41.0], [64.0, 62.0]])]
    one, other = (Sample(Path(f"{xy[0, 0]}.png"), {"p": xy}, size=(480, 640)) for xy in places)
    assert fault_of([one], Path("x"), "continuous") is None
    found = fault_of([one, other], Path("x"), "continuous")
    assert found is not None and "all points lie in 0..100" in found.reason


def test_boxes_given_to_a_model_are_doubted():
    with pytest.raises(InputError, match=r"0\.\.1, and pixels are meant.*width 160.*height 120"):
        pixel_boxes([[0.1, 0.1, 0.9, 0.9]], (120, 160))
    assert pixel_boxes([[0, 0, 1, 1], [3, 3, 20, 20]], (120, 160)).tolist() == [[0, 0, 1, 1], [3, 3, 20, 20]]


@pytest.mark.parametrize("visible", [1, 2])
def test_a_visible_point_at_the_placeholder_is_none(tmp_path, visible):
    image(tmp_path)
    path = coco_file(tmp_path, np.array([WIDTH, HEIGHT], float))
    content = json.loads(path.read_text())
    content["annotations"][0]["keypoints"][:3] = [0, 0, visible]
    path.write_text(json.dumps(content), encoding="utf-8")
    assert "'start' has visibility" in coco.problems(path)[0].reason
    table = dlc_csv(tmp_path, np.array([WIDTH, HEIGHT], float))
    table.write_text(table.read_text().replace("64.0000,96.0000", "0,0"), encoding="utf-8")
    assert "'a' lies at (0, 0)" in dlc.problems(table)[0].reason
    labels = label_csv(tmp_path, np.array([WIDTH, HEIGHT], float))
    labels.write_text(labels.read_text().replace(",1,64.0000,96.0000", f",{visible},0,0"), encoding="utf-8")
    assert f"visibility {visible} at (0, 0)" in tracknet.problems(labels)[0].reason
