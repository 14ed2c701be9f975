"""People on a tennis court: figures of convex parts whose joints move, for players, ball children and line judges."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ..geometry.grid import PIXELS
from ..types import Image
from .axes import Draws
from .camera import SHIFT, Array, Colour, blend, fixed, pick
from .court import View
from .painting import mix
from .rally import Stroke

Cover = NDArray[np.float32]
SKINS = ((236, 195, 165), (214, 165, 130), (180, 125, 90), (120, 80, 55), (90, 60, 45))
SHIRTS = ((245, 245, 245), (245, 245, 245), (30, 45, 110), (20, 20, 24), (200, 40, 45), (235, 225, 60), (70, 170, 210),
          (240, 130, 40), (40, 120, 70), (225, 95, 150))  # fmt: skip
HALF_TURN = np.linspace(np.pi / 2, 3 * np.pi / 2, 7)


@dataclass(frozen=True)
class Kit:
    """How somebody looks: colours, height in metres, the hand that holds the racket (1 right, -1 left)."""

    skin: Colour
    hair: Colour
    shirt: Colour
    shorts: Colour
    shoes: Colour
    cap: Colour | None
    racket: Colour | None
    height: float
    hand: int
    skirt: bool
    socks: Colour = (238, 238, 236)
    pattern: str = "plain"  # of the shirt: hoop, panel or shoulders in the ``second`` colour
    second: Colour = (255, 255, 255)
    shading: float = 0.0  # how much darker the body's side away from the light is, 0..1


@dataclass(frozen=True)
class Part:
    """A convex polygon ``(N, 2)`` in image coordinates and its colour; ``line``: width in pixels, its outline only."""

    outline: Array
    colour: Colour
    line: int = 0


def dress(rng: Generator, uniform: tuple[Colour, Colour] | None = None) -> Kit:
    """A player's kit, or an onlooker's without a racket in a ``uniform`` (shirt, shorts).

    White shoes and caps are common, for they look like balls.
    """
    shirt, shorts = uniform or (pick(rng, SHIRTS), pick(rng, SHIRTS[:4]))
    shoes = (245, 245, 240) if rng.random() < 0.75 else pick(rng, SHIRTS[4:])
    cap = ((250, 250, 250) if rng.random() < 0.7 else pick(rng, SHIRTS)) if rng.random() < 0.4 else None
    hair = pick(rng, ((30, 22, 18), (90, 60, 35), (215, 185, 120)))
    racket = pick(rng, ((25, 25, 30), (220, 40, 40), (240, 240, 240), (40, 90, 200))) if uniform is None else None
    skin, height, hand = pick(rng, SKINS), rng.uniform(1.68, 1.98), 1 if rng.random() < 0.85 else -1
    return Kit(skin, hair, shirt, shorts, shoes, cap, racket, height, hand, bool(rng.random() < 0.4))


def dressed(draws: Draws, who: str, uniform: tuple[Colour, Colour] | None = None) -> Kit:
    """A kit as the match's axes have it."""
    kit, rng = dress(draws.own(who), uniform), draws.own(f"{who}'s colours")
    bright, second, sock, cap = (pick(rng, SHIRTS[4:]) for _ in range(4))
    caps, shoes = draws("caps").value, (245, 245, 240) if draws("white_shoes").on else bright
    kit = replace(kit, shoes=shoes, cap={"none": None, "white": (250, 250, 250), "coloured": cap}[caps])
    socks, shading = sock if draws("socks").on else kit.socks, float(draws("shading").value)
    return replace(kit, socks=socks, pattern=draws("shirts").value, second=second, shading=shading)


def capsule(begin: Array, end: Array, first: float, second: float) -> Array:
    """A limb: a convex outline from a disc of radius ``first`` to one of radius ``second``."""
    turn = np.arctan2(end[1] - begin[1], end[0] - begin[0])
    half = HALF_TURN + turn
    ring = np.stack([np.cos(half), np.sin(half)], axis=1)
    return np.concatenate([begin + first * ring, end - second * ring])


@dataclass(frozen=True)
class Pose:
    """Where somebody stands; ``at`` turns metres beside, above and beyond their feet into image points.

    The metres are those of somebody 1.8 m tall.
    """

    view: View
    place: Array
    tall: float
    pixels: float

    def at(self, across: float, up: float, ahead: float = 0.0) -> Array:
        spot = [self.place[0] + across * self.tall, self.place[1] + ahead * self.tall, up * self.tall]
        return self.view.project(np.array([spot]))[0]

    def spot(self, beside_above: Array, ahead: float = 0.0) -> Array:
        """``at`` of a pair."""
        return self.at(float(beside_above[0]), float(beside_above[1]), ahead)

    def limb(self, begin: Array, end: Array, first: float, second: float, colour: Colour) -> Part:
        """A limb between two image points; the radii are metres."""
        return Part(capsule(begin, end, first * self.pixels, second * self.pixels), colour)


