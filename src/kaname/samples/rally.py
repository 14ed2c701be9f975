"""Tennis in three dimensions: where the ball and both players are at any time, and when it is hit and bounces.

World coordinates are metres: x across the court to the right of the camera, y along it away from the camera, z up; the
origin lies on the ground under the middle of the net. The near player has side -1, the far one side +1. A flight is a
closed formula (gravity, spin as a change of gravity, linear drag), so places and events are exact at any time.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike

from .camera import Array

RADIUS = 0.0335  # of the ball
HALF_LENGTH = 11.885
HALF_WIDTH = 5.485
SINGLES = 4.115
SERVICE = 6.40
NET_MIDDLE, NET_POST, POST = 0.914, 1.07, 6.4  # heights, and how far from the middle a post stands
BACK_WALL = 17.5
FLYING, HIT, BOUNCE = 0, 1, 2


@dataclass(frozen=True)
class Flight:
    """One piece of the ball's path."""

    start: float  # seconds
    end: float
    place: Array  # (3,) at the start, metres
    velocity: Array  # (3,) at the start, metres per second
    fall: float  # downward acceleration in m/s^2: gravity, more with topspin, 0 for a rolling ball
    drag: float  # seconds in which the air takes 63 % of the speed
    event: int = FLYING  # what happens at the end: HIT, BOUNCE or FLYING (nothing that is labelled)

    def at(self, times: ArrayLike) -> Array:
        """Places ``(..., 3)`` at times in seconds."""
        past = np.asarray(times, np.float64)[..., None] - self.start
        sinking = np.array([0.0, 0.0, -self.fall * self.drag])
        worn = self.drag * -np.expm1(-past / self.drag)
        return self.place + (self.velocity - sinking) * worn + sinking * past

    def velocity_at(self, time: float) -> Array:
        """Velocity ``(3,)`` at one time."""
        sinking = np.array([0.0, 0.0, -self.fall * self.drag])
        return sinking + (self.velocity - sinking) * np.exp(-(time - self.start) / self.drag)


def launch(start: float, place: Array, target: Array, lasts: float, fall: float, drag: float, event: int) -> Flight:
    """The flight from ``place`` that is at ``target`` after ``lasts`` seconds."""
    sinking = np.array([0.0, 0.0, -fall * drag])
    velocity = (target - place - sinking * lasts) / (drag * -np.expm1(-lasts / drag)) + sinking
    return Flight(start, start + lasts, place, velocity, fall, drag, event)


def net_height(x: float) -> float:
    """Height of the net's upper edge at ``x``."""
    return NET_MIDDLE + (NET_POST - NET_MIDDLE) * min(1.0, abs(x) / POST)


@dataclass(frozen=True)
class Stroke:
    """A hit: its time, where ball and racket meet ``(3,)``, and whether it is a serve."""

    time: float
    contact: Array
    serve: bool


@dataclass
class Rally:
    """Everything that moves, planned ahead: flights in order of time; keys and strokes of each side.

    A key is ``(time, x, y)``: where a player stands when.
    """

    flights: list[Flight] = field(default_factory=list)
    keys: dict[int, list[tuple[float, float, float]]] = field(default_factory=lambda: {-1: [], 1: []})
    strokes: dict[int, list[Stroke]] = field(default_factory=lambda: {-1: [], 1: []})

    def ball(self, times: ArrayLike) -> Array:
        """Places ``(N, 3)`` of the ball at times ``(N,)``; NaN where there is none."""
        times = np.atleast_1d(np.asarray(times, np.float64))
        places = np.full((len(times), 3), np.nan)
        for flight in self.flights:
            inside = (times >= flight.start) & (times < flight.end)
            if inside.any():
                places[inside] = flight.at(times[inside])
        return places

    def status(self, begin: float, end: float) -> int:
        """The event in ``begin <= time < end``: a hit before a bounce before nothing."""
        events = [flight.event for flight in self.flights if begin <= flight.end < end]
        return HIT if HIT in events else BOUNCE if BOUNCE in events else FLYING

    def player(self, side: int, time: float) -> Array:
        """Place ``(2,)`` of a player on the ground: eased from key to key."""
        keys = np.array(self.keys[side])
        after = int(np.clip(np.searchsorted(keys[:, 0], time), 1, len(keys) - 1))
        (begin, *old), (end, *new) = keys[after - 1], keys[after]
        share = float(np.clip((time - begin) / max(1e-6, end - begin), 0, 1))
        return np.array(old) + (np.array(new) - np.array(old)) * share**2 * (3 - 2 * share)

    def stroke(self, side: int, time: float) -> Stroke | None:
        """The player's stroke nearest in time, if there is one within 0.7 seconds."""
        near = min(self.strokes[side], key=lambda stroke: abs(stroke.time - time), default=None)
        return near if near is not None and abs(near.time - time) < 0.7 else None


