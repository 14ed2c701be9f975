"""The place of a match: the camera behind one end, and everything that does not move, painted once for each clip."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ..geometry.grid import PIXELS
from ..types import Image, Size
from .axes import Draws
from .background import clouds, paint_background
from .camera import CIRCLE, Array, Colour, between_indices, blend, fill_convex, filled, pick, strokes, whole
from .ground import Room, draw_colours, paint_ground
from .lettering import maker, text_mask
from .painting import mix
from .rally import BACK_WALL, HALF_LENGTH, HALF_WIDTH, NET_MIDDLE, NET_POST, POST, SERVICE, SINGLES

LINE, DARK = (236, 238, 240), (25, 40, 35)


@dataclass(frozen=True)
class View:
    """A pinhole camera of the court, in metres (see ``kaname.samples.rally``)."""

    rotation: Array  # (3, 3), rows right, down, forward
    place: Array  # (3,) of the camera
    focal: float  # pixels
    middle: tuple[float, float]  # (x, y) of the optical axis in the image
    size: Size

    def project(self, points: Array) -> Array:
        """Continuous image points ``(N, 2)`` of world points ``(N, 3)``; they must lie in front of the camera."""
        seen = (np.asarray(points, np.float64) - self.place) @ self.rotation.T
        return seen[:, :2] * (self.focal / seen[:, 2:]) + self.middle

    def upright(self, y: float, x: tuple[float, float], z: tuple[float, float]) -> Array:
        """A rectangle that faces the camera, in the image; corners from the top left, clockwise."""
        return self.project(np.array([[x[0], y, z[1]], [x[1], y, z[1]], [x[1], y, z[0]], [x[0], y, z[0]]]))

    def pixels(self, point: Array) -> float:
        """Pixels per metre at a world point ``(3,)``."""
        return self.focal / float(self.rotation[2] @ (point - self.place))

    def turned(self, yaw: float, pitch: float, zoom: float) -> View:
        """The same camera turned to the right and upwards by radians and zoomed by a factor."""
        right, _, forward = self.rotation
        forward = cv2.Rodrigues(np.array([0.0, 0.0, -yaw]))[0] @ cv2.Rodrigues(right * pitch)[0] @ forward
        return replace(self, rotation=_axes(forward), focal=self.focal * zoom)

    def canvas(self, margin: float, scale: int) -> View:
        """A larger picture from the same place: a ``margin`` (share of the size) all round, ``scale`` times finer."""
        height, width = self.size
        down, across = int(np.ceil(height * margin)), int(np.ceil(width * margin))
        middle = ((self.middle[0] + across) * scale, (self.middle[1] + down) * scale)
        size = ((height + 2 * down) * scale, (width + 2 * across) * scale)
        return replace(self, focal=self.focal * scale, middle=middle, size=size)

    def warp_from(self, other: View) -> Array:
        """``(3, 3)`` between pixel indices: where this camera sees what ``other``, at the same place, sees."""
        return between_indices(self._lens() @ self.rotation @ other.rotation.T @ np.linalg.inv(other._lens()))

    def _lens(self) -> Array:
        return np.array([[self.focal, 0, self.middle[0]], [0, self.focal, self.middle[1]], [0, 0, 1.0]])


def _axes(forward: Array) -> Array:
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(forward, right), forward])


def aim(draws: Draws, size: Size) -> View:
    """A camera high behind the near end that shows the whole court, or most of it, as matches are broadcast."""
    (height, width), rng = size, draws.own("camera")
    aside, back, above = (float(draws(name).value) for name in ("aside", "distance", "height"))
    place = np.array([aside, -HALF_LENGTH - back, above]) + rng.normal(0, [0.15, 0.7, 0.5])
    ends = np.array([[0, -HALF_LENGTH, 0], [0, HALF_LENGTH, 0.0]])
    angles = np.arctan2(-place[2], ends[:, 1] - place[1])
    tilt = float(angles.mean())
    view = View(_axes(np.array([0.0, np.cos(tilt), np.sin(tilt)])), place, 1.0, (0.0, 0.0), size)
    corners = view.project(np.array([[-HALF_WIDTH, -HALF_LENGTH, 0], [HALF_WIDTH, -HALF_LENGTH, 0], *ends]))
    tallest = rng.uniform(0.52, 0.62) * height / (corners[2, 1] - corners[3, 1])
    focal = min(tallest, rng.uniform(0.64, 0.74) * width / (corners[1, 0] - corners[0, 0]))
    middle = (width / 2 + rng.normal(0, 0.01) * width, height * rng.uniform(0.5, 0.54))
    middle = (middle[0] + focal * aside / np.hypot(back + HALF_LENGTH, above), middle[1])  # the court is in the middle
    view = replace(view, focal=focal, middle=middle)
    pan, nod = (float(np.radians(draws(name).value)) for name in ("pan", "nod"))
    return view.turned(pan, nod, float(draws("zoom").value))


@dataclass(frozen=True)
class Venue:
    """What does not move, seen by ``view``: the picture and how much the net covers of what lies behind it, 0..255."""

    view: View
    image: Image
    net: NDArray[np.uint8]


def paint_venue(draws: Draws, view: View) -> Venue:
    """Ground, lines, walls with lettering, stands and net, as ``view`` sees them."""
    rng, (court, around) = draws.own("venue"), draw_colours(draws)
    kind = draws("surface").value
    image = np.full((*view.size, 3), int(rng.integers(25, 70)), np.uint8)
    side = rng.uniform(9.5, 13.0)
    wall = mix(around, (18, 40, 66), rng.uniform(0.3, 1.0)) if rng.random() < 0.7 else mix(court, (10, 30, 20), 0.6)
    if (walls := draws("wall")).on:
        low = 150 if walls.value == "light" else 0
        wall = whole(walls.rng.integers(low, 250, 3))
    low = view.place[1] + 5.0
    far, high = BACK_WALL + 0.5, rng.uniform(2.6, 4.2)
    room = (side, low, far, high)
    _stands(draws, image, view, room)
    ground = paint_ground(draws, view.size[1], (court, around), room)
    _lay(image, ground, view.project(np.array([[-side, far, 0], [side, far, 0], [side, low, 0], [-side, low, 0]])))
    tone = mix((0, 0, 0), (235, 235, 235) if kind == "clay" else LINE, float(draws("whiteness").value))
    _lines(draws, image, view, whole(np.minimum(tone, 255)))
    _walls(draws, image, view, wall, room)
    if (grade := draws("saturation")).on:
        tone = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        image = cv2.addWeighted(image, float(grade.value), tone, 1 - float(grade.value), 0)
    return Venue(view, image, _net(draws, image, view))


def _lay(image: Image, texture: Image, quad: Array) -> None:
    """Lay a texture into a convex quadrilateral of the image (corners from the texture's top left, clockwise)."""
    height, width = texture.shape[:2]
    source = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    matrix = between_indices(cv2.getPerspectiveTransform(source, quad.astype(np.float32)))
    rows, columns = image.shape[:2]
    warped = cv2.warpPerspective(texture, matrix, (columns, rows), borderMode=cv2.BORDER_REPLICATE)
    cv2.copyTo(warped, filled((rows, columns), quad), image)


def _lines(draws: Draws, image: Image, view: View, colour: Colour) -> None:
    """Those of tennis, of other games, and lettering on the ground."""
    broad = float(draws("line_width").value)
    half = 0.025 * broad

    def stripe(*corners: tuple[float, float], tone: Colour = colour) -> None:
        fill_convex(image, view.project(np.array([[x, y, 0] for x, y in corners])), tone)

    def along(x: float, y0: float, y1: float) -> None:
        stripe((x - half, y0), (x + half, y0), (x + half, y1), (x - half, y1))

    def across(y: float, x0: float, x1: float, wide: float = half) -> None:
        stripe((x0, y - wide), (x0, y + wide), (x1, y + wide), (x1, y - wide))

    other = draws("other_lines")
    for _ in range(round(other.value)):
        rng = other.rng
        tone = pick(rng, (LINE, (220, 190, 60), (200, 70, 60), (60, 90, 190), (230, 130, 40)))
        x, y, long = rng.uniform(-8, 8), rng.uniform(-14, 14), rng.uniform(2, 8)
        if rng.random() < 0.5:
            stripe((x - half, y - long), (x + half, y - long), (x + half, y + long), (x - half, y + long), tone=tone)
        else:
            stripe((x - long, y - half), (x - long, y + half), (x + long, y + half), (x + long, y - half), tone=tone)
    for x in (-HALF_WIDTH, -SINGLES, SINGLES, HALF_WIDTH):
        along(x - half * np.sign(x), -HALF_LENGTH, HALF_LENGTH)
    along(0, -SERVICE, SERVICE)
    for y in (-1, 1):
        across(y * (HALF_LENGTH - 0.05 * broad), -HALF_WIDTH, HALF_WIDTH, 0.05 * broad)
        across(y * SERVICE, -SINGLES, SINGLES)
        along(0, y * (HALF_LENGTH - 0.1), y * (HALF_LENGTH - 0.3))
    words = draws("lettering")
    for _ in range(round(words.value)):
        rng, size = words.rng, words.rng.uniform(0.6, 1.6)
        x, y = rng.choice([-1, 1]) * (HALF_WIDTH + 2.2), rng.uniform(-10, 6)
        quad = np.array([[x - 1.2 * size, y + 0.7 * size, 0], [x + 1.2 * size, y + 0.7 * size, 0],
                         [x + 1.2 * size, y, 0], [x - 1.2 * size, y, 0]])  # fmt: skip
        letter(image, maker(rng), view.project(quad), LINE)


def letter(image: Image, text: str, quad: Array, colour: Colour) -> None:
    """Print a line of text into a quadrilateral of the image (corners from the top left, clockwise)."""
    tall = max(float(np.linalg.norm(quad[3] - quad[0])), float(np.linalg.norm(quad[1] - quad[0])) / len(text), 4.0)
    mask = text_mask(text, "DejaVuSans-Bold", tall)
    low = np.maximum(np.floor(quad.min(0)).astype(int) - 1, 0)
    high = np.minimum(np.ceil(quad.max(0)).astype(int) + 2, [image.shape[1], image.shape[0]])
    if (high - low < 1).any():
        return
    cover = np.zeros((high[1] - low[1], high[0] - low[0]), np.uint8)
    sheet = cover.copy()
    _lay(sheet, mask, quad - low)
    blend(image[low[1] : high[1], low[0] : high[0]], colour, sheet.astype(np.float32) / 255)


def _stands(draws: Draws, image: Image, view: View, room: Room) -> None:
    """Spectators behind the walls, each easily mistaken for a ball; or trees, or a wall."""
    (side, low, far, high), rng = room, draws.own("stands")
    if (other := draws("behind")).on:
        image[:] = paint_background(other.rng, view.size) if other.value == "wall" else _trees(other.rng, view.size)
        return
    full = float(draws("crowd").value)
    quad = [[-32, far + 14, high + 9], [32, far + 14, high + 9], [32, far, high], [-32, far, high]]
    _lay(image, _crowd(rng, 22, 110, full), view.project(np.array(quad)))
    near, far = low + 1, far + 3
    for x in (-1, 1):
        inner, outer = x * (side + 0.15), x * (side + 9.0)
        quad = [[outer, near, 10], [outer, far, 10], [inner, far, 1.0], [inner, near, 1.0]]
        _lay(image, _crowd(rng, 16, 72, full), view.project(np.array(quad)))


def _trees(rng: Generator, size: Size) -> Image:
    """Leaves in light and shade with bright gaps."""
    light = 1 + 0.45 * clouds(rng, size, 5, 3) + 0.35 * clouds(rng, size, 70, 2)
    tone = np.array([70, 95, 50]) * rng.uniform(0.5, 1.5, 3)
    return cv2.merge([cv2.convertScaleAbs(np.maximum(light, 0.05), alpha=float(c)) for c in tone])


def _crowd(rng: Generator, rows: int, columns: int, full: float) -> Image:
    tone = rng.random((rows, columns, 1))
    grey = np.where(tone < 0.4, rng.uniform(150, 235, (rows, columns, 1)), rng.uniform(15, 80, (rows, columns, 1)))
    colour = np.where(rng.random((rows, columns, 1)) < 0.45, grey * rng.uniform(0.35, 1.15, (rows, columns, 3)), grey)
    seat = rng.uniform(20, 90, 3)
    taken = rng.random((rows, columns, 1)) < full
    skin = np.array([[225, 180, 150], [190, 140, 110], [110, 75, 55]])[rng.integers(0, 3, (rows, columns))]
    hair = rng.uniform(15, 90, (rows, columns, 1)) * np.ones(3)
    blocks = np.empty((rows, 12, columns, 10, 3))
    blocks[:] = (seat * 0.6)[None, None, None, None]
    blocks[:, 5:] = np.where(taken, colour, seat)[:, None, :, None]
    blocks[:, 1:6, :, 3:7] = np.where(taken, skin, seat)[:, None, :, None]
    blocks[:, 0:2, :, 3:7] = np.where(taken, hair, seat * 0.6)[:, None, :, None]
    sheet = blocks.reshape(rows * 12, columns * 10, 3)
    for row in range(rows):
        sheet[row * 12 : row * 12 + 12] = np.roll(sheet[row * 12 : row * 12 + 12], int(rng.integers(10)), axis=1)
    sheet = np.clip(sheet * rng.uniform(0.55, 0.95) + rng.normal(0, 9, sheet.shape), 0, 255).astype(np.uint8)
    return cv2.GaussianBlur(sheet, (0, 0), 1.2)


def _walls(draws: Draws, image: Image, view: View, colour: Colour, room: Room) -> None:
    """The wall behind the far end and the boards at the sides, with names on them."""
    (side, low, far, high), rng = room, draws.own("walls")

    whole = (-side - 4, side + 4)
    fill_convex(image, view.upright(far, whole, (0, high)), colour)
    fill_convex(image, view.upright(far, whole, (0, 0.12)), mix(colour, (0, 0, 0), 0.5))
    ink = LINE if sum(colour) < 420 else (20, 30, 60)
    for x in np.linspace(-side + 1, side - 1, round(draws("names").value)):
        wide, low_edge = rng.uniform(0.6, 1.4), rng.uniform(0.3, high - 1.2)
        if rng.random() < 0.25:  # an opening
            fill_convex(image, view.upright(far, (x - wide, x + wide), (low_edge, low_edge + 0.5)), (8, 10, 14))
        else:
            quad = view.upright(far, (x - wide, x + wide), (low_edge, low_edge + rng.uniform(0.4, 0.9)))
            letter(image, maker(rng), quad, ink)
    for x in (-side, side):
        board = np.array([[x, low, 0], [x, far, 0], [x, far, 1.0], [x, low, 1.0]])
        fill_convex(image, view.project(board), mix(colour, (0, 0, 0), 0.25))
        for y in np.arange(-12, far - 4, rng.uniform(4, 7)):
            begin, end = (y, y + 3) if x < 0 else (y + 3, y)
            quad = view.project(np.array([[x, begin, 0.8], [x, end, 0.8], [x, end, 0.25], [x, begin, 0.25]]))
            letter(image, maker(rng), quad, ink)
    dots = draws("dots")
    for _ in range(round(dots.value)):
        spot = view.project(np.array([[dots.rng.uniform(-side, side), far, dots.rng.uniform(0.2, high)]]))
        ring = spot + CIRCLE * dots.rng.uniform(0.03, 0.25) * view.pixels(np.array([0, far, 1.0]))
        fill_convex(image, ring, pick(dots.rng, (LINE, LINE, (240, 235, 60), (240, 90, 60))))
    if draws("chair").on:
        _chair(draws, image, view, colour)


def _chair(draws: Draws, image: Image, view: View, colour: Colour) -> None:
    """The umpire on a high chair."""
    rng = draws("chair").rng
    x, seat = -rng.uniform(7.2, 7.8), mix(colour, (0, 0, 0), rng.uniform(0, 0.6))
    fill_convex(image, view.upright(0, (x - 0.45, x + 0.45), (0, 0.9)), mix(seat, (0, 0, 0), 0.4))
    for foot in (-0.5, 0.45):
        fill_convex(image, view.upright(-0.3, (x + foot, x + foot + 0.06), (0, 1.9)), seat)
    for z in (0.5, 1.0, 1.5):
        fill_convex(image, view.upright(-0.3, (x - 0.5, x + 0.5), (z, z + 0.07)), seat)
    fill_convex(image, view.upright(0.1, (x - 0.4, x + 0.4), (1.7, 2.5)), seat)
    fill_convex(image, view.upright(0, (x - 0.22, x + 0.22), (1.8, 2.45)), (30, 35, 60))
    fill_convex(image, view.upright(0, (x - 0.1, x + 0.1), (2.47, 2.72)), (200, 150, 120))


def _net(draws: Draws, image: Image, view: View) -> NDArray[np.uint8]:
    """The net with its shadow, posts and tape; returns its cover."""
    rng = draws.own("net")
    span = np.linspace(-POST, POST, 25)
    tops = NET_MIDDLE + (NET_POST - NET_MIDDLE) * np.abs(span) / POST
    upper = view.project(np.stack([span, 0 * span, tops], axis=1))
    under = view.project(np.stack([span, 0 * span, tops - 0.07], axis=1))
    foot = view.project(np.stack([span, 0 * span, 0 * span], axis=1))
    cover = np.zeros(view.size, np.uint8)
    shadow = view.project(np.stack([span, 0 * span - rng.uniform(0.2, 0.9), 0 * span], axis=1))
    _shade(image, np.concatenate([foot, shadow[::-1]]), (0, 0, 0), 0.6 * float(draws("cast").value))
    dense = float(draws("mesh").value)
    for i in range(24):
        cell = np.array([under[i], under[i + 1], foot[i + 1], foot[i]])
        cv2.fillConvexPoly(cover, np.round(PIXELS.to_index(cell)).astype(np.int32), int(255 * dense))
    blend(image, (22, 26, 34), cover.astype(np.float32) / 255)
    for i in range(24):
        tape = np.array([upper[i], upper[i + 1], under[i + 1], under[i]])
        fill_convex(image, tape, LINE)
        fill_convex(cover, tape, 255)
    posts = ((-POST, 0.06, NET_POST + 0.03, DARK), (POST, 0.06, NET_POST + 0.03, DARK))
    for x, half, top, tone in ((0, 0.025, NET_MIDDLE, LINE), *posts):  # first the strap in the middle
        outline = view.upright(0, (x - half, x + half), (0, top))
        fill_convex(image, outline, tone)
        fill_convex(cover, outline, 255)
    if (signs := draws("net_signs")).on:
        radius, line = signs.rng.uniform(0.25, 0.42), pick(signs.rng, (LINE, LINE, (230, 210, 60)))
        for x in (-signs.rng.uniform(4.6, 5.6), signs.rng.uniform(4.6, 5.6)):
            ring = np.stack([x + radius * CIRCLE[:, 0], 0 * CIRCLE[:, 0], 0.5 + radius * CIRCLE[:, 1]], axis=1)
            lines = [
                view.project(ring[[*range(len(ring)), 0]]),
                view.project(ring[[8, 40]]),
                view.project(ring[[24, 72]]),
            ]
            strokes(image, lines, line, max(1, round(0.05 * view.pixels(np.zeros(3)))))
    return cover


def _shade(image: Image, outline: Array, colour: Colour, share: float) -> None:
    cover = np.zeros(image.shape[:2], np.uint8)
    cv2.fillPoly(cover, [np.round(PIXELS.to_index(outline)).astype(np.int32)], 255)
    blend(image, colour, cover.astype(np.float32) * np.float32(share / 255))
