"""A recipe of an ONNX file's features, boxes and masks: by the contract of all recipes, and what it needs of the house
beyond that."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np

import kaname
from contracts.recipe import RecipeContract, Trained
from kaname.data.formats import masks
from kaname.data.log import read_rows
from kaname.geometry.image import image_size, read_image
from kaname.types import Masks
from recipes import blobs


class TestBlobs(RecipeContract):
    name, package, predictions, processes = "blobs", "recipes.blobs", "masks.json", True
    train = ("--device", "cpu", "--num-workers", 0, "--batch-size", 2, "--epochs", 2, "--lr", "1e-2", "--ema", "0.9")

    @classmethod
    def sources(cls, data: Path) -> list[object]:
        return [data / "val" / "images", "--boxes", data / "val" / "labels.json"]

    def test_every_epoch_leaves_a_file_and_a_picture(self, trained: Trained) -> None:
        """The file has the score in its name and can be loaded."""
        rows = read_rows(trained.run / "log.csv")
        files = sorted((trained.run / "checkpoints").iterdir())
        names = [f"epoch_{int(row['epoch']):04d}_{round(row['val_iou'] * 10000):04d}.pt" for row in rows]
        assert [file.name for file in files] == names and len(names) == 2
        assert self.card(trained, files[0])["trained"]["epoch"] == 1
        assert image_size(trained.run / "validation_0002.png") == (64, 80)

    def test_predictions_are_masks_that_other_programs_read(self, trained: Trained, predicted: Path) -> None:
        """A COCO results list; an entry for each box."""
        items = blobs.labelled(trained.data, {}).read("val")
        entries = json.loads(predicted.read_text(encoding="utf-8"))
        assert len(entries) == sum(len(item.boxes) for item in items)
        assert all({"image_id", "category_id", "bbox", "score", "segmentation"} <= set(entry) for entry in entries)
        for row, item in zip(masks.read(predicted, recipe="blobs"), items, strict=True):
            assert isinstance(row.answer, Masks) and row.source == item.source and row.box is None
            np.testing.assert_allclose(row.answer.boxes, item.boxes, atol=1e-3)

    def test_a_file_answers_boxes_and_the_whole_image(self, trained: Trained, exported: Path) -> None:
        """One answer an image, a row a box; the boxes are those of the photograph, not of the extractor's input."""
        item = blobs.labelled(trained.data, {}).read("val")[1]
        image = read_image(item.frames[0])
        ours, theirs = (kaname.load(file).predict(image, item.boxes) for file in (trained.model, exported))
        assert isinstance(ours, Masks) and isinstance(theirs, Masks)
        assert ours.probabilities.shape == (len(item.boxes), 3, 16, 16) and ours.size == (64, 80)
        np.testing.assert_allclose(ours.probabilities, theirs.probabilities, atol=1e-5)
        np.testing.assert_allclose(ours.probabilities.sum(axis=1), 1, atol=1e-5)
        whole = kaname.load(exported).predict(image)
        assert isinstance(whole, Masks) and whole.boxes.tolist() == [[0, 0, 80, 64]]

    def test_the_extractor_is_found_beside_the_model_and_no_other_is_taken(
        self, trained: Trained, predicted: Path, tmp_path: Path
    ) -> None:
        """It may be named; a file with another content is refused."""
        there, images = trained.data / "extractor.onnx", self.sources(trained.data)
        moved, model = trained.data / "elsewhere", shutil.copy(trained.model, tmp_path / "best.pt")
        shutil.move(there, moved)
        try:
            words = ("predict", *images, "--checkpoint", model, "--out", tmp_path / "out")
            trained.kaname(*words).refused("extractor.onnx", "--extractor")
            trained.kaname(*words, "--extractor", moved).done()
            ours, theirs = (json.loads(file.read_text()) for file in (tmp_path / "out" / "masks.json", predicted))
            assert ours[0].pop("kaname")["settings"] == {"extractor": str(moved)} and theirs[0].pop("kaname")
            assert ours == theirs
            shutil.copy(moved, tmp_path / "extractor.onnx")
            trained.kaname(*words).done()
            (tmp_path / "extractor.onnx").write_bytes(moved.read_bytes() + b"\0")
            trained.kaname(*words).refused("not the extractor", "SHA-256")
        finally:
            shutil.move(moved, there)

    def test_a_drawing_shows_masks(self, trained: Trained, predicted: Path, tmp_path: Path) -> None:
        """Of labels and of predictions, which lie on their images alone too."""
        trained.kaname("draw", "--data", trained.data, "--predictions", predicted, "--out", tmp_path / "both").done()
        words = ("--predictions", predicted, "--images", trained.data / "val" / "images", "--out", tmp_path / "ours")
        trained.kaname("draw", *words).done()
        drawn = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.jpg")}
        assert {"both/val/006.jpg", "both/train/000.jpg", "ours/006.jpg", "ours/007.jpg"} <= drawn
        places = (trained.data / "val" / "images" / "006.png", tmp_path / "ours" / "006.jpg")
        image, picture = map(read_image, places)
        assert np.abs(image.astype(int) - picture).max() > 60

    def test_no_feature_is_computed_twice(self, trained: Trained, tmp_path: Path) -> None:
        """Boxes that move each epoch do not touch what is stored by image."""
        from kaname.data.cache import ArrayCache
        from kaname.inference.feature_source import CachedSource
        from recipes.blobs.network import Samples

        items = blobs.labelled(trained.data, {}).read("train")
        samples = Samples(blobs.Config(data=trained.data), items, augment=True)
        samples.source = CachedSource(samples.source.source, ArrayCache(tmp_path / "features", budget=10**8))
        seen = [samples.sample(index, epoch) for epoch in range(3) for index in range(len(items))]
        assert samples.source.cache.hits == 2 * len(items) and samples.source.cache.misses == len(items)
        assert not np.array_equal(seen[0]["boxes"], seen[len(items)]["boxes"])


def test_recipes_of_the_tests_are_short() -> None:
    """At most 250 lines, all files of one together: what more they need the house has to give."""
    for name in ("dots", "blobs"):
        files = [path for path in Path(blobs.__file__).parents[1].glob(f"{name}/*.py") if path.stem[:5] != "test_"]
        assert len(files) >= 2 and sum(len(path.read_text().splitlines()) for path in files) <= 250, name