def play(rng: Generator, until: float) -> Rally:
    """Points one after the other from second 0 to beyond ``until``; what happens before does not depend on it."""
    rally = Rally()
    time = 0.0
    for side in (-1, 1):
        rally.keys[side].append((-9.0, rng.uniform(-2, 2), side * rng.uniform(12.0, 13.5)))
    last = False
    while not last:  # one point more than needed, for the players walk towards its beginning
        last = time > until
        time = _point(rng, rally, time)
    return rally


def _point(rng: Generator, rally: Rally, time: float) -> float:
    """One point from the pause before the serve to the ball's end; returns the time at which it is over."""
    side = -1 if rng.random() < 1 / 2 else 1
    half = 1 if rng.random() < 1 / 2 else -1  # which service court, as x of the server
    place = np.array([half * rng.uniform(0.3, 2.5), side * (HALF_LENGTH + rng.uniform(0.0, 0.3)), 1.5])
    raised = [rng.normal(0, 0.15), -side * rng.uniform(0.2, 0.5), rng.uniform(1.15, 1.35)]
    contact = place + raised
    tossed = time + rng.uniform(0.1, 0.8)
    toss = launch(tossed, place, contact, rng.uniform(0.62, 0.85), 9.81, 30.0, HIT)
    rally.flights.append(toss)
    for who, x, y in ((side, place[0], place[1] + side * 0.3), (-side, -half * rng.uniform(2.5, 4), -side * 12.8)):
        rally.keys[who] += [(time, x, y), (toss.end, x, y)]
    rally.strokes[side].append(Stroke(toss.end, contact, serve=True))
    time, serve = toss.end, True
    for left in range(int(rng.integers(1, 7)), -1, -1):
        kind = rng.random()
        if kind < 0.1 and not serve:
            return _into_net(rng, rally, time, contact, side)
        volley = kind > 0.88 and left > 0 and not serve
        flight = _shot(rng, time, contact, side, half if serve else 0, volley=volley)
        rally.flights.append(flight)
        if left == 0:
            _run(rng, rally, flight.end + 0.4, flight.at(flight.end), -side, share=rng.uniform(0.2, 0.7))
            return _bounce_on(rng, rally, flight, flight.end + rng.uniform(0.6, 2.0))
        if not volley:
            flight = _bounced(rng, flight, flight.end + rng.uniform(0.3, 0.62), HIT)
            rally.flights.append(flight)
        x, y = rally.player(side, time)
        rally.keys[side].append((flight.end, 0.5 * x, 0.3 * y + 0.7 * side * 12.6))
        time, contact, side, serve = flight.end, flight.at(flight.end), -side, False
        _run(rng, rally, time, contact, side, share=1.0)
        rally.strokes[side].append(Stroke(time, contact, serve=False))
    return time


def _run(rng: Generator, rally: Rally, time: float, contact: Array, side: int, share: float) -> None:
    """A player's way to the ball, or a ``share`` of it: a racket's reach beside it, sometimes right behind it."""
    reach = rng.uniform(0.05, 0.3) if rng.random() < 0.2 else rng.uniform(0.5, 0.95)
    goal = np.array([contact[0] + reach * rng.choice([-1, 1]), contact[1] + side * rng.uniform(0.2, 0.5)])
    goal[1] = side * max(2.0 if side < 0 else 6.0, abs(goal[1]))  # a far player so near the net would stand behind it
    begin = rally.keys[side][-1]
    x, y = np.array(begin[1:]) * (1 - share) + goal * share
    rally.keys[side].append((time, x, y))


