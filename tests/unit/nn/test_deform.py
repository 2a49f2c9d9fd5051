"""Deformable convolution: its two backends agree, and it samples where it says."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import deform_conv2d as native

from chronopose.errors import ShapeError
from chronopose.nn.deform import (
    MaskActivation,
    ModulatedDeformConv2d,
    deform_conv2d,
    mask_conv,
    offset_conv,
)


def case(groups: int, dilation: int, scale: float, kernel: int = 3) -> tuple[Tensor, ...]:
    """Random feature, offsets of ``scale`` cells (also outside the map), mask, kernel, bias."""
    taps, kind = kernel * kernel, torch.float64
    x = torch.randn(2, 8, 9, 7, dtype=kind)
    offset = scale * torch.randn(2, groups * taps * 2, 9, 7, dtype=kind)
    mask = torch.randn(2, groups * taps, 9, 7, dtype=kind)
    return x, offset, mask, torch.randn(6, 8, kernel, kernel, dtype=kind), torch.randn(6).double()


@pytest.mark.parametrize(
    ("groups", "dilation", "scale"), [(1, 1, 0.5), (4, 1, 3.0), (8, 3, 1.0), (2, 2, 20.0)]
)
def test_grid_sampling_equals_torchvision(groups: int, dilation: int, scale: float) -> None:
    x, offset, mask, weight, bias = case(groups, dilation, scale)
    ours = deform_conv2d(x, offset, mask, weight, bias, dilation=dilation, backend="grid_sample")
    theirs = native(x, offset, weight, bias, padding=dilation, dilation=dilation, mask=mask)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)


def test_torchvision_backend_gives_the_same_on_request() -> None:
    x, offset, mask, weight, bias = case(2, 1, 1.0)
    a = deform_conv2d(x, offset, mask, weight, bias, backend="torchvision")
    b = deform_conv2d(x, offset, mask, weight, bias, backend="grid_sample")
    torch.testing.assert_close(a, b, rtol=0, atol=1e-10)


def test_gradients_equal_finite_differences() -> None:
    kind = {"dtype": torch.float64}
    x = torch.randn(1, 2, 4, 3, **kind).requires_grad_()
    # Half a cell off the grid: bilinear sampling has kinks on it.
    offset = (0.5 + 0.2 * torch.rand(1, 18, 4, 3, **kind)).requires_grad_()
    mask = torch.rand(1, 9, 4, 3, **kind).requires_grad_()
    weight = torch.randn(2, 2, 3, 3, **kind).requires_grad_()
    torch.autograd.gradcheck(
        lambda *a: deform_conv2d(*a, backend="grid_sample"), (x, offset, mask, weight)
    )


def test_zero_offsets_and_unit_mask_are_an_ordinary_convolution() -> None:
    x, offset, mask, weight, bias = case(2, 2, 1.0)
    got = deform_conv2d(
        x, offset * 0, torch.ones_like(mask), weight, bias, dilation=2, backend="grid_sample"
    )
    torch.testing.assert_close(got, F.conv2d(x, weight, bias, padding=2, dilation=2))


def test_offset_channels_are_dy_before_dx() -> None:
    # One lit pixel at row 2, column 3; a 1x1 kernel that looks 2 down and 1 right.
    x = torch.zeros(1, 1, 5, 6)
    x[0, 0, 2, 3] = 1.0
    offset = torch.tensor([2.0, 1.0]).view(1, 2, 1, 1).expand(1, 2, 5, 6)
    seen = deform_conv2d(
        x, offset, torch.ones(1, 1, 5, 6), torch.ones(1, 1, 1, 1), backend="grid_sample"
    )
    assert seen.nonzero().tolist() == [[0, 0, 0, 2]]
    assert seen[0, 0, 0, 2].item() == pytest.approx(1.0, abs=1e-5)


def test_half_precision_features_are_sampled_where_full_precision_ones_are() -> None:
    x, offset, mask, weight, bias = (t.float() for t in case(2, 1, 1.0))
    rough = deform_conv2d(
        x.bfloat16(), offset, mask.bfloat16(), weight.bfloat16(), bias, backend="grid_sample"
    )
    exact = deform_conv2d(x, offset, mask, weight, bias, backend="grid_sample")
    assert rough.dtype == torch.bfloat16
    assert (rough.float() - exact).abs().max() < 0.02 * exact.abs().max()


@pytest.mark.parametrize("mask_act", ["sigmoid", "raw"])
def test_it_starts_as_half_an_ordinary_convolution(mask_act: MaskActivation) -> None:
    layer, x = ModulatedDeformConv2d(6, 6, mask_act=mask_act), torch.randn(1, 6, 5, 4)
    got = layer(x, offset_conv(6, 3)(x), mask_conv(6, 3, mask_act=mask_act)(x))
    want = 0.5 * F.conv2d(x, layer.weight, padding=1) + layer.bias.view(1, -1, 1, 1)
    torch.testing.assert_close(got, want)


def test_channels_that_do_not_fit_are_named() -> None:
    x, offset, mask, weight, bias = case(2, 1, 1.0)
    with pytest.raises(ShapeError, match="mask 18, offset 34"):
        deform_conv2d(x, offset[:, :34], mask, weight, bias)
