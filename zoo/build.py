"""Builds a model that ships with the package, from generated pictures alone.

    python zoo/build.py gauge [--out runs/zoo/gauge] [--minutes 600] [--threads 1] [--workers 1] [--resume]

Every training picture is new: the loader renders it while the network trains (`zoo/rendered.py`), so that nothing is
stored. Validation is on rendered pictures of another seed, in ``OUT/data``. The run folder, its checkpoint, card and
page are those of ``kaname NAME train``; killed at any moment, the same command with ``--resume`` goes on.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
HELD_OUT = 192
EPOCH = 2048  # pictures between two validations
SEED = 20_000  # of the training pictures, as in rendered.py; validation has the next one
# The stem and the first two stages of an EfficientNet stay as ImageNet made them: edges and textures are the same in
# drawn pictures, and their backward pass takes a third of a step.
KEPT = tuple(f"body.net.{part}." for part in ("conv_stem", "bn1", "blocks.0", "blocks.1"))
LITE0 = ("model.backbone=efficientnet-lite0", "model.pretrained=true", "train.precision=auto")
TRAINING = ("save_every=3m", "batch_size=8", "ema=0.998", "logger=none", "warmup_epochs=0.5")


@dataclass(frozen=True)
class Plan:
    """How a model is built.

    Attributes:
        section: of the configuration that holds the settings of training.
        settings: ``key=value`` of the configuration beside the recipe's preset ``small``.
        write: writes the set to validate on: ``(folder, count, seed)``.
        data: ``(folder) -> key=value``s that name the set.
    """

    section: str
    settings: Sequence[str]
    write: Callable[[Path, int, int], object]
    data: Callable[[Path], Sequence[str]]


def _dials(folder: Path, count: int, seed: int) -> None:
    from kaname.samples.gauge import write

    write(folder, count + 8, seed, size=320, val_fraction=count / (count + 8), variety="world")


def _faces(folder: Path, count: int, seed: int) -> None:
    from kaname.samples.landmark import write

    write(folder, count=count + 8, seed=seed, size=256)


def _rallies(folder: Path, count: int, seed: int) -> None:
    from kaname.samples.tracknet import write

    write(folder, count // 8, seed, size=(288, 512), clip_length=24)


PLANS: Mapping[str, Plan] = {
    "gauge": Plan(
        "train",
        (*LITE0, "size=320", "needle=true", "augment.probability=0", "model.decoder=fpn", "model.freeze=false",
         "train.lr=1e-3", "train.final_lr=0.01"),
        _dials,
        lambda folder: [f"data={folder}"],
    ),
    "landmark": Plan(
        "train",
        (*LITE0, "size=160", "model.decoder=concat", "model.norm=train", "train.lr=1e-3", "train.final_lr=0.01",
         "train.ema=0.99"),
        _faces,
        lambda folder: [f"data.images={folder / 'images'}", f"data.annotations={folder / 'annotated'}",
                        "data.held_out=0.95"],
    ),
    "tracknet": Plan(
        "training",
        ("data.crop=0.7", "data.absent=negative", "training.lr=2e-3", "training.final_lr=0.01"),
        _rallies,
        lambda folder: [f"data.root={folder}"],
    ),
}  # fmt: skip


def rendered_recipe(name: str, count: int, without: tuple[str, ...], seed: int) -> Any:
    """The recipe with rendered training samples; everything else is its own."""
    from rendered import SAMPLES

    recipe = importlib.import_module(f"kaname.recipes.{name}").RECIPE

    def build(config: Any, *, card: Any = None) -> Any:
        network = recipe.build(config, card=card)
        for own, parameter in network.backbone.named_parameters():
            if network.backbone.pretrained and own.startswith(KEPT):
                parameter.requires_grad = False
        return network

    def samples(config: Any, items: Sequence[Any], *, augment: bool) -> Any:
        return SAMPLES[name](config, count, without, seed) if augment else recipe.samples(config, items, augment=False)

    return replace(recipe, samples=samples, build=build)


def pictures_a_second(config: Any, recipe: Any, settings: Any, *, workers: int) -> tuple[float, float]:
    """How many pictures a second the renderer gives, and how many a second training takes with it."""
    import torch

    from kaname.data.dataset import stacked
    from kaname.training.runtime import Runtime
    from kaname.types import Batch

    samples, batch, rounds = recipe.samples(config, (), augment=True), settings.batch_size, 4
    started = time.perf_counter()
    rows = [[samples.sample(r * batch + i, 0) for i in range(batch)] for r in range(rounds)]
    drawing = (time.perf_counter() - started) / (rounds * batch)
    model, step = Runtime(settings).setup_model(recipe.build(config)), recipe.step(config)
    model.train()
    optimizer = torch.optim.AdamW([value for value in model.parameters() if value.requires_grad])
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


def planned(out: Path, config: Any, recipe: Any, settings: Any, options: argparse.Namespace) -> int:
    """The number of epochs that fill the minutes asked for; written down, so that a resumed run keeps to it."""
    from kaname.data.formats.files import write_json

    path = out / "plan.json"
    if path.exists():
        return int(json.loads(path.read_text(encoding="utf-8"))["epochs"])
    rendering, training = pictures_a_second(config, recipe, settings, workers=options.workers)
    epochs = max(2, round(options.minutes * 60 * training * 0.93 / EPOCH))
    plan = {"epochs": epochs, "pictures_an_epoch": EPOCH, "minutes": options.minutes, "without": options.without,
            "rendered_a_second": round(rendering, 2), "trained_a_second": round(training, 2)}  # fmt: skip
    write_json(path, plan)  # whole or not at all
    print(f"one core renders {rendering:.1f} a second, training takes {training:.1f}: {epochs} epochs of {EPOCH}")
    return epochs


def build(options: argparse.Namespace) -> None:
    """Train one of the models."""
    import cv2
    import torch

    from kaname import config as configuration
    from kaname.pipeline.train import run
    from kaname.training.settings import RunOptions

    cv2.setNumThreads(1)
    torch.set_num_threads(options.threads)
    out, plan = options.out, PLANS[options.name]
    out.mkdir(parents=True, exist_ok=True)
    data = out / "data"
    if not data.exists():
        plan.write(data, HELD_OUT, options.seed + 1)
    recipe = rendered_recipe(options.name, EPOCH, tuple(options.without), options.seed)
    training = [f"{plan.section}.{word}" for word in TRAINING] + [f"{plan.section}.num_workers={options.workers}"]
    given = {word.split("=")[0] for word in options.set}
    words = [word for word in (*training, *plan.settings) if word.split("=")[0] not in given]
    file = ROOT / "configs" / options.name / "small.yaml"
    overrides = [*words, *plan.data(data), *options.set]
    config = configuration.load(recipe.schema.value, file=file, overrides=overrides)
    settings = getattr(config, plan.section)
    epochs = planned(out, config, recipe, settings, options)
    config = replace(config, **{plan.section: replace(settings, epochs=epochs)})
    resume = "auto" if options.resume and (out / "run" / "last.pt").exists() else None
    command = shlex.join(["python", "zoo/build.py", *sys.argv[1:]])
    run(recipe, config, RunOptions(out_dir=out / "run", resume=resume, init=options.init, command=command))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=sorted(PLANS))
    parser.add_argument("--out", type=Path, help="folder of the run; default runs/zoo/NAME")
    parser.add_argument(
        "--minutes", type=float, default=600.0, help="how long to train; counted when the run is planned"
    )
    parser.add_argument("--threads", type=int, default=1, help="threads of the network")
    parser.add_argument("--workers", type=int, default=1, help="processes that render; 0 renders between the steps")
    parser.add_argument("--without", default=[], type=lambda text: text.split(","), help="axes to leave out: AXIS,...")
    parser.add_argument("--init", type=Path, help="checkpoint whose weights training starts from")
    parser.add_argument("--seed", type=int, default=SEED, help="of the pictures; another one for weights that go on")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="values of the configuration")
    parser.add_argument("--resume", action="store_true", help="go on where a killed run stopped")
    options = parser.parse_args()
    options.out = options.out or Path("runs") / "zoo" / options.name
    os.environ.setdefault("OMP_NUM_THREADS", str(options.threads))  # before NumPy and torch are imported
    from kaname.errors import InputError
    from kaname.training.signals import Interrupted

    try:
        build(options)
    except (InputError, Interrupted) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
