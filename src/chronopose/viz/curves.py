"""Curves of a training run, a panel a term: terms differ by orders of magnitude."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from chronopose.errors import UsageError
from chronopose.viz.charts import Pen, nice_step, span_of
from chronopose.viz.draw import contact_sheet
from chronopose.viz.palette import PERSON_COLOURS, Colour

Curve = tuple[Sequence[float], Sequence[float]]

PANEL = (420, 230)
"""Width and height of a panel, pixels."""
AT_MOST = 360
"""Points of a curve that are drawn; of more, means of neighbours are."""
_LINE: Colour = PERSON_COLOURS[5]
_MARK: Colour = PERSON_COLOURS[1]


def draw_curves(
    curves: Mapping[str, Curve], *, marks: Sequence[float] = (), columns: int = 3
) -> NDArray[np.uint8]:
    """Draw every curve in a panel with a scale of its own.

    Args:
        curves: Name -> steps (rising) and values, as many of each; a value that is NaN or infinite
            breaks the line.
        marks: Steps at which something changed, e.g. the size of the crops; a line in every panel.
        columns: Panels side by side.

    Returns:
        ``(H, W, 3)`` uint8 RGB. A panel's title gives the least, the largest and the last value;
        a curve without a finite value says so.

    Raises:
        UsageError: there is no curve, or steps and values of one differ in number.
    """
    uneven = [name for name, (steps, values) in curves.items() if len(steps) != len(values)]
    if not curves or uneven:
        raise UsageError(
            f"Curves need as many values as steps; {uneven[0]} has other numbers of them."
            if uneven
            else "There is no curve to draw: the run has no row in its log yet."
        )
    ends = [float(s) for steps, _ in curves.values() for s in steps]
    first, last = (min(ends), max(ends)) if ends else (0.0, 1.0)
    panels = [_panel(name, curve, (first, last), marks) for name, curve in curves.items()]
    blank = np.full_like(panels[0], 255)
    rest = -len(panels) % columns if len(panels) > columns else 0
    return contact_sheet(panels + [blank] * rest, columns)


def _panel(
    name: str, curve: Curve, ends: tuple[float, float], marks: Sequence[float]
) -> NDArray[np.uint8]:
    x, y = thin_out(*curve, AT_MOST)
    known = [float(v) for v in curve[1] if math.isfinite(v)]
    told = "no finite value"
    if known:
        told = f"{min(known):.4g} to {max(known):.4g}, last {known[-1]:.4g}"
    pen = Pen(PANEL, f"{name}: {told}", legend=[])
    low, high = span_of([v for v in y.tolist() if math.isfinite(v)], from_zero=False)
    pen.y_axis(low, high, "")
    width = ends[1] - ends[0] or 1.0

    def column(step: float) -> float:
        return pen.left + (step - ends[0]) / width * (pen.right - pen.left)

    tick_step = nice_step(width / 5)
    for count in range(math.ceil(ends[0] / tick_step), math.floor(ends[1] / tick_step) + 1):
        tick = count * tick_step
        pen.text((column(tick), pen.bottom + 6), f"{tick:g}", anchor="ma")
    for mark in marks:
        pen.line((column(mark), pen.top, column(mark), pen.bottom), _MARK)
    points = [(column(a), pen.y(b)) for a, b in zip(x.tolist(), y.tolist(), strict=True)]
    for start, end in pairwise(points):
        if math.isfinite(start[1]) and math.isfinite(end[1]):
            pen.line((*start, *end), _LINE, 2)
    if len(known) == 1:
        pen.disc(next(p for p in points if math.isfinite(p[1])), 3, _LINE)
    return pen.picture()


def thin_out(
    steps: Sequence[float], values: Sequence[float], most: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """At most ``most`` points: means of neighbours; not finite where one of them is not.

    Args:
        steps: Rising.
        values: As many.
        most: At least 1.
    """
    x, y = np.asarray(steps, np.float64), np.asarray(values, np.float64)
    if len(x) <= most:
        return x, y
    edges = np.linspace(0, len(x), most + 1).astype(int)[:-1]
    counts = np.diff([*edges, len(x)])
    with np.errstate(invalid="ignore"):
        return np.add.reduceat(x, edges) / counts, np.add.reduceat(y, edges) / counts
