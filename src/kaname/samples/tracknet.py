"""Rendered tennis broadcasts with exact truth, and data sets of them in the recipe's real file format.

``film`` plans one clip, whose ``shot(i)`` is one frame with its label; ``write`` makes a whole data set and
``write_video`` one H.264 file. The ball flies in three dimensions (``kaname.samples.rally``), so its centre, its hits
and its bounces are known exactly; the label is the ball's centre in the middle of the exposure. Visibility is
measured on the picture, with and without the ball: 0 no ball in the image, 3 mostly covered, 2 hard to see (less
contrast than ``EASY`` asks for), 1 easy.

Adding a new look: a line in ``match_axes.AXES``, and code that asks for it in the room it belongs to (``ground`` and
``court``: what does not move, ``players``: figures, ``surroundings``: onlookers, things, graphics, ``match``: ball and
lens; here: camera work and development). Pictures of a seed change only by what the new axis draws.
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from ..data.formats.tracknet_table import COLUMNS, LABELS
from ..data.photo import recompressed
from ..data.randomness import generator
from ..data.video import address, silence
from ..files import whole_file, whole_folder, whole_path
from ..geometry.grid import PIXELS, centres
from ..types import Image, Size
from . import rally
from .axes import Draws, Value, check_without
from .ball import ball_cover, bled, comb_cover, developed, shadow, stamp_ball
from .camera import Array, blend
from .court import View
from .match import RATE, ROOM, Match, draw_axes, stage_match
from .match_axes import AXES
from .players import Cover, figure, paint
from .writing import SIDE, VARIETIES, check_choice, check_ranges, save_jpeg

Covers = list[tuple[int, int, Cover]]  # corner (x, y) of a part of the picture, and how much of it is covered
GAMES = 10
OWN = ("drift", "flyers")  # axes that are drawn for each clip
NOWHERE = np.full(2, np.nan)
BLUR_STEPS = 24  # moments of the exposure at which the ball is drawn
HIDDEN = 0.7  # share of the ball that must be covered to call it occluded
EASY = (12.0, 0.3)  # grey levels, and share of the surroundings' own variation, that an easy ball stands out by


@dataclass(frozen=True)
class Shot:
    """One frame and its truth.

    Attributes:
        image: RGB uint8 ``(height, width, 3)``.
        visibility: 0 no ball in the frame, 1 easy, 2 hard to see, 3 occluded.
        point: ``(2,)`` centre of the ball in continuous pixels; NaN at visibility 0.
        status: 0 flying, 1 hit, 2 bounce; None at visibility 0.
        radius: of the ball in pixels without motion; NaN where there is none.
        streak: length in pixels of its way during the exposure.
        hidden: share of the ball that something covers, 0..1.
        contrast: grey levels by which its pixels differ from the same frame without it, weighted by their cover.
    """

    image: Image
    visibility: int
    point: Array
    status: int | None = None
    radius: float = np.nan
    streak: float = np.nan
    hidden: float = np.nan
    contrast: float = np.nan


@dataclass(frozen=True)
class Row:
    """One line of the truth: frame number, visibility, ``x, y`` in continuous pixels (NaN: no ball), status."""

    frame: int
    visibility: int
    x: float
    y: float
    status: int | None


def film(
    seed: int,
    index: int,
    *,
    size: Size = (720, 1280),
    game: int | None = None,
    until: float = 8.0,
    variety: str = "full",
    without: Iterable[str] = (),
) -> Clip:
    """Plan clip ``index``; frame i of it depends on ``seed, index, i`` (and ``game``) alone.

    Args:
        seed: 0 or more.
        index: number of the clip, from 0.
        size: ``(height, width)`` of the frames.
        game: which match's court, light and players; default ``index`` modulo 10.
        until: seconds that the plan must last at least.
        variety: ``full``, or ``plain``: a still camera, a blue hard court, a large ball, no graphics.
        without: axes of ``kaname.samples.match_axes``, or groups of them, that are switched off.

    Raises:
        InputError: an unknown axis.
    """
    plain, off = variety == "plain", check_without(AXES, without)
    match = stage_match(seed, index % GAMES if game is None else game, size, off, plain=plain)
    rng = generator(seed, 0, index, "clip")
    draws = draw_axes(generator(seed, 0, index, "clip's axes"), off, plain=plain)
    start = rng.uniform(0, 0.6) if rng.random() < 0.3 else rng.uniform(0.6, 6.0)
    moving = draws("drift")
    drift = moving.rng.normal(0, [0.012, 0.004, 0.02], 3) * float(moving.value)
    beat = np.stack([moving.rng.uniform(0.6, 2.2, 3), moving.rng.uniform(0, 2 * np.pi, 3)])
    play = rally.play(rng, start + until)
    return Clip(seed, index, match, draws, play, start, np.clip(drift, -0.03, 0.03), beat)


@dataclass(frozen=True)
class Clip:
    """One clip, planned; ``shot(i)`` renders its frames, in any order."""

    seed: int  # of the data set
    index: int  # of the clip
    match: Match  # what it shares with other clips
    draws: Draws  # axes of this clip alone: drift, flyers
    play: rally.Rally  # ball and players at any time
    start: float  # second of the play at frame 0
    drift: Array  # (3,): how far the camera turns (radians right, up) and zooms (factor less 1); 0 stands still
    beat: Array  # (2, 3): radians per second and phase of each of them

    @property
    def traits(self) -> dict[str, Value]:
        """The value of every axis."""
        return self.match.draws.traits | {name: self.draws(name).value for name in OWN}

    def view(self, frame: int) -> View:
        """The camera at a frame."""
        if not self.drift.any():
            return self.match.view
        yaw, pitch, zoom = self.drift * np.sin(self.beat[0] * frame / RATE + self.beat[1])
        return self.match.view.turned(yaw, pitch, 1 + zoom)

    def shot(self, frame: int, *, ball: bool = True, developed: bool = True) -> Shot:
        """Render one frame with its truth.

        Without ``ball`` everything but the ball itself is the same (its shadow stays); what is not ``developed`` lacks
        the broadcast's tones and the noise.
        """
        match, time, view = self.match, self.start + frame / RATE, self.view(frame)
        image = self._stage(view)
        moments, two = (centres(BLUR_STEPS) / BLUR_STEPS - centres(1)) * match.exposure, match.draws("fields").on
        if two:  # half frames, half as long
            moments = np.concatenate([moments / 2 - 1 / (4 * RATE), moments / 2 + 1 / (4 * RATE)])
        places = self.play.ball(time + moments)
        centre = self.play.ball([time])[0]
        there = not np.isnan(centre[0])
        if there:
            seen = places[~np.isnan(places[:, 0])]  # the ball may appear during the exposure
            spots, cast = view.project(seen * [1, 1, 0] + seen[:, 2:] * [*match.sun, 0]), match.draws("cast").value
            stamp_ball(image, spots, 0.8 * match.ball_radius(view, centre), match.sigma, (10, 12, 16), float(cast))
        self._flying(image, frame)
        covers = self._people(image, view, time, centre)
        for x, y, colours, share in match.graphics:
            blend(image[y : y + share.shape[0], x : x + share.shape[1]], colours, share, rounded=True)
            covers.append((x, y, share))
        if there:
            if centre[1] > 0:
                covers.append(self._net(view, view.project(centre[None])[0]))
            shot = _expose(
                image, match, view, (places, centre), covers, partial(self._develop, frame=frame), drawn=ball
            )
            if shot.visibility:
                shot = replace(shot, status=self.play.status(time - 1 / (2 * RATE), time + 1 / (2 * RATE)))
        else:
            shot = Shot(image, 0, NOWHERE)
        return replace(shot, image=self._develop(image, frame)) if developed else shot

    def _stage(self, view: View) -> Image:
        """What stands still, as the camera sees it now."""
        match = self.match
        if view is match.view:
            y, x = ((big - small) // 2 for big, small in zip(match.stage.size, view.size, strict=True))
            return match.canvas[y : y + view.size[0], x : x + view.size[1]].copy()
        return cv2.warpPerspective(
            match.canvas, view.warp_from(match.stage), view.size[::-1], borderMode=cv2.BORDER_REPLICATE
        )

    def _net(self, view: View, point: Array) -> tuple[int, int, Cover]:
        """Cover of the net around a point."""
        side = max(96, view.size[1] // 8)
        corner = np.round(point).astype(int) - side // 2
        move = np.array([[1, 0, -corner[0]], [0, 1, -corner[1]], [0, 0, 1.0]])
        cover = cv2.warpPerspective(self.match.net, move @ view.warp_from(self.match.stage), (side, side))
        return int(corner[0]), int(corner[1]), cover.astype(np.float32) / 255

    def _people(self, image: Image, view: View, time: float, ball: Array) -> Covers:
        """Draw both players; returns the covers of those who stand between camera and ball."""
        covers = []
        for side in (1, -1):
            place = self.play.player(side, time)
            speed = (self.play.player(side, time + 0.05) - self.play.player(side, time - 0.05)) / 0.1
            parts = figure(view, self.match.kits[side], place, side, time, speed, self.play.stroke(side, time))
            shadow(image, view, place, self.match.sun, self.match.sigma, float(self.match.draws("cast").value))
            cover = paint(image, parts, self.match.sigma)
            if cover is not None and ball[1] > place[1]:
                covers.append(cover)
        return covers

    def _flying(self, image: Image, frame: int) -> None:
        """Insects, birds and scraps on their ways, and the flashes of spectators."""
        flyers, (height, width) = self.draws("flyers"), (image.shape[0], image.shape[1])
        rng = self.draws.own("flights")
        for _ in range(round(flyers.value)):
            start, speed = rng.uniform(0, [width, height]), rng.normal(0, 0.25, 2) * width
            beat, phase = rng.uniform(2, 25), rng.uniform(0, 6.3)
            radius, tone = rng.uniform(0.6, 3.5) * width / 1280, int(rng.choice([15, 25, 60, 235]))
            time = frame / RATE
            place = start + speed * time + 0.02 * width * np.sin([beat * time + phase, 1.3 * beat * time])
            spot, radius = place[None] % [width, height], max(0.5, radius)
            stamp_ball(image, spot, radius, self.match.sigma, (tone, tone, tone), 0.9)
        flashes = self.match.draws("flashes")
        if flashes.on:
            now = generator(self.seed, self.index, frame, "flashes")
            for _ in range(int(now.integers(0, round(flashes.value) + 1))):
                place = now.uniform(0, [width, 0.2 * height])
                stamp_ball(image, place[None], now.uniform(1, 4) * width / 1280, self.match.sigma, (255, 255, 255))

    def _develop(self, image: Image, frame: int) -> Image:
        """Broadcast tones, the sensor's noise, resolution, sharpening and compression."""
        match, rng, draws = self.match, generator(self.seed, self.index, frame, "noise"), self.match.draws
        image = cv2.LUT(image, match.tone)
        (height, width), (y, x) = image.shape[:2], rng.integers(0, ROOM, 2)
        image = cv2.addWeighted(image, 1, match.grain[y : y + height, x : x + width], 1, -128)
        if (coarse := draws("coarse")).on:
            smaller = round(width * float(coarse.value)), round(height * float(coarse.value))
            small = cv2.resize(image, smaller, interpolation=cv2.INTER_AREA)
            image = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
        if (sharp := draws("sharpening")).on:
            soft = cv2.GaussianBlur(image, (5, 5), max(0.6, 1.3 * match.view.size[1] / 1280))
            image = cv2.addWeighted(image, 1 + sharp.value, soft, -sharp.value, 0)
        return recompressed(image, round(draws("codec").value)) if draws("codec").on else image


