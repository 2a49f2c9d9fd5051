"""The merge of crowd_flow: candidates of neighbouring frames become one pose.

Axes: C candidate, K joint.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chronopose.core.skeleton import Skeleton

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

SIZE_OF_BOX = 0.2
"""A head, as a share of the square root of the box area, where the joints do not tell."""
LEAST_SHIFT_PX = 0.05
"""Flow is not exact enough to move a joint by less."""
TOPS, BOTTOMS = ("head_top",), ("head_bottom", "upper_neck", "neck")
"""Joints between which a head lies."""


@dataclass(frozen=True)
class MergeRules:
    """Numbers of step 5; see :class:`~chronopose.refine.crowd_flow.CrowdFlowSettings`."""

    decay: float
    outlier: float
    sure_score: float
    sure_shift: float
    carried_score: float


@dataclass(frozen=True)
class Candidate:
    """What the frame ``offset`` frames away says about one person here.

    Args:
        offset: Frames between; negative for the past, 0 for the frame itself.
        person: Id under which the person was found there.
        xy: ``(K, 2)`` pixels of this frame; NaN where nothing is known or the flow was doubtful.
        score: ``(K,)`` there.
        visible: ``(K,)`` there.
        box: ``(4,)`` moved along with the joints.
        box_score: There.
    """

    offset: int
    person: int
    xy: Array
    score: Array
    visible: Flags
    box: Array
    box_score: float


@dataclass(frozen=True)
class Merged:
    """One pose out of candidates.

    Args:
        xy: ``(K, 2)``; NaN where no candidate knows the joint.
        score: ``(K,)``.
        visible: ``(K,)``.
        reason: ``(K,)`` why the joint is where it is; empty where nothing changed.
    """

    xy: Array
    score: Array
    visible: Flags
    reason: NDArray[np.str_]


def head_joints(skeleton: Skeleton) -> tuple[int, int] | None:
    """Joint numbers of the top and the lower end of the head, None if it has no such joints."""
    top = [skeleton.index(j) for j in TOPS if j in skeleton]
    bottom = [skeleton.index(j) for j in BOTTOMS if j in skeleton]
    return (top[0], bottom[0]) if top and bottom else None


def weighted_median(values: Array, weight: Array) -> Array:
    """``(C, ...)`` -> ``(...)``: the least value at which half of the weight is reached.

    NaN where there is no weight.
    """
    order = np.argsort(values, axis=0)
    ordered = np.take_along_axis(values, order, 0)
    reached = np.cumsum(np.take_along_axis(weight, order, 0), axis=0)
    half = reached[-1] / 2
    first = np.argmax(reached >= half * (1 - 1e-12), axis=0)
    middle = np.take_along_axis(ordered, first[None], 0)[0]
    return np.where(half > 0, middle, np.nan)


def merge(
    found: Sequence[Candidate], box_area_px2: float, head: tuple[int, int] | None, rules: MergeRules
) -> Merged:
    """Steps 5 to 5c of the specification, and the joints of step 5d.

    Without a pose of the frame itself only those joints are known on which the past and the future
    agree: candidates of both sides are near the weighted median.

    Args:
        found: At least one candidate; the pose of the frame itself has offset 0, if there is one.
        box_area_px2: Of the person here.
        head: As :func:`head_joints` gives them.
        rules: Numbers.
    """
    xy = np.stack([c.xy for c in found])
    score = np.stack([c.score for c in found])
    visible = np.stack([c.visible for c in found])
    known = _known(xy)
    decay = rules.decay ** np.abs([c.offset for c in found])[:, None]
    weight = np.where(known, decay * score, 0.0)
    place = np.where(known[..., None], xy, 0.0)
    middle = weighted_median(place, np.repeat(weight[..., None], 2, axis=-1))
    size = head_size(middle, box_area_px2, head)
    near = (np.linalg.norm(place - middle, axis=-1) <= rules.outlier * size) & (weight > 0)
    total = np.where(near, weight, 0.0).sum(0)
    share = np.where(near, weight, 0.0) / np.where(total > 0, total, 1.0)
    mean = np.where((total > 0)[:, None], (share[..., None] * place).sum(0), np.nan)
    votes = np.where(near, decay, 0.0).sum(0)
    trust = np.where(votes > 0, total / np.where(votes > 0, votes, 1.0), 0.0)
    seen = np.asarray((near & visible).any(0))
    own = [n for n, c in enumerate(found) if c.offset == 0]
    if own:
        others = Merged(mean, trust, seen, np.empty(0, dtype="<U8"))
        return _own_moved(found[own[0]], near[own[0]], others, size, rules)
    past = np.array([c.offset < 0 for c in found])
    agreed = near[past].any(0) & near[~past].any(0)
    return Merged(
        np.where(agreed[:, None], mean, np.nan), np.where(agreed, trust, 0.0), seen & agreed,
        np.where(agreed, "inserted", "").astype("<U8"),
    )  # fmt: skip


def _own_moved(
    own: Candidate, accepted: Flags, others: Merged, size: float, rules: MergeRules
) -> Merged:
    """The pose that was found, moved towards the mean as far as its scores allow (5b, 5c)."""
    known, told = _known(own.xy), _known(others.xy)
    shift = np.where((known & told)[:, None], others.xy - own.xy, 0.0)
    length = np.linalg.norm(shift, axis=-1)
    limit = rules.sure_shift * size
    held = known & (own.score > rules.sure_score) & (length > limit)
    shift[held] *= (limit / length[held])[:, None]
    moves = known & told & (length > LEAST_SHIFT_PX)
    new = ~known & told
    xy = np.where(moves[:, None], own.xy + shift, own.xy)
    xy = np.where(new[:, None], others.xy, xy)
    carried = np.where(told, rules.carried_score * others.score, 0.0)
    was = np.where(known, own.score, 0.0)
    raised = carried > was
    score = np.where(raised, carried, own.score)
    reason = np.full(len(known), "", dtype="<U8")
    reason[raised] = "carried"
    reason[moves] = "merged"
    reason[moves & ~accepted] = "outlier"
    reason[held] = "held"
    reason[new] = "carried"
    return Merged(xy, score, np.where(new, others.visible, own.visible), reason)


def head_size(xy: Array, box_area_px2: float, head: tuple[int, int] | None) -> float:
    """Size that distances are measured by, pixels: the head's length, else a share of the box."""
    length = float(np.linalg.norm(xy[head[0]] - xy[head[1]])) if head else float("nan")
    if np.isfinite(length) and length > 0:
        return length
    return SIZE_OF_BOX * float(np.sqrt(max(box_area_px2, 1.0)))


def _known(xy: Array) -> Flags:
    return np.asarray(np.isfinite(xy).all(-1))
