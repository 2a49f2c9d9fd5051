"""A panorama painted from one eye: solids found by rays, noise that fades where it is too fine."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from chronopose.synth.light import panorama_directions

EYE_M = 1.5
"""Height of the eye above the ground, metres: a camera's."""

_LATTICE = 128

Floats = NDArray[np.floating]
Indices = NDArray[np.int64]


class Noise:
    """Smooth random fields over the plane, the same for the same generator.

    Source: lattice ("value") noise, Perlin, "An Image Synthesizer".
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._lattice = rng.random((_LATTICE, _LATTICE)).astype(np.float32) * 2 - 1

    def at(self, x: Floats, y: Floats) -> Floats:
        """Values in [-1, 1] at points of the plane; about one bump a unit."""
        left, top = np.floor(x), np.floor(y)
        across, down = x - left, y - top
        across, down = across * across * (3 - 2 * across), down * down * (3 - 2 * down)
        column, row = left.astype(np.int64) % _LATTICE, top.astype(np.int64) % _LATTICE
        right, below = (column + 1) % _LATTICE, (row + 1) % _LATTICE
        grid = self._lattice
        above = grid[row, column] * (1 - across) + grid[row, right] * across
        under = grid[below, column] * (1 - across) + grid[below, right] * across
        return above * (1 - down) + under * down

    def fractal(self, x: Floats, y: Floats, octaves: int = 4, blur: Floats | float = 0.0) -> Floats:
        """Octaves of halved size and strength, about [-1, 1].

        Args:
            x, y: Points of the plane.
            octaves: How many.
            blur: Size of what one pixel sees, in the plane's unit; finer bumps fade out.
        """
        total = np.zeros(np.shape(x), np.float32)
        for octave in range(octaves):
            size = 0.5**octave
            fade = np.clip(size / np.maximum(2 * np.asarray(blur), 1e-6) - 0.5, 0, 1)
            if np.any(fade > 0):
                turned = 0.8 * x - 0.6 * y, 0.6 * x + 0.8 * y
                x, y = turned
                total += (0.55 * size * fade) * self.at(x / size, y / size)
        return total


@dataclass(frozen=True)
class Block:
    """An upright box: middle and half sizes on the ground, bottom, top, turn; metres, radians."""

    middle: tuple[float, float]
    half: tuple[float, float]
    bottom: float
    top: float
    yaw: float = 0.0

    def local(self, points: NDArray[np.floating]) -> NDArray[np.floating]:
        """World vectors ``(..., 3)`` turned into the box's axes."""
        cos, sin = np.cos(self.yaw), np.sin(self.yaw)
        x, y = points[..., 0], points[..., 1]
        return np.stack([cos * x + sin * y, cos * y - sin * x, points[..., 2]], -1)

    def world(self, vectors: Floats) -> Floats:
        """The way back of :meth:`local`."""
        cos, sin = np.cos(self.yaw), np.sin(self.yaw)
        x, y = vectors[..., 0], vectors[..., 1]
        return np.stack([cos * x - sin * y, sin * x + cos * y, vectors[..., 2]], -1)

    def enter(
        self, start: NDArray[np.floating], rays: NDArray[np.floating]
    ) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        """Distances ``(n, 3)`` at which rays pass the near and the far plane of each axis."""
        ray = self.local(rays)
        ray = np.where(np.abs(ray) < 1e-7, 1e-7, ray)
        offset = self.local(start) - np.append(
            self.local(np.array([*self.middle, 0.0]))[:2], (self.bottom + self.top) / 2
        )
        half = np.array([*self.half, (self.top - self.bottom) / 2])
        one, two = (-half - offset) / ray, (half - offset) / ray
        return np.minimum(one, two), np.maximum(one, two)


@dataclass(frozen=True)
class Ball:
    """A sphere: middle and radius, metres; ``rough`` frays its edge, in parts of the radius."""

    middle: tuple[float, float, float]
    radius: float
    rough: float = 0.0


