"""Pictures of people in space: figures on a floor, seen by a camera that one walks around them.

Axes as everywhere: x right, y down, z away from the camera, millimetres. Nothing is needed but the
brush of the other pictures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from chronopose.core.skeleton import Skeleton
from chronopose.core.tracks import FramePoses, VideoPoses
from chronopose.errors import ShapeError
from chronopose.viz.brush import paint_label, paint_stroke
from chronopose.viz.draw import Picture
from chronopose.viz.palette import Colour, person_colour, side_tint

Array = NDArray[np.float64]

PAPER: Colour = (24, 26, 30)
GRID: Colour = (70, 74, 82)
TEXT: Colour = (44, 48, 54)
CELL_MM = 500.0
APART_MM = 1200.0
"""Distance at which people are set side by side when nobody knows where they stand."""
FILL = 0.42
"""Half of the scene as a share of the smaller side of the picture."""
LEAST_SPAN_MM = 1800.0


@dataclass(frozen=True, kw_only=True)
class SpaceView:
    """From where a scene is looked at.

    Args:
        centre_mm: x, y, z of the point in the middle of the picture.
        span_mm: Size of what has to fit into the picture.
        floor_mm: y of the floor; None for no floor.
        azimuth_deg: Walk around the scene, seen from above against the clock: 0 is where the camera
            stood, 90 the side on the right of its picture.
        elevation_deg: How far one looks down.
        perspective: Distance of the eye in spans; 0 for parallel rays.
    """

    centre_mm: tuple[float, float, float]
    span_mm: float
    floor_mm: float | None = None
    azimuth_deg: float = 0.0
    elevation_deg: float = 12.0
    perspective: float = 3.0

    def project(self, xyz_mm: NDArray[np.floating], size: tuple[int, int]) -> tuple[Array, Array]:
        """Places in space -> places in a picture.

        Args:
            xyz_mm: ``(..., 3)``.
            size: Width and height of the picture, pixels.

        Returns:
            ``(..., 2)`` pixels, NaN behind the eye, and ``(...,)`` distances along the view from
            the middle of the scene, in spans; larger is farther.
        """
        turn, tilt = math.radians(self.azimuth_deg), math.radians(self.elevation_deg)
        off = (np.asarray(xyz_mm, np.float64) - self.centre_mm) / self.span_mm
        x = math.cos(turn) * off[..., 0] + math.sin(turn) * off[..., 2]
        away = -math.sin(turn) * off[..., 0] + math.cos(turn) * off[..., 2]
        y = math.cos(tilt) * off[..., 1] - math.sin(tilt) * away
        depth = math.sin(tilt) * off[..., 1] + math.cos(tilt) * away
        zoom = np.ones_like(depth)
        if self.perspective > 0:
            eye = self.perspective + depth
            zoom = np.where(eye > 0.05, self.perspective / np.maximum(eye, 0.05), np.nan)
        scale = 2 * FILL * min(size)
        flat = np.stack([x * zoom, y * zoom], axis=-1) * scale
        return flat + np.array([size[0] - 1, size[1] - 1]) / 2, depth


def scene_view(poses: VideoPoses, *, perspective: float = 3.0) -> SpaceView:
    """A view that everybody fits into through the whole video, floor under the lowest foot.

    Raises:
        ShapeError: the poses are flat, or nobody is there.
    """
    parts = [_placed(t.poses.xy, t.poses.space, i) for i, t in enumerate(poses.tracks)]
    joints = np.concatenate([p.reshape(-1, 3) for p in parts]) if parts else np.zeros((0, 3))
    joints = joints[np.isfinite(joints).all(-1)]
    if not len(joints):
        raise ShapeError("There is nobody in space to look at. Lift 2D poses first.")
    low, high = np.percentile(joints, (1, 99), axis=0)
    span = max(float((high - low).max()), LEAST_SPAN_MM)
    middle = (low + high) / 2
    return SpaceView(
        centre_mm=(float(middle[0]), float(middle[1]), float(middle[2])), span_mm=span,
        floor_mm=float(high[1]), perspective=perspective,
    )  # fmt: skip


def draw_space(
    frame: FramePoses,
    view: SpaceView,
    size: tuple[int, int],
    *,
    order: Sequence[int] = (),
    kpt_thr: float = 0.0,
) -> Picture:
    """Draw the people of a frame in space.

    Colours are those of :func:`~chronopose.viz.draw.draw_poses`: one for each id, light on the
    person's left and dark on the right. Far bones are painted before near ones.

    Args:
        frame: People with joints in millimetres.
        view: From where.
        size: Width and height of the picture, pixels.
        order: Ids in the order in which people are set side by side if their poses are relative to
            the root; those of the frame by default.
        kpt_thr: Smallest score of a joint that is drawn, in [0, 1].

    Returns:
        ``(H, W, 3)`` uint8 RGB.

    Raises:
        ShapeError: the poses are flat.
    """
    canvas = np.empty((size[1], size[0], 3), np.uint8)
    canvas[:] = PAPER
    if view.floor_mm is not None:
        _paint_floor(canvas, view, size)
    places = list(order) or frame.ids.tolist()
    strokes = []
    for row, person in enumerate(frame.ids.tolist()):
        at = places.index(person) if person in places else row
        xyz = _placed(frame.poses.xy[row], frame.poses.space, at)
        xyz = np.where(frame.poses.score[row, :, None] >= kpt_thr, xyz, np.nan)
        strokes += _bones(xyz, frame.skeleton, person_colour(person), view, size)
    line_px = max(1.5, 0.0075 * min(size))
    for _, a, b, wide, tint in sorted(strokes, key=lambda s: -s[0]):
        paint_stroke(canvas, a, b, wide * line_px / 2, tint, 0.3 * line_px)
    text = f"{round(view.azimuth_deg) % 360} deg"
    type_px = max(10, round(0.025 * min(size)))
    paint_label(canvas, text, (size[0] / 2, size[1] - 0.6 * type_px), type_px, TEXT)
    return canvas


def beside(left: Picture, right: Picture) -> Picture:
    """Two pictures side by side; the right one is scaled to the left one's height.

    Args:
        left: ``(H, W, 3)`` uint8 RGB.
        right: ``(h, w, 3)`` uint8 RGB.
    """
    if right.shape[0] != left.shape[0]:
        wide = max(1, round(right.shape[1] * left.shape[0] / right.shape[0]))
        right = np.asarray(Image.fromarray(right).resize((wide, left.shape[0])))
    return np.concatenate([left, right], axis=1)


def _placed(xyz: NDArray[np.floating], space: str, place: int) -> Array:
    """Joints as they are drawn: root-relative people stand in a row."""
    if space not in ("camera_mm", "root_mm"):
        raise ShapeError(f"A picture of space needs joints in millimetres; these are in {space}.")
    shift = (place * APART_MM, 0.0, 0.0) if space == "root_mm" else (0.0, 0.0, 0.0)
    return np.asarray(xyz, np.float64) + shift


Stroke = tuple[float, tuple[float, float], tuple[float, float], float, Colour]


def _bones(
    xyz: Array, skeleton: Skeleton, colour: Colour, view: SpaceView, size: tuple[int, int]
) -> list[Stroke]:
    """Distance, ends, width in lines and colour of every bone and joint."""
    flat, depth = view.project(xyz, size)
    seen = np.asarray(np.isfinite(flat).all(-1))
    at = [(float(x), float(y)) for x, y in np.nan_to_num(flat)]
    found: list[Stroke] = []
    for a, b in skeleton.limb_index.tolist():
        if seen[a] and seen[b]:
            tint = side_tint(colour, _side(skeleton.joints[a], skeleton.joints[b]))
            found.append((float(depth[a] + depth[b]) / 2, at[a], at[b], 1.0, tint))
    for joint in np.flatnonzero(seen).tolist():
        tint = side_tint(colour, _side(skeleton.joints[joint]))
        # A little nearer than the bones that end in it.
        found.append((float(depth[joint]) - 0.01, at[joint], at[joint], 1.6, tint))
    return found


def _side(*joints: str) -> str:
    sides = {j.partition("_")[0] for j in joints} & {"left", "right"}
    return sides.pop() if len(sides) == 1 else ""


def _paint_floor(canvas: Picture, view: SpaceView, size: tuple[int, int]) -> None:
    """Lines of half a metre under the scene."""
    assert view.floor_mm is not None
    reach = math.ceil(0.75 * view.span_mm / CELL_MM) * CELL_MM
    x0, z0 = (round(view.centre_mm[i] / CELL_MM) * CELL_MM for i in (0, 2))
    steps = np.arange(-reach, reach + 1, CELL_MM)
    ends = np.array([-reach, reach])
    lines = [[(x0 + s, view.floor_mm, z0 + e) for e in ends] for s in steps]
    lines += [[(x0 + e, view.floor_mm, z0 + s) for e in ends] for s in steps]
    flat, _ = view.project(np.array(lines), size)
    for a, b in flat[np.isfinite(flat).all((1, 2))].tolist():
        paint_stroke(canvas, (a[0], a[1]), (b[0], b[1]), 0.6, GRID)
