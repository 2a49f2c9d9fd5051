"""Loss of a dense detector: which cells stand for whom, how sure they should be, where it is.

Source
    Assignment and soft scores: Feng, Zhong, Gao, Scott, Huang, "TOOD: Task-aligned One-stage
    Object Detection", ICCV 2021, Eq. 1 and 4-7. Overlap loss: Rezatofighi et al., "Generalized
    Intersection over Union", CVPR 2019.

Axes: N picture, G labelled person (padded), A cell.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

SCORE_POWER, OVERLAP_POWER = 0.5, 6.0
"""Exponents of score and overlap in the alignment t = s^a u^b."""
BEST = 10
"""Cells that stand for one person."""


class BoxTarget(NamedTuple):
    """People of a batch of pictures."""

    boxes: Tensor
    """float N G 4, x1 y1 x2 y2 pixels; rows beyond a picture's people are zeros."""
    people: Tensor
    """int N, people of each picture."""
    ignore: Tensor
    """float N I 4, areas in which nothing is asked (people without a good box); padded with
    zeros, which hold no cell."""


def overlaps(first: Tensor, second: Tensor) -> Tensor:
    """IoU of boxes ``(..., 4)`` with boxes ``(..., 4)``, broadcast, in [0, 1]."""
    low = torch.maximum(first[..., :2], second[..., :2])
    high = torch.minimum(first[..., 2:], second[..., 2:])
    both = (high - low).clamp(min=0).prod(-1)
    areas = [(b[..., 2:] - b[..., :2]).clamp(min=0).prod(-1) for b in (first, second)]
    return both / (areas[0] + areas[1] - both).clamp(min=1e-6)


def generalised_overlaps(first: Tensor, second: Tensor) -> Tensor:
    """GIoU of boxes ``(..., 4)`` pair by pair, in (-1, 1]."""
    low = torch.maximum(first[..., :2], second[..., :2])
    high = torch.minimum(first[..., 2:], second[..., 2:])
    both = (high - low).clamp(min=0).prod(-1)
    areas = [(b[..., 2:] - b[..., :2]).clamp(min=0).prod(-1) for b in (first, second)]
    union = (areas[0] + areas[1] - both).clamp(min=1e-6)
    around = torch.maximum(first[..., 2:], second[..., 2:]) - torch.minimum(
        first[..., :2], second[..., :2]
    )
    hull = around.clamp(min=0).prod(-1).clamp(min=1e-6)
    return both / union - (hull - union) / hull


@torch.no_grad()
def assign(
    logits: Tensor, boxes: Tensor, centres: Tensor, target: BoxTarget
) -> tuple[Tensor, Tensor]:
    """Choose the cells that stand for each person.

    A person's cells are the ten inside their box whose ``t = s^0.5 u^6`` is largest (score s,
    overlap u); a cell wanted by two people stands for the one it overlaps more.

    Args:
        logits: ``(N, A)``.
        boxes: ``(N, A, 4)`` predicted.
        centres: ``(A, 2)`` of the cells.
        target: The people.

    Returns:
        owner ``(N, A)`` int, the person's row or -1, and the score ``(N, A)`` that each cell
        should give: t over the person's largest t, times their largest overlap (Eq. 6).
    """
    truth = target.boxes
    cells, rows = boxes.shape[1], truth.shape[1]
    if rows == 0:
        return torch.full_like(logits, -1, dtype=torch.long), torch.zeros_like(logits)
    real = torch.arange(rows, device=truth.device) < target.people[:, None]
    inside = _inside(centres, truth) & real[..., None]
    # A person smaller than the grid holds no centre: the nearest cells may stand for them.
    middle = (truth[..., :2] + truth[..., 2:]) / 2
    away = torch.cdist(middle, centres.expand(len(truth), -1, -1))
    lost = real & ~inside.any(-1)
    near = away <= away.kthvalue(min(4, cells), dim=-1, keepdim=True).values
    inside |= near & lost[..., None]
    u = overlaps(truth[:, :, None], boxes[:, None]) * inside
    t = logits.sigmoid()[:, None].pow(SCORE_POWER) * u.pow(OVERLAP_POWER)
    # Before the boxes are any good, cells near the middle come first.
    rank = torch.where(inside, t + 1e-9 / (1 + away), torch.zeros_like(t))
    least = rank.topk(min(BEST, cells), dim=-1).values[..., -1:]
    chosen = inside & (rank >= least) & (rank > 0)
    wanted = torch.where(chosen, u + 1e-6, torch.zeros_like(u))
    best, owner = wanted.max(1)
    owner = torch.where(best > 0, owner, torch.full_like(owner, -1))
    mine = chosen & (owner[:, None] == torch.arange(rows, device=owner.device)[:, None])
    t, u = t * mine, u * mine
    share = t / t.amax(-1, keepdim=True).clamp(min=1e-9) * u.amax(-1, keepdim=True)
    return owner, share.amax(1)


def detection_terms(
    logits: Tensor, boxes: Tensor, centres: Tensor, target: BoxTarget
) -> dict[str, Tensor]:
    """Terms ``score`` (cross-entropy with soft scores) and ``box`` (1 - GIoU, weighted by them).

    Args:
        logits: ``(N, A)``.
        boxes: ``(N, A, 4)`` predicted, pixels.
        centres: ``(A, 2)`` of the cells.
        target: The people.

    Returns:
        Both divided by the sum of the soft scores (at least 1).
    """
    owner, share = assign(logits, boxes, centres, target)
    silent = _inside(centres, target.ignore).any(1) & (owner < 0)
    # Easy background counts little: the modulating factor of "Focal Loss", Lin et al. 2017.
    weight = torch.where(
        owner >= 0, torch.ones_like(share), logits.detach().sigmoid().pow(2) * 0.75
    )
    each = F.binary_cross_entropy_with_logits(logits, share, reduction="none")
    mass = share.sum().clamp(min=1)
    score = (each * weight * ~silent).sum() / mass
    found = owner >= 0
    if not bool(found.any()):
        return {"score": score, "box": boxes.sum() * 0}
    picture = torch.arange(len(owner), device=owner.device)[:, None].expand_as(owner)[found]
    truth = target.boxes[picture, owner[found]]
    box = ((1 - generalised_overlaps(boxes[found], truth)) * share[found]).sum() / mass
    return {"score": score, "box": box}


def _inside(centres: Tensor, boxes: Tensor) -> Tensor:
    """``(N, G, A)`` whether each centre lies inside each box."""
    x, y = centres[:, 0], centres[:, 1]
    b = boxes[..., None]
    return (x > b[..., 0, :]) & (x < b[..., 2, :]) & (y > b[..., 1, :]) & (y < b[..., 3, :])
