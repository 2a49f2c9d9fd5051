"""HeatmapCodec: joints in crop pixels -> Gaussian heatmaps, and heatmaps -> joints with scores.

One class owns both directions, the law that relates cells and crop pixels, what one unit of a map
means and the mirror test, so that a network, its loss and its decoder cannot disagree.

Axes: B clip, K joint, h row, w column of the map; N = B * K maps, R radius of a window in cells.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, Protocol, get_args, overload

import torch
import torch.nn.functional as F
from torch import Tensor

from chronopose.core.poses import Poses
from chronopose.core.skeleton import Skeleton
from chronopose.errors import ShapeError, UsageError
from chronopose.tensors.batch import Target
from chronopose.tensors.outputs import HeatmapOutput

Activation = Literal["gaussian", "softmax"]
Decoder = Literal["quarter", "dark", "expectation"]
Align = Literal["centre", "corner"]

ROUND_TRIP_CELLS: dict[str, float] = {"quarter": 0.25, "dark": 0.01, "expectation": 0.025}
"""Decoder -> largest error of ``decode(encode(x))`` along each axis, in cells.

Holds for both ``align`` laws, both activations, sigma from 1 to 3, ``rounded=False`` and joints
at least 3 sigma inside the map. ``rounded=True`` costs 0.5 by itself.
"""
BORDER_CELLS: dict[str, float] = {"quarter": 0.5, "dark": 1.0, "expectation": 0.5}
"""The same for joints nearer the border, up to half a cell outside the outermost cells' centres.

