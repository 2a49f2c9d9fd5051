"""PoseTrack AP: people, ranks and areas worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from people_in_frames import JOINTS, frame, pose, video, without

from chronopose.core.labels import LabelledSequence, Visibility
from chronopose.core.skeletons import COCO17, LSP14, POSETRACK15, POSETRACK17SLOT
from chronopose.errors import FormatError, SkeletonMismatch, UsageError
from chronopose.metrics.posetrack_map import PoseTrackAP, PoseTrackAPResult, average_precision

MODES = [(r, c) for r in ("posetrack18", "posetrack21") for c in ("poseval", "fixed")]
SQUARE = np.array([[0.0, 0.0], [50.0, 0.0], [50.0, 2000.0], [0.0, 2000.0]])


def score(truth: LabelledSequence, found: LabelledSequence, **settings: Any) -> PoseTrackAPResult:
    metric = PoseTrackAP(**settings)
    metric.update(truth, found)
    return metric.compute()


@pytest.mark.parametrize(("rules", "compat"), MODES)
def test_labels_as_predictions_score_a_hundred(rules: Any, compat: Any) -> None:
    truth = video(frame(0, [pose(60), pose(400)]), frame(1, [pose(70)], ignore=(SQUARE,)))
    result = score(truth, truth, rules=rules, compat=compat)
    assert set(result.groups.values()) == {100.0} and result.total == 100
    assert set(result.precision.values()) == set(result.recall.values()) == {100.0}


def test_half_a_head_is_a_hit_and_a_hair_more_is_not() -> None:
    # Box 30 × 40 px: head size 0.6 · 50 = 30 px.
    truth = video(frame(0, [pose(100)]))
    assert score(truth, video(frame(0, [pose(115)]))).total == 100
    assert score(truth, video(frame(0, [pose(115.001)]))).total == 0


def test_the_size_is_that_of_the_labelled_head() -> None:
    truth = video(frame(0, [pose(100)], head_boxes=[[5, 5, 65, 85]]))
    assert score(truth, video(frame(0, [pose(130)], head_boxes=[[0, 0, 1, 1]]))).total == 100


def test_predicted_joint_that_the_label_lacks_is_wrong() -> None:
    truth = video(frame(0, [pose(100), without(pose(400), "nose")]))
    found = video(frame(0, [pose(100), pose(400)], score=[0.5, 0.9]))
    result = score(truth, found)
    # The nose of the second person ranks first and is wrong: precision 1/2 at recall 1.
    assert result.ap["nose"] == 50 and result.ap["head_top"] == 100
    assert (result.precision["nose"], result.recall["nose"]) == (50, 100)
    assert result.labels["nose"] == 1


def test_one_joint_in_fifteen_is_enough_to_be_assigned() -> None:
    found = pose(1000)
    found[JOINTS.index("nose")] = pose(100)[JOINTS.index("nose")]
    result = score(video(frame(0, [pose(100)])), video(frame(0, [found])))
    assert (result.ap["nose"], result.ap["left_hip"]) == (100, 0)


def test_a_label_keeps_the_prediction_with_the_larger_share() -> None:
    worse = pose(100)
    worse[0] = [900, 900]
    found = video(frame(0, [worse, pose(100)], score=[0.9, 0.5]))
    result = score(video(frame(0, [pose(100)])), found)
    # Everything of the loser is wrong, and it ranks first.
    assert result.ap[JOINTS[1]] == 50


@pytest.mark.parametrize(("scores", "ap"), [([0.9, 0.5], 100), ([0.5, 0.9], 50)])
def test_of_two_equal_predictions_the_first_is_taken(scores: list[float], ap: float) -> None:
    found = video(frame(0, [pose(100), pose(100)], score=scores))
    assert score(video(frame(0, [pose(100)])), found).total == ap


def test_a_prediction_between_two_labels_goes_to_the_first_only() -> None:
    truth = video(frame(0, [pose(100), pose(120)]))
    result = score(truth, video(frame(0, [pose(110)])))
    assert result.recall["nose"] == 50 and result.precision["nose"] == 100
    assert result.total == 50


def test_equal_scores_stay_in_the_order_of_the_file() -> None:
    truth = video(frame(0, [pose(100)]))
    for people, ap in (([pose(100), pose(900)], 100), ([pose(900), pose(100)], 50)):
        assert score(truth, video(frame(0, people, score=[0.5, 0.5]))).total == ap


def test_joint_without_a_score_comes_last() -> None:
    truth = video(frame(0, [pose(100)]))
    found = video(frame(0, [pose(900), pose(100)], score=[np.nan, -50.0]))
    assert score(truth, found).total == 100


def test_precision_is_made_falling_from_the_right() -> None:
    # Ranks: hit, miss, hit, hit of 4: precisions 1, 1/2, 2/3, 3/4; the middle is raised to 3/4.
    value = average_precision(np.array([4.0, 3, 2, 1]), np.array([True, False, True, True]), 4)
    assert value == pytest.approx((1 + 0.75 + 0.75) / 4)


def test_weights_count_like_repeated_predictions() -> None:
    scores, hits = np.array([3.0, 2, 1]), np.array([True, False, True])
    weighted = average_precision(scores, hits, 5.0, np.array([2.0, 1, 3]))
    repeated = average_precision(np.repeat(scores, [2, 1, 3]), np.repeat(hits, [2, 1, 3]), 5)
    # After the last one both have precision 5/6, which the envelope carries back to rank 3.
    assert weighted == pytest.approx(2 / 5 + 3 / 5 * 5 / 6)
    assert repeated == pytest.approx(weighted)


def test_frames_without_a_record_are_dropped_unless_the_kit_calls_them_labelled() -> None:
    truth = video(frame(0, [pose(100)]), frame(1))
    found = video(frame(0, [pose(100)], score=[0.5]), frame(1, [pose(100)], score=[0.9]))
    assert score(truth, found).total == 100
    assert score(truth, found, rules="posetrack21").total == 50
    unlabelled = video(truth.frames[0], replace(truth.frames[1], labelled=False))
    assert score(unlabelled, found, rules="posetrack21").total == 100


def test_regions_remove_points_of_labels_and_predictions() -> None:
    truth = video(frame(0, [pose(25), pose(400)], ignore=(SQUARE,)))
    found = video(frame(0, [pose(400), pose(30)], score=[0.5, 0.9]))
    result = score(truth, found)
    assert result.total == 100 and result.labels["nose"] == 1


def test_a_point_on_the_boundary_is_outside() -> None:
    truth = video(frame(0, [pose(50), pose(49.999)], ignore=(SQUARE,)))
    assert score(truth, truth).labels["nose"] == 1


def test_a_hole_of_a_bent_region_is_outside() -> None:
    horseshoe = np.array(
        [[0.0, 0], [90, 0], [90, 2000], [60, 2000], [60, 50], [30, 50], [30, 2000], [0, 2000]]
    )
    truth = video(frame(0, [pose(15), pose(45), pose(75)], ignore=(horseshoe,)))
    assert score(truth, truth).labels["nose"] == 1


@pytest.mark.parametrize("rules", ["posetrack18", "posetrack21"])
def test_where_regions_leave_no_label_everything_found_is_wrong(rules: Any) -> None:
    truth = video(frame(0, [pose(25)], ignore=(SQUARE,)), frame(1, [pose(100)]))
    found = video(frame(0, [pose(400)], score=[0.9]), frame(1, [pose(100)], score=[0.5]))
    assert score(truth, found, rules=rules).total == 50


def test_never_labelled_joint_spoils_its_group_counts_as_zero_or_is_left_out() -> None:
    truth = video(frame(0, [without(pose(100), "nose")]))
    found = video(frame(0, [pose(100)]))
    published = score(truth, found)
    assert np.isnan(published.ap["nose"]) and np.isnan(published.groups["Head"])
    assert published.total == 100
    fixed = score(truth, found, compat="fixed")
    assert np.isnan(fixed.ap["nose"]) and (fixed.groups["Head"], fixed.total) == (100, 100)
    kit = score(truth, found, rules="posetrack21")
    assert kit.ap["nose"] == 0 and kit.groups["Head"] == pytest.approx(200 / 3)
    assert kit.total == pytest.approx(100 * 14 / 15)
    both = score(truth, found, rules="posetrack21", compat="fixed")
    assert np.isnan(both.ap["nose"]) and both.total == 100


def test_the_head_weighs_three_joints_in_fifteen() -> None:
    found = pose(900)
    for joint in ("nose", "head_top", "head_bottom"):
        found[JOINTS.index(joint)] = pose(100)[JOINTS.index(joint)]
    result = score(video(frame(0, [pose(100)])), video(frame(0, [found])))
    assert (result.groups["Head"], result.groups["Knee"]) == (100, 0)
    assert result.total == pytest.approx(20)


def test_for_the_kit_a_joint_on_the_edge_of_the_picture_is_not_there() -> None:
    truth = video(frame(0, [pose(0), pose(100)]))
    assert score(truth, truth).labels["nose"] == 2
    assert score(truth, truth, rules="posetrack21").labels["nose"] == 1


def test_occluded_labels_count() -> None:
    hidden = np.full((1, 15), Visibility.OCCLUDED)
    truth = video(frame(0, [pose(100)], visibility=hidden))
    assert score(truth, video(frame(0, [pose(100)]))).recall["nose"] == 100


def test_a_head_without_size_matches_nothing() -> None:
    truth = video(frame(0, [pose(100), pose(400)], head_boxes=[[5, 5, 5, 5], [0, 0, 30, 40]]))
    assert score(truth, truth).recall["nose"] == 50


def test_joints_are_found_by_name() -> None:
    slots = pose(100, skeleton=POSETRACK17SLOT)
    truth = video(frame(0, [slots], skeleton=POSETRACK17SLOT)).to_skeleton(POSETRACK15)
    found = video(frame(0, [slots], skeleton=POSETRACK17SLOT))
    assert score(truth, found).total == 100


def test_predictions_of_another_convention_are_converted() -> None:
    coco = np.full((17, 2), 300.0)
    for joint, x, y in (
        ("nose", 100, 80),
        ("left_shoulder", 90, 100),
        ("right_shoulder", 110, 100),
    ):
        coco[COCO17.index(joint)] = [x, y]
    found = video(frame(0, [coco], skeleton=COCO17))
    label = without(pose(100), *(j for j in JOINTS if not j.startswith("head")))
    label[JOINTS.index("head_bottom")] = [100, 100]  # between the shoulders
    label[JOINTS.index("head_top")] = [100, 60]  # as far above the nose
    result = score(video(frame(0, [label])), found)
    assert (result.ap["head_bottom"], result.ap["head_top"]) == (100, 100)


def test_labels_are_never_made_up() -> None:
    truth = video(frame(0, [np.ones((14, 2))], skeleton=LSP14))
    with pytest.raises(SkeletonMismatch, match="head_bottom, which would be made up"):
        score(truth, truth)


def test_all_sequences_are_ranked_together_and_also_alone() -> None:
    metric = PoseTrackAP()
    metric.update(video(frame(0, [pose(100)]), name="a"), video(frame(0, [pose(100)], score=[0.5])))
    metric.update(video(frame(0, [pose(100)]), name="b"), video(frame(0, [pose(900)], score=[0.9])))
    result = metric.compute()
    # One hit at rank 2 of 2 labels: precision 1/2 up to recall 1/2.
    assert result.total == 25
    assert [(s.name, s.groups["Total"]) for s in result.sequences] == [("a", 100), ("b", 0)]
    assert result.frames == 2


def test_frames_are_joined_by_name_whatever_their_order() -> None:
    truth = video(frame(0, [pose(100)]), frame(1, [pose(400)]))
    assert score(truth, video(*truth.frames[::-1])).total == 100


def test_frames_are_joined_by_number_where_names_differ() -> None:
    truth = video(frame(0, [pose(100)]), frame(1, [pose(400)]))
    found = video(*(replace(f, name=f"other/{f.frame_index}") for f in truth.frames[::-1]))
    assert score(truth, found).total == 100


def test_image_ids_come_before_names() -> None:
    truth = video(*(frame(i, [pose(100 + 300 * i)], image_id=i) for i in range(2)))
    found = video(*(frame(i, [pose(400 - 300 * i)], image_id=1 - i) for i in range(2)))
    assert score(truth, found).total == 100


@pytest.mark.parametrize("extra", [1, 3])
def test_other_frames_are_refused(extra: int) -> None:
    truth = video(frame(0, [pose(100)]), frame(1, [pose(100)]))
    found = video(*(frame(i, [pose(100)]) for i in range(extra)), name="mine")
    with pytest.raises(FormatError, match=rf"'mine' have {extra} frames and .* 'walk' have 2"):
        score(truth, found)


def test_the_first_missing_frame_is_named() -> None:
    truth = video(frame(0, [pose(100)]), frame(1, [pose(100)]))
    with pytest.raises(FormatError, match=r"by name 1 of them lack, first 000001\.jpg"):
        score(truth, video(frame(0, [pose(100)]), frame(7)))


def test_a_missing_head_box_is_named() -> None:
    truth = video(frame(3, [pose(100), pose(400)], head_boxes=[[0, 0, 3, 4], [np.nan] * 4]))
    with pytest.raises(FormatError, match=r"'walk', frame 3 \(000003.jpg\).*no head box"):
        score(truth, truth)


def test_a_person_without_joints_needs_no_head_box() -> None:
    nobody = np.full((15, 2), np.nan)
    truth = video(frame(0, [pose(100), nobody], head_boxes=[[0, 0, 30, 40], [np.nan] * 4]))
    assert score(truth, truth).total == 100


@pytest.mark.parametrize("side", [0, 1])
def test_track_ids_from_ten_thousand_on_are_refused(side: int) -> None:
    pair = [video(frame(0, [pose(100)], ids=[9_999])) for _ in range(2)]
    assert score(*pair).total == 100
    pair[side] = video(frame(0, [pose(100)], ids=[10_000]))
    with pytest.raises(FormatError, match="track id 10000 is not below 10000"):
        score(*pair)


def test_average_precision_needs_no_track_ids() -> None:
    truth = video(frame(0, [pose(100), pose(400)], ids=[-1, -1]))
    assert score(truth, truth).total == 100


def test_the_table_names_its_mode_and_its_columns() -> None:
    truth = video(frame(0, [pose(100)]))
    text = str(score(truth, truth, rules="posetrack21", compat="fixed"))
    assert "posetrack21 rules, fixed" in text
    assert text.splitlines()[1].split() == [
        "Head", "Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle", "Total",
    ]  # fmt: skip
    assert text.splitlines()[2].split() == ["AP", *["100.0"] * 8]


def test_nothing_added_is_nothing_known() -> None:
    result = PoseTrackAP(compat="fixed").compute()
    assert np.isnan(result.total) and "-" in str(result) and result.sequences == ()


@pytest.mark.parametrize("settings", [{"rules": "posetrack19"}, {"compat": "mostly"}])
def test_unknown_modes_are_refused(settings: Any) -> None:
    with pytest.raises(UsageError, match=r"got '(posetrack19|mostly)'"):
        PoseTrackAP(**settings)
