from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from kaname.data.formats import landmarks
from kaname.data.formats.skeleton import Skeleton, read
from kaname.errors import InputError
from kaname.geometry.image import read_image
from kaname.samples import landmark
from kaname.samples.attire import paint_ears
from kaname.samples.axes import Draws
from kaname.samples.camera import Array
from kaname.samples.face_axes import AXES, UPRIGHT
from kaname.samples.features import paint_brows, paint_eyes, paint_mouth, paint_nose, paint_skin
from kaname.samples.hair import paint_front
from kaname.samples.head import Head, draw_head, smooth
from kaname.samples.ink import Painter, draw_style

SKELETON = read(Path("configs/skeleton/anime-face-28.yaml"))
WHITE_PAPER = 255


def face(index: int, size: int = 96) -> landmark.Face:
    return landmark.render(np.random.default_rng([3, index]), size)


@pytest.fixture(scope="module")
def faces() -> list[landmark.Face]:
    return [face(i) for i in range(40)]


def painter(seed: int, *, plain: bool = False, unit: float = 200.0) -> Painter:
    """An empty sheet for one random head in its pose."""
    draws = drawn_for(seed, plain=plain)
    head = draw_head(draws, unit, np.array([300.3, 290.7]))
    style = draw_style(drawn_for(seed, plain=True))
    sheet = np.full((700, 600, 3), WHITE_PAPER, np.uint8)
    return Painter(draws, sheet, head, style, np.zeros(sheet.shape[:2], np.uint8))


def drawn_for(seed: int, *, plain: bool = False) -> Draws:
    return Draws(seed, AXES, frozenset(AXES.keys() - UPRIGHT if plain else ()))


def drawn(sheet: np.ndarray) -> Array:
    """Continuous places of all pixels that were painted, measured without the package's own grid."""
    rows, columns = np.nonzero((sheet != WHITE_PAPER).any(axis=2))
    return np.column_stack([columns, rows]).astype(np.float64) + 1 / 2


def blank(sheet: np.ndarray) -> Array:
    """The places of all pixels that were not."""
    return drawn(np.where((sheet != WHITE_PAPER).any(axis=2, keepdims=True), WHITE_PAPER, 0))


def nearest(places: Array, point: Array) -> float:
    return float(np.hypot(*(places - point).T).min())


def upright(paint: Painter) -> Array:
    """The matrix that takes the head's roll away from image points (rows), keeping pixels."""
    return np.asarray((np.linalg.inv(paint.head.turn) * paint.head.unit).T, np.float64)


@pytest.mark.parametrize("seed", range(6))
def test_features_lie_at_the_points_in_any_pose(seed: int) -> None:
    """Each feature alone on an empty sheet leaves ink at its points, whatever the pose."""
    for paint, names in (
        (lambda p: paint_brows(p, 1.0), range(5, 11)),
        (paint_mouth, (24, 25, 26)),
        (paint_skin, range(5)),
        (paint_eyes, range(11, 23)),
        (paint_nose, (23,)),
    ):
        sheet = painter(seed)
        paint(sheet)
        places, points = drawn(sheet.image), sheet.head.landmarks()
        if not len(places):  # a face without a nose
            assert names == (23,)
            continue
        for name in names:
            assert nearest(places, points[name]) < 4, name
            if paint is paint_skin and sheet.head.kind == "human":  # on the rim, not somewhere in the skin
                assert nearest(blank(sheet.image), points[name]) < sheet.pen + 3