DARK's blur sees zeros outside the map and drags a peak inwards there, as published.
"""


class Mapped(Protocol):
    """Any output with heatmaps."""

    @property
    def heatmaps(self) -> Tensor:
        """``(B, K, h, w)``."""
        ...


_TRUNCATE = 3.0
_SHIFTS = 4


@dataclass(frozen=True)
class HeatmapCodec:
    """Heatmaps of one skeleton at one resolution.

    Args:
        skeleton: Names of the K joints, in the order of the maps.
        crop_size: Crop width and height, pixels; multiples of ``stride``.
        stride: Crop pixels a cell.
        sigma: Spread of the target, cells. Published systems use 3 for crops of 288x384 and 2
            for 192x256.
        activation: What a network's map means: ``gaussian`` is the target itself (trained with a
            squared error), ``softmax`` are the logits of a distribution over cells.
        decoder: How a position is read off a map; see :meth:`decode`.
        align: ``centre``: the centre of cell c lies at ``(c + 0.5) * stride - 0.5`` crop pixels.
            ``corner``: at ``c * stride``, the law behind most published weights.
        rounded: Put the Gaussian on the centre of the nearest cell, ``int(cell + 0.5)``, as the
            published systems do, instead of on the joint.

    Raises:
        UsageError: a setting is unknown, or the crop is not a whole number of cells.
    """

    skeleton: Skeleton
    crop_size: tuple[int, int]
    stride: int = 4
    sigma: float = 2.0
    activation: Activation = "gaussian"
    decoder: Decoder = "quarter"
    align: Align = "centre"
    rounded: bool = False

    def __post_init__(self) -> None:
        for field, allowed in (("activation", Activation), ("decoder", Decoder), ("align", Align)):
            if getattr(self, field) not in get_args(allowed):
                raise UsageError(
                    f"{field} of a heatmap codec must be one of {', '.join(get_args(allowed))}; "
                    f"got {getattr(self, field)!r}."
                )
        size = tuple(int(side) for side in self.crop_size)
        object.__setattr__(self, "crop_size", size)
        if len(size) != 2 or self.stride < 1 or any(s < 1 or s % self.stride for s in size):
            raise UsageError(
                f"A crop of {self.crop_size} pixels cannot be cut into cells of {self.stride}: "
                f"width and height must be positive multiples of the stride."
            )
        if not (self.sigma > 0 and math.isfinite(self.sigma)):
            raise UsageError(f"sigma must be a positive number of cells; got {self.sigma}.")

    @property
    def map_size(self) -> tuple[int, int]:
        """Width and height of a map, cells."""
        return self.crop_size[0] // self.stride, self.crop_size[1] // self.stride

    @property
    def window_radius(self) -> int:
        """Radius R of the square decoding window, cells: about two sigma, at least 2."""
        return max(2, round(2 * self.sigma))

    def at(self, crop_size: tuple[int, int], sigma: float | None = None) -> HeatmapCodec:
        """The same codec for another crop size and, unless None, another spread of the target."""
        return replace(self, crop_size=crop_size, sigma=sigma or self.sigma)

    def to_cells(self, xy: Tensor) -> Tensor:
        """Crop pixels -> cells, by the ``align`` law; any shape."""
        if self.align == "centre":
            return (xy + 0.5) / self.stride - 0.5
        return xy / self.stride

    def to_pixels(self, cells: Tensor) -> Tensor:
        """Cells -> crop pixels, the inverse of :meth:`to_cells`."""
        if self.align == "centre":
            return (cells + 0.5) * self.stride - 0.5
        return cells * self.stride

    def encode(self, joints: Tensor, visible: Tensor) -> Target:
        """Draw the target maps.

        Args:
            joints: ``(B, K, 2)`` crop pixels; NaN where unknown.
            visible: ``(B, K)`` bool or number, non-zero where the joint may be trained on.

        Returns:
            Maps ``(B, K, h, w)`` float32 with a Gaussian of peak 1 at the joint (a sampled cell
            reaches 1 only where the joint meets a cell's centre), zero beyond 3 sigma along
            either axis. Weight ``(B, K)`` is 0, and the map empty, where the joint is invisible
            or not finite or where no cell lies within 3 sigma of it. ``joints`` as they came in.

        Raises:
            ShapeError: shapes do not fit the skeleton.

        Source:
            The target of SimpleBaseline, HRNet and the DCPose family. They keep a weight of 1
            for a window that ends exactly one cell before the map; here it is 0.
        """
        count = len(self.skeleton)
        if joints.ndim != 3 or joints.shape[1:] != (count, 2) or visible.shape != joints.shape[:2]:
            raise ShapeError(
                f"A heatmap target of {self.skeleton.name!r} needs joints (B, {count}, 2) and "
                f"visible (B, {count}); got {tuple(joints.shape)} and {tuple(visible.shape)}."
            )
        centre = self.to_cells(joints.detach().float())
        known = (visible != 0) & torch.isfinite(centre).all(-1)
        centre = torch.where(known[..., None], centre, torch.zeros_like(centre))
        if self.rounded:
            centre = torch.trunc(centre + 0.5)
        width, height = self.map_size
        across = self._gaussian(centre[..., 0], width)
        down = self._gaussian(centre[..., 1], height)
        inside = (across > 0).any(-1) & (down > 0).any(-1)
        weight = (known & inside).float()
        maps = (down * weight[..., None])[..., :, None] * across[..., None, :]
        return Target(joints, weight, maps)

    def decode(self, heatmaps: Tensor | Mapped) -> Poses:
        """Read joints and scores off the maps.

        ``quarter``
            Arg max, moved a quarter of a cell towards the higher neighbour along each axis if
            ``1 < x < w - 1`` and ``1 < y < h - 1``.
        ``dark``
            Second-order Taylor expansion of the logarithm of the blurred map at its arg max.
        ``expectation``
            Mean position in a Gaussian-weighted window of radius ``window_radius`` that follows
            its own mean; for ``softmax`` it starts at the highest of the 3x3 cells
            around the peak of the box-filtered probability, otherwise at the arg max.

        Args:
            heatmaps: ``(B, K, h, w)`` as the network returns them, any float type and device; or
                its whole output.

        Returns:
            Poses of shape ``(B, K)`` in ``crop_px``. The score lies in [0, 1]: the peak for
            ``gaussian``; for ``softmax`` the probability in the window of radius
            ``window_radius`` around the peak, divided by what the ideal target (a Gaussian in
            the middle of the window) has there, at most 1. A map with a value that is not finite
            gives NaN and score 0; a map without a positive value gives score 0.

        Raises:
            ShapeError: the maps do not fit the skeleton and the crop.

        Source:
            Quarter shift: SimpleBaseline, HRNet. DARK: Zhang et al., "Distribution-Aware
            Coordinate Representation for Human Pose Estimation", CVPR 2020. Expectation: mean
            shift with a window as wide as the target, over-relaxed (:func:`_follow_mean`).
            :data:`ROUND_TRIP_CELLS` states the errors.
        """
        heatmaps = maps_of(heatmaps)
        self._check(heatmaps)
        with torch.no_grad(), torch.autocast(heatmaps.device.type, enabled=False):
            maps = self.probability(heatmaps.detach().float())
            finite = torch.isfinite(maps).all(-1).all(-1)
            maps = torch.where(finite[..., None, None], maps, torch.ones_like(maps)).flatten(0, 1)
            peak = self._peak(maps)
            if self.decoder == "quarter":
                cells = peak + _quarter_shift(maps, peak)
            elif self.decoder == "dark":
                cells = peak + _taylor_shift(_blur(maps, self.sigma), peak)
            else:
                window = _window(maps, peak, self.window_radius)
                cells = peak + _follow_mean(window, self._room(peak), self.sigma)
            xy = self.to_pixels(cells).unflatten(0, heatmaps.shape[:2])
            score = self._score(maps, peak).unflatten(0, heatmaps.shape[:2])
            xy = torch.where(finite[..., None], xy, torch.full_like(xy, torch.nan))
            score = torch.where(finite, score, torch.zeros_like(score))
        return Poses(xy.cpu().numpy(), score.cpu().numpy(), self.skeleton, "crop_px")

    def probability(self, heatmaps: Tensor) -> Tensor:
        """Normalise ``(B, K, h, w)`` maps by the activation: identity, or softmax over cells."""
        if self.activation == "gaussian":
            return heatmaps
        return heatmaps.flatten(-2).softmax(-1).view_as(heatmaps)

    @overload
    def unflip(self, heatmaps: Tensor, *, shift: bool | None = None) -> Tensor: ...

    @overload
    def unflip(self, heatmaps: Mapped, *, shift: bool | None = None) -> HeatmapOutput: ...

    def unflip(
        self, heatmaps: Tensor | Mapped, *, shift: bool | None = None
    ) -> Tensor | HeatmapOutput:
        """Maps of a mirrored crop -> maps of the crop itself, sides exchanged by joint name.

        Args:
            heatmaps: ``(B, K, h, w)`` of the crop mirrored left to right; or the network's whole
                output, which gives an output.
            shift: Move the result one cell to the right, keeping the first column, as HRNet's
                flip test does. None means: for ``align="corner"``, where the mirrored map would
                otherwise lie ``1 - 1/stride`` cells too far left. With ``align="centre"`` a
                mirrored map needs no shift.

        Raises:
            ShapeError: the maps do not fit the skeleton and the crop.
        """
        if not isinstance(heatmaps, Tensor):
            return HeatmapOutput(self.unflip(heatmaps.heatmaps, shift=shift))
        self._check(heatmaps)
        order = torch.as_tensor(self.skeleton.flip_index.copy(), device=heatmaps.device)
        back = heatmaps.flip(-1).index_select(1, order)
        if self.align == "corner" if shift is None else shift:
            back = torch.cat([back[..., :1], back[..., :-1]], dim=-1)
        return back

    @overload
    def average_flip(
        self, direct: Tensor, mirrored: Tensor, *, shift: bool | None = None
    ) -> Tensor: ...

    @overload
    def average_flip(
        self, direct: Mapped, mirrored: Mapped, *, shift: bool | None = None
    ) -> HeatmapOutput: ...

    def average_flip(
        self, direct: Tensor | Mapped, mirrored: Tensor | Mapped, *, shift: bool | None = None
    ) -> Tensor | HeatmapOutput:
        """Join the maps of a crop with the maps of the mirrored crop (flip test).

        Args:
            direct: ``(B, K, h, w)`` maps of the crop, as the network returns them; or its output,
                which gives an output.
            mirrored: ``(B, K, h, w)`` maps of the mirrored crop, as the network returns them;
                :meth:`unflip` is applied here.
            shift: As for :meth:`unflip`.

        Returns:
            Maps whose :meth:`probability` is the mean of both probabilities, so :meth:`decode`
            reads them like any other: the mean itself for ``gaussian``, its logarithm for
            ``softmax``.
        """
        if not isinstance(direct, Tensor):
            maps = self.average_flip(direct.heatmaps, maps_of(mirrored), shift=shift)
            return HeatmapOutput(maps)
        mirrored = maps_of(mirrored)
        self._check(direct)
        back = self.unflip(mirrored, shift=shift)
        mean = (self.probability(direct.float()) + self.probability(back.float())) / 2
        return mean if self.activation == "gaussian" else mean.log()

    def _check(self, heatmaps: Tensor) -> None:
        width, height = self.map_size
        wanted = (len(self.skeleton), height, width)
        if heatmaps.ndim != 4 or heatmaps.shape[1:] != wanted:
            raise ShapeError(
                f"Heatmaps of {self.skeleton.name!r} for crops of {self.crop_size} at stride "
                f"{self.stride} are (B, {', '.join(map(str, wanted))}); got "
                f"{tuple(heatmaps.shape)}."
            )

    def _gaussian(self, centre: Tensor, cells: int) -> Tensor:
        """``(...)`` centres -> ``(..., cells)`` truncated Gaussian of peak 1 along one axis."""
        grid = torch.arange(cells, device=centre.device, dtype=centre.dtype)
        distance = grid - centre[..., None]
        values = torch.exp(-(distance**2) / (2 * self.sigma**2))
        return torch.where(distance.abs() <= _TRUNCATE * self.sigma, values, values * 0)

    def _peak(self, maps: Tensor) -> Tensor:
        """``(N, h, w)`` -> ``(N, 2)`` cell x y (long) where decoding starts."""
        if self.decoder != "expectation" or self.activation != "softmax":
            return _arg_max(maps)
        edged = F.pad(maps[:, None], (1, 1, 1, 1), mode="replicate")
        rough = _arg_max(F.avg_pool2d(edged, 3, stride=1)[:, 0])
        return rough + _arg_max(_window(maps, rough, 1)) - 1

    def _room(self, peak: Tensor) -> Tensor:
        """``(N, 2)`` cells between the peak and the nearer border, along x and y."""
        last = torch.tensor(self.map_size, device=peak.device) - 1
        return torch.minimum(peak, last - peak)

    def _score(self, maps: Tensor, peak: Tensor) -> Tensor:
        """``(N,)`` score in [0, 1]; see :meth:`decode`."""
        if self.activation == "gaussian":
            return maps.flatten(1).amax(-1).clamp(0, 1)
        radius = self.window_radius
        reach = torch.arange(math.floor(_TRUNCATE * self.sigma) + 1, device=maps.device)
        side = torch.exp(-(reach.float() ** 2) / (2 * self.sigma**2))
        ideal = ((2 * side[: radius + 1].sum() - 1) / (2 * side.sum() - 1)) ** 2
        mass = _window(maps, peak, radius).flatten(1).sum(-1)
        return (mass / ideal).clamp(0, 1)


def maps_of(output: Tensor | Mapped) -> Tensor:
    """The heatmaps of an output; maps are given back as they are."""
    return output if isinstance(output, Tensor) else output.heatmaps


def _arg_max(maps: Tensor) -> Tensor:
    """``(N, h, w)`` -> ``(N, 2)`` x y (long) of the highest cell."""
    best = maps.flatten(1).argmax(-1)
    return torch.stack([best % maps.shape[-1], best // maps.shape[-1]], dim=-1)


def _window(maps: Tensor, peak: Tensor, radius: int) -> Tensor:
    """``(N, h, w)`` -> ``(N, 2R+1, 2R+1)`` cells around each peak, zero outside the map."""
    padded = F.pad(maps, [radius] * 4)
    step = torch.arange(2 * radius + 1, device=maps.device)
    rows = (peak[:, 1, None] + step)[:, :, None]
    columns = (peak[:, 0, None] + step)[:, None, :]
    which = torch.arange(len(maps), device=maps.device)[:, None, None]
    return padded[which, rows, columns]


def _quarter_shift(maps: Tensor, peak: Tensor) -> Tensor:
    """``(N, 2)`` 0.25 times the sign of the neighbour difference, 0 at the border."""
    around = _window(maps, peak, 1)
    slope = torch.stack(
        [around[:, 1, 2] - around[:, 1, 0], around[:, 2, 1] - around[:, 0, 1]], dim=-1
    )
    size = torch.tensor(maps.shape[:0:-1], device=maps.device)
    inner = ((peak > 1) & (peak < size - 1)).all(-1, keepdim=True)
    return torch.where(inner, 0.25 * slope.sign(), torch.zeros_like(slope))


def _blur(maps: Tensor, sigma: float) -> Tensor:
    """DARK's modulation: Gaussian blur with zeros outside, rescaled to the peak it had.

    The kernel has the published size, 11 cells for sigma 2 and 17 for sigma 3, and the spread
    that goes with the size, ``0.3 * ((size - 1) / 2 - 1) + 0.8``.
    """
    radius = max(1, round((sigma - 0.8) / 0.3 + 1))
    spread = 0.3 * (radius - 1) + 0.8
    step = torch.arange(-radius, radius + 1, device=maps.device, dtype=maps.dtype)
    kernel = torch.exp(-(step**2) / (2 * spread**2))
    kernel = kernel / kernel.sum()
    blurred = F.conv2d(maps[:, None], kernel.view(1, 1, 1, -1), padding=(0, radius))
    blurred = F.conv2d(blurred, kernel.view(1, 1, -1, 1), padding=(radius, 0))[:, 0]
    tiny = torch.finfo(maps.dtype).tiny
    high = blurred.flatten(1).amax(-1).clamp_min(tiny)
    return blurred / high[:, None, None]


def _taylor_shift(blurred: Tensor, peak: Tensor) -> Tensor:
    """``(N, 2)`` Newton step ``-H^-1 g`` on the log map, with the published differences.

    0 where the published rule ``1 < x < w - 2``, ``1 < y < h - 2`` does not hold, where the
    Hessian is singular, and where the step leaves the stencil (over 2 cells), which published
    code does not guard against. The peak of ``blurred`` is 1, so the floor of the logarithm is
    relative to it.
    """
    v = _window(blurred, peak, 2).clamp_min(1e-10).log()
    dx = 0.5 * (v[:, 2, 3] - v[:, 2, 1])
    dy = 0.5 * (v[:, 3, 2] - v[:, 1, 2])
    dxx = 0.25 * (v[:, 2, 4] - 2 * v[:, 2, 2] + v[:, 2, 0])
    dyy = 0.25 * (v[:, 4, 2] - 2 * v[:, 2, 2] + v[:, 0, 2])
    dxy = 0.25 * (v[:, 3, 3] - v[:, 1, 3] - v[:, 3, 1] + v[:, 1, 1])
    det = dxx * dyy - dxy**2
    step = torch.stack([dxy * dy - dyy * dx, dxy * dx - dxx * dy], dim=-1) / det[:, None]
    size = torch.tensor(blurred.shape[:0:-1], device=blurred.device)
    usable = ((peak > 1) & (peak < size - 2)).all(-1) & (det != 0) & (step.abs() <= 2).all(-1)
    return torch.where(usable[:, None], step, torch.zeros_like(step))


def _follow_mean(window: Tensor, room: Tensor, sigma: float) -> Tensor:
    """``(N, 2)`` shift from the window's middle to the mean of the peak inside it.

    Mean shift: the mean under a Gaussian weight of spread ``sigma`` is taken, the weight moves
    there, and again. A plain mean is pulled to the middle of its window; the fixed point of this
    one is the centre of any symmetric peak, narrow or broad. The mean of the weighted peak
    follows the weight at the rate ``variance / sigma^2``, so each step is Newton's; the rate is
    held below 3/4, where a map is nearly flat. Cells without a partner on the other side of the
    middle (at the border of the map, ``room`` cells away) are left out, and the shift ends
    within the window.

    Args:
        window: ``(N, 2R+1, 2R+1)`` non-negative where it counts.
        room: ``(N, 2)`` cells from the middle to the nearer border of the map, x and y.
        sigma: Spread of the weight, cells.
    """
    radius = window.shape[-1] // 2
    step = torch.arange(-radius, radius + 1, device=window.device, dtype=window.dtype)
    paired = step.abs() <= room[..., None]
    mass = window.clamp_min(0)
    shift = torch.zeros(room.shape, device=window.device, dtype=window.dtype)
    for _ in range(_SHIFTS):
        weight = torch.exp(-((step - shift[..., None]) ** 2) / (2 * sigma**2)) * paired
        local = mass * weight[:, 1, :, None] * weight[:, 0, None, :]
        total = local.sum((1, 2)).clamp_min(torch.finfo(window.dtype).tiny)[:, None]
        along = torch.stack([local.sum(1), local.sum(2)], dim=1)  # N 2 2R+1, x then y
        mean = (along * step).sum(-1) / total
        rate = ((along * step**2).sum(-1) / total - mean**2) / sigma**2
        moved = shift + (mean - shift) / (1 - rate.clamp(0, 0.75))
        shift = moved.clamp(-radius, radius)
    return shift
