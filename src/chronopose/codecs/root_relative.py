"""RootRelative: 2D poses -> what a lifter reads, and its answers -> poses in space.

Source: D. Pavllo et al., "3D human pose estimation in video with temporal convolutions and
semi-supervised training", CVPR 2019: screen coordinates, and targets relative to the root.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chronopose.core.poses import Poses
from chronopose.core.skeleton import Skeleton
from chronopose.errors import ShapeError, UsageError
from chronopose.tensors.space import LiftOutput

MM = 1000.0
"""Millimetres in a metre."""


@dataclass(frozen=True)
class RootRelative:
    """How a lifter sees poses and says where joints are.

    Args:
        skeleton: Names of the J joints, of what is read and of what is returned.
        root: Joint that positions are relative to.

    Raises:
        UsageError: the skeleton has no such joint.
    """

    skeleton: Skeleton
    root: str = "pelvis"

    def __post_init__(self) -> None:
        if self.root not in self.skeleton.joints:
            raise UsageError(
                f"{self.skeleton.name} has no joint {self.root!r} to measure from; it has "
                f"{', '.join(self.skeleton.joints)}."
            )

    def to_screen(self, xy: NDArray[np.floating], size: tuple[int, int]) -> NDArray[np.float32]:
        """Pixels -> screen coordinates: x from -1 to 1 over the picture's width, y to scale.

        Args:
            xy: ``(..., 2)`` image pixels, the centre of the top-left one at (0, 0).
            size: Width and height of the picture, pixels.

        Returns:
            ``((x, y) + 1/2) * 2 / w - (1, h / w)``, the published formula with our pixel centres.
        """
        width, height = size
        screen = (np.asarray(xy, np.float64) + 0.5) * (2.0 / width) - (1.0, height / width)
        return screen.astype(np.float32)

    def from_screen(self, xy: NDArray[np.floating], size: tuple[int, int]) -> NDArray[np.float32]:
        """Inverse of :meth:`to_screen`."""
        width, height = size
        pixels = (np.asarray(xy, np.float64) + np.array([1.0, height / width])) * (
            width / 2.0
        ) - 0.5
        return pixels.astype(np.float32)

    def relative(self, xyz: NDArray[np.floating]) -> NDArray[np.float32]:
        """``(..., J, 3)`` in any unit -> the same from the root."""
        root = self.skeleton.index(self.root)
        found = np.asarray(xyz, np.float64)
        return (found - found[..., root : root + 1, :]).astype(np.float32)

    def decode(self, output: LiftOutput, score: NDArray[np.floating] | None = None) -> Poses:
        """Answers in metres -> poses ``(B, T, J)`` in ``root_mm``.

        Args:
            output: What the network gave.
            score: ``(B, T, J)`` of the 2D joints, carried over; 1 by default.

        Raises:
            ShapeError: the output has other joints.
        """
        xyz = output.xyz.detach().float().cpu().numpy()
        if xyz.shape[-2:] != (len(self.skeleton), 3):
            raise ShapeError(
                f"A lifter of {self.skeleton.name} answers with ({len(self.skeleton)}, 3) at the "
                f"end; got {xyz.shape}."
            )
        scores = np.ones(xyz.shape[:-1], np.float32) if score is None else np.asarray(score)
        return Poses(self.relative(xyz) * MM, scores, self.skeleton, space="root_mm")

    def mirror_screen(self, poses: NDArray[np.floating]) -> NDArray[np.floating]:
        """``(..., J, C)`` poses as in a mirror: x negated, sides exchanged; twice changes nothing.

        For screen poses (x, y and what follows) and for joints in space alike.
        """
        mirrored = np.array(poses)[..., self.skeleton.flip_index, :]
        mirrored[..., 0] *= -1
        return mirrored
