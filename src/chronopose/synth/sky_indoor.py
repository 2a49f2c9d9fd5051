"""Rooms: walls, floor, ceiling, windows, lamps, doors, pictures and furniture made of boxes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chronopose.synth.sky_canvas import Block, Canvas, Floats, Hit, Noise, total

_PAINTS = (
    (0.72, 0.70, 0.66), (0.66, 0.62, 0.52), (0.52, 0.60, 0.62), (0.62, 0.50, 0.42),
    (0.45, 0.52, 0.42), (0.75, 0.75, 0.75), (0.40, 0.42, 0.50), (0.70, 0.56, 0.36),
)  # fmt: skip
_FLOORS = {
    "planks": (0.36, 0.22, 0.12), "tiles": (0.52, 0.50, 0.46), "carpet": (0.22, 0.24, 0.30),
    "concrete": (0.38, 0.37, 0.35), "hall": (0.50, 0.33, 0.16),
}  # fmt: skip
_WOODS = ((0.34, 0.20, 0.10), (0.55, 0.42, 0.26), (0.12, 0.09, 0.07), (0.70, 0.70, 0.69))
_LAMPS = 4
_CLOTHS = ((0.35, 0.08, 0.07), (0.10, 0.16, 0.30), (0.25, 0.27, 0.26), (0.45, 0.38, 0.27))


@dataclass(frozen=True)
class _Pane:
    """A rectangle on a wall or the ceiling, in the room's axes.

    Args:
        axis: 0 or 1 for the walls across x or y, 2 for the ceiling.
        end: -1 or 1, which of the two.
        middle, half: Along the remaining two axes, metres.
        light: Radiance; zeros for doors and pictures.
        colour: Albedo.
    """

    axis: int
    end: int
    middle: tuple[float, float]
    half: tuple[float, float]
    light: tuple[float, float, float] = (0.0, 0.0, 0.0)
    colour: tuple[float, float, float] = (0.5, 0.5, 0.5)
    barred: bool = False


def indoor_panorama(rng: np.random.Generator, height: int) -> Floats:
    """``(height, 2 height, 3)`` float32 linear radiance of a room, the eye well inside it."""
    canvas, noise = Canvas(height), Noise(rng)
    large = rng.random() < 0.35
    half = rng.uniform(7, 13, 2) if large else rng.uniform(3.6, 6.5, 2)
    tall = float(rng.uniform(4, 7) if large else rng.uniform(2.6, 3.4))
    middle = rng.uniform(-0.3, 0.3, 2) * half
    room = Block((middle[0], middle[1]), (half[0], half[1]), 0.0, tall, rng.uniform(-np.pi, np.pi))
    size = np.array([*half, tall / 2], np.float32)
    panes = _windows(rng, size) + _lamps(rng, size) + _hangings(rng, size)
    hit = canvas.room(room)
    axes = room.local(hit.normal)
    albedo = _walls(canvas, noise, rng, hit, axes, size)
    glow = np.zeros_like(albedo)
    for pane in panes:
        _hang(pane, hit, axes, albedo, glow, noise)
    canvas.put(hit, albedo, glow)
    taken: list[tuple[int, float, float, float]] = []
    pieces = [b for _ in range(int(rng.integers(2, 9))) for b in _furniture(rng, room, size, taken)]
    for block, colour in pieces:
        seen = canvas.block(block)
        grain = noise.fractal(seen.inside[:, 0] * 3 + seen.inside[:, 1] * 3, seen.inside[:, 2] * 20)
        canvas.put(seen, np.array(colour, np.float32) * (1 + 0.15 * grain)[:, None])
    _shine(canvas, room, size, panes, [b for b, _ in pieces])
    return canvas.glow.reshape(height, 2 * height, 3)


def _windows(rng: np.random.Generator, size: Floats) -> list[_Pane]:
    panes = []
    day = np.array([0.85, 0.95, 1.1]) * rng.uniform(2.5, 9)
    for wall in rng.permutation(4)[: int(rng.integers(0, 3))]:
        axis, end = int(wall % 2), int(wall // 2 * 2 - 1)
        length, tall = size[1 - axis], size[2]
        wide = rng.uniform(0.5, min(2.2, length / 2))
        sill = rng.choice([0.05, rng.uniform(0.7, 1.1)])
        top = min(2 * tall - 0.25, rng.uniform(2.1, 3.4))
        step = 2 * wide + rng.uniform(0.3, 1.5)
        count = max(int(2 * (length - 0.4) / step), 1)
        for number in range(count):
            at = (number - (count - 1) / 2) * step
            panes.append(
                _Pane(axis, end, (at, (sill + top) / 2 - tall), (wide, (top - sill) / 2),
                      tuple(day), (0.0, 0.0, 0.0), True)
            )  # fmt: skip
    return panes


def _lamps(rng: np.random.Generator, size: Floats) -> list[_Pane]:
    warm = rng.uniform(0, 1)
    light = np.array([1.0, 0.93 - 0.12 * warm, 0.86 - 0.36 * warm]) * rng.uniform(5, 14)
    half = rng.uniform(0.12, 0.35), rng.uniform(0.3, 0.7)
    step = rng.uniform(1.8, 3.5)
    counts = [int(np.clip(2 * s / step, 1, _LAMPS)) for s in size[:2]]
    gaps = [max(step, 2 * float(s) / (_LAMPS + 0.5)) for s in size[:2]]
    half = half[0] * gaps[0] / step, half[1] * gaps[1] / step
    return [
        _Pane(2, 1, ((i - (counts[0] - 1) / 2) * gaps[0], (j - (counts[1] - 1) / 2) * gaps[1]),
              half, tuple(light), (0.8, 0.8, 0.8))
        for i in range(counts[0]) for j in range(counts[1])
    ]  # fmt: skip


def _hangings(rng: np.random.Generator, size: Floats) -> list[_Pane]:
    """Doors, pictures and boards."""
    panes = []
    for _ in range(int(rng.integers(2, 9))):
        axis, end = int(rng.integers(2)), int(rng.choice([-1, 1]))
        at = rng.uniform(-1, 1) * (size[1 - axis] - 1.2)
        colour = tuple(rng.uniform(0.05, 0.7, 3))
        if rng.random() < 0.4:
            wood = _WOODS[rng.integers(len(_WOODS))]
            panes.append(_Pane(axis, end, (at, 1.02 - size[2]), (0.46, 1.02), colour=wood))
        else:
            half = rng.uniform(0.2, 1.1), rng.uniform(0.2, 0.6)
            panes.append(_Pane(axis, end, (at, 1.6 - size[2]), half, colour=colour))
    return panes


def _walls(
    canvas: Canvas, noise: Noise, rng: np.random.Generator, hit: Hit, axes: Floats, size: Floats
) -> Floats:
    """Albedo ``(n, 3)`` of walls, ceiling and floor without what hangs on them."""
    paint, other = (np.array(_PAINTS[i]) for i in rng.choice(len(_PAINTS), 2))
    albedo = np.tile(paint.astype(np.float32), (len(hit.index), 1))
    if rng.random() < 0.5:
        albedo[axes[:, int(rng.integers(2))] > 0.5] = other
    if rng.random() < 0.3:
        albedo[hit.place[:, 2] < 1.1] = other * 0.8
    floor, ceiling = axes[:, 2] > 0.5, axes[:, 2] < -0.5
    skirting = (hit.place[:, 2] < 0.09) & ~floor
    albedo[skirting] = rng.choice([0.75, 0.2])
    albedo[ceiling] = rng.uniform(0.65, 0.8)
    stain = noise.fractal(hit.inside[:, 0] * 0.8 + hit.inside[:, 2], hit.inside[:, 1] * 0.8, 4)
    albedo *= (1 + 0.06 * stain)[:, None]
    inside = hit.inside[floor]
    blur = canvas.blur(hit.distance[floor]) * np.sqrt(hit.distance[floor] / 1.5)
    albedo[floor] = _floor(inside[:, 0], inside[:, 1], blur, noise, rng)
    return albedo


def _floor(x: Floats, y: Floats, blur: Floats, noise: Noise, rng: np.random.Generator) -> Floats:
    kind = str(rng.choice(list(_FLOORS)))
    base = np.array(_FLOORS[kind], np.float32) * rng.uniform(0.8, 1.2)
    shade = np.ones(len(x), np.float32)
    if kind in ("planks", "hall", "tiles"):
        wide = rng.uniform(0.09, 0.2) if kind != "tiles" else rng.uniform(0.3, 0.7)
        long = wide if kind == "tiles" else wide * 10
        row = np.floor(y / wide)
        column = np.floor(x / long + 0.37 * (row % 3))
        each = noise.at(column * 0.79 + 3, row * 0.83)
        fade = np.clip(wide / np.maximum(2 * blur, 1e-3), 0, 1)
        gap = np.minimum(y / wide - row, 1 - (y / wide - row)) * wide
        if kind == "tiles":
            gap = np.minimum(gap, np.abs((x / long) % 1 - 0.5) * -long + long / 2)
        joint = np.clip(1 - gap / (0.004 + blur), 0, 1) * np.clip(0.008 / (blur + 0.004), 0, 0.6)
        shade += (0.25 if kind != "tiles" else 0.08) * each * fade - 0.6 * joint
        if kind != "tiles":
            shade += 0.2 * noise.fractal(x * 2.5, y * 40, 3, blur * 20)
    else:
        shade += 0.25 * noise.fractal(x * 14, y * 14, 3, blur * 14)
        shade += 0.15 * noise.fractal(x * 0.9, y * 0.9, 4, blur)
    albedo = base * np.clip(shade, 0.3, 1.8)[:, None]
    if kind == "hall":
        for _ in range(4):
            colour = rng.uniform(0.1, 0.8, 3).astype(np.float32)
            off = np.abs((x, y)[int(rng.integers(2))] - rng.uniform(-6, 6))
            line = np.clip((0.03 - off) / np.maximum(blur, 0.008) + 0.5, 0, 1)
            albedo += (line * np.clip(0.06 / (blur + 0.03), 0, 1))[:, None] * (colour - albedo)
    return albedo


def _hang(pane: _Pane, hit: Hit, axes: Floats, albedo: Floats, glow: Floats, noise: Noise) -> None:
    """Paint a pane onto the walls' albedo and glow, in place."""
    wall = np.nonzero(axes[:, pane.axis] * pane.end < -0.5)[0]
    one, two = [a for a in range(3) if a != pane.axis]
    x = (hit.inside[wall, one] - pane.middle[0]) / pane.half[0]
    y = (hit.inside[wall, two] - pane.middle[1]) / pane.half[1]
    rim = 0.06 / min(pane.half)
    frame = wall[(np.abs(x) < 1 + rim) & (np.abs(y) < 1 + rim)]
    albedo[frame] = np.array(pane.colour) * 0.5 + 0.3
    glow[frame] = 0
    within = (np.abs(x) < 1) & (np.abs(y) < 1)
    if pane.barred:
        bars = (np.abs(x) < 0.04 / pane.half[0]) | (np.abs(y - 0.3) < 0.04 / pane.half[1])
        within &= ~bars
    spot, x, y = wall[within], x[within], y[within]
    light = np.array(pane.light, np.float32)
    if pane.barred:
        skyline = -0.1 + 0.3 * noise.fractal(x * pane.half[0] + pane.middle[0], 0 * x, 3)
        below = (y < skyline)[:, None]
        view = light * (0.75 + 0.25 * y)[:, None]
        glow[spot] = np.where(below, light * np.array([0.22, 0.26, 0.15], np.float32), view)
        albedo[spot] = 0.02
        return
    albedo[spot] = np.array(pane.colour, np.float32)
    if not light.any():
        blotch = noise.fractal(x * 2 + pane.middle[0] * 9, y * 2, 3)
        albedo[spot] *= (1 + 0.5 * blotch)[:, None]
    glow[spot] = light


