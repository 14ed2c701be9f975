"""The recipe by its contract."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from contracts.recipe import RecipeContract, Trained
from kaname.data.log import read_rows
from kaname.recipes.roimask import EXTRACTOR


class TestRoimask(RecipeContract):
    name, processes, predictions = "roimask", True, "masks.json"
    sample = ("--count", 4, "--val-count", 4, "--size", "96,128")
    train = (
        *("--extractor", Path("data") / EXTRACTOR, "--device", "cpu", "--num-workers", 0, "--batch-size", 4),
        *("--epochs", 2, "--lr", "1e-2", "--ema", "0.9"),
        *("--width", 8, "--roi-size", "4,4", "--mask-size", "8,8", "--min-target", 4),
    )
    logged: Mapping[str, tuple[str, str]] = {"val_miou_classes_1_2": ("all", "miou_classes_1_2")}
    damage = "**/val2017/*.jpg"

    @classmethod
    def data_words(cls, data: Path) -> list[object]:
        return ["--data", data / "data"]

    @classmethod
    def sources(cls, data: Path) -> list[object]:
        labels = data / "data" / "annotations" / "instances_val2017_person_only_no_crowd.json"
        return [data / "data" / "images" / "val2017", "--boxes", labels]

    def training(self, trained: Trained, out: Path) -> list[object]:
        """With the extractor's whole path: not every process starts in the class's folder."""
        words = super().training(trained, out)
        return [trained.data / EXTRACTOR if word == Path("data") / EXTRACTOR else word for word in words]

    def test_every_epoch_leaves_a_file_that_opens_and_a_picture(self, trained: Trained) -> None:
        """The file has epoch, input size and figure in its name; ``validate`` takes it."""
        rows = read_rows(trained.run / "log.csv")
        for row in rows:
            figure = round(row["val_miou_classes_1_2"] * 10000)
            file = trained.run / "checkpoints" / f"checkpoint_epoch_{int(row['epoch']):04d}_640x640_{figure:04d}.pth"
            assert self.card(trained, file)["recipe"] == "roimask"
            assert (trained.run / f"validation_all_images_epoch_{int(row['epoch']):04d}.png").is_file()
        out = trained.folder / "validated"
        trained.kaname("validate", "--checkpoint", file, "--out", out).done()
        assert (out / "validation_all_images_epoch_0002.png").is_file() and (out / "metrics.json").is_file()