def test_brows_and_closed_lids_run_through_their_points_in_any_pose(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a tenth of a pixel of the middle of the stroke, whose edges are whole pixels away."""
    lines: list[Array] = []

    def ribbon(
        sheet: Painter, curve: Array, widths: Array, ink: object, lift: float = 0.0, opacity: float = 1.0
    ) -> None:
        lines.append(sheet.head.project(curve, lift))

    monkeypatch.setattr(Painter, "ribbon", ribbon)
    closed = 0
    for seed in range(120):
        sheet = painter(seed, unit=100.0)
        names = list(range(5, 11))
        paint_brows(sheet, 1.0)
        if "open" not in sheet.head.eyes:
            paint_eyes(sheet)
            names += range(11, 23)
            closed += 1
        for name in names:
            assert min(_distance(sheet.head.landmarks()[name], line) for line in lines) < 0.1, (seed, name)
        lines.clear()
    assert closed > 5


def _distance(point: Array, line: Array) -> float:
    """From a point to a polyline."""
    start, along = line[:-1], np.diff(line, axis=0)
    share = np.clip(((point - start) * along).sum(axis=1) / np.maximum((along**2).sum(axis=1), 1e-12), 0, 1)
    return float(np.linalg.norm(start + share[:, None] * along - point, axis=1).min())


def test_brows_that_are_painted_over_the_hair_are_not_hidden() -> None:
    for opacity, seen in ((1.0, True), (0.4, False)):
        for seed in range(6):
            sheet = painter(seed, unit=100.0)
            sheet.cover[:] = 255  # as if hair lay everywhere
            paint_brows(sheet, opacity)
            columns, rows = np.floor(sheet.head.landmarks()[5:11]).astype(int).T
            assert ((sheet.cover[rows, columns] < 128) == seen).all()


def test_ears_that_are_painted_last_cover_what_is_under_them() -> None:
    for kind in ("dog", "fox", "bear"):
        for front in (True, False):
            sheet = painter(1, unit=100.0)
            paint_ears(sheet, kind, low=False, front=front)
            ink = (sheet.image != WHITE_PAPER).any(axis=2)
            within = cv2.erode(ink.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
            assert within.sum() > 500 and (sheet.cover[within] == 255 * front).mean() > 0.99


def test_corners_of_a_mouth_and_of_brows_are_where_the_ink_ends() -> None:
    for seed in range(12):
        sheet = painter(seed, plain=True)
        paint_mouth(sheet)
        across = drawn(sheet.image) @ upright(sheet)
        points = sheet.head.landmarks() @ upright(sheet)
        # half of the line, which is whole pixels wide, its antialiased rim of 1.5, and half a pixel's diagonal
        rim = round(sheet.pen) / 2 + 1.5 + 0.5 * 2**0.5
        assert abs(across[:, 0].min() - points[24, 0]) < rim
        assert abs(across[:, 0].max() - points[26, 0]) < rim
        sheet.image[:] = WHITE_PAPER
        paint_brows(sheet, 1.0)
        across = drawn(sheet.image) @ upright(sheet)
        assert abs(across[:, 0].min() - points[5, 0]) < 4.5
        assert abs(across[:, 0].max() - points[10, 0]) < 4.5


def test_the_chin_is_the_lowest_ink_of_a_face_that_looks_ahead() -> None:
    for seed in range(12):
        sheet = painter(seed, plain=True)
        paint_skin(sheet)
        down = (drawn(sheet.image) @ upright(sheet))[:, 1].max()
        assert abs(down - (sheet.head.landmarks() @ upright(sheet))[2, 1]) < sheet.pen + 2


def test_lids_enclose_the_eye() -> None:
    """The ink of an eye reaches all six points, and the lower lid's middle is the lowest of the white and iris."""
    for seed in range(12):
        sheet = painter(seed, plain=True)
        paint_eyes(sheet)
        places, points = drawn(sheet.image), sheet.head.landmarks()
        assert all(nearest(places, points[name]) < 4.5 for name in range(11, 23))
        left = places[places[:, 0] < points[23, 0]] @ upright(sheet)
        lid = (points @ upright(sheet))[14:17, 1].max()
        assert abs(left[:, 1].max() - lid) < 8


def test_a_turned_head_shows_less_of_its_far_side() -> None:
    head = painter(0).head
    ahead, aside = (Head(**{**vars(head), "yaw": yaw, "pitch": 0.0, "turn": np.eye(2)}) for yaw in (0.0, 0.6))
    before, after = ahead.landmarks(), aside.landmarks()
    assert np.allclose(before[:, 1], after[:, 1], atol=1e-9)
    far, near = after[23, 0] - after[0, 0], after[4, 0] - after[23, 0]
    assert 0 < far < 0.6 * near
    assert before[23, 0] - before[0, 0] == pytest.approx(before[4, 0] - before[23, 0], rel=0.02)
    np.testing.assert_allclose(aside.project(head.points, head.lifts), after)


def test_curves_pass_through_their_points() -> None:
    points = np.random.default_rng(0).normal(size=(5, 2))
    np.testing.assert_allclose(smooth(points, steps=4)[::4], points, atol=1e-12)
    np.testing.assert_allclose(smooth(points, closed=True, steps=4)[::4], points, atol=1e-12)


def test_hidden_is_what_hair_lies_over(faces: list[landmark.Face]) -> None:
    haired = 0
    for seed in range(8):
        sheet = painter(seed, unit=100.0)
        before = sheet.image.copy()
        paint_front(sheet)
        painted = (sheet.image != before).any(axis=2)
        haired += sheet.cover.any()
        if not sheet.cover.any():
            continue
        assert painted[sheet.cover > 127].mean() > 0.97  # the rest is hair as white as the paper
    assert haired > 4
    hidden = np.mean([one.hidden for one in faces], axis=0)
    assert hidden[5:11].mean() > 0.25  # brows under hair
    assert 0 < hidden[11:23].mean() < 0.4
    assert hidden[24:28].mean() < 0.15


def test_faces_vary_and_plain_heads_do_not_roll(faces: list[landmark.Face]) -> None:
    for one in faces:
        assert one.image.shape == (96, 96, 3)
        assert one.image.dtype == np.uint8
        assert one.visible.sum() >= 20
        assert np.isnan(one.points[~one.visible]).all()
        assert (one.points[one.visible] >= 0).all()
        assert (one.points[one.visible] <= 96).all()
        assert not (one.hidden & ~one.visible).any()
    assert np.mean([one.visible.all() for one in faces]) > 0.9
    colours = [np.ptp(one.image.astype(int), axis=2).mean() for one in faces]
    assert min(colours) < 2  # a grey
    assert max(colours) > 30  # strong colours
    for plain, least, most in ((False, 12, 60), (True, 0, 6)):
        heads = [draw_head(drawn_for(i, plain=plain), 1.0, np.zeros(2)) for i in range(60)]
        assert least <= np.std([np.degrees(_roll(head.landmarks())) for head in heads]) <= most
    spans = [np.ptp(one.points, axis=0).max() / 96 for one in faces if one.visible.all()]
    assert min(spans) < 0.35
    assert max(spans) > 0.55


def _roll(points: Array) -> float:
    across = points[17:23].mean(axis=0) - points[11:17].mean(axis=0)
    return float(np.arctan2(across[1], across[0]))


def test_a_face_depends_on_seed_and_index_alone(tmp_path: Path) -> None:
    first, again, other = face(4), face(4), face(5)
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.points, again.points)
    assert not np.array_equal(first.image, other.image)
    for name, count in (("few", 2), ("more", 4)):
        landmark.write(tmp_path / name, count=count, size=96, seed=8)
    for kind, name in (("images", "face_000001.jpg"), ("annotated", "face_000001.json")):
        assert (tmp_path / "few" / kind / name).read_bytes() == (tmp_path / "more" / kind / name).read_bytes()


