"""CLEAR-MOT and IDF1 of joints and boxes: misses, switches and gaps counted by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from people_in_frames import frame, pose, video, without

from chronopose.core.labels import LabelledSequence
from chronopose.core.skeletons import POSETRACK15
from chronopose.errors import FormatError, UsageError
from chronopose.metrics.tracking import BoxTracking, PoseTracking, PoseTrackingResult

MODES = [(r, c) for r in ("posetrack18", "posetrack21") for c in ("poseval", "fixed")]
TWO = [pose(100), pose(400)]
SQUARE = np.array([[0.0, 0.0], [50.0, 0.0], [50.0, 50.0], [0.0, 50.0]])


def score(
    truth: LabelledSequence, found: LabelledSequence, compat: Any = "fixed", **settings: Any
) -> PoseTrackingResult:
    metric = PoseTracking(compat=compat, **settings)
    metric.update(truth, found)
    return metric.compute()


def named(*ids: Any, **fields: Any) -> LabelledSequence:
    """Two people standing still under these ids, frame by frame."""
    return video(*(frame(i, TWO, ids=own, **fields) for i, own in enumerate(ids)))


STILL = named([0, 1], [0, 1], [0, 1], [0, 1])


@pytest.mark.parametrize(("rules", "compat"), MODES)
def test_labels_as_predictions_score_a_hundred(rules: Any, compat: Any) -> None:
    result = score(STILL, STILL, compat, rules=rules)
    assert set(result.groups.values()) == set(result.total.values()) == {100.0}


def test_exchanged_ids_are_one_switch_each() -> None:
    result = score(STILL, named([0, 1], [0, 1], [1, 0], [1, 0]))
    # 8 labels of each joint, 2 switches.
    assert result.counts["nose"]["switches"] == 2
    assert result.mota["nose"] == 75 and result.motp["nose"] == 100
    assert result.precision["nose"] == result.recall["nose"] == 100
    # Each label is with its best track for 2 of 4 frames: 2·4 of 8 + 8.
    assert result.idf1["nose"] == 50


def test_ids_of_predictions_need_not_be_those_of_the_labels() -> None:
    result = score(STILL, named(*[[907, 3]] * 4))
    assert result.total["mota"] == result.total["idf1"] == 100


def test_misses_and_false_positives_are_counted_by_joint() -> None:
    found = video(
        frame(0, [pose(100), without(pose(400), "nose")]), frame(1, [*TWO, pose(800)]),
        frame(2, TWO), frame(3, TWO),
    )  # fmt: skip
    result = score(STILL, found)
    assert result.counts["nose"] == {
        "objects": 8, "predicted": 8, "matches": 7, "misses": 1, "false_positives": 1,
        "switches": 0,
    }  # fmt: skip
    assert result.mota["nose"] == 75 and result.mota["left_hip"] == 87.5
    assert (result.recall["nose"], result.precision["nose"]) == (87.5, 87.5)
    assert result.precision["left_hip"] == pytest.approx(100 * 8 / 9)


def test_motp_is_what_the_distance_leaves_of_a_hundred() -> None:
    # 3 px of a head size of 30 px.
    found = video(*(frame(i, [pose(103), pose(397)]) for i in range(4)))
    assert score(STILL, found).total["motp"] == pytest.approx(90)


def test_a_label_keeps_its_track_though_another_is_nearer() -> None:
    truth = video(frame(0, [pose(100)]), frame(1, [pose(100)]))
    found = video(
        frame(0, [pose(100)], ids=[7]), frame(1, [pose(112), pose(100)], ids=[7, 8])
    )  # fmt: skip
    result = score(truth, found)
    assert result.counts["nose"]["switches"] == 0
    assert result.motp["nose"] == pytest.approx(100 - 100 * 0.4 / 2)


def test_as_many_pairs_as_possible_before_the_nearest() -> None:
    # The prediction at 110 is nearest to the label at 112, but only it can serve the one at 98.
    truth = video(frame(0, [pose(98), pose(112)]))
    result = score(truth, video(frame(0, [pose(110), pose(125)])))
    assert result.counts["nose"]["matches"] == 2
    assert result.motp["nose"] == pytest.approx(100 * (1 - (12 + 13) / 30 / 2))


def test_a_track_that_comes_back_under_another_name_is_a_switch() -> None:
    truth = video(*(frame(i, [pose(100)]) for i in range(3)))
    found = video(frame(0, [pose(100)], ids=[0]), frame(1), frame(2, [pose(100)], ids=[5]))
    assert score(truth, found).counts["nose"]["switches"] == 1


def test_poseval_skips_the_last_labelled_frame() -> None:
    found = video(*STILL.frames[:3], frame(3, [pose(800)]))
    assert score(STILL, found, "poseval").total["mota"] == 100
    assert score(STILL, found).total["mota"] == pytest.approx(100 * (1 - 3 / 8))


def test_poseval_skips_the_last_frame_that_has_labels() -> None:
    truth = video(*STILL.frames[:3], frame(3, labelled=False))
    found = video(*STILL.frames[:2], frame(2), frame(3))
    assert score(truth, found, "poseval").total["mota"] == 100


def test_poseval_counts_one_dummy_where_a_side_is_empty() -> None:
    found = video(STILL.frames[0], frame(1), *STILL.frames[2:])
    # Of frames 0, 1, 2: 2 + 1 + 2 labels, one miss and one false positive.
    result = score(STILL, found, "poseval")
    assert result.mota["nose"] == pytest.approx(100 * (1 - 2 / 5))
    assert result.precision["nose"] == result.recall["nose"] == 80
    assert score(STILL, found).mota["nose"] == 75


def test_poseval_counts_a_dummy_for_labels_that_are_ignored() -> None:
    region = np.array([[0.0, 0], [900, 0], [900, 9000], [0, 9000]])
    truth = video(STILL.frames[0], frame(1, TWO, ignore=(region,)), *STILL.frames[2:])
    assert score(truth, STILL, "poseval").mota["nose"] == pytest.approx(100 * (1 - 2 / 5))
    assert score(truth, STILL).mota["nose"] == 100


def test_never_labelled_joint_is_left_out_or_poisons_the_total() -> None:
    truth = video(*(frame(i, [without(p, "nose") for p in TWO]) for i in range(4)))
    found = video(STILL.frames[0], frame(1), *STILL.frames[2:])
    fixed = score(truth, found)
    assert np.isnan(fixed.mota["nose"]) and np.isnan(fixed.precision["nose"])
    assert fixed.groups["Head"] == fixed.total["mota"] == 75
    published = score(truth, found, "poseval")
    # One dummy label; one dummy and four noses are wrong, and the dummy is missed.
    assert published.mota["nose"] == pytest.approx(-500)
    assert published.total["mota"] == pytest.approx((14 * 60 - 500) / 15)
    assert published.motp["nose"] == 0


def test_one_frame_is_nothing_to_poseval() -> None:
    one = video(frame(0, TWO))
    with pytest.raises(UsageError, match=r"'walk' has one labelled frame.*compat='fixed'"):
        score(one, one, "poseval")
    assert score(one, one).total["mota"] == 100


def test_sequences_are_summed_and_also_told_alone() -> None:
    metric = PoseTracking(compat="fixed")
    metric.update(STILL, STILL)
    short = video(frame(0, [pose(100)]), frame(1, [pose(100)]), name="short")
    metric.update(short, video(frame(0), frame(1)))
    result = metric.compute()
    # 8 of 10 labels are found.
    assert result.mota["nose"] == 80 and result.frames == 6
    assert [s.groups["Total"] for s in result.sequences] == [100, 0]
    assert result.sequences[1].counts["nose"]["misses"] == 2


def test_tracks_do_not_live_on_in_the_next_sequence() -> None:
    metric = PoseTracking(compat="fixed")
    metric.update(STILL, STILL)
    metric.update(STILL, named(*[[1, 0]] * 4))
    assert metric.compute().counts["nose"]["switches"] == 0


def test_joints_may_stand_in_another_order() -> None:
    assert score(STILL, STILL.to_skeleton(POSETRACK15)).total["mota"] == 100


@pytest.mark.parametrize("side", [0, 1])
def test_people_without_ids_cannot_be_tracked(side: int) -> None:
    pair = [STILL, STILL]
    pair[side] = named([0, 1], [0, -1], [0, 1], [0, 1])
    with pytest.raises(FormatError, match=r"'walk', frame 1 \(000001.jpg\).*no track id"):
        score(*pair)


def test_stills_cannot_be_tracked() -> None:
    stills = video(*STILL.frames, is_video=False)
    with pytest.raises(FormatError, match="set of stills"):
        score(stills, stills)


def test_the_table_names_its_mode() -> None:
    text = str(score(STILL, STILL, "poseval"))
    assert "posetrack18 rules, poseval" in text
    assert all(word in text for word in ("MOTA", "MOTP", "Prec", "Rec", "IDF1", "Head", "Ankle"))


BOXES = np.array([[0.0, 0.0, 10.0, 10.0], [100.0, 0.0, 110.0, 10.0]])


def boxed(*boxes: Any, ids: Any = None, ignore: Any = ()) -> LabelledSequence:
    """People without joints in these boxes, frame by frame."""
    nobody = np.full((15, 2), np.nan)
    return video(
        *(
            frame(
                i, [nobody] * len(own), boxes=own, ignore=ignore,
                ids=np.arange(len(own)) if ids is None else ids[i],
            )
            for i, own in enumerate(boxes)
        )
    )  # fmt: skip


def test_boxes_given_as_predictions_score_a_hundred() -> None:
    metric = BoxTracking()
    metric.update(boxed(BOXES, BOXES), boxed(BOXES, BOXES))
    result = metric.compute()
    assert (result.mota, result.motp, result.idf1) == (100, 100, 100)
    assert "MOTA" in str(result)


@pytest.mark.parametrize(("shift", "matches"), [(10 / 3, 2), (3.4, 0)])
def test_boxes_match_from_half_an_overlap_on(shift: float, matches: int) -> None:
    # Moved by a third: (20/3) · 10 of 100 + 100 - 200/3 is one half.
    metric = BoxTracking(min_iou=0.5 - 1e-9)
    metric.update(boxed(BOXES), boxed(BOXES + np.array([shift, 0, shift, 0])))
    assert metric.compute().counts["matches"] == matches


def test_a_switch_of_boxes() -> None:
    metric = BoxTracking()
    metric.update(boxed(BOXES, BOXES), boxed(BOXES, BOXES, ids=[[0, 1], [0, 5]]))
    result = metric.compute()
    assert result.mota == 75 and result.idf1 == 75


def test_unmatched_box_over_a_region_is_left_out_and_a_matched_one_is_not() -> None:
    # A box of 20 × 20 px in a region of 50 × 50 px overlaps by 400 / 2500 > 0.1.
    truth = boxed([[20, 20, 40, 40]], ignore=(SQUARE,))
    found = boxed([[20, 20, 40, 40], [0, 0, 20, 20], [100, 0, 120, 20]])
    metric = BoxTracking()
    metric.update(truth, found)
    result = metric.compute()
    assert result.ignored == 1
    assert (result.counts["matches"], result.counts["false_positives"]) == (1, 1)


def test_a_little_overlap_with_a_region_does_not_excuse() -> None:
    # 15 · 15 = 225 of 2500: at most 0.1.
    metric = BoxTracking()
    metric.update(boxed([[200, 0, 210, 10]], ignore=(SQUARE,)), boxed([[0, 0, 15, 15]]))
    assert metric.compute().ignored == 0


def test_the_worse_of_two_boxes_on_a_label_is_left_out_over_a_region() -> None:
    truth = boxed([[20, 20, 40, 40]], ignore=(SQUARE,))
    metric = BoxTracking()
    metric.update(truth, boxed([[21, 20, 41, 40], [20, 20, 40, 40]]))
    result = metric.compute()
    assert (result.ignored, result.counts["false_positives"], result.motp) == (1, 0, 100)


def test_a_person_without_a_box_cannot_be_tracked_by_it() -> None:
    with pytest.raises(FormatError, match="a person of the predictions has no box"):
        BoxTracking().update(boxed(BOXES), boxed([[0, 0, 1, 1], [np.nan] * 4]))


@pytest.mark.parametrize("bound", [0.0, 1.5])
def test_an_overlap_is_a_share(bound: float) -> None:
    with pytest.raises(UsageError, match="min_iou"):
        BoxTracking(min_iou=bound)


def test_unknown_mode_is_refused() -> None:
    with pytest.raises(UsageError, match="'poseval', 'fixed'; got 'new'"):
        PoseTracking(compat="new")  # type: ignore[arg-type]