def _expose(
    image: Image, match: Match, view: View, ball: tuple[Array, Array], covers: Covers,
    develop: Callable[[Image], Image], *, drawn: bool,
) -> Shot:  # fmt: skip
    """Let the ball leave its trace on the image, and measure how well it is seen once that is developed.

    ``ball``: places ``(K, 3)`` during the exposure and the place ``(3,)`` in its middle; ``covers`` lie before it.
    """
    there = ~np.isnan(ball[0][:, 0])  # it may appear during the exposure
    path, point = view.project(ball[0][there]), view.project(ball[1][None])[0]
    column, row = PIXELS.to_index(point)
    if not (0 <= column <= view.size[1] - 1 and 0 <= row <= view.size[0] - 1):
        return Shot(image, 0, NOWHERE)
    radius = match.ball_radius(view, ball[1])
    if match.draws("fields").value == "combed" and there.all():
        half = len(path) // 2
        x, y, whole = comb_cover((path[:half], path[half:]), radius, match.sigma, view.size)
    else:
        x, y, whole = ball_cover(path, radius, match.sigma, view.size)
    seen = whole.copy()
    for left, top, cover in covers:
        x0, y0 = max(left, x), max(top, y)
        x1, y1 = min(left + cover.shape[1], x + whole.shape[1]), min(top + cover.shape[0], y + whole.shape[0])
        if x1 > x0 and y1 > y0:
            seen[y0 - y : y1 - y, x0 - x : x1 - x] *= 1 - cover[y0 - top : y1 - top, x0 - left : x1 - left]
    region = image[y : y + whole.shape[0], x : x + whole.shape[1]]
    before = region.astype(np.float32)
    after = before + (bled(match.colour, float(match.draws("bleed").value), before) - before) * seen[..., None]
    hidden = 1 - float(seen.sum() / max(1e-6, float(whole.sum())))
    looks = [developed(image, (x, y), content, develop) for content in (after, before)]
    change = np.sqrt(np.square(looks[0] - looks[1]).mean(axis=2))
    contrast = float((change * whole).sum() / max(1e-6, float(whole.sum())))
    if drawn:
        region[:] = np.round(after).astype(np.uint8)
    least = EASY[0] + EASY[1] * float(looks[1].mean(axis=2).std())
    visibility = 3 if hidden > HIDDEN else 2 if contrast < least else 1
    streak = float(np.linalg.norm(path[-1] - path[0])) if len(path) else 0.0
    return Shot(image, visibility, point, None, radius, streak, hidden, contrast)


