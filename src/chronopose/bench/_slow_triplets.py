"""Plain loops for Batch Hard and the triplet losses: the reference of the fast ones.

One slice, one anchor, one pair at a time, as the formulas are written. Only the distance of an
anchor to all others is a tensor operation.
"""

from __future__ import annotations

import torch
from torch import Tensor


def slow_triplet_losses(
    slices: Tensor,
    labels: Tensor,
    thresholds: tuple[float, ...],
    *,
    kind: str = "dual",
    distance: str = "euclidean",
) -> Tensor:
    """``(B, N, W)`` slices and ``(B,)`` labels -> ``(N,)`` losses, each slice mined for itself.

    Args:
        slices: Embedding in slices.
        labels: Class numbers.
        thresholds: One a slice.
        kind: ``dual`` or ``plain``.
        distance: ``euclidean`` or ``squared``.
    """
    names = labels.tolist()
    return torch.stack(
        [
            _slow_slice(slices[:, n], names, threshold, kind, distance)
            for n, threshold in enumerate(thresholds)
        ]
    )


def _slow_slice(
    rows: Tensor, names: list[int], threshold: float, kind: str, distance: str
) -> Tensor:
    losses = []
    for anchor in range(len(rows)):
        apart = _distance(rows[anchor], rows, distance)
        told = apart.tolist()
        positive = negative = -1
        for other in range(len(rows)):
            if other == anchor:
                continue
            if names[other] == names[anchor]:
                if positive < 0 or told[other] > told[positive]:
                    positive = other
            elif negative < 0 or told[other] < told[negative]:
                negative = other
        if positive < 0 or negative < 0:
            continue
        loss = torch.relu(apart[positive] - apart[negative] + threshold)
        if kind == "dual":
            across = _distance(rows[positive], rows[negative][None], distance)[0]
            loss = 0.5 * (loss + torch.relu(apart[positive] - across + threshold))
        losses.append(loss)
    return torch.stack(losses).mean() if losses else 0 * rows.sum()


def _distance(row: Tensor, rows: Tensor, distance: str) -> Tensor:
    squared = (row - rows).square().sum(-1)
    return squared if distance == "squared" else squared.clamp_min(1e-12).sqrt()
