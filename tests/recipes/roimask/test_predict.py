"""``predict`` with the extractor's own file as the detector."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest

from calling import call
from kaname.geometry.image import read_image
from kaname.recipes.roimask import RECIPE
from kaname.training.settings import RunOptions
from recipes.roimask import crowds

MAPPING = "layout: fastestdet\nscore: 0.2\nnms: 0.4\norder: RGB\n"


@pytest.fixture
def trained(folder: Path, tmp_path: Path) -> Path:
    """A model whose extractor's file ends in finds as FastestDet writes them."""
    from kaname.pipeline.train import run

    network = onnx.load(str(folder / "extractor.onnx"))
    head = next(one for one in network.graph.initializer if one.name == "head")
    values = np.random.default_rng(3).normal(0, 0.3, (6, crowds.CHANNELS, 1, 1)).astype(np.float32)
    head.CopyFrom(onnx.numpy_helper.from_array(values, "head"))
    network.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 6
    onnx.save(network, str(tmp_path / "both.onnx"))
    config = crowds.config_of(folder, extractor__path=tmp_path / "both.onnx", train__num_workers=0)
    run(RECIPE, config, RunOptions(out_dir=tmp_path / "run"))
    return tmp_path / "run" / "best.pt"


def test_the_detector_is_the_extractor(
    trained: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One run of the file an image, of a video's frames too; the answers are those with the boxes of its own pass."""
    import onnxruntime

    from kaname.data.video import VideoWriter

    images = sorted((folder / "data" / "images" / "val2017").glob("*.jpg"))[:3]
    with VideoWriter(tmp_path / "v.mp4") as writer:
        for number in range(4):
            writer.write(np.ascontiguousarray(read_image(images[0])[:96, :96]), number / 25)
    (tmp_path / "m.yaml").write_text(MAPPING)
    (tmp_path / "apart.yaml").write_text(MAPPING + "fit: letterbox\n")
    runs: Counter[str] = Counter()
    plain = onnxruntime.InferenceSession.run

    def counted(session: onnxruntime.InferenceSession, names: list[str], given: dict[str, np.ndarray]) -> object:
        runs["all"] += max(float(one.max()) for one in given.values()) > 0  # a black image is the opening's
        return plain(session, names, given)

    monkeypatch.setattr(onnxruntime.InferenceSession, "run", counted)

    def predicted(name: str, mapping: str, sources: list[Path]) -> tuple[str, list[dict]]:
        runs.clear()
        words = ("--detector", tmp_path / "both.onnx", "--detector-config", tmp_path / mapping, "--out-dir")
        done = call("roimask", "predict", *sources, "--checkpoint", trained, *words, tmp_path / name).done()
        return done.out, json.loads((tmp_path / name / "masks.json").read_text())

    said, found = predicted("one", "m.yaml", images)
    assert "one pass an image" in said and runs["all"] == len(images) and len(found) > 3
    assert found[0]["kaname"]["boxes"]["in_the_pass_of"] == "the extractor"
    assert found[0]["kaname"]["boxes"]["detector"]["mapping"]["fit"] == "stretch"
    said, _ = predicted("film", "m.yaml", [tmp_path / "v.mp4"])
    assert runs["all"] == 4
    said, _ = predicted("two", "apart.yaml", images)
    assert "two passes an image" in said and runs["all"] == 2 * len(images)
    table = {}
    for entry in found:
        x, y, w, h = entry["bbox"]
        table.setdefault(entry["image"], []).append([x, y, x + w, y + h])
    (tmp_path / "boxes.json").write_text(json.dumps({image.name: table.get(image.name, []) for image in images}))
    words = ("--boxes", tmp_path / "boxes.json", "--out-dir", tmp_path / "given")
    call("roimask", "predict", *images, "--checkpoint", trained, *words).done()
    given = json.loads((tmp_path / "given" / "masks.json").read_text())
    assert [one["score"] for one in given] == pytest.approx([one["score"] for one in found], abs=1e-4)
