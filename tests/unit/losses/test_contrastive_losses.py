"""Losses in time: worked out by hand on a few unit vectors of the plane."""

import math

import numpy as np
import pytest
import torch

from chronopose.core.skeletons import H36M17, UPPER7
from chronopose.errors import SkeletonMismatch, UsageError
from chronopose.losses.contrastive import (
    contrastive_loss,
    matched_colours,
    near_and_away,
    rank_loss,
    same_pose,
    similarities,
    torso_joints,
    transition_loss,
    transition_target,
    unit,
)
from chronopose.losses.perceptual import FeatureDistance


def turned(*degrees: float) -> torch.Tensor:
    """One sample of unit vectors at these angles, ``(1, M, 2)``."""
    angle = torch.deg2rad(torch.tensor(degrees))
    return torch.stack([angle.cos(), angle.sin()], -1)[None]


def flags(*values: int) -> torch.Tensor:
    return torch.tensor([values], dtype=torch.bool)


def test_vectors_become_of_length_one_and_zero_stays_zero():
    torch.testing.assert_close(
        unit(torch.tensor([[3.0, 4.0], [0.0, 0.0]])), torch.tensor([[0.6, 0.8], [0.0, 0.0]])
    )


def test_cosines_are_with_the_first_moment():
    expected = torch.tensor([[1.0, 0.5, 0.0, -1.0]])
    torch.testing.assert_close(similarities(turned(10, 70, 100, 190)), expected, atol=1e-6, rtol=0)


def test_seconds_decide_what_is_near_and_away_with_both_limits_included():
    delta = torch.tensor([[0.0, 0.2, -0.2, 0.21, -0.99, 1.0, -3.0]])
    near, middle, away = near_and_away(delta, 0.2, 1.0)
    assert near.tolist() == flags(0, 1, 1, 0, 0, 0, 0).tolist()
    assert middle.tolist() == flags(0, 0, 0, 1, 1, 0, 0).tolist()
    assert away.tolist() == flags(0, 0, 0, 0, 0, 1, 1).tolist()


def test_contrast_is_minus_log_of_the_share_of_the_near_moment():
    # Cosines 1 (near) and 0, -1 (away), T = 0.5: -log(e^2 / (e^2 + e^0 + e^-2)).
    loss = contrastive_loss(turned(0, 0, 90, 180), flags(0, 1, 0, 0), flags(0, 0, 1, 1), 0.5)
    expected = -math.log(math.exp(2) / (math.exp(2) + 1 + math.exp(-2)))
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_each_near_moment_stands_against_all_away_and_not_against_the_other_near_one():
    # Near at 0 and 60 degrees, away at 90: the mean of log(1 + e^(0 - 1)) and log(1 + e^(0 - .5)).
    loss = contrastive_loss(turned(0, 0, 60, 90), flags(0, 1, 1, 0), flags(0, 0, 0, 1), 1.0)
    expected = (math.log(1 + math.exp(-1)) + math.log(1 + math.exp(-0.5))) / 2
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_a_sample_without_a_near_moment_does_not_count_in_the_mean():
    units = torch.cat([turned(0, 0, 90), turned(0, 45, 90)])
    near, away = flags(0, 1, 0), flags(0, 0, 1)
    both = contrastive_loss(
        units, torch.cat([near, torch.zeros_like(near)]), torch.cat([away, away]), 1.0
    )
    assert both.item() == pytest.approx(contrastive_loss(units[:1], near, away, 1.0).item())


def test_moments_of_other_videos_are_negatives_only_when_asked_for():
    # Sample 0 has no moment away; the two of the other video lie at 90 degrees to it.
    units = torch.cat([turned(0, 0), turned(90, 90)])
    near, none = flags(0, 1).repeat(2, 1), flags(0, 0).repeat(2, 1)
    assert contrastive_loss(units, near, none, 1.0).item() == pytest.approx(0)
    apart = contrastive_loss(units, near, none, 1.0, torch.tensor([0, 1]))
    assert apart.item() == pytest.approx(math.log(1 + 2 * math.exp(-1)), rel=1e-5)
    same = contrastive_loss(units, near, none, 1.0, torch.tensor([4, 4]))
    assert same.item() == pytest.approx(0)


