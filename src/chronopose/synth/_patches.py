"""Closed pieces of a skinned mesh, made ring by ring, and their union as a :class:`Body`.

A tube is a row of superelliptic rings with a pole at each end. Every ring carries its own blend of
bones, so the middle of a ring that lies on a joint stays on that joint in every pose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from chronopose.core.skeleton import mirrored
from chronopose.synth.body import BONES, Body, Landmark, Surface

Array = NDArray[np.float64]
Point: TypeAlias = Sequence[float] | Array

BONE = {name: place for place, name in enumerate(BONES)}
"""Position of every bone by name."""

STEPS = 4096
"""Skin weights are whole multiples of 1 / STEPS: exact in float32, so that they sum to one."""


@dataclass(frozen=True)
class Ring:
    """One cross-section of a tube.

    Args:
        centre: ``(3,)`` metres.
        size: Half widths along the tube's right and forward directions, metres.
        bones: Bone name -> share; normalised later.
        colour: sRGB in [0, 1].
        look: Name of the surface of the faces that end here.
        power: 2 for an ellipse, more for a boxier shape.
    """

    centre: tuple[float, float, float]
    size: tuple[float, float]
    bones: Mapping[str, float]
    colour: tuple[float, float, float]
    look: str
    power: float = 2.0


@dataclass(frozen=True)
class Patch:
    """A closed mesh.

    Args:
        vertices: ``(V, 3)`` metres.
        faces: ``(F, 3)``, counter-clockwise seen from outside.
        weights: ``(V, J)`` shares of all bones, not yet normalised.
        colours: ``(V, 3)`` sRGB in [0, 1].
        looks: Surface name of each face.
        marks: Landmark name -> vertices and weights.
    """

    vertices: Array
    faces: NDArray[np.int64]
    weights: Array
    colours: Array
    looks: tuple[str, ...]
    marks: Mapping[str, tuple[tuple[int, ...], tuple[float, ...]]]

    def marked(self, name: str, index: Sequence[int], weight: Sequence[float] = ()) -> Patch:
        """The patch with one more landmark: the mean of ``index``, or weighted by ``weight``."""
        shares = tuple(weight) or (1 / len(index),) * len(index)
        at = tuple(int(i) for i in index)
        return replace(self, marks={**self.marks, name: (at, shares)})

    def nearest(self, point: Point) -> int:
        """Vertex closest to ``point`` ``(3,)``, metres."""
        return int(((self.vertices - np.asarray(point)) ** 2).sum(1).round(9).argmin())


def strongest(weights: NDArray[np.floating]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The four largest of dense skin weights ``(V, J)`` -> bones ``(V, 4)``, weights ``(V, 4)``.

    Each row sums to one exactly: weights are whole multiples of 1 / :data:`STEPS`.
    """
    bones = np.argsort(-np.asarray(weights).round(9), axis=1, kind="stable")[:, :4]
    shares = np.take_along_axis(np.asarray(weights, np.float64), bones, 1)
    steps = np.floor(shares / shares.sum(1, keepdims=True) * STEPS + 1e-6)
    steps[:, 0] += STEPS - steps.sum(1)
    return bones.astype(np.uint8), (steps / STEPS).astype(np.float32)


def smooth(value: float, low: float, high: float) -> float:
    """0 below ``low``, 1 above ``high``, a cubic with flat ends between."""
    x = min(max((value - low) / (high - low), 0.0), 1.0)
    return x * x * (3 - 2 * x)


def ring_vertices(number: int, segments: int) -> list[int]:
    """Vertices of ring ``number`` of a tube of ``segments``."""
    return list(range(number * segments, (number + 1) * segments))


def tube(
    rings: Sequence[Ring],
    segments: int,
    forward: Point,
    *,
    axis: Point | None = None,
    bulge: tuple[float, float] = (0.0, 0.0),
) -> Patch:
    """Rings joined to a closed tube; vertex ``ring * segments + k``, the two poles last.

    Args:
        rings: At least two, in order along the tube.
        segments: Vertices a ring; vertex 0 looks right, a quarter later forward.
        forward: ``(3,)`` hint of the rings' forward direction.
        axis: ``(3,)`` normal of all rings; None: each ring halves the bend of the centre line.
        bulge: How far the first and last pole stand out, metres.
    """
    centres = np.array([r.centre for r in rings], np.float64)
    along = (
        _axes(centres) if axis is None else np.tile(_unit(np.asarray(axis, float)), (len(rings), 1))
    )
    right = _unit(np.cross(np.asarray(forward, np.float64), along))
    ahead = np.cross(along, right)
    angle = 2 * np.pi * np.arange(segments) / segments
    cos, sin = np.cos(angle).round(12), np.sin(angle).round(12)
    points = np.empty((len(rings), segments, 3))
    for i, ring in enumerate(rings):
        bend = 2 / ring.power
        x = ring.size[0] * np.sign(cos) * np.abs(cos) ** bend
        y = ring.size[1] * np.sign(sin) * np.abs(sin) ** bend
        points[i] = centres[i] + x[:, None] * right[i] + y[:, None] * ahead[i]
    poles = centres[[0, -1]] + along[[0, -1]] * np.array([[-bulge[0]], [bulge[1]]])
    shares = np.array([_shares(r.bones) for r in rings])
    colours = np.array([r.colour for r in rings], np.float64)
    each = [0, -1]
    return Patch(
        np.concatenate([points.reshape(-1, 3), poles]),
        _tube_faces(len(rings), segments),
        np.concatenate([shares.repeat(segments, 0), shares[each]]),
        np.concatenate([colours.repeat(segments, 0), colours[each]]),
        tuple(r.look for r in rings[1:] for _ in range(2 * segments))
        + tuple(r.look for r in (rings[0], rings[-1]) for _ in range(segments)),
        {},
    )


