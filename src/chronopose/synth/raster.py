"""Triangles to pixels in numpy: which face covers a pixel's centre first, and where on the face.

Source: Olano and Greer, "Triangle Scan Conversion using 2D Homogeneous Coordinates": three edge
functions from the inverse of a triangle's homogeneous corners. Nothing needs to be clipped, and
the same three numbers interpolate correctly in perspective.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_CHUNK = 400_000


@dataclass(frozen=True)
class Fragments:
    """Covered pixels, each with the face seen there.

    Args:
        pixel: ``(n,)`` row × width + column.
        face: ``(n,)`` row of the faces.
        share: ``(n, 3)`` weights of the face's corners, summing to one.
        depth: ``(n,)`` metres along the camera's axis.
    """

    pixel: NDArray[np.int64]
    face: NDArray[np.int64]
    share: NDArray[np.float64]
    depth: NDArray[np.float64]

    def of(self, values: NDArray[np.floating], faces: NDArray[np.integer]) -> NDArray[np.float64]:
        """Values ``(V, c)`` of the vertices, interpolated, ``(n, c)``."""
        return np.einsum("nk,nkc->nc", self.share, values[faces[self.face]])

    def pick(self, keep: NDArray[np.bool_] | NDArray[np.int64]) -> Fragments:
        """Some of them."""
        return Fragments(self.pixel[keep], self.face[keep], self.share[keep], self.depth[keep])


def rasterise(
    corners: NDArray[np.float64],
    size: tuple[int, int],
    near: float,
    both: NDArray[np.bool_],
    solid: Callable[[Fragments], NDArray[np.bool_]] | None = None,
) -> Fragments:
    """The nearest face at every pixel's centre.

    Args:
        corners: ``(F, 3, 3)`` corners of the faces as x·w, y·w, w: pixels times depth, and depth in
            metres. Counter-clockwise faces, as seen in the picture, look at the camera.
        size: Width and height, pixels.
        near: Nothing nearer than this is drawn, metres, above zero.
        both: ``(F,)`` faces that are seen from behind too.
        solid: Which fragments are not holes; None for all.
    """
    rows, faces, box = _set_up(corners, size, near, both)
    wide, high = box[:, 2] - box[:, 0] + 1, box[:, 3] - box[:, 1] + 1
    counts = wide * high
    ends = np.cumsum(counts)
    found = _none()
    first = 0
    while first < len(faces):
        before = ends[first - 1] if first else 0
        last = max(int(np.searchsorted(ends, before + _CHUNK, "right")), first + 1)
        index = np.repeat(np.arange(first, last), counts[first:last])
        local = np.arange(len(index)) - np.repeat(
            ends[first:last] - counts[first:last] - before, counts[first:last]
        )
        x = box[index, 0] + local % wide[index]
        y = box[index, 1] + local // wide[index]
        fresh = _inside(rows, index, x, y, size[0], near)
        fresh = Fragments(fresh.pixel, faces[fresh.face], fresh.share, fresh.depth)
        if solid is not None:
            fresh = fresh.pick(solid(fresh))
        found = _nearest(found, fresh, size)
        first = last
    return found


def _set_up(
    corners: NDArray[np.float64], size: tuple[int, int], near: float, both: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Edge functions ``(f, 3, 3)`` of the faces that may be seen, which they are, their boxes."""
    one, two, three = corners[:, 0], corners[:, 1], corners[:, 2]
    rows = np.stack([np.cross(two, three), np.cross(three, one), np.cross(one, two)], 1)
    spread = (rows[:, 0] * one).sum(-1)
    depth = corners[..., 2]
    inside = depth > near
    kept = inside.any(1) & ((spread < 0) | both) & (np.abs(spread) > 1e-12)
    index = np.nonzero(kept)[0]
    corners, ahead = corners[index], np.asarray(inside[index].all(1))
    flat = corners[..., :2] / np.where(ahead[:, None], corners[..., 2], 1)[..., None]
    limit = np.array(size) - 1
    low = np.where(ahead[:, None], np.clip(np.ceil(flat.min(1)), 0, limit + 1), 0)
    high = np.where(ahead[:, None], np.clip(np.floor(flat.max(1)), -1, limit), limit)
    seen = (low <= high).all(1)
    index, box = index[seen], np.concatenate([low, high], 1)[seen].astype(np.int64)
    return rows[index] / spread[index, None, None], index, box


def _inside(
    rows: NDArray[np.float64],
    index: NDArray[np.int64],
    x: NDArray[np.int64],
    y: NDArray[np.int64],
    width: int,
    near: float,
) -> Fragments:
    picked = rows[index]
    edge = picked[..., 0] * x[:, None] + picked[..., 1] * y[:, None] + picked[..., 2]
    inverse = edge.sum(1)
    keep = (edge >= 0).all(1) & (inverse > 0) & (inverse * near < 1)
    edge, inverse = edge[keep], inverse[keep]
    return Fragments(y[keep] * width + x[keep], index[keep], edge / inverse[:, None], 1 / inverse)


def _nearest(old: Fragments, new: Fragments, size: tuple[int, int]) -> Fragments:
    """One fragment a pixel, the nearest; of equally near ones the earlier."""
    joined = Fragments(
        np.concatenate([old.pixel, new.pixel]),
        np.concatenate([old.face, new.face]),
        np.concatenate([old.share, new.share]),
        np.concatenate([old.depth, new.depth]),
    )
    order = np.lexsort((joined.depth, joined.pixel))
    pixel = joined.pixel[order]
    first = np.ones(len(pixel), bool)
    first[1:] = pixel[1:] != pixel[:-1]
    return joined.pick(order[first])


def _none() -> Fragments:
    whole = np.zeros(0, np.int64)
    return Fragments(whole, whole, np.zeros((0, 3)), np.zeros(0))
