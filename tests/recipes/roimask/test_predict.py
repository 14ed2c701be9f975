"""``predict`` with the extractor's own file as the detector, and its peak memory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest

from calling import call
from kaname.geometry.image import read_image, write_image
from kaname.recipes.roimask import RECIPE
from kaname.training.settings import RunOptions
from recipes.roimask import crowds

RUN = """
import resource, sys
from kaname.cli import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert not end.code, end.code
print("PEAK", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
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


def peak(model: Path, *words: object) -> float:
    """MB that a prediction took at most."""
    given = ["roimask", "predict", "--checkpoint", str(model), "--device", "cpu", *map(str, words)]
    done = subprocess.run([sys.executable, "-c", RUN, *given], capture_output=True, text=True, check=True)
    return float(done.stdout.split("PEAK")[1])


@pytest.mark.slow
def test_a_hundred_boxes_on_twelve_megapixels(model: Path, tmp_path: Path) -> None:
    """Within 500 MB above one box; a full-size mask of each alone would take 1,200 MB, probabilities 14,400."""
    random = np.random.default_rng(0)
    write_image(
        tmp_path / "large.png", np.kron(random.integers(0, 256, (75, 100, 3)), np.ones((40, 40, 1))).astype("u1")
    )
    corners = random.uniform(0, [2000, 1500], (100, 2))
    table = np.concatenate([corners, corners + random.uniform(300, 1400, (100, 2))], axis=1).round()
    boxes = [",".join(map(str, row)) for row in table]
    for more in ((), ("--overlap", "exclusive", "--cutouts")):
        one, all_ = (
            peak(model, tmp_path / "large.png", "--out", tmp_path / "out", "--overwrite", *more, "--boxes", *some)
            for some in (boxes[:1], boxes)
        )
        assert all_ - one < 500, (one, all_)


@pytest.mark.slow
def test_a_thousand_images(model: Path, tmp_path: Path) -> None:
    """Less than 50 MB more than ten."""
    folders = {count: tmp_path / str(count) for count in (10, 1000)}
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    for count, folder in folders.items():
        folder.mkdir()
        for number in range(count):
            write_image(folder / f"{number}.jpg", image)
    few, many = (peak(model, folder, "--out", tmp_path / f"out{folder.name}") for folder in folders.values())
    assert many - few < 50, (few, many)
