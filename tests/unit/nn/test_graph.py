"""Graph convolutions with neighbours found anew; small graphs worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import H36M17
from chronopose.errors import UsageError
from chronopose.nn.graph import (
    Neighbours,
    SpatialAffinity,
    SpatialGraphConv,
    TemporalAffinity,
    TemporalGraphConv,
    in_mean_pairs,
    limb_mask,
    nearest,
    squared_distances,
)

C = 8
LIMBS = limb_mask(H36M17)
J = len(H36M17)
AGGREGATORS = ("attn", "max", "mean")


def line(*xs: float) -> Tensor:
    """Joints on the x axis: ``(J, 2)``."""
    return torch.tensor([[x, 0.0] for x in xs], dtype=torch.float64)


def chain(joints: int) -> Tensor:
    names = tuple(f"j{i}" for i in range(joints))
    return limb_mask(Skeleton("chain", names, tuple(pairwise(names))))


def inputs(frames: int = 4, seed: int = 0) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    f = torch.randn(2, frames, J, C, generator=rng, dtype=torch.float64)
    return f, torch.rand(2, frames, J, 2, generator=rng, dtype=torch.float64)


def spatial(first: bool = False, **settings: Any) -> SpatialGraphConv:
    torch.manual_seed(3)
    conv = SpatialGraphConv(C, SpatialAffinity(**settings), LIMBS, first=first)
    return conv.double().eval()


def temporal(first: bool = False, **settings: Any) -> TemporalGraphConv:
    torch.manual_seed(3)
    conv = TemporalGraphConv(C, TemporalAffinity(**settings), LIMBS, first=first)
    return conv.double().eval()


def test_limbs_join_both_ways() -> None:
    pelvis = {H36M17.joints[j] for j in LIMBS[H36M17.index("pelvis")].nonzero().flatten()}
    assert pelvis == {"right_hip", "left_hip", "spine"}
    assert torch.equal(LIMBS, LIMBS.T)


def test_nearest_joints_on_a_line() -> None:
    found = nearest(squared_distances(line(0, 1, 3, 7)), 2)
    assert [row.nonzero().flatten().tolist() for row in found] == [[1, 2], [0, 2], [0, 1], [1, 2]]


def test_ties_go_to_the_earlier_joint() -> None:
    corners = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    found = nearest(squared_distances(corners), 1)
    assert [row.nonzero().item() for row in found] == [1, 0, 1, 0]


def test_joints_in_one_point_listen_to_the_first_others() -> None:
    found = nearest(torch.zeros(5, 5), 2)
    assert [row.nonzero().flatten().tolist() for row in found][:3] == [[1, 2], [0, 2], [0, 1]]


def test_distances_of_many_channels_equal_the_differences() -> None:
    points = 100 + torch.randn(3, 6, 32, dtype=torch.float64)
    plain = (points[:, :, None] - points[:, None]).square().sum(-1)
    torch.testing.assert_close(squared_distances(points), plain, rtol=1e-10, atol=1e-10)


def test_weights_of_three_joints_by_hand() -> None:
    # d = 1, 9, 4; their mean is 14/3, so 0's costs are 3/14 and 27/14: they differ by 24/14.
    heard = Neighbours("dense", 1, "attn", chain(3), 1.0).double()
    weights = heard.weights(in_mean_pairs(squared_distances(line(0, 1, 3))))
    near = 1 / (1 + math.exp(-24 / 14))
    torch.testing.assert_close(weights[0], torch.tensor([0, near, 1 - near]).double())


def test_size_of_the_person_does_not_change_who_listens_on_the_screen() -> None:
    conv = spatial(first=True)
    f, xy = inputs()
    torch.testing.assert_close(conv(f, xy), conv(f, 0.1 * xy + 3), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("aggregator", ["attn", "mean"])
def test_cheap_form_equals_the_message_written_out(aggregator: Any) -> None:
    conv = spatial(aggregator=aggregator)
    f, xy = inputs()
    a = conv.neighbours.weights(conv.cost(f, xy))
    h: Any = conv.messages[0]
    message = torch.zeros_like(f)
    for i in range(J):
        for j in range(J):
            pair = torch.cat([f[:, :, i], f[:, :, j] - f[:, :, i]], -1)
            message[:, :, i] += a[:, :, i, j, None] * h(pair)
    torch.testing.assert_close(conv(f, xy), conv.norm(message).relu() + f)


def test_largest_message_equals_the_loop_over_neighbours() -> None:
    conv = spatial(aggregator="max")
    f, xy = inputs()
    heard = nearest(squared_distances(f), 5)
    h: Any = conv.messages[0]
    message = torch.full_like(f, -math.inf)
    for b, t, i, j in heard.nonzero().tolist():
        pair = torch.cat([f[b, t, i], f[b, t, j] - f[b, t, i]])
        message[b, t, i] = torch.maximum(message[b, t, i], h(pair))
    torch.testing.assert_close(conv(f, xy), conv.norm(message).relu() + f)


@pytest.mark.parametrize("aggregator", AGGREGATORS)
def test_all_others_as_neighbours_is_the_dense_graph(aggregator: Any) -> None:
    f, xy = inputs()
    for make in (spatial, temporal):
        every = make(affinity="topk", neighbours=J - 1, aggregator=aggregator)
        dense = make(affinity="dense", aggregator=aggregator)
        assert torch.equal(every(f, xy), dense(f, xy))
        few = make(affinity="topk", neighbours=2, aggregator=aggregator)
        assert not torch.equal(few(f, xy), dense(f, xy))


@pytest.mark.parametrize("affinity", ["topk", "dense"])
@pytest.mark.parametrize("aggregator", AGGREGATORS)
def test_renaming_joints_renames_the_answer(affinity: Any, aggregator: Any) -> None:
    order = torch.randperm(J, generator=torch.Generator().manual_seed(5))
    f, xy = inputs()
    for make in (spatial, temporal):
        for first in (True, False):
            conv = make(first, affinity=affinity, aggregator=aggregator)
            renamed = conv(f[:, :, order], xy[:, :, order])
            torch.testing.assert_close(renamed, conv(f, xy)[:, :, order])


def test_fixed_graph_does_not_ask_where_joints_are() -> None:
    f, xy = inputs()
    for make in (spatial, temporal):
        conv = make(affinity="skeleton")
        assert torch.equal(conv(f, xy), conv(f, xy.flip(2)))
    weights = spatial(affinity="skeleton").neighbours.weights(torch.zeros(J, J))
    pelvis, wrist = H36M17.index("pelvis"), H36M17.index("left_wrist")
    assert weights[pelvis].max().item() == pytest.approx(1 / 3)
    assert weights[wrist, H36M17.index("left_elbow")].item() == 1


def test_limbs_join_the_nearest_where_both_are_asked_for() -> None:
    f, xy = inputs()
    both = spatial(affinity="skeleton+topk", neighbours=2)
    cost = both.cost(f, xy)
    assert torch.equal(both.neighbours.heard(cost), nearest(cost, 2) | LIMBS)


def test_frames_of_the_spatial_convolution_do_not_see_each_other() -> None:
    f, xy = inputs()
    conv = spatial()
    torch.testing.assert_close(conv(f, xy)[:, 1:2], conv(f[:, 1:2], xy[:, 1:2]))


def moving(*steps: tuple[float, float]) -> Tensor:
    """Two frames of joints that make these steps: ``(1, 2, J, 2)``."""
    start = torch.zeros(len(steps), 2, dtype=torch.float64)
    return torch.stack([start, torch.tensor(steps, dtype=torch.float64)])[None]


def cost_of(xy: Tensor, **settings: Any) -> Tensor:
    joints = xy.shape[2]
    affinity = replace(TemporalAffinity(neighbours=1), **settings)
    conv = TemporalGraphConv(C, affinity, chain(joints), first=True).double()
    return conv.cost(torch.zeros(*xy.shape[:3], C).double(), xy)


def test_cosines_of_steps_by_hand() -> None:
    cost = cost_of(moving((1, 0), (2, 0), (0, 1), (-1, 0)))
    expected = torch.tensor([-1.0, -1, 0, 1]).double()
    torch.testing.assert_close(cost[0, 0, 0], expected, atol=1e-6, rtol=0)


def test_a_still_joint_listens_to_those_that_move_least() -> None:
    # The box is 4 wide: steps are 1/4, 1 and 1/2 of it.
    cost = cost_of(moving((0, 0), (1, 0), (4, 0), (0, 2)))
    expected = torch.tensor([0, 1 / 16, 1, 1 / 4]).double()
    torch.testing.assert_close(cost[0, 0, 0], expected)
    assert cost[0, 0, 1, 2].item() == pytest.approx(-1)


def test_steps_of_less_than_a_thousandth_of_the_box_have_no_direction() -> None:
    still = cost_of(moving((0.0009, 0), (1, 0)))[0, 0, 0, 1]
    moves = cost_of(moving((0.0011, 0), (1, 0)))[0, 0, 0, 1]
    assert (still.item(), moves.item()) == (pytest.approx(1), pytest.approx(-1, abs=1e-4))


def test_differences_of_steps_by_hand() -> None:
    # Squared: 0-1: 1, 0-2: 4, 1-2: 1; the mean pair is 2.
    cost = cost_of(moving((1, 0), (2, 0), (3, 0)), similarity="l2")
    torch.testing.assert_close(cost[0, 0, 0], torch.tensor([0, 0.5, 2]).double())


def test_affinity_of_a_window_is_that_of_its_three_frames() -> None:
    xy = inputs(frames=5)[1]
    each = cost_of(xy, scope="window")
    assert each.shape == (2, 5, J, J)
    for t, around in enumerate([0, 0, 1, 2, 2]):  # the ends take their neighbour's
        alone = cost_of(xy[:, around : around + 3])
        torch.testing.assert_close(each[:, t], alone[:, 0], rtol=1e-6, atol=1e-6)


def test_one_frame_alone_stays_as_it_is() -> None:
    f, xy = inputs(frames=1)
    for scope in ("clip", "window"):
        assert torch.equal(temporal(scope=scope)(f, xy), f)
    assert not torch.equal(temporal()(*inputs(frames=2)), inputs(frames=2)[0])


def test_three_taps_hear_the_frames_before_and_after() -> None:
    f, xy = inputs()
    eye, none = torch.eye(C).double(), torch.zeros(C, C).double()
    late = [f[:, [0, 0, 1, 2]], f, f[:, [1, 2, 3, 3]]]  # the ends are repeated
    for tap in range(3):
        conv = temporal(first=True, kernel=3)
        layers: Any = conv.messages
        for index, layer in enumerate(layers):
            both = eye if index == tap else none
            layer.weight.data = torch.cat([both, both], 1)
            layer.bias.data.zero_()
        heard = conv.neighbours(late[tap], conv.cost(f, xy))
        torch.testing.assert_close(conv(f, xy), conv.norm(heard).relu() + f)


def test_gradients_reach_the_unit_of_costs_and_stay_finite_in_a_still_clip() -> None:
    f = inputs()[0][:, :1].expand(-1, 4, -1, -1).clone().requires_grad_()
    xy = torch.zeros(2, 4, J, 2).double()
    for conv in (spatial(), spatial(first=True), temporal(), temporal(similarity="l2")):
        conv.train()(f, xy).square().sum().backward()
        assert all(torch.isfinite(p.grad).all() for p in conv.parameters() if p.grad is not None)
    assert f.grad is not None
    assert torch.isfinite(f.grad).all()
    conv = temporal()
    conv(*inputs()).square().sum().backward()
    tau, reduce = conv.neighbours.log_tau, conv.reduce
    assert tau is not None and tau.grad is not None and tau.grad != 0
    assert reduce is not None and reduce.weight.grad is not None and reduce.weight.grad.any()


def test_impossible_graphs_are_refused() -> None:
    with pytest.raises(UsageError, match="neighbours is 17"):
        spatial(neighbours=17)
    with pytest.raises(UsageError, match="at least 1"):
        SpatialAffinity(neighbours=0)
    with pytest.raises(UsageError, match="1 or 3"):
        TemporalAffinity(kernel=2)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="without one"):
        Neighbours("skeleton", 1, "mean", torch.zeros(3, 3).bool(), 1.0)
