"""What every answer passes through, beside what one would write by hand: one table, all measured in this run.

    python benchmarks/answers.py [--repeats 3] [--other OTHER/src]

Rows of a kind are measured in turn; medians. ``--other`` is a second source tree of Kaname, for a column of its own.
CPU seconds are those of whole processes.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
from evaluation import cost as evaluation_cost
from evaluation import made as evaluation_data
from video_prediction import HERE, made, run

from kaname.geometry.image import write_image
from kaname.geometry.view import View
from kaname.inference.request import shown

PYTHON, OURS = sys.executable, str(HERE.parent / "src")
MEGAPIXELS = {0.3: (480, 640), 2: (1200, 1600), 12: (3000, 4000), 50: (6000, 8192)}


def processor() -> str:
    """The processor's name and what it can do that matters here."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    name = next((line.split(":")[1].strip() for line in text.splitlines() if line.startswith("model name")), "")
    flags = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if f" {flag} " in f"{text} "]
    return f"{name or platform.processor()}, {os.cpu_count()} cores ({', '.join(flags)})"


def processes(ways: dict[str, tuple[list[str], str | None]], repeats: int) -> dict[str, tuple[float, float, float]]:
    """Medians of wall seconds, CPU seconds and peak MiB of commands that take turns."""
    seen: dict[str, list[tuple[float, float, float]]] = {way: [] for way in ways}
    for _ in range(repeats):
        for way, (command, source) in ways.items():
            seen[way].append(run(command, source))
    return {way: tuple(median(column) for column in zip(*rows, strict=True)) for way, rows in seen.items()}  # type: ignore[misc]


