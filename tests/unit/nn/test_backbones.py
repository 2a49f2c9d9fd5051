"""Backbones: stages, keys, and no work that nobody asked for."""

from __future__ import annotations

import pytest
import torch

from chronopose.errors import UsageError
from chronopose.nn.backbones import BACKBONES, LiteBackbone, build_backbone
from chronopose.nn.cost import count_macs, trace_shapes

FRAME = torch.empty(1, 3, 96, 64, device="meta")


@pytest.mark.parametrize("name", BACKBONES)
def test_every_stage_is_at_stride_four_with_the_stated_channels(name: str) -> None:
    with torch.device("meta"):
        net = build_backbone(name).eval()
    taps = trace_shapes(net, FRAME, method="forward_stages")
    assert [tuple(t.shape) for t in taps] == [(1, c, 24, 16) for c in net.channels]
    assert net.out_channels == net.channels[3]


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("hrnet_w48", (256, 48, 48, 48)),
        ("hrnet_w32", (256, 32, 32, 32)),
        ("hrnet_w18_small_v2", (256, 18, 18, 18)),
        ("resnet50", (256, 256, 256, 256)),
        ("lite", (64, 64, 64, 64)),
    ],
)
def test_channels_of_the_stages(name: str, channels: tuple[int, ...]) -> None:
    with torch.device("meta"):
        assert build_backbone(name).channels == channels


def test_hrnet_taps_can_be_the_transition_and_all_branches() -> None:
    with torch.device("meta"):
        net = build_backbone("hrnet_w48", stage1="transition", branches="all").eval()
    assert net.channels == (48, 144, 336, 48)
    assert [t.shape[1] for t in trace_shapes(net, FRAME, method="forward_stages")] == [
        48,
        144,
        336,
        48,
    ]


def test_hrnet_keys_are_those_of_the_pose_release() -> None:
    with torch.device("meta"):
        keys = build_backbone("hrnet_w32", num_joints=17).state_dict().keys()
    assert {k.split(".")[0] for k in keys} == {
        "conv1", "bn1", "conv2", "bn2", "layer1", "transition1", "transition2", "transition3",
        "stage2", "stage3", "stage4", "final_layer",
    }  # fmt: skip
    # The last module fuses into the high-resolution branch only.
    assert {k.split(".")[3] for k in keys if k.startswith("stage4.2.fuse_layers")} == {"0"}


def test_lite_keys_are_body_lateral_and_smooth() -> None:
    keys = LiteBackbone().state_dict().keys()
    assert {k.split(".")[0] for k in keys} == {"body", "lateral", "smooth"}


@pytest.mark.parametrize("name", ["lite", "resnet50"])
def test_single_frame_path_upsamples_no_coarse_stage(name: str) -> None:
    net, frame = build_backbone(name).eval(), torch.randn(1, 3, 64, 64)
    with torch.no_grad(), torch.profiler.profile() as fine:
        net(frame)
    with torch.no_grad(), torch.profiler.profile() as every:
        net.forward_stages(frame)
    steps = [
        sum(e.count for e in p.key_averages() if e.key == "aten::upsample_nearest2d")
        for p in (fine, every)
    ]
    assert steps[1] - steps[0] == 2


def test_last_stage_is_the_same_alone_and_with_the_others() -> None:
    net, frame = build_backbone("lite").eval(), torch.randn(1, 3, 64, 32)
    with torch.no_grad():
        assert torch.equal(net(frame), net.forward_stages(frame)[3])


def test_lite_stages_are_the_pyramid_from_coarse_to_fine() -> None:
    net, frame = LiteBackbone().eval(), torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        shallow, (fine, middle, coarse, _) = net.pyramid(frame)
        one, two, three, four = net.forward_stages(frame)
    assert torch.equal(one, shallow)
    assert torch.equal(two[..., ::4, ::4], coarse)
    assert torch.equal(three[..., ::2, ::2], middle)
    assert torch.equal(four, fine)


def test_lite_costs_two_billion_multiply_adds_a_crop() -> None:
    with torch.device("meta"):
        cost = count_macs(build_backbone("lite"), torch.empty(1, 3, 256, 192))
    assert cost.params == pytest.approx(7.99e6, rel=0.01)
    assert cost.macs == pytest.approx(1.90e9, rel=0.01)


def test_unknown_backbone_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match="hrnet_w48"):
        build_backbone("vgg16")


def test_lite_has_no_imagenet_weights() -> None:
    with pytest.raises(UsageError, match="no ImageNet weights"):
        build_backbone("lite", pretrained=True)
