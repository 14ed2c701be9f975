"""One endless, seekable stream of batches: any number of workers and processes gives the same samples."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from kaname.data.dataset import Addressed, Batches, stacked, to_batch
from kaname.data.loader import choose_workers, loader
from kaname.data.randomness import generator, order
from kaname.errors import InputError


class Draws:
    """Samples that are their own random draws, through OpenCV's threads too."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def sample(self, index: int, epoch: int) -> dict[str, np.ndarray]:
        if index == 99:
            raise InputError("the image is damaged", path="x.png", remedy="replace it")
        noise = generator(7, epoch, index, "noise").integers(0, 256, (9, 11, 3), dtype=np.uint8)
        return {"images": cv2.GaussianBlur(noise, (3, 3), 0), "value": np.float32(index)}


def batches(count: int = 10, size: int = 4, **changes: Any) -> Batches:
    return Batches(count, size, **{"seed": 3, **changes})


def first(stream: Batches, count: int) -> list[list[tuple[int, int, bool]]]:
    return list(itertools.islice(iter(stream), count))


def test_every_epoch_has_every_sample_once() -> None:
    found = first(batches(), 6)
    assert [len(batch) for batch in found] == [4, 4, 2, 4, 4, 2] and batches().per_epoch == 3
    for epoch in (0, 1):
        addresses = [address for batch in found[3 * epoch : 3 * epoch + 3] for address in batch]
        assert sorted(index for _, index, _ in addresses) == list(range(10))
        assert {number for number, _, _ in addresses} == {epoch}
    assert found[0] != [(0, index, True) for _, index, _ in found[3]]


@pytest.mark.parametrize("position", [(0, 0), (0, 2), (1, 1), (4, 0), (2, 3)])
def test_a_stream_starts_anywhere(position: tuple[int, int]) -> None:
    whole = first(batches(), 30)
    start = 3 * position[0] + position[1]
    assert first(batches(start=position), 6) == whole[start : start + 6]


@pytest.mark.parametrize("world", [2, 3, 5, 7])
def test_shares_of_processes_are_the_batch_of_one(world: int) -> None:
    shares = [first(batches(rank=rank, world=world), 6) for rank in range(world)]
    for number, whole in enumerate(first(batches(), 6)):
        together = [address for share in shares for address in share[number] if address[2]]
        assert together == whole
        # Every process takes part in every step; without a share it runs along and does not count.
        assert all(share[number] for share in shares)
        assert all(len(share[number]) == 1 for share in shares if not share[number][0][2])


def test_a_pass_without_augmentation_is_in_order() -> None:
    found = first(batches(shuffle=False), 3)
    assert [address for batch in found for address in batch] == [(-1, index, True) for index in range(10)]


def test_draws_depend_on_everything_they_are_made_of() -> None:
    base = (3, 2, 5, "augment")
    value = generator(*base).random()
    assert value == generator(*base).random()
    for other in ((4, 2, 5, "augment"), (3, 1, 5, "augment"), (3, 2, 6, "augment"), (3, 2, 5, "colour")):
        assert generator(*other).random() != value
    assert sorted(order(0, 0, 50)) == list(range(50)) and not np.array_equal(order(0, 0, 50), order(0, 1, 50))
    generator(0, -1, 0, "x").random()


def test_workers_give_the_same_bytes() -> None:
    cv2.GaussianBlur(np.zeros((500, 500, 3), np.uint8), (31, 31), 0)  # the parent's thread pool is up before the fork
    torch.randn(300, 300) @ torch.randn(300, 300)
    streams = [iter(loader(Draws(10), batches(), num_workers=workers)) for workers in (0, 2)]
    for _ in range(7):
        one, other = (next(stream) for stream in streams)
        assert set(one) == {"inputs", "targets", "index"} and torch.equal(one["index"], other["index"])
        assert torch.equal(one["inputs"]["images"], other["inputs"]["images"])
        assert torch.equal(one["targets"]["value"], other["targets"]["value"])