def milliseconds(functions: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Median CPU milliseconds of functions that take turns."""
    seen: dict[str, list[float]] = {name: [] for name in functions}
    for function in functions.values():
        function()
    for _ in range(repeats):
        for name, function in functions.items():
            started = time.process_time()
            function()
            seen[name].append(1000 * (time.process_time() - started))
    return {name: median(values) for name, values in seen.items()}


def video(folder: Path, repeats: int, other: str | None) -> None:
    """A video through an export."""
    match, export, alone = made(folder, 300)
    words = [PYTHON, "-m", "kaname", "tracknet", "predict", str(match), "--checkpoint", str(export), "--overwrite"]
    hand = [PYTHON, str(HERE / "peers" / "ball_in_video.py"), str(alone), str(match), str(folder / "loop.csv")]
    ways = both(hand, [*words, "--out"], folder, other)
    for way, (wall, cpu, peak) in processes(ways, repeats).items():
        print(f"| 300 frames 1280 x 720 to 320 x 192 | {way} | {300 / wall:.1f} frames/s | {cpu:.2f} | {peak:.0f} |")


def dial_export(folder: Path, source: str) -> Path:
    """An export of a small U-Net at 224 px, trained for an epoch, as a source tree makes it."""
    data, out, export = folder / "dials", folder / "run", folder / "gauge.onnx"
    for words in (
        ["sample", "--out", data, "--count", "8", "--size", "224", "--variety", "plain"],
        ["train", "--data", data, "--out-dir", out, "--backbone", "small", "--epochs", "1", "--device", "cpu",
         "--precision", "fp32", "--size", "224"],
        ["export", "--model-path", out / "model.pt", "--out", export],
    ):  # fmt: skip
        command = [PYTHON, "-m", "kaname", "gauge", *map(str, words)]
        subprocess.run(command, check=True, capture_output=True, env=os.environ | {"PYTHONPATH": source})
    return export


def photograph(folder: Path, repeats: int, other: str | None) -> None:
    """One photograph, from the process's start to its answer."""
    from kaname.inference.onnx_file import without_view

    export = dial_export(folder, OURS)
    content = without_view(export.read_bytes(), (3, 224, 224))
    assert content is not None
    (folder / "dial.onnx").write_bytes(content)
    photo = folder / "photo.jpg"
    write_image(photo, np.random.default_rng(0).integers(0, 256, (1200, 1600, 3), np.uint8))
    script = str(HERE / "peers" / "notches_in_photograph.py")

    def words(model: Path) -> list[str]:
        return [PYTHON, "-m", "kaname", "gauge", "predict", str(photo), "--checkpoint", str(model), "--overwrite",
                "--no-pictures", "--out", str(model.parent / "out")]  # fmt: skip

    ways: dict[str, tuple[list[str], str | None]] = {
        "by hand": ([PYTHON, script, str(folder / "dial.onnx"), str(photo), str(folder / "found.json")], None),
        "kaname": (words(export), OURS),
    }
    if other is not None:
        (folder / "other").mkdir()
        ways["kaname before"] = (words(dial_export(folder / "other", other)), other)
    for way, (wall, cpu, peak) in processes(ways, 2 * repeats + 1).items():
        print(f"| one photograph of 2 megapixels, whole process | {way} | {wall:.2f} s | {cpu:.2f} | {peak:.0f} |")


def both(hand: list[str], words: list[str], folder: Path, other: str | None) -> dict[str, tuple[list[str], str | None]]:
    """The loop by hand, this tree, and the other."""
    ways: dict[str, tuple[list[str], str | None]] = {
        "by hand": (hand, None),
        "kaname": ([*words, str(folder / "ours")], OURS),
    }
    return ways if other is None else {**ways, "kaname before": ([*words, str(folder / "before")], other)}


def preprocessing(repeats: int) -> None:
    """Photographs to the input of a network."""
    view = View("letterbox", (448, 448))
    for size, shape in MEGAPIXELS.items():
        image = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
        scale = 448 / max(shape)
        small = (round(shape[1] * scale), round(shape[0] * scale))
        ways: dict[str, Callable[[], Any]] = {
            "cv2.resize, INTER_AREA": lambda image=image, small=small: cv2.resize(
                image, small, interpolation=cv2.INTER_AREA
            ),
            "kaname": lambda image=image: shown(view, image),
        }
        for way, value in milliseconds(ways, repeats).items():
            print(f"| {size} megapixels to 448 x 448 | {way} | {value:.1f} ms | | |")


def refusals(repeats: int, other: str | None) -> None:
    """What is wrong is said before anything heavy is imported."""
    code = "import subprocess, sys; sys.exit(subprocess.run(sys.argv[1:], capture_output=True).returncode != 2)"
    refused = [PYTHON, "-c", code, PYTHON, "-m", "kaname"]
    ways: dict[str, tuple[list[str], str | None]] = {
        "import torch": ([PYTHON, "-c", "import torch"], None),
        "gauge train --data nowhere": ([*refused, "gauge", "train", "--data", "nowhere"], OURS),
        "gauge predict nowhere.jpg --checkpoint nowhere.onnx": (
            [*refused, "gauge", "predict", "nowhere.jpg", "--checkpoint", "nowhere.onnx", "--out", "out"],
            OURS,
        ),
    }
    if other is not None:
        ways["gauge train --data nowhere, before"] = ([*refused, "gauge", "train", "--data", "nowhere"], other)
    for way, (wall, cpu, peak) in processes(ways, repeats).items():
        print(f"| a wrong path | {way} | {wall:.2f} s | {cpu:.2f} | {peak:.0f} |")


def evaluation(folder: Path) -> None:
    """Scoring given predictions of 2,000 dials."""
    words = [PYTHON, "-m", "kaname", "gauge", "evaluate", *evaluation_data(folder, "gauge", 2000)]
    used, _ = evaluation_cost([*words, "--out", str(folder / "scores")], folder / "evaluate.log")
    print(f"| evaluate, 2,000 dials | kaname | | {used:.2f} | |")  # its memory: evaluation.py, which is a small process


def rendering() -> None:
    """Pictures a second of one core."""
    from kaname.samples import gauge, tracknet

    clip = tracknet.film(0, 0, size=(288, 512))
    for name, render in (
        ("dials of 448 px", lambda number: gauge.render(np.random.default_rng(number), 448)),
        ("frames of 512 x 288", clip.shot),
    ):
        count, started = 0, time.process_time()
        while time.process_time() - started < 6:
            render(count)
            count += 1
        print(f"| rendering {name} | kaname | {count / (time.process_time() - started):.1f} a second | | |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--other")
    given = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    print(f"{processor()}\n\n| what | way | figure | CPU s | peak MiB |\n|---|---|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as name:
        video(Path(name), given.repeats, given.other)
        photograph(Path(name), given.repeats, given.other)
        evaluation(Path(name))
    preprocessing(given.repeats)
    refusals(given.repeats, given.other)
    rendering()


if __name__ == "__main__":
    main()
