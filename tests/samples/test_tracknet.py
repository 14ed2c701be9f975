from __future__ import annotations

import csv
from collections import Counter
from functools import cache
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from kaname.data.formats import tracknet as tracknet_format
from kaname.data.video import frames
from kaname.errors import InputError
from kaname.samples import rally, tracknet
from kaname.samples.axes import Draws
from kaname.samples.ball import ball_cover
from kaname.samples.court import aim
from kaname.samples.match_axes import AXES
from kaname.samples.weather import even_bytes

SMALL = (144, 256)
WIDE = (288, 512)
LENGTH = 32


@cache
def clip(index: int, variety: str = "full", size: tuple[int, int] = WIDE) -> tracknet.Clip:
    return tracknet.film(5, index, size=size, until=LENGTH / 30, variety=variety)


@cache
def survey() -> list[tracknet.Shot]:
    """A set of moderate size, shared by the tests that count."""
    return [clip(index, size=SMALL).shot(frame) for index in range(20) for frame in range(LENGTH)]


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "Label.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def centroid(difference: np.ndarray) -> np.ndarray:
    """Centre of a picture's weight in continuous coordinates, measured without the package's own grid."""
    ys, xs = np.mgrid[: difference.shape[0], : difference.shape[1]]
    return np.array([(difference * (xs + 1 / 2)).sum(), (difference * (ys + 1 / 2)).sum()]) / difference.sum()


def test_labels_lie_on_the_centre_of_the_drawn_ball() -> None:
    """Whole clips with and without the ball in its own colour, before tones and noise, which would bend the weights."""
    errors = []
    for index in range(10):
        film = tracknet.film(5, index, size=(360, 640), until=LENGTH / 30, without=("bleed",))
        for frame in range(0, LENGTH, 3):
            shown = film.shot(frame, developed=False)
            if shown.visibility != 1 or shown.streak > 2 or shown.hidden > 0:
                continue
            if shown.status != rally.FLYING:  # the way bends during the exposure
                continue
            without = film.shot(frame, ball=False, developed=False)
            assert np.array_equal(shown.point, without.point)
            change = shown.image.astype(float) - without.image
            # the share of the ball in each pixel: what changed of what could have changed
            possible = np.abs(np.array(film.match.colour) - without.image.astype(float))
            share = np.abs(change).sum(axis=2) / np.maximum(possible.sum(axis=2), 1)
            errors.append(centroid(share) - shown.point)
    assert len(errors) >= 20
    assert np.abs(errors).max() <= 0.15
    assert np.abs(np.mean(errors, axis=0)).max() <= 0.02


@pytest.mark.parametrize("radius", [0.8, 1.7, 4.0])
@pytest.mark.parametrize("length", [0.0, 3.0, 14.0])
def test_ball_cover_has_its_centre_and_its_area(radius: float, length: float) -> None:
    for turn in (0.3, 1.9):
        middle = np.array([40.3, 30.85])
        way = np.linspace(-0.5, 0.5, 24)[:, None] * length * np.array([np.cos(turn), np.sin(turn)])
        x, y, cover = ball_cover(middle + way, radius, 0.6, (60, 80))
        np.testing.assert_allclose(centroid(cover) + np.array([x, y]), middle, atol=0.02)
        assert cover.sum() == pytest.approx(np.pi * radius**2, rel=0.03)
        assert 0 <= cover.min() <= cover.max() <= 1
    assert ball_cover(np.array([[-50.0, 10.0]]), radius, 0.6, (60, 80))[2].size == 0


def test_a_ball_partly_outside_covers_only_the_picture() -> None:
    x, y, cover = ball_cover(np.array([[0.5, 59.5]]), 3.0, 0.6, (60, 80))
    assert x == 0
    assert y + cover.shape[0] == 60


