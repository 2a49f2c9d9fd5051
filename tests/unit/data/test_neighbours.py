"""Which frames stand beside the key frame: the rules of the published systems, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from chronopose.data.neighbours import RULES, NeighbourRule, find_rule
from chronopose.errors import UsageError

EIGHT_DIGITS = np.arange(1, 7)
"""A video of six frames, counted from 1 as PoseTrack17's are."""
SIX_DIGITS = np.arange(6)
"""The same from 0, as PoseTrack18's."""


@pytest.mark.parametrize(
    ("rule", "key", "wanted"),
    [
        ("tdmi", 4, [2, 3, 4, 5, 6]),
        ("tdmi", 1, [1, 1, 1, 2, 3]),
        ("tdmi", 5, [3, 4, 5, 6, 6]),
        ("dcpose", 4, [3, 4, 5]),
        ("dcpose", 1, [1, 1, 2]),
        ("dcpose", 6, [5, 6, 6]),
        ("famipose", 4, [2, 3, 4, 5, 6]),
        ("famipose", 5, [3, 4, 5, 6, 5]),
        ("famipose", 2, [2, 1, 2, 3, 4]),
        ("dsta", 1, [1, 1, 2]),
        ("dsta", 6, [5, 6, 6]),
        ("pavenet", 6, [5, 6, 6]),
        ("posewarper", 1, [1, 1, 1, 2, 3]),
        ("still", 3, [3]),
    ],
)
def test_the_frames_of_a_video_counted_from_one(rule: str, key: int, wanted: list[int]):
    assert find_rule(rule).numbers(key, EIGHT_DIGITS) == wanted


@pytest.mark.parametrize(("key", "wanted"), [(0, [0, 0, 1]), (5, [4, 5, 5])])
def test_the_ends_come_from_the_list_of_frames_not_from_a_count(key: int, wanted: list[int]):
    assert find_rule("dsta").numbers(key, SIX_DIGITS) == wanted


def test_a_missing_frame_is_replaced_by_the_next_one_towards_the_key_or_by_the_key():
    holes = np.array([1, 3, 4, 5, 7, 8])
    assert find_rule("tdmi").numbers(4, holes) == [3, 3, 4, 5, 5]
    assert find_rule("famipose").numbers(4, holes) == [4, 3, 4, 5, 4]


def test_posewarper_draws_every_neighbour_within_two_frames_in_training():
    rule, rng = find_rule("posewarper"), np.random.default_rng(0)
    drawn = np.array([rule.numbers(50, np.arange(100), True, rng) for _ in range(200)])
    assert (drawn[:, 2] == 50).all()
    assert set(np.delete(drawn, 2, axis=1).ravel().tolist()) == {48, 49, 50, 51, 52}


def test_drawn_neighbours_stay_in_the_video():
    rule, rng = find_rule("posewarper"), np.random.default_rng(0)
    drawn = {n for _ in range(50) for n in rule.numbers(1, EIGHT_DIGITS, True, rng)}
    assert drawn == {1, 2, 3}


def test_pairs_of_posewarper_hold_one_neighbour_and_the_key_frame():
    rule, rng = find_rule("posewarper_pair"), np.random.default_rng(0)
    assert rule.shape(training=True) == (2, 1)
    assert rule.shape() == (5, 2)
    assert rule.numbers(3, EIGHT_DIGITS, True, rng)[1] == 3


def test_a_rule_can_be_made_longer_and_keeps_its_ends():
    longer = find_rule("dcpose", 5)
    assert longer.offsets == (-2, -1, 0, 1, 2)
    assert longer.numbers(1, EIGHT_DIGITS) == [1, 1, 1, 2, 3]
    assert longer.ends == RULES["dcpose"].ends


def test_drawing_without_a_generator_is_refused():
    with pytest.raises(UsageError, match="generator"):
        find_rule("posewarper").numbers(3, EIGHT_DIGITS, training=True)


def test_an_even_length_is_refused():
    with pytest.raises(UsageError, match="odd"):
        find_rule("tdmi", 4)


@pytest.mark.parametrize("offsets", [(1, 2), (0, 0), (1, 0)])
def test_offsets_that_do_not_rise_through_zero_are_refused(offsets: tuple[int, ...]):
    with pytest.raises(UsageError, match="rise"):
        NeighbourRule(name="odd", offsets=offsets)


def test_a_misspelt_rule_gets_a_suggestion():
    with pytest.raises(UsageError, match="Did you mean 'dcpose'"):
        find_rule("dcpos")
