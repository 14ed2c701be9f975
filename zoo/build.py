"""Builds a model that ships with the package, from generated pictures alone.

    python zoo/build.py gauge [--out runs/zoo/gauge] [--minutes 600] [--threads 1] [--workers 1] [--resume]

Every training picture is new: the loader renders it (`kaname.samples.gauge`, variety ``world``) from (seed, epoch,
index) while the network trains, so that nothing is stored and a resumed run sees what an unbroken one would have seen.
A picture of 256 x 256 takes a fraction of the training step that it feeds; the run says both when it plans. Validation
is on rendered dials of another seed, in ``OUT/data``. The run folder, its checkpoint, card and page are those of
``kaname gauge train``; killed at any moment, the same command with ``--resume`` goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SEED = 20_000  # of the training pictures; validation has the next one
HELD_OUT = 192
EPOCH = 2048  # pictures between two validations
EMPTY = 0.04  # share of the pictures without any dial
# The stem and the first two stages of an EfficientNet stay as ImageNet made them: edges and textures are the same on
# dials, and their backward pass takes a third of a step.
KEPT = tuple(f"body.net.{part}." for part in ("conv_stem", "bn1", "blocks.0", "blocks.1"))
SETTINGS = ("model.backbone=small", "model.pretrained=false", "augment.probability=0", "train.precision=fp32",
            "train.save_every=3m", "train.batch_size=8", "train.lr=0.003", "train.ema=0.998", "train.logger=none",
            "train.warmup_epochs=0.5", "train.final_lr=0.01")  # fmt: skip


class Rendered:
    """Training samples of ``gauge`` that are drawn when they are asked for, ``images`` and ``heatmaps``."""

    augmented = True

    def __init__(self, config: Any, count: int, without: tuple[str, ...]) -> None:
        self.config, self.count, self.without = config, count, without

    def __len__(self) -> int:
        return self.count

    def sample(self, index: int, epoch: int) -> dict[str, Any]:
        """Picture ``index`` of an epoch, the same whoever asks."""
        import numpy as np

        from kaname.codecs.heatmap import encode_sets
        from kaname.data.photo import photographed
        from kaname.geometry.affine import Affine
        from kaname.recipes.gauge import CHANNELS
        from kaname.recipes.gauge.data import needle_targets
        from kaname.samples.gauge import render, render_nothing

        side = self.config.size
        rng = np.random.default_rng([SEED, epoch + 1, index])
        if rng.random() < EMPTY:
            image, sets, needle = render_nothing(rng, side), [np.zeros((0, 2))] * len(CHANNELS), {}
        else:
            dial = render(rng, side, variety="world", without=self.without)
            image, sets, needle = dial.image, [dial.points[name] for name in CHANNELS], dial.needle
        maps = encode_sets(sets, (side, side), 1.0, self.config.sigma * self.config.scale)
        maps[CHANNELS.index("middle")] = maps.max(axis=0)  # start and end are notches too
        image = photographed(rng, image, self.config.augment.photo, self.config.scale)
        made = {"images": image, "heatmaps": np.rint(maps * 255).astype(np.uint8)}
        if self.config.needle:
            made |= needle_targets(needle, Affine(np.eye(2, 3)), self.config)
            if not needle:
                made["needle_known"] = np.ones_like(made["needle_known"])  # there is none
        return made


def gauge_recipe(count: int, without: tuple[str, ...]) -> Any:
    """The recipe ``gauge`` with rendered training samples; everything else is its own."""
    from kaname.recipes.gauge import RECIPE
    from kaname.recipes.gauge.data import Dials

    def build(config: Any, *, card: Any = None) -> Any:
        network = RECIPE.build(config, card=card)
        for name, parameter in network.backbone.named_parameters():
            if network.backbone.pretrained and name.startswith(KEPT):
                parameter.requires_grad = False
        return network

    def samples(config: Any, dials: Sequence[Any], *, augment: bool) -> Any:
        return Rendered(config, count, without) if augment else Dials(config, dials, augment=False)

    return replace(RECIPE, samples=samples, build=build)


def validation_set(out: Path, size: int) -> Path:
    """Rendered dials to validate on, and a few that make the folder a training folder."""
    from kaname.samples.gauge import write

    folder = out / "data"
    if not folder.exists():
        write(folder, HELD_OUT + 8, SEED + 1, size=size, val_fraction=HELD_OUT / (HELD_OUT + 8), variety="world")
    return folder


def pictures_a_second(config: Any, recipe: Any, *, workers: int) -> tuple[float, float]:
    """How many pictures a second the renderer gives, and how many a second training takes with it."""
    import torch

    from kaname.data.dataset import stacked
    from kaname.types import Batch

    samples = recipe.samples(config, (), augment=True)
    batch, rounds = config.train.batch_size, 4
    started = time.perf_counter()
    rows = [[samples.sample(r * batch + i, 0) for i in range(batch)] for r in range(rounds)]
    drawing = (time.perf_counter() - started) / (rounds * batch)
    model, step = recipe.build(config), recipe.step(config)
    model.train()
    optimizer = torch.optim.AdamW(model.parameters())
    for number, members in enumerate(rows):
        if number == 1:
            started = time.perf_counter()
        arrays = stacked(members)
        terms = step(model, Batch({"images": arrays.pop("images")}, arrays, torch.arange(batch))).terms.values()
        optimizer.zero_grad()
        torch.stack([term.sum / term.weight.clamp(min=1) for term in terms]).sum().backward()
        optimizer.step()
    learning = (time.perf_counter() - started) / ((rounds - 1) * batch)
    together = max(learning, drawing / workers) if workers else learning + drawing
    return 1 / drawing, 1 / together


def planned(out: Path, config: Any, recipe: Any, options: argparse.Namespace) -> int:
    """The number of epochs that fill the minutes asked for; written down, so that a resumed run keeps to it."""
    from kaname.data.formats.files import write_json

    path = out / "plan.json"
    if path.exists():
        return int(json.loads(path.read_text(encoding="utf-8"))["epochs"])
    rendering, training = pictures_a_second(config, recipe, workers=options.workers)
    epochs = max(2, round(options.minutes * 60 * training * 0.93 / EPOCH))
    plan = {"epochs": epochs, "pictures_an_epoch": EPOCH, "minutes": options.minutes, "without": options.without,
            "rendered_a_second": round(rendering, 2), "trained_a_second": round(training, 2)}  # fmt: skip
    write_json(path, plan)  # whole or not at all
    print(
        f"one core renders {rendering:.1f} pictures a second, training takes {training:.1f}: {epochs} epochs of {EPOCH}"
    )
    return epochs


def build_gauge(options: argparse.Namespace) -> None:
    """Train ``gauge`` on rendered dials of the variety ``world``."""
    import cv2
    import torch

    from kaname import config as configuration
    from kaname.pipeline.train import run
    from kaname.recipes.gauge.config import GaugeConfig
    from kaname.training.settings import RunOptions

    cv2.setNumThreads(1)
    torch.set_num_threads(options.threads)
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    data = validation_set(out, options.size)
    given = {word.split("=")[0] for word in options.set}
    words = [word for word in SETTINGS if word.split("=")[0] not in given]
    words += [f"data={data}", f"size={options.size}", f"train.num_workers={options.workers}", *options.set]
    config = configuration.load(GaugeConfig, file=ROOT / "configs" / "gauge" / "small.yaml", overrides=words)
    recipe = gauge_recipe(EPOCH, tuple(options.without))
    epochs = planned(out, config, recipe, options)
    config = replace(config, train=replace(config.train, epochs=epochs))
    resume = "auto" if options.resume and (out / "run" / "last.pt").exists() else None
    command = shlex.join(["python", "zoo/build.py", *sys.argv[1:]])
    run(recipe, config, RunOptions(out_dir=out / "run", resume=resume, init=options.init, command=command))


BUILDERS = {"gauge": build_gauge}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=sorted(BUILDERS))
    parser.add_argument("--out", type=Path, help="folder of the run; default runs/zoo/NAME")
    parser.add_argument(
        "--minutes", type=float, default=600.0, help="how long to train; counted when the run is planned"
    )
    parser.add_argument("--threads", type=int, default=1, help="threads of the network")
    parser.add_argument("--workers", type=int, default=1, help="processes that render; 0 renders between the steps")
    parser.add_argument("--size", type=int, default=256, help="side of the network's input")
    parser.add_argument("--without", default=[], type=lambda text: text.split(","), help="axes to leave out: AXIS,...")
    parser.add_argument("--init", type=Path, help="checkpoint whose weights training starts from")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="values of the configuration")
    parser.add_argument("--resume", action="store_true", help="go on where a killed run stopped")
    options = parser.parse_args()
    options.out = options.out or Path("runs") / "zoo" / options.name
    os.environ.setdefault("OMP_NUM_THREADS", str(options.threads))  # before NumPy and torch are imported
    from kaname.errors import InputError
    from kaname.training.signals import Interrupted

    try:
        BUILDERS[options.name](options)
    except (InputError, Interrupted) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