def test_a_written_set_is_what_the_recipe_reads(tmp_path: Path) -> None:
    out = landmark.write(tmp_path / "faces", count=6, size=128, seed=1)
    assert landmarks.problems(out / "annotated", out / "images") == []
    samples = landmarks.read(out / "annotated", out / "images", skeleton=SKELETON)
    assert len(samples) == 6
    for index, sample in enumerate(samples):
        truth = landmark.render(np.random.default_rng([1, index]), 128)
        seen = truth.visible
        read_points = np.concatenate([sample.points[name] for name in SKELETON.names])
        np.testing.assert_allclose(read_points[seen], truth.points[seen], atol=0.006)
        assert sample.size == read_image(sample.image).shape[:2] == (128, 128)
    content = json.loads((out / "annotated" / "face_000000.json").read_text(encoding="utf-8"))
    assert content["image_size"] == {"width": 128, "height": 128}
    assert content["skeleton"] == SKELETON.name
    assert content["finished"] is True


def test_the_skeletons_mean_face_is_that_of_the_renders() -> None:
    heads = [draw_head(drawn_for(900 + i), 1.0, np.zeros(2)) for i in range(400)]
    mean = np.mean([_fractions(one.landmarks()) for one in heads], axis=0)
    assert list(SKELETON.positions) == list(SKELETON.names)
    stated = np.array([SKELETON.positions[name] for name in SKELETON.names])
    assert np.abs(mean - stated).max() < 0.02
    np.testing.assert_allclose(stated, stated[SKELETON.permutation] * [-1, 1] + [1, 0], atol=0.0011)


def test_the_mean_face_is_near_that_of_real_faces(shared_data: Path) -> None:
    samples = landmarks.read(shared_data / "landmark/anime/annotated", skeleton=SKELETON)
    real = np.array([np.concatenate([one.points[name] for name in SKELETON.names]) for one in samples])
    mean = np.nanmean([_fractions(points) for points in real], axis=0)
    mean = (mean + mean[SKELETON.permutation] * [-1, 1] + [1, 0]) / 2
    stated = np.array([SKELETON.positions[name] for name in SKELETON.names])
    assert np.abs(mean - stated).mean() < 0.015
    assert np.abs(mean - stated).max() < 0.05


def _fractions(points: Array) -> Array:
    """Of the box, of a face turned upright."""
    across = np.nanmean(points[17:23], axis=0) - np.nanmean(points[11:17], axis=0)
    cos, sin = across / np.hypot(*across)
    points = points @ np.array([[cos, -sin], [sin, cos]])
    low, high = np.nanmin(points, axis=0), np.nanmax(points, axis=0)
    half = (high - low) / 2 * landmark.WIDENING
    return (points - (low + high) / 2 + half) / (2 * half)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [({"count": 0}, "count"), ({"seed": -1}, "seed"), ({"size": 8}, "size"), ({"variety": "full"}, "rich, plain")],
)
def test_values_out_of_range_are_refused(tmp_path: Path, wrong: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        landmark.write(tmp_path / "out", **{"count": 1, **wrong})  # pyright: ignore[reportArgumentType]
    assert not (tmp_path / "out").exists()


def test_the_skeleton_has_its_28_points() -> None:
    assert isinstance(SKELETON, Skeleton)
    assert len(SKELETON.names) == 28
    assert SKELETON.name == landmark.SKELETON