def test_wanted_likeness_is_one_when_near_a_half_midway_and_zero_when_away():
    delta = torch.tensor([0.0, 0.2, -0.6, 1.0, 7.0])
    expected = torch.tensor([1.0, 1.0, 0.5, 0.0, 0.0])
    torch.testing.assert_close(transition_target(delta, 0.2, 1.0), expected)


def test_times_that_do_not_rise_are_refused():
    with pytest.raises(UsageError, match="above near_s"):
        transition_target(torch.zeros(1), 1.0, 1.0)


def test_a_linear_turn_costs_what_it_misses_and_moments_beyond_are_free():
    # At 0.6 s likeness 1/2 is wanted: 90 degrees gives it, 0 degrees misses by 1/2.
    delta = torch.tensor([[0.0, 0.6, 0.6, 2.0]])
    loss = transition_loss(turned(0, 90, 0, 33), delta, 0.2, 1.0)
    assert loss.item() == pytest.approx((0.0 + 0.25) / 2, abs=1e-6)


def test_order_is_free_when_margins_hold_and_costs_the_lack_otherwise():
    near, middle, away = flags(0, 1, 0, 0), flags(0, 0, 1, 0), flags(0, 0, 0, 1)
    good = rank_loss(turned(0, 0, 60, 90), near, middle, away, 0.1)
    assert good.item() == pytest.approx(0, abs=1e-6)
    # near 0.5, middle 1: 0.1 + 0.5 lacks; middle 1, away 0: nothing lacks. Mean of two pairs.
    bad = rank_loss(turned(0, 60, 0, 90), near, middle, away, 0.1)
    assert bad.item() == pytest.approx(0.3, abs=1e-6)


def test_a_pose_seen_again_elsewhere_and_larger_is_the_same_pose():
    rng = np.random.default_rng(0)
    pose = torch.from_numpy(rng.normal(size=(17, 2)))
    other = pose.clone()
    other[H36M17.index("left_wrist")] += 50
    unknown = torch.full_like(pose, torch.nan)
    xy = torch.stack([pose, 3 * pose + 100, other, unknown])[None]
    found = same_pose(xy, torso_joints(H36M17), 0.1)
    assert found.tolist() == [[True, True, False, False]]


def test_the_threshold_is_in_torso_lengths_of_the_mean_joint():
    pose = torch.zeros(17, 2)
    for name in ("left_shoulder", "right_shoulder"):
        pose[H36M17.index(name), 1] = -10.0
    moved = pose.clone()
    moved[H36M17.index("head"), 0] = 17.0  # 1.7 torsos over 17 joints: 0.1 on average
    xy = torch.stack([pose, moved])[None].double()
    assert same_pose(xy, torso_joints(H36M17), 0.101).tolist() == [[True, True]]
    assert same_pose(xy, torso_joints(H36M17), 0.099).tolist() == [[True, False]]


def test_a_skeleton_without_hips_has_no_torso():
    with pytest.raises(SkeletonMismatch, match="left_hip"):
        torso_joints(UPPER7)


def test_colours_take_over_mean_and_spread_of_the_target():
    drawn = torch.arange(8.0).reshape(1, 2, 2, 2)
    target = torch.tensor([[[[1.0, 1], [3, 3]], [[0, 0], [0, 0]]]])
    made = matched_colours(drawn, target)
    torch.testing.assert_close(made.mean((2, 3)), target.mean((2, 3)), atol=1e-5, rtol=0)
    torch.testing.assert_close(made.std((2, 3)), target.std((2, 3)), atol=1e-4, rtol=0)


def test_features_do_not_learn_but_pictures_do():
    torch.manual_seed(0)
    distance = FeatureDistance(pretrained=False).train()
    drawn = torch.randn(1, 3, 32, 32, requires_grad=True)
    target = torch.randn(1, 3, 32, 32)
    loss = distance(drawn, target)
    loss.backward()
    assert loss > 0
    assert drawn.grad is not None
    assert drawn.grad.abs().sum() > 0
    assert not distance.features.training
    assert all(p.grad is None for p in distance.parameters())
    assert distance(target, target).item() == 0
