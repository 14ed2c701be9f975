"""A `sample` of any recipe that was killed is repeated into the same folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kaname.errors import InputError
from kaname.samples import gauge, kpnet, landmark, roimask, tracknet

SMALL: dict[str, tuple[Any, dict[str, Any]]] = {
    "gauge": (gauge.write, {"count": 2, "seed": 0, "size": 64, "processes": 1}),
    "tracknet": (tracknet.write, {"count": 1, "seed": 0, "size": (64, 96), "clip_length": 2}),
    "kpnet": (
        kpnet.write,
        {"count": 1, "val_count": 1, "length": 2, "every": 1, "seed": 0, "size": (64, 96), "movie": False},
    ),
    "roimask": (roimask.write, {"count": 1, "val_count": 1, "size": (64, 96), "seed": 0}),
    "landmark": (landmark.write, {"count": 1, "size": 64, "seed": 0}),
}


@pytest.mark.parametrize("recipe", SMALL)
def test_a_killed_sample_is_repeated(tmp_path: Path, recipe: str) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    write, how = SMALL[recipe]
    out = tmp_path / "out"
    left = out / f".out.{gone.pid}.partial"
    (left / "images").mkdir(parents=True)
    (left / "images" / "half.jpg").write_bytes(b"half")
    write(out, **how)
    made = sorted(path.relative_to(out) for path in out.rglob("*"))
    assert made and not [path for path in made if "half" in path.name or path.name.startswith(".")]
    write(tmp_path / "fresh", **how)
    assert made == sorted(path.relative_to(tmp_path / "fresh") for path in (tmp_path / "fresh").rglob("*"))
    with pytest.raises(InputError, match="not empty"):
        write(out, **how)
