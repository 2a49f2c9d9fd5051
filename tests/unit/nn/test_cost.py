"""Counting parameters and multiply-adds by hand and by machine."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from chronopose.nn.cost import Cost, count_macs, trace_shapes
from chronopose.nn.deform import ModulatedDeformConv2d


class Split(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.up = nn.ConvTranspose2d(8, 4, 4, stride=2, padding=1, bias=False)

    def encode(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x))

    def forward(self, pair: tuple[Tensor, int]) -> Tensor:
        return self.up(self.encode(pair[0]))


# 3x3, 3 -> 8 on 5x4 cells: 20 * 8 * 27. 4x4, 8 -> 4 from 5x4 cells: 20 * 8 * 4 * 16.
CONV, UP = 4320, 10240


def test_convolutions_count_and_norms_do_not() -> None:
    cost = count_macs(Split(), (torch.zeros(1, 3, 5, 4), 7))
    assert cost == Cost(params=216 + 8 + 16 + 512, macs=CONV + UP)


def test_one_method_can_be_counted() -> None:
    assert count_macs(Split(), torch.zeros(2, 3, 5, 4), method="encode").macs == 2 * CONV


def test_counting_runs_and_changes_nothing() -> None:
    net = Split()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    count_macs(net, (torch.zeros(1, 3, 5, 4), 7))
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())


def test_deformable_convolution_counts_like_an_ordinary_one() -> None:
    layer = ModulatedDeformConv2d(4, 6)
    cost = count_macs(
        layer, torch.zeros(1, 4, 5, 3), torch.zeros(1, 36, 5, 3), torch.zeros(1, 18, 5, 3)
    )
    assert cost.macs == 15 * 6 * 4 * 9


def test_shapes_are_those_of_a_real_call() -> None:
    net, x = Split().eval(), torch.zeros(2, 3, 5, 4)
    out = trace_shapes(net, (x, 7))
    assert out.shape == net((x, 7)).shape == (2, 4, 10, 8)
    assert out.is_meta
