"""Anti-aliased strokes and labels, painted into the pixels they touch and no others.

A stroke is a segment with round ends. Along its main axis every row of pixels meets it in one
short run, so the pixels to look at are a band as long as the stroke and as wide as the brush: the
cost follows the ink, not the picture. Coverage comes from the distance to the segment, so nothing
is drawn larger and scaled down.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from chronopose.viz.palette import Colour, text_colour

Point = tuple[float, float]


def paint_stroke(
    canvas: NDArray[np.uint8],
    start: Point,
    end: Point,
    radius_px: float,
    colour: Colour,
    outline_px: float = 0.0,
    outline_alpha: float = 0.6,
) -> None:
    """Paint a segment with round ends in place; a disc when both ends are the same point.

    Args:
        canvas: ``(H, W, 3)`` uint8 RGB, contiguous.
        start: x, y of one end in continuous pixels (the centre of the first pixel is 0, 0).
        end: The other end. Ends outside the picture are fine.
        radius_px: Half the width.
        colour: RGB.
        outline_px: Width of a dark rim around the stroke, so that it shows on any background.
        outline_alpha: Strength of the rim, in [0, 1].
    """
    height, width = canvas.shape[:2]
    reach = radius_px + outline_px + 1.0
    clipped = _clip_segment(start, end, (-reach, -reach, width - 1 + reach, height - 1 + reach))
    if clipped is None:
        return
    (ax, ay), (bx, by) = clipped
    size, step = (width, height), (1, width)
    if abs(bx - ax) > abs(by - ay):
        (ax, ay, bx, by), size, step = (ay, ax, by, bx), (height, width), (width, 1)
    first = max(int(np.ceil(min(ay, by) - reach)), 0)
    last = min(int(np.floor(max(ay, by) + reach)), size[1] - 1)
    if last < first:
        return
    dx, dy = bx - ax, by - ay
    slope = dx / dy if dy else 0.0
    half = reach * (1.0 + slope * slope) ** 0.5
    rows = np.arange(first, last + 1, dtype=np.float32)[:, None] - ay
    left = np.ceil(rows * slope - half + ax)
    across = left + np.arange(int(2 * half) + 2, dtype=np.float32)
    x = across - ax
    along = _unit((x * dx + rows * dy) * (1.0 / max(dx * dx + dy * dy, 1e-9)))
    distance = np.sqrt((x - along * dx) ** 2 + (rows - along * dy) ** 2)
    keep = (distance < reach - 0.5) & (across >= 0) & (across < size[0])
    flat = (rows + ay).round().astype(np.intp) * step[1] + across.astype(np.intp) * step[0]
    _blend(canvas, flat[keep], distance[keep], radius_px, colour, outline_px, outline_alpha)


def paint_label(
    canvas: NDArray[np.uint8], text: str, at: Point, size_px: int, fill: Colour
) -> None:
    """Paint a small filled tag with text in place, moved so that it stays inside the picture.

    Args:
        canvas: ``(H, W, 3)`` uint8 RGB.
        text: A few characters.
        at: Where the middle of the tag's lower edge belongs, pixels.
        size_px: Height of the type. Nothing is painted if the tag is larger than the picture.
        fill: Colour of the tag; the type is black or white, whichever reads better.
    """
    tag, type_ = _label_masks(text, size_px)
    high, wide = tag.shape
    height, width = canvas.shape[:2]
    if high > height or wide > width:
        return
    x = int(np.clip(at[0] - wide / 2, 0, width - wide))
    y = int(np.clip(at[1] - high, 0, height - high))
    area = canvas[y : y + high, x : x + wide].astype(np.float32)
    area += tag[..., None] * (np.array(fill, np.float32) - area)
    area += type_[..., None] * (np.array(text_colour(fill), np.float32) - area)
    canvas[y : y + high, x : x + wide] = (area + 0.5).astype(np.uint8)


def _blend(
    canvas: NDArray[np.uint8],
    flat: NDArray[np.intp],
    distance: NDArray[np.floating],
    radius_px: float,
    colour: Colour,
    outline_px: float,
    outline_alpha: float,
) -> None:
    """Mix rim and colour into the pixels ``flat`` by their distance from the stroke's middle."""
    ink = _unit(radius_px + 0.5 - distance)
    keep = 1.0 - ink
    if outline_px > 0:
        rim = _unit(radius_px + outline_px + 0.5 - distance)
        keep = keep * (1.0 - outline_alpha * rim)
    pixels = canvas.reshape(-1, 3)
    mixed = pixels[flat] * keep[:, None] + ink[:, None] * np.array(colour, np.float32)
    pixels[flat] = (mixed + 0.5).astype(np.uint8)


def _unit(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """Limit to [0, 1] in place; on small arrays several times as fast as ``np.clip``."""
    np.maximum(values, 0.0, out=values)
    return np.minimum(values, 1.0, out=values)


def _clip_segment(
    start: Point, end: Point, rect: tuple[float, float, float, float]
) -> tuple[Point, Point] | None:
    """The part of a segment inside ``rect`` (left, top, right, bottom), else None.

    Source: Liang and Barsky, "A New Concept and Method for Line Clipping", 1984.
    """
    (ax, ay), (bx, by) = start, end
    dx, dy = bx - ax, by - ay
    enter, leave = 0.0, 1.0
    for step, room in (
        (-dx, ax - rect[0]), (dx, rect[2] - ax), (-dy, ay - rect[1]), (dy, rect[3] - ay),
    ):  # fmt: skip
        if step == 0:
            if room < 0:
                return None
        elif step < 0:
            enter = max(enter, room / step)
        else:
            leave = min(leave, room / step)
    if enter > leave:
        return None
    return (ax + enter * dx, ay + enter * dy), (ax + leave * dx, ay + leave * dy)


@lru_cache(maxsize=512)
def _label_masks(text: str, size_px: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Coverage in [0, 1] of the tag with rounded corners and of the type on it."""
    font = ImageFont.load_default(size_px)
    left, _, right, _ = font.getbbox(text, anchor="ls")
    pad = max(2, round(size_px * 0.3))
    wide, high = int(np.ceil(right - left)) + 2 * pad, round(size_px * 1.25)
    fine = 4
    tag = Image.new("L", (wide * fine, high * fine))
    ImageDraw.Draw(tag).rounded_rectangle(
        (0, 0, wide * fine - 1, high * fine - 1), radius=high * fine * 0.28, fill=255
    )
    type_ = Image.new("L", (wide, high))
    # Figures are about 0.7 of the type size high: this baseline centres them.
    baseline = high / 2 + 0.35 * size_px
    ImageDraw.Draw(type_).text((pad - left, baseline), text, fill=255, font=font, anchor="ls")
    tag = tag.resize((wide, high), Image.Resampling.BOX)
    full = np.float32(255)
    return np.asarray(tag, np.float32) / full, np.asarray(type_, np.float32) / full
