"""The place of a match: the camera behind one end, and everything that does not move, painted once for each clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ..geometry.grid import PIXELS
from ..types import Image, Size
from .background import clouds
from .camera import Array, Colour, between_indices, blend, fill_convex, filled, pick
from .lettering import maker, text_mask
from .painting import mix
from .rally import BACK_WALL, HALF_LENGTH, HALF_WIDTH, NET_MIDDLE, NET_POST, POST, SERVICE, SINGLES
from .weather import times

# court and surroundings
HARD = (((62, 97, 160), (118, 148, 116)), ((58, 110, 168), (58, 96, 150)), ((90, 80, 150), (86, 140, 110)),
        ((74, 124, 96), (150, 84, 70)), ((70, 130, 160), (60, 80, 120)))  # fmt: skip
CLAY = (((188, 104, 66), (180, 98, 62)), ((200, 122, 84), (192, 116, 80)), ((172, 92, 58), (172, 92, 58)))
GRASS = (((104, 142, 66), (84, 124, 58)), ((120, 150, 80), (112, 142, 74)))
LINE, DARK = (236, 238, 240), (25, 40, 35)
Surface = tuple[Colour, Colour]  # of the court and of what lies around it
Room = tuple[float, float, float, float]  # metres to the side, nearest and farthest y, height of the back wall


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


def aim(rng: Generator, size: Size, *, plain: bool = False) -> View:
    """A camera high behind the near end that shows the whole court, as matches are broadcast."""
    height, width = size
    spread = 0.3 if plain else 1.0
    aside, back = rng.normal(0, 0.5 * spread), -HALF_LENGTH - 21.5 - rng.uniform(-4, 5) * spread
    place = np.array([aside, back, 10.5 + rng.uniform(-3.5, 3.5) * spread])
    ends = np.array([[0, -HALF_LENGTH, 0], [0, HALF_LENGTH, 0.0]])
    angles = np.arctan2(-place[2], ends[:, 1] - place[1])
    share = rng.uniform(0.52, 0.62)
    tilt = float(angles.mean())
    view = View(_axes(np.array([0.0, np.cos(tilt), np.sin(tilt)])), place, 1.0, (0.0, 0.0), size)
    corners = view.project(np.array([[-HALF_WIDTH, -HALF_LENGTH, 0], [HALF_WIDTH, -HALF_LENGTH, 0], *ends]))
    tallest = share * height / (corners[2, 1] - corners[3, 1])
    focal = min(tallest, rng.uniform(0.64, 0.74) * width / (corners[1, 0] - corners[0, 0]))
    middle = (width / 2 + rng.normal(0, 0.01) * width, height * rng.uniform(0.5, 0.54))
    return replace(view, focal=focal, middle=middle)


@dataclass(frozen=True)
class Venue:
    """What does not move, seen by ``view``: the picture and how much the net covers of what lies behind it, 0..255."""

    view: View
    image: Image
    net: NDArray[np.uint8]


def paint_venue(rng: Generator, view: View, *, plain: bool = False) -> Venue:
    """Ground, lines, walls with lettering, stands and net, as ``view`` sees them."""
    kind = 0.0 if plain else rng.random()
    colours = HARD if kind < 0.55 else CLAY if kind < 0.8 else GRASS
    # Blue on blue: nothing of the ground has the colour of a ball.
    court, around = colours[1] if plain else pick(rng, colours)
    shade = float(np.clip(np.exp(rng.normal(0, 0.02 if plain else 0.09)), 0.8, 1.2))
    court, around = (mix((0, 0, 0), colour, shade) for colour in (court, around))
    image = np.full((*view.size, 3), int(rng.integers(25, 70)), np.uint8)
    side = rng.uniform(9.5, 13.0)
    wall = mix(around, (18, 40, 66), rng.uniform(0.3, 1.0)) if rng.random() < 0.7 else mix(court, (10, 30, 20), 0.6)
    low = view.place[1] + 5.0
    far, high = BACK_WALL + 0.5, rng.uniform(2.6, 4.2)
    room = (side, low, far, high)
    _stands(rng, image, view, room)
    ground = _ground(rng, view, (court, around), colours, room, plain=plain)
    _lay(image, ground, view.project(np.array([[-side, far, 0], [side, far, 0], [side, low, 0], [-side, low, 0]])))
    _lines(rng, image, view, (235, 235, 235) if colours is CLAY else LINE)
    _walls(rng, image, view, wall, room)
    return Venue(view, image, _net(rng, image, view))


def _lay(image: Image, texture: Image, quad: Array) -> None:
    """Lay a texture into a convex quadrilateral of the image (corners from the texture's top left, clockwise)."""
    height, width = texture.shape[:2]
    source = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    matrix = between_indices(cv2.getPerspectiveTransform(source, quad.astype(np.float32)))
    rows, columns = image.shape[:2]
    warped = cv2.warpPerspective(texture, matrix, (columns, rows), borderMode=cv2.BORDER_REPLICATE)
    cv2.copyTo(warped, filled((rows, columns), quad), image)


def _ground(rng: Generator, view: View, surface: Surface, kind: Sequence[Surface], room: Room, *, plain: bool) -> Image:
    """The ground from above: colours, wear, stripes, the edge of a shadow."""
    side, low, far, _ = room
    scale = float(np.clip(view.size[1] / 60, 6, 28))
    height, width = int((far - low) * scale), int(2 * side * scale)
    court, around = surface
    image = np.full((height, width, 3), around, np.uint8)

    def spot(x: float, y: float) -> tuple[int, int]:
        return int((x + side) * scale), int((far - y) * scale)

    cv2.rectangle(image, spot(-HALF_WIDTH, HALF_LENGTH), spot(HALF_WIDTH, -HALF_LENGTH), court, -1)
    if kind is GRASS and rng.random() < 0.7:  # mowing stripes
        wide = rng.uniform(0.8, 1.6)
        for i, x in enumerate(np.arange(-side, side, wide)):
            if i % 2:
                left, right = spot(x, 0)[0], spot(x + wide, 0)[0]
                image[:, left:right] = cv2.convertScaleAbs(image[:, left:right], alpha=1.07)
    light = 1 + (0.015 if plain else rng.uniform(0.01, 0.05)) * clouds(rng, (height, width), 6, 5)
    if kind is not HARD:
        light += rng.uniform(0.01, 0.05) * clouds(rng, (height, width), 60, 2)
        for end in (-1, 1):  # worn earth or dragged sand where the players stand
            x, y = spot(rng.normal(0, 0.4), end * 12.2)
            worn = np.zeros((height, width), np.uint8)
            cv2.ellipse(worn, (x, y), (int(4.2 * scale), int(1.5 * scale)), 0, 0, 360, 255, -1)
            worn = cv2.blur(worn, (k := int(2 * scale) | 1, k)).astype(np.float32) / 255
            tone = (170, 140, 95) if kind is GRASS else mix(court, (255, 225, 190), 0.3)
            blend(image, tone, worn * np.float32(rng.uniform(0.2, 0.7)))
    if not plain and rng.random() < 0.35:  # the stand's shadow lies over part of the ground
        edge = rng.uniform(-HALF_WIDTH, HALF_WIDTH) if rng.random() < 0.6 else side
        slope = rng.normal(0, 0.25)
        x0, x1 = spot(edge - slope * 20, 0)[0], spot(edge + slope * 20, 0)[0]
        dark = np.zeros((height, width), np.uint8)
        cv2.fillPoly(dark, [np.array([[-9, 0], [x0, 0], [x1, height], [-9, height]])], 255)
        dark = cv2.GaussianBlur(dark, (0, 0), 0.15 * scale).astype(np.float32) / 255
        light -= dark * np.float32(rng.uniform(0.2, 0.45))
    return times(image, np.maximum(light, 0))


def _lines(rng: Generator, image: Image, view: View, colour: Colour) -> None:
    half = 0.025

    def stripe(*corners: tuple[float, float]) -> None:
        fill_convex(image, view.project(np.array([[x, y, 0] for x, y in corners])), colour)

    def along(x: float, y0: float, y1: float) -> None:
        stripe((x - half, y0), (x + half, y0), (x + half, y1), (x - half, y1))

    def across(y: float, x0: float, x1: float, wide: float = half) -> None:
        stripe((x0, y - wide), (x0, y + wide), (x1, y + wide), (x1, y - wide))

    for x in (-HALF_WIDTH, -SINGLES, SINGLES, HALF_WIDTH):
        along(x - half * np.sign(x), -HALF_LENGTH, HALF_LENGTH)
    along(0, -SERVICE, SERVICE)
    for y in (-1, 1):
        across(y * (HALF_LENGTH - 0.05), -HALF_WIDTH, HALF_WIDTH, 0.05)
        across(y * SERVICE, -SINGLES, SINGLES)
        along(0, y * (HALF_LENGTH - 0.1), y * (HALF_LENGTH - 0.3))
    if rng.random() < 0.3:  # lettering on the ground beside the court
        x, y = rng.choice([-1, 1]) * (HALF_WIDTH + 2.2), rng.uniform(-6, 2)
        quad = np.array([[x - 1.2, y + 0.7, 0], [x + 1.2, y + 0.7, 0], [x + 1.2, y, 0], [x - 1.2, y, 0]])
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


def _stands(rng: Generator, image: Image, view: View, room: Room) -> None:
    """Spectators behind the walls: rows of small bright and dark spots, each easily mistaken for a ball."""
    side, low, far, high = room
    full = rng.uniform(0.6, 0.98)
    quad = [[-32, far + 14, high + 9], [32, far + 14, high + 9], [32, far, high], [-32, far, high]]
    _lay(image, _crowd(rng, 22, 110, full), view.project(np.array(quad)))
    near, far = low + 1, far + 3
    for x in (-1, 1):
        inner, outer = x * (side + 0.15), x * (side + 9.0)
        quad = [[outer, near, 10], [outer, far, 10], [inner, far, 1.0], [inner, near, 1.0]]
        _lay(image, _crowd(rng, 16, 72, full), view.project(np.array(quad)))


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


def _walls(rng: Generator, image: Image, view: View, colour: Colour, room: Room) -> None:
    """The wall behind the far end and the boards at the sides, with names on them."""
    side, low, far, high = room

    whole = (-side - 4, side + 4)
    fill_convex(image, view.upright(far, whole, (0, high)), colour)
    fill_convex(image, view.upright(far, whole, (0, 0.12)), mix(colour, (0, 0, 0), 0.5))
    ink = LINE if sum(colour) < 420 else (20, 30, 60)
    for x in np.linspace(-side + 1, side - 1, int(rng.integers(3, 7))):
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
    x, seat = -rng.uniform(7.2, 7.8), mix(colour, (0, 0, 0), rng.uniform(0, 0.6))  # the umpire's chair
    fill_convex(image, view.upright(0, (x - 0.45, x + 0.45), (0, 0.9)), mix(seat, (0, 0, 0), 0.4))
    for foot in (-0.5, 0.45):
        fill_convex(image, view.upright(-0.3, (x + foot, x + foot + 0.06), (0, 1.9)), seat)
    for z in (0.5, 1.0, 1.5):
        fill_convex(image, view.upright(-0.3, (x - 0.5, x + 0.5), (z, z + 0.07)), seat)
    fill_convex(image, view.upright(0.1, (x - 0.4, x + 0.4), (1.7, 2.5)), seat)
    fill_convex(image, view.upright(0, (x - 0.22, x + 0.22), (1.8, 2.45)), (30, 35, 60))
    fill_convex(image, view.upright(0, (x - 0.1, x + 0.1), (2.47, 2.72)), (200, 150, 120))


def _net(rng: Generator, image: Image, view: View) -> NDArray[np.uint8]:
    """The net with its shadow, posts and tape; returns its cover."""
    span = np.linspace(-POST, POST, 25)
    tops = NET_MIDDLE + (NET_POST - NET_MIDDLE) * np.abs(span) / POST
    upper = view.project(np.stack([span, 0 * span, tops], axis=1))
    under = view.project(np.stack([span, 0 * span, tops - 0.07], axis=1))
    foot = view.project(np.stack([span, 0 * span, 0 * span], axis=1))
    cover = np.zeros(view.size, np.uint8)
    shadow = view.project(np.stack([span, 0 * span - rng.uniform(0.2, 0.9), 0 * span], axis=1))
    _shade(image, np.concatenate([foot, shadow[::-1]]), (0, 0, 0), rng.uniform(0.1, 0.3))
    dense = rng.uniform(0.3, 0.55)
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
    return cover


def _shade(image: Image, outline: Array, colour: Colour, share: float) -> None:
    cover = np.zeros(image.shape[:2], np.uint8)
    cv2.fillPoly(cover, [np.round(PIXELS.to_index(outline)).astype(np.int32)], 255)
    blend(image, colour, cover.astype(np.float32) * np.float32(share / 255))
