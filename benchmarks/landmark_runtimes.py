"""HRNetV2-W18 of `landmark` on the CPU: torch, onnxruntime and OpenVINO, fp32 and bf16, and how far points move.

    python benchmarks/landmark_runtimes.py --faces DIR [--weights best_model.pth --repeats 10]

DIR holds ``images/`` and ``annotated/``. Without weights the network is a random one: times are the same, and the
difference of the points says nothing then. OpenVINO takes part where it is installed (``pip install openvino``), in
bf16 where the CPU has it; onnxruntime has no bf16 on a CPU. Each pass answers the faces of one image; the runtimes take
turns, and the milliseconds are medians. Give every runtime the same threads (``OMP_NUM_THREADS``, ``--threads``).
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


def openvino(path: Path, threads: int) -> dict[str, Callable[[dict], dict]]:
    """By its name every precision that the CPU has; says what is missing."""
    if importlib.util.find_spec("openvino") is None:
        print("OpenVINO is not installed, so it takes no part: pip install openvino", flush=True)
        return {}
    import openvino as ov

    core = ov.Core()
    able = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")

    def compiled(precision: str) -> Callable[[dict], dict]:
        options = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
        if threads:
            options["INFERENCE_NUM_THREADS"] = str(threads)
        model = core.compile_model(core.read_model(path), "CPU", options)
        return lambda inputs: {"heatmaps": model(inputs)[0]}

    if "BF16" not in able:
        print("this CPU has no bf16 for OpenVINO", flush=True)
    names = {"fp32": "f32", **({"bf16": "bf16"} if "BF16" in able else {})}
    return {f"OpenVINO {ov.__version__.split('-')[0]} {name}": compiled(kind) for name, kind in names.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=Path, required=True)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--threads", type=int, default=0, help="of every runtime; 0: its own choice")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
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
    model = Model(card, TorchRunner(network, config.view, device="cpu"), RECIPE.answering.decode(card, settings))
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
            "onnxruntime fp32": OnnxRunner(file, threads=options.threads),  # type: ignore[dict-item]
        }
        runtimes |= openvino(file, options.threads)
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
    scores = np.concatenate([decode(one[0], config.grid, "dark")[1] for one in maps["torch fp32"]])
    print(f"{len(pictures)} images; the peaks' heights: median {np.median(scores):.2f}, lowest {scores.min():.2f}")
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