def test_a_flight_follows_gravity_and_arrives() -> None:
    start, target = np.array([1.0, -11.0, 2.7]), np.array([-2.0, 5.5, rally.RADIUS])
    flight = rally.launch(2.0, start, target, 0.6, 9.81, 3.0, rally.BOUNCE)
    np.testing.assert_allclose(flight.at(2.0), start)
    np.testing.assert_allclose(flight.at(2.6), target, atol=1e-9)
    step = 1e-4
    for time in (2.1, 2.4):
        speed = (flight.at(time + step) - flight.at(time - step)) / (2 * step)
        np.testing.assert_allclose(flight.velocity_at(time), speed, atol=1e-6)
        pull = (flight.velocity_at(time + step) - flight.velocity_at(time - step)) / (2 * step)
        np.testing.assert_allclose(pull, [0, 0, -9.81] - speed / 3.0, atol=1e-5)
    # without air: the fall of school physics
    free = rally.Flight(0.0, 1.0, start, np.array([3.0, 4.0, 5.0]), 9.81, 1e6)
    np.testing.assert_allclose(free.at(0.8), start + np.array([2.4, 3.2, 4.0 - 9.81 * 0.32]), atol=1e-4)


def test_events_are_where_they_say() -> None:
    for seed in range(12):
        play = rally.play(np.random.default_rng(seed), 30.0)
        times = [flight.start for flight in play.flights]
        assert times == sorted(times)
        for flight, after in pairwise(play.flights):
            end = flight.at(flight.end)
            assert end[2] >= 0
            if flight.event == rally.BOUNCE:
                assert end[2] == pytest.approx(rally.RADIUS, abs=1e-3)
            if after.start == flight.end:  # the ball does not jump
                np.testing.assert_allclose(after.place, end, atol=2e-3)
            if flight.event == rally.HIT:
                strokes = [stroke for side in (-1, 1) for stroke in play.strokes[side] if stroke.time == flight.end]
                assert len(strokes) == 1
                np.testing.assert_allclose(strokes[0].contact, end, atol=1e-9)
                assert play.status(flight.end - 0.01, flight.end + 0.01) == rally.HIT
        assert play.status(-2.0, -1.0) == rally.FLYING


def test_balls_pass_over_the_net_or_stay_in_it() -> None:
    crossings = 0
    for seed in range(12):
        for flight in rally.play(np.random.default_rng(seed), 30.0).flights:
            way = flight.at(np.linspace(flight.start, flight.end, 400))
            if way[0, 1] * way[-1, 1] < 0 and flight.velocity[1] != 0:
                step = int(np.argmax(np.sign(way[:, 1]) != np.sign(way[0, 1])))
                if abs(way[step, 0]) < rally.POST:
                    crossings += 1
                    assert way[step, 2] > rally.net_height(way[step, 0]) - 0.05
    assert crossings > 50


def test_a_longer_plan_does_not_change_what_comes_before() -> None:
    short, long = (rally.play(np.random.default_rng(3), until) for until in (4.0, 40.0))
    times = np.arange(0, 4, 0.01)
    np.testing.assert_array_equal(short.ball(times), long.ball(times))
    for time in times[::10]:
        for side in (-1, 1):
            np.testing.assert_array_equal(short.player(side, time), long.player(side, time))
            assert (short.stroke(side, time) is None) == (long.stroke(side, time) is None)


def test_the_camera_projects_and_warps_alike() -> None:
    view = aim(Draws(1, AXES, frozenset(AXES)), (720, 1280))
    near, far = (
        view.project(np.array([[-5.485, -11.885, 0], [5.485, -11.885, 0.0]])),
        view.project(np.array([[-5.485, 11.885, 0], [5.485, 11.885, 0.0]])),
    )
    assert (np.concatenate([near, far]) > 0).all()
    assert (np.concatenate([near, far]) < [1280, 720]).all()
    assert near[1, 0] - near[0, 0] > 1.4 * (far[1, 0] - far[0, 0])
    assert near[0, 1] > far[0, 1]
    moved, canvas = view.turned(0.02, -0.01, 1.03), view.canvas(0.1, 2)
    ground = np.random.default_rng(0).uniform([-5, -11, 0], [5, 11, 2], (20, 3))
    assert np.abs(moved.project(ground) - view.project(ground)).max() > 5
    source = np.column_stack([canvas.project(ground) - 1 / 2, np.ones(20)]) @ moved.warp_from(canvas).T
    np.testing.assert_allclose(source[:, :2] / source[:, 2:] + 1 / 2, moved.project(ground), atol=1e-6)
    # a turn to the right moves the picture to the left, a turn upwards moves it down
    assert (view.turned(0.02, 0, 1).project(ground)[:, 0] < view.project(ground)[:, 0]).all()
    assert (view.turned(0, 0.02, 1).project(ground)[:, 1] > view.project(ground)[:, 1]).all()


