"""Matching of a scene: costs and losses worked out by hand, and who is matched with whom."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from chronopose.errors import ShapeError
from chronopose.losses.matching import (
    SceneMatching,
    assign_people,
    distance_cost,
    focal_loss,
    joint_likelihood,
    person_cost,
    similarity,
)
from chronopose.nn.coupling import RealNVP
from chronopose.tensors.scene import SceneGuess, SceneOutput, SceneTarget


def test_focal_loss_of_an_even_chance() -> None:
    # 0.25 * (1/2)^2 * log 2 for a person, three times that for none.
    loss = focal_loss(torch.zeros(2), torch.tensor([1.0, 0.0]))
    want = torch.tensor([0.0625, 0.1875]) * math.log(2)
    torch.testing.assert_close(loss, want)


def test_a_surer_query_is_cheaper() -> None:
    cost = person_cost(torch.tensor([-2.0, 0.0, 2.0]))
    assert cost[0] > cost[1] > cost[2]
    torch.testing.assert_close(cost[1].item(), -0.125 * math.log(2))


def test_distance_counts_visible_joints_only() -> None:
    # Joint 0 is off by 0.1 + 0.3; joint 1 is far away but unseen: 0.4 / (2 * 1) = 0.2.
    joints = torch.tensor([[[0.1, 0.3], [0.9, 0.9]]])
    visible = torch.tensor([[True, False], [False, False]])
    cost = distance_cost(joints, torch.zeros(2, 2, 2), visible)
    torch.testing.assert_close(cost, torch.tensor([[0.2, 0.0]]))


def test_one_spread_away_is_exp_minus_one_alike() -> None:
    # 2 * sigma * sqrt(2 * area) = 0.1 * sqrt(800) px.
    joints = torch.tensor([[[0.1 * math.sqrt(800), 0.0]]])
    truth, visible = torch.zeros(1, 1, 2), torch.ones(1, 1, dtype=torch.bool)
    got = similarity(joints, truth, visible, torch.tensor([400.0]), torch.tensor([0.05]))
    torch.testing.assert_close(got.item(), math.exp(-1))


def test_assignment_minds_the_total_not_the_first() -> None:
    # Query 0 is best for both people, yet 1 + 2 is less than 0 + 9.
    queries, people = assign_people(torch.tensor([[0.0, 1.0], [2.0, 9.0], [8.0, 8.0]]))
    assert queries.tolist() == [0, 1] and people.tolist() == [1, 0]


def test_assignment_takes_nobody_and_what_is_not_finite() -> None:
    assert len(assign_people(torch.zeros(5, 0))[0]) == 0
    queries, _ = assign_people(torch.tensor([[math.nan], [1.0], [math.inf]]))
    assert queries.tolist() == [1]


def test_likelihood_of_a_hit_under_a_flow_that_has_learnt_nothing() -> None:
    # e = 0, s = 1/2; a new flow is the identity, so log p is that of N((1/2, 1/2), 1) at 0:
    # -1/4 - log 2 pi. Per coordinate: log s - log p + log s + log sqrt(2 pi).
    zeros, sigmas = torch.zeros(1, 1, 2), torch.full((1, 1, 2), 0.5)
    seen = torch.ones(1, 1, dtype=torch.bool)
    got = joint_likelihood(zeros, sigmas, zeros, seen, RealNVP(prior_mean=0.5))
    want = 2 * math.log(0.5) + 0.25 + 1.5 * math.log(2 * math.pi)
    torch.testing.assert_close(got.item(), want)


def test_likelihood_leaves_unseen_joints_out() -> None:
    flow, sigmas = RealNVP(prior_mean=0.5), torch.full((1, 2, 2), 0.3)
    joints = torch.tensor([[[0.2, 0.4], [5.0, 5.0]]])
    both = joint_likelihood(
        joints, sigmas, torch.zeros(1, 2, 2), torch.tensor([[True, False]]), flow
    )
    one = joint_likelihood(
        joints[:, :1], sigmas[:, :1], torch.zeros(1, 1, 2), torch.tensor([[True]]), flow
    )
    torch.testing.assert_close(both, one)


def scene(joints: Tensor, visible: Tensor, people: list[int]) -> SceneTarget:
    return SceneTarget(joints, visible, torch.full(joints.shape[:2], 900.0), torch.tensor(people))


def matching(refined: list[Tensor]) -> SceneMatching:
    """A loss whose joint decoder gives its references back and notes them."""

    def refine(_: object, references: Tensor) -> list[SceneGuess]:
        refined.append(references)
        found = references[:, 0]
        return [SceneGuess(torch.empty(0), found, torch.full_like(found, 0.1))]

    flows = nn.ModuleDict({n: RealNVP(prior_mean=0.5) for n in ("layers", "proposals", "refined")})
    return SceneMatching((0.05, 0.05), flows, refine, offset=0.5)


def output(joints: Tensor, size: tuple[float, float]) -> SceneOutput:
    """An output whose two layers and tokens all say ``joints (B, Q, K, 2)``."""
    guess = SceneGuess(torch.zeros(joints.shape[:2]), joints, torch.full_like(joints, 0.1))
    return SceneOutput(
        joints, torch.zeros(joints.shape[:2]), torch.zeros(joints.shape[:3]), (guess, guess),
        guess, joints[:, None], None, torch.tensor([size]).expand(len(joints), 2),
    )  # fmt: skip


def test_every_person_gets_the_query_that_lies_on_them() -> None:
    # Frame of 40 x 20 px; pixel centres count from 0, so share 0.25 of 40 px is pixel 9.5.
    shares = torch.tensor(
        [[[0.25, 0.5], [0.25, 0.6]], [[0.75, 0.5], [0.75, 0.6]], [[0.0, 0.0]] * 2]
    )
    pixels = shares[[1, 0]] * torch.tensor([40.0, 20.0]) - 0.5
    refined: list[Tensor] = []
    loss = matching(refined)
    target = scene(pixels[None], torch.ones(1, 2, 2, dtype=torch.bool), [2])
    loss(output(shares[None], (40.0, 20.0)), target)
    torch.testing.assert_close(refined[0][0, 0], shares[:2])


def test_clips_with_fewer_people_do_not_leak_into_the_refined_term() -> None:
    joints = torch.rand(2, 4, 2, 2)
    truth = torch.rand(2, 3, 2, 2) * 30
    seen = torch.ones(2, 3, 2, dtype=torch.bool)
    both = matching([])(output(joints, (32.0, 32.0)), scene(truth, seen, [3, 1]))
    alone = [
        matching([])(
            output(joints[i : i + 1], (32.0, 32.0)), scene(truth[i : i + 1], seen[:1], [n])
        )
        for i, n in ((0, 3), (1, 1))
    ]
    for name in both:
        want = (3 * alone[0][name] + alone[1][name]) / 4
        torch.testing.assert_close(both[name], want)


def test_an_empty_scene_asks_for_silence_only() -> None:
    truth = torch.full((1, 1, 2, 2), math.nan)
    target = scene(truth, torch.zeros(1, 1, 2, dtype=torch.bool), [0])
    terms = matching([])(output(torch.rand(1, 4, 2, 2), (32.0, 32.0)), target)
    assert terms["joints"] == terms["joints_refined"] == terms["joints_proposals"] == 0
    torch.testing.assert_close(terms["person_proposals"].item(), 4 * 0.1875 * math.log(2))


def test_outputs_of_eval_mode_are_refused() -> None:
    given = output(torch.rand(1, 4, 2, 2), (32.0, 32.0))._replace(proposals=None)
    target = scene(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, dtype=torch.bool), [1])
    with pytest.raises(ShapeError, match=r"model\.train"):
        matching([])(given, target)


def test_labels_of_another_skeleton_are_refused() -> None:
    target = scene(torch.zeros(1, 1, 3, 2), torch.ones(1, 1, 3, dtype=torch.bool), [1])
    with pytest.raises(ShapeError, match=r"got \(1, 1, 3, 2\)"):
        matching([])(output(torch.rand(1, 4, 2, 2), (32.0, 32.0)), target)
