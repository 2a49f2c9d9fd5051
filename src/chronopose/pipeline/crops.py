"""Crops: cutting windows out of frames, exactly.

Sampling is bilinear at pixel centres; beyond the picture its edge repeats, as in training. A
window that shrinks the picture by more than two averages whole pixels first, so that thin limbs do
not flicker.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from chronopose.core.crop import CropWindow


def cut(image: Tensor, window: CropWindow) -> Tensor:
    """Cut one window out of a frame.

    Args:
        image: ``(H, W, 3)`` uint8 RGB, on any device.
        window: Image pixels -> crop pixels.

    Returns:
        ``(3, h, w)`` float32 in 0..255, on the image's device.
    """
    width, height = window.out_size
    inverse = window.inverse
    edges = np.array([[x, y] for x in (-0.5, width - 0.5) for y in (-0.5, height - 0.5)])
    corners = window.invert(edges)
    shrink = int(1 / window.scale) if window.scale < 0.5 else 1
    left, right = _span(corners[:, 0], image.shape[1], shrink)
    top, bottom = _span(corners[:, 1], image.shape[0], shrink)
    patch = image[top:bottom, left:right].permute(2, 0, 1)[None].to(torch.float32)
    if shrink > 1:
        patch = F.avg_pool2d(patch, shrink, ceil_mode=True)
    # crop pixel -> patch pixel: a patch pixel is the mean of `shrink` image pixels.
    to_patch = inverse / shrink
    to_patch[:, 2] -= (np.array([left, top]) + (shrink - 1) / 2) / shrink
    theta = _normalised(to_patch, (width, height), (patch.shape[3], patch.shape[2]))
    grid = F.affine_grid(
        torch.from_numpy(theta).to(patch.device, torch.float32)[None], [1, 3, height, width],
        align_corners=False,
    )  # fmt: skip
    return F.grid_sample(patch, grid, padding_mode="border", align_corners=False)[0]


def warp_feature(feature: Tensor, old: CropWindow, new: CropWindow) -> Tensor:
    """What a feature map of the window ``old`` would look like in the window ``new``.

    Args:
        feature: ``(C, h, w)``; its cells are spread evenly over the crop, whatever their stride.
        old: Window it was computed in.
        new: Window it is wanted in, of the same crop size.

    Returns:
        ``(C, h, w)``, bilinear; cells that ``old`` did not see repeat its edge.
    """
    inverse = new.inverse
    linear = old.matrix[:, :2] @ inverse[:, :2]
    shift = old.matrix[:, :2] @ inverse[:, 2] + old.matrix[:, 2]
    relative = np.concatenate([linear, shift[:, None]], axis=1)
    theta = torch.from_numpy(_normalised(relative, new.out_size, old.out_size))
    grid = F.affine_grid(
        theta.to(feature.device, torch.float32)[None], [1, *feature.shape], align_corners=False
    )
    moved = F.grid_sample(
        feature[None].float(), grid, padding_mode="border", align_corners=False
    )  # fmt: skip
    return moved[0].to(feature.dtype)


def _normalised(matrix: np.ndarray, target: tuple[int, int], source: tuple[int, int]) -> np.ndarray:
    """Pixel affine (target -> source) in coordinates that run from -1 to 1 between outer edges."""
    to_pixels = np.array(
        [
            [target[0] / 2, 0, (target[0] - 1) / 2],
            [0, target[1] / 2, (target[1] - 1) / 2],
            [0, 0, 1],
        ]
    )
    pixels = matrix @ to_pixels
    pixels[:, 2] += 0.5
    scaled: np.ndarray = pixels * (2 / np.array(source, np.float64))[:, None]
    scaled[:, 2] -= 1
    return scaled


def _span(values: np.ndarray, limit: int, shrink: int) -> tuple[int, int]:
    """First and one-past-last pixel that a window reads along one axis; at least one pixel."""
    first = int(np.clip(np.floor(values.min()) - shrink, 0, limit - 1))
    last = int(np.clip(np.ceil(values.max()) + shrink + 1, first + 1, limit))
    return first, last
