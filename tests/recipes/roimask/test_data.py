"""What a sample is: the same features and classes that prediction sees, drawn anew in each epoch, kept in any form."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kaname.codecs import roi_mask
from kaname.data.log import read_rows
from kaname.data.rois import jittered, seen_regions
from kaname.errors import InputError
from kaname.geometry.affine import Affine
from kaname.geometry.boxes import iou, pad
from kaname.geometry.image import read_image
from kaname.pipeline.train import run
from kaname.recipes.roimask import RECIPE, step
from kaname.recipes.roimask.config import RoimaskConfig
from kaname.recipes.roimask.data import Rois
from kaname.recipes.roimask.features import OneMap, training_source
from kaname.recipes.roimask.labels import IGNORE, read_set
from kaname.recipes.roimask.model import build
from kaname.recipes.roimask.storing import Reading, Store, keep
from kaname.training.settings import RunOptions
from recipes.roimask import crowds


def samples(config: RoimaskConfig, *, augment: bool, part: str = "train", fill: bool = True) -> tuple[Any, Rois]:
    """A network with its samples, whose features are kept as the configuration says."""
    network, source = build(config).eval(), training_source(config.extractor)
    rois = Rois(config, crowds.photos(config, part), augment=augment)
    store, form = rois.connect(network, source), rois.form()
    if fill:
        keep([(store, form, list(rois.every_view(form)))], config.train.cache_budget * 1e9, lambda line: None)
    return network, rois


def features_of(config: RoimaskConfig, image: np.ndarray) -> torch.Tensor:
    source = training_source(config.extractor)
    seen = source.view.into(image.shape[:2]).image(image, source.view.input_size)
    return torch.from_numpy(source.features(seen[None])[0])


@pytest.mark.parametrize("fit", ["stretch", "letterbox"])
@pytest.mark.parametrize("head", ["crop", "roimap", "dynamic"])
def test_training_and_prediction_see_the_same(folder: Path, head: str, fit: str) -> None:
    """The head's answer to a sample is that of the network to the plain box."""
    size = ... if head == "roimap" else [4, 4]
    masks = [8, 8] if head == "crop" else [24, 24]
    changes = {"head__roi_size": size, "head__mask_size": masks, "head__name": head, "extractor__fit": fit}
    config = crowds.config_of(folder, **changes)
    network, rois = samples(config, augment=False)
    for index in range(0, len(rois), 3):
        number, row = rois.targets.at(index, -1)
        photo, sample = rois.photos[number], rois.sample(index, -1)
        view = rois.store.source.view
        height, width = view.input_size
        box = view.into(photo.size).boxes(photo.boxes[row])[0] / [width, height, width, height]
        plain = torch.tensor([[0.0, *box]]).float()
        with torch.no_grad():
            answer = network({"features": features_of(config, read_image(photo.image)), "rois": plain})["masks"]
            fed = {name: torch.from_numpy(np.asarray(sample[name]))[None] for name in rois.inputs}
            own = network(fed)["masks"]
            if not network.on_box:
                own = network.on_grid(own, torch.cat([torch.zeros(1, 1), fed["boxes"]], dim=1))
        assert torch.allclose(answer, own, atol=1e-5)
        truth = sample["classes"] if network.on_box else sample["grid"]
        assert truth.shape == answer.shape[2:]
        region = view.into(photo.size).inverse().boxes(seen_regions(view, photo.size, photo.boxes[row][None], 0.1))
        assert (truth == photo.classes(region, [row], truth.shape)[0]).all()


def test_a_mirrored_view_is_that_of_the_mirrored_image(folder: Path) -> None:
    """Features, box and classes alike."""
    config = crowds.config_of(folder, augment__flip=1, data__jitter_iou=[1, 1])
    network, rois = samples(config, augment=True)
    number, row = rois.targets.at(0, 0)
    photo, sample = rois.photos[number], rois.sample(0, 0)
    image = np.ascontiguousarray(read_image(photo.image)[:, ::-1])
    box = Affine.flip(photo.size[1]).boxes(photo.boxes[row])[0]
    shares = torch.tensor([[0.0, *(box / np.tile(photo.size[::-1], 2))]]).float()
    with torch.no_grad():
        answer = network({"features": features_of(config, image), "rois": shares})["masks"]
        own = network({"pooled": torch.from_numpy(sample["pooled"])[None]})["masks"]
    assert torch.allclose(answer, own, atol=1e-5)
    region = seen_regions(rois.store.source.view, photo.size, photo.boxes[row][None], 0.1)
    plain = photo.classes(rois.store.source.view.into(photo.size).inverse().boxes(region), [row], (8, 8))[0]
    assert (sample["classes"] == plain[:, ::-1]).all() and (plain != plain[:, ::-1]).any()


