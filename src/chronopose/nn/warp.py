"""Move the content of maps along a flow.

A flow ``(u, v)`` says where the content of a place is found in another frame: what lies at
``(x, y)`` in the first lies at ``(x + u, y + v)`` in the second. Reading a map of the second frame
there brings it to the first one (backward warping).

Axes: N picture, C channel, H W pixels, h w cells; u right, v down.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from chronopose.errors import ShapeError

Padding = Literal["zeros", "border"]


def warp_by_flow(x: Tensor, flow: Tensor, *, padding: Padding = "zeros") -> Tensor:
    """Read maps at places moved by a flow, bilinearly: ``out(p) = x(p + flow(p))``.

    The centre of the top-left cell is (0, 0), so a flow of (1, 0) moves content left by one cell.

    Args:
        x: ``(N, C, h, w)`` maps of the second frame.
        flow: ``(N, 2, h, w)`` cells, u then v, from the first frame to the second.
        padding: What lies outside: nothing, or the nearest cell of the border.

    Returns:
        ``(N, C, h, w)`` in the first frame's places, of the type of ``x``.

    Raises:
        ShapeError: maps and flow do not fit together.
    """
    n, _, height, width = x.shape
    if flow.shape != (n, 2, height, width):
        raise ShapeError(
            f"Maps {tuple(x.shape)} need a flow of shape {(n, 2, height, width)} in cells; got "
            f"{tuple(flow.shape)}. Bring a flow in pixels to the maps' grid with pool_flow."
        )
    # Half precision cannot hold a position on the map; it would sample half a pixel off.
    exact = torch.float64 if torch.float64 in (x.dtype, flow.dtype) else torch.float32
    rows = torch.arange(height, device=x.device, dtype=exact).view(1, height, 1)
    columns = torch.arange(width, device=x.device, dtype=exact).view(1, 1, width)
    u, v = flow.to(exact).unbind(1)
    grid = torch.stack(
        [(2 * (columns + u) + 1) / width - 1, (2 * (rows + v) + 1) / height - 1], dim=-1
    )
    moved = F.grid_sample(
        x.to(exact), grid, mode="bilinear", padding_mode=padding, align_corners=False
    )
    return moved.to(x.dtype)


def pool_flow(flow: Tensor, size: tuple[int, int]) -> Tensor:
    """A flow in pixels on the grid of a map: averaged over each cell, values in cells.

    Args:
        flow: ``(N, 2, H, W)`` pixels.
        size: Rows and columns ``(h, w)`` of the map.

    Returns:
        ``(N, 2, h, w)``; at stride 4 each value is the mean of 16 pixels, divided by 4.
    """
    rows, columns = size
    scale = flow.new_tensor([columns / flow.shape[-1], rows / flow.shape[-2]])
    return F.adaptive_avg_pool2d(flow, size) * scale.view(1, 2, 1, 1)
