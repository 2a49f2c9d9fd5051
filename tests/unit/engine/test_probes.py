"""Probes find what is there, do not find what is not, and give the same answer twice."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from chronopose.codecs.self_supervised import PoseInput
from chronopose.core.skeletons import H36M17
from chronopose.data.moments import Footage
from chronopose.engine.probes import (
    Latents,
    Ridge,
    SmallNet,
    explained,
    identity_accuracy,
    labelled,
    latents_of,
    nearest,
)
from chronopose.engine.scratch import Supervised
from chronopose.errors import UsageError
from chronopose.models._find import build_representation


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def test_a_straight_line_is_found_with_its_bias():
    x = numbers(200, 3)
    y = x @ np.array([[1.0, 0], [0, 2], [3, 3]]) + [5, -1]
    ridge = Ridge(x[:150], y[:150])
    assert ridge.alpha == 0.1
    np.testing.assert_allclose(ridge.predict(x[150:]), y[150:], atol=0.02)


def test_noise_gets_a_large_penalty_and_nearly_the_mean():
    x, y = numbers(60, 40), numbers(60, 1, seed=1)
    ridge = Ridge(x, y)
    assert ridge.alpha >= 1e4
    np.testing.assert_allclose(ridge.predict(x), y.mean(), atol=0.1)


def test_groups_are_held_back_together():
    # What tells the rows of a group apart from others helps only if the group was seen.
    who = np.repeat(np.arange(8), 20)
    x = np.eye(8)[who] + 0.01 * numbers(160, 8)
    y = numbers(8, 1, seed=3)[who]
    assert Ridge(x, y).alpha < Ridge(x, y, who).alpha


def test_a_small_net_bends_where_a_line_cannot():
    x = np.random.default_rng(0).uniform(-2, 2, (400, 1))
    y = np.abs(x)
    line, bent = Ridge(x[:300], y[:300]), SmallNet(x[:300], y[:300], hidden=48, steps=250)
    assert explained(line.predict(x[300:]), y[300:]) < 0.2
    assert explained(bent.predict(x[300:]), y[300:]) > 0.9
    one, again = (SmallNet(x, y, hidden=8, steps=3).predict(x) for _ in range(2))
    assert (one == again).all()


def test_explained_is_one_for_the_truth_and_zero_for_the_mean():
    y = numbers(9, 2)
    assert explained(y, y) == 1
    assert explained(np.broadcast_to(y.mean(0), y.shape), y) == pytest.approx(0)


def test_smaller_shares_of_labels_are_parts_of_larger_ones():
    few, more = labelled(1000, 0.01, 3), labelled(1000, 0.05, 3)
    assert (len(few), len(more), len(labelled(1000, 1.0))) == (10, 50, 1000)
    assert set(few) <= set(more)
    assert len(labelled(5, 0.01)) == 2
    with pytest.raises(UsageError, match="above 0"):
        labelled(9, 0.0)


def test_people_are_named_where_they_can_be_told_and_not_where_they_cannot():
    who = np.arange(120) % 4
    told = np.eye(4)[who] * 3 + 0.3 * numbers(120, 4)
    assert identity_accuracy(told[:60], who[:60], told[60:], who[60:]) > 0.95
    blind = numbers(120, 4)
    assert identity_accuracy(blind[:60], who[:60], blind[60:], who[60:]) < 0.5


def test_the_nearest_latent_has_the_largest_cosine_whatever_its_length():
    gallery = np.array([[1.0, 0.0], [0.0, 9.0], [-1.0, 0.0]])
    assert nearest(np.array([[0.2, 1.0], [-4.0, 1.0]]), gallery).tolist() == [1, 2]


def test_a_latent_has_three_parts_to_ask_for():
    latents = Latents(np.zeros((5, 3)), np.ones((5, 2)))
    assert latents.part("both").shape == (5, 5)
    assert latents.part("z_ti").shape == (5, 2)
    with pytest.raises(UsageError, match="z_tv, z_ti, both"):
        latents.part("z")


def videos() -> list[Footage]:
    return [Footage(str(n), np.arange(9) / 9, numbers(9, 17, 2, seed=n)) for n in range(2)]


def test_latents_come_video_by_video_and_training_mode_is_given_back():
    torch.manual_seed(0)
    model = build_representation("css", "poses").train()
    found = latents_of(model, videos(), batch_size=4)
    assert model.training
    model.eval()
    with torch.no_grad():
        last = model.encode(PoseInput(H36M17).prepare(videos()[1].frames[-1:]))
    np.testing.assert_allclose(found.variant[17], last.variant[0].numpy(), atol=1e-5)
    assert found.invariant.shape == (18, 16)


def test_from_scratch_learns_the_rows_with_labels_and_leaves_the_model_as_it_was():
    torch.manual_seed(0)
    model = build_representation("css", "poses")
    before = model.encoder[0].weight.detach().clone()
    rows, y = np.arange(0, 18, 2), numbers(9, 3)
    net = Supervised(model, videos(), rows, y, steps=150, batch_size=9)
    assert explained(net.predict(videos())[rows], y) > 0.7
    assert torch.equal(before, model.encoder[0].weight)
