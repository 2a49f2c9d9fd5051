"""Residual chains have the blocks and shortcuts that they promise."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from chronopose.errors import ShapeError
from chronopose.nn.residual import BasicBlock, residual_chain


def test_first_block_of_a_chain_projects_and_the_others_do_not() -> None:
    chain = residual_chain(8, 8, 3)
    assert [isinstance(block.shortcut, nn.Sequential) for block in chain] == [True, False, False]


def test_chain_of_48_channels_has_the_published_size() -> None:
    # Two 3x3 convolutions 48-48 and their norms: 2 * 20736 + 192 = 41664, projection 2304 + 96.
    assert sum(p.numel() for p in residual_chain(48, 48, 2).parameters()) == 2 * 41664 + 2400


def test_block_with_zero_last_norm_passes_its_positive_input_through() -> None:
    block = BasicBlock(4, 4, project=False).eval()
    nn.init.zeros_(block.bn2.weight)
    x = torch.rand(1, 4, 5, 3)
    torch.testing.assert_close(block(x), x)


def test_empty_chain_cannot_change_channels() -> None:
    assert len(residual_chain(8, 8, 0)) == 0
    with pytest.raises(ShapeError, match="at least one block"):
        residual_chain(8, 4, 0)


def test_identity_shortcut_cannot_change_channels() -> None:
    with pytest.raises(ShapeError, match="project=True"):
        BasicBlock(8, 4, project=False)