@dataclass
class Hit:
    """Pixels where a solid is the nearest thing so far.

    Args:
        index: ``(n,)`` pixels, row by row.
        distance: ``(n,)`` metres along the ray.
        normal: ``(n, 3)`` world, of length one.
        place: ``(n, 3)`` world, metres.
        inside: ``(n, 3)`` the place from the solid's middle in its own axes, metres.
    """

    index: Indices
    distance: Floats
    normal: Floats
    place: Floats
    inside: Floats


@dataclass
class Canvas:
    """The picture while it is painted; arrays are flat, row by row.

    Args:
        height: Rows; twice as many columns.
    """

    height: int
    rays: Floats = field(init=False)
    distance: Floats = field(init=False)
    albedo: Floats = field(init=False)
    normal: Floats = field(init=False)
    glow: Floats = field(init=False)

    def __post_init__(self) -> None:
        count = self.height * self.height * 2
        self.rays = panorama_directions(self.height, 2 * self.height).reshape(-1, 3)
        self.distance = np.full(count, np.inf, np.float32)
        self.albedo = np.zeros((count, 3), np.float32)
        self.normal = np.zeros((count, 3), np.float32)
        self.glow = np.zeros((count, 3), np.float32)

    @property
    def eye(self) -> Floats:
        """``(3,)`` where all rays start."""
        return np.array([0, 0, EYE_M], np.float32)

    def blur(self, distance: Floats) -> Floats:
        """Size of what a pixel sees at these distances, metres, straight on."""
        return distance * np.float32(np.pi / self.height)

    def put(self, hit: Hit, albedo: Floats, glow: Floats | float = 0.0) -> None:
        """Paint a hit: albedo and own light, ``(n, 3)`` or one colour."""
        self.distance[hit.index] = hit.distance
        self.normal[hit.index] = hit.normal
        self.albedo[hit.index] = albedo
        self.glow[hit.index] = glow

    def plane(self) -> Hit:
        """The open ground."""
        index = np.nonzero(self.rays[:, 2] < -1e-3)[0]
        distance = -EYE_M / self.rays[index, 2]
        place = self.eye + self.rays[index] * distance[:, None]
        normal = np.zeros_like(place)
        normal[:, 2] = 1
        return Hit(index, distance, normal, place, place)

    def block(self, block: Block) -> Hit:
        """Where a box from outside is nearer than what is painted."""
        corners = np.array([[x, y, 0] for x in (-1, 1) for y in (-1, 1)]) * [*block.half, 0]
        index = self._columns(block.world(corners)[:, :2] + block.middle)
        near, far = block.enter(self.eye, self.rays[index])
        enter = most(near)
        keep = (enter < least(far)) & (enter > 0.01) & (enter < self.distance[index])
        return self._hit(block, index[keep], enter[keep], near[keep].argmax(1), 1.0)

    def room(self, block: Block) -> Hit:
        """The walls, floor and ceiling of a box around the eye."""
        index = np.arange(len(self.rays))
        _, far = block.enter(self.eye, self.rays)
        return self._hit(block, index, least(far), far.argmin(1), -1.0)

    def _hit(
        self, block: Block, index: Indices, distance: Floats, axis: Indices, out: float
    ) -> Hit:
        ray = block.local(self.rays[index])
        normal = np.zeros((len(index), 3), np.float32)
        each = np.arange(len(index))
        normal[each, axis] = -np.sign(ray[each, axis])
        distance = distance.astype(np.float32)
        place = self.eye + self.rays[index] * distance[:, None]
        middle = np.array([*block.middle, (block.bottom + block.top) / 2], np.float32)
        return Hit(index, distance, block.world(normal), place, block.local(place - middle))

    def ball(self, ball: Ball, noise: Noise) -> Hit:
        """Where a sphere is nearer than what is painted."""
        to = np.array(ball.middle, np.float32) - self.eye
        flat = np.array(ball.middle[:2])
        reach = ball.radius * (1 + ball.rough)
        sine = min(reach / max(float(np.linalg.norm(flat)), 1e-6), 0.999)
        side = np.array([-flat[1], flat[0]]) * (sine / np.sqrt(1 - sine * sine))
        index = self._columns(np.stack([flat + side, flat - side]))
        along = self.rays[index] @ to
        square = to @ to - along * along
        seen = np.nonzero((square < reach * reach) & (along > 0))[0]
        index, along, square = index[seen], along[seen], square[seen]
        ray = self.rays[index]
        turn = np.arctan2(ray[:, 0], ray[:, 1]) * (np.linalg.norm(to) / ball.radius)
        rise = ray[:, 2] * (np.linalg.norm(to) / ball.radius)
        size = ball.radius * (1 + ball.rough * noise.fractal(turn * 5, rise * 5, 3))
        distance = along - np.sqrt(np.maximum(size * size - square, 0))
        keep = (square < size * size) & (distance > 0.1) & (distance < self.distance[index])
        index, distance = index[keep], distance[keep]
        place = self.eye + self.rays[index] * distance[:, None]
        inside = place - np.array(ball.middle, np.float32)
        normal = inside / np.maximum(np.linalg.norm(inside, axis=-1, keepdims=True), 1e-6)
        return Hit(index, distance, normal, place, inside)

    def _columns(self, points: NDArray[np.floating]) -> Indices:
        """Pixels of all rows in the columns that these ground points ``(n, 2)`` span."""
        width = 2 * self.height
        turns = np.arctan2(points[:, 0], points[:, 1])
        middle = np.arctan2(np.sin(turns).sum(), np.cos(turns).sum())
        reach = np.abs((turns - middle + np.pi) % (2 * np.pi) - np.pi).max() + 0.02
        columns = ((np.arange(width) + 0.5) / width - 0.5) * 2 * np.pi
        off = np.abs((columns - middle + np.pi) % (2 * np.pi) - np.pi)
        chosen = np.nonzero(off <= reach)[0]
        return (np.arange(self.height)[:, None] * width + chosen).ravel()


