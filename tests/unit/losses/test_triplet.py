"""Mining and triplet losses: numbers by hand, plain loops, and the metric-learning library."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from chronopose.bench._slow_triplets import slow_triplet_losses
from chronopose.errors import ShapeError, UsageError
from chronopose.losses.triplet import (
    Triplets,
    batch_hard,
    batch_spread,
    cut_slices,
    hinge,
    slice_distance,
    spread_thresholds,
    squared_distances,
    triplet_loss,
)


def on_a_line(*places: float) -> Tensor:
    """``(B, 1, 1)``: one slice of one number each."""
    return torch.tensor(places, dtype=torch.float32)[:, None, None]


def random_batch(seed: int = 0, batch: int = 24, slices: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(batch, 8 * slices, generator=generator, dtype=torch.float64)
    return cut_slices(rows, slices), torch.arange(batch) % 3


def test_thresholds_stand_at_equal_steps_and_a_single_one_in_the_middle():
    assert spread_thresholds(0.1, 0.8, 8) == pytest.approx((0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8))
    assert spread_thresholds(0.4, 0.4, 1) == (0.4,)
    assert spread_thresholds(0.2, 0.6, 1) == (0.4,)


@pytest.mark.parametrize("values", [(0.0, 0.5, 3), (0.6, 0.5, 3), (0.1, 0.5, 0)])
def test_thresholds_of_no_range_are_refused(values: tuple[float, float, int]):
    with pytest.raises(UsageError, match="above zero"):
        spread_thresholds(*values)


def test_each_slice_is_brought_to_length_one_on_its_own():
    cut = cut_slices(torch.tensor([[3.0, 4.0, 0.0, 0.2]]), 2)
    torch.testing.assert_close(cut, torch.tensor([[[0.6, 0.8], [0.0, 1.0]]]))


def test_an_embedding_that_does_not_divide_is_refused():
    with pytest.raises(ShapeError, match="multiple of 3"):
        cut_slices(torch.zeros(2, 8), 3)


def test_distances_are_those_of_a_right_triangle():
    rows = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]])[:, None]
    expected = torch.tensor([[[0.0, 9.0, 16.0], [9.0, 0.0, 25.0], [16.0, 25.0, 0.0]]])
    torch.testing.assert_close(squared_distances(rows), expected)


def test_the_hardest_pairs_of_four_points_on_a_line():
    # Classes a a b b at 0, 3, 1, 7: the anchor at 0 has its a at 3 and its nearest b at 1.
    mined = batch_hard(on_a_line(0, 3, 1, 7), torch.tensor([0, 0, 1, 1]))
    assert mined.positive.tolist() == [[1, 0, 3, 2]]
    assert mined.negative.tolist() == [[2, 2, 0, 1]]
    assert mined.valid.all()


def test_an_anchor_without_a_second_picture_of_its_class_has_no_triplet():
    mined = batch_hard(on_a_line(0, 1, 2), torch.tensor([0, 0, 1]))
    assert mined.valid.tolist() == [True, True, False]


def test_shared_mining_uses_one_triplet_for_all_slices():
    slices, labels = random_batch()
    shared = batch_hard(slices, labels, mining="shared")
    assert (shared.positive == shared.positive[:1]).all()
    whole = batch_hard(slices.flatten(1)[:, None], labels)
    assert torch.equal(shared.negative[0], whole.negative[0])
    assert not torch.equal(shared.positive, batch_hard(slices, labels).positive)


def test_identity_aware_positives_are_other_people_and_negatives_the_same_person():
    # The farthest of the anchor's class (9) is the anchor's own person; 4 is somebody else.
    places = on_a_line(0, 9, 4, 1, 6)
    labels, persons = torch.tensor([0, 0, 0, 1, 1]), torch.tensor([5, 5, 6, 6, 5])
    mined = batch_hard(places, labels, persons=persons)
    assert mined.positive[0, 0] == 2
    assert mined.negative[0, 0] == 4


def test_identity_aware_mining_falls_back_where_nobody_is_known():
    slices, labels = random_batch()
    unknown = torch.full((len(labels),), -1)
    for own, other in zip(
        batch_hard(slices, labels, persons=unknown), batch_hard(slices, labels), strict=True
    ):
        assert torch.equal(own, other)


def test_hinges_by_hand():
    # Anchor to positive 0.5, to negative 0.6, positive to negative 0.9, threshold 0.3:
    # plain 0.5 - 0.6 + 0.3 = 0.2; the other side 0.5 - 0.9 + 0.3 < 0.
    near, far, across, threshold = torch.tensor([0.5, 0.6, 0.9, 0.3])
    assert hinge(near, far, across, threshold, "plain").item() == pytest.approx(0.2)
    assert hinge(near, far, across, threshold, "dual").item() == pytest.approx(0.1)
    assert hinge(near, far, across - 0.4, threshold, "dual").item() == pytest.approx(0.25)


def test_the_dual_loss_is_the_same_when_anchor_and_positive_change_places():
    a, p, q = torch.randn(3, 100, 5, generator=torch.Generator().manual_seed(1))
    ap, aq, pq = slice_distance(a, p), slice_distance(a, q), slice_distance(p, q)
    threshold = torch.tensor(0.4)
    torch.testing.assert_close(
        hinge(ap, aq, pq, threshold, "dual"), hinge(ap, pq, aq, threshold, "dual")
    )
    plain = hinge(ap, aq, pq, threshold, "plain"), hinge(ap, pq, aq, threshold, "plain")
    assert not torch.allclose(*plain)


@pytest.mark.parametrize("kind", ["plain", "dual"])
def test_the_loss_is_zero_just_at_the_margin_and_rises_beyond(kind):
    # Pairs 1 apart, classes 3 apart (from 1 to 4): the condition 1 + t <= 3 holds up to t = 2.
    places, labels = on_a_line(0, 1, 4, 5), torch.tensor([0, 0, 1, 1])
    mined = batch_hard(places, labels)
    at = {t: triplet_loss(places, mined, torch.tensor([t]), kind=kind).item() for t in (2.0, 2.5)}
    # At 2.5 two of four anchors (those inside) fail by 0.5; the dual loss halves each side of a
    # pair, so that both anchors of a pair carry a half: outer anchors fail on the positive's side.
    assert at[2.0] == 0.0
    assert at[2.5] == pytest.approx(0.25)


def test_every_slice_has_its_own_threshold():
    slices = on_a_line(0, 1, 2, 3).expand(-1, 2, -1)
    labels = torch.tensor([0, 0, 1, 1])
    mined = batch_hard(slices, labels)
    each = triplet_loss(slices, mined, torch.tensor([0.1, 0.8]), kind="plain")
    # Outer anchors: 1 - 2 + t < 0; inner ones: 1 - 1 + t. The mean over four is t / 2.
    torch.testing.assert_close(each, torch.tensor([0.05, 0.4]))
    with pytest.raises(ShapeError, match="2 slices need as many thresholds"):
        triplet_loss(slices, mined, torch.tensor([0.1]))


def test_a_batch_of_one_class_costs_nothing_and_still_has_a_gradient():
    slices = torch.randn(4, 2, 3, requires_grad=True)
    mined = batch_hard(slices, torch.zeros(4, dtype=torch.long))
    loss = triplet_loss(slices, mined, torch.tensor([0.1, 0.2])).sum()
    loss.backward()
    assert loss.item() == 0
    assert slices.grad is not None and (slices.grad == 0).all()


@pytest.mark.parametrize("distance", ["euclidean", "squared"])
def test_two_equal_faces_have_a_finite_gradient(distance):
    slices = torch.zeros(4, 1, 3, requires_grad=True)
    mined = batch_hard(slices, torch.tensor([0, 0, 1, 1]))
    triplet_loss(slices, mined, torch.tensor([0.3]), distance=distance).sum().backward()
    assert slices.grad is not None and torch.isfinite(slices.grad).all()


@pytest.mark.parametrize("kind", ["plain", "dual"])
@pytest.mark.parametrize("distance", ["euclidean", "squared"])
def test_fast_losses_and_gradients_equal_plain_loops(kind, distance):
    slices, labels = random_batch(seed=3)
    labels[-1] = 7  # One picture alone in its class.
    thresholds = spread_thresholds(0.1, 0.8, 4)
    gradients, values = [], []
    for fast in (True, False):
        leaf = slices.clone().requires_grad_(True)
        if fast:
            told = triplet_loss(
                leaf, batch_hard(leaf, labels), torch.tensor(thresholds, dtype=torch.float64),
                kind=kind, distance=distance,
            )  # fmt: skip
        else:
            told = slow_triplet_losses(leaf, labels, thresholds, kind=kind, distance=distance)
        told.mean().backward()
        values.append(told.detach())
        gradients.append(leaf.grad)
    torch.testing.assert_close(values[0], values[1], rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("power", [1, 2])
def test_mining_and_plain_loss_equal_pytorch_metric_learning(power: int):
    reason = "needs pytorch-metric-learning, an extra of development"
    distances = pytest.importorskip("pytorch_metric_learning.distances", reason=reason)
    from pytorch_metric_learning.losses import TripletMarginLoss
    from pytorch_metric_learning.miners import BatchHardMiner
    from pytorch_metric_learning.reducers import MeanReducer

    slices, labels = random_batch(seed=5)
    rows = slices[:, 1]
    theirs = distances.LpDistance(normalize_embeddings=False, p=2, power=power)
    anchors, positives, negatives = BatchHardMiner(distance=theirs)(rows, labels)
    mined = batch_hard(slices[:, 1:2], labels)
    assert torch.equal(mined.positive[0, anchors], positives)
    assert torch.equal(mined.negative[0, anchors], negatives)
    loss = TripletMarginLoss(margin=0.3, distance=theirs, reducer=MeanReducer())
    own = triplet_loss(
        slices[:, 1:2], mined, torch.tensor([0.3], dtype=torch.float64), kind="plain",
        distance="squared" if power == 2 else "euclidean",
    )  # fmt: skip
    expected = loss(rows, labels, (anchors, positives, negatives))
    torch.testing.assert_close(own[0], expected, rtol=1e-9, atol=1e-12)


def test_spread_is_the_mean_distance_of_two_different_pictures():
    # 0, 3 and 4 on a line: distances 3, 4 and 1.
    torch.testing.assert_close(batch_spread(on_a_line(0, 3, 4)), torch.tensor([8 / 3]))
    assert batch_spread(torch.ones(5, 2, 4)).tolist() == [0.0, 0.0]


def test_wrong_shapes_are_refused_with_their_numbers():
    with pytest.raises(ShapeError, match="3 embeddings need as many labels"):
        batch_hard(on_a_line(0, 1, 2), torch.tensor([0, 1]))


def test_triplets_are_named():
    assert Triplets._fields == ("positive", "negative", "valid")
