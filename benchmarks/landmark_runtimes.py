"""HRNetV2-W18 of `landmark` on the CPU: torch, onnxruntime and OpenVINO, fp32 and bf16, and how far points move.

    python benchmarks/landmark_runtimes.py --faces DIR [--weights FILE.pth --repeats 10 --batch 1]

DIR holds ``images/`` and ``annotated/``. Without weights the network is a random one: times are the same, and the
difference of the points says nothing then. OpenVINO takes part where it is installed (``pip install openvino``).
Seconds are medians of one forward pass of the crops, in turn.
"""

from __future__ import annotations

import argparse
import importlib.util
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import torch

from kaname.codecs.heatmap import decode
from kaname.geometry.image import read_image
from kaname.inference.export import export
from kaname.inference.model import Model
from kaname.inference.torch_runner import TorchRunner
from kaname.pipeline.model import card_of
from kaname.recipes.landmark import RECIPE
from kaname.recipes.landmark.config import LandmarkConfig, ModelSettings
from kaname.recipes.landmark.labels import Picture, labelled
from kaname.recipes.landmark.model import build

Run = Callable[[np.ndarray], np.ndarray]
BOXES = np.array([[0, 0, 256, 256]], np.float32)


def openvino(path: Path, precision: str) -> Callable[[dict], dict]:
    import openvino as ov

    core = ov.Core()
    compiled = core.compile_model(core.read_model(path), "CPU", {"INFERENCE_PRECISION_HINT": precision})
    return lambda inputs: {"heatmaps": compiled(inputs)[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=Path, required=True)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--repeats", type=int, default=10)
    options = parser.parse_args()
    stored = {"data": {"images": options.faces / "images", "annotations": options.faces / "annotated"}}
    pictures: list[Picture] = list(labelled(None, stored).read("all"))[:8]
    config = replace(LandmarkConfig(), model=ModelSettings(weights=options.weights))
    network = build(config)
    if options.weights is None:  # with statistics of some crops, or random weights would give huge heatmaps
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 1.0
        crops = [config.view.into(p.size, p.boxes[0]).image(read_image(p.image), config.view.size) for p in pictures]
        network.train()({"images": torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2)})
    network.eval()
    card = {**card_of(RECIPE, config, network), "recipe": "landmark", "config": {}}
    settings = config.answers
    model = Model(card, TorchRunner(network, config.view, device="cpu"), RECIPE.decode(card, settings))
    requests = [(p.source, model.request([read_image(p.image)], p.boxes)) for p in pictures]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "hrnet.onnx"
        export(model, requests[:1], file)
        from kaname.inference.onnx_runner import OnnxRunner

        def half(inputs: dict) -> dict:
            with torch.autocast("cpu", torch.bfloat16):
                return model.runner(inputs)  # type: ignore[return-value]

        runtimes: dict[str, Callable[[dict], dict]] = {
            "torch fp32": model.runner,  # type: ignore[dict-item]
            "torch bf16": half,
            "onnxruntime fp32": OnnxRunner(file),  # type: ignore[dict-item]
        }
        if importlib.util.find_spec("openvino") is not None:
            runtimes |= {f"OpenVINO {name}": openvino(file, name) for name in ("f32", "bf16")}
        inputs = [model.feed(request) for _, request in requests]
        seconds: dict[str, list[float]] = {name: [] for name in runtimes}
        maps: dict[str, list[np.ndarray]] = {name: [] for name in runtimes}
        for repeat in range(options.repeats + 1):
            for name, call in runtimes.items():
                given = inputs[repeat % len(inputs)]
                start = time.perf_counter()
                call(given)
                if repeat:  # the first one warms up
                    seconds[name].append(time.perf_counter() - start)
        for name, call in runtimes.items():
            maps[name] = [np.asarray(call(given)["heatmaps"], np.float32) for given in inputs]
    print("| runtime | ms a face | median difference of the points, px of the input | largest |\n|---|---:|---:|---:|")
    for name in runtimes:
        distances = np.concatenate(
            [
                np.linalg.norm(
                    decode(one[0], config.grid, "dark")[0] - decode(other[0], config.grid, "dark")[0], axis=1
                )
                for one, other in zip(maps[name], maps["torch fp32"], strict=True)
            ]
        )
        moved = distances[np.isfinite(distances)]
        print(
            f"| {name} | {1000 * median(seconds[name]):.1f} | {np.median(moved):.4f} | {moved.max():.4f} |", flush=True
        )


if __name__ == "__main__":
    main()
