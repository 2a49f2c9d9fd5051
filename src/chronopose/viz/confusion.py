"""The confusion matrix of classes as a picture: rows are labels, columns predictions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from chronopose.errors import ShapeError
from chronopose.viz.charts import Pen
from chronopose.viz.palette import PERSON_COLOURS, Colour

_FULL: Colour = PERSON_COLOURS[0]
_EMPTY: Colour = (240, 240, 240)
_CELL = (74, 40)


def draw_confusion(
    counts: NDArray[np.integer], classes: Sequence[str], *, title: str = "Confusion"
) -> NDArray[np.uint8]:
    """Draw a confusion matrix.

    A cell holds its share of the row in percent and, below, its count; the stronger the colour, the
    larger the share. A class without labels keeps an empty row.

    Args:
        counts: ``(C, C)``, rows are labels.
        classes: C names.
        title: Above the matrix.

    Returns:
        ``(H, W, 3)`` uint8 RGB.

    Raises:
        ShapeError: the counts are not square or not as many as the names.
    """
    counts = np.asarray(counts)
    if not len(classes) or counts.shape != (len(classes), len(classes)):
        raise ShapeError(
            f"A confusion matrix has a row and a column a class; got {counts.shape} counts and "
            f"{len(classes)} names."
        )
    wide, high = _CELL
    left, top = 130, 84
    size = (left + wide * len(classes) + 20, top + high * len(classes) + 20)
    pen = Pen(size, title, legend=[])
    pen.text((left, 34), "named by the network")
    pen.text((12, top - 24), "label")
    totals = counts.sum(1)
    for column, name in enumerate(classes):
        pen.text((left + wide * (column + 0.5), top - 24), name, anchor="ma")
    for row, name in enumerate(classes):
        pen.text((left - 10, top + high * (row + 0.5)), name, anchor="rm")
        for column in range(len(classes)):
            share = counts[row, column] / totals[row] if totals[row] else 0.0
            x, y = left + wide * column, top + high * row
            pen.box((x + 1, y + 1, x + wide - 1, y + high - 1), _shade(float(share)))
            if totals[row]:
                middle = x + wide / 2
                pen.text((middle, y + high * 0.3), f"{100 * share:.0f} %", anchor="mm")
                pen.text((middle, y + high * 0.72), f"{counts[row, column]}", anchor="mm")
    return pen.picture()


def _shade(share: float) -> Colour:
    red, green, blue = (round(e + (f - e) * share) for e, f in zip(_EMPTY, _FULL, strict=True))
    return red, green, blue