def least(rows: Floats) -> Floats:
    """``(n,)`` least of the three numbers of each row: what ``min(1)`` says, ten times as fast."""
    return np.minimum(np.minimum(rows[:, 0], rows[:, 1]), rows[:, 2])


def most(rows: Floats) -> Floats:
    """``(n,)`` largest of the three numbers of each row."""
    return np.maximum(np.maximum(rows[:, 0], rows[:, 1]), rows[:, 2])


def total(rows: Floats) -> Floats:
    """``(n,)`` sum of the three numbers of each row."""
    return rows[:, 0] + rows[:, 1] + rows[:, 2]


def in_shade(
    points: Floats, sun: Floats, blocks: list[Block], balls: list[Ball]
) -> NDArray[np.bool_]:
    """``(n,)`` whether a solid stands between points ``(n, 3)`` and the sun."""
    dark = np.zeros(len(points), bool)
    rays = np.broadcast_to(sun, (1, 3))
    side = np.cross(sun, np.eye(3)[np.argmin(np.abs(sun))])
    side /= np.linalg.norm(side)
    axes = np.stack([side, np.cross(sun, side)], 1).astype(np.float32)
    seen = points @ axes  # as the sun sees them: only what lies behind a solid is looked at closely
    for block in blocks:
        middle = np.array([*block.middle, (block.bottom + block.top) / 2])
        reach = np.linalg.norm([*block.half, (block.top - block.bottom) / 2])
        some = _behind(seen, middle @ axes, float(reach))
        near, far = block.enter(points[some], rays)
        leave = least(far)
        dark[some] |= (most(near) < leave) & (leave > 0.02)
    for ball in balls:
        some = _behind(seen, np.array(ball.middle) @ axes, ball.radius)
        to = np.array(ball.middle, np.float32) - points[some]
        along = to @ sun
        dark[some] |= (total(to * to) - along * along < ball.radius**2) & (along > 0)
    return dark


def _behind(seen: Floats, middle: Floats, radius: float) -> Indices:
    """Points ``(n, 2)`` that a disc covers, with a margin for rounding."""
    x, y = seen[:, 0] - np.float32(middle[0]), seen[:, 1] - np.float32(middle[1])
    return np.flatnonzero(x * x + y * y < np.float32((1.01 * radius + 0.1) ** 2))
