"""Where bodies keep light from the ground: boxes around them and spheres that stand for them.

A body is stood for by a few dozen spheres that ride on its bones. A sphere takes from a point of
the ground what it hides of the sky, weighted by the cosine: ``cos(angle) * (radius / distance)²``
(form factor of a sphere).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chronopose.synth.body import BONES, Body
from chronopose.synth.light import lit
from chronopose.synth.scene import Environment

MAX_SPHERES = 64
NEAREST = 16
"""How many of them are asked for the contact shadow."""
REACH_M = 0.5
"""How far from a body its contact shadow is looked for, metres."""

_LOWEST_SUN = 0.12
_MARGIN = 0.03
_SWELL = 1.6
_CORNERS = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], np.float32)
_LEAST_WEIGHT = 0.02


@dataclass(frozen=True)
class Hull:
    """What is known of a body's extent without its mesh.

    Args:
        corners: ``(n, 8, 3)`` rest corners of the box of each bone's vertices, metres.
        corner_bones: ``(n,)`` the bones.
        spheres: ``(m, 4)`` rest centre and radius, metres; m is at most :data:`MAX_SPHERES`.
        sphere_bones: ``(m,)`` the bones that carry them.
    """

    corners: NDArray[np.float32]
    corner_bones: NDArray[np.int64]
    spheres: NDArray[np.float32]
    sphere_bones: NDArray[np.int64]

    def posed_corners(self, matrices: NDArray[np.float32]) -> NDArray[np.float32]:
        """``(8 n, 3)`` points whose hull holds every vertex of the posed body, metres."""
        turn = matrices[self.corner_bones]
        moved = np.einsum("nab,ncb->nca", turn[..., :3], self.corners) + turn[:, None, :, 3]
        return moved.reshape(-1, 3)

    def posed_spheres(self, matrices: NDArray[np.float32]) -> NDArray[np.float32]:
        """``(m, 4)`` centres and radii of the posed body, metres."""
        turn = matrices[self.sphere_bones]
        moved = np.einsum("nab,nb->na", turn[..., :3], self.spheres[:, :3]) + turn[..., 3]
        return np.concatenate([moved, self.spheres[:, 3:]], 1).astype(np.float32)


def hull_of(body: Body) -> Hull:
    """Boxes and spheres of a body at rest; keep the result, it costs as much as a frame."""
    boxes, box_bones, spheres, sphere_bones = [], [], [], []
    used = np.unique(body.faces)
    bones, weights, points = body.bones[used], body.weights[used], body.vertices[used]
    ruler = bones[np.arange(len(bones)), weights.argmax(1)]
    for bone in range(len(BONES)):
        mine = points[((bones == bone) & (weights > _LEAST_WEIGHT)).any(1)]
        if not len(mine):
            continue
        ends = np.stack([mine.min(0), mine.max(0)])
        pick = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1]), -1).reshape(-1, 3)
        boxes.append(ends[pick, np.arange(3)])
        box_bones.append(bone)
        core = points[ruler == bone]
        if len(core) > 3:
            cut = _spheres(core)
            spheres += cut
            sphere_bones += [bone] * len(cut)
    order = np.argsort([-s[3] for s in spheres])[:MAX_SPHERES]
    return Hull(
        np.asarray(boxes, np.float32).reshape(-1, 8, 3),
        np.asarray(box_bones, np.int64),
        np.asarray(spheres, np.float32).reshape(-1, 4)[order],
        np.asarray(sphere_bones, np.int64)[order],
    )


def _spheres(points: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """One to four spheres along the longest axis of a bone's vertices."""
    middle = (points.min(0) + points.max(0)) / 2
    _, _, axes = np.linalg.svd(points - points.mean(0), full_matrices=False)
    along = (points - middle) @ axes.T
    low, high = along.min(0), along.max(0)
    half = np.sort((high - low) / 2)[::-1]
    thick = max(float(np.sqrt(max(half[1], 1e-3) * max(half[2], 1e-3))), 0.01)
    count = int(np.clip(round(half[0] / thick), 1, 4))
    radius = min(0.85 * thick if count > 1 else 0.8 * float(half[:2].mean()), 1.2 * half[0])
    steps = (np.arange(count) + 0.5) / count
    centre = middle + ((low + high) / 2 * [0, 1, 1]) @ axes
    places = centre + np.outer(low[0] + (high[0] - low[0]) * steps, axes[0])
    return [np.append(place, radius).astype(np.float32) for place in places]


def nearest_ground(spheres: NDArray[np.float32]) -> NDArray[np.float32]:
    """The at most :data:`NEAREST` of ``(m, 4)`` posed spheres that darken the ground the most.

    They come back larger than they are, because together they leave gaps that a body has not.
    """
    hidden = (spheres[:, 3] / np.maximum(spheres[:, 2], spheres[:, 3])) ** 2
    near = spheres[np.argsort(-hidden, kind="stable")[:NEAREST]]
    return near * np.array([1, 1, 1, _SWELL], np.float32)


def ground_light(environment: Environment) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Shares of sky and sun in the light on open ground, ``(3,)`` each, summing to one."""
    up = np.array([0, 0, 1], np.float32)
    sky = lit(environment.harmonics, up) + 1e-6
    sun = environment.sun_colour * max(float(environment.sun_direction[2]), 0.0)
    return (sky / (sky + sun)).astype(np.float32), (sun / (sky + sun)).astype(np.float32)


def shadow_quad(points: NDArray[np.float32], environment: Environment) -> NDArray[np.float32]:
    """``(4, 2)`` corners of the ground, metres, that the sun's shadow of a hull lies in.

    Corners come row by row, as a strip of two triangles wants them. Shadows of a sun lower than
    seven degrees are cut off.

    Args:
        points: ``(n, 3)`` points whose hull holds the body, metres.
        environment: Whose sun.
    """
    sun = environment.sun_direction
    flat = float(np.hypot(sun[0], sun[1]))
    along = np.array([sun[0], sun[1]]) / flat if flat > 1e-3 else np.array([1.0, 0.0])
    axes = np.stack([along, [-along[1], along[0]]])
    height = np.maximum(points[:, 2:], 0)
    thrown = points[:, :2] - height * sun[:2] / max(float(sun[2]), _LOWEST_SUN)
    seen = thrown @ axes.T
    low, high = seen.min(0) - _MARGIN, seen.max(0) + _MARGIN
    return (_CORNERS * (high - low) + low).astype(np.float32) @ axes.astype(np.float32)


def contact_quad(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """``(4, 2)`` corners of the ground, metres, where a hull hides some of the sky."""
    low, high = points[:, :2].min(0) - REACH_M, points[:, :2].max(0) + REACH_M
    return (_CORNERS * (high - low) + low).astype(np.float32)


def casts_shadow(environment: Environment) -> bool:
    """Whether a sun stands above the horizon."""
    return bool(environment.sun_colour.max() > 0 and environment.sun_direction[2] > 0.02)


def sky_left(points: NDArray[np.floating], spheres: NDArray[np.float32]) -> NDArray[np.float32]:
    """Share of the sky's light that ``(m, 4)`` spheres leave to ground points ``(n, 2)``."""
    left = np.ones(len(points), np.float32)
    for x, y, z, radius in spheres:
        square = (points[:, 0] - x) ** 2 + (points[:, 1] - y) ** 2 + z * z
        square = np.maximum(square, radius * radius)
        left *= 1 - np.clip(max(z, 0.0) * radius * radius / square**1.5, 0, 1)
    return left
