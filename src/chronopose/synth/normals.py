"""Smooth normals of a mesh at rest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_CREASE = 0.5


def vertex_normals(
    vertices: NDArray[np.floating], faces: NDArray[np.integer]
) -> NDArray[np.float32]:
    """``(V, 3)`` normals of length one, the mean of the faces around, weighted by their area.

    Vertices at the same place (seams of the texture) share a normal if their own differ by less
    than 60 degrees, so that seams do not show and edges of boxes stay sharp. Vertices without a
    face look up.

    Args:
        vertices: ``(V, 3)`` places.
        faces: ``(F, 3)``, counter-clockwise seen from outside.
    """
    points = np.asarray(vertices, np.float64)
    corners = points[faces]
    wide = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    own = np.stack(
        [np.bincount(faces.ravel(), np.repeat(wide[:, i], 3), len(points)) for i in range(3)], -1
    )
    unit = own / np.maximum(np.linalg.norm(own, axis=-1, keepdims=True), 1e-20)
    grid = np.round(points * 1e5).astype(np.int64)
    _, place = np.unique(grid, axis=0, return_inverse=True)
    order = np.argsort(place.ravel(), kind="stable")
    sorted_place = place.ravel()[order]
    total = own.copy()
    for step in range(1, len(points)):
        together = sorted_place[step:] == sorted_place[:-step]
        if not together.any():
            break
        one, other = order[step:][together], order[:-step][together]
        alike = (unit[one] * unit[other]).sum(-1) > _CREASE
        one, other = one[alike], other[alike]
        np.add.at(total, one, own[other])
        np.add.at(total, other, own[one])
    length = np.linalg.norm(total, axis=-1, keepdims=True)
    up = np.array([0.0, 0.0, 1.0])
    return np.where(length > 1e-12, total / np.maximum(length, 1e-20), up).astype(np.float32)