def write(
    out: str | os.PathLike[str],
    count: int,
    seed: int,
    *,
    size: Size = (720, 1280),
    games: int | None = None,
    clip_length: int = 48,
    variety: str = "full",
    without: Iterable[str] = (),
    quality: int = 90,
) -> Path:
    """Write a data set of ``count`` rendered clips in the TrackNet layout and return its folder.

    ``OUT/game<N>/Clip<M>/NNNN.jpg`` and ``Label.csv``; places in the file are pixel indices with two decimals. Clip c
    belongs to game ``c modulo games + 1``. Frame i of clip c depends on ``(seed, c, i)`` and its game alone, whatever
    ``count`` and ``clip_length``.

    Args:
        out: a folder that does not exist yet or is empty.
        count: number of clips, at least 1.
        seed: 0 or more.
        size: ``(height, width)`` of the frames, each 64..4096.
        games: over how many matches the clips are spread, at least 1; default 10, as many as the real set has.
        clip_length: frames of a clip, 1..9999, 30 per second.
        variety: ``full`` or ``plain``, as in :func:`film`.
        without: axes, or groups of them, to switch off.
        quality: of the JPEG files, 1..100.

    Raises:
        InputError: a value outside its range, an unknown axis, or ``out`` holds something already.
    """
    games = GAMES if games is None else games
    _check(seed, size, clip_length, variety)
    check_ranges({"count": (count, 1, math.inf), "games": (games, 1, math.inf), "quality": (quality, 1, 100)})
    off = check_without(AXES, without)
    with whole_folder(out) as root:
        for game in range(min(games, count)):  # game by game, so that each court is painted once
            for number, index in enumerate(range(game, count, games), start=1):
                clip = film(seed, index, size=size, game=game, until=clip_length / RATE, variety=variety, without=off)
                _write_clip(root / f"game{game + 1}" / f"Clip{number}", clip, clip_length, quality)
    return Path(out)


