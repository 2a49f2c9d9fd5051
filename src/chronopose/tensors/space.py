"""Joints in space: what a lifter returns and what it is compared with."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class LiftOutput(NamedTuple):
    """Joints in space, relative to the root joint, axes of the camera (x right, y down, z away).

    Axes: B clip, T frame, J joint.
    """

    xyz: Tensor
    """float B T J 3, metres; T is 1 for a network that answers for the middle frame."""


class LiftTarget(NamedTuple):
    """What a lifter is compared with. Axes as for :class:`LiftOutput`."""

    xyz: Tensor
    """float B T J 3, metres, relative to the root joint, whose own row is zero."""
    weight: Tensor
    """float B T J, 0 where a joint is not known."""