def test_errors_of_workers_keep_their_place() -> None:
    for workers in (0, 1):
        stream = iter(loader(Draws(100), batches(100, 100), num_workers=workers))
        with pytest.raises(InputError) as caught:
            to_batch(next(stream), torch.device("cpu"))
        assert caught.value.path == "x.png" and caught.value.remedy == "replace it"


def test_batches_of_tensors() -> None:
    addressed = Addressed(Draws(4))
    batch = to_batch(addressed.collate([addressed[0, index, True] for index in (2, 1)]), torch.device("cpu"))
    images = batch.inputs["images"]
    assert images.shape == (2, 3, 9, 11) and images.dtype == torch.uint8
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert batch.index.tolist() == [2, 1] and batch.targets["value"].tolist() == [2.0, 1.0]
    flipped = stacked([{"images": np.zeros((2, 2, 3), np.uint8), "x": np.arange(4.0)[::-1]}])
    assert flipped["x"].tolist() == [[3.0, 2.0, 1.0, 0.0]]


class Uneven(Draws):
    """Further inputs, and rows whose sizes differ."""

    inputs = ("images", "boxes", "flow")

    def sample(self, index: int, epoch: int) -> dict[str, np.ndarray]:
        return {**super().sample(index, epoch), "boxes": np.full((index, 4), index, np.float32)}

    def collate(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        even = [{key: value for key, value in row.items() if key != "boxes"} for row in rows]
        boxes = np.concatenate([row["boxes"] for row in rows])
        return {**stacked(even), "boxes": torch.from_numpy(boxes)}


@pytest.mark.parametrize("workers", [0, 1])
def test_inputs_by_name_and_sizes_that_differ(workers: int) -> None:
    stream = iter(loader(Uneven(10), batches(shuffle=False), num_workers=workers))
    batch = to_batch(next(stream), torch.device("cpu"))
    assert set(batch.inputs) == {"images", "boxes"} and set(batch.targets) == {"value"}
    assert batch.inputs["boxes"][:, 0].tolist() == [1, 2, 2, 3, 3, 3] and batch.index.tolist() == [0, 1, 2, 3]
    assert batch.inputs["images"].shape == (4, 3, 9, 11)


def test_workers_that_pay() -> None:
    assert choose_workers(31) == 0 and 1 <= choose_workers(1000) <= max(1, (os.cpu_count() or 1) - 1, 4)


def test_workers_outlive_a_group_s_sigterm_and_end_with_their_parent() -> None:
    """A scheduler's SIGTERM reaches workers too; the parent still gets its batches, and its exit does not hang."""
    program = (
        "import os, signal, sys, torch\n"
        f"sys.path.insert(0, {str(Path(__file__).parent.parent)!r})\n"
        "from data.test_dataset import Draws, batches\nfrom kaname.data.loader import loader, open_stream\n"
        "signal.signal(signal.SIGTERM, lambda *_: None)\n"
        "stream = open_stream(loader(Draws(10), batches(), num_workers=2))\n"
        "next(stream)\nos.killpg(0, signal.SIGTERM)\n"
        "for _ in range(40):\n    next(stream)\n"
        "print('whole')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, start_new_session=True, timeout=60, check=False
    )
    assert done.returncode == 0 and done.stdout == "whole\n", done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere workers notice within seconds")
def test_a_killed_parent_takes_its_workers_along() -> None:
    """Killed right after it started them: a worker that starts without a parent would wait for ever."""
    program = (
        "import os, signal, sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent.parent)!r})\n"
        "from data.test_dataset import Draws, batches\nfrom kaname.data.loader import loader, open_stream\n"
        "for _ in range(4):\n"
        "    if not os.fork():\n"
        "        stream = open_stream(loader(Draws(10), batches(), num_workers=2))\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    os.wait()\n"
    )
    # The pipe ends when the last process that holds it is gone.
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0 and not done.stdout
