"""What a small network from scratch reaches on real photographs of dials, trained on rendered ones.

    python benchmarks/gauge_real.py --photographs DIR --out runs/real [--count 1200 --epochs 10 --tune-epochs 3]

DIR holds ``images/`` and a Label Studio ``annotation.json``; the kind of a dial is its file name up to the first ``_``.
Three questions, answered with the same commands that users have:

1. trained on renders alone, scored on all photographs;
2. then tuned on renders plus five photographs, scored on the others;
3. then tuned on renders plus all photographs but one kind, scored on that kind, for every kind.

Writes a Markdown table to ``OUT/table.md``. Takes a quarter of an hour on two cores.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from commands import run

from kaname.data.formats import labelstudio
from kaname.recipes.gauge.labels import ALIASES, LABEL_NAMES
from kaname.types import Sample

COPIES = 24  # of each photograph among the renders of a tuning set


def photographs(folder: Path, chosen: list[Sample], copies: int) -> Path:
    """A set of photographs, each ``copies`` times under names of its own."""
    (folder / "images").mkdir(parents=True)
    (folder / "labels").mkdir()
    samples = []
    for sample in chosen:
        for copy in range(copies):
            target = folder / "images" / f"{sample.image.stem}_{copy:02d}{sample.image.suffix}"
            shutil.copyfile(sample.image, target)
            samples.append(Sample(target, sample.points, sample.visible, sample.size))
    labelstudio.write(folder / "labels" / "annotation.json", samples, names=LABEL_NAMES)
    return folder


def mixed(folder: Path, renders: Path, chosen: list[Sample]) -> Path:
    """A training folder of rendered dials and copies of the chosen photographs; no validation set."""
    photographs(folder / "train", chosen, COPIES)
    path = folder / "train" / "labels" / "annotation.json"
    tasks = json.loads(path.read_text(encoding="utf-8"))
    for image in (renders / "images").iterdir():
        shutil.copyfile(image, folder / "train" / "images" / image.name)
    rendered = json.loads((renders / "labels" / "annotation.json").read_text(encoding="utf-8"))
    for number, task in enumerate(rendered, len(tasks) + 1):
        tasks.append({**task, "id": number})
    path.write_text(json.dumps(tasks, ensure_ascii=False), encoding="utf-8")
    return folder


def score(model: Path, out: Path, chosen: list[Sample]) -> dict[str, float | None]:
    """Figures on photographs that the model has not seen."""
    data = photographs(out / "data", chosen, 1)
    run("gauge", "evaluate", "--model-path", model, "--data", data, "--out", out, "--pictures", "--overwrite")
    groups = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    return {
        "PCK": groups["middle"]["pck"]["value"], "non-assigned": groups["middle"]["non_assigned"]["value"],
        "F1": groups["middle"]["f1"]["value"], "start/end PCK": groups["start_end"]["pck"]["value"],
        "mean distance, px": groups["middle"]["mean_distance_px"]["value"],
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=1200)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--tune-epochs", type=int, default=3)
    options = parser.parse_args()
    out: Path = options.out
    samples = labelstudio.read(
        options.photographs / "annotation.json", images=options.photographs / "images", names=ALIASES
    )
    kinds = sorted({sample.image.name.split("_")[0] for sample in samples})
    base = ["--config", Path(__file__).parent.parent / "configs" / "gauge" / "small.yaml", "augment.rotate=30"]
    run("gauge", "sample", "--out", out / "renders", "--count", options.count, "--seed", 11)
    first = out / "from_renders"
    run("gauge", "train", *base, "--data", out / "renders", "--epochs", options.epochs, "--out-dir", first)
    few = out / "few"
    run("gauge", "sample", "--out", few, "--count", 240, "--seed", 12, "--val-fraction", 0)

    rows = {f"renders alone, all {len(samples)} photographs": score(first / "model.pt", out / "score_all", samples)}
    for kind in kinds:
        chosen = [sample for sample in samples if sample.image.name.startswith(f"{kind}_")]
        rows[f"renders alone, kind {kind} ({len(chosen)})"] = score(
            first / "model.pt", out / f"score_alone_{kind}", chosen
        )
    held = {f"all but {kind}": [s for s in samples if s.image.name.startswith(f"{kind}_")] for kind in kinds}
    held = {"five photographs": samples[3:5], **held}
    for name, test in held.items():
        train = [sample for sample in samples if sample not in test]
        place = out / name.replace(" ", "_")
        data = mixed(place / "data", few / "train", train)
        tune = ["--epochs", options.tune_epochs, "--lr", "1e-3", "--init", first / "model.pt"]
        run("gauge", "train", *base, "--data", data, *tune, "--out-dir", place / "run")
        rows[f"renders and {name}, the other {len(test)}"] = score(place / "run" / "model.pt", place / "score", test)

    columns = list(next(iter(rows.values())))
    lines = [f"| trained on, scored on | {' | '.join(columns)} |", "|---|" + "---:|" * len(columns)]
    for name, figures in rows.items():
        cells = ["-" if value is None else f"{value:.3f}" for value in figures.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    (out / "table.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
