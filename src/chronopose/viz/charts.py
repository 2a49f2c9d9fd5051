"""Two charts for reports: bars in groups with their spread, and named points on two axes.

Drawn with Pillow, twice as large as asked for and brought down, so that edges are smooth.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from chronopose.errors import UsageError
from chronopose.viz.palette import PERSON_COLOURS, Colour

_SCALE = 2
_INK: Colour = (40, 40, 40)
_GRID: Colour = (225, 225, 225)
_PAPER: Colour = (255, 255, 255)


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A value with its spread; NaN draws nothing."""

    value: float
    spread: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Point:
    """A named point with the spread of its y."""

    name: str
    x: float
    y: float
    spread: float = 0.0


def bar_chart(
    bars: Mapping[str, Mapping[str, Bar]],
    *,
    title: str,
    unit: str,
    size: tuple[int, int] = (1100, 480),
) -> NDArray[np.uint8]:
    """Bars in groups.

    Args:
        bars: Name of a series -> group -> bar; all series have the same groups. Series keep their
            colours and their order.
        title: Above the chart.
        unit: Of the values, beside the axis.
        size: Width and height, pixels.

    Returns:
        ``(H, W, 3)`` uint8 RGB.

    Raises:
        UsageError: there is nothing to draw, or the series have different groups.
    """
    groups = list(next(iter(bars.values()), {}))
    if not groups or any(list(row) != groups for row in bars.values()):
        raise UsageError("A bar chart needs series that all have the same groups, at least one.")
    pen = Pen(size, title, legend=list(bars))
    values = [
        b.value + s * b.spread for row in bars.values() for b in row.values() for s in (-1, 1)
    ]
    low, high = span_of(values, from_zero=True)
    pen.y_axis(low, high, unit)
    slot = (pen.right - pen.left) / len(groups)
    width = slot * 0.84 / len(bars)
    for at, group in enumerate(groups):
        start = pen.left + slot * (at + 0.08)
        pen.text((start + slot * 0.42, pen.bottom + 10), group, anchor="ma")
        for number, row in enumerate(bars.values()):
            bar = row[group]
            if math.isnan(bar.value):
                continue
            x = start + width * number
            top = pen.y(bar.value)
            pen.box((x + 1, top, x + width - 1, pen.y(max(low, 0.0))), _colour(number))
            if bar.spread > 0:
                pen.whisker(x + width / 2, bar.value, bar.spread, width * 0.25)
    return pen.picture()


def point_chart(
    points: Sequence[Point],
    *,
    title: str,
    x_unit: str,
    y_unit: str,
    size: tuple[int, int] = (900, 560),
) -> NDArray[np.uint8]:
    """Named points, the x axis logarithmic.

    Args:
        points: With x above zero.
        title: Above the chart.
        x_unit: What x is.
        y_unit: What y is.
        size: Width and height, pixels.

    Returns:
        ``(H, W, 3)`` uint8 RGB.

    Raises:
        UsageError: there is no point, or one with an x that has no logarithm.
    """
    if not points or min(p.x for p in points) <= 0:
        raise UsageError("A point chart needs points whose x is above zero.")
    pen = Pen(size, title, legend=[])
    low, high = span_of([p.y + s * p.spread for p in points for s in (-1, 1)], from_zero=False)
    pen.y_axis(low, high, y_unit)
    ends = [math.log10(f(p.x for p in points)) for f in (min, max)]
    margin = max(0.08, 0.12 * (ends[1] - ends[0]))
    first, last = ends[0] - margin, ends[1] + margin
    for tick in _log_ticks(first, last):
        x = pen.left + (math.log10(tick) - first) / (last - first) * (pen.right - pen.left)
        pen.line((x, pen.top, x, pen.bottom), _GRID)
        pen.text((x, pen.bottom + 8), f"{tick:g}", anchor="ma")
    pen.text(((pen.left + pen.right) / 2, pen.bottom + 30), x_unit, anchor="ma")
    taken: list[tuple[float, float, float, float]] = []
    for number, point in enumerate(points):
        x = pen.left + (math.log10(point.x) - first) / (last - first) * (pen.right - pen.left)
        y = pen.y(point.y)
        if point.spread > 0:
            pen.whisker(x, point.y, point.spread, 4)
        pen.disc((x, y), 5, _colour(number))
        taken.append((x - 6, y - 6, x + 6, y + 6))
        pen.label_near((x, y), point.name, taken)
    return pen.picture()