def test_a_frame_depends_on_seed_clip_and_frame_alone() -> None:
    one, again = clip(3), tracknet.film(5, 3, size=WIDE, until=9.0)
    for frame in (7, 0):  # any order, any length of the plan
        first, second = one.shot(frame), again.shot(frame)
        assert np.array_equal(first.image, second.image)
        np.testing.assert_array_equal(first.point, second.point)
        assert (first.visibility, first.status) == (second.visibility, second.status)
    assert not np.array_equal(one.shot(0).image, one.shot(1).image)
    assert not np.array_equal(one.shot(0).image, clip(4).shot(0).image)
    assert not np.array_equal(one.shot(0).image, tracknet.film(6, 3, size=WIDE).shot(0).image)


def test_clips_of_one_game_share_the_court_but_not_the_play() -> None:
    first, second = clip(1), tracknet.film(5, 11, size=WIDE)
    assert first.match is not clip(2).match
    assert np.array_equal(first.match.canvas, second.match.canvas)
    assert first.start != second.start


def test_drawing_does_not_touch_the_global_generators() -> None:
    np.random.seed(0)
    expected = np.random.RandomState(0).uniform(size=3)
    clip(0).shot(0)
    assert np.array_equal(np.random.uniform(size=3), expected)


def test_every_visibility_and_status_occurs() -> None:
    shots = survey()
    seen, statuses = Counter(shot.visibility for shot in shots), Counter(shot.status for shot in shots)
    assert set(seen) == {0, 1, 2, 3}
    assert set(statuses) == {None, 0, 1, 2}
    assert 0.6 < seen[1] / len(shots) < 0.95
    assert statuses[None] == seen[0]
    for shot in shots:
        assert shot.image.shape == (*SMALL, 3) and shot.image.dtype == np.uint8
        if shot.visibility:
            assert (shot.point >= 1 / 2).all() and (shot.point <= np.array(SMALL[::-1]) - 1 / 2).all()
        else:
            assert np.isnan(shot.point).all()


def test_visibility_follows_what_was_measured() -> None:
    shots = [shot for shot in survey() if shot.visibility]
    for shot in shots:
        assert (shot.visibility == 3) == (shot.hidden > tracknet.HIDDEN)
        if shot.contrast < tracknet.EASY[0]:
            assert shot.visibility in {2, 3}
    contrast = {value: np.mean([shot.contrast for shot in shots if shot.visibility == value]) for value in (1, 2, 3)}
    assert contrast[1] > 1.4 * contrast[2] > 1.4 * contrast[3]


def test_hidden_and_contrast_are_those_of_the_picture() -> None:
    """A ball that is wholly hidden changes no pixel, an easy one does."""
    found = Counter()
    for index in range(60):
        film = clip(index, size=SMALL)
        for frame in range(LENGTH):
            if min(found[1], 5 * found[3]) >= 5:
                break
            shot = survey()[index * LENGTH + frame] if index < 20 else film.shot(frame)
            wanted = shot.visibility == 1 or (shot.visibility == 3 and shot.hidden > 0.995)
            if wanted and found[shot.visibility] < 5:
                found[shot.visibility] += 1
                difference = cv2.absdiff(shot.image, film.shot(frame, ball=False).image).max()
                assert (difference > 20) == (shot.visibility == 1)
    assert found[1] == 5
    assert found[3] >= 1


