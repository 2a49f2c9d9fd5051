"""Residual log-likelihood against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from chronopose.core.skeleton import Skeleton
from chronopose.errors import ShapeError
from chronopose.losses.rle import ResidualLogLikelihood
from chronopose.nn.coupling import RealNVP
from chronopose.tensors import RegressionOutput, Target

ARM = Skeleton("arm", ("neck", "left_wrist", "right_wrist"))
LOG_2PI = math.log(2 * math.pi)


def output(error: list[float], sigma: float = 0.5) -> RegressionOutput:
    """Three joints of one clip; the neck is off by ``error``, the wrists are exact."""
    joints = torch.full((1, 3, 2), 0.4)
    joints[0, 0] += torch.tensor(error)
    return RegressionOutput(joints, torch.full((1, 3, 2), sigma))


def target(weight: list[float]) -> Target:
    shares = torch.full((1, 3, 2), 0.4)
    return Target(shares * 100, torch.tensor([weight]), shares=shares)


def test_terms_of_one_joint_are_those_worked_out_by_hand() -> None:
    terms = ResidualLogLikelihood(ARM, RealNVP())(output([0.1, 0.0]), target([1, 0, 0]))
    # Spread 0.5, residual (0.2, 0): log p = -log 2pi - 0.02, and it counts for x and for y.
    flow = 2 * math.log(0.5) + 2 * (LOG_2PI + 0.02)
    # Both axes have log(0.5 sqrt(2pi)); only x has an error, 0.1 / (sqrt(2) 0.5).
    base = 2 * (math.log(0.5) + LOG_2PI / 2) + 0.1 / (math.sqrt(2) * 0.5)
    assert terms["flow"].item() == pytest.approx(flow, abs=1e-5)
    assert terms["base"].item() == pytest.approx(base, abs=1e-5)


def test_the_mean_of_the_prior_shifts_where_residuals_are_likely() -> None:
    loss = ResidualLogLikelihood(ARM, RealNVP(prior_mean=0.5))
    exact = loss(output([0.0, 0.0]), target([1, 0, 0]))["flow"].item()
    # The release's prior: (0.5^2 + 0.5^2) / 2 nats, twice, are lost by being exact.
    assert exact == pytest.approx(2 * math.log(0.5) + 2 * (LOG_2PI + 0.25), abs=1e-5)
    off = loss(output([0.25, 0.25]), target([1, 0, 0]))["flow"].item()
    assert off == pytest.approx(exact - 0.5, abs=1e-5)


def test_wrists_weigh_one_and_a_half_unless_told_otherwise() -> None:
    for on, factor in ((True, 1.5), (False, 1.0)):
        loss = ResidualLogLikelihood(ARM, RealNVP(), use_joint_weights=on)
        neck = loss(output([0.0, 0.0]), target([1, 0, 0]))
        wrist = loss(output([0.0, 0.0]), target([0, 1, 0]))
        assert wrist["flow"].item() == pytest.approx(factor * neck["flow"].item())
        assert wrist["base"].item() == pytest.approx(factor * neck["base"].item())


def test_the_sum_over_joints_is_divided_by_the_clips() -> None:
    loss = ResidualLogLikelihood(ARM, RealNVP(), use_joint_weights=False)
    one, all_three = target([1, 0, 0]), target([1, 1, 1])
    exact = output([0.0, 0.0])
    single, triple = loss(exact, one)["base"], loss(exact, all_three)["base"]
    torch.testing.assert_close(triple, 3 * single)
    twice = RegressionOutput(*(t.repeat(2, 1, 1) for t in exact))
    doubled = Target(*(None if t is None else t.repeat(2, *[1] * (t.ndim - 1)) for t in all_three))
    torch.testing.assert_close(loss(twice, doubled)["base"], triple)


def test_a_joint_without_weight_gives_neither_loss_nor_gradient() -> None:
    found = RegressionOutput(*(t.requires_grad_() for t in output([7.0, 7.0])))
    sum(ResidualLogLikelihood(ARM, RealNVP())(found, target([0, 0, 0])).values()).backward()  # type: ignore[union-attr]
    gradients: list[Tensor | None] = [found.joints.grad, found.sigma.grad]
    assert all(g is not None and not g.any() for g in gradients)


def test_the_flow_learns_from_the_loss() -> None:
    flow = RealNVP()
    sum(ResidualLogLikelihood(ARM, flow)(output([0.1, 0.2]), target([1, 1, 1])).values()).backward()  # type: ignore[union-attr]
    assert all(net[4].bias.grad.any() for net in (*flow.scale, *flow.shift))


def test_the_weights_of_the_flow_are_no_part_of_the_criterion_s_own_state() -> None:
    keys = ResidualLogLikelihood(ARM, RealNVP()).state_dict()
    assert all(k.startswith("flow.") for k in keys)


def test_a_target_of_heatmaps_is_refused() -> None:
    maps = Target(torch.zeros(1, 3, 2), torch.ones(1, 3), torch.zeros(1, 3, 4, 4))
    with pytest.raises(ShapeError, match=r"codec\.encode"):
        ResidualLogLikelihood(ARM, RealNVP())(output([0.0, 0.0]), maps)
