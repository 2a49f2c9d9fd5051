"""Regions that are not scored: points inside polygons, and boxes over them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Corner = tuple[float, float]


def inside_any(points: Array, polygons: Sequence[Array]) -> NDArray[np.bool_]:
    """Which points lie inside at least one polygon; the boundary counts as outside.

    Args:
        points: ``(N, 2)`` pixels; NaN points are never inside.
        polygons: ``(M, 2)`` corners each, closed by themselves; fewer than three enclose nothing.

    Returns:
        ``(N,)`` bool. Where an outline crosses itself the even-odd rule decides.
    """
    found = np.zeros(len(points), bool)
    for polygon in polygons:
        if len(polygon) < 3:
            continue
        near = ((points > polygon.min(0)) & (points < polygon.max(0))).all(-1) & ~found
        if near.any():
            found[near] = _inside(points[near], polygon)
    return found


def _inside(points: Array, polygon: Array) -> NDArray[np.bool_]:
    px, py = points[:, None, 0], points[:, None, 1]
    ax, ay = polygon[:, 0], polygon[:, 1]
    bx, by = np.roll(ax, -1), np.roll(ay, -1)
    side = (bx - ax) * (py - ay) - (by - ay) * (px - ax)
    crossed = ((ay > py) != (by > py)) & ((side > 0) == (by > ay))
    in_span = (
        (px >= np.minimum(ax, bx)) & (px <= np.maximum(ax, bx))
        & (py >= np.minimum(ay, by)) & (py <= np.maximum(ay, by))
    )  # fmt: skip
    on_edge = ((side == 0) & in_span).any(1)
    return (crossed.sum(1) % 2 == 1) & ~on_edge


def polygon_iou(box: Array, polygon: Array) -> float:
    """Intersection over union of a box and a simple polygon.

    Args:
        box: x1 y1 x2 y2, pixels.
        polygon: ``(M, 2)`` corners.

    Returns:
        In [0, 1]; 0 where either has no area.
    """
    x1, y1, x2, y2 = (float(v) for v in box)
    corners = [(float(x), float(y)) for x, y in polygon]
    for axis, bound, upper in ((0, x1, False), (0, x2, True), (1, y1, False), (1, y2, True)):
        corners = _cut(corners, axis, bound, upper)
    overlap = _area(corners)
    union = max(x2 - x1, 0.0) * max(y2 - y1, 0.0) + _area(polygon.tolist()) - overlap
    return overlap / union if union > 0 else 0.0


def _cut(corners: list[Corner], axis: int, bound: float, upper: bool) -> list[Corner]:
    """The part of a polygon on one side of an axis-parallel line."""
    kept: list[Corner] = []
    for before, here in zip(corners[-1:] + corners[:-1], corners, strict=True):
        depths = [(bound - c[axis]) if upper else (c[axis] - bound) for c in (before, here)]
        if (depths[0] >= 0) != (depths[1] >= 0):
            share = depths[0] / (depths[0] - depths[1])
            x, y = (b + share * (h - b) for b, h in zip(before, here, strict=True))
            kept.append((x, y))
        if depths[1] >= 0:
            kept.append(here)
    return kept


def _area(corners: Sequence[Sequence[float]]) -> float:
    after = [*corners[1:], *corners[:1]]
    return abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(corners, after, strict=True))) / 2
