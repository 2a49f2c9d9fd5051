"""Flowing ConvNets: cost of the paper's networks, losses, warping, pooling, the lite start."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from chronopose.errors import ShapeError, UsageError, WeightsError
from chronopose.losses.flowing import released_target
from chronopose.models._base import PoseModel
from chronopose.models._find import build_model
from chronopose.models.flowing_convnets import FlowingConvNets
from chronopose.nn.cost import count_macs
from chronopose.nn.pool import ParametricPool, present_frames
from chronopose.tensors import HeatmapOutput, Target

TINY = (64, 96)
SMALL = (32, 32)
NARROW = {"fusion.widths": (4, 4, 4, 4), "fusion.kernels": (3, 3, 3, 1)}


def build(preset: str, crop_size: tuple[int, int] = TINY, **overrides: Any) -> FlowingConvNets:
    model = build_model("flowing_convnets", preset, crop_size=crop_size, **overrides)
    assert isinstance(model, FlowingConvNets)
    return model


def on_meta(preset: str) -> FlowingConvNets:
    with torch.device("meta"):
        model = build_model("flowing_convnets", preset).eval()
    assert isinstance(model, FlowingConvNets)
    return model


def target_of(model: PoseModel, count: int = 2) -> Target:
    size = torch.tensor(model.needs.crop_size)
    joints = torch.rand(count, len(model.codec.skeleton), 2) * size
    return model.codec.encode(joints, torch.ones(joints.shape[:2]))


@pytest.mark.parametrize(
    ("preset", "params_m", "gmac"), [("fusion", 17.62, 77.8), ("spatial", 14.30, 64.2)]
)
def test_paper_networks_cost_what_the_specification_counted(
    preset: str, params_m: float, gmac: float
) -> None:
    cost = count_macs(on_meta(preset), torch.empty(1, 1, 3, 256, 256, device="meta"))
    assert cost.params / 1e6 == pytest.approx(params_m, abs=0.005)
    assert cost.macs / 1e9 == pytest.approx(gmac, abs=0.05)


def test_paper_layers_are_those_of_the_table() -> None:
    state = on_meta("fusion").state_dict()
    shapes = {k: tuple(v.shape) for k, v in state.items() if k.endswith("weight")}
    table = {
        "conv1": (128, 3, 5, 5), "conv2": (128, 128, 5, 5), "conv3": (128, 128, 5, 5),
        "conv4": (256, 128, 9, 9), "conv5": (512, 256, 9, 9), "conv6": (256, 512, 1, 1),
        "conv7": (256, 256, 1, 1), "conv8": (7, 256, 1, 1), "fusion.layers.0": (64, 384, 7, 7),
        "fusion.layers.2": (64, 64, 13, 13), "fusion.layers.4": (128, 64, 13, 13),
        "fusion.layers.6": (256, 128, 1, 1), "conv5_f": (7, 256, 1, 1),
    }  # fmt: skip
    assert shapes == {f"backbone.{k}.weight": v for k, v in table.items()}


def test_the_window_of_the_paper_is_fifteen_frames_each_way_and_pooling_217_numbers() -> None:
    model = on_meta("flowing")
    assert model.needs.offsets == tuple(range(-15, 16))
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == 7 * 31


def test_spatialnet_reads_grey_levels_without_a_mean() -> None:
    model = build("spatial", SMALL).eval()
    seen = []
    model.backbone.conv1.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    white = (1 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])
    model(white.view(1, 1, 3, 1, 1).expand(1, 1, 3, 32, 32))
    torch.testing.assert_close(seen[0], torch.full((1, 3, 32, 32), 255.0), rtol=0, atol=1e-3)


def test_conv8_is_never_negative_and_conv5_f_may_be() -> None:
    frames = torch.randn(1, 1, 3, 32, 32)
    with torch.no_grad():
        spatial = build("spatial", SMALL).eval()
        torch.nn.init.normal_(spatial.backbone.conv8.weight, std=1.0)
        fusion = build("fusion", SMALL, **NARROW).eval()
        torch.nn.init.normal_(fusion.backbone.conv5_f.weight, std=1.0)
        torch.nn.init.constant_(fusion.backbone.conv5_f.bias, -1.0)
        assert spatial(frames).heatmaps.min() == 0
        assert spatial(frames).heatmaps.max() > 0
        assert fusion(frames).heatmaps.min() < 0


def test_target_has_the_released_height_is_not_rounded_and_not_cut_off() -> None:
    codec = build("spatial", SMALL).codec
    joints = torch.full((1, 7, 2), torch.nan)
    joints[0, 0] = torch.tensor([13.5, 9.5])  # cells 3.0 and 2.0
    joints[0, 1] = torch.tensor([15.5, 9.5])  # half a cell further right
    maps = released_target(codec, joints)
    peak = 4 / (1.5 * math.sqrt(2 * math.pi))
    assert maps[0, 0, 2, 3] == pytest.approx(peak)
    assert peak == pytest.approx(1.0638, abs=1e-4)
    assert maps[0, 1, 2, 3] == pytest.approx(peak * math.exp(-(0.5**2) / 4.5))
    # Six cells right and five down, beyond three spreads.
    corner = maps[0, 0, 7, 7]
    assert corner == pytest.approx(peak * math.exp(-(4**2 + 5**2) / 4.5), rel=1e-4)
    assert corner > 0
    assert not maps[0, 2:].any()


def test_the_released_gradient_is_prediction_less_target() -> None:
    model = build("fusion", SMALL, loss_scale="sum", **NARROW)
    target = target_of(model)
    maps = [torch.randn(2, 7, 8, 8, requires_grad=True) for _ in range(2)]
    terms = model.criterion()(HeatmapOutput(maps[0], (maps[1],)), target)
    assert set(terms) == {"heatmap", "spatial"}
    assert model.weights_of_terms() == {}
    sum(terms.values()).backward()  # type: ignore[union-attr]
    truth = released_target(model.codec, target.joints)
    for each in maps:
        torch.testing.assert_close(each.grad, each.detach() - truth)


def test_the_mean_does_the_same_at_a_rate_larger_by_the_number_of_cells() -> None:
    rate = 1e-8 * 14 * 7 * 64**2
    assert rate == pytest.approx(4.0e-3, rel=0.01)
    loss = {}
    for scale in ("sum", "mean"):
        torch.manual_seed(0)
        model = build("spatial", SMALL, loss_scale=scale)
        output = HeatmapOutput(torch.randn(2, 7, 8, 8))
        loss[scale] = model.criterion()(output, target_of(model))["heatmap"].item()
    assert loss["sum"] == pytest.approx(loss["mean"] * 2 * 7 * 8 * 8, rel=1e-5)


def test_the_intended_losses_weigh_three_to_one() -> None:
    model = build("fusion", SMALL, loss_mode="intended", **NARROW)
    weights = model.weights_of_terms()
    assert weights["heatmap"] / weights["spatial"] == 3


def test_unlabelled_joints_do_not_pull_to_zero() -> None:
    model = build("spatial", SMALL)
    target = target_of(model, 1)
    target = target._replace(weight=target.weight * 0)
    maps = torch.randn(1, 7, 8, 8, requires_grad=True)
    model.criterion()(HeatmapOutput(maps), target)["heatmap"].backward()
    assert not maps.grad.any()  # type: ignore[union-attr]


def test_maps_of_another_size_are_refused_by_the_loss() -> None:
    model = build("spatial", SMALL)
    with pytest.raises(ShapeError, match="same codec"):
        model.criterion()(HeatmapOutput(torch.zeros(2, 7, 4, 4)), target_of(model))


def test_pooling_starts_at_half_for_the_key_frame_and_even_for_the_rest() -> None:
    weight = ParametricPool(2, 5).weight
    assert weight.shape == (2, 5)
    torch.testing.assert_close(weight[1], torch.tensor([0.125, 0.125, 0.5, 0.125, 0.125]))


def test_pooling_weighs_each_joint_and_frame_by_its_own_number() -> None:
    pool = ParametricPool(2, 3, bias=True)
    with torch.no_grad():
        pool.change[:, 0] = torch.tensor([[1.0, 2.0, 3.0], [-1.0, 4.0, 0.5]]) - pool.start
        pool.bias += torch.tensor([0.0, 10.0])  # type: ignore[misc]
    maps = torch.tensor([10.0, 20.0, 30.0]).view(1, 3, 1, 1, 1).expand(1, 3, 2, 1, 1)
    got = pool(maps, torch.ones(1, 3, dtype=torch.bool)).flatten()
    # 10 + 40 + 90, and -10 + 80 + 15 + 10.
    torch.testing.assert_close(got, torch.tensor([140.0, 95.0]))


def test_frames_repeated_at_the_end_of_a_clip_do_not_count_twice() -> None:
    frames = torch.arange(5.0).view(1, 5, 1, 1, 1)
    assert present_frames(frames, 2).tolist() == [[True] * 5]
    ends = torch.tensor([0.0, 0.0, 2.0, 2.0, 2.0]).view(1, 5, 1, 1, 1)
    assert present_frames(ends, 2).tolist() == [[False, True, True, False, False]]
    pool = ParametricPool(1, 5)
    # 0.125 and 0.5 are left of 1 and grow to 0.2 and 0.8.
    maps = torch.tensor([100.0, 1.0, 2.0, 100.0, 100.0]).view(1, 5, 1, 1, 1)
    assert pool(maps, present_frames(ends, 2)).item() == pytest.approx(0.2 * 1 + 0.8 * 2)


def test_weights_whose_rest_is_almost_zero_are_not_scaled_up() -> None:
    pool = ParametricPool(1, 3)
    with torch.no_grad():
        pool.change[0, 0] = torch.tensor([1.0, 0.5, -0.5]) - pool.start
    maps = torch.tensor([7.0, 1.0, 3.0]).view(1, 3, 1, 1, 1)
    got = pool(maps, torch.tensor([[False, True, True]]))
    assert got.item() == pytest.approx(0.5 * 1 - 0.5 * 3)


class ByHand(torch.nn.Module):
    """A flow that is the same everywhere, ``(u, v)`` cells for each neighbour."""

    def __init__(self, *moves: tuple[float, float]) -> None:
        super().__init__()
        self.moves = torch.tensor(moves)

    def forward(self, images: Tensor, key: int) -> Tensor:
        count, rows, columns = len(images), images.shape[-2] // 4, images.shape[-1] // 4
        return self.moves.view(1, -1, 2, 1, 1).expand(count, -1, -1, rows, columns)


def spot_maps(*places: tuple[int, int]) -> Tensor:
    """``(1, T, 7, 8, 8)``: one cell of 1 in each frame, at (column, row)."""
    maps = torch.zeros(1, len(places), 7, 8, 8)
    for t, (x, y) in enumerate(places):
        maps[0, t, :, y, x] = 1.0
    return maps


@pytest.mark.parametrize(("pooling", "height"), [("parametric", 1.0), ("sum", 1.0), ("max", 1.0)])
def test_flow_brings_the_neighbours_to_where_the_joint_is_now(pooling: str, height: float) -> None:
    model = build("spatial_flow", SMALL, num_frames=3, pooling=pooling).eval()
    # The joint moves right by two cells a frame: it was at 1, is at 3, will be at 5.
    model.flow = ByHand((-2.0, 0.0), (2.0, 0.0))
    kept = (spot_maps((1, 4), (3, 4), (5, 4)), torch.randn(1, 3, 3, 32, 32))
    with torch.no_grad():
        torch.testing.assert_close(model.fuse(kept).heatmaps, spot_maps((3, 4))[:, 0] * height)


def test_measured_flow_brings_a_moving_picture_together() -> None:
    pytest.importorskip("cv2")
    model = build("spatial_flow", TINY, num_frames=3).eval()
    coarse = torch.rand(3, 1, 12, 14, generator=torch.Generator().manual_seed(0))
    fine = torch.nn.functional.interpolate(coarse, scale_factor=8.0, mode="bicubic")[:, 0]
    picture = 3 * fine - 1.5
    # The picture moves right by two cells a frame, and the joint with it: 5, 7, 9.
    images = torch.stack([picture[:, :, 8 + x : 72 + x] for x in (8, 0, -8)])[None]
    maps = torch.zeros(1, 3, 7, 24, 16)
    for t, x in enumerate((5, 7, 9)):
        maps[0, t, :, 12, x] = 1.0
    with torch.no_grad():
        together = model.fuse((maps, images)).heatmaps[0, 0]
    assert together[12, 7] > 0.9
    assert together.sum() - together[12, 7] < 0.15


@pytest.mark.parametrize(
    ("pooling", "here", "there"), [("parametric", 0.5, 0.25), ("sum", 1 / 3, 1 / 3), ("max", 1, 1)]
)
def test_without_flow_a_moving_joint_leaves_a_trail(
    pooling: str, here: float, there: float
) -> None:
    model = build("fusion_noflow", SMALL, num_frames=3, pooling=pooling, **NARROW).eval()
    kept = (spot_maps((1, 4), (3, 4), (5, 4)), torch.randn(1, 3, 3, 32, 32))
    with torch.no_grad():
        row = model.fuse(kept).heatmaps[0, 0, 4]
    assert row.tolist() == pytest.approx([0, there, 0, here, 0, there, 0, 0])


@pytest.mark.parametrize("pooling", ["sum", "max"])
def test_repeated_frames_have_no_say_in_sum_and_max(pooling: str) -> None:
    model = build("fusion_noflow", SMALL, num_frames=3, pooling=pooling, **NARROW).eval()
    images = torch.randn(1, 3, 3, 32, 32)
    images[:, 2] = images[:, 1]
    maps = spot_maps((1, 1), (3, 3), (6, 6))
    with torch.no_grad():
        got = model.fuse((maps, images)).heatmaps
    want = maps[:, 0] + maps[:, 1]
    torch.testing.assert_close(got, want / 2 if pooling == "sum" else want)


def test_logits_are_pooled_as_evidence_against_a_uniform_map() -> None:
    model = build("lite", SMALL, variant="spatial", num_frames=3, skeleton="upper7").eval()
    model.flow = ByHand((0.0, 0.0), (100.0, 0.0))
    with torch.no_grad():
        model.pool.change[:] = torch.tensor([0.5, 1.0, 2.0]) - model.pool.start
    maps = torch.randn(1, 3, 7, 8, 8)
    # Constants that softmax does not see change nothing; the last frame is out of the picture.
    shifted = maps + torch.tensor([5.0, -3.0, 40.0]).view(1, 3, 1, 1, 1)
    images = torch.randn(1, 3, 3, 32, 32)
    with torch.no_grad():
        got = model.codec.probability(model.fuse((shifted, images)).heatmaps)
    p = model.codec.probability(maps[0])
    want = p[0].sqrt() * p[1]
    want = want / want.sum((-2, -1), keepdim=True)
    torch.testing.assert_close(got[0], want)


@pytest.mark.parametrize(
    ("preset", "overrides"), [("lite", {}), ("lite", {"variant": "spatial"}), ("lite_noflow", {})]
)
def test_untrained_lite_equals_its_single_frame_twin(
    preset: str, overrides: dict[str, Any]
) -> None:
    twin = build_model("simple_baseline", "lite", crop_size=TINY).eval()
    torch.nn.init.normal_(twin.head.weight)  # type: ignore[union-attr,arg-type]
    model = build(preset, **overrides).eval()
    model.load_single_frame(twin.state_dict())
    frames = torch.randn(2, 5, 3, 96, 64)
    with torch.no_grad():
        want = twin(frames[:, 2:3]).heatmaps
        torch.testing.assert_close(model(frames).heatmaps, want, rtol=1e-5, atol=1e-5)


def test_lite_trains_as_much_as_tdmi_lite_does() -> None:
    model = on_meta("lite")
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert 1e5 < trained < 2e5
    extra = count_macs(model, torch.empty(1, 3, 256, 192, device="meta"), method="encode").macs
    assert extra < 1.3 * 1.91e9


def test_training_leaves_a_frozen_twin_alone_and_reaches_fusion_and_pooling() -> None:
    model = build("lite").train()
    torch.nn.init.normal_(model.head.weight, std=0.05)
    target = target_of(model)
    terms = model.criterion()(model(torch.randn(2, 5, 3, 96, 64)), target)
    assert set(terms) == {"heatmap", "side_4"}
    sum(terms.values()).backward()  # type: ignore[union-attr]
    reached = {n.split(".")[0] for n, p in model.named_parameters() if p.grad is not None}
    assert reached == {"fusion", "head", "pool"}
    assert model.pool.change.grad.abs().min() > 0  # type: ignore[union-attr]


def test_the_second_stage_starts_from_the_first_and_may_train_both() -> None:
    first = build("fusion", SMALL, **NARROW)
    torch.nn.init.normal_(first.backbone.conv5_f.weight)
    frames = torch.randn(1, 3, 3, 32, 32)
    second = build("flowing", SMALL, num_frames=3, freeze_backbone=False, **NARROW)
    second.load_single_frame(first.state_dict())
    with torch.no_grad():
        again = torch.stack([second.encode(f)[0] for f in frames.unbind(1)], 1)
        torch.testing.assert_close(again[:, 1], first(frames[:, 1:2]).heatmaps)
    terms = second.train().criterion()(second(frames), target_of(second, 1))
    assert set(terms) == {"heatmap", "frame", "spatial"}
    sum(terms.values()).backward()  # type: ignore[union-attr]
    assert all(p.grad is not None for p in second.parameters())


def test_coordinatenet_learns_places_and_has_no_doubts() -> None:
    model = build("coordinate", SMALL)
    frames = torch.randn(1, 1, 3, 32, 32)
    joints = torch.full((1, 7, 2), 7.5)  # a quarter of the crop
    joints[0, 6] = torch.nan
    target = model.codec.encode(joints, torch.ones(1, 7))
    output = model.eval()(frames)
    assert model.codec.decode(output).score.tolist() == [[1.0] * 7]
    place = model.criterion()(output, target)["place"]
    # Half the mean over 7 joints and 2 axes; the unknown joint adds nothing.
    want = 0.5 * (output.joints[0, :6] - 0.25).square().sum() / 14
    torch.testing.assert_close(place, want)
    place.backward()
    assert all(p.grad is not None for p in model.parameters())


def test_weights_of_another_network_are_refused() -> None:
    with pytest.raises(WeightsError, match="single-frame twin of spatialnet"):
        build("flowing", SMALL, num_frames=3).load_single_frame({"backbone.conv1": torch.ones(1)})


def test_windows_of_another_length_are_refused() -> None:
    with pytest.raises(ShapeError, match="windows of 5 frames; got 3"):
        build("lite").eval()(torch.randn(1, 3, 3, 96, 64))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"num_frames": 4}, "num_frames must be odd.*got 4"),
        ({"activation": "softmax"}, "squared error.*activation='softmax'"),
        ({"pretrained": True}, "pretrained=True"),
        ({"variant": "coordinate"}, "CoordinateNet.*num_frames=31"),
    ],
)
def test_settings_that_make_no_sense_are_refused(overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build("flowing", **overrides)
