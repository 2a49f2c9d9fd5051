"""Retrieval, neighbours, centroids and verification, with numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from chronopose.errors import ShapeError
from chronopose.metrics.embedding import (
    class_centroids,
    nearest_centroid,
    nearest_neighbours_vote,
    recall_at_k,
    verification,
)


def on_a_line(*places: float) -> np.ndarray:
    return np.array(places, float)[:, None]


def test_recall_looks_at_the_k_nearest_others():
    # The two of class 0, at 0 and 3.5, find 1.2 and 2 first; the two of class 1 find each other.
    told = recall_at_k(on_a_line(0, 3.5, 1.2, 2), [0, 0, 1, 1], (1, 2, 3))
    assert told == {1: 50, 2: 50, 3: 100}


def test_recall_leaves_out_pictures_of_the_same_person():
    places, labels = on_a_line(0, 0.1, 5, 0.2), [0, 0, 0, 1]
    alone = recall_at_k(places, labels, (1,), persons=["x", "x", "y", "y"])
    # Without their twin, both pictures of x find the one of class 1 first; the picture at 5 finds
    # one of x; the picture of class 1 has nobody to find and is not asked.
    assert alone[1] == pytest.approx(100 / 3)
    assert recall_at_k(places, labels, (1,))[1] == pytest.approx(200 / 3)


def test_unknown_persons_are_different_people():
    told = recall_at_k(on_a_line(0, 1, 5), [0, 0, 1], (1,), persons=["", "", ""])
    assert told[1] == 100


def test_recall_of_nothing_is_unknown():
    assert np.isnan(recall_at_k(on_a_line(0, 1), [0, 1], (1,))[1])
    with pytest.raises(ShapeError, match="ks"):
        recall_at_k(on_a_line(0, 1), [0, 1], (0,))


def test_a_vote_of_three_and_a_tie_that_goes_to_the_nearest():
    known, names = on_a_line(0, 1, 2, 10), [0, 1, 1, 0]
    assert nearest_neighbours_vote(known, names, on_a_line(-1), 3).tolist() == [1]
    assert nearest_neighbours_vote(known, names, on_a_line(-1), 2).tolist() == [0]
    assert nearest_neighbours_vote(known, names, on_a_line(-1, 9), 99).tolist() == [0, 0]


def test_centroids_are_means_and_a_class_without_pictures_is_never_nearest():
    means = class_centroids(on_a_line(0, 2, 10), [0, 0, 2], 3)
    assert means[[0, 2], 0].tolist() == [1, 10]
    assert np.isnan(means[1, 0])
    assert nearest_centroid(means, on_a_line(5.4, 5.6)).tolist() == [0, 2]
    with pytest.raises(ShapeError, match="centroid"):
        nearest_centroid(means[1:2], on_a_line(0))
    with pytest.raises(ShapeError, match=r"within 0\.\.1"):
        class_centroids(on_a_line(0), [2], 2)


def test_verification_of_separate_classes_is_perfect():
    told = verification(on_a_line(0, 1, 10, 11), [0, 0, 1, 1])
    assert told.area == 1
    assert told.equal_error == 0
    assert told.true_accepts_at(0.0) == 1


def test_verification_by_hand():
    # Distances of one class: 1 and 4; of two: 2, 3, 5, 6. Below each wrong pair are 1, 1, 2, 2 of
    # the two right ones: area (0.5 + 0.5 + 1 + 1) / 4.
    places, labels = on_a_line(0, 1, 3, 7), [0, 0, 1, 1]
    # 0-1: 1, 3-7: 4; 0-3: 3, 0-7: 7, 1-3: 2, 1-7: 6.
    told = verification(places, labels)
    assert told.area == pytest.approx(0.75)
    assert told.equal_error == pytest.approx(0.5)
    assert told.true_accepts_at(0.0) == 0.5
    assert (np.diff(told.false_accepts) >= 0).all()


def test_verification_equals_counting_all_pairs():
    rng = np.random.default_rng(0)
    rows, labels = rng.normal(size=(700, 3)), rng.integers(0, 4, 700)
    told = verification(rows, labels)
    first, second = np.triu_indices(700, 1)
    apart = np.linalg.norm(rows[first] - rows[second], axis=1)
    same = labels[first] == labels[second]
    order = np.sort(apart[~same])
    below = len(order) - np.searchsorted(order, apart[same], side="right")
    assert told.area == pytest.approx(below.mean() / len(order), abs=1e-9)


def test_verification_needs_both_kinds_of_pairs():
    told = verification(on_a_line(0, 1), [0, 1])
    assert np.isnan(told.area) and len(told.thresholds) == 0
    left_out = verification(on_a_line(0, 1, 2), [0, 0, 1], persons=["x", "x", "y"])
    assert np.isnan(left_out.area)


def test_shapes_that_disagree_are_named():
    with pytest.raises(ShapeError, match=r"labels \(3,\)"):
        verification(on_a_line(0, 1), [0, 1, 2])
    with pytest.raises(ShapeError, match="Queries"):
        nearest_centroid(on_a_line(0), np.zeros((2, 3)))
