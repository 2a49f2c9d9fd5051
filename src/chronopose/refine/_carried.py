"""What flow and a straight line say about a joint between two labels, and their mean.

Axes: L frame from one label to the next, both among them; K joint; image pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
LEAST2 = 1e-12
"""Added to squared doubts, so that a label itself, which has none, can be weighed."""


@dataclass(frozen=True)
class BlendRules:
    """Numbers of :class:`~chronopose.refine.propagate.PropagateSettings`, in image pixels."""

    reach: int
    step_px: float
    bend: float
    tolerance: float


@dataclass(frozen=True)
class Person:
    """One person in one frame.

    Args:
        xy: ``(K, 2)``; NaN where unknown.
        score: ``(K,)`` in [0, 1].
        visible: ``(K,)``.
        box: ``(4,)``.
        box_score: In [0, 1].
    """

    xy: Array
    score: Array
    visible: NDArray[np.bool_]
    box: Array
    box_score: float


@dataclass(frozen=True)
class Opinion:
    """Where a joint is in every frame, and the square of how far off that may be.

    Args:
        xy: ``(L, K, 2)``; NaN where there is no opinion.
        doubt2: ``(L, K)`` square pixels.
    """

    xy: Array
    doubt2: Array

    def backward(self) -> Opinion:
        """The same with the frames in the other order."""
        return Opinion(self.xy[::-1], self.doubt2[::-1])

    def bridged(self, truth: Array, at: int) -> Opinion:
        """Take back what is off in a frame where the truth is known.

        The correction grows along the way as the squared doubt did; what is left of the doubt is
        that of a random walk with both ends held, larger where the walk went further astray than
        its doubt foresaw. Joints whose walk does not come there stay as they are.

        Args:
            truth: ``(K, 2)`` labels; NaN where unknown.
            at: 0 or -1, the label's place among the frames.
        """
        off = truth - self.xy[at]
        held = np.isfinite(off).all(-1)
        whole = np.where(held, np.maximum(self.doubt2[at], LEAST2), 1.0)
        share = np.where(held, self.doubt2, 0.0) / whole
        astray = np.maximum(1.0, (off**2).sum(-1) / (2 * whole))
        xy = np.where(held[:, None], self.xy + share[..., None] * off, self.xy)
        return Opinion(xy, np.where(held, astray * whole * share * (1 - share), self.doubt2))


def straight(first: Array, last: Array, share: Array, rules: BlendRules) -> Opinion:
    """The line between two labels.

    Args:
        first: ``(K, 2)``.
        last: ``(K, 2)``.
        share: ``(L,)`` of the time between them that has passed, 0 to 1.
        rules: Numbers.
    """
    past = share[:, None]
    xy = (1 - past[..., None]) * first + past[..., None] * last
    way2 = ((last - first) ** 2).sum(-1)
    middle2 = rules.bend**2 * way2 + rules.step_px**2 * (len(share) - 1)
    return Opinion(xy, 4 * past * (1 - past) * middle2)


def blend(
    first: Person | None,
    last: Person | None,
    ahead: Opinion | None,
    behind: Opinion | None,
    share: Array,
    rules: BlendRules,
) -> list[Person | None]:
    """A person in the frames from one label to the next.

    Args:
        first: The label before; None if there is none.
        last: The label after; None if there is none.
        ahead: Carried forward from ``first``.
        behind: Carried backward from ``last``.
        share: ``(L,)`` of the time between the labels that has passed; of what lies outside if one
            is missing, anything.
        rules: Numbers.

    Returns:
        L entries; None where no label reaches.
    """
    opinions = []
    if ahead is not None:
        opinions.append(ahead if last is None else ahead.bridged(last.xy, -1))
    if behind is not None:
        opinions.append(behind if first is None else behind.bridged(first.xy, 0))
    if first is not None and last is not None and len(share) - 1 <= rules.reach:
        opinions.append(straight(first.xy, last.xy, share, rules))
    xy, spread2 = _mean(opinions)
    rest = _at_rest(first, last, share)
    people: list[Person | None] = []
    for place, still in enumerate(rest):
        known = np.isfinite(xy[place]).all(-1)
        if not known.any():
            people.append(None)
            continue
        shift = xy[place] - still.xy
        moved = known & np.isfinite(shift).all(-1)
        box = still.box + np.tile(np.median(shift[moved], axis=0) if moved.any() else 0.0, 2)
        size = max(float(np.sqrt(np.prod(np.maximum(box[2:] - box[:2], 0)))), 1.0)
        sure = 1 / (1 + spread2[place] / (rules.tolerance * size) ** 2)
        score = np.where(known, still.score * np.where(known, sure, 0.0), 0.0)
        trust = float(sure[known].mean())
        people.append(Person(xy[place], score, still.visible & known, box, still.box_score * trust))
    return people


def _mean(opinions: Sequence[Opinion]) -> tuple[Array, Array]:
    """Place ``(L, K, 2)``, NaN without an opinion, and its squared doubt ``(L, K)``."""
    xy = np.stack([o.xy for o in opinions])
    doubt2 = np.stack([o.doubt2 for o in opinions])
    there = np.isfinite(xy).all(-1) & np.isfinite(doubt2)
    weight = np.where(there, 1 / (np.where(there, doubt2, 1.0) + LEAST2), 0.0)
    total = weight.sum(0)
    share = weight / np.where(total > 0, total, 1.0)
    place = (share[..., None] * np.where(there[..., None], xy, 0.0)).sum(0)
    apart2 = (share * np.where(there, ((xy - place) ** 2).sum(-1), 0.0)).sum(0)
    known = total > 0
    return (
        np.where(known[..., None], place, np.nan),
        np.where(known, apart2 + 1 / np.where(known, total, 1.0), np.inf),
    )


def _at_rest(first: Person | None, last: Person | None, share: Array) -> list[Person]:
    """The straight way between two labels, joint by joint; or the only label there is."""
    if first is None or last is None:
        only = first or last
        assert only is not None
        return [only] * len(share)
    in_first, in_last = (np.isfinite(p.xy).all(-1) for p in (first, last))
    people = []
    for past in share:
        # A joint that only one of them has stays there.
        part = np.where(in_first & in_last, past, np.where(in_last, 1.0, 0.0))
        a, b = 1 - part, part
        people.append(
            Person(
                a[:, None] * np.nan_to_num(first.xy) + b[:, None] * np.nan_to_num(last.xy),
                a * first.score + b * last.score,
                np.where(part < 0.5, first.visible, last.visible),
                (1 - past) * first.box + past * last.box,
                (1 - past) * first.box_score + past * last.box_score,
            )
        )
    return people
