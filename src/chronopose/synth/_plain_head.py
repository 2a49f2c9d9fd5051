"""Head, face and hair of a plain body."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from chronopose.synth._patches import Array, Patch, Ring, ball, mirror, ring_vertices, tube
from chronopose.synth._plain_frame import Frame
from chronopose.synth._plain_looks import Colour

SIDES = 20
"""Vertices around the head."""

_FRONT = (0.0, -1.0, 0.0)
_ON_HEAD = {"head": 1.0}
# Height above the chin, half width, depth in front, depth behind: fractions of the head's height.
_RINGS = np.array([
    (0.000, 0.090, 0.350, 0.060), (0.045, 0.165, 0.395, 0.020), (0.110, 0.225, 0.405, 0.120),
    (0.190, 0.265, 0.408, 0.230), (0.280, 0.292, 0.410, 0.330), (0.370, 0.312, 0.412, 0.395),
    (0.460, 0.328, 0.402, 0.430), (0.560, 0.340, 0.412, 0.448), (0.650, 0.345, 0.405, 0.450),
    (0.740, 0.336, 0.378, 0.436), (0.820, 0.308, 0.325, 0.398), (0.890, 0.258, 0.252, 0.328),
    (0.945, 0.188, 0.170, 0.235), (0.985, 0.095, 0.080, 0.115),
])  # fmt: skip
_CENTRE, _JAW = 7, 2


def head(frame: Frame) -> list[Patch]:
    """The head with face and hair; crown, face and axis landmarks are marked."""
    looks, size, at = frame.looks, frame.head_height, frame.at["chin"]
    skull = _skull(frame)
    skull = skull.marked("head_top", [len(skull.vertices) - 1])
    skull = skull.marked("head", ring_vertices(_CENTRE, SIDES))
    back, front = _JAW * SIDES + SIDES // 4, _JAW * SIDES + 3 * SIDES // 4
    skull = skull.marked("neck_nose", [front, back], [0.62, 0.38])
    nose = at + np.array([0.0, -0.40 * size, 0.355 * size])
    radii = 0.060 * size, 0.105 * size, 0.105 * size
    tip = ball(nose, radii, _FRONT, _ON_HEAD, looks.skin, "skin")
    tip = tip.marked("nose", [len(tip.vertices) - 1])
    mouth = ball(
        _on_face(frame, 0.0, 0.205), (0.115 * size, 0.026 * size, 0.018 * size), _FRONT, _ON_HEAD,
        looks.lips, "skin",
    )  # fmt: skip
    left = [*_eye(frame), _ear(frame)]
    return [skull, tip, mouth, *left, *(mirror(p) for p in left), *_hair(frame)]


def _skull(frame: Frame) -> Patch:
    looks, size, at = frame.looks, frame.head_height, frame.at["chin"]
    rings = []
    for place, wide, front, back in _RINGS.tolist():
        centre = 0.0, float(at[1]) + (back - front) / 2 * size, float(at[2]) + place * size
        half = wide * size, (front + back) / 2 * size
        rings.append(Ring(centre, half, _ON_HEAD, looks.skin, "skin", 2.15))
    bulge = 0.01 * size, (1 - float(_RINGS[-1, 0])) * size
    patch = tube(rings, SIDES, (0.0, 1.0, 0.0), axis=(0.0, 0.0, 1.0), bulge=bulge)
    crown = patch.vertices.copy()
    crown[-1] = frame.at["crown"]
    place, behind = _on_head(replace(patch, vertices=crown), frame)
    colours = patch.colours.copy()
    jaw = ((place < 0.24) & (behind < 0.1)) | ((place < 0.5) & (np.abs(behind) < 0.2))
    chin = jaw & ~((place > 0.17) & (behind < -0.9))
    colours[chin] = _blend(looks.skin, looks.hair, 0.75 * looks.beard)
    if looks.hairdo == "none":
        colours[place > _hairline(behind)] = _blend(looks.skin, looks.hair, 0.25)
    return replace(patch, vertices=crown, colours=colours)


def _on_head(patch: Patch, frame: Frame) -> tuple[Array, Array]:
    """Height above the chin and -1 in front to 1 behind, for every vertex of a skull."""
    place = (patch.vertices[:, 2] - frame.at["chin"][2]) / frame.head_height
    y = (patch.vertices[:, 1] - frame.at["chin"][1]) / frame.head_height
    front, back = (np.interp(place, _RINGS[:, 0], _RINGS[:, c]) for c in (2, 3))
    return place, (2 * y - (back - front)) / (front + back)


def _on_face(frame: Frame, across: float, place: float) -> Array:
    """The point of the face at ``across`` and ``place``, fractions of the head's height."""
    wide, front, back = (float(np.interp(place, _RINGS[:, 0], c)) for c in _RINGS.T[1:])
    deep = (front + back) / 2 * (1 - abs(across / wide) ** 2.15) ** (1 / 2.15)
    return frame.at["chin"] + frame.head_height * np.array(
        [across, (back - front) / 2 - deep, place]
    )


