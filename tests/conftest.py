"""What all tests share: quiet threads, no network for model hubs, and fixtures that skip with a reason."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
pytest.register_assert_rewrite("contracts", "calling", "pages")  # they hold assertions of other files' tests

# Before anything imports torch or NumPy's BLAS: processes with a thread for each core each would fight over the cores.
_workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
if _workers > 1:
    _threads = str(max(1, (os.cpu_count() or 1) // _workers))
    for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(_name, _threads)
# The suite downloads nothing: whoever asks a hub by name gets an error at once instead of a slow surprise.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # hundreds of processes are started, which need not compile anew
# Stored features of a test must not fill the folder of the person who runs it.
_cache = tempfile.TemporaryDirectory(prefix="kaname-tests-")
os.environ["KANAME_CACHE"] = _cache.name

# Before anything of kaname is imported, and after the numbers of threads, for it imports NumPy: what enters and leaves
# geometry, codecs, losses, metrics and models has the shapes that annotations state.
import shapes  # noqa: E402

shapes.install()


def pytest_configure(config: pytest.Config) -> None:
    from hypothesis import settings

    # Two cores shared by several processes make single examples slow; a deadline would fail them at random.
    settings.register_profile("kaname", deadline=None, derandomize=True)
    settings.load_profile("kaname")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    wanting = [item for item in items if item.get_closest_marker("gpu")]
    if not wanting:
        return
    import torch  # only when a test asks: the import takes seconds

    if not torch.cuda.is_available():
        for item in wanting:
            item.add_marker(pytest.mark.skip(reason="no CUDA device on this machine"))


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's root."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data beside the project; never part of it."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the real data in ../shared/data")
    return folder


@pytest.fixture(scope="session")
def gauge_data(shared_data: Path) -> Path:
    """Real photographs of dials: ``images/`` and ``annotation.json`` (Label Studio)."""
    folder = shared_data / "gauge"
    if not (folder / "annotation.json").is_file():
        pytest.skip("needs ../shared/data/gauge")
    return folder


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium or Chrome."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    pytest.skip("needs Chromium")
