"""Losses of masks in boxes: slow references, gradients, the document's function, and one gradient for any split."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from kaname.errors import InputError
from kaname.losses.boundary import boundary
from kaname.losses.contrast import info_nce, triplet
from kaname.losses.rois import IGNORE
from kaname.losses.segmentation import cross_entropy, dice, focal, tversky

Loss = Callable[..., tuple[Tensor, Tensor]]

LOSSES: dict[str, tuple[Loss, dict[str, Any]]] = {
    "ce": (cross_entropy, {}),
    "weighted ce": (cross_entropy, {"class_weights": (0.6, 0.8, 1.6)}),
    "focal": (focal, {"gamma": 2.0, "alpha": (0.6, 0.8, 1.6)}),
    "focal of two": (focal, {"gamma": 0.5, "classes": (1, 2)}),
    "dice": (dice, {}),
    "dice of two": (dice, {"classes": (1, 2)}),
    "tversky": (tversky, {"classes": (2,), "false_positives": 0.2, "false_negatives": 0.9}),
    "distance l1": (boundary, {"method": "distance", "error": "l1", "classes": (1, 2)}),
    "distance bce": (boundary, {"method": "distance", "error": "bce"}),
    "laplacian l1": (boundary, {"method": "laplacian", "error": "l1", "classes": (1, 2)}),
    "laplacian bce": (boundary, {"method": "laplacian", "error": "bce"}),
    "info nce": (info_nce, {}),
    "triplet": (triplet, {}),
}
EVERY = pytest.mark.parametrize("name", LOSSES)


def example(rois: int = 8, size: tuple[int, int] = (7, 6)) -> tuple[Tensor, Tensor, Tensor]:
    """Logits, classes in patches with some cells ignored, weights: the second ROI has no target, the third nothing."""
    random = np.random.default_rng(0)
    logits = torch.from_numpy(random.normal(0, 1.5, (rois, 3, *size)))
    targets = random.integers(0, 3, (rois, (size[0] + 1) // 2, (size[1] + 1) // 2))
    targets = targets.repeat(2, axis=1).repeat(2, axis=2)[:, : size[0], : size[1]]
    targets[random.random(targets.shape) < 0.08] = IGNORE
    if rois > 2:
        targets[1][targets[1] == 1] = 0
        targets[2] = IGNORE
    return logits, torch.from_numpy(targets), torch.from_numpy(random.choice([0.0, 1.0, 2.5], targets.shape))


def call(name: str, logits: Tensor, targets: Tensor, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    loss, options = LOSSES[name]
    return loss(logits, targets, weights, **options)


def edge(values: np.ndarray) -> np.ndarray:
    return np.abs(ndimage.correlate(values, np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]]) / 4.0, mode="nearest"))


def binary(found: float, true: float) -> float:
    return -(true * math.log(found) + (1 - true) * math.log(1 - found))


def slow_border(name: str, number: int, p: np.ndarray, target: np.ndarray, weight: np.ndarray) -> float | None:
    truth, other = target == number, (target != number) & (target != IGNORE)
    if not (truth.any() and other.any()):
        return None
    way = np.where(truth, ndimage.distance_transform_edt(~other), ndimage.distance_transform_edt(~truth))
    near = np.where((way <= 8) & (truth | other), np.exp(-(way - 1) / 2), 0) * weight
    if not near.any():
        return None
    found, true, counts = p, truth.astype(float), near
    if name.startswith("laplacian"):
        found, true = edge(p), edge(true)
        counts = weight * ~ndimage.binary_dilation(target == IGNORE)
    error = np.abs(found - true) if name.endswith("l1") else np.vectorize(binary)(np.clip(found, 1e-6, 1 - 1e-6), true)
    return float((error * counts).sum() / counts.sum()) if counts.any() else 0.0


def slow_overlap(name: str, number: int, p: np.ndarray, target: np.ndarray, weight: np.ndarray) -> float | None:
    truth = target == number
    a, b = (0.2, 0.9) if name == "tversky" else (0.5, 0.5)
    if not (truth * weight).any():
        return None
    hits, extra, missed = ((weight * one).sum() for one in (p * truth, p * ~truth, (1 - p) * truth))
    return float(1 - hits / (hits + a * extra + b * missed + 5e-7))


def slow_contrast(name: str, embedding: np.ndarray, target: np.ndarray, weight: np.ndarray) -> float:
    unit = embedding / np.linalg.norm(embedding, axis=0)
    masks = [(target == number) * weight for number in (1, 2)]
    if not all(mask.any() for mask in masks):
        return 0.0
    centres = [(unit * mask).sum(axis=(1, 2)) for mask in masks]
    one, two = (np.tensordot(centre / np.linalg.norm(centre), unit, 1) for centre in centres)
    total = 0.0
    for mask, own, other in ((masks[0], one, two), (masks[1], two, one)):
        if name == "triplet":
            total += (mask * np.maximum(0, 0.5 + other - own)).sum()
        else:
            total -= (mask * np.log(np.exp(own / 0.1) / (np.exp(own / 0.1) + np.exp(other / 0.1)))).sum()
    return float(total / (masks[0] + masks[1]).sum())


def slow_pixels(name: str, p: np.ndarray, target: np.ndarray, weight: np.ndarray) -> float:
    share = (0.6, 0.8, 1.6) if name in ("weighted ce", "focal") else (1, 1, 1)
    total = counted = 0.0
    for (row, column), number in np.ndenumerate(target):
        if number == IGNORE:
            continue
        own = p[number, row, column]
        gamma = {"focal": 2.0, "focal of two": 0.5 * (number > 0)}.get(name, 0.0)
        total += weight[row, column] * share[number] * (1 - own) ** gamma * -math.log(own)
        counted += weight[row, column] * share[number]
    return total / counted if counted else 0.0


def slow(name: str, logits: np.ndarray, target: np.ndarray, weight: np.ndarray) -> float:
    """One ROI, by the definitions."""
    weight = weight * (target != IGNORE)
    if name in ("info nce", "triplet"):
        return slow_contrast(name, logits, target, weight)
    p = np.exp(logits) / np.exp(logits).sum(axis=0)
    if LOSSES[name][0] in (cross_entropy, focal):
        return slow_pixels(name, p, target, weight)
    reference = slow_border if LOSSES[name][0] is boundary else slow_overlap
    classes = LOSSES[name][1].get("classes", (1,))
    found = [reference(name, number, p[number], target, weight) for number in classes]
    return float(np.mean([value for value in found if value is not None] or [0]))


@EVERY
@pytest.mark.parametrize("weighted", [False, True])
def test_against_a_slow_reference(name: str, weighted: bool) -> None:
    logits, targets, weights = example()
    weights = weights if weighted else torch.ones_like(weights)
    loss, count = call(name, logits, targets, weights if weighted else None)
    each = [slow(name, *(value.numpy() for value in roi)) for roi in zip(logits, targets, weights, strict=True)]
    assert count.item() == 7 and loss.item() == pytest.approx(sum(each), abs=1e-7) and sum(each) > 0.1


@EVERY
def test_the_gradient(name: str) -> None:
    logits, targets, weights = example(2, (4, 3))
    targets[:, :, 0], targets[:, :, 1] = 1, 2
    logits = logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda values: call(name, values, targets, weights + 0.1)[0], (logits,))


@EVERY
def test_any_split_gives_one_gradient(name: str) -> None:
    """Sums of a batch of 8, of two of 4 and of eight single ROIs, in float32."""
    found = []
    for size in (8, 4, 1):
        logits, targets, weights = example()
        logits = logits.float().requires_grad_()
        sums = [call(name, *(value[i : i + size] for value in (logits, targets, weights))) for i in range(0, 8, size)]
        loss, count = (torch.stack(values).sum() for values in zip(*sums, strict=True))
        loss.backward()
        assert logits.grad is not None and torch.isfinite(logits.grad).all() and logits.grad.abs().max() > 1e-3
        assert (logits.grad[2] == 0).all()  # nothing of it counts
        found.append((loss.detach() / count, logits.grad / count))
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], rtol=0, atol=1e-6)


@EVERY
def test_what_is_ignored_has_no_share(name: str) -> None:
    """Whatever the network says there; edges reach a cell further, and there too nothing counts."""
    logits, targets, _ = example()
    moved = torch.where((targets == IGNORE)[:, None], logits + torch.tensor([9.0, -4, 0])[:, None, None], logits)
    torch.testing.assert_close(call(name, moved, targets), call(name, logits, targets))


def ce_dice_loss(logits: Tensor, target: Tensor, class_weights: Tensor, dice_classes: tuple[int, ...] = (1,)) -> Tensor:
    """As written in the document that the recipe follows."""
    loss = functional.cross_entropy(logits, target, weight=class_weights, reduction="mean")
    total = torch.zeros(())
    for number in dice_classes:
        true = (target == number).float()
        found = functional.softmax(logits, dim=1)[:, number, ...]
        total = total + 1 - 2 * (found * true).sum() / (found.sum() + true.sum() + 1e-6)
    return loss + total / max(len(dice_classes), 1)


@pytest.mark.parametrize("classes", [(1,), (1, 2)])
def test_of_one_roi_it_is_the_documented_loss(classes: tuple[int, ...]) -> None:
    logits, targets, _ = example(4, (14, 14))
    targets[targets == IGNORE] = 0
    weights = (0.5942, 0.8290, 1.5768)
    for number in (0, 3):
        one, target = logits[number : number + 1].float(), targets[number : number + 1]
        found = cross_entropy(one, target, class_weights=weights)[0] + dice(one, target, classes=classes)[0]
        wanted = ce_dice_loss(one, target, torch.tensor(weights), classes)
        assert found.item() == pytest.approx(wanted.item(), abs=1e-6)


def test_a_class_that_is_absent_has_no_dice() -> None:
    logits, targets, _ = example()
    alone = dice(logits[1:2], targets[1:2])
    assert alone[0].item() == 0 and alone[1].item() == 1
    both = dice(logits[1:2], targets[1:2], classes=(1, 2))[0]
    assert both.item() == pytest.approx(dice(logits[1:2], targets[1:2], classes=(2,))[0].item())


def test_with_two_classes_a_non_target_is_background() -> None:
    logits, targets, _ = example()
    merged = torch.where(targets == 2, 0, targets)
    for name in ("ce", "focal", "dice", "distance l1", "laplacian bce"):
        loss, options = LOSSES[name]
        options = {key: (1,) if key == "classes" else value for key, value in options.items() if key != "alpha"}
        found, wanted = (loss(logits[:, :2], each, **options) for each in (targets, merged))
        torch.testing.assert_close(found, wanted)


def test_half_precision_and_small_integers() -> None:
    logits, targets, _ = example()
    for name in LOSSES:
        rounded = logits.to(torch.bfloat16)
        found, count = call(name, rounded, targets.to(torch.uint8))
        assert found.dtype == count.dtype == torch.float32
        assert found.item() == pytest.approx(call(name, rounded.double(), targets)[0].item(), rel=1e-4)


def test_a_network_that_is_sure_has_a_finite_gradient() -> None:
    _, targets, _ = example()
    right = functional.one_hot(torch.where(targets == IGNORE, 0, targets), 3).movedim(3, 1) * 200.0
    for name, sign in ((name, sign) for name in LOSSES for sign in (1, -1)):
        logits = (sign * right).requires_grad_()
        loss, _ = call(name, logits, targets)
        loss.backward()
        assert torch.isfinite(loss) and torch.isfinite(logits.grad).all(), name
        if sign > 0 and name not in ("triplet", "info nce", "laplacian bce"):  # whose optimum is not 0 here
            assert loss.item() < 1e-3, name


def test_what_is_refused() -> None:
    logits, targets, _ = example()
    with pytest.raises(InputError, match=r"2 class weights for 3 classes; give one for each"):
        cross_entropy(logits, targets, class_weights=(1, 2))
    with pytest.raises(InputError, match=r"a network of 2 classes has no class 2; use 0\.\.1"):
        dice(logits[:, :2], targets, classes=(2,))
    with pytest.raises(InputError, match="at least one class"):
        dice(logits, targets, classes=())
    with pytest.raises(InputError, match="known: distance, laplacian"):
        boundary(logits, targets, method="sobel")
    with pytest.raises(InputError, match="0 is cross-entropy"):
        focal(logits, targets, gamma=-1)
