"""DCPose: cost of the paper's network, its blocks by hand, the weights of time, the lite start."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from chronopose.errors import ShapeError, UsageError
from chronopose.models._base import PoseModel
from chronopose.models._find import build_model
from chronopose.models.dcpose import DCPose, PoseCorrection, ResidualStepsBlock, RoughMaps
from chronopose.nn.cost import count_macs
from chronopose.tensors import Target
from chronopose.zoo.convert import dcpose as published

TINY = (64, 96)
PLAIN: dict[str, Any] = {
    "activation": "gaussian", "decoder": "quarter", "residual_head": False
}  # fmt: skip


def lite(**overrides: Any) -> DCPose:
    model = build_model("dcpose", "lite", crop_size=TINY, **overrides)
    assert isinstance(model, DCPose)
    return model


def clips(model: PoseModel, count: int = 2) -> tuple[Tensor, Target]:
    width, height = model.needs.crop_size
    frames = torch.randn(count, 3, 3, height, width)
    joints = torch.rand(count, len(model.codec.skeleton), 2) * torch.tensor([width, height])
    return frames, model.codec.encode(joints, torch.ones(joints.shape[:2]))


def inputs_of(part: nn.Module) -> list[Tensor]:
    """Fills with what the part is given, call by call."""
    seen: list[Tensor] = []
    part.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    return seen


def test_paper_network_has_the_size_and_the_work_of_the_specification() -> None:
    with torch.device("meta"):
        model = build_model("dcpose", "hrnet_w48").eval()
    cost = count_macs(model, torch.empty(1, 3, 3, 384, 288, device="meta"))
    assert cost.params / 1e6 == pytest.approx(65.20, rel=0.001)
    assert cost.macs / 1e9 == pytest.approx(117.0, rel=0.005)


def test_lite_spends_little_on_time() -> None:
    with torch.device("meta"):
        model = build_model("dcpose", "lite").eval()
    maps = RoughMaps(torch.empty(1, 3, 14, 64, 48))
    assert count_macs(model, maps, method="fuse").macs < 0.45e9
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) < 0.15e6


def test_rows_of_a_block_add_up_to_catalan_numbers() -> None:
    # All convolutions pass on what they get, all rows start at 1. Row 2: 1 + 1. Row 3: 1 + 2 = 3,
    # 3 + 2 = 5. Row 4: 1 + 3 = 4, 4 + 5 = 9, 9 + 5 = 14. The last of each row: 1, 2, 5, 14.
    block = ResidualStepsBlock(1, 1, base=64, project=False).eval()
    for conv in [m for m in block.modules() if isinstance(m, nn.Conv2d)]:
        nn.init.zeros_(conv.weight)
        conv.weight.data[..., conv.kernel_size[0] // 2, conv.kernel_size[1] // 2] = 1.0
    for row, want in enumerate((1, 2, 5, 14)):
        leave = block.leave[0]
        assert isinstance(leave, nn.Conv2d)
        leave.weight.data.copy_(torch.eye(4)[row].view(1, 4, 1, 1))
        with torch.no_grad():
            got = block(torch.ones(1, 1, 1, 1)).item() - 1.0  # the shortcut's share
        assert got == pytest.approx(want, rel=1e-3)


def test_width_of_a_row_is_26_of_64_parts_rounded_down() -> None:
    # 26 * 68 / 64 = 27.6: four rows of 27 channels.
    assert ResidualStepsBlock(68, 34, base=26, project=True).enter[0].out_channels == 108


def test_correction_starts_as_the_identity_once_its_masks_are_one() -> None:
    net = PoseCorrection(2, 3, (1, 4), silent=True)
    for offset, mask in zip(net.offset, net.mask, strict=True):
        nn.init.zeros_(offset.weight)  # type: ignore[arg-type]
        mask.weight.data[:, 0, 1, 1] = 1.0  # type: ignore[union-attr,operator,index]
    support, guide = torch.randn(2, 3, 7, 6), torch.ones(2, 2, 7, 6)
    with torch.no_grad():
        torch.testing.assert_close(net(support, guide), support, rtol=0, atol=1e-5)


def test_the_nearer_neighbour_weighs_more() -> None:
    # Key frame 1 after the frame before and 3 before the frame after: weights 3/4 and 1/4.
    model = lite(**PLAIN).eval()
    seen_change, seen_support = inputs_of(model.change), inputs_of(model.support)
    levels = torch.tensor([2.0, 1.0, 4.0]).view(1, 3, 1, 1, 1)
    maps = RoughMaps(levels.expand(1, 3, 14, 24, 16))
    model.fuse(maps, torch.tensor([[1, 3]]))
    model.fuse(maps)
    changes = [seen[0, :, 5, 5].view(14, 4).unique(dim=0).tolist() for seen in seen_change]
    supports = [seen[0, :, 5, 5].view(14, 3).unique(dim=0).tolist() for seen in seen_support]
    # Differences 1 - 2 and 1 - 4, each also weighed; then without margins: one half each.
    assert changes == [[[-1.0, -0.75, -3.0, -0.75]], [[-1.0, -0.5, -3.0, -1.5]]]
    assert supports == [[[1.0, 1.5, 1.0]], [[1.0, 1.0, 2.0]]]


def test_margins_have_no_unit() -> None:
    model = lite(**PLAIN).eval()
    maps = RoughMaps(torch.randn(2, 3, 14, 24, 16))
    frames = torch.tensor([[1, 2], [3, 1]])
    with torch.no_grad():
        a, b = model.fuse(maps, frames).heatmaps, model.fuse(maps, frames / 30).heatmaps
    torch.testing.assert_close(a, b)


def test_logits_are_fused_as_gaussians_of_peak_one() -> None:
    model = lite().eval()
    seen = inputs_of(model.support)
    at = torch.full((1, 14, 2), 33.5)  # the centre of a cell: (33.5 + 0.5) / 4 - 0.5 = 8
    truth = model.codec.encode(at, torch.ones(1, 14)).heatmaps
    assert truth is not None
    logits = truth.clamp_min(1e-9).log() + 7.0  # a constant does not change what logits mean
    model.fuse(RoughMaps(logits[:, None].expand(-1, 3, -1, -1, -1)))
    torch.testing.assert_close(seen[0][:, ::3], truth, rtol=0, atol=0.02)


def test_untrained_lite_equals_its_single_frame_twin() -> None:
    twin = build_model("simple_baseline", "lite", crop_size=TINY).eval()
    nn.init.normal_(twin.head.weight)  # type: ignore[union-attr,arg-type]
    model = lite().eval()
    model.load_single_frame(twin.state_dict())
    frames, _ = clips(model)
    with torch.no_grad():
        want = twin(frames[:, 1:2]).heatmaps
        torch.testing.assert_close(model(frames).heatmaps, want, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(model.encode(frames[:, 1]).heatmaps, want, rtol=1e-5, atol=1e-5)


def test_kept_features_may_stand_in_for_the_backbone() -> None:
    model = lite().eval()
    nn.init.normal_(model.single_frame_head.weight)  # type: ignore[arg-type]
    frames, _ = clips(model, 1)
    with torch.no_grad():
        want = model(frames).heatmaps
        features = model.backbone(frames.flatten(0, 1)).unflatten(0, (1, 3))
        model.backbone.forward_stages = lambda kept, stages: (kept,)  # type: ignore[method-assign,assignment,misc]
        torch.testing.assert_close(model(features).heatmaps, want)


def test_every_temporal_part_learns_after_the_silent_start() -> None:
    model = lite()
    frames, target = clips(model)
    optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(3):
        optimiser.zero_grad()
        model.criterion()(model(frames), target)["heatmap"].backward()
        optimiser.step()
    idle = [k for k, p in model.named_parameters() if p.requires_grad and not p.grad.any()]  # type: ignore[union-attr]
    # A bias before a batch norm cannot matter; its gradient is rounding noise or zero.
    assert [k for k in idle if not k.endswith(".0.bias")] == []


def test_frozen_twin_gets_no_gradient() -> None:
    model = lite(**PLAIN)
    frames, target = clips(model)
    terms = model.criterion()(model(frames), target)
    assert set(terms) == {"heatmap"}
    terms["heatmap"].backward()
    taught = {k.split(".")[0] for k, p in model.named_parameters() if p.grad is not None}
    assert taught == {"change", "support", "combine", "head"}


def test_thawed_backbone_answers_for_its_own_maps() -> None:
    model = lite(freeze_backbone=False, **PLAIN)
    nn.init.normal_(model.single_frame_head.weight)  # type: ignore[arg-type]
    frames, target = clips(model)
    terms = model.criterion()(model(frames), target)
    assert set(terms) == {"heatmap", "rough"}
    terms["rough"].backward()
    assert model.backbone.body.conv1.weight.grad.abs().sum() > 0  # type: ignore[union-attr,operator]
    assert all(p.grad is None for p in model.head.parameters())


def test_squared_error_has_no_factor_one_half() -> None:
    model = lite(**PLAIN)
    frames, target = clips(model)
    out = model(frames)
    want = ((out.heatmaps - target.heatmaps) * target.weight[..., None, None]).square().mean()
    torch.testing.assert_close(model.criterion()(out, target)["heatmap"], want)


@pytest.mark.parametrize(
    ("shape", "margins", "message"),
    [
        ((1, 5, 14, 24, 16), None, "3 frames; got 5"),
        ((2, 3, 14, 24, 16), torch.ones(1, 2), r"shape \(2, 2\)"),
    ],
)
def test_windows_that_do_not_fit_are_refused(
    shape: tuple[int, ...], margins: Tensor | None, message: str
) -> None:
    with pytest.raises(ShapeError, match=message):
        lite().fuse(RoughMaps(torch.zeros(shape)), margins)


@pytest.mark.parametrize("overrides", [{"blocks": (1, 0, 1)}, {"dilations": ()}])
def test_settings_that_cannot_work_say_why(overrides: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="at least one block"):
        lite(**overrides)


NAMES = {
    "rough_pose_estimation_net.stage2.0.branches.0.0.conv1.weight":
        "backbone.stage2.0.branches.0.0.conv1.weight",
    "rough_pose_estimation_net.layer1.0.downsample.0.weight":
        "backbone.layer1.0.downsample.0.weight",
    "diff_temporal_fuse.layers.1.conv_bn_relu2_4_3.bn.weight": "change.1.steps.4_3.1.weight",
    "support_temporal_fuse.layers.0.downsample.conv.bias": "support.0.shortcut.0.bias",
    "offset_mask_combine_conv.layers.0.conv_bn_relu1.conv.weight": "combine.0.enter.0.weight",
    "offset_mask_combine_conv.layers.1.conv_bn_relu3.bn.running_var":
        "combine.1.leave.1.running_var",
    "offsets_list.2.0.weight": "head.offset.2.weight",
    "masks_list.0.0.weight": "head.mask.0.weight",
    "modulated_deform_conv_list.4.deform_conv.bias": "head.dcn.4.bias",
}  # fmt: skip


def test_published_names_become_ours() -> None:
    with torch.device("meta"):
        own = build_model("dcpose", "hrnet_w48").state_dict()
    got = DCPose.from_official_keys({f"module.{k}": own[v] for k, v in NAMES.items()})
    assert list(got) == list(NAMES.values())


def test_published_state_is_recognised_by_its_keys() -> None:
    marks = {
        "rough_pose_estimation_net.final_layer.weight": torch.empty(17, 48, 1, 1),
        "rough_pose_estimation_net.stage2.0.branches.0.0.conv1.weight": torch.empty(48, 48, 3, 3),
        "diff_temporal_fuse.layers.0.conv_bn_relu2_4_4.conv.weight": torch.empty(27, 27, 3, 3),
        "modulated_deform_conv_list.4.deform_conv.weight": torch.empty(17, 17, 3, 3),
    }
    assert published.recognises(marks)
    assert published.preset_of(marks) in DCPose.PRESETS
    assert published.joints_of(marks) == 17
    for missing in marks:
        assert not published.recognises({k: v for k, v in marks.items() if k != missing})
