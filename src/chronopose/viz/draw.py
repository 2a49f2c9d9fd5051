"""Pictures of poses: skeletons on a frame, heatmaps on a frame, many frames on a sheet.

Every function returns a new ``uint8`` RGB picture and leaves its input alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from chronopose.core.crop import CropWindow
from chronopose.core.skeleton import Skeleton
from chronopose.core.tracks import FramePoses
from chronopose.errors import ShapeError
from chronopose.viz.brush import paint_label, paint_stroke
from chronopose.viz.palette import Colour, heat, person_colour, side_tint

Picture = NDArray[np.uint8]

_SHEET_GREY = 32
_SHEET_GAP_PX = 4


def draw_poses(
    image: Picture,
    frame: FramePoses,
    *,
    kpt_thr: float = 0.3,
    line_px: float | None = None,
) -> Picture:
    """Draw the people of a frame: limbs, joints and a tag with the id.

    A person keeps one colour through the video; the person's left side is its light tint, the
    right side its dark one. Joints that are NaN or scored below ``kpt_thr`` are left out together
    with their limbs. Ids below zero mean "nobody" and get no tag.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        frame: The people, in pixels of ``image``.
        kpt_thr: Smallest score of a joint that is drawn, in [0, 1].
        line_px: Width of a limb. By default it follows the size of the picture, and is thinner
            for people who are small in it.

    Raises:
        ShapeError: the image is not ``(H, W, 3)`` uint8, or the poses are not in image pixels.
    """
    canvas = _copy(image)
    if frame.poses.space != "image_px":
        raise ShapeError(
            f"draw_poses needs poses in image_px; these are in {frame.poses.space}. Bring them "
            f"back first: poses.to_image(window)."
        )
    height, width = canvas.shape[:2]
    if not canvas.size:
        return canvas
    usual_px = max(1.0, 0.0048 * math.sqrt(width * height))
    type_px = max(10, round(0.02 * math.sqrt(width * height)))
    for row, track_id in enumerate(frame.ids.tolist()):
        joints = _drawable(frame, row, kpt_thr)
        if not joints:
            continue
        spread = np.ptp(np.array(list(joints.values())), axis=0)
        thin_px = max(1.5, 0.022 * float(np.hypot(*spread)))
        wide_px = line_px if line_px is not None else min(usual_px, thin_px)
        colour = person_colour(track_id)
        _draw_person(canvas, frame.skeleton, joints, colour, wide_px)
        seen = [p for p in joints.values() if 0 <= p[0] < width and 0 <= p[1] < height]
        if track_id >= 0 and seen:
            x, y = min(seen, key=lambda p: p[1])
            paint_label(canvas, str(track_id), (x, y - 2.5 * wide_px), type_px, colour)
    return canvas


def draw_heatmaps(image: Picture, heatmaps: NDArray[np.floating], window: CropWindow) -> Picture:
    """Lay the strongest response over all joints on the frame that the crop was cut from.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        heatmaps: ``(K, h, w)`` of one crop; NaN counts as 0. Cells cover the crop evenly, and the
            largest value is drawn strongest whatever its unit.
        window: The window the crop was cut with.

    Raises:
        ShapeError: the image is not ``(H, W, 3)`` uint8, or the maps are not ``(K, h, w)``.
    """
    canvas = _copy(image)
    maps = np.asarray(heatmaps, np.float32)
    if maps.ndim != 3 or not maps.size:
        raise ShapeError(f"Heatmaps must be (joints, height, width); got {maps.shape}.")
    best = np.nan_to_num(maps, nan=0.0, posinf=0.0, neginf=0.0).max(axis=0).clip(min=0.0)
    area = _area_of(window, canvas.shape)
    if area is None or best.max() <= 0:
        return canvas
    left, top, right, bottom = area
    cells = np.array([best.shape[1] / window.out_size[0], best.shape[0] / window.out_size[1]])
    linear = window.matrix[:, :2] * cells[:, None]
    # Pillow counts from pixel corners: half a pixel more than our law on both sides.
    corner = window.matrix[:, 2] + 0.5 + window.matrix[:, :2] @ np.array([left - 0.5, top - 0.5])
    shift = corner * cells
    data = (*linear[0], shift[0], *linear[1], shift[1])
    strength = Image.fromarray(best / best.max()).transform(
        (right - left, bottom - top), Image.Transform.AFFINE, data, Image.Resampling.BILINEAR
    )
    value = np.asarray(strength)
    alpha = (0.8 * np.sqrt(value.clip(0, 1)))[..., None]
    part = canvas[top:bottom, left:right]
    part[:] = (part * (1 - alpha) + heat(value) * alpha + 0.5).astype(np.uint8)
    return canvas


def contact_sheet(images: Sequence[Picture], columns: int) -> Picture:
    """Put pictures on one sheet, row by row.

    Args:
        images: ``(H, W, 3)`` uint8 RGB each; sizes may differ, smaller ones are centred.
        columns: Pictures side by side, at least 1.

    Raises:
        ShapeError: there are no pictures, one is not ``(H, W, 3)`` uint8, or columns is below 1.
    """
    if not images or columns < 1:
        raise ShapeError(
            f"A contact sheet needs pictures and at least one column; got {len(images)} pictures "
            f"in {columns} columns."
        )
    pictures = [_checked(i) for i in images]
    columns = min(columns, len(pictures))
    rows = math.ceil(len(pictures) / columns)
    high, wide = (max(p.shape[axis] for p in pictures) for axis in (0, 1))
    pitch_y, pitch_x = high + _SHEET_GAP_PX, wide + _SHEET_GAP_PX
    size = (rows * pitch_y - _SHEET_GAP_PX, columns * pitch_x - _SHEET_GAP_PX, 3)
    sheet = np.full(size, _SHEET_GREY, np.uint8)
    for number, picture in enumerate(pictures):
        y = number // columns * pitch_y + (high - picture.shape[0]) // 2
        x = number % columns * pitch_x + (wide - picture.shape[1]) // 2
        sheet[y : y + picture.shape[0], x : x + picture.shape[1]] = picture
    return sheet


def _checked(image: Picture) -> Picture:
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[-1] != 3 or image.dtype != np.uint8:
        raise ShapeError(
            f"A picture must be (height, width, 3) uint8 RGB; got {image.shape} {image.dtype}."
        )
    return image


def _copy(image: Picture) -> Picture:
    return np.array(_checked(image), order="C", copy=True)


def _drawable(frame: FramePoses, row: int, kpt_thr: float) -> dict[int, tuple[float, float]]:
    """Joint number -> x, y of the joints of one person that are known and sure enough."""
    xy, score = frame.poses.xy[row], frame.poses.score[row]
    good = np.flatnonzero(np.isfinite(xy).all(-1) & (score >= kpt_thr))
    return {j: (float(xy[j, 0]), float(xy[j, 1])) for j in good.tolist()}


def _draw_person(
    canvas: Picture,
    skeleton: Skeleton,
    joints: dict[int, tuple[float, float]],
    colour: Colour,
    line_px: float,
) -> None:
    rim_px = max(0.6, 0.3 * line_px)
    for a, b in skeleton.limb_index.tolist():
        if a in joints and b in joints:
            tint = side_tint(colour, _side(skeleton.joints[a], skeleton.joints[b]))
            paint_stroke(canvas, joints[a], joints[b], line_px / 2, tint, rim_px)
    for joint, xy in joints.items():
        name = skeleton.joints[joint]
        tint = side_tint(colour, _side(name, name))
        paint_stroke(canvas, xy, xy, 0.8 * line_px, tint, rim_px, 0.8)


@cache
def _side(first: str, second: str) -> str:
    """Side of the body that a limb belongs to; empty for one that crosses the middle."""
    sides = {n.partition("_")[0] for n in (first, second)} & {"left", "right"}
    return sides.pop() if len(sides) == 1 else ""


def _area_of(window: CropWindow, shape: tuple[int, ...]) -> tuple[int, int, int, int] | None:
    """Pixels (left, top, right, bottom) of the picture that the crop reaches, else None."""
    width, height = window.out_size
    x, y = (-0.5, width - 0.5), (-0.5, height - 0.5)
    corners = window.invert(np.array([(i, j) for i in x for j in y]))
    low = np.maximum(np.floor(corners.min(0)), 0).astype(int)
    high = np.minimum(np.ceil(corners.max(0)) + 1, (shape[1], shape[0])).astype(int)
    if (high <= low).any():
        return None
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])
