"""Greedy matching of predicted and labelled people by similarity, all pictures at once."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Flags = NDArray[np.bool_]

THRESHOLDS: Floats = np.linspace(0.5, 0.95, 10)
"""OKS from which a prediction counts as found: 0.50, 0.55, ..., 0.95."""
RECALLS: Floats = np.linspace(0.0, 1.0, 101)
"""Recalls at which precision is read off."""
_EPS = float(np.spacing(1))


@dataclass(frozen=True)
class People:
    """The people of one side, a row each, ordered by picture."""

    picture: Ints
    """``(N,)`` number of the picture."""
    xy: Floats
    """``(N, K, 2)`` pixels; NaN where unknown."""
    known: Flags
    """``(N, K)`` joints that have coordinates."""
    area: Floats
    """``(N,)`` square pixels."""
    boxes: Floats
    """``(N, 4)`` x1 y1 x2 y2; NaN where there is none."""
    score: Floats = field(default_factory=lambda: np.zeros(0))
    crowd: Flags = field(default_factory=lambda: np.zeros(0, bool))
    ignored: Flags = field(default_factory=lambda: np.zeros(0, bool))


@dataclass(frozen=True)
class Pairs:
    """Rows of labels and of predictions of the same picture and their OKS, by prediction."""

    true: Ints
    pred: Ints
    oks: Floats


def match(truth: People, found: People, ignored: Flags, pairs: Pairs) -> NDArray[np.int8]:
    """Whom each prediction took, greedily by falling score.

    Args:
        truth: N labelled people.
        found: M predictions, best first in each picture.
        ignored: ``(A, N)`` people who do not count in a size range.
        pairs: OKS.

    Returns:
        ``(A, 10, M)``: 0 nobody, 1 somebody who counts, 2 somebody ignored.
    """
    taken = np.zeros((len(ignored), len(THRESHOLDS), len(found.score)), np.int8)
    hopeful = np.unique(pairs.pred[pairs.oks >= THRESHOLDS[0]])
    pictures, start = np.unique(found.picture[hopeful], return_index=True)
    firsts = np.searchsorted(truth.picture, pictures)
    widths = np.searchsorted(truth.picture, pictures, side="right") - firsts
    first_pair = np.searchsorted(pairs.pred, hopeful)
    many = np.diff([*start, len(hopeful)])
    # Pictures with about as many people share arrays that are as wide as the widest of them.
    room = 2 ** np.ceil(np.log2(np.maximum(widths, 1))).astype(int)
    for width in np.unique(room):
        group = np.flatnonzero(room == width)
        group = group[np.argsort(-many[group], kind="stable")]
        column = np.arange(width)
        inside = column < widths[group, None]
        people = np.where(inside, firsts[group, None] + column, 0)
        skip, crowd = ignored[:, people], truth.crowd[people]
        used = np.zeros((len(ignored), len(THRESHOLDS), len(group), width), bool)
        for turn in range(int(many[group[0]])):
            active = int((many[group] > turn).sum())
            row = start[group[:active]] + turn
            cells = np.where(inside[:active], first_pair[row, None] + column, 0)
            oks = np.where(inside[:active], pairs.oks[cells], -1.0)
            code = _turn(oks, used[:, :, :active], skip[:, :active], crowd[:active])
            taken[:, :, hopeful[row]] = code
    return taken


def _turn(oks: Floats, used: Flags, skip: Flags, crowd: Flags) -> NDArray[np.int8]:
    """Let one prediction of each picture choose; ``used`` is changed in place.

    Args:
        oks: ``(I, W)`` with the people of its picture; -1 where there is nobody.
        used: ``(A, T, I, W)`` people who are taken.
        skip: ``(A, I, W)`` people who do not count.
        crowd: ``(I, W)`` people who can be taken again.

    Returns:
        ``(A, T, I)``: 0 nobody, 1 somebody who counts, 2 somebody ignored.
    """
    free = (~used | crowd) & (oks >= THRESHOLDS[:, None, None])
    real = free & ~skip[:, None]
    among = np.where(real.any(-1, keepdims=True), real, free)
    value = np.where(among, oks, -1.0)
    pick = oks.shape[-1] - 1 - value[..., ::-1].argmax(-1, keepdims=True)
    got = among.any(-1, keepdims=True)
    before = np.take_along_axis(used, pick, -1)
    np.put_along_axis(used, pick, before | got, -1)
    ignored = np.take_along_axis(np.broadcast_to(skip[:, None], used.shape), pick, -1)
    return np.where(got, np.where(ignored, 2, 1), 0)[..., 0].astype(np.int8)


def curves(true: Flags, false: Flags, people: int) -> tuple[Floats, Floats]:
    """Precision at :data:`RECALLS` ``(T, 101)`` and greatest recall ``(T,)``, in [0, 1].

    Args:
        true: ``(T, M)`` predictions that found somebody, best score first.
        false: ``(T, M)`` predictions that found nobody.
        people: How many there are to be found; without any the curves are NaN.
    """
    count = len(true)
    if not people:
        return np.full((count, len(RECALLS)), np.nan), np.full(count, np.nan)
    curve, recall_end = np.zeros((count, len(RECALLS))), np.zeros(count)
    if true.shape[1]:
        hits = true.cumsum(1).astype(np.float64)
        precision = hits / (false.cumsum(1) + hits + _EPS)
        precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        recall = hits / people
        recall_end = recall[:, -1]
        for row in range(count):
            at = np.searchsorted(recall[row], RECALLS, side="left")
            at = at[at < recall.shape[1]]
            curve[row, : len(at)] = precision[row, at]
    return curve, recall_end
