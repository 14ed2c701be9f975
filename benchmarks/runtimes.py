"""Which runtime is the fastest for which network on this processor, and how far the answers move.

    OMP_NUM_THREADS=1 python benchmarks/runtimes.py [--networks small224 small448 vit hrnet --rounds 9 --slow-start]

Random weights throughout: times are those of trained ones, and points are the peaks of random maps at half of their
height, which move further than those of a trained model. So verdicts of lower precisions say little here: `kaname bench
MODEL` is what to ask of a model of one's own. ``small224`` and ``small448`` are the small U-Net on a dial, ``vit`` is
DINOv2-S with a linear decoder at 448, ``hrnet`` HRNetV2-W18 on a face at 256. A picture has
the size of the input, so that the network is what is timed. Below each table: what the export took, and the search.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from feature_cache import made_backbone

from kaname import config as configuration
from kaname.apps.bench import table
from kaname.config import load
from kaname.inference import own_exports
from kaname.inference.checkpoint import save
from kaname.inference.remembered import fastest
from kaname.inference.runtimes import Running
from kaname.pipeline.model import card_of, opening_of
from kaname.recipes import recipe_of
from kaname.recipes.gauge.config import GaugeConfig
from kaname.recipes.landmark.config import LandmarkConfig

NETWORKS = ("small224", "small448", "vit", "hrnet")


def written(name: str, folder: Path) -> tuple[str, Path]:
    """The recipe, and a checkpoint of random weights."""
    torch.manual_seed(0)
    config: Any
    if name == "hrnet":
        recipe, config = recipe_of("landmark"), LandmarkConfig()
    else:
        backbone = "small" if name.startswith("small") else str(made_backbone(folder / "dinov2"))
        size = 224 if name == "small224" else 448
        given = {"model.backbone": backbone, "model.pretrained": False, "size": size}
        recipe, config = recipe_of("gauge"), load(GaugeConfig, flags=given)
    network = recipe.build(config)
    if name == "hrnet":  # statistics of some noise, or random weights would give huge heatmaps
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 1.0
        network.train()({"images": 255 * torch.rand(4, 3, 256, 256)})
    stored = configuration.plain(configuration.to_dict(config))
    card = {**card_of(recipe, config, network.eval()), "recipe": recipe.name, "config": stored}
    save(folder / f"{name}.pt", card=card, model=network.state_dict(), training=None)
    return recipe.name, folder / f"{name}.pt"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--slow-start", action="store_true", help="with torch.compile")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        os.environ["KANAME_CACHE"] = name
        for network in options.networks:
            recipe, path = written(network, Path(name))
            opening = opening_of(recipe_of(recipe), path, Running("cpu", "auto", "auto"))
            model = opening.plain_model
            pictures = [rng.integers(0, 256, (*model.input_size, 3), dtype=np.uint8) for _ in range(2)]
            requests = [("noise", model.request([picture])) for picture in pictures]
            began = time.perf_counter()
            own_exports.make(model, own_exports.place_of(path))
            exported = time.perf_counter()
            rows, _ = opening.measured(requests, slow_start=options.slow_start, rounds=options.rounds)
            print(f"\n{network}, {os.environ.get('OMP_NUM_THREADS', 'all')} threads")
            print("\n".join(table(rows, fastest(rows, opening.plain), opening.plain)))
            print(
                f"export {exported - began:.1f} s, comparison and race {time.perf_counter() - exported:.1f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
