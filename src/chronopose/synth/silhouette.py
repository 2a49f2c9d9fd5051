"""What a posed body covers: its vertices in double precision, and its outline on a lattice.

Labels are computed here in double precision and in a fixed order, so that processors that round
single precision differently still agree on them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from chronopose.synth.body import BONES, Body


def posed_vertices(body: Body, matrices: NDArray[np.floating]) -> NDArray[np.float64]:
    """``(V, 3)`` metres: :meth:`Body.skin` in double precision.

    Args:
        body: The mesh.
        matrices: ``(J, 3, 4)`` of one frame.
    """
    count = len(body.vertices)
    shares = csr_array(
        (body.weights.astype(np.float64).ravel(), body.bones.astype(np.int32).ravel(),
         np.arange(0, 4 * count + 1, 4)),
        shape=(count, len(BONES)),
    )  # fmt: skip
    each = (shares @ np.asarray(matrices, np.float64).reshape(len(BONES), 12)).reshape(-1, 3, 4)
    rest = body.vertices.astype(np.float64)
    moved = each[:, :, 0] * rest[:, None, 0] + each[:, :, 1] * rest[:, None, 1]
    return moved + each[:, :, 2] * rest[:, None, 2] + each[:, :, 3]


def covered_lattice(
    xy: NDArray[np.float64], faces: NDArray[np.integer], step: int
) -> NDArray[np.int64]:
    """Lattice points inside the union of projected triangles.

    Args:
        xy: ``(V, 2)`` pixels; NaN for vertices behind the camera, whose faces are left out.
        faces: ``(F, 3)``; either side counts.
        step: Distance of the points, pixels.

    Returns:
        ``(n, 2)`` x, y in pixels, whole multiples of ``step``, each once. With step 1 they are the
        centres of the pixels that a renderer would fill.
    """
    flat = xy / step
    a, b, c = (np.ascontiguousarray(flat[faces[:, corner]]) for corner in range(3))
    with np.errstate(invalid="ignore"):
        low = np.ceil(np.minimum(np.minimum(a, b), c))
        size = np.floor(np.maximum(np.maximum(a, b), c)) - low + 1
        some = (size[:, 0] > 0) & (size[:, 1] > 0)
    if not some.any():
        return np.zeros((0, 2), np.int64)
    corners, low = np.stack([a[some], b[some], c[some]], 1), low[some].astype(np.int64)
    size = size[some].astype(np.int64)
    first, sides = low.min(0), np.maximum(size[:, 0], size[:, 1])
    lit = np.zeros((low + size).max(0)[::-1] - first[::-1], bool)
    for number in range(int(sides.max()).bit_length() + 1):
        top = 2**number
        group = (sides <= top) & (sides > top // 2)
        if group.any():
            points = _inside(corners[group], low[group], top) - first
            lit[points[:, 1], points[:, 0]] = True
    rows, columns = np.nonzero(lit)
    return (np.stack([columns, rows], 1) + first) * step


def _inside(corners: NDArray[np.float64], low: NDArray[np.int64], side: int) -> NDArray[np.int64]:
    """Whole points in triangles ``(F, 3, 2)``, looked for in squares of ``side`` from ``low``."""
    across, down = (g.ravel() for g in np.meshgrid(np.arange(side), np.arange(side)))
    x, y = low[:, :1] + across, low[:, 1:] + down
    signs = []
    for start, end in ((0, 1), (1, 2), (2, 0)):
        first, edge = corners[:, start], corners[:, end] - corners[:, start]
        signs.append(edge[:, :1] * (y - first[:, 1:]) - edge[:, 1:] * (x - first[:, :1]))
    least = np.minimum(np.minimum(signs[0], signs[1]), signs[2])
    most = np.maximum(np.maximum(signs[0], signs[1]), signs[2])
    inside = (least >= 0) | (most <= 0)
    return np.stack([x[inside], y[inside]], 1)
