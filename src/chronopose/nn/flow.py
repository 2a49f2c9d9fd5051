"""Optical flow between two frames: OpenCV's DIS, or torchvision's RAFT with the user's weights.

Content at ``(x, y)`` of the first frame is found at ``(x + u, y + v)`` in the second; pixels, u
right, v down. The flow is never trained here. Nothing is ever downloaded: RAFT's weights come from
a file, or from the place where torchvision keeps those that it has fetched before.

Source    Kroeger, Timofte, Dai, Van Gool, "Fast Optical Flow using Dense Inverse Search", ECCV
          2016 (OpenCV's program, needs the extra ``flow``); Teed, Deng, "RAFT: Recurrent All-Pairs
          Field Transforms for Optical Flow", ECCV 2020 (torchvision's network).

Axes: N pair, H row, W column.
"""

from __future__ import annotations

from contextlib import nullcontext
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from chronopose.errors import ShapeError, UsageError, WeightsError, import_extra
from chronopose.nn.warp import pool_flow
from chronopose.tensors.colours import unnormalise

FlowMethod = Literal["dis", "raft_small", "raft_large"]
METHODS: tuple[FlowMethod, ...] = ("dis", "raft_small", "raft_large")
OWN = "torchvision"
"""In place of a path: the weights that torchvision publishes, where the user has them already."""
SMALLEST = {"dis": 16, "raft_small": 128, "raft_large": 128}
"""Shortest side a method can read, pixels; smaller frames are enlarged first."""


class FlowEstimator(nn.Module):
    """Dense flow between pairs of crops; frozen, always in eval mode, no gradient.

    Args:
        method: ``dis``, or torchvision's RAFT: ``raft_small`` or ``raft_large``.
        weights: Of RAFT. None: random numbers, whose flow means nothing until a state dict is
            loaded; a path of a state dict; ``"torchvision"``: the published ones, if they lie in
            torch's cache. Nothing is downloaded. DIS has none.
        iterations: Update steps of RAFT.

    Raises:
        UsageError: no such method.
        WeightsError: the weights are not there, damaged or of another network.
    """

    def __init__(
        self,
        method: FlowMethod = "dis",
        *,
        weights: str | Path | None = None,
        iterations: int = 12,
    ) -> None:
        super().__init__()
        if method not in METHODS:
            raise UsageError(f"No flow method {method!r}; there are {', '.join(METHODS)}.")
        self.method = method
        self.iterations = iterations
        if method != "dis":
            self.raft = _raft(method)
            if weights is not None:
                self.load(weights)
        self.requires_grad_(False)
        self.eval()

    def load(self, weights: str | Path) -> None:
        """Take over weights of RAFT: a path, or ``"torchvision"``; nothing is downloaded.

        Raises:
            UsageError: DIS has no weights.
            WeightsError: they are not there, damaged or of another network.
        """
        if self.method == "dis":
            raise UsageError("The flow method 'dis' has no weights; use raft_small or raft_large.")
        file = _published_file(self.method) if weights == OWN else Path(weights)
        if not file.is_file():
            raise WeightsError(
                f"No weights of {self.method} at {file}. chronopose downloads nothing by itself: "
                f"let torchvision fetch them once (torchvision.models.optical_flow.{self.method}"
                f"(weights='DEFAULT')), name a file, or use the method 'dis', which needs none."
            )
        try:
            self.raft.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
        except Exception as error:
            raise WeightsError(
                f"{file} does not hold the weights of torchvision's {self.method}: "
                f"{str(error).splitlines()[0]}"
            ) from error

    def train(self, mode: bool = True) -> FlowEstimator:
        """Stays in eval mode whatever the model around it does."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Flow from ``first`` to ``second``.

        Args:
            first: ``(N, 3, H, W)`` ImageNet-normalised RGB.
            second: Same shape.

        Returns:
            ``(N, 2, H, W)`` pixels, of the type of ``first``.

        Raises:
            ShapeError: the frames are not such pairs.
            MissingExtra: DIS without OpenCV.
        """
        if first.shape != second.shape or first.ndim != 4 or first.shape[1] != 3:
            raise ShapeError(
                f"Flow needs two batches (N, 3, H, W) of the same shape; got "
                f"{tuple(first.shape)} and {tuple(second.shape)}."
            )
        if first.is_meta and self.method == "dis":  # shapes alone are asked for
            return first.new_empty(first.shape[0], 2, *first.shape[-2:])
        pair = unnormalise(first.float()), unnormalise(second.float())
        flow = self._dis(*pair) if self.method == "dis" else self._learned(*pair)
        return flow.to(first.dtype)

    def _dis(self, first: Tensor, second: Tensor) -> Tensor:
        frames = [
            f.round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy() for f in (first, second)
        ]
        flows = [_dis_flow(a, b) for a, b in zip(*frames, strict=True)]
        return torch.from_numpy(np.stack(flows)).permute(0, 3, 1, 2).to(first.device)

    def _learned(self, first: Tensor, second: Tensor) -> Tensor:
        height, width = first.shape[-2:]
        size = _readable(height, self.method), _readable(width, self.method)
        pair = [_resize(f, size) / 127.5 - 1 for f in (first, second)]
        # RAFT's grids are single precision whatever the type of the model around it.
        state = {
            k: v.float() if v.is_floating_point() else v for k, v in self.raft.state_dict().items()
        }
        steps = {"num_flow_updates": self.iterations}
        whole = nullcontext() if first.is_meta else torch.autocast(first.device.type, enabled=False)
        with whole:
            flow = functional_call(self.raft, state, tuple(pair), steps)[-1]
        return rescale_flow(flow, (height, width))


