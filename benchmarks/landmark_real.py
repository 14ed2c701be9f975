"""What a small network from scratch reaches on real drawn faces, trained on rendered ones.

    python benchmarks/landmark_real.py --faces DIR --out runs/faces [--count 2400 --epochs 10 --tune-epochs 3 --folds 4]

DIR holds ``images/`` and ``annotated/``. Two questions, answered with the same commands that users have:

1. trained on renders alone, scored on all faces;
2. then tuned on renders plus all faces but those of one fold, scored on that fold, for every fold.

Writes a Markdown table to ``OUT/table.md``.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from commands import run

from kaname.pipeline.answers import write
from kaname.recipes.landmark import RECIPE
from kaname.recipes.landmark.config import AnswerSettings
from kaname.recipes.landmark.evaluate import score
from kaname.recipes.landmark.labels import Picture, labelled
from kaname.reporting.results import figure_cell

COPIES = 24  # of each face among the renders of a tuning set
FIGURES = ("nme_bbox", "nme_interocular", "failure_rate", "auc")


def data_words(folder: Path) -> tuple[object, ...]:
    return "--image-dir", folder / "images", "--annotation-dir", folder / "annotated"


def add(folder: Path, source: Path, names: list[str], copies: int) -> Path:
    """Copies of some faces and their annotations, under names of their own."""
    for kind in ("images", "annotated"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for name in names:
        content = json.loads((source / "annotated" / f"{Path(name).stem}.json").read_text(encoding="utf-8"))
        for copy in range(copies):
            image = f"{Path(name).stem}_{copy:02d}{Path(name).suffix}" if copies > 1 else name
            shutil.copyfile(source / "images" / name, folder / "images" / image)
            target = folder / "annotated" / f"{Path(image).stem}.json"
            target.write_text(json.dumps({**content, "image": image}), encoding="utf-8")
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=2400)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--tune-epochs", type=int, default=3)
    parser.add_argument("--folds", type=int, default=4)
    options = parser.parse_args()
    out: Path = options.out
    stored = {"data": {"images": options.faces / "images", "annotations": options.faces / "annotated"}}
    pictures: list[Picture] = list(labelled(None, stored).read("all"))
    names = [picture.source for picture in pictures]
    base = ["--config", Path(__file__).parent.parent / "configs" / "landmark" / "small.yaml", "save_freq=0"]
    run("landmark", "sample", "--out", out / "renders", "--count", options.count, "--seed", 11, "--size", 256)
    first = out / "from_renders"
    run("landmark", "train", *base, *data_words(out / "renders"), "--epochs", options.epochs, "--out-dir", first)
    few = out / "few"
    run("landmark", "sample", "--out", few, "--count", 400, "--seed", 12, "--size", 256)

    def predictions(model: Path, chosen: list[str], place: Path) -> Path:
        data = add(place / "data", options.faces, chosen, 1)
        run("landmark", "evaluate", *data_words(data), "--checkpoint", model, "--out", place, "--overwrite")
        return place / "all" / "points.json"

    tables = {"renders alone": [predictions(first / "best_model.pth", names, out / "score_alone")], "": []}
    for fold in range(options.folds):
        place = out / f"fold_{fold}"
        held = names[fold :: options.folds]
        shutil.copytree(few, place / "data")
        add(place / "data", options.faces, [name for name in names if name not in held], COPIES)
        tune = ["--epochs", options.tune_epochs, "--lr", "1e-3", "--init", first / "best_model.pth", "data.held_out=0"]
        run("landmark", "train", *base, *data_words(place / "data"), *tune, "--out-dir", place / "run")
        tables[""].append(predictions(place / "run" / "best_model.pth", held, place / "score"))
    tables[f"renders and the other faces, {options.folds} folds"] = tables.pop("")

    lines = [f"| trained on | {' | '.join(FIGURES)} |", "|---|" + "---:|" * len(FIGURES)]
    for name, files in tables.items():
        rows = [row for file in files for row in RECIPE.answering.read(file)]
        about: dict[str, Any] = json.loads(files[0].read_text(encoding="utf-8"))
        head = {"recipe": "landmark", "model": name, "answers": {}, "skeleton": about["skeleton"], "trained_on": []}
        write(out / "points.json", rows, head)
        figures = score(out / "points.json", pictures, AnswerSettings(), {}).groups["all"]
        lines.append(f"| {name} | {' | '.join(figure_cell(figures[one]) for one in FIGURES)} |")
    (out / "table.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