def ball(
    centre: Point,
    radii: Point,
    axis: Point,
    bones: Mapping[str, float],
    colour: tuple[float, float, float],
    look: str,
    *,
    shape: tuple[int, int] = (3, 8),
    up: Point = (0.0, 0.0, 1.0),
) -> Patch:
    """An ellipsoid; its last vertex is the pole at ``centre + radii[2] * axis``.

    Args:
        centre: ``(3,)`` metres.
        radii: To the right, upwards and along the axis, metres.
        axis: ``(3,)`` direction of the last pole, of length one.
        bones, colour, look: As of :class:`Ring`.
        shape: Rings between the poles and vertices a ring.
        up: ``(3,)`` direction of the second radius.
    """
    middle, along = np.asarray(centre, np.float64), np.asarray(axis, np.float64)
    rings = []
    for number in range(shape[0]):
        angle = np.pi * (number + 1) / (shape[0] + 1)
        place = middle - along * radii[2] * np.cos(angle)
        size = radii[0] * np.sin(angle), radii[1] * np.sin(angle)
        rings.append(Ring((place[0], place[1], place[2]), size, bones, colour, look))
    out = radii[2] * (1 - np.cos(np.pi / (shape[0] + 1)))
    return tube(rings, shape[1], up, axis=axis, bulge=(out, out))


def mirror(patch: Patch) -> Patch:
    """The same patch on the other side: x changes sign, left and right names change places."""
    order = [BONE[mirrored(name)] for name in BONES]
    return Patch(
        patch.vertices * (-1, 1, 1) + 0.0,
        patch.faces[:, ::-1],
        patch.weights[:, order],
        patch.colours,
        patch.looks,
        {mirrored(name): mark for name, mark in patch.marks.items()},
    )


def unite(key: str, patches: Sequence[Patch], joints: Array) -> Body:
    """All patches as one body; faces are sorted by surface, positions rounded to 0.01 mm.

    Args:
        key: Name of the body.
        patches: At least one.
        joints: ``(J, 3)`` starts of the bones, metres.
    """
    starts = np.cumsum([0, *(len(p.vertices) for p in patches)])
    names = [look for p in patches for look in p.looks]
    rank = {name: place for place, name in enumerate(dict.fromkeys(names))}
    order = sorted(range(len(names)), key=lambda f: rank[names[f]])
    faces = np.concatenate([p.faces + s for p, s in zip(patches, starts[:-1], strict=True)])
    bones, weights = strongest(np.concatenate([p.weights for p in patches]))
    marks = {
        name: Landmark(np.array(index, np.int64) + start, np.array(weight, np.float32))
        for p, start in zip(patches, starts[:-1], strict=True)
        for name, (index, weight) in p.marks.items()
    }
    return Body(
        key=key,
        vertices=np.concatenate([p.vertices for p in patches]).round(5).astype(np.float32) + 0.0,
        faces=faces[order].astype(np.int32),
        uv=np.zeros((int(starts[-1]), 2), np.float32),
        colours=np.concatenate([p.colours for p in patches]).clip(0, 1).round(4).astype(np.float32),
        bones=bones,
        weights=weights,
        joints=joints.round(5).astype(np.float32),
        surfaces=_runs([names[f] for f in order]),
        landmarks=marks,
    )


def _runs(names: Sequence[str]) -> tuple[Surface, ...]:
    cuts = [0, *(i for i in range(1, len(names)) if names[i] != names[i - 1]), len(names)]
    return tuple(Surface(names[a], a, b) for a, b in pairwise(cuts))


def _unit(vectors: Array) -> Array:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _axes(centres: Array) -> Array:
    """Directions along a line of points ``(n, 3)``; a point met twice has its neighbours'."""
    steps = np.diff(centres, axis=0)
    moves = np.abs(steps).max(1) > 1e-9
    first = np.concatenate([[0], np.cumsum(moves)])
    ways = _unit(steps[moves])
    before, after = np.maximum(first - 1, 0), np.minimum(first, len(ways) - 1)
    return _unit(ways[before] + ways[after])


def _shares(bones: Mapping[str, float]) -> Array:
    shares = np.zeros(len(BONES))
    for name, share in bones.items():
        shares[BONE[name]] = share
    return shares


def _tube_faces(rings: int, segments: int) -> NDArray[np.int64]:
    """Strips from ring to ring, then the fan of the first pole, then that of the last."""
    k = np.arange(segments)
    after = (k + 1) % segments
    strips = []
    for start in range(0, (rings - 1) * segments, segments):
        a, b, c, d = start + k, start + after, start + segments + after, start + segments + k
        strips.append(
            np.stack([np.stack([a, b, c], -1), np.stack([a, c, d], -1)], 1).reshape(-1, 3)
        )
    last = (rings - 1) * segments
    first_fan = np.stack([after, k, np.full(segments, rings * segments)], -1)
    last_fan = np.stack([last + k, last + after, np.full(segments, rings * segments + 1)], -1)
    return np.concatenate([*strips, first_fan, last_fan])