class CropFlows(nn.Module):
    """Flow from the key frame of a window of crops to each other frame, on the grid of its maps.

    Args:
        method: See :class:`FlowEstimator`, as for the other arguments.
        weights: Of RAFT.
        iterations: Update steps of RAFT.
        stride: Crop pixels a cell.
    """

    def __init__(
        self,
        method: FlowMethod = "dis",
        *,
        weights: str | Path | None = None,
        iterations: int = 12,
        stride: int = 4,
    ) -> None:
        super().__init__()
        self.estimator = FlowEstimator(method, weights=weights, iterations=iterations)
        self.stride = stride

    def forward(self, images: Tensor, key: int) -> Tensor:
        """Flow of a window.

        Args:
            images: ``(B, T, 3, H, W)`` ImageNet-normalised crops.
            key: Position of the key frame.

        Returns:
            ``(B, T - 1, 2, H / stride, W / stride)`` cells: where the content of a cell of the
            key frame lies in the other frames, in their order.

        Raises:
            ShapeError: the frames are no pictures.
            MissingExtra: DIS without OpenCV.
        """
        count = images.shape[1]
        others = [t for t in range(count) if t != key]
        second = images[:, others]
        first = images[:, key : key + 1].expand_as(second)
        flow = self.estimator(first.flatten(0, 1), second.flatten(0, 1))
        size = images.shape[-2] // self.stride, images.shape[-1] // self.stride
        return pool_flow(flow, size).unflatten(0, (len(images), len(others)))


def estimate_flow(
    first: NDArray[np.uint8],
    second: NDArray[np.uint8],
    method: FlowMethod = "dis",
    *,
    weights: str | Path | None = OWN,
    max_side_px: int | None = None,
    device: str = "cpu",
) -> NDArray[np.float32]:
    """Dense flow between two frames.

    Args:
        first: ``(H, W, 3)`` uint8 RGB.
        second: Same shape.
        method: ``dis`` (OpenCV), ``raft_small`` or ``raft_large`` (torchvision).
        weights: Of RAFT: a path, ``"torchvision"`` (the published ones, which have to lie in
            torch's cache; nothing is downloaded) or None (random numbers: for tests only).
        max_side_px: Work on frames shrunk to this longer side; None: as they are.
        device: Where RAFT runs.

    Returns:
        ``(H, W, 2)`` float32: u and v in pixels of the frames as given.

    Raises:
        ShapeError: the frames are not two uint8 RGB frames of one size.
        MissingExtra: DIS without OpenCV.
        UsageError, WeightsError: as :class:`FlowEstimator`.
    """
    if first.shape != second.shape or first.ndim != 3 or first.shape[-1] != 3:
        raise ShapeError(
            f"Flow needs two RGB frames (H, W, 3) of one size; got {first.shape} and "
            f"{second.shape}."
        )
    if first.dtype != np.uint8 or second.dtype != np.uint8:
        raise ShapeError(f"Flow needs uint8 frames; got {first.dtype} and {second.dtype}.")
    height, width = first.shape[:2]
    shrink = min(1.0, (max_side_px or np.inf) / max(height, width))
    size = (max(1, round(height * shrink)), max(1, round(width * shrink)))
    if method == "dis" and size == (height, width):
        return _dis_flow(first, second)
    estimator = _kept(method, None if method == "dis" else weights, device)
    pair = [_resize(_as_tensor(f, device), size) for f in (first, second)]
    with torch.no_grad():
        flow = (estimator._dis if method == "dis" else estimator._learned)(*pair)
        flow = rescale_flow(flow.float(), (height, width))
    return flow[0].permute(1, 2, 0).cpu().numpy()


