"""``kaname info``, ``doctor``, ``convert`` and ``bench``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from kaname.apps.bench import bench
from kaname.apps.convert import convert
from kaname.apps.doctor import doctor
from kaname.apps.info import info
from kaname.data.formats import coco, labelstudio
from kaname.errors import InputError
from kaname.geometry.image import write_image
from kaname.types import Sample
from test_loading import onnx_file


def test_info_of_an_export(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = onnx_file(tmp_path / "model.onnx")
    info(path)
    text = capsys.readouterr().out
    assert "ONNX export" in text and "start, middle, end" in text and "from random weights" in text
    info(path, as_json=True)
    assert json.loads(capsys.readouterr().out)["file"]["kind"] == "ONNX export"


def test_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    doctor()
    text = capsys.readouterr().out
    assert "kaname" in text and "CPU cores" in text and "torch" in text and "licences" in text and "DINOv3" in text


def test_bench(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bench(repeats=1, model=onnx_file(tmp_path / "model.onnx"))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6 and all(line.endswith(" ms") for line in lines) and "model.onnx" in lines[-1]


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Two images with points, one of them hidden, as COCO."""
    samples = []
    for number in range(2):
        image = tmp_path / "images" / f"{number}.png"
        image.parent.mkdir(exist_ok=True)
        write_image(image, np.zeros((20, 30, 3), np.uint8))
        points = {"start": np.array([[3.0 + number, 4.0]]), "end": np.array([[9.0, 8.0]])}
        visible = {"start": np.array([2]), "end": np.array([1 if number else 2])}
        samples.append(Sample(image, points, visible, (20, 30), boxes=np.array([[1.0, 1.0, 20.0, 15.0]])))
    coco.write(tmp_path / "coco.json", samples)
    return tmp_path


def test_convert_there_and_back(labelled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = labelled / "new" / "ls.json", labelled / "back.json"
    convert(source_format="coco", target_format="labelstudio", source=labelled / "coco.json", target=one,
            images=labelled / "images")  # fmt: skip
    text = capsys.readouterr().out
    assert "lost: 1 points marked hidden" in text and "2 images" in text
    convert(source_format="labelstudio", target_format="coco", source=one, target=other, images=labelled / "images")
    first = coco.read(labelled / "coco.json", images=labelled / "images")
    again = coco.read(other, images=labelled / "images")
    for before, after in zip(first, again, strict=True):
        assert before.image.name == after.image.name
        for name, points in before.points.items():
            assert np.allclose(after.points[name], points, atol=1e-6)
    assert labelstudio.read(one, images=labelled / "images")[0].size == (20, 30)


def test_convert_refuses(labelled: Path) -> None:
    path = labelled / "coco.json"
    before = path.read_bytes()
    with pytest.raises(InputError, match="one file"):
        convert(source_format="coco", target_format="coco", source=path, target=path)
    with pytest.raises(InputError):
        convert(source_format="labelstudio", target_format="coco", source=path, target=labelled / "x.json")
    with pytest.raises(InputError):
        convert(source_format="coco", target_format="coco", source=labelled / "none.json", target=labelled / "x.json")
    assert path.read_bytes() == before and not (labelled / "x.json").exists()
