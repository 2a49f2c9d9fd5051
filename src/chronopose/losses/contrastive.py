"""What is near in time looks alike, what is far apart in time differs: losses of CSS.

All of them see unit vectors: the time-variant part of the latent, divided by its length. Which
moments are near and which are away is told by seconds, never by counts of frames.

Axes: B sample, M moment, V numbers of the latent, K joint.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from chronopose.core.skeleton import Skeleton
from chronopose.errors import UsageError

TORSO = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")
"""Joints that a torso is measured by."""


def unit(latent: Tensor) -> Tensor:
    """``(..., V)`` vectors of length one; a zero vector stays zero."""
    return F.normalize(latent, dim=-1)


def similarities(units: Tensor) -> Tensor:
    """``(B, M, V)`` unit vectors, the reference first -> ``(B, M)`` cosines with the reference."""
    return torch.einsum("bv,bmv->bm", units[:, 0], units)


def near_and_away(delta_s: Tensor, near_s: float, away_s: float) -> tuple[Tensor, Tensor, Tensor]:
    """Which moments are near, between and away.

    Args:
        delta_s: ``(B, M)`` seconds from the reference, of either sign; the first is the reference.
        near_s: Nearer than this, or as near, is near.
        away_s: Farther than this, or as far, is away.

    Returns:
        Three bool tensors ``(B, M)``; the reference itself is in none.
    """
    apart = delta_s.abs()
    other = torch.ones_like(apart, dtype=torch.bool)
    other[:, 0] = False
    slack = 1e-6  # seconds: presentation times such as 1.0 - 0.8 carry rounding
    near, away = other & (apart <= near_s + slack), other & (apart >= away_s - slack)
    return near, other & ~near & ~away, away


def contrastive_loss(
    units: Tensor,
    near: Tensor,
    away: Tensor,
    temperature: float = 0.1,
    video: Tensor | None = None,
) -> Tensor:
    """L_con: the reference is to be found among near moments, not among those away.

    Mean over references and their near moments n of
    ``-log(exp(<u_r, u_n> / T) / (exp(<u_r, u_n> / T) + sum_a exp(<u_r, u_a> / T)))``.

    Args:
        units: ``(B, M, V)`` unit vectors, the reference first.
        near: ``(B, M)`` bool.
        away: ``(B, M)`` bool, the negatives a.
        temperature: T.
        video: ``(B,)`` number of each sample's video; with it all moments of other videos are
            negatives too. None: only the sample's own.

    Returns:
        A scalar; zero if no reference has a near moment.

    Source:
        Honari et al., TPAMI 2023, abstract; the formula is ours.
    """
    cosine = similarities(units) / temperature
    least = torch.finfo(cosine.dtype).min
    negatives = torch.where(away, cosine, least)
    if video is not None:
        among = torch.einsum("bv,cmv->bcm", units[:, 0], units) / temperature
        other = (video[:, None] != video)[..., None].expand_as(among)
        negatives = torch.cat([negatives, torch.where(other, among, least).flatten(1)], 1)
    against = negatives.logsumexp(1, keepdim=True)
    each = torch.logaddexp(cosine, against) - cosine
    count = near.sum(1)
    rows = torch.where(near, each, 0.0).sum(1) / count.clamp(min=1)
    return rows.sum() / (count > 0).sum().clamp(min=1)


def transition_target(delta_s: Tensor, near_s: float, away_s: float) -> Tensor:
    """How alike moments should be, in [0, 1]: 1 up to ``near_s``, then straight to 0 at ``away_s``.

    Args:
        delta_s: Seconds from the reference, any shape and sign.
        near_s: Seconds.
        away_s: Seconds, above ``near_s``.

    Raises:
        UsageError: ``away_s`` is not above ``near_s``.
    """
    if away_s <= near_s:
        raise UsageError(f"away_s must be above near_s; got {away_s} s and {near_s} s.")
    return (1 - (delta_s.abs() - near_s) / (away_s - near_s)).clamp(0, 1)


def transition_loss(units: Tensor, delta_s: Tensor, near_s: float, away_s: float) -> Tensor:
    """L_dsl: likeness falls gradually with time.

    Mean of ``((1 + <u_r, u_m>) / 2 - target)^2`` over the moments up to ``away_s`` away.

    Args:
        units: ``(B, M, V)`` unit vectors, the reference first.
        delta_s: ``(B, M)`` seconds from the reference.
        near_s: Seconds up to which moments should be equal.
        away_s: Seconds from which they should be opposite; farther moments do not count.

    Returns:
        A scalar; zero if there is no such moment.

    Source:
        The idea: Honari et al., TPAMI 2023, abstract; the formula is ours.
    """
    near, middle, _ = near_and_away(delta_s, near_s, away_s)
    counted = near | middle
    likeness = (1 + similarities(units)) / 2
    error = (likeness - transition_target(delta_s, near_s, away_s)).square()
    return torch.where(counted, error, 0.0).sum() / counted.sum().clamp(min=1)


def rank_loss(units: Tensor, near: Tensor, middle: Tensor, away: Tensor, margin: float) -> Tensor:
    """The order alone: near above middle by a margin, middle above away by a margin.

    Mean hinge over all pairs of one sample that are to be in order.

    Args:
        units: ``(B, M, V)`` unit vectors, the reference first.
        near: ``(B, M)`` bool.
        middle: ``(B, M)`` bool.
        away: ``(B, M)`` bool.
        margin: Of cosines.

    Returns:
        A scalar; zero if there is no pair.
    """
    cosine = similarities(units)
    hinge = (margin - (cosine[:, :, None] - cosine[:, None, :])).clamp(min=0)
    pairs = (near[:, :, None] & middle[:, None, :]) | (middle[:, :, None] & away[:, None, :])
    return torch.where(pairs, hinge, 0.0).sum() / pairs.sum().clamp(min=1)


def torso_joints(skeleton: Skeleton) -> tuple[int, int, int, int]:
    """Places of shoulders and hips.

    Raises:
        SkeletonMismatch: the skeleton lacks one.
    """
    a, b, c, d = (skeleton.index(name) for name in TORSO)
    return a, b, c, d


def same_pose(xy: Tensor, torso: tuple[int, int, int, int], threshold: float = 0.1) -> Tensor:
    """Which moments show the pose of the reference again: cyclic motion makes false negatives.

    Poses are centred on the middle of the hips and measured in their own torso lengths; two are the
    same if their joints lie less than ``threshold`` apart on average.

    Args:
        xy: ``(B, M, K, 2)`` joints, any unit, the reference first; NaN where unknown.
        torso: As :func:`torso_joints` gives them.
        threshold: Torso lengths.

    Returns:
        ``(B, M)`` bool. False where a torso is unknown or has no length, or no joint is known in
        both poses.
    """
    shoulders = xy[:, :, list(torso[:2])].mean(2, keepdim=True)
    hips = xy[:, :, list(torso[2:])].mean(2, keepdim=True)
    length = (shoulders - hips).norm(dim=-1, keepdim=True)
    pose = (xy - hips) / length
    apart = (pose - pose[:, :1]).norm(dim=-1)
    known = torch.isfinite(apart)
    mean = torch.where(known, apart, 0.0).sum(-1) / known.sum(-1)
    return mean < threshold  # a comparison with NaN is False


def matched_colours(drawn: Tensor, target: Tensor) -> Tensor:
    """A picture given the mean and spread of another, channel by channel.

    Args:
        drawn: ``(N, C, H, W)``.
        target: ``(N, C, H, W)``.

    Source:
        The reconstruction loss of Neural Scene Decomposition compares pictures so.
    """
    mean, spread = drawn.mean((2, 3), keepdim=True), drawn.std((2, 3), keepdim=True)
    wanted, width = target.mean((2, 3), keepdim=True), target.std((2, 3), keepdim=True)
    return (drawn - mean) / (spread + 1e-6) * width + wanted
