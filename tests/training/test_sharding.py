"""Several processes give what one gives: weights, logs, resumed runs, for every loss; and one line where one fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kaname.data.log import read_rows
from kaname.inference import checkpoint
from kaname.losses.heatmap import LOSSES
from kaname.samples.gauge import write
from models.tiny_vits import save_tiny
from training.tiny_task import content

EVERY = (*LOSSES, "three")  # the last one has three terms of three weights
SCRIPT = Path(__file__).with_name("many_processes.py")
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node")


def clean() -> dict[str, str]:
    launchers = ("SLURM_", "TORCHELASTIC_", "LOCAL_", "WORLD_SIZE", "RANK", "MASTER_", "GROUP_")
    return {key: value for key, value in os.environ.items() if not key.startswith(launchers)} | {"OMP_NUM_THREADS": "1"}


def trained(
    folder: Path, *launcher: str, devices: int = 1, workers: int = 0, strategy: str = "ddp", epochs: int = 3,
    losses: tuple[str, ...] = EVERY,
) -> Path:  # fmt: skip
    done = subprocess.run(
        [sys.executable, *launcher, str(SCRIPT), str(folder), str(devices), str(workers), strategy, str(epochs),
         *losses],
        capture_output=True, text=True, env=clean(), timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-8000:]
    return folder


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each loss trained by one process."""
    return trained(tmp_path_factory.mktemp("alone"))


def check_equal(alone: Path, folder: Path, processes: int, losses: tuple[str, ...] = EVERY) -> None:
    """Weights within 1e-6 of each tensor's norm, logs and every rank's belief of the run equal."""
    for loss in losses:
        for name in ("model.pt", "last.pt"):
            expected, found = content(alone / loss / name)["model"], content(folder / loss / name)["model"]
            for key, value in expected.items():
                assert (found[key] - value).norm() <= 1e-6 * value.norm(), (folder, loss, name, key)
        if loss == "three":
            assert len(list((folder / loss / "checkpoints").iterdir())) == 3
            assert (folder / loss / "picture_3.txt").is_file()
        for one, other in zip(read_rows(alone / loss / "log.csv"), read_rows(folder / loss / "log.csv"), strict=True):
            del one["seconds"], other["seconds"]
            assert other == pytest.approx(one, rel=1e-5)
        beliefs = [json.loads((folder / f"{loss}.rank{rank}.json").read_text()) for rank in range(processes)]
        assert all(belief == beliefs[0] for belief in beliefs) and beliefs[0]["world"] == processes
        assert len(list(folder.glob(f"{loss}.rank*.json"))) == processes


def test_two_processes_are_one(alone: Path, tmp_path: Path) -> None:
    """Masked losses, batches of which some processes have no share, accumulation, loader workers."""
    check_equal(alone, trained(tmp_path, *TORCHRUN, "2", workers=1), 2)


@pytest.mark.slow
def test_four_processes_are_one(alone: Path, tmp_path: Path) -> None:
    check_equal(alone, trained(tmp_path, *TORCHRUN, "4"), 4)


@pytest.mark.slow
def test_devices_need_no_launcher(alone: Path, tmp_path: Path) -> None:
    check_equal(alone, trained(tmp_path, devices=2, losses=("bce",)), 2, ("bce",))


@pytest.mark.slow
def test_sharded_weights_are_whole_in_files(alone: Path, tmp_path: Path) -> None:
    """FSDP; its checkpoint is resumed by one process, and one process's by FSDP."""
    check_equal(
        alone, trained(tmp_path / "a", *TORCHRUN, "2", strategy="fsdp", losses=("bce", "three")), 2, ("bce", "three")
    )
    half = trained(tmp_path / "b", *TORCHRUN, "2", strategy="fsdp", epochs=2, losses=("mse",))
    trained(half, losses=("mse",))
    other = trained(tmp_path / "c", epochs=1, losses=("mse",))
    trained(other, *TORCHRUN, "2", strategy="fsdp", losses=("mse",))
    for folder in (half, other):
        for key, value in content(alone / "mse" / "last.pt")["model"].items():
            found = content(folder / "mse" / "last.pt")["model"][key]
            assert (found - value).norm() <= 1e-6 * value.norm(), (folder, key)


@pytest.mark.slow
def test_a_run_of_four_goes_on_in_two(alone: Path, tmp_path: Path) -> None:
    trained(tmp_path, *TORCHRUN, "4", epochs=1, losses=("focal",))
    trained(tmp_path, *TORCHRUN, "2", losses=("focal",))
    for key, value in content(alone / "focal" / "last.pt")["model"].items():
        found = content(tmp_path / "focal" / "last.pt")["model"][key]
        assert (found - value).norm() <= 1e-6 * value.norm(), key


