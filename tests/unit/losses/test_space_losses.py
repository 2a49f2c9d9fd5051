"""Distances of joints in space as a loss, by hand."""

from __future__ import annotations

import pytest
import torch

from chronopose.errors import ShapeError
from chronopose.losses.space import SpaceCriterion
from chronopose.tensors.space import LiftOutput, LiftTarget


def target(*, frames: int = 1, joints: int = 2) -> LiftTarget:
    return LiftTarget(torch.zeros(1, frames, joints, 3), torch.ones(1, frames, joints))


def test_mean_distance_of_two_joints() -> None:
    # 3-4-5 and 0: the mean is 2.5.
    output = LiftOutput(torch.tensor([[[[3.0, 4.0, 0.0], [0.0, 0.0, 0.0]]]]))
    assert SpaceCriterion()(output, target())["mpjpe"].item() == 2.5


def test_unknown_joints_do_not_count_even_if_their_label_is_not_a_number() -> None:
    truth = target()
    truth.xyz[0, 0, 1] = torch.nan
    truth.weight[0, 0, 1] = 0
    pred = torch.full((1, 1, 2, 3), 2.0, requires_grad=True)
    loss = SpaceCriterion()(LiftOutput(pred), truth)["mpjpe"]
    assert loss.item() == pytest.approx(12**0.5)
    loss.backward()
    assert pred.grad is not None
    assert torch.isfinite(pred.grad).all()
    assert not pred.grad[0, 0, 1].any()


def test_no_known_joint_costs_nothing() -> None:
    truth = target()
    pred = torch.ones(1, 1, 2, 3, requires_grad=True)
    loss = SpaceCriterion()(LiftOutput(pred), LiftTarget(truth.xyz, truth.weight * 0))["mpjpe"]
    loss.backward()
    assert loss.item() == 0
    assert pred.grad is not None
    assert not pred.grad.any()


def test_perfect_answers_have_finite_gradients() -> None:
    pred = torch.zeros(1, 2, 2, 3, requires_grad=True)
    terms = SpaceCriterion(velocity=True)(LiftOutput(pred), target(frames=2))
    (terms["mpjpe"] + terms["velocity"]).backward()
    assert pred.grad is not None
    assert not pred.grad.any()


def test_a_constant_error_has_no_velocity() -> None:
    # Both frames are 2 m off: a distance of 2, a step error of 0.
    pred = torch.zeros(1, 2, 2, 3)
    pred[..., 0] = 2
    terms = SpaceCriterion(velocity=True)(LiftOutput(pred), target(frames=2))
    assert (terms["mpjpe"].item(), terms["velocity"].item()) == (2.0, 0.0)


def test_velocity_counts_joints_known_in_both_frames() -> None:
    # Joint 0 steps by 6 m where the label stands still; joint 1 is unknown in the first frame.
    pred = torch.zeros(1, 2, 2, 3)
    pred[0, 1] = torch.tensor([0.0, 6.0, 0.0])
    truth = target(frames=2)
    truth.weight[0, 0, 1] = 0
    terms = SpaceCriterion(velocity=True)(LiftOutput(pred), truth)
    assert terms["velocity"].item() == 6
    assert terms["mpjpe"].item() == pytest.approx((0 + 6 + 6) / 3)


def test_shapes_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ShapeError, match="do not belong together"):
        SpaceCriterion()(LiftOutput(torch.zeros(1, 1, 2, 3)), target(frames=3))
    with pytest.raises(ShapeError, match="two frames"):
        SpaceCriterion(velocity=True)(LiftOutput(torch.zeros(1, 1, 2, 3)), target())
