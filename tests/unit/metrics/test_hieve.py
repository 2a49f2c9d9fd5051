"""HiEve-like scores: crowds, accepted people and interrupted tracks counted by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from people_in_frames import frame, video

from chronopose.core.labels import LabelledFrame, LabelledSequence, Visibility
from chronopose.core.skeletons import HIEVE14
from chronopose.errors import FormatError, ShapeError, UsageError
from chronopose.metrics.hieve import (
    HiEveAP,
    HiEveAPResult,
    HiEveTracking,
    crowd_index,
    nose_to_chest,
)

JOINTS = HIEVE14.joints
MODES = ("similarity", "tight", "literal")


def person(x: float, hits: int = 14) -> np.ndarray:
    """Joints 20 px below each other from (x, 20) on; all but the first ``hits`` are far off."""
    points = np.full((14, 2), [x, 20.0])
    points[:, 1] += 20.0 * np.arange(14)
    points[hits:, 0] += 5000
    return points


def crowd(number: int, people: list[np.ndarray], **fields: Any) -> LabelledFrame:
    """People 20 px from nose to chest: joints are hit within 10 px."""
    fields.setdefault("boxes", [[p[0, 0] - 10, 0, p[0, 0] + 10, 400] for p in people] or None)
    return frame(number, people, skeleton=HIEVE14, **fields)


def score(truth: LabelledSequence, found: LabelledSequence, **settings: Any) -> HiEveAPResult:
    metric = HiEveAP(**settings)
    metric.update(truth, found)
    return metric.compute()


ONE = video(crowd(0, [person(100)]))


@pytest.mark.parametrize("mode", MODES)
def test_labels_as_predictions_score_a_hundred(mode: Any) -> None:
    seen = np.full((2, 14), Visibility.VISIBLE)
    seen[0, 3:] = Visibility.OCCLUDED
    seen[1] = Visibility.OCCLUDED
    truth = video(crowd(0, [person(100), person(300)], visibility=seen), crowd(1, [person(100)]))
    result = score(truth, truth, alpha_mode=mode)
    assert {row["Total"] for row in result.groups.values()} == {100.0}


@pytest.mark.parametrize(("hits", "totals"), [(14, (1, 1, 1)), (11, (1, 1, 0)), (7, (1, 0, 0)),
                                              (6, (0, 0, 0))])  # fmt: skip
def test_a_person_is_accepted_by_the_share_of_hit_joints(hits: int, totals: Any) -> None:
    # 11 of 14 is 0.79, 7 of 14 is 0.5 and enough for alpha = 0.5.
    result = score(ONE, video(crowd(0, [person(100, hits)])))
    expected = [t * 100 * hits / 14 for t in totals]
    found = [result.groups[f"AP@{a:g}"]["Total"] for a in (0.5, 0.75, 0.9)]
    assert found == pytest.approx(expected)
    assert result.average == pytest.approx(np.mean(expected))


@pytest.mark.parametrize(
    ("mode", "far", "totals"),
    [
        ("tight", 4.9, (100, 100, 0)), ("tight", 2.0, (100, 100, 100)), ("tight", 10.1, (0, 0, 0)),
        ("literal", 10.1, (0, 100, 100)), ("literal", 17.9, (0, 0, 100)),
    ],
)  # fmt: skip
def test_alpha_tightens_or_literally_widens_the_reach(mode: Any, far: float, totals: Any) -> None:
    # Head size 20 px: tight 10, 5, 2 px; literal 10, 15, 18 px.
    result = score(ONE, video(crowd(0, [person(100 + far)])), alpha_mode=mode)
    assert tuple(result.groups[f"AP@{a:g}"]["Total"] for a in (0.5, 0.75, 0.9)) == totals


def test_joints_of_a_person_who_is_not_accepted_are_wrong() -> None:
    found = video(crowd(0, [person(100, 6), person(100)], score=[0.9, 0.5]))
    assert score(ONE, found).ap[0.5]["nose"] == 50


def test_occluded_joints_are_not_scored() -> None:
    seen = np.full((1, 14), Visibility.VISIBLE)
    seen[0, 12:] = Visibility.OCCLUDED
    truth = video(crowd(0, [person(100)], visibility=seen))
    result = score(truth, video(crowd(0, [person(100, 12)])))
    assert result.ap[0.5]["nose"] == 100
    # Nothing to be found and nothing wrong.
    assert result.ap[0.5][JOINTS[13]] == 0 or np.isnan(result.ap[0.5][JOINTS[13]])


def test_crowd_index_counts_other_peoples_joints_in_ones_box() -> None:
    # Half of the second person (7 joints) stands in the box of the first; nobody in the other's.
    first, second = person(100), person(105)
    second[7:, 0] = 500
    boxes = [[90, 0, 110, 400], [495, 0, 505, 10]]
    assert crowd_index(crowd(0, [first, second], boxes=boxes)) == pytest.approx(0.5 * (7 / 14 + 0))


def test_crowd_index_of_people_apart_and_of_nobody_is_zero() -> None:
    assert crowd_index(crowd(0, [person(100), person(300)])) == 0
    assert crowd_index(crowd(0, [])) == 0


def test_crowded_frames_weigh_two_times_e_to_the_crowd_index() -> None:
    # In the first frame both see all of the other: crowd index 1. The second has one person.
    both = crowd(0, [person(100), person(112)], boxes=[[80, 0, 120, 400], [90, 0, 130, 400]])
    truth, found = video(both, crowd(1, [person(100)])), video(both, crowd(1, []))
    result = score(truth, found)
    assert result.groups["AP@avg"]["Total"] == pytest.approx(100 * 2 / 3)
    # 2 people of weight 2e against one of weight 2.
    assert result.weighted_average == pytest.approx(100 * 2 * np.e / (2 * np.e + 1))


def test_unusual_actions_add_to_the_weight() -> None:
    truth = video(crowd(0, [person(100)]), crowd(1, [person(100)]))
    found = video(crowd(0, []), crowd(1, [person(100)]))
    metric = HiEveAP()
    metric.update(truth, found, anomalies=[0, 3])
    # Weights 2 and 2 + 3.
    assert metric.compute().weighted_average == pytest.approx(100 * 5 / 7)


@pytest.mark.parametrize("anomalies", [[1], [1, -1]])
def test_anomalies_are_one_number_a_frame(anomalies: list[int]) -> None:
    truth = video(crowd(0, [person(100)]), crowd(1, [person(100)]))
    with pytest.raises(ShapeError, match="2 frames and needs as many"):
        HiEveAP().update(truth, truth, anomalies=anomalies)


def test_size_is_nose_to_chest_or_a_tenth_of_the_root_of_the_box() -> None:
    headless = person(300)
    headless[JOINTS.index("chest")] = np.nan
    sizes = nose_to_chest(
        crowd(0, [person(100), headless], boxes=[[0, 0, 1, 1], [0, 0, 40, 250]])
    )  # fmt: skip
    assert sizes == pytest.approx([20, 0.1 * 100])


def test_who_cannot_be_measured_is_named() -> None:
    point = np.full((14, 2), np.nan)
    point[0] = [5, 5]
    truth = video(crowd(4, [point], boxes=[[np.nan] * 4]))
    with pytest.raises(FormatError, match=r"frame 4 \(000004.jpg\).*no nose, chest or box"):
        score(truth, truth)


def test_size_can_be_given() -> None:
    found = video(crowd(0, [person(130)]))
    assert score(ONE, found).average == 0
    assert score(ONE, found, head_size=lambda p: np.full(len(p), 60.0)).average == 100


def test_labelled_frames_without_people_count() -> None:
    truth = video(*ONE.frames, crowd(1, []))
    found = video(crowd(0, [person(100)], score=[0.5]), crowd(1, [person(100)], score=[0.9]))
    assert score(truth, found).average == 50


def test_everything_printed_says_that_it_is_not_the_server() -> None:
    text = str(score(ONE, ONE, alpha_mode="tight"))
    assert text.startswith("HiEve-like, not the server") and "tight" in text
    assert "w-AP@0.75" in text
    metric = HiEveTracking()
    metric.update(ONE, ONE)
    assert str(metric.compute()).startswith("HiEve-like, not the server")


def test_sequences_are_told_alone() -> None:
    metric = HiEveAP()
    metric.update(ONE, ONE)
    metric.update(ONE, video(crowd(0, [])))
    totals = [row["AP@0.5"] for _, row in metric.compute().sequences]
    assert totals == [100, 0]


@pytest.mark.parametrize(
    "settings",
    [{"alpha_mode": "loose"}, {"alphas": (0.5, 1.0)}, {"alphas": ()}, {"crowd_weight": 0}],
)
def test_settings_out_of_range_are_refused(settings: Any) -> None:
    with pytest.raises(UsageError, match="got"):
        HiEveAP(**settings)


def walk(*ids: int | None) -> LabelledSequence:
    """One person under these ids, absent where it is None."""
    return video(
        *(
            crowd(i, [] if own is None else [person(100)], ids=[] if own is None else [own])
            for i, own in enumerate(ids)
        )
    )


@pytest.mark.parametrize("on", ["joints", "boxes"])
def test_only_a_switch_over_an_interruption_weighs_more(on: Any) -> None:
    metric = HiEveTracking(on=on, gamma=3.0)
    metric.update(walk(0, 0, None, 0, 0), walk(1, 2, None, 3, 3))
    result = metric.compute()
    columns = 14 if on == "joints" else 1
    assert (result.switches, result.switches_apart) == (2 * columns, columns)
    assert result.mota == pytest.approx(100 * (1 - 2 / 4))
    assert result.w_mota == pytest.approx(100 * (1 - (2 + 2) / 4))


def test_a_person_missed_by_the_tracker_was_not_interrupted() -> None:
    metric = HiEveTracking()
    metric.update(walk(0, 0, 0), walk(1, None, 2))
    result = metric.compute()
    assert result.switches == 14 and result.switches_apart == 0
    assert result.w_mota == result.mota == pytest.approx(100 * (1 - 2 / 3))


@pytest.mark.parametrize("on", ["joints", "boxes"])
def test_tracks_as_predictions_score_a_hundred(on: Any) -> None:
    metric = HiEveTracking(on=on)
    metric.update(walk(0, 0, None, 0), walk(0, 0, None, 0))
    result = metric.compute()
    assert (result.w_mota, result.mota, result.motp, result.idf1) == (100, 100, 100, 100)


@pytest.mark.parametrize("settings", [{"on": "heads"}, {"gamma": 0.5}])
def test_tracking_settings_out_of_range_are_refused(settings: Any) -> None:
    with pytest.raises(UsageError, match="got"):
        HiEveTracking(**settings)