def _furniture(
    rng: np.random.Generator,
    room: Block,
    size: Floats,
    taken: list[tuple[int, float, float, float]],
) -> list[tuple[Block, tuple[float, float, float]]]:
    """One piece against a wall, as boxes with their colours; none where one stands already."""
    axis, end = int(rng.integers(2)), float(rng.choice([-1, 1]))
    kind = rng.choice(["cupboard", "table", "sofa"])
    long = {"cupboard": (0.4, 1.0), "table": (0.5, 1.0), "sofa": (0.7, 1.2)}[kind]
    deep = {"cupboard": 0.25, "table": 0.4, "sofa": 0.42}[kind]
    half = rng.uniform(*long)
    along = rng.uniform(-1, 1) * (size[1 - axis] - half - 1.0)
    if any((x, y) == (axis, end) and abs(along - a) < half + h + 0.3 for x, y, a, h in taken):
        return []
    taken.append((axis, end, along, half))
    wood = _WOODS[rng.integers(len(_WOODS))]

    def part(off: float, shift: float, thick: float, wide: float, low: float, high: float) -> Block:
        place = np.zeros(3)
        place[axis] = end * (size[axis] - 0.02 - off)
        place[1 - axis] = along + shift
        sides = (thick, wide) if axis == 0 else (wide, thick)
        middle = room.world(place)[:2] + room.middle
        return Block((middle[0], middle[1]), sides, low, high, room.yaw)

    if kind == "cupboard":
        return [(part(deep, 0, deep, half, 0, rng.uniform(0.7, 2.1)), wood)]
    if kind == "table":
        legs = [part(deep, s * (half - 0.05), deep - 0.05, 0.03, 0, 0.7) for s in (-1, 1)]
        return [(part(deep, 0, deep, half, 0.7, 0.75), wood), *((leg, wood) for leg in legs)]
    cloth = _CLOTHS[rng.integers(len(_CLOTHS))]
    arms = [part(deep, s * half, deep, 0.1, 0, 0.6) for s in (-1, 1)]
    blocks = [part(deep, 0, deep, half, 0.05, 0.42), part(0.1, 0, 0.1, half, 0.05, 0.85), *arms]
    return [(block, cloth) for block in blocks]


