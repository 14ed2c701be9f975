"""A video through an exported network: whole processes of `kaname tracknet predict` beside a loop written by hand.

    python benchmarks/video_prediction.py [--frames 300] [--repeats 5] [--other OTHER/src]

Both use the same export (the loop its network without the view), in turn; medians of wall and CPU seconds, peak memory.
``--other`` is a second source tree of Kaname, for its column.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
SIZE = (720, 1280)


def made(folder: Path, frames: int) -> tuple[Path, Path, Path]:
    """A rendered match, an export of a small U-Net at 320 x 192, and its network alone."""
    import torch

    from kaname.config import from_dict, to_dict
    from kaname.inference.card import view_of
    from kaname.inference.export import partial_of
    from kaname.inference.model import Model
    from kaname.inference.onnx_file import without_view
    from kaname.inference.torch_runner import TorchRunner
    from kaname.pipeline.model import card_of
    from kaname.recipes.tracknet import RECIPE
    from kaname.samples.tracknet import write_video

    video = folder / "match.mp4"
    write_video(video, 1, size=SIZE, length=frames, variety="plain")
    values = {
        "data": {"resize": [320, 192], "sequence": {"length": 3}},
        "model": {
            "pretrained_model_name": "small",
            "pretrained": False,
            "decoder": {"name": "linear"},
            "heatmap": {"size": [160, 96]},
        },
    }
    config = from_dict(RECIPE.schema.value, values, source="benchmark")
    torch.manual_seed(0)
    network = RECIPE.build(config)
    card = {"recipe": RECIPE.name, "config": to_dict(config), **card_of(RECIPE, config, network)}
    export = folder / "ball.onnx"
    partial_of(Model(card, TorchRunner(network, view_of(card), device="cpu"), lambda outputs, request: []))(export)
    content = without_view(export.read_bytes(), (9, 192, 320))
    assert content is not None
    alone = folder / "network.onnx"
    alone.write_bytes(content)
    return video, export, alone


def run(command: list[str], source: str | None = None) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds and peak MiB of a process."""
    environment = os.environ | ({} if source is None else {"PYTHONPATH": source})
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # installed packages have theirs
    code = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)"
    )
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    said = subprocess.run(
        [sys.executable, "-c", code, *command], env=environment, check=True, capture_output=True, text=True
    ).stdout
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, float(said)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--other")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        video, export, alone = made(folder, given.frames)
        words = [sys.executable, "-m", "kaname", "tracknet", "predict", str(video), "--checkpoint", str(export)]
        kaname = [*words, "--overwrite", "--out", str(folder / "out")]
        ways: dict[str, tuple[list[str], str | None]] = {
            "loop by hand": ([sys.executable, str(HERE / "peers" / "ball_in_video.py"), str(alone), str(video),
                              str(folder / "loop.csv")], None),
            "kaname": (kaname, str(HERE.parent / "src")),
        }  # fmt: skip
        if given.other:
            ways["kaname before"] = ([*kaname[:-1], str(folder / "before")], given.other)
        seen: dict[str, list[tuple[float, float, float]]] = {way: [] for way in ways}
        for _ in range(given.repeats):
            for way, (command, source) in ways.items():
                seen[way].append(run(command, source))
        print("| way | frames/s | wall s | CPU s | peak MiB | times the loop |\n|---|---:|---:|---:|---:|---:|")
        base = median(one[0] for one in seen["loop by hand"])
        for way, rows in seen.items():
            wall, cpu, peak = (median(column) for column in zip(*rows, strict=True))
            print(f"| {way} | {given.frames / wall:.1f} | {wall:.2f} | {cpu:.2f} | {peak:.0f} | {base / wall:.2f} |")


if __name__ == "__main__":
    main()
