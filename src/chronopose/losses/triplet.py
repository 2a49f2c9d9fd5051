"""Triplet losses over the slices of an embedding, each slice with its own threshold.

All slices are mined and judged at once. Mining needs every distance but no gradient, so it works on
one batched matrix product; the loss then takes the three distances of each triplet from exact
differences, which stay precise where two faces all but coincide.

Source: fer_multithreshold spec, section 2, after Yang et al., "Multi-threshold Deep Metric Learning
for Facial Expression Recognition".

Axes: B picture (as anchor, too), E embedding, N slice, W width of a slice.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from chronopose.errors import ShapeError, UsageError

Distance = Literal["euclidean", "squared"]
LossKind = Literal["dual", "plain"]
Mining = Literal["slice", "shared"]
NOBODY = -1
"""Number of a person whom nobody knows."""
_TINY2 = 1e-12
"""Squared distances below this have no gradient: its direction is not known."""


class Triplets(NamedTuple):
    """What was mined: for each slice and anchor one positive and one negative.

    Axes: N slice, B anchor.
    """

    positive: Tensor
    """int64 N B, row of the positive in the batch."""
    negative: Tensor
    """int64 N B, row of the negative in the batch."""
    valid: Tensor
    """bool B, anchors that have both."""


def spread_thresholds(low: float, high: float, count: int) -> tuple[float, ...]:
    """``count`` thresholds at equal steps from ``low`` to ``high``, both included.

    Args:
        low: The smallest, above zero.
        high: The largest; equal to ``low`` for slices of one threshold.
        count: How many; a single one is their middle.

    Raises:
        UsageError: the numbers make no sense.
    """
    if count < 1 or not 0 < low <= high:
        raise UsageError(
            f"Thresholds are spread over a range above zero; got {count} from {low} to {high}."
        )
    if count == 1:
        return ((low + high) / 2,)
    return tuple(low + i * (high - low) / (count - 1) for i in range(count))


def cut_slices(embedding: Tensor, count: int, *, normalise: bool = True) -> Tensor:
    """``(B, E) -> (B, N, W)``: slices side by side, each brought to length 1 unless told not to.

    Raises:
        ShapeError: E cannot be cut into that many equal slices.
    """
    width, rest = divmod(embedding.shape[-1], count)
    if rest or not width:
        raise ShapeError(
            f"An embedding of {embedding.shape[-1]} numbers cannot be cut into {count} equal "
            f"slices. Choose a multiple of {count}."
        )
    slices = embedding.unflatten(-1, (count, width))
    return F.normalize(slices, dim=-1) if normalise else slices


def squared_distances(slices: Tensor) -> Tensor:
    """``(B, N, W) -> (N, B, B)`` squared Euclidean distances of every pair, without gradient."""
    with torch.no_grad():
        rows = slices.transpose(0, 1)
        length2 = rows.square().sum(-1)
        both = length2[:, :, None] + length2[:, None, :]
        return torch.baddbmm(both, rows, rows.transpose(1, 2), alpha=-2.0).clamp_min_(0.0)


def batch_hard(
    slices: Tensor, labels: Tensor, *, mining: Mining = "slice", persons: Tensor | None = None
) -> Triplets:
    """For every anchor the farthest picture of its class and the nearest of another one.

    Args:
        slices: ``(B, N, W)``.
        labels: ``(B,)`` class numbers.
        mining: ``slice``: each slice mines by its own distances; ``shared``: all slices use the
            triplets that are hard for the whole embedding.
        persons: ``(B,)`` numbers of persons, :data:`NOBODY` where unknown. If given, a positive
            shows another person and a negative the same one wherever the batch has such a picture:
            what is left to tell apart is the expression.

    Returns:
        Triplets; rows of anchors that are not ``valid`` mean nothing.

    Raises:
        ShapeError: there is not one label, or person, a picture.

    Source:
        Hermans, Beyer, Leibe, "In Defense of the Triplet Loss"; identity-aware pairs: spec, 2.
    """
    count = len(slices)
    if labels.shape != (count,) or (persons is not None and persons.shape != (count,)):
        given = "" if persons is None else f" and persons {tuple(persons.shape)}"
        raise ShapeError(
            f"{count} embeddings need as many labels; got labels {tuple(labels.shape)}{given}."
        )
    distances = squared_distances(slices)
    if mining == "shared":
        distances = distances.sum(0, keepdim=True)
    same = labels[:, None] == labels[None, :]
    other = ~same
    same = same.fill_diagonal_(False)
    valid = same.any(1) & other.any(1)
    if persons is not None:
        same, other = _of_persons(same, other, persons)
    positive = distances.masked_fill(~same, -torch.inf).argmax(-1)
    negative = distances.masked_fill(~other, torch.inf).argmin(-1)
    shape = (slices.shape[1], count)
    return Triplets(positive.expand(shape), negative.expand(shape), valid)


def _of_persons(same: Tensor, other: Tensor, persons: Tensor) -> tuple[Tensor, Tensor]:
    """Keep positives of other persons and negatives of the same one, in rows that have some."""
    one = (persons[:, None] == persons[None, :]) & (persons != NOBODY)[:, None]
    crossed, own = same & ~one, other & one
    return (
        torch.where(crossed.any(1, keepdim=True), crossed, same),
        torch.where(own.any(1, keepdim=True), own, other),
    )


def slice_distance(a: Tensor, b: Tensor, distance: Distance = "euclidean") -> Tensor:
    """``(..., W)`` twice -> ``(...)`` distance; its gradient is zero where both are equal."""
    squared = (a - b).square().sum(-1)
    return squared if distance == "squared" else squared.clamp_min(_TINY2).sqrt()


def hinge(
    to_positive: Tensor, to_negative: Tensor, across: Tensor, thresholds: Tensor, kind: LossKind
) -> Tensor:
    """Loss of triplets from their three distances.

    Args:
        to_positive: d(anchor, positive).
        to_negative: d(anchor, negative).
        across: d(positive, negative), which the plain loss does not look at.
        thresholds: Added before the hinge; all four are broadcast.
        kind: ``plain``: ``[d(a,p) - d(a,n) + t]+``; ``dual``: the mean of this and
            ``[d(a,p) - d(p,n) + t]+``, so that anchor and positive can change places.

    Source:
        Spec, section 2 (our formula; the paper's own is not known to us).
    """
    first = (to_positive - to_negative + thresholds).clamp_min(0.0)
    if kind == "plain":
        return first
    return 0.5 * (first + (to_positive - across + thresholds).clamp_min(0.0))


def triplet_loss(
    slices: Tensor,
    triplets: Triplets,
    thresholds: Tensor,
    *,
    kind: LossKind = "dual",
    distance: Distance = "euclidean",
) -> Tensor:
    """Mean loss of each slice over the anchors that have a triplet.

    Args:
        slices: ``(B, N, W)``.
        triplets: As :func:`batch_hard` gives them.
        thresholds: ``(N,)``, one a slice.
        kind: See :func:`hinge`.
        distance: ``euclidean`` or its square.

    Returns:
        ``(N,)``; zero, still with a gradient, where no anchor has a triplet.

    Raises:
        ShapeError: there is not one threshold a slice.
    """
    rows = slices.transpose(0, 1)
    if thresholds.shape != rows.shape[:1]:
        raise ShapeError(
            f"{rows.shape[0]} slices need as many thresholds; got {tuple(thresholds.shape)}."
        )
    positive, negative = (
        rows.gather(1, row[:, :, None].expand(-1, -1, rows.shape[2]))
        for row in (triplets.positive, triplets.negative)
    )
    near = slice_distance(rows, positive, distance)
    far = slice_distance(rows, negative, distance)
    across = far if kind == "plain" else slice_distance(positive, negative, distance)
    losses = hinge(near, far, across, thresholds[:, None], kind)
    kept = triplets.valid.to(losses.dtype)
    return (losses * kept).sum(1) / kept.sum().clamp_min(1.0)


def batch_spread(slices: Tensor) -> Tensor:
    """``(B, N, W) -> (N,)`` mean Euclidean distance of two different pictures, without gradient.

    Near zero: the slice has collapsed to a point, and a loss that stays near its threshold will
    not bring it back.
    """
    count = max(len(slices), 2)
    distances = squared_distances(slices).sqrt()
    distances.diagonal(dim1=1, dim2=2).zero_()
    return distances.sum((1, 2)) / (count * (count - 1))