def _shine(
    canvas: Canvas, room: Block, size: Floats, panes: list[_Pane], pieces: list[Block]
) -> None:
    """Turn what is painted into light, in place, as ``glow``."""
    middle = np.array([*room.middle, size[2]], np.float32)
    places = room.local(canvas.eye + canvas.rays * canvas.distance[:, None] - middle)
    normals = room.local(canvas.normal)
    fall = np.zeros_like(canvas.glow)
    flux = np.zeros(3, np.float32)
    shining = [p for p in panes if max(p.light) > 0]
    for pane in shining:
        area = 4 * pane.half[0] * pane.half[1]
        light = np.array(pane.light, np.float32) * (0.6 if pane.barred else 1)
        flux += light * area
        source = np.zeros(3, np.float32)
        source[pane.axis] = pane.end * size[pane.axis]
        source[[a for a in range(3) if a != pane.axis]] = pane.middle
        to = source - places
        square = total(to * to)
        leaving = np.maximum(pane.end * to[:, pane.axis], 0)
        falling = np.maximum(total(to * normals), 0)
        share = leaving * falling * area / (np.pi * (square + area / 3) ** 2)
        fall += share[:, None] * light
    walls = 8 * (size[0] * size[1] + size[0] * size[2] + size[1] * size[2])
    fall += flux / walls * 0.9 + 0.02
    corner = np.sort(size - np.abs(places), axis=1)[:, 1]
    fall *= (1 - 0.3 * np.exp(-np.maximum(corner, 0) / 0.35))[:, None]
    floor = np.nonzero((normals[:, 2] > 0.5) & (places[:, 2] + size[2] < 0.05))[0]
    for piece in pieces:
        off = places[floor] - room.local(np.array([*piece.middle, 0.0]) - middle)
        away = np.maximum(np.abs(off[:, :2]) - piece.half, 0)
        dark = 0.55 * np.exp(-np.hypot(away[:, 0], away[:, 1]) / 0.22)
        fall[floor] *= (1 - dark)[:, None].astype(np.float32)
    canvas.glow += canvas.albedo * fall
