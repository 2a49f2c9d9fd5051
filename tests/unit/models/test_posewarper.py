"""PoseWarper: its size, the identity it starts from, the average, training, labels carried over."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from chronopose.errors import ShapeError, UsageError
from chronopose.models._find import build_model
from chronopose.models.posewarper import FrameMaps, PoseWarper
from chronopose.nn.cost import count_macs

TINY = (64, 96)
PLAIN = {"activation": "gaussian", "decoder": "quarter", "residual_head": False}
"""Maps as in the paper, on the small network."""


def build(**overrides: Any) -> PoseWarper:
    model = build_model("posewarper", "lite", **{"crop_size": TINY, **overrides})
    assert isinstance(model, PoseWarper)
    return model


def numbered(count: int = 1) -> FrameMaps:
    """Windows in which every map of frame t is t everywhere."""
    frame = torch.arange(5.0).view(1, 5, 1, 1, 1)
    return FrameMaps(frame.expand(count, 5, 14, 24, 16).contiguous())


def trainable(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def test_paper_network_has_the_warper_of_the_specification() -> None:
    with torch.device("meta"):
        model = build_model("posewarper", "hrnet_w48").eval()
    first = (17 * 9 + 128 * 9 + 17 + 6) * 128
    blocks = first + 19 * (2 * 128 * 9 + 4) * 128
    steps = 5 * (128 * (17 * 2 * 9) * 9 + 17 * 17 * 9)
    assert trainable(model) == blocks + steps
    frames = torch.empty(1, 5, 3, 384, 288, device="meta")
    # Five frames through the backbone; five through the warper's convolutions, 6912 cells each.
    warper = (blocks - 41 * 2 * 128 + steps) * 6912
    assert count_macs(model, frames).macs == pytest.approx(5 * (35.301e9 + warper), rel=1e-3)


def test_lite_trains_a_tenth_of_a_million_numbers() -> None:
    assert 0.05e6 < trainable(build()) < 0.2e6


def test_untrained_lite_equals_its_single_frame_twin() -> None:
    twin = build_model("simple_baseline", "lite", crop_size=TINY).eval()
    nn.init.normal_(twin.head.weight)  # type: ignore[union-attr,arg-type]
    model = build().eval()
    model.load_single_frame(twin.state_dict())
    frames = torch.randn(2, 5, 3, 96, 64)
    with torch.no_grad():
        want = twin(frames[:, 2:3]).heatmaps
        torch.testing.assert_close(model(frames).heatmaps, want, rtol=1e-5, atol=1e-5)


def test_untrained_warper_averages_the_frames_by_the_published_weights() -> None:
    model = build(**PLAIN).eval()
    with torch.no_grad():
        heatmaps = model.fuse(numbered()).heatmaps
    # .1 * 0 + .25 * 1 + .3 * 2 + .25 * 3 + .1 * 4 = 2
    torch.testing.assert_close(heatmaps, torch.full_like(heatmaps, 2.0))
    model = build(**PLAIN, frame_weights=(0.0, 0.5, 0.5)).eval()
    with torch.no_grad():
        heatmaps = model.fuse(FrameMaps(numbered().heatmaps[:, :3])).heatmaps
    torch.testing.assert_close(heatmaps, torch.full_like(heatmaps, 1.5))


def test_training_as_published_draws_one_frame_of_each_window_evenly() -> None:
    torch.manual_seed(0)
    model = build(**PLAIN, supervise="drawn", blocks=1, width=4, dilations=(1,))
    model.train()
    with torch.no_grad():
        output = model.fuse(numbered(250))
    drawn = output.heatmaps.mean((1, 2, 3)).round().long()
    torch.testing.assert_close(output.heatmaps.mean((1, 2, 3)), drawn.float())
    # 50 of each are expected, with a spread of 6.
    assert torch.bincount(drawn, minlength=5).sub(50).abs().max() < 25
    assert output.side == ()


def test_training_on_all_frames_compares_each_of_them_and_the_answer() -> None:
    model = build(**PLAIN)
    model.train()
    joints = 8 + torch.rand(2, 14, 2) * 40
    target = model.codec.encode(joints, torch.ones(2, 14))
    with torch.no_grad():
        output = model.fuse(numbered(2))
        terms = model.criterion()(output, target)
    assert set(terms) == {"heatmap", "warped"}
    truth = target.heatmaps
    assert truth is not None
    each = torch.stack([0.5 * (t - truth).square().mean() for t in range(5)])
    torch.testing.assert_close(terms["warped"], each.mean())
    torch.testing.assert_close(terms["heatmap"], 0.5 * (2.0 - truth).square().mean())


def blobs(model: PoseWarper, shift: Tensor) -> tuple[Tensor, Tensor]:
    """Target maps of random joints, and of the same joints moved by ``shift`` pixels."""
    joints = 20 + torch.rand(6, 14, 2) * 24
    visible = torch.ones(6, 14)
    here, there = model.codec.encode(joints, visible), model.codec.encode(joints + shift, visible)
    assert here.heatmaps is not None and there.heatmaps is not None
    return here.heatmaps, there.heatmaps


def test_warper_learns_to_follow_a_pose_that_moves() -> None:
    torch.manual_seed(0)
    model = build(**PLAIN)
    model.train()
    optimiser = torch.optim.Adam(model.warp.parameters(), lr=5e-3)
    for _ in range(40):
        key, support = blobs(model, torch.tensor([8.0, 0.0]))
        loss = (model.warp(support, key - support) - key).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    key, support = blobs(model, torch.tensor([8.0, 0.0]))
    assert loss.item() < 0.3 * (support - key).square().mean().item()


@pytest.mark.parametrize("overrides", [{}, PLAIN], ids=["logits", "gaussian"])
def test_labels_spread_to_a_frame_that_looks_the_same(overrides: dict[str, Any]) -> None:
    model = build(**overrides).eval()
    joints = 12 + 4 * torch.arange(14.0)[None, :, None].expand(1, 14, 2) / 2
    labels = model.codec.encode(joints, torch.ones(1, 14)).heatmaps
    assert labels is not None
    own = torch.randn(1, 14, 24, 16)
    with torch.no_grad():
        poses = model.codec.decode(model.spread(labels, own, own))
    assert (torch.from_numpy(poses.xy) - joints).abs().max() < 1.01


def test_windows_and_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ShapeError, match="windows of 5 frames; got 3"):
        build()(torch.zeros(1, 3, 3, 96, 64))
    with pytest.raises(UsageError, match="supervise='all'"):
        build(supervise="drawn")
    with pytest.raises(UsageError, match="odd number"):
        build(frame_weights=(0.5, 0.5))
    with pytest.raises(UsageError, match="at least one block"):
        build(dilations=())