def test_targets_are_drawn_anew_and_an_epoch_keeps_its_length(folder: Path) -> None:
    """At most K of an image, not always the first."""
    config = crowds.config_of(folder, data__max_targets=2)
    rois = Rois(config, crowds.photos(config), augment=True)
    assert len(rois) == sum(min(2, len(photo.candidates)) for photo in rois.photos)
    drawn = [tuple(rois.targets.at(index, epoch) for index in range(len(rois))) for epoch in range(5)]
    assert len(set(drawn)) > 1
    everyone = Rois(config, crowds.photos(config), augment=False)
    assert len(everyone) == sum(len(photo.candidates) for photo in rois.photos)


def test_pixels_of_crowds_do_not_count(folder: Path) -> None:
    """Where a crowd stands on background, and only there."""
    config, other = crowds.config_of(folder), crowds.config_of(folder, data__crowd="background")
    (photo,) = [one for one in crowds.photos(config) if one.crowds()][:1]
    (same,) = [one for one in crowds.photos(other) if one.image == photo.image]
    whole = np.array([[0.0, 0, photo.size[1], photo.size[0]]])
    grid = photo.size
    ignored, kept = photo.classes(whole, [0], grid)[0], same.classes(whole, [0], grid)[0]
    crowd = np.zeros(grid, bool)
    for shape in photo.crowds():
        crowd |= roi_mask.inside(shape, Affine.identity(), grid)
    assert (ignored == IGNORE).any() and ((ignored == IGNORE) == (crowd & (kept == 0))).all()
    assert (np.where(ignored == IGNORE, 0, ignored) == kept).all()


