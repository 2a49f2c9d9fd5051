"""A latent in two parts, and the moments of a video that teach the split."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Split(NamedTuple):
    """What changes over time, and what does not.

    Axes: N frame, V and I numbers of the two parts.
    """

    variant: Tensor
    """float N V, z_tv: pose, place, what the person does."""
    invariant: Tensor
    """float N I, z_ti: who it is, clothes, light."""


class Moments(NamedTuple):
    """Moments of one video a sample: the reference first, then away, between, near.

    Axes: B sample, M moment, K joint, ... one frame: ``3 H W``, or ``K 2`` of a pose.
    """

    frames: Tensor
    """float B M ..., as the model's codec prepares them."""
    delta_s: Tensor
    """float B M, seconds from the reference, of either sign; 0 of the reference."""
    partner: Tensor
    """long B M, the moment whose time-invariant part this one is decoded with; itself: no swap."""
    video: Tensor
    """long B, number of the video."""
    xy: Tensor | None = None
    """float B M K 2, joints in any unit, where 2D poses are known; NaN where a joint is not."""
    background: Tensor | None = None
    """float B 3 H W, the scene without the person, for models that find the person themselves; or
    float B M 3 H W, the same crops of it."""


class MomentsOutput(NamedTuple):
    """What a model makes of moments.

    Axes: D decoded moments, the first of M; further as in :class:`Moments`.
    """

    latent: Split
    """float B M V and B M I."""
    decoded: Tensor
    """float B D ..., what was looked at, rebuilt from z_tv and a partner's z_ti."""
    place: Tensor | None = None
    """float B M 4, half width, half height, centre x and y of the window looked at, frames being
    [-1, 1] from edge to edge; None for models that are given crops."""
