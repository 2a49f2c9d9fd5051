"""How good an embedding is: what lies near what.

numpy only. Rows are compared by Euclidean distance, a block of queries at a time, so memory grows
with the set and not with its square.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chronopose.errors import ShapeError

BLOCK = 512
"""Queries whose distances are held at once."""
UNKNOWN = ""
"""Name of a person whom nobody knows."""


def recall_at_k(
    embedding: ArrayLike,
    labels: ArrayLike,
    ks: Sequence[int] = (1, 5, 10),
    persons: ArrayLike | None = None,
) -> dict[int, float]:
    """Percent of queries with a picture of their class among the k nearest others.

    Args:
        embedding: ``(N, E)``; every row is a query once and searched by all others.
        labels: ``(N,)`` class numbers.
        ks: How far down to look, each at least 1.
        persons: ``(N,)`` names. If given, pictures of the query's own person are not searched:
            they would be found by their face and not by their expression.

    Returns:
        k -> percent of the queries that have anything of their class to be found; NaN where none
        has.

    Raises:
        ShapeError: shapes disagree, or a k is below 1.

    Source:
        Recall@K as in deep metric learning, e.g. Musgrave et al., "A Metric Learning Reality
        Check", with the persons left out being ours.
    """
    rows, numbers, who = _checked(embedding, labels, persons)
    if not ks or min(ks) < 1:
        raise ShapeError(f"Recall looks at one or more neighbours; got ks {list(ks)}.")
    found, queries = np.zeros(len(ks)), 0
    for part, distances in _blocks(rows, rows):
        distances[_barred(part, len(rows), who)] = np.inf
        reach = min(max(ks), len(rows))
        near = np.argsort(distances, axis=1, kind="stable")[:, :reach]
        open_ = np.isfinite(np.take_along_axis(distances, near, 1))
        right = (numbers[near] == numbers[part, None]) & open_
        same = (numbers[None] == numbers[part, None]) & np.isfinite(distances)
        asked = same.any(1)
        queries += int(asked.sum())
        found += [right[asked][:, :k].any(1).sum() for k in ks]
    share = 100 * found / queries if queries else np.full(len(ks), np.nan)
    return dict(zip(ks, share.tolist(), strict=True))


def nearest_neighbours_vote(
    reference: ArrayLike, reference_labels: ArrayLike, queries: ArrayLike, k: int = 5
) -> NDArray[np.int64]:
    """Class numbers by the vote of the k nearest; a tie goes to the class of the nearest of them.

    Args:
        reference: ``(N, E)``.
        reference_labels: ``(N,)`` class numbers.
        queries: ``(M, E)``.
        k: Number of neighbours, at most N are used.

    Returns:
        ``(M,)`` class numbers.

    Raises:
        ShapeError: shapes disagree, or k is below 1.
    """
    rows, numbers, _ = _checked(reference, reference_labels, None)
    asked = _matrix(queries, rows.shape[1])
    if k < 1 or not len(rows):
        raise ShapeError(f"A vote needs neighbours; got k {k} and {len(rows)} pictures.")
    out = np.empty(len(asked), np.int64)
    count = int(numbers.max()) + 1
    for part, distances in _blocks(asked, rows):
        near = numbers[np.argsort(distances, axis=1, kind="stable")[:, :k]]
        votes = (near[:, :, None] == np.arange(count)).sum(1)
        winners = np.take_along_axis(votes, near, 1) == votes.max(1, keepdims=True)
        out[part] = np.take_along_axis(near, winners.argmax(1)[:, None], 1)[:, 0]
    return out


def class_centroids(embedding: ArrayLike, labels: ArrayLike, classes: int) -> NDArray[np.float64]:
    """``(C, E)`` mean of each class; NaN for a class without pictures.

    Raises:
        ShapeError: shapes disagree, or a label is no class.
    """
    rows, numbers, _ = _checked(embedding, labels, None)
    if len(numbers) and not 0 <= numbers.min() <= numbers.max() < classes:
        raise ShapeError(
            f"Labels must lie within 0..{classes - 1}; got {numbers.min()}..{numbers.max()}."
        )
    member = (numbers[None] == np.arange(classes)[:, None]).astype(np.float64)
    with np.errstate(invalid="ignore"):
        return (member @ rows) / member.sum(1, keepdims=True)


def nearest_centroid(centroids: ArrayLike, queries: ArrayLike) -> NDArray[np.int64]:
    """Class numbers of the nearest centroid.

    Args:
        centroids: ``(C, E)``; rows of NaN are never nearest.
        queries: ``(M, E)``.

    Raises:
        ShapeError: shapes disagree, or there is no centroid.
    """
    rows = np.asarray(centroids, np.float64)
    asked = _matrix(queries, rows.shape[-1])
    known = np.isfinite(rows.sum(1))
    if not known.any():
        raise ShapeError(f"None of {len(rows)} classes has a centroid: give labelled pictures.")
    out = np.empty(len(asked), np.int64)
    for part, distances in _blocks(asked, np.where(known[:, None], rows, 0.0)):
        distances[:, ~known] = np.inf
        out[part] = distances.argmin(1)
    return out


@dataclass(frozen=True)
class Verification:
    """How well a distance tells pairs of one class from pairs of two.

    Args:
        false_accepts: ``(T,)`` rising share of pairs of two classes that are taken for one, 0..1.
        true_accepts: ``(T,)`` share of pairs of one class that are taken for one, 0..1.
        thresholds: ``(T,)`` largest distance that is accepted.
        area: Area under the curve, 0..1; 0.5 is chance.
        equal_error: Error rate where both kinds of error are equally frequent, 0..1.
    """

    false_accepts: NDArray[np.float64]
    true_accepts: NDArray[np.float64]
    thresholds: NDArray[np.float64]
    area: float
    equal_error: float

    def true_accepts_at(self, false_accept: float) -> float:
        """Largest share of right pairs accepted while wrong ones stay at or below a share."""
        return float(self.true_accepts[self.false_accepts <= false_accept].max(initial=0.0))

    def numbers(self) -> Mapping[str, float]:
        """What is worth a line of a report."""
        return {"verification_area": self.area, "verification_eer": self.equal_error}


def verification(
    embedding: ArrayLike, labels: ArrayLike, persons: ArrayLike | None = None, points: int = 200
) -> Verification:
    """Tell from its distance whether a pair shows one expression.

    Args:
        embedding: ``(N, E)``.
        labels: ``(N,)`` class numbers.
        persons: ``(N,)`` names; if given, pairs of one known person are left out.
        points: Points of the curve that are kept, at least 2; the area is that of all pairs.

    Returns:
        The curve; NaN areas and no points where one kind of pair is missing.

    Raises:
        ShapeError: shapes disagree.
    """
    rows, numbers, who = _checked(embedding, labels, persons)
    values, same = [], []
    for part, distances in _blocks(rows, rows):
        kept = ~_barred(part, len(rows), who) & (np.arange(len(rows))[None] > part[:, None])
        values.append(distances[kept])
        anchor, other = np.nonzero(kept)
        same.append(numbers[part[anchor]] == numbers[other])
    flat, right = (
        np.concatenate(values or [np.empty(0)]),
        np.concatenate(same or [np.empty(0, bool)]),
    )
    positive, negative = int(right.sum()), int((~right).sum())
    if not positive or not negative:
        nothing = np.empty(0)
        return Verification(nothing, nothing, nothing, float("nan"), float("nan"))
    order = np.argsort(flat, kind="stable")
    flat, right = flat[order], right[order]
    last = np.append(flat[1:] != flat[:-1], True)
    true = np.append(0.0, np.cumsum(right)[last] / positive)
    false = np.append(0.0, np.cumsum(~right)[last] / negative)
    at = np.append(-np.inf, flat[last])
    area = float(((false[1:] - false[:-1]) * (true[1:] + true[:-1])).sum() / 2)
    miss = 1 - true
    crossing = int(np.argmax(false >= miss))
    gap_before, gap = miss[crossing - 1] - false[crossing - 1], false[crossing] - miss[crossing]
    share = gap_before / (gap_before + gap) if gap_before + gap > 0 else 0.0
    error = float(false[crossing - 1] + share * (false[crossing] - false[crossing - 1]))
    chosen = np.unique(np.linspace(0, len(false) - 1, max(points, 2)).round().astype(int))
    return Verification(false[chosen], true[chosen], at[chosen], area, error)


def _checked(
    embedding: ArrayLike, labels: ArrayLike, persons: ArrayLike | None
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.str_] | None]:
    rows, numbers = np.asarray(embedding, np.float64), np.asarray(labels)
    who = None if persons is None else np.asarray(persons, dtype=np.str_)
    if (
        rows.ndim != 2
        or numbers.shape != rows.shape[:1]
        or (who is not None and who.shape != rows.shape[:1])
    ):
        raise ShapeError(
            f"Embeddings (N, E) need N labels and persons; got {rows.shape}, labels "
            f"{numbers.shape}" + ("." if who is None else f", persons {who.shape}.")
        )
    return rows, numbers.astype(np.int64), who


def _matrix(queries: ArrayLike, width: int) -> NDArray[np.float64]:
    asked = np.asarray(queries, np.float64)
    if asked.ndim != 2 or asked.shape[1] != width:
        raise ShapeError(f"Queries must be (M, {width}) like what is searched; got {asked.shape}.")
    return asked


def _blocks(
    queries: NDArray[np.float64], rows: NDArray[np.float64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Numbers of some queries and their distances to all rows."""
    length2 = (rows**2).sum(1)
    for start in range(0, len(queries), BLOCK):
        part = queries[start : start + BLOCK]
        squared = (part**2).sum(1)[:, None] + length2 - 2 * part @ rows.T
        yield np.arange(start, start + len(part)), np.sqrt(np.maximum(squared, 0))


def _barred(part: NDArray[np.int64], count: int, who: NDArray[np.str_] | None) -> NDArray[np.bool_]:
    """``(M, N)`` pairs that are not compared: a picture with itself, or with its own person."""
    itself = part[:, None] == np.arange(count)
    if who is None:
        return itself
    return itself | ((who[part, None] == who[None]) & (who[part] != UNKNOWN)[:, None])
