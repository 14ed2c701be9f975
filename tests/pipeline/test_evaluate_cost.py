"""What scoring given predictions reads and imports, counted: no clock, which would measure the machine."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from kaname.cli import main
from kaname.data.formats import labelstudio, listed, points
from kaname.recipes.gauge.labels import ALIASES
from kaname.samples import gauge
from kaname.types import Points, Prediction

PARTS = ("evaluate", "labels", "decode", "report")


@pytest.mark.parametrize("recipe", ["gauge", "tracknet", "kpnet", "roimask", "landmark"])
def test_scoring_imports_nothing_that_it_does_not_need(recipe):
    script = (
        "import importlib, sys\n"
        f"for name in ('kaname.pipeline.evaluate', *('kaname.recipes.{recipe}.' + part for part in {PARTS!r})):\n"
        "    importlib.import_module(name)\n"
        "print(*sorted({'torch', 'scipy.optimize', 'scipy.spatial', 'scipy.ndimage', 'scipy.stats', 'matplotlib', 'av',"
        " 'onnxruntime', 'faster_coco_eval', 'sklearn', 'pandas'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_each_file_is_read_once(tmp_path, monkeypatch):
    """The size of each image is looked up once, and no more is parsed than the head and the rows of the predictions."""
    data = gauge.write(tmp_path / "flat", 8, 0, size=96, layout="flat", processes=1)
    (tmp_path / "data" / "labels").mkdir(parents=True)
    (data / "images").rename(tmp_path / "data" / "images")
    (data / "annotation.json").rename(tmp_path / "data" / "labels" / "annotation.json")
    known = labelstudio.read(
        tmp_path / "data" / "labels" / "annotation.json", tmp_path / "data" / "images", names=ALIASES
    )
    rows = []
    for sample in known:
        own = {name: sample.points.get(name, np.zeros((0, 2))) for name in ("start", "middle", "end")}
        own["middle"] = np.concatenate(list(own.values()))
        scores = {name: np.ones(len(xy)) for name, xy in own.items()}
        rows.append(Prediction(sample.image.name, Points(own, scores, (96, 96))))
        sample.image.touch()  # as if nobody had asked for its size
    predictions = tmp_path / "points.json"
    points.write(predictions, rows, recipe="gauge", model="the truth", settings={})
    opened, parsed = [], []
    first, read = Image.open, listed.read_text
    monkeypatch.setattr(Image, "open", lambda *given, **named: opened.append(1) or first(*given, **named))
    monkeypatch.setattr(listed, "read_text", lambda path: parsed.append(path.name) or read(path))
    with pytest.raises(SystemExit) as stop:
        words = ["gauge", "evaluate", "--predictions", predictions, "--data", tmp_path / "data"]
        main([*map(str, words), "--out", str(tmp_path / "out")])
    assert not stop.value.code
    drawn = 8  # the best and the worst are drawn
    assert len(opened) <= len(known) + drawn
    assert parsed.count("points.json") <= 2
