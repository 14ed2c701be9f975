"""A Ray cluster of this machine alone, for tests and benchmarks: a head without cores, and nodes of one core each."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parents[1]
# Half of a minute is not enough for a node's helpers to start on a machine with much other work.
PATIENCE = {"RAY_raylet_start_wait_time_s": "120", "RAY_agent_register_timeout_ms": "120000"}
TRIES = 2  # a node has its time to start, which a machine with much other work does not always manage


@contextlib.contextmanager
def cluster(nodes: int = 2, *paths: Path) -> Iterator[Any]:
    """Ray's ``Cluster``; its processes import from the folder of the tests and from ``paths`` too."""
    before = os.environ.get("PYTHONPATH")
    own = [str(TESTS), *map(str, paths)]
    os.environ["PYTHONPATH"] = os.pathsep.join([*own, before] if before else own)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)
    made: list[Any] = []
    try:
        yield _started(nodes, made)
    finally:
        for one in made:
            one.shutdown()
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def _started(nodes: int, made: list[Any]) -> Any:
    from ray.cluster_utils import Cluster

    for last in (number == TRIES - 1 for number in range(TRIES)):
        one = Cluster(initialize_head=False)
        made.append(one)
        try:
            one.add_node(num_cpus=0, include_dashboard=False)
            for _ in range(nodes):
                one.add_node(num_cpus=1)
            return one
        except Exception:  # Ray raises nothing more precise
            if last:
                raise
            one.shutdown()
    raise AssertionError
