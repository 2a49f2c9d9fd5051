"""The temporal convolutions: sizes, what each answer sees, and the two forms."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from chronopose.errors import ShapeError, UsageError
from chronopose.models._find import build_lifter
from chronopose.models._lift import overlapping
from chronopose.nn.cost import count_macs


@pytest.mark.parametrize(
    ("preset", "frames", "millions"),
    [("t9", 9, 4.36), ("t27", 27, 8.56), ("t81", 81, 12.75), ("t243", 243, 16.95)],
)
def test_sizes_are_the_published_ones(preset: str, frames: int, millions: float) -> None:
    with torch.device("meta"):
        model = build_lifter("temporal_cnn", preset)
    assert model.needs.frames == frames
    assert round(sum(p.numel() for p in model.parameters()) / 1e6, 2) == millions


def test_a_window_costs_what_its_layers_say() -> None:
    # 9 frames, 1024 channels: 3 groups of 34x3, one of 3x1024, one 1x1, and 51 numbers out.
    model = build_lifter("temporal_cnn:t9").eval()
    macs = 3 * 34 * 3 * 1024 + 3 * 1024**2 + 1024**2 + 1024 * 51
    assert count_macs(model, torch.empty(1, 9, 17, 2)).macs == macs


def quiet(**settings: Any) -> Any:
    """A network whose blocks only pass on the frame that they add."""
    torch.manual_seed(0)
    model: Any = build_lifter("temporal_cnn:lite", **settings).eval()
    for block in model.blocks:
        torch.nn.init.zeros_(block.point.norm.weight)
    return model


@pytest.mark.parametrize(
    ("settings", "seen"),
    [
        ({}, {3, 4, 5}),
        ({"causal": True}, {6, 7, 8}),
        ({"widths": (1, 5)}, {2}),
        ({"widths": (5, 3)}, {5, 6, 7, 8, 9}),
    ],
)
def test_residual_takes_the_middle_frame_and_the_last_one_if_causal(
    settings: dict[str, Any], seen: set[int]
) -> None:
    model = quiet(**settings)
    poses = torch.randn(1, model.needs.frames, 17, 2, requires_grad=True)
    model(poses).xyz.sum().backward()
    assert poses.grad is not None
    touched = poses.grad.abs().sum((0, 2, 3)).nonzero().flatten().tolist()
    assert set(touched) == seen


def test_an_answer_sees_every_frame_of_its_window_and_no_other() -> None:
    model = build_lifter("temporal_cnn:lite", widths=(3, 5)).eval()
    poses = torch.randn(1, 20, 17, 2, requires_grad=True)
    model.dense(poses).xyz[0, 2].sum().backward()
    assert poses.grad is not None
    seen = poses.grad.abs().sum((0, 2, 3)).nonzero().flatten().tolist()
    assert seen == list(range(2, 17))


def test_causal_networks_wait_for_nothing() -> None:
    causal = build_lifter("temporal_cnn:lite", causal=True)
    middle = build_lifter("temporal_cnn:lite")
    assert (causal.needs.before, causal.needs.lookahead) == (8, 0)
    assert (middle.needs.before, middle.needs.lookahead) == (4, 4)
    shapes = [{k: v.shape for k, v in m.state_dict().items()} for m in (causal, middle)]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("causal", [False, True])
def test_strides_and_dilations_give_the_same_numbers(causal: bool) -> None:
    torch.manual_seed(0)
    model = build_lifter("temporal_cnn:lite", causal=causal, widths=(3, 5, 3)).double()
    poses = torch.randn(2, 52, 17, 2, dtype=torch.float64)
    model.train()(poses[:, :45])
    model.eval()
    with torch.no_grad():
        dense = model.dense(poses).xyz
        each = torch.cat([model(poses[:, i : i + 45]).xyz for i in range(8)], 1)
    torch.testing.assert_close(dense, each, rtol=0, atol=1e-12)


def test_long_clips_are_cut_so_that_each_window_is_in_one_part() -> None:
    clip = torch.arange(23)[None]
    parts = list(overlapping(clip, frames=5, windows=8))
    starts = [p[0, i].item() for p in parts for i in range(p.shape[1] - 4)]
    assert starts == list(range(19))
    assert [p.shape[1] for p in parts] == [12, 12, 7]


def test_ends_are_repeated_so_that_every_frame_is_answered() -> None:
    for causal, first in ((False, [0] * 4), (True, [0] * 8)):
        model = build_lifter("temporal_cnn:lite", causal=causal)
        clip = torch.arange(3.0).view(1, 3, 1, 1).expand(-1, -1, 17, 2)
        padded = model.pad_ends(clip)
        assert padded[0, :, 0, 0].tolist() == [*first, 0, 1, 2, *[2] * (8 - len(first))]
        assert model.eval().dense(padded).xyz.shape == (1, 3, 17, 3)


def test_wrong_poses_are_refused_with_the_way_out() -> None:
    model = build_lifter("temporal_cnn:lite")
    with pytest.raises(ShapeError, match="17, 2"):
        model(torch.zeros(1, 9, 17, 3))
    with pytest.raises(ShapeError, match="dense"):
        model(torch.zeros(1, 10, 17, 2))
    with pytest.raises(ShapeError, match="pad_ends"):
        model.dense(torch.zeros(1, 8, 17, 2))
    with pytest.raises(UsageError, match="odd"):
        build_lifter("temporal_cnn:lite", widths=(3, 4))


def test_the_score_is_a_third_number() -> None:
    model = build_lifter("temporal_cnn:lite", score=True).eval()
    assert model.needs.channels == 3
    poses = torch.zeros(1, 9, 17, 3)
    seen = poses.clone()
    seen[..., 2] = 1
    assert not torch.equal(model(poses).xyz, model(seen).xyz)