def figure(
    view: View, kit: Kit, place: Array, side: int, time: float, speed: Array, stroke: Stroke | None = None
) -> list[Part]:
    """The parts of somebody who stands or runs at ``place`` (x, y in metres), from back to front.

    Args:
        view: the camera.
        kit: looks.
        place: ``(2,)`` on the ground.
        side: -1: seen from behind, 1: facing the camera.
        time: seconds; drives the legs.
        speed: ``(2,)`` metres per second.
        stroke: a stroke nearby in time, which the racket arm follows.
    """
    pose = Pose(view, place, kit.height / 1.8, view.pixels(np.array([*place, 1.0])))
    lean = float(np.clip(speed[0] * 0.05, -0.25, 0.25))
    crouch = 0.1 if stroke is None else 0.04
    hip, neck = pose.at(0, 0.95 - crouch), pose.at(lean, 1.46 - crouch)
    crown = pose.at(lean * 1.3, 1.69 - crouch)
    up = np.array([0.0, -pose.pixels])
    parts = _legs(pose, kit, time, speed, crouch)
    if kit.skirt:
        hem = [pose.at(-0.24, 0.72), pose.at(0.24, 0.72), pose.at(0.13, 1.02), pose.at(-0.13, 1.02)]
        parts.append(Part(np.array(hem), kit.shorts))
    arms = _arms(pose, kit, side, time, stroke, lean, crouch)
    # a player's arms are in front of the body as seen from the net
    parts += arms if side < 0 else []
    parts += _trunk(pose, kit, neck, hip)
    parts += arms if side > 0 else []
    parts.append(pose.limb(crown, neck, 0.09, 0.06, kit.skin))
    brim = crown + up * (-0.02 if side < 0 else 0.02)
    parts.append(pose.limb(crown + up * 0.03, brim, 0.095, 0.09, kit.cap or kit.hair))
    if kit.cap and side > 0:  # the peak
        aside = np.array([0.07 * pose.pixels, 0])
        parts.append(pose.limb(crown - up * 0.03 - aside, crown - up * 0.03 + aside, 0.03, 0.03, kit.cap))
    return parts


def _trunk(pose: Pose, kit: Kit, neck: Array, hip: Array) -> list[Part]:
    """The body in its shirt."""
    parts = [pose.limb(neck, hip, 0.19, 0.15, kit.shirt)]
    if kit.pattern == "hoop":
        parts.append(pose.limb(neck + (hip - neck) * 0.35, neck + (hip - neck) * 0.5, 0.185, 0.18, kit.second))
    elif kit.pattern == "panel":
        parts.append(pose.limb(neck, hip, 0.09, 0.07, kit.second))
    elif kit.pattern == "shoulders":
        parts.append(pose.limb(neck, neck + (hip - neck) * 0.2, 0.19, 0.185, kit.second))
    if kit.shading:
        aside, dark = np.array([0.1 * pose.pixels, 0.0]), mix(kit.shirt, (0, 0, 0), kit.shading)
        parts.append(pose.limb(neck + aside, hip + aside * 0.7, 0.09, 0.07, dark))
    return parts


def _legs(pose: Pose, kit: Kit, time: float, speed: Array, crouch: float) -> list[Part]:
    pace = float(np.hypot(*speed))
    swing = np.sin(time * (6 + 2 * min(pace, 4.0)) * 1.6) * min(1.0, pace / 2.5)
    parts: list[Part] = []
    for leg in (-1, 1):
        stride, lift = 0.2 * leg + 0.2 * swing, max(0.0, swing * leg) * 0.22
        foot, knee = pose.at(stride * 1.3, 0.07 + lift), pose.at(stride, 0.5 - crouch / 2 + lift * 0.6)
        thigh = pose.at(0.09 * leg, 0.92 - crouch)
        toe = foot + np.array([0.1 * leg, 0.03]) * pose.pixels
        sock, hem = foot + (knee - foot) * 0.3, thigh + (knee - thigh) * 0.6
        for begin, end, first, second, colour in (
            (thigh, knee, 0.09, 0.065, kit.skin),
            (knee, foot, 0.065, 0.04, kit.skin),
            (sock, foot, 0.05, 0.045, kit.socks),
            (foot, toe, 0.06, 0.045, kit.shoes),
            (thigh, hem, 0.13, 0.115, kit.shorts),
        ):
            parts.append(pose.limb(begin, end, first, second, colour))
    return parts


