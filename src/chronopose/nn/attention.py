"""Attention over feature maps of several sizes: each query looks at a few places only.

Maps of all levels are kept as one row of tokens, finest level first, each level row by row;
``sizes`` says how the row is cut. Places are given in shares of the whole map: (0, 0) is the
outer corner of the first cell and (1, 1) that of the last one.

Axes: N clip, T frame, S token of all levels, C channel, M head, D channel of a head, Q query,
L level, P place looked at on each level.

Source: Zhu, Su, Lu, Li, Wang, Dai, "Deformable DETR: Deformable Transformers for End-to-End Object
Detection", ICLR 2021, Eq. 2-3. One softmax over the places of several frames: PAVE-Net.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chronopose.errors import ShapeError

Sizes = Sequence[tuple[int, int]]
"""Height and width of each level, cells."""


def sine_encoding(valid: Tensor, size: tuple[int, int], channels: int) -> Tensor:
    """Where each cell lies, as sines and cosines: half of the channels for y, half for x.

    Args:
        valid: ``(N, 2)`` width and height of the part that is no padding, cells.
        size: Height and width of the map, cells.
        channels: Multiple of 4.

    Returns:
        ``(N, h*w, channels)`` of the type of ``valid``. Cells in the padding count on from the
        last valid one; nothing may depend on them.

    Source:
        Carion et al., "End-to-End Object Detection with Transformers", with positions at the cells'
        centres, in shares of the valid part times 2π; temperature 10000.
    """
    half = channels // 2
    power = torch.arange(half // 2, device=valid.device, dtype=valid.dtype) * (2 / half)
    frequency = torch.pow(torch.full_like(power, 10000.0), -power)
    encoded = []
    for count, extent in ((size[1], valid[:, 0]), (size[0], valid[:, 1])):
        cell = torch.arange(count, device=valid.device, dtype=valid.dtype)
        place = (cell + 0.5) / (extent[:, None] + 1e-6) * (2 * math.pi)
        angle = place[..., None] * frequency
        encoded.append(torch.stack([angle.sin(), angle.cos()], -1).flatten(-2))
    x, y = encoded
    n = len(valid)
    x = x[:, None].expand(n, size[0], size[1], half)
    y = y[:, :, None].expand(n, size[0], size[1], half)
    return torch.cat([y, x], -1).flatten(1, 2)


def sample_levels(values: Tensor, sizes: Sizes, places: Tensor, weights: Tensor) -> Tensor:
    """Weighted sum of what lies at some places of some maps (Eq. 3).

    Args:
        values: ``(N, S, M, D)`` tokens of all levels.
        sizes: Of the levels; S is the sum of their areas.
        places: ``(N, Q, M, L, P, 2)`` x and y, shares of the map; what lies outside is zero.
        weights: ``(N, Q, M, L, P)``.

    Returns:
        ``(N, Q, M*D)``.

    Raises:
        ShapeError: the sizes do not add up to the tokens, or not to the levels of the places.
    """
    n, tokens, heads, depth = values.shape
    queries, levels = places.shape[1], places.shape[3]
    areas = [h * w for h, w in sizes]
    if sum(areas) != tokens or levels != len(areas):
        raise ShapeError(
            f"Maps of {list(sizes)} cells have {sum(areas)} tokens on {len(areas)} levels; got "
            f"{tokens} tokens and places on {levels} levels."
        )
    # Half precision cannot hold a position on a large map.
    exact = torch.float64 if places.dtype == torch.float64 else torch.float32
    # Queries come last, so that products and sums run along memory.
    grid = (2 * places.to(exact) - 1).permute(0, 2, 3, 4, 1, 5).flatten(0, 1)
    share = weights.permute(0, 2, 3, 4, 1).flatten(0, 1).to(exact).contiguous()[:, None]
    total: Tensor | None = None
    for level, part in enumerate(values.split(areas, dim=1)):
        maps = part.permute(0, 2, 3, 1).reshape(n * heads, depth, *sizes[level]).to(exact)
        found = F.grid_sample(
            maps, grid[:, level], mode="bilinear", padding_mode="zeros", align_corners=False
        )
        seen = (found * share[:, :, level]).sum(2)
        total = seen if total is None else total + seen
    assert total is not None
    summed = total.view(n, heads, depth, queries).permute(0, 3, 1, 2)
    return summed.reshape(n, queries, heads * depth).to(values.dtype)


class DeformableAttention(nn.Module):
    """Each query looks at a few places of every level of every frame; one softmax over all.

    Args:
        width: Channels C.
        heads: Heads M.
        levels: Levels L.
        points: Places P on each level.
        frames: Frames T; each has its own offsets and weights, values and output are shared.
    """

    def __init__(self, width: int, heads: int, levels: int, points: int, frames: int = 1) -> None:
        super().__init__()
        self.shape = (heads, levels, points)
        count = heads * levels * points
        self.offsets = nn.ModuleList([nn.Linear(width, 2 * count) for _ in range(frames)])
        self.weights = nn.ModuleList([nn.Linear(width, count) for _ in range(frames)])
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        for part in (*self.offsets, *self.weights, self.value, self.out):
            nn.init.xavier_uniform_(part.weight)  # type: ignore[arg-type]
            nn.init.zeros_(part.bias)  # type: ignore[arg-type]

    def start_on_rings(self, still: bool) -> None:
        """Offsets that start as rings, one direction a head, place p at distance p + 1.

        Args:
            still: Also let neither offsets nor weights depend on the query at the start.
        """
        heads, levels, points = self.shape
        angle = torch.arange(heads) * (2 * math.pi / heads)
        way = torch.stack([angle.cos(), angle.sin()], -1)
        way = way / way.abs().amax(-1, keepdim=True)
        ring = way[:, None, None] * torch.arange(1.0, points + 1)[:, None]
        for offsets, weights in zip(self.offsets, self.weights, strict=True):
            with torch.no_grad():
                offsets.bias.copy_(ring.expand(heads, levels, points, 2).flatten())  # type: ignore
            if still:
                nn.init.zeros_(offsets.weight)  # type: ignore[arg-type]
                nn.init.zeros_(weights.weight)  # type: ignore[arg-type]

    def forward(
        self, query: Tensor, memory: Tensor, sizes: Sizes, anchors: Tensor, reach: Tensor,
        padded: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """Look around the anchors.

        Args:
            query: ``(N, Q, C)``.
            memory: ``(N, T, S, C)`` tokens of the frames.
            sizes: Of the levels.
            anchors: ``(N, T, Q, L, P, 2)`` shares of the map; the axis P may be 1.
            reach: Length of an offset of 1, shares of the map; any of the anchors' axes may be 1.
            padded: ``(N, T, S)`` bool; these tokens give nothing.

        Returns:
            ``(N, Q, C)``.
        """
        n, frames, _, width = memory.shape
        heads, levels, points = self.shape
        queries = query.shape[1]
        values = self.value(memory)
        if padded is not None:
            values = values.masked_fill(padded[..., None], 0.0)
        offsets = torch.stack([part(query) for part in self.offsets], 1)
        offsets = offsets.view(n, frames, queries, heads, levels, points, 2)
        places = anchors[:, :, :, None] + offsets * reach[:, :, :, None]
        weights = torch.stack([part(query) for part in self.weights], 1)
        weights = weights.view(n, frames, queries, heads, -1).permute(0, 2, 3, 1, 4)
        weights = weights.flatten(-2).softmax(-1).unflatten(-1, (frames, levels, points))
        seen = sample_levels(
            values.view(n * frames, -1, heads, width // heads), sizes, places.flatten(0, 1),
            weights.permute(0, 3, 1, 2, 4, 5).flatten(0, 1),
        )  # fmt: skip
        return self.out(seen.unflatten(0, (n, frames)).sum(1))


class EncoderLayer(nn.Module):
    """Tokens of a frame look at each other, then each is changed by itself; norms come last.

    Args:
        width: Channels C.
        heads: Heads.
        levels: Levels.
        points: Places on each level.
        hidden: Channels inside the feed-forward part.
        dropout: Share of what each part adds that is dropped while training.
    """

    def __init__(
        self, width: int, heads: int, levels: int, points: int, hidden: int, dropout: float
    ) -> None:
        super().__init__()
        self.attention = DeformableAttention(width, heads, levels, points)
        self.attention.start_on_rings(still=True)
        self.feed = feed_forward(width, hidden, dropout)
        self.norms = nn.ModuleList([nn.LayerNorm(width) for _ in range(2)])
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, tokens: Tensor, encoding: Tensor, sizes: Sizes, anchors: Tensor, reach: Tensor,
        padded: Tensor,
    ) -> Tensor:  # fmt: skip
        """``(N, S, C)`` tokens and their encoding -> tokens; the rest as for the attention, T 1."""
        seen = self.attention(
            tokens + encoding, tokens[:, None], sizes, anchors, reach, padded[:, None]
        )
        tokens = self.norms[0](tokens + self.dropout(seen))
        return self.norms[1](tokens + self.feed(tokens))


class DecoderLayer(nn.Module):
    """Queries look at each other, then at the frames, then each is changed by itself.

    Args:
        width: Channels C.
        heads: Heads.
        levels: Levels.
        points: Places on each level of each frame.
        frames: Frames T.
        hidden: Channels inside the feed-forward part.
        dropout: Share of what each part adds that is dropped while training.
    """

    def __init__(
        self, width: int, heads: int, levels: int, points: int, frames: int, hidden: int,
        dropout: float,
    ) -> None:  # fmt: skip
        super().__init__()
        self.among = nn.MultiheadAttention(width, heads, dropout=dropout, batch_first=True)
        self.attention = DeformableAttention(width, heads, levels, points, frames)
        self.feed = feed_forward(width, hidden, dropout)
        self.norms = nn.ModuleList([nn.LayerNorm(width) for _ in range(3)])
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, queries: Tensor, place: Tensor, memory: Tensor, sizes: Sizes, anchors: Tensor,
        reach: Tensor, group: int | None = None,
    ) -> Tensor:  # fmt: skip
        """``(N, Q, C)`` queries and what is added to say which is which -> queries.

        Args:
            queries: ``(N, Q, C)``.
            place: What is added to say which is which, broadcast against the queries.
            memory: This and the following as for the attention.
            sizes: Of the levels.
            anchors: Where each query looks.
            reach: Length of an offset.
            group: Queries in a row that see each other, a divisor of Q; None: all do.
        """
        n, count, width = queries.shape
        rows = queries.reshape(-1, group or count, width)
        named = (queries + place).reshape(rows.shape)
        seen, _ = self.among(named, named, rows, need_weights=False)
        seen = seen.reshape(n, count, width)
        queries = self.norms[0](queries + self.dropout(seen))
        seen = self.attention(queries + place, memory, sizes, anchors, reach)
        queries = self.norms[1](queries + self.dropout(seen))
        return self.norms[2](queries + self.feed(queries))


def feed_forward(width: int, hidden: int, dropout: float) -> nn.Sequential:
    """Two linear layers with a ReLU between: ``(..., width) -> (..., width)``."""
    return nn.Sequential(
        nn.Linear(width, hidden), nn.ReLU(inplace=True), nn.Dropout(dropout),
        nn.Linear(hidden, width), nn.Dropout(dropout),
    )  # fmt: skip


def perceptron(width: int, hidden: Sequence[int], out: int, *, zero: bool = False) -> nn.Sequential:
    """Linear layers with ReLUs between; with ``zero`` the last one starts at zero."""
    sizes = (width, *hidden, out)
    layers: list[nn.Module] = []
    for cin, cout in pairwise(sizes):
        layers += [nn.Linear(cin, cout), nn.ReLU(inplace=True)]
    if zero:
        nn.init.zeros_(layers[-2].weight)  # type: ignore[arg-type]
        nn.init.zeros_(layers[-2].bias)  # type: ignore[arg-type]
    return nn.Sequential(*layers[:-1])


class PerFrame(nn.ModuleList):
    """A network of its own for each frame, all reading the same queries; they start at zero.

    Args:
        frames: Frames T.
        width: Channels C of a query.
        hidden: Widths between.
        out: Numbers that come out for a query.
    """

    def __init__(self, frames: int, width: int, hidden: Sequence[int], out: int) -> None:
        super().__init__([perceptron(width, hidden, out, zero=True) for _ in range(frames)])

    def forward(self, queries: Tensor) -> Tensor:
        """``(B, Q, C)`` -> ``(B, T, Q, out)``."""
        return torch.stack([branch(queries) for branch in self], 1)
