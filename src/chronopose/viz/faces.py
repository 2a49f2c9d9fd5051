"""What faces show, on a frame: the square that was judged, and a tag with the expression."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from chronopose.core.faces import FrameFaces
from chronopose.errors import ShapeError
from chronopose.viz.brush import paint_label, paint_stroke
from chronopose.viz.palette import person_colour


def draw_faces(image: NDArray[np.uint8], faces: FrameFaces) -> NDArray[np.uint8]:
    """Draw every face that was judged: its square, turned with the head, and a tag below it.

    Args:
        image: ``(H, W, 3)`` uint8 RGB; it is left alone.
        faces: Of the same frame.

    Returns:
        A new picture. Faces that were not judged are not drawn.

    Raises:
        ShapeError: the image is not ``(H, W, 3)`` uint8.
    """
    if image.ndim != 3 or image.shape[-1] != 3 or image.dtype != np.uint8:
        raise ShapeError(
            f"A picture must be (height, width, 3) uint8 RGB; got {image.shape} {image.dtype}."
        )
    canvas = np.array(image, order="C", copy=True)
    size_px = math.sqrt(canvas.shape[0] * canvas.shape[1])
    line_px, type_px = max(1.0, 0.002 * size_px), max(10, round(0.018 * size_px))
    for row, person in enumerate(faces.ids.tolist()):
        best = faces.best(row)
        if best is None:
            continue
        colour = person_colour(person)
        corners = face_corners(faces.xyxy[row], float(faces.tilt_deg[row]))
        points = [(float(x), float(y)) for x, y in corners]
        for start, end in zip(points, [*points[1:], points[0]], strict=True):
            paint_stroke(canvas, start, end, line_px / 2, colour, 0.5 * line_px)
        x, y = float(corners[:, 0].mean()), float(corners[:, 1].max())
        paint_label(canvas, f"{best[0]} {best[1]:.1f}", (x, y + 1.6 * type_px), type_px, colour)
    return canvas


def face_corners(xyxy: NDArray[np.floating], tilt_deg: float) -> NDArray[np.float64]:
    """``(4, 2)`` corners of a face's square, turned about its middle.

    Args:
        xyxy: ``(4,)`` left, top, right, bottom before the turn, pixels.
        tilt_deg: Clockwise on screen positive.

    Returns:
        In the order left top, right top, right bottom, left bottom of the upright square.
    """
    left, top, right, bottom = (float(v) for v in xyxy)
    upright = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    a = math.radians(tilt_deg)
    turn = np.array([(math.cos(a), -math.sin(a)), (math.sin(a), math.cos(a))])
    middle = np.array([(left + right) / 2, (top + bottom) / 2])
    turned: NDArray[np.float64] = (upright - middle) @ turn.T + middle
    return turned
