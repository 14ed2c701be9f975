"""What docs/guide/exports.md tells programs without Kaname is enough, and true."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import kaname
from kaname.apps.info import info
from kaname.geometry.view import View
from kaname.inference.card import grid_of
from kaname.inference.onnx_runner import OnnxRunner
from kaname.zoo import folder as shipped_models

PAGE = Path(__file__).parent.parent / "docs" / "guide" / "exports.md"
TURNED = 6  # EXIF's orientation of a picture that is to be turned by a quarter, clockwise


def program() -> str:
    (code,) = re.findall(r"```python\n(.+?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return code


def ran(model: Path, picture: Image.Image, folder: Path) -> dict[str, Any]:
    """The names of the page's program after it has run in a folder with a model and a photograph."""
    shutil.copy(model, folder / "model.onnx")
    exif = picture.getexif()
    exif[0x0112] = TURNED
    picture.save(folder / "photo.jpg", exif=exif, quality=95)
    names: dict[str, Any] = {}
    exec(program(), names)  # the page's own words
    return names


@pytest.mark.parametrize("name", ["gauge", "landmark"])
@pytest.mark.parametrize("size", [(131, 76), (640, 333)])
def test_the_program_finds_the_places(
    name: str,
    size: tuple[int, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(1).integers(0, 256, (9, 7, 3), np.uint8)
    names = ran(shipped_models() / f"{name}.onnx", Image.fromarray(noise).resize(size), tmp_path)
    model = kaname.load(tmp_path / "model.onnx")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(model.card["channels"])
    assert (names["width"], names["height"]) == size[::-1]
    answer = OnnxRunner(tmp_path / "model.onnx", whole=True)(names["feed"])["heatmaps"]
    np.testing.assert_array_equal(answer, names["heatmaps"])
    request = model.request([names["picture"]], None if name == "gauge" else [names["box"]])
    box = None if request.boxes is None else request.boxes[0]
    for heatmap, line in zip(answer[0], lines, strict=True):
        index = names["peak"](heatmap)
        wanted = request.back(box).points(grid_of(model.card).from_index([index[:2]]))[0]
        np.testing.assert_allclose([float(word) for word in line.split()[1:3]], wanted, atol=0.051)


@pytest.mark.parametrize(
    "view",
    [
        View("letterbox", (96, 160)),
        View("letterbox", (95, 161), (128, 192)),
        View("stretch", (64, 48), (65, 51)),
        View("crop", (64, 48), factor=1.25),
    ],
)
def test_the_page_knows_every_view(view: View) -> None:
    names: dict[str, Any] = {}
    exec(program().split("session = ")[0], names)
    box = [10.5, -3.0, 50.0, 41.25]
    for height, width in ((100, 100), (33, 1001), (1, 1), (721, 43)):
        scale, shift = names["into_input"]({"view": view.to_dict()}, width, height, box)
        places = np.array([[0.0, 0.0], [17.25, 3.5]])
        wanted = view.into((height, width), box if view.fit == "crop" else None).points(places)
        np.testing.assert_allclose(places * scale + shift, wanted, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "inputs"),
    [
        ("gauge", "images uint8 (batch, *, *, 3)"),
        ("tracknet", "images uint8 (batch, *, *, 9)"),
        ("landmark", "images uint8 (batch, *, *, 3), boxes float32 (boxes, 4)"),
    ],
)
def test_info_says_what_a_file_takes(name: str, inputs: str, capsys: pytest.CaptureFixture[str]) -> None:
    info(shipped_models() / f"{name}.onnx")
    assert f"\ninputs     {inputs}\n" in capsys.readouterr().out
