"""Videos whose packets are damaged one by one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np


def encoded(path: Path, images: Sequence[np.ndarray], codec: str, group: int, rate: int = 20) -> Path:
    """A video of these images, with a key frame every ``group``."""
    with av.open(f"file:{path}", "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.options = {"g": str(group), "bf": "0", "qp": "10"} if codec == "libx264" else {"g": str(group)}
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")))
        container.mux(stream.encode())
    return path


def damaged(path: Path, numbers: Sequence[int]) -> Path:
    """The bytes of these packets are no longer what a decoder can read."""
    with av.open(f"file:{path}") as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    content = bytearray(path.read_bytes())
    for number in numbers:
        place, size = content.find(packets[number]), len(packets[number])
        assert place > 0, "containers hold packets as they are"
        content[place : place + size] = b"\xff" * size
    path.write_bytes(content)
    return path


def patched(path: Path, number: int) -> Path:
    """The second half of this packet is zeros: a decoder makes a picture of it all the same."""
    with av.open(f"file:{path}") as container:
        packet = [bytes(packet) for packet in container.demux(video=0) if packet.size][number]
    content = bytearray(path.read_bytes())
    place, half = content.find(packet), len(packet) // 2
    content[place + half : place + len(packet)] = bytes(len(packet) - half)
    path.write_bytes(content)
    return path