def flow_at(flow: NDArray[np.floating], xy: NDArray[np.floating]) -> NDArray[np.float32]:
    """Flow at places between pixels, bilinear; outside the frame that of the nearest border.

    Args:
        flow: ``(H, W, 2)`` pixels.
        xy: ``(..., 2)`` places, pixels; the centre of the top-left pixel is (0, 0).

    Returns:
        ``(..., 2)`` float32; NaN where the place is NaN.
    """
    limit = np.array([flow.shape[1] - 1, flow.shape[0] - 1])
    known = np.isfinite(xy).all(-1)
    place = np.clip(np.where(known[..., None], xy, 0.0), 0, limit)
    low = np.floor(place).astype(int)
    high = np.minimum(low + 1, limit)
    share = (place - low)[..., None, :]
    across_top = _mix(flow[low[..., 1], low[..., 0]], flow[low[..., 1], high[..., 0]], share, 0)
    across_low = _mix(flow[high[..., 1], low[..., 0]], flow[high[..., 1], high[..., 0]], share, 0)
    value = _mix(across_top, across_low, share, 1)
    return np.where(known[..., None], value, np.nan).astype(np.float32)


def rescale_flow(flow: Tensor, size: tuple[int, int]) -> Tensor:
    """A flow ``(N, 2, H, W)`` on frames of another size ``(rows, columns)``, values in its pixels.

    Bilinear; for a grid several times coarser use :func:`chronopose.nn.warp.pool_flow`.
    """
    rows, columns = flow.shape[-2:]
    if (rows, columns) == size:
        return flow
    scale = flow.new_tensor([size[1] / columns, size[0] / rows]).view(1, 2, 1, 1)
    return F.interpolate(flow, size, mode="bilinear", align_corners=False) * scale


def _mix(
    a: NDArray[np.floating], b: NDArray[np.floating], share: NDArray[np.floating], axis: int
) -> NDArray[np.floating]:
    return a + (b - a) * share[..., 0, axis, None]


@lru_cache(maxsize=2)
def _kept(method: FlowMethod, weights: str | Path | None, device: str) -> FlowEstimator:
    return FlowEstimator(method, weights=weights).to(device)


def _as_tensor(frame: NDArray[np.uint8], device: str) -> Tensor:
    return torch.from_numpy(np.array(frame)).to(device).permute(2, 0, 1)[None].float()


def _resize(frames: Tensor, size: tuple[int, int]) -> Tensor:
    if frames.shape[-2:] == size:
        return frames
    return F.interpolate(frames, size, mode="bilinear", align_corners=False, antialias=True)


def _readable(side: int, method: str) -> int:
    """Next side that is a multiple of 8 and long enough."""
    return max(SMALLEST[method], -(-side // 8) * 8)


def _dis_flow(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.float32]:
    cv2 = import_extra("cv2", "opencv-python-headless", "flow", "Optical flow by DIS")
    height, width = first.shape[:2]
    size = tuple(max(SMALLEST["dis"], side) for side in (width, height))
    grey = [cv2.cvtColor(np.ascontiguousarray(f), cv2.COLOR_RGB2GRAY) for f in (first, second)]
    if size != (width, height):
        grey = [cv2.resize(g, size, interpolation=cv2.INTER_LINEAR) for g in grey]
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(*grey, None)
    if size != (width, height):
        flow = cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR)
        flow = flow * np.array([width / size[0], height / size[1]], np.float32)
    return np.ascontiguousarray(flow, np.float32)


def _raft(method: FlowMethod) -> nn.Module:
    # torchvision takes seconds to import.
    from torchvision.models import optical_flow as published

    net: nn.Module = getattr(published, method)(weights=None, progress=False)
    return net


def _published_file(method: FlowMethod) -> Path:
    from torchvision.models import optical_flow as published

    kind = "Raft_Large_Weights" if method == "raft_large" else "Raft_Small_Weights"
    name = getattr(published, kind).DEFAULT.url.rsplit("/", 1)[-1]
    return Path(torch.hub.get_dir()) / "checkpoints" / name
