"""Temporal differences and their encoder."""

from __future__ import annotations

import pytest
import torch

from chronopose.nn.stages import (
    DeformConfig,
    TDEConfig,
    TemporalDifferenceEncoder,
    temporal_differences,
)

SMALL = DeformConfig(groups=2)
COUNT = torch.tensor([1.0, 3.0, 6.0, 10.0, 15.0]).view(1, 5, 1, 1, 1)


def test_consecutive_differences_are_in_time_order() -> None:
    assert temporal_differences(COUNT, 2).flatten().tolist() == [2.0, 3.0, 4.0, 5.0]


def test_differences_to_the_key_frame_leave_it_out() -> None:
    assert temporal_differences(COUNT, 2, "to_key").flatten().tolist() == [-5.0, -3.0, 4.0, 9.0]


def test_channels_of_one_difference_stay_together() -> None:
    sequence = torch.stack([torch.zeros(2), torch.tensor([1.0, 10.0]), torch.zeros(2)])
    got = temporal_differences(sequence.view(1, 3, 2, 1, 1), 1)
    assert got.flatten().tolist() == [1.0, 10.0, -1.0, -10.0]


def test_a_still_picture_gives_the_same_motion_whatever_it_shows() -> None:
    net = TemporalDifferenceEncoder([3], 4, 5, TDEConfig(stages=(4,), dcn=SMALL)).eval()
    a, b = (torch.randn(1, 1, 3, 6, 5).expand(-1, 5, -1, -1, -1) for _ in range(2))
    assert torch.equal(net([a], 2), net([b], 2))


@pytest.mark.parametrize(
    "config",
    [
        TDEConfig(dcn=SMALL),
        TDEConfig(dcn=SMALL, fuse="concat"),
        TDEConfig(modulation="none"),
        TDEConfig(dcn=SMALL, differences="to_key"),
        TDEConfig(dcn=DeformConfig(groups=4, dilation=3, mask_act="raw", blocks=0), convs=1),
    ],
    ids=["paper", "concat", "no modulation", "to key", "fami-like"],
)
def test_motion_depends_on_every_stage_and_every_parameter(config: TDEConfig) -> None:
    net = TemporalDifferenceEncoder([6, 4, 4, 4], 4, 5, config)
    sequences = [torch.randn(2, 5, c, 8, 6, requires_grad=True) for c in (6, 4, 4, 4)]
    motion = net(sequences, 2)
    assert motion.shape == (2, 4, 8, 6)
    (motion * torch.randn_like(motion)).sum().backward()
    assert all(s.grad is not None and s.grad.abs().sum() > 0 for s in sequences)
    assert all(p.grad is not None for p in net.parameters())


def test_progressive_accumulation_adds_before_each_convolution() -> None:
    config = TDEConfig(stages=(1, 2), modulation="none", blocks=(1, 1, 1, 1))
    net = TemporalDifferenceEncoder([2, 2], 2, 3, config).eval()
    a, b = torch.randn(2, 1, 3, 2, 5, 4)
    d1, d2 = (net.intra[j](temporal_differences(x, 1)) for j, x in (("1", a), ("2", b)))
    torch.testing.assert_close(net([a, b], 1), net.acc["2"](net.acc["1"](d1) + d2))
