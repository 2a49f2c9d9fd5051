"""Attention over several maps: against a literal loop, and with numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from chronopose.errors import ShapeError
from chronopose.nn.attention import (
    DecoderLayer,
    DeformableAttention,
    sample_levels,
    sine_encoding,
)

SIZES = ((3, 4), (2, 2))


def bilinear(cells: Tensor, x: float, y: float) -> Tensor:
    """``(h, w, D)`` at x and y in shares of the map; zero outside, cell centres at (i + 1/2)/w."""
    height, width = cells.shape[:2]
    column, row = x * width - 0.5, y * height - 0.5
    total = torch.zeros(cells.shape[2], dtype=cells.dtype)
    for i in (math.floor(row), math.floor(row) + 1):
        for j in (math.floor(column), math.floor(column) + 1):
            if 0 <= i < height and 0 <= j < width:
                total += (1 - abs(row - i)) * (1 - abs(column - j)) * cells[i, j]
    return total


def test_sampling_equals_a_loop_over_every_place() -> None:
    n, queries, heads, points, depth = 2, 3, 2, 2, 5
    tokens = sum(h * w for h, w in SIZES)
    values = torch.randn(n, tokens, heads, depth).double()
    places = torch.rand(n, queries, heads, len(SIZES), points, 2).double() * 1.6 - 0.3
    weights = torch.rand(n, queries, heads, len(SIZES), points).double()
    got = sample_levels(values, SIZES, places, weights).view(n, queries, heads, depth)
    for b in range(n):
        for q in range(queries):
            for m in range(heads):
                want = torch.zeros(depth).double()
                start = 0
                for level, (h, w) in enumerate(SIZES):
                    cells = values[b, start : start + h * w, m].view(h, w, depth)
                    start += h * w
                    for p in range(points):
                        x, y = places[b, q, m, level, p].tolist()
                        want += weights[b, q, m, level, p] * bilinear(cells, x, y)
                torch.testing.assert_close(got[b, q, m], want, rtol=0, atol=1e-12)


def test_the_middle_of_four_cells_is_their_mean() -> None:
    values = torch.tensor([1.0, 2.0, 3.0, 6.0]).view(1, 4, 1, 1)
    places = torch.full((1, 1, 1, 1, 1, 2), 0.5)
    assert sample_levels(values, [(2, 2)], places, torch.ones(1, 1, 1, 1, 1)).item() == 3.0


def test_sizes_that_do_not_add_up_are_refused() -> None:
    places, weights = torch.zeros(1, 1, 1, 2, 1, 2), torch.zeros(1, 1, 1, 2, 1)
    with pytest.raises(ShapeError, match="16 tokens on 2 levels; got 15 tokens"):
        sample_levels(torch.zeros(1, 15, 1, 4), SIZES, places, weights)


def plain_attention(frames: int) -> DeformableAttention:
    """One head, one level, one place a frame; values and output are left as they are."""
    attention = DeformableAttention(4, 1, 1, 1, frames)
    for part in (attention.value, attention.out):
        torch.nn.init.eye_(part.weight)
    for part in (*attention.offsets, *attention.weights):
        torch.nn.init.zeros_(part.weight)
    return attention


def look(attention: DeformableAttention, memory: Tensor, padded: Tensor | None = None) -> Tensor:
    frames = memory.shape[1]
    anchors = torch.full((1, frames, 1, 1, 1, 2), 0.25)
    return attention(
        torch.zeros(1, 1, 4), memory, [(2, 2)], anchors, torch.full((1,) * 6, 0.5), padded
    )


def test_frames_share_one_softmax() -> None:
    # Odds 3 : 1 between two frames whose upper left cells hold 8 and 16: 0.75 * 8 + 0.25 * 16 = 10.
    attention = plain_attention(2)
    attention.weights[0].bias.data.fill_(math.log(3))
    memory = torch.zeros(1, 2, 4, 4)
    memory[:, 0, 0], memory[:, 1, 0] = 8.0, 16.0
    torch.testing.assert_close(look(attention, memory), torch.full((1, 1, 4), 10.0))


def test_an_offset_of_one_reaches_as_far_as_told() -> None:
    # Half a map to the right of the upper left cell lies the upper right cell.
    attention = plain_attention(1)
    attention.offsets[0].bias.data.copy_(torch.tensor([1.0, 0.0]))
    memory = torch.arange(4.0).view(1, 1, 4, 1).expand(-1, -1, -1, 4)
    torch.testing.assert_close(look(attention, memory), torch.full((1, 1, 4), 1.0))


def test_padded_tokens_give_nothing() -> None:
    attention = plain_attention(1)
    attention.value.bias.data.fill_(7.0)
    padded = torch.tensor([[[True, False, False, False]]])
    # The anchor is the middle of the upper left cell; the others are not asked.
    assert look(attention, torch.full((1, 1, 4, 4), 3.0), padded).abs().max() == 0
    assert look(attention, torch.full((1, 1, 4, 4), 3.0)).abs().max() == 10


def test_rings_start_to_the_right_and_grow_by_one() -> None:
    attention = DeformableAttention(16, 8, 2, 3)
    attention.start_on_rings(still=True)
    ring = attention.offsets[0](torch.randn(16)).view(8, 2, 3, 2)
    for level in range(2):
        torch.testing.assert_close(ring[0, level], torch.tensor([[1.0, 0], [2, 0], [3, 0]]))
        torch.testing.assert_close(ring[1, level], torch.tensor([[1.0, 1], [2, 2], [3, 3]]))


def test_sine_encoding_of_the_first_cell() -> None:
    # Two cells wide, one high: x = 1/4 and y = 1/2 of a turn; the second frequency is 1/100.
    code = sine_encoding(torch.tensor([[2.0, 1.0]]).double(), (1, 2), 8)[0, 0]
    x, y = math.pi / 2, math.pi
    want = [math.sin(y), math.cos(y), math.sin(y / 100), math.cos(y / 100)]
    want += [math.sin(x), math.cos(x), math.sin(x / 100), math.cos(x / 100)]
    torch.testing.assert_close(code, torch.tensor(want).double(), rtol=0, atol=1e-5)


def test_sine_encoding_of_a_padded_map_is_that_of_its_valid_part() -> None:
    small = sine_encoding(torch.tensor([[3.0, 2.0]]), (2, 3), 16).view(2, 3, 16)
    large = sine_encoding(torch.tensor([[3.0, 2.0]]), (4, 5), 16).view(4, 5, 16)
    assert torch.equal(large[:2, :3], small)


def test_queries_see_only_their_own_group() -> None:
    layer = DecoderLayer(16, 4, 1, 2, 1, 32, 0.0).eval()
    memory, anchors = torch.randn(1, 1, 4, 16), torch.rand(1, 1, 6, 1, 1, 2)
    queries, place = torch.randn(1, 6, 16), torch.randn(6, 16)
    rest = (memory, [(2, 2)], anchors, torch.full((1,) * 6, 0.5))
    with torch.no_grad():
        before = layer(queries, place, *rest, 3)
        changed = queries.clone()
        changed[:, 4] += 1
        after = layer(changed, place, *rest, 3)
        together = layer(changed, place, *rest)
    assert torch.equal(after[:, :3], before[:, :3])
    assert not torch.allclose(after[:, 3], before[:, 3])
    assert not torch.allclose(together[:, :3], before[:, :3])