def _write_clip(folder: Path, clip: Clip, length: int, quality: int) -> None:
    """Frames and ``Label.csv`` of one clip."""
    folder.mkdir(parents=True)
    rows = []
    for frame in range(length):
        shot, name = clip.shot(frame), f"{frame:04d}.jpg"
        save_jpeg(folder / name, shot.image, quality)
        place = [f"{value:.2f}" for value in PIXELS.to_index(shot.point)] if shot.visibility else ["", ""]
        rows.append([name, shot.visibility, *place, "" if shot.status is None else shot.status])
    with whole_file(folder / LABELS) as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])


def _check(seed: int, size: Size, length: int, variety: str) -> None:
    check_choice("variety", variety, VARIETIES)
    sides = {"height": (size[0], *SIDE), "width": (size[1], *SIDE)}
    check_ranges({"seed": (seed, 0, math.inf), **sides, "frames of a clip": (length, 1, 9999)})


def write_video(
    path: str | os.PathLike[str],
    seed: int,
    *,
    index: int = 0,
    size: Size = (288, 512),
    length: int = 60,
    variety: str = "full",
    without: Iterable[str] = (),
    quality: int = 18,
) -> list[Row]:
    """Write clip ``index`` as one H.264 file (30 frames per second) and return its truth, one row per frame.

    Args:
        path: of the file; its folder must exist.
        seed: 0 or more.
        index: which clip; its frames before compression are those of :func:`write`.
        size: ``(height, width)``; sides that are odd are stored without subsampled colour, as H.264 demands.
        length: frames, 1..9999.
        variety: ``full`` or ``plain``.
        without: axes, or groups of them, to switch off.
        quality: H.264's constant rate factor, 0 (lossless) .. 51.

    Raises:
        InputError: a value outside its range, or an unknown axis.
    """
    import av

    _check(seed, size, length, variety)
    check_ranges({"quality": (quality, 0, 51)})
    clip = film(seed, index, size=size, until=length / RATE, variety=variety, without=without)
    rows = []
    path = Path(path)
    silence()
    with whole_path(path, ending=path.suffix) as partial, av.open(address(partial), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"crf": str(quality), "preset": "veryfast"})
        stream.height, stream.width = size
        stream.pix_fmt = "yuv444p" if size[0] % 2 or size[1] % 2 else "yuv420p"
        for frame in range(length):
            shot = clip.shot(frame)
            rows.append(Row(frame, shot.visibility, float(shot.point[0]), float(shot.point[1]), shot.status))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(shot.image, format="rgb24")))
        container.mux(stream.encode())
    return rows
