"""An embedding on two axes, and the curve of telling pairs by their distance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from chronopose.errors import ShapeError
from chronopose.viz.charts import Pen, nice_step
from chronopose.viz.palette import PERSON_COLOURS, Colour

AT_MOST = 1500
"""Points that are drawn; of more, every so many-th."""
_PANEL = (560, 460)
_LINE: Colour = PERSON_COLOURS[5]
_CHANCE: Colour = (180, 180, 180)


def principal_axes(rows: NDArray[np.floating]) -> tuple[NDArray[np.float64], float]:
    """Project onto the two directions in which rows spread most.

    Args:
        rows: ``(N, E)``, at least one.

    Returns:
        ``(N, 2)`` of mean zero, each axis with the sign that makes its largest weight positive, and
        the share of the variance that they show, in [0, 1]; 0 where all rows are equal.

    Raises:
        ShapeError: there is no row.

    Source:
        Principal component analysis: singular vectors of the rows less their mean.
    """
    table = np.asarray(rows, np.float64)
    if table.ndim != 2 or not table.size:
        raise ShapeError(f"An embedding to draw must be (N, E) with rows; got {table.shape}.")
    table = table - table.mean(0)
    _, spread, axes = np.linalg.svd(table, full_matrices=False)
    axes = (
        axes[:2] * np.sign(axes[:2][np.arange(len(axes[:2])), np.abs(axes[:2]).argmax(1)])[:, None]
    )
    total = float((spread**2).sum())
    shown = float((spread[:2] ** 2).sum()) / total if total > 0 else 0.0
    out = np.zeros((len(table), 2))
    out[:, : len(axes)] = table @ axes.T
    return out, shown


def draw_embedding(
    rows: NDArray[np.floating], labels: NDArray[np.integer], classes: Sequence[str]
) -> NDArray[np.uint8]:
    """Draw an embedding's two principal axes, a colour a class.

    Args:
        rows: ``(N, E)``.
        labels: ``(N,)`` class numbers.
        classes: Names.

    Returns:
        ``(H, W, 3)`` uint8 RGB. The title says how much of the spread is seen: what lies on one
        spot here need not be close in the embedding.

    Raises:
        ShapeError: there is no row, or labels and rows differ in number.
    """
    if len(rows) != len(labels):
        raise ShapeError(f"{len(rows)} rows of an embedding need as many labels; {len(labels)}.")
    xy, shown = principal_axes(rows)
    step = math.ceil(len(xy) / AT_MOST)
    title = f"Embedding, two principal axes: {100 * shown:.0f} % of the variance"
    pen = Pen(_PANEL, title, legend=classes)
    low, high = xy.min(0), xy.max(0)
    reach = np.where(high > low, high - low, 1.0)
    place = np.stack(
        [
            pen.left + (xy[:, 0] - low[0]) / reach[0] * (pen.right - pen.left),
            pen.bottom - (xy[:, 1] - low[1]) / reach[1] * (pen.bottom - pen.top),
        ],
        -1,
    )
    for x, y, label in zip(*place[::step].T.tolist(), labels[::step].tolist(), strict=True):
        red, green, blue = PERSON_COLOURS[label % len(PERSON_COLOURS)]
        dark = 0.6 ** (label // len(PERSON_COLOURS))
        pen.disc((x, y), 3, (round(red * dark), round(green * dark), round(blue * dark)))
    return pen.picture()


def draw_verification(
    false_accepts: NDArray[np.floating], true_accepts: NDArray[np.floating], area: float
) -> NDArray[np.uint8]:
    """Draw which share of right pairs is accepted at which share of wrong ones.

    Args:
        false_accepts: ``(T,)`` rising, in [0, 1]; none where there was nothing to compare.
        true_accepts: ``(T,)`` in [0, 1].
        area: Under the curve; NaN where there was nothing to compare.

    Returns:
        ``(H, W, 3)`` uint8 RGB, with the diagonal of chance.

    Raises:
        ShapeError: the two differ in number.
    """
    if len(false_accepts) != len(true_accepts):
        raise ShapeError(
            f"A curve needs as many right shares as wrong ones; got {len(true_accepts)} and "
            f"{len(false_accepts)}."
        )
    told = f"area {area:.3f}" if math.isfinite(area) else "no pairs to compare"
    pen = Pen(_PANEL, f"Verification: one expression or two? {told}", legend=[])
    pen.y_axis(0.0, 1.0, "")
    pen.text((pen.left + 6, pen.top + 4), "pairs of one accepted")

    def at(x: float) -> float:
        return pen.left + x * (pen.right - pen.left)

    for count in range(6):
        tick = count * nice_step(1 / 5)
        pen.text((at(tick), pen.bottom + 8), f"{tick:g}", anchor="ma")
    pen.text((at(0.5), pen.bottom + 30), "pairs of two accepted", anchor="ma")
    pen.line((at(0), pen.y(0), at(1), pen.y(1)), _CHANCE)
    points = zip(false_accepts.tolist(), true_accepts.tolist(), strict=True)
    for (x0, y0), (x1, y1) in pairwise(points):
        pen.line((at(x0), pen.y(y0), at(x1), pen.y(y1)), _LINE, 2)
    return pen.picture()