def test_balls_have_the_size_and_the_blur_of_broadcasts() -> None:
    """From the usual place of the camera; others see larger and smaller ones."""
    diameters, streaks = [], []
    for index in range(10):
        film = tracknet.film(2, index, until=LENGTH / 30, without=("swell", "height", "distance", "zoom"))
        for frame in range(0, LENGTH, 4):
            view, time = film.view(frame), film.start + frame / 30
            place = film.play.ball([time])[0]
            if not np.isnan(place[0]):
                diameters.append(2 * film.match.ball_radius(view, place))
                ends = film.play.ball([time, time + film.match.exposure])
                streaks.append(np.linalg.norm(np.diff(view.project(ends), axis=0)))
    assert min(diameters) > 2.3
    assert max(diameters) < 9
    assert 3 < np.median(diameters) < 6
    assert np.nanmax(streaks) > 8


def test_plain_is_still_and_easy() -> None:
    film = clip(2, "plain")
    assert film.view(0) is film.view(20)
    assert not film.match.graphics
    shots = [clip(index, "plain").shot(frame) for index in range(6) for frame in range(0, LENGTH, 4)]
    seen = Counter(shot.visibility for shot in shots)
    assert seen[1] > 0.7 * len(shots)
    assert any(clip(index).drift.any() for index in range(6))


def test_write_makes_the_layout_of_the_real_set(tmp_path: Path) -> None:
    out = tracknet.write(tmp_path / "set", 5, 5, size=SMALL, games=3, clip_length=7)
    folders = sorted(path.parent.relative_to(out).as_posix() for path in out.rglob("Label.csv"))
    assert folders == ["game1/Clip1", "game1/Clip2", "game2/Clip1", "game2/Clip2", "game3/Clip1"]
    for folder, index in (("game1/Clip2", 3), ("game3/Clip1", 2)):
        text = (out / folder / "Label.csv").read_bytes()
        assert text.startswith(b"file name,visibility,x-coordinate,y-coordinate,status\n")
        rows = rows_of(out / folder)
        assert [row["file name"] for row in rows] == [f"{frame:04d}.jpg" for frame in range(7)]
        assert len(list((out / folder).glob("*.jpg"))) == 7
        film = tracknet.film(5, index, size=SMALL, game=index % 3)
        for frame, row in enumerate(rows):
            truth = film.shot(frame)
            stored = cv2.imread(str(out / folder / row["file name"]))
            assert stored is not None and np.abs(stored[..., ::-1].astype(int) - truth.image).mean() < 6
            assert int(row["visibility"]) == truth.visibility
            if truth.visibility:
                place = np.array([float(row["x-coordinate"]), float(row["y-coordinate"])])
                np.testing.assert_allclose(place + 1 / 2, truth.point, atol=0.0051)
                assert int(row["status"]) == truth.status
            else:
                assert row["x-coordinate"] == row["y-coordinate"] == row["status"] == ""


def test_the_package_reads_what_it_writes(tmp_path: Path) -> None:
    out = tracknet.write(tmp_path / "set", 4, 9, size=SMALL, clip_length=6)
    samples = tracknet_format.read(out)
    assert len(samples) == 24
    assert not tracknet_format.problems(out)
    for sample in samples:
        index = int(str(sample.meta["game"]).removeprefix("game")) - 1
        truth = tracknet.film(9, index, size=SMALL).shot(int(str(sample.frame)))
        assert sample.meta["visibility"] == truth.visibility
        np.testing.assert_allclose(sample.points["ball"][0], truth.point, atol=0.0051)


def test_count_and_length_change_nothing(tmp_path: Path) -> None:
    few = tracknet.write(tmp_path / "few", 2, 4, size=SMALL, clip_length=3)
    many = tracknet.write(tmp_path / "many", 11, 4, size=SMALL, clip_length=5)
    assert {path.name for path in many.iterdir()} == {f"game{number}" for number in range(1, 11)}
    assert (many / "game1" / "Clip2").is_dir()
    for game in ("game1", "game2"):
        assert rows_of(few / game / "Clip1") == rows_of(many / game / "Clip1")[:3]
        for path in (few / game / "Clip1").glob("*.jpg"):
            assert path.read_bytes() == (many / game / "Clip1" / path.name).read_bytes()


