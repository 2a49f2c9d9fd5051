"""Maps of several strides of whole frames as one row of tokens, and what of it is padding.

Padding lies on the right and below. Positions are shares of the part that is no padding; times
``ratios`` they are shares of the whole map, which is what attention samples.

Axes: ``...`` frames (one axis or more), S token of all levels, L level, C channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Size = tuple[int, int]


@dataclass(frozen=True)
class FrameTokens:
    """Tokens of frames, finest level first, each level row by row."""

    tokens: Tensor
    """float ... S C."""
    cells: Tensor
    """float ... L 2, width and height of each map without padding, cells."""
    sizes: tuple[Size, ...]
    """Height and width of each map, cells."""

    @classmethod
    def of_maps(cls, maps: Sequence[Tensor], cells: Tensor) -> FrameTokens:
        """Maps ``(..., C, h, w)`` of each level -> tokens."""
        tokens = torch.cat([m.flatten(-2).transpose(-1, -2) for m in maps], -2)
        return cls(tokens, cells, tuple((m.shape[-2], m.shape[-1]) for m in maps))

    def maps(self, tokens: Tensor) -> list[Tensor]:
        """Tokens ``(..., S, C)`` laid out like these -> maps ``(..., C, h, w)``."""
        parts = tokens.split([h * w for h, w in self.sizes], -2)
        return [
            part.transpose(-1, -2).unflatten(-1, size)
            for part, size in zip(parts, self.sizes, strict=True)
        ]

    def frame(self, index: int) -> FrameTokens:
        """One frame of each window ``(B, T, ...)``."""
        return FrameTokens(self.tokens[:, index], self.cells[:, index], self.sizes)

    @property
    def ratios(self) -> Tensor:
        """``(..., L, 2)`` share of each map that is no padding, x before y."""
        return self.cells * self.step

    @property
    def step(self) -> Tensor:
        """``(L, 2)`` one cell of each level, shares of the map."""
        return 1 / self.cells.new_tensor([(w, h) for h, w in self.sizes])

    @property
    def reach(self) -> Tensor:
        """``(1, 1, 1, L, 1, 2)`` the steps, as attention wants them for offsets in cells."""
        return self.step.view(1, 1, 1, -1, 1, 2)

    @property
    def grid(self) -> Tensor:
        """``(..., S, 2)`` centres of the cells, shares of the part that is no padding."""
        return torch.cat(
            [_places(size, self.cells) / self.cells[..., i, None, :] for i, size in self._levels()],
            -2,
        )

    @property
    def padded(self) -> Tensor:
        """``(..., S)`` bool, whether a token is padding."""
        parts = [
            (_places(size, self.cells) > self.cells[..., i, None, :]).any(-1)
            for i, size in self._levels()
        ]
        return torch.cat(parts, -1)

    def _levels(self) -> list[tuple[int, Size]]:
        return list(enumerate(self.sizes))


def valid_cells(valid: Tensor, frame: Size, maps: Sequence[Size]) -> Tensor:
    """Cells of each map that show something: those whose first pixel is no padding.

    Args:
        valid: ``(N, 2)`` width and height of the frames without padding, pixels.
        frame: Height and width of the frames, pixels.
        maps: Height and width of each map, cells.

    Returns:
        ``(N, L, 2)`` width and height, cells, at least 1.
    """
    size = valid.new_tensor([(frame[1], frame[0])])
    cells = valid.new_tensor([(w, h) for h, w in maps])
    # Cell i begins with pixel floor(i * size / cells), as in nearest-neighbour scaling.
    return torch.ceil(valid[:, None] * cells / size).clamp(min=1)


def inverse_sigmoid(shares: Tensor, margin: float = 1e-5) -> Tensor:
    """Log-odds of values in [0, 1]; those nearer to an end than ``margin`` count as that near."""
    return torch.log(shares.clamp(min=margin) / (1 - shares).clamp(min=margin))


def take(rows: Tensor, index: Tensor) -> Tensor:
    """Rows ``(B, S, ...)`` at ``index (B, Q)`` -> ``(B, Q, ...)``."""
    wide = index.view(*index.shape, *[1] * (rows.dim() - 2))
    return rows.gather(1, wide.expand(-1, -1, *rows.shape[2:]))


def _places(size: Size, like: Tensor) -> Tensor:
    """``(h*w, 2)`` x and y of the cells' centres, cells."""
    rows, columns = (
        torch.arange(count, device=like.device, dtype=like.dtype) + 0.5 for count in size
    )
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([x, y], -1).flatten(0, 1)