def _shot(rng: Generator, time: float, place: Array, side: int, serve: int, *, volley: bool) -> Flight:
    """A flight over the net to its first bounce (or to the volleyer's racket), as flat as the net allows."""
    drag = rng.uniform(2.5, 5)
    fall = rng.uniform(9, 15) if rng.random() < 0.75 else rng.uniform(7, 9)
    if serve:
        target = np.array([-serve * rng.uniform(0.3, 3.9), -side * rng.uniform(4.2, 6.2), RADIUS])
        lasts = rng.uniform(0.42, 0.7)
    elif volley:
        target = np.array([rng.uniform(-3, 3), -side * rng.uniform(3, 5), rng.uniform(0.7, 1.9)])
        lasts = rng.uniform(0.45, 0.8)
    elif rng.random() < 0.1:  # a lob
        target = np.array([rng.uniform(-3.5, 3.5), -side * rng.uniform(9, 11.8), RADIUS])
        lasts, fall = rng.uniform(1.7, 2.5), 9.81
    else:
        deep = rng.uniform(7, 12.5) if rng.random() < 0.85 else rng.uniform(2.0, 5)
        target = np.array([rng.uniform(-4.4, 4.4), -side * deep, RADIUS])
        lasts = rng.uniform(0.55, 1.1) * (abs(place[1]) + deep) / 22
    clear = rng.uniform(0.08, 0.9)
    for _ in range(40):
        flight = launch(time, place, target, lasts, fall, drag, HIT if volley else BOUNCE)
        way = flight.at(np.linspace(flight.start, flight.end, 60))
        over = float(np.interp(0.0, way[:, 1] * -side, way[:, 2]))
        if place[1] * side < 0.3 or over > net_height(float(np.interp(0.0, way[:, 1] * -side, way[:, 0]))) + clear:
            break
        lasts *= 1.06
    return flight


def _bounced(rng: Generator, flight: Flight, end: float, event: int) -> Flight:
    """The flight after a bounce at the end of another."""
    velocity = flight.velocity_at(flight.end) * [0.72, 0.72, -rng.uniform(0.68, 0.78)]
    place = flight.at(flight.end)
    place[2] = RADIUS
    return Flight(flight.end, end, place, velocity, 9.81, flight.drag, event)


def _landing(flight: Flight) -> float:
    """When a flight that rises first comes down on the ground: bisection on the closed formula."""
    low, high = flight.start + 1e-3, flight.start + 0.1
    while flight.at(high)[2] > RADIUS:
        low, high = high, high + 0.1
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if flight.at(middle)[2] > RADIUS else (low, middle)
    return high


def _bounce_on(rng: Generator, rally: Rally, flight: Flight, until: float) -> float:
    """Bounce after bounce, back from the wall, then rolling; until somebody picks the ball up."""
    while flight.end < until:
        after = _bounced(rng, flight, until, FLYING)
        if after.velocity[2] < 0.6:
            velocity = after.velocity * [1, 1, 0]
            rally.flights.append(Flight(flight.end, until, after.place, velocity, 0.0, 0.9))
            break
        lands = _landing(after)
        times = np.linspace(after.start, min(lands, until), 120)
        beyond = np.abs(after.at(times)[:, 1]) > BACK_WALL
        if beyond.any() and not beyond[0]:
            knock = float(times[int(np.argmax(beyond)) - 1])
            rally.flights.append(Flight(after.start, knock, after.place, after.velocity, after.fall, after.drag))
            velocity = after.velocity_at(knock) * [0.6, -0.3, 0.6]
            after = Flight(knock, until, after.at(knock), velocity, 9.81, after.drag)
            lands = _landing(after)
        event = BOUNCE if lands < until else FLYING
        flight = replace(after, end=min(lands, until), event=event)
        rally.flights.append(flight)
    return until


def _into_net(rng: Generator, rally: Rally, time: float, contact: Array, side: int) -> float:
    """A ball that stays in the net: it drops on its striker's side and rolls back a little."""
    target = np.array([contact[0] * 0.4 + rng.normal(0, 1), side * 0.06, rng.uniform(0.25, 0.8)])
    lasts = max(0.12, abs(contact[1]) / rng.uniform(22, 38))
    flight = launch(time, contact, target, lasts, 9.81, 4.0, FLYING)
    rally.flights.append(flight)
    velocity = np.array([rng.normal(0, 0.3), side * rng.uniform(0.3, 1.0), 0.0])
    drop = Flight(flight.end, flight.end + 5, target, velocity, 9.81, 4.0, BOUNCE)
    drop = Flight(drop.start, _landing(drop), target, velocity, 9.81, 4.0, BOUNCE)
    rally.flights.append(drop)
    return _bounce_on(rng, rally, drop, drop.end + rng.uniform(0.3, 1.2))