def _arms(
    pose: Pose, kit: Kit, side: int, time: float, stroke: Stroke | None, lean: float, crouch: float
) -> list[Part]:
    """Both arms and the racket, whose head is where the ball is when they meet."""
    hand_side = -side * kit.hand  # on which side of the picture the racket is
    shoulder = np.array([lean + 0.19 * hand_side, 1.42 - crouch])
    grip, head = np.array([0.3 * hand_side, 0.98]), np.array([0.05 * hand_side, 1.4])
    ahead = 0.0  # how far the racket is from the body, away from the camera
    if kit.racket is None:
        grip = np.array([0.26 * hand_side, 0.9])
    elif stroke is not None:
        reach = np.array([stroke.contact[0] - pose.place[0], stroke.contact[2]]) / pose.tall - shoulder
        phase = float(np.clip((time - stroke.time) / 0.22, -1.6, 1.6))
        turn = np.arctan2(reach[1], reach[0]) + 1.3 * phase * (1 if reach[0] > 0 else -1)
        along = np.array([np.cos(turn), np.sin(turn)])
        far = max(0.75, float(np.hypot(*reach)))
        weight = float(np.clip(2.4 - abs(phase), 0, 1))
        ahead = weight * (stroke.contact[1] - pose.place[1]) / pose.tall
        grip = grip + (shoulder + along * min(0.62, far * 0.55) - grip) * weight
        head = head + (shoulder + along * far - head) * weight
    other = np.array([lean - 0.19 * hand_side, 1.42 - crouch])
    held = (grip[0] - lean) * hand_side < 0  # a backhand with both hands
    free = grip if held else np.array([lean - 0.34 * hand_side, 1.0])
    parts = []
    for start, end in ((other, free), (shoulder, grip)):
        bend = (start + end) / 2 + [0.07 * np.sign(start[0] - lean), -0.08]
        top, elbow = pose.spot(start), pose.spot(bend, ahead / 4)
        wrist = pose.spot(end, ahead / 2 if end is grip else 0.0)
        parts += [pose.limb(top, elbow, 0.07, 0.055, kit.skin), pose.limb(elbow, wrist, 0.055, 0.045, kit.skin)]
        parts.append(pose.limb(top, top + (elbow - top) * 0.55, 0.085, 0.075, kit.shirt))
    if kit.racket is not None:
        along = (head - grip) / max(1e-6, float(np.hypot(*(head - grip))))
        across = np.array([-along[1], along[0]])
        turns = np.linspace(0, 2 * np.pi, 14, endpoint=False)
        rim = head + 0.17 * np.cos(turns)[:, None] * along + 0.11 * np.sin(turns)[:, None] * across
        hand, throat = pose.spot(grip, ahead / 2), pose.spot(head - along * 0.17, ahead)
        outline = np.array([pose.spot(spot, ahead) for spot in rim])
        parts.append(pose.limb(hand, throat, 0.022, 0.016, kit.racket))
        parts.append(Part(outline, kit.racket, max(1, round(0.03 * pose.pixels))))
    return parts


def paint(image: Image, parts: list[Part], softness: float, strength: float = 1.0) -> tuple[int, int, Cover] | None:
    """Draw a figure; returns the corner (x, y) and the cover 0..1 of the part of the image that it fills.

    ``softness`` is the sigma of the lens in pixels, ``strength`` the opacity. None: the figure lies outside the image.
    """
    points = np.concatenate([part.outline for part in parts])
    low = np.maximum(np.floor(points.min(0)).astype(int) - 3, 0)
    high = np.minimum(np.ceil(points.max(0)).astype(int) + 4, [image.shape[1], image.shape[0]])
    if (high <= low).any():
        return None
    region = image[low[1] : high[1], low[0] : high[0]]
    drawn, cover = region.copy(), np.zeros(region.shape[:2], np.uint8)
    for part in parts:
        outline = part.outline - low
        if part.line:
            shape = np.round(PIXELS.to_index(outline) * 16).astype(np.int32)
            cv2.polylines(drawn, [shape], True, part.colour, part.line, cv2.LINE_AA, 4)
            cv2.polylines(cover, [shape], True, 255, part.line, cv2.LINE_AA, 4)
        else:
            shape = fixed(outline)
            cv2.fillConvexPoly(drawn, shape, part.colour, cv2.LINE_AA, SHIFT)
            cv2.fillConvexPoly(cover, shape, 255, cv2.LINE_AA, SHIFT)
    drawn, cover = (cv2.GaussianBlur(layer, (0, 0), softness) for layer in (drawn, cover))
    share = cover.astype(np.float32) * np.float32(strength / 255)
    blend(region, drawn, share, rounded=True)
    return int(low[0]), int(low[1]), share
