from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from axis_lists import check_ranges
from kaname.errors import InputError
from kaname.samples import tracknet
from kaname.samples.axes import table
from kaname.samples.ball import bled
from kaname.samples.match_axes import AXES, PLAIN

DOCS = Path(__file__).resolve().parents[2] / "docs" / "tracknet.md"
SMALL = (96, 160)
MATCHES = 60
STILL = ("light", "camera", "dirt", "drift")


@cache
def film(
    match: int, without: frozenset[str] = frozenset(), variety: str = "full", size: tuple[int, int] = SMALL
) -> tracknet.Clip:
    return tracknet.film(4, match, size=size, game=match, until=2.0, without=without, variety=variety)


def draw(match: int, *without: str, frame: int = 20) -> tracknet.Shot:
    return film(match, frozenset(without)).shot(frame)


def matches_with(name: str) -> list[int]:
    """Matches in which an axis takes part."""
    return [match for match in range(MATCHES) if film(match).traits[name] != AXES[name].off]


def test_mown_stripes_end_with_the_ground() -> None:
    """Of these the last one begins at the ground's very edge and has no width."""
    for seed, match in ((5, 23), (5, 33), (6, 16)):
        clip = tracknet.film(seed, 0, size=SMALL, game=match, until=2.0)
        assert clip.traits["stripes"] != AXES["stripes"].off and clip.shot(20).image.any()


def test_every_axis_takes_part_and_stays_in_its_range() -> None:
    check_ranges(AXES, [film(match).traits for match in range(MATCHES)])


@pytest.mark.parametrize("name", sorted(AXES))
def test_a_match_without_an_axis_is_the_same_match_in_everything_else(name: str) -> None:
    changed, size = False, (360, 640) if name in ("focus", "swell") else SMALL  # small pictures have the least
    for match in matches_with(name)[:4]:
        one, two = film(match, size=size), film(match, frozenset({name}), size=size)
        assert two.traits == {**one.traits, name: AXES[name].off}
        for frame in (5, 20, 40):
            first, second = one.shot(frame), two.shot(frame)
            changed |= not np.array_equal(first.image, second.image)
            if AXES[name].group != "geometry" and first.visibility and second.visibility:
                np.testing.assert_array_equal(first.point, second.point)
    assert changed


@pytest.mark.parametrize("name", ["chair", "furniture", "balls", "score", "logo", "ticker", "dots", "caps", "socks",
                                  "shirts", "white_shoes", "other_lines", "lettering", "net_signs"])  # fmt: skip
def test_what_an_axis_draws_leaves_the_rest_of_the_picture_alone(name: str) -> None:
    """Without light and camera, which spread a change over the picture, nearly all pixels stay to the bit."""
    for match in matches_with(name)[:3]:
        one, two = draw(match, *STILL), draw(match, *STILL, name)
        assert (one.image == two.image).all(axis=2).mean() > 0.75


def test_the_ball_stays_where_it_is_in_half_frames() -> None:
    """Both half frames together have their middle in the middle of the exposure."""
    for kind in ("blended", "combed"):
        chosen = [match for match in matches_with("fields") if film(match).traits["fields"] == kind]
        errors = []
        for match in chosen:
            clip = tracknet.film(4, match, size=(360, 640), game=match, until=2.0, without=STILL[:1])
            for frame in range(0, 60, 4):
                shown = clip.shot(frame, developed=False)
                if shown.visibility != 1 or shown.hidden > 0 or shown.streak > 25:
                    continue
                empty = clip.shot(frame, ball=False, developed=False)
                share = np.abs(shown.image.astype(float) - empty.image).sum(axis=2)
                ys, xs = np.mgrid[: share.shape[0], : share.shape[1]] + 1 / 2
                errors.append(np.array([(share * xs).sum(), (share * ys).sum()]) / share.sum() - shown.point)
        assert len(errors) > 10
        assert np.abs(np.median(errors, axis=0)).max() < 0.3


def test_a_ball_that_takes_the_tint_around_it_stays_as_bright() -> None:
    blue = np.full((5, 5, 3), (60.0, 100.0, 160.0), np.float32)
    np.testing.assert_allclose(bled((230, 250, 120), 0.0, blue), [230, 250, 120])
    for share in (0.5, 1.0):
        colour = bled((230, 250, 120), share, blue)
        assert colour.mean() == pytest.approx(200, abs=1)
        assert colour[2] > 120
    np.testing.assert_allclose(colour - colour.mean(), blue[0, 0] - blue[0, 0].mean(), atol=1)


def test_frames_depend_on_their_clip_and_number_alone_whatever_is_left_out() -> None:
    for off in ((), ("camera",), ("geometry", "flyers")):
        one, two = (tracknet.film(4, 3, size=SMALL, until=until, without=off) for until in (2.0, 5.0))
        for frame in (9, 3):
            assert np.array_equal(one.shot(frame).image, two.shot(frame).image)


def test_groups_are_switched_off_together_and_unknown_names_refused(tmp_path: Path) -> None:
    camera = [name for name, axis in AXES.items() if axis.group == "camera"]
    assert np.array_equal(draw(3, "camera").image, draw(3, *camera).image)
    with pytest.raises(InputError, match="'bals'") as caught:
        tracknet.write(tmp_path / "out", 1, 0, size=SMALL, clip_length=1, without=("bals",))
    assert "balls" in str(caught.value.remedy)
    assert not (tmp_path / "out").exists()


def test_plain_matches_have_but_their_few_axes() -> None:
    for match in range(10):
        traits = film(match, variety="plain").traits
        assert traits == {name: PLAIN.get(name, axis.off) for name, axis in AXES.items()}


def test_the_documented_list_is_the_list() -> None:
    assert table(AXES) in DOCS.read_text(encoding="utf-8")


@pytest.mark.parametrize(("index", "frame"), [(0, 25), (20, 45), (30, 25)])
def test_what_resolution_and_codec_have_wiped_out_is_not_easy(index: int, frame: int) -> None:
    clip = tracknet.film(21, index, size=(288, 512), until=3.0)
    shot, without = clip.shot(frame), clip.shot(frame, ball=False)
    near = tuple(slice(int(at) - 6, int(at) + 7) for at in shot.point[::-1])
    assert cv2.absdiff(shot.image, without.image)[near].max() < 16, "the case is a ball that hardly shows"
    assert shot.visibility == 2 and shot.contrast < 12