def _eye(frame: Frame) -> list[Patch]:
    """White, iris and brow of the left eye; the landmark is the middle of the iris."""
    looks, size = frame.looks, frame.head_height
    spot = _on_face(frame, 0.145, 0.475)
    white = ball(
        spot,
        (0.062 * size, 0.026 * size, 0.016 * size),
        _FRONT,
        _ON_HEAD,
        (0.92, 0.90, 0.88),
        "skin",
    )
    iris = ball(
        spot - np.array([0, 0.010 * size, 0]), (0.024 * size, 0.025 * size, 0.010 * size),
        _FRONT, _ON_HEAD, (0.10, 0.07, 0.05), "skin",
    )  # fmt: skip
    brow = ball(
        _on_face(frame, 0.150, 0.555), (0.088 * size, 0.018 * size, 0.014 * size), _FRONT, _ON_HEAD,
        _blend(looks.skin, looks.hair, 0.8), "skin",
    )  # fmt: skip
    return [white, iris.marked("left_eye", [len(iris.vertices) - 1]), brow]


def _ear(frame: Frame) -> Patch:
    size = frame.head_height
    spot = frame.at["chin"] + size * np.array([0.318, 0.04, 0.40])
    shade = _blend(frame.looks.skin, frame.looks.lips, 0.3)
    radii = 0.075 * size, 0.135 * size, 0.040 * size
    patch = ball(spot, radii, (1.0, 0.0, 0.0), _ON_HEAD, shade, "skin")
    return patch.marked("left_ear", [len(patch.vertices) - 1])


def _hairline(behind: Array, low: float = 0.0) -> Array:
    """Height where hair begins; ``low`` lets it hang over the ears."""
    places = (-1.0, -0.6, -0.25, 0.1, 0.5, 1.0)
    return np.interp(behind, places, (0.80, 0.74, 0.62 - low, 0.50 - low, 0.26 - low, 0.18 - low))


def _shell(frame: Frame, colour: Colour, thick: float, line: Array | float, low: float) -> Patch:
    """A skull that stands off by ``thick`` above the hairline and hides below it."""
    patch = _skull(frame)
    place, behind = _on_head(patch, frame)
    edge = _hairline(behind, low) if np.ndim(line) == 0 and line == 0.0 else np.asarray(line)
    rise = np.clip((place - edge) / 0.07, -0.45, 1.0)
    middle = frame.at["chin"] + frame.head_height * np.array([0.0, 0.0, 0.55])
    away = patch.vertices - middle
    away = away / np.linalg.norm(away, axis=1, keepdims=True)
    vertices = patch.vertices + away * (rise * thick * frame.head_height)[:, None]
    tuft = 0.93 + 0.14 * ((np.arange(len(vertices)) * 7) % 5) / 4
    colours = np.outer(tuft, colour)
    return replace(
        patch, vertices=vertices, colours=colours, looks=("hair",) * len(patch.looks), marks={}
    )


def _hair(frame: Frame) -> list[Patch]:
    looks, size = frame.looks, frame.head_height
    if looks.hairdo == "none":
        return []
    low = {"bob": 0.34, "long": 0.28}.get(looks.hairdo, 0.0)
    thick = {"bob": 0.075, "long": 0.06, "short": 0.045}.get(looks.hairdo, 0.035)
    parts = [_shell(frame, looks.hair, thick, 0.0, low)]
    at = frame.at["chin"]
    if looks.hairdo == "cap":
        parts.append(_shell(frame, looks.second, 0.07, 0.66, 0.0))
        peak = at + size * np.array([0.0, -0.46, 0.685])
        radii = 0.27 * size, 0.020 * size, 0.25 * size
        parts.append(ball(peak, radii, _FRONT, _ON_HEAD, looks.second, "hair"))
    if looks.hairdo == "bun":
        knot = at + size * np.array([0.0, 0.44, 0.86])
        radii = (0.17 * size,) * 3
        parts.append(ball(knot, radii, (0.0, 1.0, 0.0), _ON_HEAD, looks.hair, "hair"))
    if looks.hairdo in ("long", "tail"):
        parts.append(_hanging(frame))
    return parts


def _hanging(frame: Frame) -> Patch:
    """Hair down the back; its lower end follows neck and chest."""
    looks, size, at = frame.looks, frame.head_height, frame.at["chin"]
    tail = looks.hairdo == "tail"
    # Height, distance behind, half width, half depth: fractions of the head's height.
    rows = ((0.70, 0.44, 0.07, 0.06), (0.55, 0.53, 0.10, 0.09), (0.25, 0.53, 0.10, 0.09),
            (-0.05, 0.47, 0.08, 0.07), (-0.30, 0.42, 0.03, 0.03)) if tail else (
            (0.62, 0.36, 0.30, 0.13), (0.35, 0.36, 0.34, 0.15), (0.05, 0.34, 0.34, 0.14),
            (-0.22, 0.36, 0.33, 0.11), (-0.45, 0.41, 0.28, 0.07))  # fmt: skip
    chest = (0.0, 0.0, 0.25, 0.6, 0.85)
    rings = [
        Ring(
            (0.0, float(at[1]) + behind * size, float(at[2]) + place * size),
            (wide * size, deep * size), {"head": 1 - share, "chest": share}, looks.hair, "hair",
        )
        for (place, behind, wide, deep), share in zip(rows[::-1], chest[::-1], strict=True)
    ]  # fmt: skip
    return tube(rings, 12, (0.0, 1.0, 0.0), axis=(0.0, 0.0, 1.0), bulge=(0.02 * size, 0.02 * size))


def _blend(one: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = ((1 - share) * np.array(one) + share * np.array(other)).tolist()
    return red, green, blue
