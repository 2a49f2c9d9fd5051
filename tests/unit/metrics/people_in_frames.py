"""Small worlds for video-pose metrics: people as one point each, moved by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chronopose.core.labels import LabelledFrame, LabelledSequence
from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import POSETRACK15_POSEVAL

JOINTS = POSETRACK15_POSEVAL.joints
HEAD = (0.0, 0.0, 30.0, 40.0)
"""Diagonal 50 px: head size 30 px, and a joint is hit within 15 px."""


def pose(x: float, y: float = 100.0, skeleton: Skeleton = POSETRACK15_POSEVAL) -> np.ndarray:
    """All joints of a person 100 px below each other."""
    points = np.full((len(skeleton), 2), [x, y])
    points[:, 1] += 100.0 * np.arange(len(skeleton))
    return points


def without(points: np.ndarray, *joints: str) -> np.ndarray:
    """The pose with some joints missing."""
    points = points.copy()
    points[[POSETRACK15_POSEVAL.index(j) for j in joints]] = np.nan
    return points


def frame(
    number: int,
    people: Sequence[np.ndarray] = (),
    *,
    score: Any = None,
    skeleton: Skeleton = POSETRACK15_POSEVAL,
    **fields: Any,
) -> LabelledFrame:
    """A frame of people who all have the same head; ``score`` is one number a person."""
    count = len(people)
    if score is not None:
        fields["score"] = np.broadcast_to(np.array(score, float)[:, None], (count, len(skeleton)))
    fields.setdefault("ids", np.arange(count))
    fields.setdefault("head_boxes", np.tile(HEAD, (count, 1)))
    xy = np.array(list(people)).reshape(count, len(skeleton), 2)
    return LabelledFrame(f"{number:06d}.jpg", number, skeleton, xy, **fields)


def video(*frames: LabelledFrame, name: str = "walk", **fields: Any) -> LabelledSequence:
    """The frames as a sequence."""
    skeleton = frames[0].skeleton if frames else POSETRACK15_POSEVAL
    return LabelledSequence(name, skeleton, frames, **fields)
