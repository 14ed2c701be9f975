"""The recipe from nothing to an export, on rendered dials: what ``kaname demo gauge`` runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kaname.config import load
from kaname.geometry.image import read_image
from kaname.progress import Laps
from kaname.recipes.gauge.config import GaugeConfig
from kaname.reporting.curves import curves
from kaname.reporting.page import Picture, Pictures, Section, Svg, Table, Text, facts_table, metrics_table
from kaname.training.settings import RunOptions

TRAIN_DIALS, HELD_OUT = 500, 100
# A third of the reference resolution and the small U-Net: what two cores learn in about a minute.
OVERRIDES = (
    "size=160", "model.backbone=small", "augment.rotate=20", "train.epochs=6", "train.batch_size=4", "train.lr=3e-3",
    "train.warmup_epochs=1", "train.optimizer=adamw", "train.weight_decay=1e-4", "train.clip=1.0", "train.ema=0.99",
)  # fmt: skip
OWN_DIALS = """kaname gauge train --data training_data --epochs 50 --val
kaname gauge predict --model-path model.pt photo.jpg --out predictions"""


def run(out: Path) -> tuple[list[Section], dict[str, Any]]:
    """Sample, train, evaluate, predict, export and check parity below ``out``.

    Returns:
        The sections of the page and, for screen and tests, the figures: ``metrics`` (as in metrics.json), ``parity``,
        ``seconds`` by stage.
    """
    from kaname.samples.gauge import write

    clock = Laps()
    write(
        out / "data",
        TRAIN_DIALS + HELD_OUT,
        0,
        size=256,
        val_fraction=HELD_OUT / (TRAIN_DIALS + HELD_OUT),
        variety="plain",
    )
    clock.lap("sample")
    from kaname.recipes.gauge.training import run as train

    config = load(GaugeConfig, overrides=OVERRIDES, flags={"data": out / "data"})
    train(config, RunOptions(out_dir=out / "run", command="kaname demo gauge"), validate=False, debug=False)
    clock.lap("train")
    from kaname.recipes.gauge.scoring import score

    model = out / "run" / "model.pt"
    result = score(None, model, None, out / "evaluation", split="val", truth="points", changes={}, pictures=True)["val"]
    clock.lap("evaluate")
    from kaname.recipes.gauge.prediction import export_checked, predict_sources

    parity = export_checked(model, out / "gauge.onnx", None, 16)
    clock.lap("export")
    images = sorted((out / "data" / "val" / "images").iterdir())[:12]
    predict_sources(
        images, out / "gauge.onnx", out / "predictions", boxes=None, changes={}, pictures=True, device="cpu"
    )
    clock.lap("predict")
    return _sections(out, result, parity.to_dict(), clock.seconds), {
        "metrics": result["groups"], "parity": parity.to_dict(), "seconds": clock.seconds,
    }  # fmt: skip


def _sections(out: Path, result: dict[str, Any], parity: dict[str, Any], seconds: dict[str, float]) -> list[Section]:
    images = result["images"]
    ranked = sorted(
        images, key=lambda name: (images[name]["middle"]["f1"] or 0.0, images[name]["start_end"]["f1"] or 0.0)
    )
    sheets = out / "evaluation" / "val" / "key_points"
    worst = [Picture(sheets / f"K_{Path(name).stem}.jpg", _caption(name, images[name])) for name in ranked[:2]]
    best = [Picture(sheets / f"K_{Path(name).stem}.jpg", _caption(name, images[name])) for name in ranked[-2:]]
    predicted = [Picture(read_image(path), path.stem) for path in sorted((out / "predictions" / "pictures").iterdir())]
    log = out / "run" / "log.csv"
    return [
        Text(
            [
                f"{TRAIN_DIALS} rendered dials to learn from, {len(images)} others to be scored on; a small U-Net "
                "trained from random weights on the CPU, nothing downloaded. These dials are of the renderer's plain "
                "kind, head-on and clean: the figures say that everything works, not how real photographs will do.",
                "Distances are pixels of a 448 x 448 dial; a notch counts as found within 10 px.",
            ],
            heading="gauge: the notches of a dial",
        ),
        metrics_table(result["groups"], heading="Held-out dials", note="Mean over images, 95 % bootstrap interval."),
        Pictures(predicted, heading="Predictions of the exported ONNX file"),
        Svg([curves(log, ["train_loss", "val_loss"], title="Loss", logarithmic=True)], heading="Training"),
        Pictures(worst, heading="Worst dials (predicted above, true below)", width=480),
        Pictures(best, heading="Best dials", width=480),
        facts_table(parity, "Does the ONNX file answer the same?"),
        Table(["stage", "seconds"], [[name, value] for name, value in seconds.items()], heading="Time"),
        Text(["Your own dials:"], code=OWN_DIALS),
    ]


def _caption(name: str, figures: dict[str, Any]) -> str:
    middle, ends = figures["middle"], figures["start_end"]
    return f"{name}: F1 {middle['f1']:.2f} of all notches, PCK {ends['pck']:.2f} of start and end"