FORMS = {
    "none": {"cache": "none"}, "maps": {"cache": "maps"}, "windows": {"cache": "windows"},
    "too small": {"cache": "windows", "train__cache_budget": 8e-5},
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_numbers(folder: Path, form: str) -> None:
    """Live, whole maps, windows, and a budget that holds a part: the same to the last bit, in 32 bits."""
    _, live = samples(crowds.config_of(folder, cache="none"), augment=True)
    _, kept = samples(crowds.config_of(folder, **FORMS[form]), augment=True)
    assert kept.store.form == ("windows" if form == "too small" else form)
    if form == "too small":
        assert 0 < len(kept.store.images) < len(kept.photos)
    for epoch in (0, 1):
        for index in range(len(live)):
            one, other = live.sample(index, epoch), kept.sample(index, epoch)
            assert (one["pooled"] == other["pooled"]).all() and (one["classes"] == other["classes"]).all()


def test_every_form_trains_alike(folder: Path, tmp_path: Path) -> None:
    """The losses of a run do not depend on how its features are kept."""
    logs: dict[str, list[Any]] = {}
    for form, words in FORMS.items():
        options = RunOptions(out_dir=tmp_path / form)
        changes = {"train__epochs": 2, "train__num_workers": 0, "train__precision": "fp32", "train__logger": "none"}
        run(RECIPE, crowds.config_of(folder, **changes, **words), options)
        rows = read_rows(options.out_dir / "log.csv")
        logs[form] = [{name: value for name, value in row.items() if name != "seconds"} for row in rows]
    assert len(logs["none"]) == 2 and all(rows == logs["none"] for rows in logs.values())


def test_windows_keep_the_jitter_fresh(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other boxes in each epoch, none of which reaches beyond its window: the extractor does not run again."""
    _, rois = samples(crowds.config_of(folder, cache="windows", data__jitter_iou=[0.5, 0.6]), augment=True)
    monkeypatch.setattr(type(rois.store.source), "features", None)
    for epoch in range(20):
        for index in range(len(rois)):
            rois.sample(index, epoch)
    first, second = (rois.sample(0, epoch) for epoch in (0, 1))
    assert np.abs(first["pooled"] - second["pooled"]).max() > 1e-3


def test_stored_views_are_so_many(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is one of K, and none runs the extractor."""
    config = crowds.config_of(folder, train__cache_views=2, data__max_targets=100)
    _, rois = samples(config, augment=True)
    assert rois.form() == "views" and rois.store.form == "views"
    monkeypatch.setattr(type(rois.store.source), "features", None)
    places = {}
    for epoch in range(8):
        for index in range(len(rois)):
            places.setdefault(rois.targets.at(index, epoch), set()).add(rois.sample(index, epoch)["pooled"].tobytes())
    counts = {len(views) for views in places.values()}
    assert counts <= {1, 2} and 2 in counts


def test_boxes_move_within_their_band(folder: Path) -> None:
    """The IoU with the true box lies in it; 1,1 keeps the true one."""
    config = crowds.config_of(folder, data__jitter_iou=[0.6, 0.8])
    rois = Rois(config, crowds.photos(config), augment=True)
    photo = rois.photos[0]
    for seed in range(30):
        seen = rois.view(photo, 0, np.random.default_rng(seed))
        assert 0.59 <= float(iou(seen.true[None], seen.box[None])[0, 0]) <= 0.81
    still = Rois(crowds.config_of(folder, data__jitter_iou=[1, 1]), crowds.photos(config), augment=True)
    assert (still.view(photo, 0, np.random.default_rng(0)).box == photo.boxes[0]).all()


@pytest.mark.parametrize(
    "change", ["scale=0.3", "crop=0.3", "brightness=0.5", "saturation=0.5", "grey=1", "copy_paste=1", "flip=1"]
)
def test_changed_images_keep_their_target(folder: Path, change: str) -> None:
    """Every augmentation gives whole samples in which the target shows, and changes something."""
    name, value = change.split("=")
    plain = crowds.config_of(folder, data__jitter_iou=[1, 1], augment__flip=0)
    config = crowds.config_of(
        folder, **{"data__jitter_iou": [1, 1], "augment__flip": 0, f"augment__{name}": float(value)}
    )
    assert config.augment.needs_extractor is (name != "flip")
    _, rois = samples(config, augment=True)
    _, still = samples(plain, augment=True)
    if name != "flip":
        assert rois.store.form == "none"
    changed = 0
    for index in range(len(rois)):
        one, other = rois.sample(index, 0), still.sample(index, 0)
        assert (one["classes"] == 1).any() and one["pooled"].shape == other["pooled"].shape
        changed += bool(np.abs(one["pooled"] - other["pooled"]).max() > 1e-6)
    assert changed > len(rois) / 2


def test_changed_images_refuse_stored_features(folder: Path) -> None:
    """The configuration says so."""
    for changes in ({"cache": "windows"}, {"train__cache_views": 2}):
        with pytest.raises(InputError, match="unchanged images"):
            crowds.config_of(folder, augment__brightness=0.3, **changes)


def test_no_target_is_an_error(folder: Path) -> None:
    """With the number of instances that are too small."""
    config = crowds.config_of(folder, data__min_target=1000)
    with pytest.raises(InputError, match="none has sides of at least 1000"):
        from kaname.recipes.roimask.labels import training_sets

        training_sets(config)
    assert step.EPOCH_FILE.format(1, 640, 640, round(0.85123 * 10000)).endswith("epoch_0001_640x640_8512.pth")


def test_a_box_beside_its_image_is_an_error(folder: Path, tmp_path: Path) -> None:
    """``train`` names the annotation; one without area is only left out, which published files have."""
    given = crowds.config_of(folder).data
    content = json.loads(given.annotations_of("train").read_text())
    chosen = content["annotations"][1]
    path = tmp_path / "instances.json"
    settings = replace(given, annotations=path)

    chosen["bbox"][2] = 0
    path.write_text(json.dumps(content))
    assert sum(len(photo.sample.boxes) - len(photo.boxes) for photo in read_set(settings, "train")) == 1

    chosen["bbox"] = [500, 10, 20, 30]
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"500,10 to 520,40 lies outside its image") as error:
        read_set(settings, "train")
    assert str(chosen["id"]) in str(error.value.row)


def test_no_stored_features_are_stale(folder: Path, tmp_path: Path) -> None:
    """Each of 1,000 changes of the image, the extractor, the precision, the view, the box or the grid has a key of its
    own; what is not changed keeps it."""
    config = crowds.config_of(folder, train__cache_views=1)
    _, rois = samples(config, augment=True, fill=False)
    store = rois.store
    assert store is not None
    photo = rois.photos[0]
    random, seen, keys = np.random.default_rng(0), rois.view(photo, 0, None), set()
    content = photo.image.read_bytes()
    for number in range(250):
        image = tmp_path / "changed.jpg"
        image.write_bytes(content + bytes([number]))
        keys.add(store._view_key(replace(seen, image=image)))
        keys.add(store._view_key(replace(seen, box=seen.box + random.uniform(-3, 3, 4) * [1, 1, 0, 0])))
        sizes = replace(store.reading, roi_size=(5 + number, 4))
        keys.add(Store(store.source, sizes, store.kept.cache)._view_key(seen))
        other = OneMap(lambda: store.source.source)
        other.key = f"{store.source.key}{number}"
        keys.add(Store(other, store.reading, store.kept.cache)._view_key(seen))
    halved = Store(store.source, replace(store.reading, half=True), store.kept.cache)
    keys |= {halved._view_key(seen), store._view_key(replace(seen, mirrored=True))}
    assert len(keys) == 1002 and store._view_key(seen) not in keys
    assert store._view_key(seen) == store._view_key(replace(seen, true=seen.true + 1)), "never by what is annotated"


@pytest.mark.parametrize("lowest", [0.4, 0.7, 0.9])
def test_a_margin_is_as_wide_as_a_box_can_reach(lowest: float) -> None:
    """No jittered and padded box leaves the window; the farthest, which grows to one side alone, touches its edge."""
    reading = Reading(0.1, (4, 4), 2, lowest, half=False)
    size, true = (4000, 4000), np.array([1500.0, 1400, 1900, 2200])
    window = pad(true, reading.margin)
    random = np.random.default_rng(0)
    for _ in range(1000):
        box = pad(jittered(random, true, (lowest, 1.0), size), reading.padding)
        assert (box[:2] >= window[:2] - 1e-6).all() and (box[2:] <= window[2:] + 1e-6).all()
    farthest = true - [(1 / lowest - 1) * 400, 0, 0, 0]
    assert float(iou(true[None], farthest[None])[0, 0]) == pytest.approx(lowest)
    assert pad(farthest, reading.padding)[0] == pytest.approx(window[0])
