"""Pictures of a split motion: the gates of its channels, and its parts over a clip."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from chronopose.core.crop import CropWindow
from chronopose.errors import ShapeError
from chronopose.viz.brush import paint_label
from chronopose.viz.charts import Bar, bar_chart
from chronopose.viz.draw import contact_sheet, draw_heatmaps
from chronopose.viz.palette import heat

ROW_PX = 256
"""Largest height of a row of the table; higher crops are brought down to it."""
STRONGEST = 99.5
"""Per cent of the cells that are not drawn in the brightest colour."""
_HEAD: tuple[int, int, int] = (32, 32, 32)


@dataclass(frozen=True, kw_only=True)
class ClipRow:
    """What a network saw and made of one key frame.

    Args:
        time_s: Of the frame.
        crop: ``(H, W, 3)`` uint8 RGB.
        features: Name -> ``(C, h, w)``; cells cover the crop evenly. All rows have the same.
        heatmaps: ``(K, h, w)`` probabilities or Gaussians; None for a network without.
    """

    time_s: float
    crop: NDArray[np.uint8]
    features: Mapping[str, NDArray[np.floating]] = field(default_factory=dict)
    heatmaps: NDArray[np.floating] | None = None


def strength_of(feature: NDArray[np.floating]) -> NDArray[np.float32]:
    """``(C, h, w)`` -> ``(h, w)``: length of the feature's vector in each cell."""
    return np.sqrt(np.square(np.asarray(feature, np.float32)).sum(0))


def draw_inside(
    rows: Sequence[ClipRow], gates: Mapping[str, NDArray[np.floating]], *, title: str
) -> NDArray[np.uint8]:
    """The bars of :func:`draw_gates`, if there are any gates, above the table of :func:`draw_clip`.

    Args:
        rows: In time order.
        gates: As for :func:`draw_gates`; empty for a network without.
        title: Above the bars.

    Raises:
        ShapeError: rows or gates do not fit together.
    """
    table = draw_clip(rows)
    if not gates:
        return table
    bars = draw_gates(gates, title=title, width=table.shape[1])
    width = max(table.shape[1], bars.shape[1])
    sheet = np.full((bars.shape[0] + table.shape[0], width, 3), 255, np.uint8)
    sheet[: bars.shape[0], : bars.shape[1]] = bars
    left = (width - table.shape[1]) // 2
    sheet[bars.shape[0] :, left : left + table.shape[1]] = table
    return sheet


def draw_gates(
    gates: Mapping[str, NDArray[np.floating]], *, title: str, width: int = 780
) -> NDArray[np.uint8]:
    """Bars of the channels' gates: their mean over clips, whiskers for their spread.

    Args:
        gates: Name of the part -> ``(N, C)`` gates in [0, 1] of N clips; NaN where the channel is
            zero or the part was not made by gates.
        title: Above the chart.
        width: Of the picture, pixels; more if the channels need it.

    Returns:
        ``(H, W, 3)`` uint8 RGB; channels without a bar are zero in every clip.

    Raises:
        ShapeError: there are no gates, or not as many of each part.
    """
    shapes = {np.shape(g) for g in gates.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 2:
        raise ShapeError(f"Gates must be (clips, channels) of one shape; got {sorted(shapes)}.")
    bars = {
        name: {str(c): _bar(column) for c, column in enumerate(np.asarray(part).T)}
        for name, part in gates.items()
    }
    needed = 90 + 20 * next(iter(shapes))[1]
    return bar_chart(bars, title=title, unit="gate", size=(max(width, needed), 260))


def _bar(values: NDArray[np.floating]) -> Bar:
    known = values[np.isfinite(values)]
    if not len(known):
        return Bar(value=math.nan)
    return Bar(value=float(known.mean()), spread=float(known.std()))


def draw_clip(rows: Sequence[ClipRow]) -> NDArray[np.uint8]:
    """A table of pictures: a row for each key frame; crop, strength of each feature, heatmaps.

    The features share one scale, from zero to the :data:`STRONGEST` per cent of all cells of all
    rows, so that a bright cell means the same everywhere; the head of their columns gives it.

    Args:
        rows: In time order.

    Returns:
        ``(H, W, 3)`` uint8 RGB.

    Raises:
        ShapeError: there are no rows, or they have other features than the first.
    """
    if not rows or any(list(r.features) != list(rows[0].features) for r in rows):
        raise ShapeError("A table of a clip needs rows, all with the same features.")
    maps = [{name: strength_of(f) for name, f in row.features.items()} for row in rows]
    cells = [m.ravel() for row in maps for m in row.values()]
    top = float(np.percentile(np.concatenate(cells), STRONGEST)) if cells else 0.0
    height = min(ROW_PX, max(r.crop.shape[0] for r in rows))
    tiles, heads = [], ["crop", *(f"|{n}| 0 to {top:.3g}" for n in rows[0].features)]
    for row, strengths in zip(rows, maps, strict=True):
        size = max(1, round(row.crop.shape[1] * height / row.crop.shape[0])), height
        shown = [row.crop]
        shown += [heat(m / (top or 1.0)).round().astype(np.uint8) for m in strengths.values()]
        if row.heatmaps is not None:
            shown.append(_with_heatmaps(row.crop, row.heatmaps))
        scaled = [
            np.array(Image.fromarray(s).resize(size, _filter(s.shape[0], height))) for s in shown
        ]
        paint_label(scaled[0], f"{row.time_s:.2f} s", (0, height), 12, _HEAD)
        tiles += scaled
    if rows[0].heatmaps is not None:
        heads.append("heatmaps")
    for tile, head in zip(tiles, heads, strict=False):
        paint_label(tile, head, (tile.shape[1] / 2, 18), 12, _HEAD)
    return contact_sheet(tiles, len(heads))


def _filter(rows: int, wanted: int) -> Image.Resampling:
    """Cells stay squares when they are enlarged; pictures are averaged when they shrink."""
    return Image.Resampling.NEAREST if rows < wanted else Image.Resampling.BOX


def _with_heatmaps(crop: NDArray[np.uint8], maps: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Each joint's map brought to the same height, then the strongest of them on the crop."""
    peaks = np.maximum(maps.max((1, 2), keepdims=True), 1e-9)
    size = crop.shape[1], crop.shape[0]
    window = CropWindow(np.array([[1.0, 0, 0], [0, 1.0, 0]]), size)
    return draw_heatmaps(crop, maps / peaks, window)
