"""RegressionCodec: joints in crop pixels <-> coordinates that a network regresses, with scores.

A coordinate is a share of the crop: 0 at its left or upper edge, 1 at the right or lower one. It
may lie outside [0, 1], where a joint lies outside the crop.

Axes: B clip, K joint.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from torch import Tensor

from chronopose.core.poses import Poses
from chronopose.core.skeleton import Skeleton
from chronopose.errors import ShapeError, UsageError
from chronopose.tensors.batch import Target
from chronopose.tensors.outputs import RegressionOutput

Align = Literal["centre", "corner"]


@dataclass(frozen=True)
class RegressionCodec:
    """Coordinates of one skeleton in crops of one size.

    Args:
        skeleton: Names of the K joints, in the order of the coordinates.
        crop_size: Crop width and height, pixels.
        align: ``centre``: pixel x lies at the share ``(x + 0.5) / width``, so that 0 and 1 are the
            outer edges of the crop. ``corner``: at ``x / width``, the law of published weights.

    Raises:
        UsageError: a setting is unknown or a side is not positive.
    """

    skeleton: Skeleton
    crop_size: tuple[int, int]
    align: Align = "centre"

    def __post_init__(self) -> None:
        size = tuple(int(side) for side in self.crop_size)
        object.__setattr__(self, "crop_size", size)
        if len(size) != 2 or min(size) < 1 or self.align not in get_args(Align):
            raise UsageError(
                f"A regression codec needs a crop of positive width and height and align centre or "
                f"corner; got {self.crop_size} and {self.align!r}."
            )

    def at(self, crop_size: tuple[int, int], sigma: float | None = None) -> RegressionCodec:
        """The same codec for another crop size; there is no target that a ``sigma`` could widen."""
        return replace(self, crop_size=crop_size)

    def to_shares(self, xy: Tensor) -> Tensor:
        """Crop pixels -> shares of the crop, by the ``align`` law; any shape ``(..., 2)``."""
        return (xy + self._offset) / self._size(xy)

    def to_pixels(self, shares: Tensor) -> Tensor:
        """Shares of the crop -> crop pixels, the inverse of :meth:`to_shares`."""
        return shares * self._size(shares) - self._offset

    def encode(self, joints: Tensor, visible: Tensor) -> Target:
        """Say where the joints lie in the crop.

        Args:
            joints: ``(B, K, 2)`` crop pixels; NaN where unknown.
            visible: ``(B, K)`` bool or number, non-zero where the joint may be trained on.

        Returns:
            Shares ``(B, K, 2)`` of the type of ``joints``, 0 where unknown. Weight ``(B, K)`` is 0
            where the joint is invisible or not finite, else 1, outside the crop as well. ``joints``
            as they came in.

        Raises:
            ShapeError: shapes do not fit the skeleton.
        """
        count = len(self.skeleton)
        if joints.ndim != 3 or joints.shape[1:] != (count, 2) or visible.shape != joints.shape[:2]:
            raise ShapeError(
                f"A regression target of {self.skeleton.name!r} needs joints (B, {count}, 2) and "
                f"visible (B, {count}); got {tuple(joints.shape)} and {tuple(visible.shape)}."
            )
        shares = self.to_shares(joints.detach())
        known = (visible != 0) & torch.isfinite(shares).all(-1)
        shares = torch.where(known[..., None], shares, torch.zeros_like(shares))
        return Target(joints, known.float(), shares=shares)

    def decode(self, output: RegressionOutput) -> Poses:
        """Joints and scores of an output.

        Returns:
            Poses of shape ``(B, K)`` in ``crop_px``. The score of a joint is 1 minus the mean of
            its two spreads, held to [0, 1]. A value that is not finite gives NaN and score 0.

        Raises:
            ShapeError: the coordinates do not fit the skeleton.

        Source:
            The joint score of DSTA.
        """
        self._check(output)
        shares, sigma = output.joints.detach().float(), output.sigma.detach().float()
        finite = torch.isfinite(shares).all(-1) & torch.isfinite(sigma).all(-1)
        xy = torch.where(finite[..., None], self.to_pixels(shares), torch.nan)
        score = torch.where(finite, 1 - sigma.mean(-1), 0).clamp(0, 1)
        return Poses(xy.cpu().numpy(), score.cpu().numpy(), self.skeleton, "crop_px")

    def unflip(self, output: RegressionOutput) -> RegressionOutput:
        """Output for mirrored crops -> as for the crops, sides exchanged by joint name.

        Raises:
            ShapeError: the coordinates do not fit the skeleton.
        """
        self._check(output)
        order = torch.as_tensor(self.skeleton.flip_index.copy(), device=output.joints.device)
        x, y = output.joints.index_select(1, order).unbind(-1)
        # Pixel x of the mirrored crop is pixel W - 1 - x of the crop.
        edge = 1.0 if self.align == "centre" else 1.0 - 1.0 / self.crop_size[0]
        joints = torch.stack([edge - x, y], -1)
        return RegressionOutput(joints, output.sigma.index_select(1, order))

    def average_flip(
        self, direct: RegressionOutput, mirrored: RegressionOutput
    ) -> RegressionOutput:
        """Mean coordinates and mean spreads of crops and mirrored crops (flip test).

        Args:
            direct: As the network returns it for the crops.
            mirrored: As it returns it for the mirrored crops; :meth:`unflip` is applied here.

        Raises:
            ShapeError: the coordinates do not fit the skeleton.
        """
        self._check(direct)
        back = self.unflip(mirrored)
        return RegressionOutput(
            (direct.joints.float() + back.joints.float()) / 2,
            (direct.sigma.float() + back.sigma.float()) / 2,
        )

    @property
    def _offset(self) -> float:
        return 0.5 if self.align == "centre" else 0.0

    def _size(self, like: Tensor) -> Tensor:
        return torch.tensor(self.crop_size, dtype=like.dtype, device=like.device)

    def _check(self, output: RegressionOutput) -> None:
        wanted = (len(self.skeleton), 2)
        for values in (output.joints, output.sigma):
            if values.ndim != 3 or values.shape[1:] != wanted:
                raise ShapeError(
                    f"Coordinates and spreads of {self.skeleton.name!r} are (B, {wanted[0]}, 2) "
                    f"each; got {tuple(output.joints.shape)} and {tuple(output.sigma.shape)}."
                )
