"""Channel gate: one factor a channel, from channel means alone."""

from __future__ import annotations

import torch
from torch import nn

from chronopose.nn.gate import ChannelGate


def test_gate_of_48_channels_has_two_layers_of_12_hidden_units() -> None:
    # 48 * 12 + 12 + 12 * 48 + 48
    assert sum(p.numel() for p in ChannelGate(48, 4).parameters()) == 1212


def test_gate_sees_only_the_mean_of_each_channel() -> None:
    gate, x = ChannelGate(4, 2), torch.randn(2, 4, 3, 5)
    flat = x.mean((2, 3), keepdim=True).expand_as(x)
    torch.testing.assert_close(gate(x), gate(flat))
    assert gate(x).shape == (2, 4, 1, 1)


def test_gate_without_weights_lets_half_through() -> None:
    gate = ChannelGate(4, 2)
    for part in gate:
        if isinstance(part, nn.Linear):
            nn.init.zeros_(part.weight)
            nn.init.zeros_(part.bias)
    torch.testing.assert_close(gate(torch.randn(1, 4, 2, 2)), torch.full((1, 4, 1, 1), 0.5))