@pytest.mark.slow
def test_nested_lists_of_modules_are_sharded(tmp_path: Path) -> None:
    """The small U-Net has lists of modules inside lists of modules."""
    program = (
        "import os, sys, torch\n"
        "from lightning_fabric import Fabric\nfrom lightning_fabric.strategies import ModelParallelStrategy\n"
        "from kaname.training.sharding import gathered, is_sharded, shard\n"
        "from kaname.models.backbones import build_backbone\n"
        "torch.manual_seed(0)\nmodel = build_backbone('small:8')\n"
        "before = {k: v.clone() for k, v in model.state_dict().items()}\n"
        "strategy = ModelParallelStrategy(shard, data_parallel_size=2, tensor_parallel_size=1)\n"
        "fabric = Fabric(accelerator='cpu', devices=2, strategy=strategy)\nfabric.launch()\n"
        "wrapped = fabric.setup_module(model)\nwrapped(torch.zeros(1, 3, 64, 64))[0].sum().backward()\n"
        "after = gathered(model.state_dict())\n"
        "assert is_sharded(model) and all(torch.equal(before[k], after[k]) for k in before)\n"
    )
    script = tmp_path / "nested.py"
    script.write_text(program)
    done = subprocess.run(
        [sys.executable, *TORCHRUN, "2", str(script)],
        capture_output=True,
        text=True,
        env=clean(),
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


GAUGE = ("--device", "cpu", "--precision", "fp32", "--num-workers", "0", "--batch-size", "5")


def command(data: Path, run: Path, *words: object) -> list[str]:
    given = ("--data", data, *GAUGE, "--out-dir", run, *words)
    return [sys.executable, "-m", "kaname", "gauge", "train", *map(str, given)]


@pytest.mark.slow
def test_a_picture_that_vanishes_stops_them_all(tmp_path: Path) -> None:
    data = write(tmp_path / "data", 10, 1, size=64, variety="plain", processes=1)
    words = ("--backbone", "small:8", "--size", 64, "--epochs", 4000, "--devices", 2)
    process = subprocess.Popen(
        command(data, tmp_path / "run", *words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean()
    )
    try:
        for _ in range(1200):
            if (tmp_path / "run" / "last.pt").is_file() or process.poll() is not None:
                break
            time.sleep(0.1)
        next((data / "train").rglob("*.jpg")).unlink()
        _, error = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 2, error
    lines = [line for line in error.splitlines() if line.startswith("error: ")]
    assert any("dial_" in line for line in lines) and all("a bug in kaname" not in line for line in lines), error
    assert "gloo" not in "".join(lines) and any("the last good state is" in line for line in lines), error
    assert checkpoint.load(tmp_path / "run" / "last.pt").training is not None


@pytest.mark.slow
def test_a_frozen_backbone_is_not_spread(tmp_path: Path) -> None:
    """Its cached features are made outside of a forward pass; the weights come out as those of one process."""
    data = write(tmp_path / "data", 12, 1, size=64, variety="plain", processes=1)
    vit = save_tiny("dinov2", tmp_path / "vit", seed=1)
    words = ("--backbone", vit, "--size", 56, "--epochs", 2)
    for name, more in (("one", ("--devices", 1)), ("two", ("--devices", 2, "--strategy", "fsdp"))):
        line = command(data, tmp_path / name, *words, *more)
        done = subprocess.run(line, capture_output=True, text=True, env=clean(), timeout=300, check=False)
        assert done.returncode == 0, done.stderr
    one, two = (checkpoint.load(tmp_path / name / "model.pt").model for name in ("one", "two"))
    for key, value in one.items():
        assert (two[key] - value).norm() <= 1e-6 * value.norm() + 1e-12, key


@pytest.mark.slow
def test_processes_whose_clocks_differ_save_together(tmp_path: Path) -> None:
    """Spread weights are gathered by all of them: were each to ask its own clock, they would wait for each other."""
    program = (
        "import itertools, sys, types\nfrom pathlib import Path\n"
        f"sys.path.insert(0, {str(SCRIPT.parent)!r})\n"
        "from tiny_task import make_settings, run\nfrom kaname.training import run_folder\n"
        "import os\nticks = itertools.count(0, 1 + int(os.environ['RANK']))\n"
        "run_folder.time = types.SimpleNamespace(monotonic=lambda: next(ticks))\n"
        "settings = make_settings(devices=2, strategy='fsdp', save_every='0.1m', epochs=4)\n"
        "run(Path(sys.argv[1]), settings, train=40, val=5, noise=False)\n"
    )
    script = tmp_path / "clocks.py"
    script.write_text(program)
    line = [sys.executable, *TORCHRUN, "2", str(script), str(tmp_path / "run")]
    done = subprocess.run(line, capture_output=True, text=True, env=clean(), timeout=100, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert checkpoint.load(tmp_path / "run" / "last.pt").training is not None
