"""Turns in space: unit vectors, frames of two axes, shortest turns, steps between turns.

All functions work on the last axes and broadcast over the others. A turn is a matrix
``(..., 3, 3)`` that acts on columns.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

Array = NDArray[np.float64]

TINY = 1e-9


def unit(vectors: ArrayLike) -> Array:
    """Vectors at length one; zeros stay zeros."""
    given = np.asarray(vectors, np.float64)
    return given / np.maximum(np.linalg.norm(given, axis=-1, keepdims=True), TINY)


def dot(first: ArrayLike, second: ArrayLike) -> Array:
    """Inner products along the last axis."""
    product: Array = np.asarray(first, np.float64) * np.asarray(second, np.float64)
    return product.sum(-1)


def across(vectors: ArrayLike, axis: ArrayLike) -> Array:
    """The part of ``vectors`` at right angles to the unit vectors ``axis``, at length one."""
    given, along = np.asarray(vectors, np.float64), np.asarray(axis, np.float64)
    return unit(given - dot(given, along)[..., None] * along)


def bone_frame(bone: ArrayLike, hinge: ArrayLike) -> Array:
    """Frames with columns hinge, bone, hinge × bone; the bone is kept, the hinge made upright."""
    along = unit(bone)
    side = across(hinge, along)
    return np.stack([side, along, np.cross(side, along)], -1)


def trunk_frame(left: ArrayLike, up: ArrayLike, *, keep: str) -> Array:
    """Frames with columns left, back, up: the identity for a person who faces -y.

    Args:
        left: ``(..., 3)`` towards the person's left.
        up: ``(..., 3)`` towards the head.
        keep: ``"left"`` or ``"up"``: the axis that is kept, while the other is made upright to it.
    """
    if keep == "left":
        side = unit(left)
        top = across(up, side)
    else:
        top = unit(up)
        side = across(left, top)
    return np.stack([side, np.cross(top, side), top], -1)


def swing(start: ArrayLike, end: ArrayLike) -> Array:
    """The shortest turns that carry the directions ``start`` to ``end``."""
    a, b = np.broadcast_arrays(unit(start), unit(end))
    cosine = dot(a, b)[..., None, None]
    axis = np.cross(a, b)
    skew = np.zeros((*axis.shape, 3))
    skew[..., 0, 1], skew[..., 0, 2], skew[..., 1, 2] = -axis[..., 2], axis[..., 1], -axis[..., 0]
    skew[..., 1, 0], skew[..., 2, 0], skew[..., 2, 1] = axis[..., 2], -axis[..., 1], axis[..., 0]
    turned = np.eye(3) + skew + skew @ skew / np.maximum(1 + cosine, TINY)
    spare = across(np.eye(3)[np.argmin(np.abs(a), -1)], a)
    half = 2 * spare[..., :, None] * spare[..., None, :] - np.eye(3)
    return np.where(cosine < -1 + 1e-7, half, turned)


def between(start: ArrayLike, end: ArrayLike, part: ArrayLike) -> Array:
    """The turn a part of the way from ``start`` to ``end``, along the shortest way."""
    first, last = np.broadcast_arrays(np.asarray(start, np.float64), np.asarray(end, np.float64))
    way = turn_vector(np.swapaxes(first, -1, -2) @ last)
    return first @ vector_turn(way * np.asarray(part)[..., None])


def turn_vector(turns: ArrayLike) -> Array:
    """Turns as ``(..., 3)`` vectors along their axes, as long as their angle in radians."""
    given = np.asarray(turns, np.float64)
    return _matrices(given).as_rotvec().reshape(given.shape[:-1])


def vector_turn(vectors: ArrayLike) -> Array:
    """Turns from vectors along their axes, as long as their angle in radians."""
    given = np.asarray(vectors, np.float64)
    return Rotation.from_rotvec(given.reshape(-1, 3)).as_matrix().reshape(*given.shape, 3)


def angle(turns: ArrayLike) -> Array:
    """How far each turn turns, radians in [0, pi]."""
    given = np.asarray(turns, np.float64)
    return _matrices(given).magnitude().reshape(given.shape[:-2])


def about(axis: str, radians: ArrayLike) -> Array:
    """Turns about the fixed axis ``x``, ``y`` or ``z``."""
    given = np.asarray(radians, np.float64)
    made = Rotation.from_euler(axis, given.reshape(-1, 1)).as_matrix()
    return made.reshape(*given.shape, 3, 3)


def smoothstep(values: ArrayLike, low: float, high: float) -> Array:
    """0 up to ``low``, 1 from ``high`` on, smooth between."""
    at = np.clip((np.asarray(values, np.float64) - low) / (high - low), 0, 1)
    return at * at * (3 - 2 * at)


def _matrices(turns: Array) -> Rotation:
    return Rotation.from_matrix(turns.reshape(-1, 3, 3))