class Pen:
    """A canvas with axes, in the pixels of the finished picture.

    Args:
        size: Width and height of the picture.
        title: Above the axes.
        legend: Names of the series, in the order of their colours.
    """

    def __init__(self, size: tuple[int, int], title: str, legend: Sequence[str]) -> None:
        self._size = size
        self._image = Image.new("RGB", (size[0] * _SCALE, size[1] * _SCALE), _PAPER)
        self._draw = ImageDraw.Draw(self._image)
        self._font = ImageFont.load_default(13 * _SCALE)
        self.left, self.right = 64.0, size[0] - 20.0
        self.text((self.left, 12), title)
        x, y = self.left, 36.0
        for number, name in enumerate(legend):
            wide = 24 + self.width(name)
            if x + wide > self.right:
                x, y = self.left, y + 20
            self.box((x, y + 2, x + 12, y + 14), _colour(number))
            self.text((x + 17, y), name)
            x += wide + 14
        self.top, self.bottom = y + (32 if legend else 12), size[1] - 54.0
        self._low, self._high = 0.0, 1.0

    def y_axis(self, low: float, high: float, unit: str) -> None:
        """Scale, lines and numbers of the upright axis."""
        self._low, self._high = low, high
        step = nice_step((high - low) / 6)
        for count in range(math.ceil(low / step), math.floor(high / step + 1e-9) + 1):
            value = count * step
            self.line((self.left, self.y(value), self.right, self.y(value)), _GRID)
            self.text((self.left - 8, self.y(value)), f"{value:g}", anchor="rm")
        self.text((8, self.top - 22), unit)

    def y(self, value: float) -> float:
        """Row of a value."""
        share = (value - self._low) / (self._high - self._low)
        return self.bottom - share * (self.bottom - self.top)

    def width(self, text: str) -> float:
        """Of a text, pixels."""
        return float(self._draw.textlength(text, font=self._font)) / _SCALE

    def text(self, at: tuple[float, float], text: str, anchor: str = "la") -> None:
        """Write."""
        x, y = at
        self._draw.text((x * _SCALE, y * _SCALE), text, _INK, self._font, anchor=anchor)

    def box(self, xyxy: tuple[float, float, float, float], colour: Colour) -> None:
        """A filled box; upside down ones are turned."""
        x0, y0, x1, y1 = (v * _SCALE for v in xyxy)
        self._draw.rectangle((min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)), colour)

    def line(self, xyxy: tuple[float, float, float, float], colour: Colour, width: int = 1) -> None:
        """A straight line."""
        self._draw.line([v * _SCALE for v in xyxy], colour, width * _SCALE)

    def disc(self, at: tuple[float, float], radius: float, colour: Colour) -> None:
        """A filled disc with a rim."""
        x, y, r = at[0] * _SCALE, at[1] * _SCALE, radius * _SCALE
        self._draw.ellipse((x - r, y - r, x + r, y + r), colour, _INK, _SCALE)

    def whisker(self, x: float, value: float, spread: float, half: float) -> None:
        """The spread of a value."""
        low, high = self.y(value - spread), self.y(value + spread)
        self.line((x, low, x, high), _INK)
        for y in (low, high):
            self.line((x - half, y, x + half, y), _INK)

    def label_near(
        self, at: tuple[float, float], text: str, taken: list[tuple[float, float, float, float]]
    ) -> None:
        """Write beside a point where nothing stands yet; the place is then taken."""
        wide, (x, y) = self.width(text), at
        places = [(x + 9, y - 8), (x - wide - 9, y - 8)]
        places += [
            (x - wide / 2 + s, y + d) for d in (-24, 9, -40, 25, -56, 41) for s in (0, 40, -40)
        ]
        boxes = [(a, b, a + wide, b + 15) for a, b in places]
        inside = [b for b in boxes if b[0] > self.left and b[2] < self.right]
        free = [b for b in inside if not any(_overlap(b, t) for t in taken)]
        chosen = (free or inside or boxes)[0]
        taken.append(chosen)
        self.text(chosen[:2], text)

    def picture(self) -> NDArray[np.uint8]:
        """The finished picture."""
        return np.asarray(self._image.resize(self._size, Image.Resampling.BOX))


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _colour(number: int) -> Colour:
    base = PERSON_COLOURS[number % len(PERSON_COLOURS)]
    dark = 0.6 ** (number // len(PERSON_COLOURS))
    red, green, blue = (round(c * dark) for c in base)
    return red, green, blue


def span_of(values: Sequence[float], *, from_zero: bool) -> tuple[float, float]:
    """Ends of an axis with some room around the finite values; never equal.

    Args:
        values: What is drawn.
        from_zero: Let the axis reach zero.
    """
    known = [v for v in values if math.isfinite(v)]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    if from_zero:
        low, high = min(low, 0.0), max(high, 0.0)
    room = (high - low or 1.0) * 0.06
    return (low if from_zero and low == 0 else low - room), high + room


def nice_step(step: float) -> float:
    """The next of 1, 2, 5, 10, ... above a step."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(f * power for f in (1, 2, 5, 10) if f * power >= step - 1e-12)


def _log_ticks(first: float, last: float) -> list[float]:
    powers = range(math.floor(first), math.ceil(last) + 1)
    ticks = [f * 10.0**p for p in powers for f in (1, 2, 5)]
    return [t for t in ticks if first <= math.log10(t) <= last]
