"""CompositeCriterion: balance of the cells, offsets where they count, stacks."""

from __future__ import annotations

import math

import pytest
import torch

from chronopose.codecs.composite import CompositeCodec
from chronopose.core.skeleton import Skeleton
from chronopose.errors import ShapeError
from chronopose.losses.composite import CompositeCriterion
from chronopose.tensors import CompositeOutput, Target

ONE = CompositeCodec(Skeleton("one", ("nose",)), (96, 80), stride=16)
CENTRE = torch.tensor([[[39.5, 39.5]]])
"""Centre of cell (2, 2): nine of thirty cells are positive."""


def silent() -> CompositeOutput:
    return CompositeOutput(torch.zeros(1, 1, 5, 6), torch.zeros(1, 1, 2, 5, 6))


def target(joints: torch.Tensor = CENTRE) -> Target:
    return ONE.encode(joints, torch.ones(joints.shape[:2]))


def test_positive_and_negative_cells_weigh_alike_together() -> None:
    # Each cell costs ln 2; nine positives weigh 21 / 9 each.
    near = CompositeCriterion(ONE)(silent(), target())["near"]
    assert near.item() == pytest.approx((21 + 21) / 30 * math.log(2))


def test_a_lonely_positive_cell_weighs_a_hundred_at_most() -> None:
    large = CompositeCodec(Skeleton("one", ("nose",)), (256, 256), stride=8, radius=0.75)
    joints = torch.tensor([[[99.5, 99.5]]])  # on a cell's centre: one of 1024 cells
    output = CompositeOutput(torch.zeros(1, 1, 32, 32), torch.zeros(1, 1, 2, 32, 32))
    near = CompositeCriterion(large)(output, large.encode(joints, torch.ones(1, 1)))["near"]
    assert near.item() == pytest.approx((1023 + 100) / 1024 * math.log(2))


def test_the_squared_error_is_that_of_the_probability() -> None:
    near = CompositeCriterion(ONE, "mse")(silent(), target())["near"]
    assert near.item() == pytest.approx(0.25)


def test_offsets_count_at_positive_cells_only() -> None:
    output = silent()
    output.offsets[..., 0, 5] = 100.0
    offset = CompositeCriterion(ONE)(output, target())["offset"]
    # In units of 24 pixels: three columns at -2/3, 0 and 2/3, rows alike; half the square.
    assert offset.item() == pytest.approx(0.5 * (4 / 9) * (2 / 3))


def test_the_right_answer_costs_nothing() -> None:
    truth = target()
    assert truth.heatmaps is not None
    right = CompositeOutput(40 * truth.heatmaps - 20, ONE.offsets(CENTRE))
    terms = CompositeCriterion(ONE)(right, truth)
    assert max(v.item() for v in terms.values()) < 1e-6


def test_every_stack_pays() -> None:
    once = CompositeCriterion(ONE)(silent(), target())
    thrice = CompositeCriterion(ONE)(silent()._replace(side=(silent(), silent())), target())
    for name, value in once.items():
        assert thrice[name].item() == pytest.approx(3 * value.item())


def test_unlabelled_joints_pull_nowhere() -> None:
    heat = torch.randn(1, 1, 5, 6, requires_grad=True)
    offsets = torch.randn(1, 1, 2, 5, 6, requires_grad=True)
    unknown = target(torch.full((1, 1, 2), torch.nan))
    terms = CompositeCriterion(ONE)(CompositeOutput(heat, offsets), unknown)
    (terms["near"] + terms["offset"]).backward()
    assert not heat.grad.any()  # type: ignore[union-attr]
    assert not offsets.grad.any()  # type: ignore[union-attr]


def test_a_target_of_another_grid_is_refused() -> None:
    with pytest.raises(ShapeError, match="model's own codec"):
        CompositeCriterion(ONE)(silent(), Target(CENTRE, torch.ones(1, 1), torch.zeros(1, 1, 5, 5)))
