"""CompositeCodec: joints -> sparse maps of where they roughly are, with offsets to the exact place.

A coarse grid says near which cells a joint lies, and two further maps say, for each of these
cells, how far right and down of it: a short distance, so small numbers.

Axes: B clip, K joint, h row, w column of the maps; the offsets' axis of 2 is x before y.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from torch import Tensor

from chronopose.codecs.heatmap import HeatmapCodec
from chronopose.core.poses import Poses
from chronopose.core.skeleton import Skeleton
from chronopose.errors import ShapeError, UsageError
from chronopose.tensors.batch import Target
from chronopose.tensors.outputs import CompositeOutput

Align = Literal["centre", "corner"]
Decoder = Literal["cell", "vote", "quarter"]

ROUND_TRIP_PX: dict[str, float] = {"cell": 1e-3, "vote": 1e-3}
"""Decoder -> largest error of ``decode(encode(x))`` along each axis, crop pixels, for joints that
have a cell within the radius: rounding alone."""


@dataclass(frozen=True)
class CompositeCodec:
    """Sparse maps and offsets of one skeleton at one resolution.

    Args:
        skeleton: Names of the K joints, in the order of the maps.
        crop_size: Crop width and height, pixels; multiples of ``stride``.
        stride: Crop pixels a cell.
        radius: Cells within which a joint makes a cell positive; 1.5 marks the 3x3 cells around
            a joint that lies on a cell's centre. At least 0.75, or some joints have no cell.
        decoder: ``cell``: the likeliest cell and its offset. ``vote``: mean over the likeliest
            ``vote_cells``, weighed by their probabilities. ``quarter``: the likeliest cell moved
            by a quarter of a cell to the higher neighbour; asks no offsets (ablation).
        align: ``centre``: the centre of cell c lies at ``(c + 0.5) * stride - 0.5`` crop pixels.
            ``corner``: at ``c * stride``.
        vote_cells: Cells that vote.

    Raises:
        UsageError: a setting is unknown, or the crop is not a whole number of cells.

    Source:
        The idea is CLNet's; the definitions are ours, for its abstract is all that could be read.
    """

    skeleton: Skeleton
    crop_size: tuple[int, int]
    stride: int = 16
    radius: float = 1.5
    decoder: Decoder = "cell"
    align: Align = "centre"
    vote_cells: int = 9

    def __post_init__(self) -> None:
        for field, allowed in (("decoder", Decoder), ("align", Align)):
            if getattr(self, field) not in get_args(allowed):
                raise UsageError(
                    f"{field} of a composite codec must be one of {', '.join(get_args(allowed))}; "
                    f"got {getattr(self, field)!r}."
                )
        size = tuple(int(side) for side in self.crop_size)
        object.__setattr__(self, "crop_size", size)
        if len(size) != 2 or self.stride < 1 or any(s < 1 or s % self.stride for s in size):
            raise UsageError(
                f"A crop of {self.crop_size} pixels cannot be cut into cells of {self.stride}: "
                f"width and height must be positive multiples of the stride."
            )
        if not 0.75 <= self.radius < math.inf or self.vote_cells < 1:
            raise UsageError(
                f"A composite codec needs a radius of at least 0.75 cells, or joints between four "
                f"cells have none, and at least one voting cell; got {self.radius} and "
                f"{self.vote_cells}."
            )

    @property
    def map_size(self) -> tuple[int, int]:
        """Width and height of a map, cells."""
        return self.crop_size[0] // self.stride, self.crop_size[1] // self.stride

    @property
    def reach_px(self) -> float:
        """Crop pixels that an offset of 1 stands for: radius times stride."""
        return self.radius * self.stride

    def at(self, crop_size: tuple[int, int], sigma: float | None = None) -> CompositeCodec:
        """The same codec for another crop size; there is no target that a ``sigma`` could widen."""
        return replace(self, crop_size=crop_size)

    def centres(self, like: Tensor) -> Tensor:
        """``(2, h, w)`` crop pixels x y of the cells' centres, float, on the device of ``like``."""
        kind = like.dtype if like.dtype == torch.float64 else torch.float32
        width, height = self.map_size
        x = torch.arange(width, device=like.device, dtype=kind)
        y = torch.arange(height, device=like.device, dtype=kind)
        grid = torch.stack([x[None].expand(height, -1), y[:, None].expand(-1, width)])
        return (grid + 0.5) * self.stride - 0.5 if self.align == "centre" else grid * self.stride

    def encode(self, joints: Tensor, visible: Tensor) -> Target:
        """Mark the cells near each joint.

        Args:
            joints: ``(B, K, 2)`` crop pixels; NaN where unknown.
            visible: ``(B, K)`` bool or number, non-zero where the joint may be trained on.

        Returns:
            Maps ``(B, K, h, w)`` of 1 where the cell's centre is no further than ``radius`` cells
            from the joint, else 0. Weight ``(B, K)`` is 0, and the map empty, where the joint is
            invisible or not finite or has no such cell. ``joints`` as they came in;
            :meth:`offsets` tells the rest.

        Raises:
            ShapeError: shapes do not fit the skeleton.
        """
        count = len(self.skeleton)
        if joints.ndim != 3 or joints.shape[1:] != (count, 2) or visible.shape != joints.shape[:2]:
            raise ShapeError(
                f"A composite target of {self.skeleton.name!r} needs joints (B, {count}, 2) and "
                f"visible (B, {count}); got {tuple(joints.shape)} and {tuple(visible.shape)}."
            )
        near = self.offsets(joints).square().sum(2) <= 1
        known = (visible != 0) & torch.isfinite(joints).all(-1) & near.any(-1).any(-1)
        return Target(joints, known.float(), (near & known[..., None, None]).float())

    def offsets(self, joints: Tensor) -> Tensor:
        """What the offset maps should say: ``(joint - centre) / reach_px``.

        Args:
            joints: ``(B, K, 2)`` crop pixels.

        Returns:
            ``(B, K, 2, h, w)``, in [-1, 1] at positive cells; 0 where the joint is not finite.
        """
        centres = self.centres(joints)
        place = joints.detach().to(centres.dtype)
        away = (place[..., None, None] - centres) / self.reach_px
        finite = torch.isfinite(place).all(-1)[..., None, None, None]
        return torch.where(finite, away, torch.zeros_like(away))

    def probability(self, heatmaps: Tensor) -> Tensor:
        """``(B, K, h, w)`` logits -> how likely each cell is near its joint."""
        return heatmaps.sigmoid()

    def decode(self, output: CompositeOutput) -> Poses:
        """Read joints and scores off an output.

        Args:
            output: As the network returns it, any float type and device.

        Returns:
            Poses of shape ``(B, K)`` in ``crop_px``. The score is the probability of the
            likeliest cell. A joint with a value that is not finite gives NaN and score 0.

        Raises:
            ShapeError: the maps do not fit the skeleton and the crop.
        """
        self._check(output)
        with torch.no_grad(), torch.autocast(output.heatmaps.device.type, enabled=False):
            maps = self.probability(output.heatmaps.detach().float()).flatten(2)
            offsets = output.offsets.detach().float().flatten(3)
            finite = torch.isfinite(maps).all(-1) & torch.isfinite(offsets).all(-1).all(-1)
            maps = torch.where(finite[..., None], maps, torch.zeros_like(maps))
            if self.decoder == "quarter":
                xy = self._quarter(maps.unflatten(2, self.map_size[::-1]))
            else:
                xy = self._exact(maps, offsets)
            xy = torch.where(finite[..., None], xy, torch.full_like(xy, torch.nan))
            score = torch.where(finite, maps.amax(-1), 0)
        return Poses(xy.cpu().numpy(), score.cpu().numpy(), self.skeleton, "crop_px")

    def unflip(self, output: CompositeOutput) -> CompositeOutput:
        """Output for mirrored crops -> as for the crops, sides exchanged by joint name.

        Offsets along x change their sign. With ``align="corner"`` a mirrored cell does not fall
        on a cell; what is missing goes into the offset.

        Raises:
            ShapeError: the maps do not fit the skeleton and the crop.
        """
        self._check(output)
        order = torch.as_tensor(self.skeleton.flip_index.copy(), device=output.heatmaps.device)
        heatmaps = output.heatmaps.flip(-1).index_select(1, order)
        x, y = output.offsets.flip(-1).index_select(1, order).unbind(2)
        short = 0.0 if self.align == "centre" else (self.stride - 1) / self.reach_px
        return CompositeOutput(heatmaps, torch.stack([short - x, y], dim=2))

    def average_flip(self, direct: CompositeOutput, mirrored: CompositeOutput) -> CompositeOutput:
        """Mean probabilities and mean offsets of crops and mirrored crops (flip test).

        Args:
            direct: As the network returns it for the crops.
            mirrored: As it returns it for the mirrored crops; :meth:`unflip` is applied here.

        Raises:
            ShapeError: the maps do not fit the skeleton and the crop.
        """
        self._check(direct)
        back = self.unflip(mirrored)
        both = direct.heatmaps.float(), back.heatmaps.float()
        mean = (self.probability(both[0]) + self.probability(both[1])) / 2
        offsets = (direct.offsets.float() + back.offsets.float()) / 2
        return CompositeOutput(torch.logit(mean, eps=1e-6), offsets)

    def _exact(self, maps: Tensor, offsets: Tensor) -> Tensor:
        """``(B, K, h*w)`` probabilities and ``(B, K, 2, h*w)`` offsets -> ``(B, K, 2)`` pixels."""
        places = self.centres(offsets).flatten(1) + offsets * self.reach_px
        count = min(self.vote_cells, maps.shape[-1]) if self.decoder == "vote" else 1
        weight, cells = maps.topk(count, dim=-1)
        chosen = places.gather(3, cells[:, :, None].expand(-1, -1, 2, -1))
        weight = weight / weight.sum(-1, keepdim=True).clamp_min(1e-12)
        # The whole distance would lose digits: few pixels about the first cell are averaged.
        first = chosen[..., :1]
        return ((chosen - first) * weight[:, :, None]).sum(-1) + first[..., 0]

    def _quarter(self, maps: Tensor) -> Tensor:
        plain = HeatmapCodec(
            self.skeleton, self.crop_size, stride=self.stride, decoder="quarter", align=self.align
        )
        return torch.from_numpy(plain.decode(maps).xy).to(maps.device)

    def _check(self, output: CompositeOutput) -> None:
        width, height = self.map_size
        count = len(self.skeleton)
        heat, away = output.heatmaps, output.offsets
        wanted = (count, height, width), (count, 2, height, width)
        if heat.ndim != 4 or away.ndim != 5 or (heat.shape[1:], away.shape[1:]) != wanted:
            raise ShapeError(
                f"Composite maps of {self.skeleton.name!r} for crops of {self.crop_size} at stride "
                f"{self.stride} are (B, {', '.join(map(str, wanted[0]))}) and "
                f"(B, {', '.join(map(str, wanted[1]))}); got {tuple(heat.shape)} and "
                f"{tuple(away.shape)}."
            )
