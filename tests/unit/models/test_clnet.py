"""CLNet: cost in both countings, the hourglass, stacks, channel order."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from chronopose.errors import ShapeError, UsageError
from chronopose.models._find import build_model
from chronopose.models.clnet import Bottleneck, CLNet, Hourglass
from chronopose.nn.cost import count_macs

TINY = (64, 96)


def build(preset: str, **overrides: Any) -> CLNet:
    model = build_model("clnet", preset, **overrides)
    assert isinstance(model, CLNet)
    return model


def costs(preset: str, **overrides: Any) -> tuple[float, float]:
    """GMAC as they are, and with transposed convolutions counted at the size of their output."""
    with torch.device("meta"):
        model = build(preset, **overrides).eval()
    width, height = model.needs.crop_size
    true = count_macs(model, torch.empty(1, 1, 3, height, width, device="meta")).macs
    published, cells = true, height // 32 * (width // 32)
    for layer in model.modules():
        if isinstance(layer, torch.nn.ConvTranspose2d):
            published += 3 * cells * layer.weight.numel()
            cells *= 4
    return true / 1e9, published / 1e9


@pytest.mark.parametrize(
    ("overrides", "true", "published"),
    [
        ({"deconvs": 0}, 4.0, 4.0),
        ({"width": 64}, 4.1, 4.4),
        ({}, 4.2, 4.8),
        ({"width": 256}, 4.4, 5.6),
    ],
)
def test_resnet_costs_what_the_specification_worked_out(
    overrides: dict[str, Any], true: float, published: float
) -> None:
    assert costs("r50", **overrides) == pytest.approx((true, published), abs=0.05)


def test_half_the_cost_of_simple_baseline_holds_in_the_published_counting_only() -> None:
    with torch.device("meta"):
        other = build_model("simple_baseline", "r50").eval()
    baseline = count_macs(other, torch.empty(1, 1, 3, 256, 192, device="meta")).macs / 1e9
    true, published = costs("r50")
    assert baseline == pytest.approx(5.4, abs=0.05)
    assert true / baseline == pytest.approx(0.77, abs=0.01)
    assert published / 9.7 == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(("deconvs", "stride"), [(0, 32), (1, 16), (2, 8)])
def test_each_transposed_convolution_halves_the_stride(deconvs: int, stride: int) -> None:
    model = build("lite", crop_size=TINY, deconvs=deconvs).eval()
    with torch.no_grad():
        output = model(torch.randn(2, 1, 3, 96, 64))
    assert output.heatmaps.shape == (2, 14, 96 // stride, 64 // stride)
    assert output.offsets.shape == (2, 14, 2, 96 // stride, 64 // stride)
    assert model.codec.stride == stride


def params(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_an_hourglass_has_four_levels_of_three_bottlenecks_and_one_in_the_middle() -> None:
    # Norms of 256, 128, 128; convolutions 1x1, 3x3, 1x1 with bias.
    bottleneck = 2 * (256 + 128 + 128) + (256 * 128 + 128) + (128 * 128 * 9 + 128)
    bottleneck += 128 * 256 + 256
    assert params(Bottleneck(256, 256)) == bottleneck
    assert params(Hourglass(256)) == 13 * bottleneck


def test_every_stack_costs_the_same() -> None:
    with torch.device("meta"):
        two, four, eight = (params(build(f"hourglass{n}")) for n in (2, 4, 8))
    assert eight - four == 2 * (four - two)


def test_a_flat_hourglass_passes_what_it_is_given_to_every_level() -> None:
    # With all convolutions zero each bottleneck is its shortcut: an hourglass adds up, at every
    # cell, the map itself and its maxima over 2, 4, 8 and 16 cells.
    net = Hourglass(2).eval()
    for parameter in net.parameters():
        torch.nn.init.zeros_(parameter)
    x = torch.zeros(1, 2, 16, 16)
    x[0, 0, 5, 9] = 1.0
    with torch.no_grad():
        got = net(x)
    assert got[0, 0, 5, 9] == 5
    assert got[0, 0, 4, 8] == 4
    assert got[0, 0, 7, 11] == 3
    assert got[0, 0, 0, 15] == 2
    assert got[0, 0, 0, 0] == 1
    assert not got[0, 1].any()


@pytest.mark.parametrize("stride", [4, 8])
def test_training_looks_at_every_stack_and_eval_at_the_last(stride: int) -> None:
    model = build("hourglass2", crop_size=(64, 64), channels=16, hourglass_stride=stride)
    frames = torch.randn(2, 1, 3, 64, 64)
    joints = 8 + 48 * torch.rand(2, 17, 2)
    output = model.train()(frames)
    cells = 64 // stride
    assert [tuple(o.heatmaps.shape) for o in (output, *output.side)] == [(2, 17, cells, cells)] * 2
    terms = model.criterion()(output, model.codec.encode(joints, torch.ones(2, 17)))
    sum(terms.values()).backward()  # type: ignore[union-attr]
    assert all(p.grad is not None for p in model.parameters())
    assert model.eval()(frames).side == ()


def test_the_second_stack_hears_what_the_first_has_said() -> None:
    model = build("hourglass2", crop_size=(64, 64), channels=16).eval()
    frames = torch.randn(1, 1, 3, 64, 64)
    with torch.no_grad():
        before = model(frames).heatmaps
        model.net.heads[0].bias += 1.0  # type: ignore[union-attr,index,operator]
        assert not torch.allclose(model(frames).heatmaps, before)


def test_channels_are_logits_then_x_and_y_of_each_joint() -> None:
    model = build("lite", crop_size=TINY).eval()
    maps = torch.arange(42.0).view(1, 1, 42, 1, 1).expand(1, 1, 42, 6, 4)
    output = model.fuse((maps,))
    assert output.heatmaps[0, :, 0, 0].tolist() == list(range(14))
    assert output.offsets[0, 0, :, 0, 0].tolist() == [14, 15]
    assert output.offsets[0, 13, :, 0, 0].tolist() == [40, 41]


def test_two_frames_are_one_too_many() -> None:
    with pytest.raises(ShapeError, match="one frame at a time; got 2"):
        build("lite", crop_size=TINY).eval()(torch.randn(1, 2, 3, 96, 64))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"backbone": "vgg"}, "'vgg'"),
        ({"backbone": "lite", "pretrained": True}, "no ImageNet weights of 'lite'"),
        ({"deconvs": 3}, "deconvs=3"),
        ({"stacks": 0}, "stacks=0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build("r50", **overrides)
