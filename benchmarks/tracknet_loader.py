"""How many frames a second the loader of tracknet feeds: 1280 x 720 to 512 x 288, as in training.

    python benchmarks/tracknet_loader.py [--workers 2] [--seconds 10] [--length 150]

Rendered clips are written first, as JPEGs and in TrackNetV2's layout as H.264 videos with a key frame every 250 frames
(what x264 does unasked) and every 25. Decoding, resizing, the random changes, targets and collation are in the time;
windows come in random order; nothing is trained. With ``--workers 0`` the time is that of the CPU and the last column
the growth of the process's largest memory.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av

from kaname.config import load
from kaname.data.dataset import Batches
from kaname.data.formats import tracknet
from kaname.data.loader import close_stream, loader, open_stream
from kaname.geometry.grid import PIXELS
from kaname.geometry.image import read_image
from kaname.recipes.tracknet.config import TracknetConfig
from kaname.recipes.tracknet.data import Windows
from kaname.recipes.tracknet.labels import sets
from kaname.samples.tracknet import write


def rate(config: TracknetConfig, workers: int, seconds: float) -> tuple[float, float]:
    """Frames a second, and by how many MB the largest memory grew."""
    clock = time.perf_counter if workers else time.process_time
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    windows = Windows(config, sets(config.data)["train"], augment=True)
    stream = open_stream(loader(windows, Batches(len(windows), 8, seed=0), num_workers=workers))
    for _ in range(2 * max(workers, 1)):
        next(stream)
    started, frames = clock(), 0
    while clock() - started < seconds:
        frames += next(stream)["inputs"]["images"].shape[0] * config.data.sequence.length
    spent = clock() - started
    close_stream(stream)
    return frames / spent, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def filmed(data: Path, out: Path, group: int) -> Path:
    """The same clips as videos."""
    clips: dict[tuple[str, str], list] = {}
    for sample in tracknet.read(data):
        clips.setdefault((sample.meta["game"], sample.meta["clip"]), []).append(sample)
    for (game, clip), samples in clips.items():
        for part in ("csv", "video"):
            (out / game / part).mkdir(parents=True, exist_ok=True)
        rows = ["Frame,Visibility,X,Y"]
        with av.open(str(out / game / "video" / f"{clip}.mp4"), "w") as container:
            stream = container.add_stream("libx264", rate=25, options={"crf": "20", "g": str(group)})
            stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
            for number, sample in enumerate(samples):
                frame = av.VideoFrame.from_ndarray(read_image(sample.image), format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 25)
                container.mux(stream.encode(frame))
                x, y = PIXELS.to_index(sample.points["ball"])[0] if sample.visible["ball"][0] else (0, 0)
                rows.append(f"{number},{sample.meta['visibility']},{x},{y}")
            container.mux(stream.encode(None))
        (out / game / "csv" / f"{clip}_ball.csv").write_text("\n".join(rows) + "\n")
    return out


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--length", type=int, default=150, help="Frames of a clip.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        data = Path(name) / "data"
        write(data, 3, 0, size=(720, 1280), games=3, clip_length=arguments.length)
        ways = {
            "JPEG, whole": (data, "false"),
            "JPEG, reduced": (data, "true"),
            "video, key frames every 25": (filmed(data, Path(name) / "v25", 25), "false"),
            "video, key frames every 250": (filmed(data, Path(name) / "v250", 250), "false"),
        }
        print("| frames | window | frames/s | MB more |\n|---|---:|---:|---:|")
        for way, (root, reduced) in ways.items():
            for length in (1, 3):
                overrides = [f"data.reduced_decode={reduced}", f"data.sequence.length={length}"]
                config = load(TracknetConfig, overrides=overrides, flags={"data.root": root})
                speed, grown = rate(config, arguments.workers, arguments.seconds)
                print(f"| {way} | {length} | {speed:.0f} | {grown:.0f} |", flush=True)
        shutil.rmtree(data)


if __name__ == "__main__":
    main()