def test_one_clip_of_one_frame(tmp_path: Path) -> None:
    out = tracknet.write(tmp_path / "one", 1, 0, size=SMALL, clip_length=1)
    assert [path.relative_to(out).as_posix() for path in sorted(out.rglob("*.*"))] == [
        "game1/Clip1/0000.jpg",
        "game1/Clip1/Label.csv",
    ]


@pytest.mark.parametrize("size", [(97, 131), (64, 64), (301, 180), (65, 400)])
@pytest.mark.parametrize("variety", tracknet.VARIETIES)
def test_odd_and_unusual_sizes(size: tuple[int, int], variety: str) -> None:
    for index in range(3):
        film = tracknet.film(1, index, size=size, variety=variety)
        for frame in (0, 11, 25):
            assert film.shot(frame).image.shape == (*size, 3)


def test_quality_is_that_of_the_files(tmp_path: Path) -> None:
    sizes = []
    for quality in (30, 95):
        out = tracknet.write(tmp_path / str(quality), 1, 0, size=SMALL, clip_length=1, quality=quality)
        sizes.append((out / "game1" / "Clip1" / "0000.jpg").stat().st_size)
    assert sizes[0] < 0.6 * sizes[1]


@pytest.mark.parametrize("size", [SMALL, (97, 131)])
def test_a_video_holds_the_frames_of_its_truth(tmp_path: Path, size: tuple[int, int]) -> None:
    rows = tracknet.write_video(tmp_path / "match.mp4", 5, index=2, size=size, length=12)
    film = tracknet.film(5, 2, size=size)
    found = list(frames(tmp_path / "match.mp4"))
    assert [row.frame for row in rows] == list(range(12)) == [frame.index for frame in found]
    assert [frame.seconds for frame in found] == pytest.approx([index / 30 for index in range(12)], abs=1e-3)
    for row, frame in zip(rows, found, strict=True):
        truth = film.shot(row.frame)
        assert frame.image.shape == (*size, 3)
        assert np.abs(frame.image.astype(int) - truth.image).mean() < 8
        assert (row.visibility, row.status) == (truth.visibility, truth.status)
        np.testing.assert_array_equal([row.x, row.y], truth.point)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"count": 0}, "count"),
        ({"seed": -1}, "seed"),
        ({"size": (20, 200)}, "height"),
        ({"size": (200, 9999)}, "4096"),
        ({"games": 0}, "games"),
        ({"clip_length": 0}, "frames"),
        ({"clip_length": 10000}, "9999"),
        ({"quality": 0}, "quality"),
        ({"variety": "rich"}, "variety"),
    ],
)
def test_bad_values_are_refused_with_a_remedy(tmp_path: Path, change: dict, words: str) -> None:
    values = {"count": 1, "seed": 0, "size": SMALL} | change
    with pytest.raises(InputError, match=words) as caught:
        tracknet.write(tmp_path / "new", **values)
    assert caught.value.remedy
    assert not (tmp_path / "new").exists()


def test_a_folder_with_content_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        tracknet.write(tmp_path, 1, 0, size=SMALL)
    with pytest.raises(InputError, match="not a folder"):
        tracknet.write(tmp_path / "kept.txt", 1, 0, size=SMALL)
    assert (tmp_path / "kept.txt").read_text() == "mine"


def test_a_video_of_bad_quality_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="51"):
        tracknet.write_video(tmp_path / "a.mp4", 0, quality=52)
    assert not (tmp_path / "a.mp4").exists()


@pytest.mark.parametrize("shape", [(3, 5, 3), (8,), (720, 1280, 3)])
def test_bytes_drawn_eight_at_once_are_the_same(shape: tuple[int, ...]) -> None:
    plain = np.random.default_rng(5).integers(0, 256, shape, dtype=np.uint8)
    np.testing.assert_array_equal(even_bytes(np.random.default_rng(5), shape), plain)
