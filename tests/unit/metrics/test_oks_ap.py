"""OKS AP: hand-worked similarities, who takes whom, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from chronopose.core.labels import LabelledFrame, LabelledSequence
from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import COCO17, CROWDPOSE14
from chronopose.errors import FormatError, SkeletonMismatch, UsageError
from chronopose.metrics.oks_ap import OKSAP, OKSResult

# Sigma 0.05 and area 10,000: the spread is 2 * 0.05 * 100 = 10 px, and OKS = exp(-d^2 / 200).
TWO = Skeleton("two", ("nose", "neck"), oks_sigmas=(0.05, 0.05))
AREA = 10_000.0


def off_for(oks: float) -> float:
    """How many pixels off all joints must be for an OKS."""
    return float(np.sqrt(-200 * np.log(oks)))


def picture(
    name: str, *people: tuple[float, float], image_id: int | None = None, **more: Any
) -> LabelledFrame:
    """People at (x, y), their second joint 50 px below; boxes 100 x 100 around the first."""
    at = np.array(people, float).reshape(-1, 1, 2)
    xy = np.concatenate([at, at + np.array([0.0, 50.0])], axis=1)
    boxes = np.concatenate([at[:, 0] - 50, at[:, 0] + 50], axis=1)
    given: dict[str, Any] = {"boxes": boxes, "area": np.full(len(at), AREA)}
    return LabelledFrame(name, 0, TWO, xy, image_id=image_id, **(given | more))


def stills(*frames: LabelledFrame, skeleton: Skeleton = TWO) -> LabelledSequence:
    numbered = tuple(replace(f, frame_index=i) for i, f in enumerate(frames))
    return LabelledSequence("stills", skeleton, numbered, is_video=False)


def found(frame: LabelledFrame, *scores: float) -> LabelledFrame:
    return replace(frame, person_score=np.array(scores, float), crowd=np.zeros(len(frame), bool))


def score(truth: LabelledFrame, pred: LabelledFrame, **settings: Any) -> OKSResult:
    metric = OKSAP(TWO, **settings)
    metric.update(stills(truth), stills(pred))
    return metric.compute()


def test_labels_as_predictions_score_a_hundred() -> None:
    truth = picture("a", (100, 100), (300, 100), (500, 100))
    result = score(truth, truth)
    assert {n: round(v, 9) for n, v in result.scores.items() if n[-2:] != "_M"} == dict.fromkeys(
        ("AP", "AP50", "AP75", "AP_L", "AR", "AR50", "AR75", "AR_L"), 100.0
    )
    assert np.isnan([result.scores["AP_M"], result.scores["AR_M"]]).all()
    assert (result.people, result.ignored, result.predictions) == (3, 0, 3)


@pytest.mark.parametrize(("oks", "levels"), [(0.49, 0), (0.5001, 1), (0.74, 5), (0.951, 10)])
def test_each_of_ten_thresholds_is_worth_a_tenth(oks: float, levels: int) -> None:
    truth = picture("a", (100, 100), (300, 100))
    x = off_for(oks)
    result = score(truth, found(picture("a", (100 + x, 100), (300, 100 - x)), 0.9, 0.8))
    assert result.scores["AP"] == pytest.approx(10 * levels)
    assert result.scores["AR"] == pytest.approx(10 * levels)


def test_joint_that_was_not_predicted_adds_nothing() -> None:
    truth = picture("a", (100, 100), (300, 100))
    xy = truth.xy.copy()
    xy[:, 1] = np.nan
    half = replace(truth, xy=xy, visibility=None)
    # One of two joints is perfect: OKS 0.5 reaches the first threshold only.
    assert score(truth, half).scores["AP"] == pytest.approx(10)


def test_joint_without_a_label_does_not_count() -> None:
    xy = picture("a", (100, 100), (300, 100)).xy.copy()
    xy[:, 1] = np.nan
    truth = replace(picture("a", (100, 100), (300, 100)), xy=xy, visibility=None)
    assert score(truth, picture("a", (100, 100), (300, 100))).scores["AP"] == pytest.approx(100)


def test_false_alarm_that_is_surer_halves_the_precision() -> None:
    truth = picture("a", (100, 100))
    pred = picture("a", (900, 100), (100, 100))
    assert score(truth, found(pred, 0.9, 0.5)).scores["AP"] == pytest.approx(50)
    assert score(truth, found(pred, 0.5, 0.9)).scores["AP"] == pytest.approx(100)


def test_prediction_without_a_score_comes_last() -> None:
    pred = picture("a", (900, 100), (100, 100))
    truth = picture("a", (100, 100))
    assert score(truth, found(pred, np.nan, 0.01)).scores["AP"] == pytest.approx(100)


def test_surer_prediction_takes_the_nearest_person_and_leaves_the_other() -> None:
    # A stands between both people, nearer to the second; B is right on the second.
    x = off_for(0.8)
    pair = picture("a", (100, 100), (100 + 1.5 * x, 100))
    between, on = (100 + 0.8 * x, 100), (100 + 1.5 * x, 100)
    sure_first = score(pair, found(picture("a", between, on), 0.9, 0.5))
    # A takes the second person; B finds only the first one, 1.5 x off: OKS 0.8 ** 2.25 = 0.605.
    assert sure_first.scores["AR75"] == pytest.approx(50)
    sure_last = score(pair, found(picture("a", between, on), 0.5, 0.9))
    # B takes the second person; A is 0.8 x from the first: OKS 0.8 ** 0.64 = 0.867.
    assert sure_last.scores["AR75"] == pytest.approx(100)


def test_crowd_swallows_any_number_and_counts_for_nothing() -> None:
    truth = picture("a", (100, 100), (400, 100), crowd=np.array([False, True]))
    pred = picture("a", (400, 100), (401, 100), (402, 100), (100, 100))
    result = score(truth, found(pred, 0.9, 0.8, 0.7, 0.6))
    assert result.scores["AP"] == pytest.approx(100)
    assert (result.people, result.ignored) == (1, 1)


def test_person_without_joints_swallows_one_prediction_near_the_box() -> None:
    nobody = np.full((1, 2, 2), np.nan)
    one = picture("a", (100, 100))
    truth = replace(
        picture("a", (100, 100), (600, 100)),
        xy=np.concatenate([one.xy, nobody]), visibility=None,
    )  # fmt: skip
    # The box is 550..650 and reaches to 450..750 when enlarged: 455 is inside.
    near = picture("a", (455, 100), (100, 100))
    assert score(truth, found(near, 0.9, 0.5)).scores["AP"] == pytest.approx(100)
    two = picture("a", (455, 100), (460, 100), (100, 100))
    assert score(truth, found(two, 0.9, 0.8, 0.5)).scores["AP"] == pytest.approx(50)
    far = picture("a", (400, 100), (100, 100))
    assert score(truth, found(far, 0.9, 0.5)).scores["AP"] == pytest.approx(50)


def test_count_in_the_file_decides_who_has_no_joints() -> None:
    truth = picture("a", (100, 100), (400, 100))
    told = replace(truth, extra={"people": [{}, {"num_keypoints": 0}]})
    pred = found(picture("a", (100, 100)), 0.5)
    assert score(truth, pred).scores["AR"] == pytest.approx(50)
    assert score(told, pred).scores["AR"] == pytest.approx(100)


def test_only_the_best_predictions_are_looked_at() -> None:
    truth = picture("a", (100, 100))
    pred = found(picture("a", (900, 100), (800, 100), (100, 100)), 0.9, 0.8, 0.7)
    assert score(truth, pred, max_people=3).scores["AR"] == pytest.approx(100)
    assert score(truth, pred, max_people=2).scores["AR"] == 0


def test_unmatched_prediction_of_another_size_is_no_false_alarm() -> None:
    truth = picture("a", (100, 100), area=np.array([5000.0]))
    # A medium person; the false alarm's box is 200 x 200 = large, and surer.
    ghost = picture("a", (900, 100), (100, 100))
    boxes = np.array([[800.0, 0, 1000, 200], [50, 50, 120, 120]])
    pred = found(replace(ghost, boxes=boxes), 0.9, 0.5)
    result = score(truth, pred)
    assert result.scores["AP"] == pytest.approx(50)
    assert result.scores["AP_M"] == pytest.approx(100)
    # By its joints it is 0 px wide: too small for medium as well.
    assert score(truth, pred, prediction_area="joints").scores["AP_M"] == pytest.approx(100)
    medium = replace(pred, boxes=boxes[[1, 1]])
    assert score(truth, medium).scores["AP_M"] == pytest.approx(50)


def test_pictures_without_people_count_their_false_alarms() -> None:
    metric = OKSAP(TWO)
    truth = stills(picture("a", (100, 100)), picture("b"))
    pred = stills(found(picture("a", (100, 100)), 0.5), found(picture("b", (100, 100)), 0.9))
    metric.update(truth, pred)
    assert metric.compute().scores["AP"] == pytest.approx(50)


def test_unlabelled_picture_is_left_out_with_its_predictions() -> None:
    metric = OKSAP(TWO)
    truth = stills(picture("a", (100, 100)), replace(picture("b"), labelled=False))
    pred = stills(found(picture("a", (100, 100)), 0.5), found(picture("b", (100, 100)), 0.9))
    metric.update(truth, pred)
    assert metric.compute().scores["AP"] == pytest.approx(100)


def test_equal_scores_are_taken_by_picture_id_and_not_by_order() -> None:
    truth = stills(picture("late", (100, 100), image_id=9), picture("early", image_id=2))
    right = found(picture("late", (100, 100), image_id=9), 0.5)
    wrong = found(picture("early", (500, 500), image_id=2), 0.5)
    metric = OKSAP(TWO)
    metric.update(truth, stills(right, wrong))
    # The false alarm is in picture 2, which comes before 9.
    assert metric.compute().scores["AP"] == pytest.approx(50)


def test_pictures_are_joined_by_id_before_name() -> None:
    truth = stills(picture("x", (100, 100), image_id=1), picture("y", (900, 900), image_id=2))
    pred = stills(picture("y", (100, 100), image_id=1), picture("x", (900, 900), image_id=2))
    metric = OKSAP(TWO)
    metric.update(truth, pred)
    assert metric.compute().scores["AP"] == pytest.approx(100)


def test_missing_picture_has_no_predictions() -> None:
    metric = OKSAP(TWO)
    truth = stills(picture("a", (100, 100)), picture("b", (100, 100)))
    metric.update(truth, stills(picture("b", (100, 100))))
    assert metric.compute().scores["AR"] == pytest.approx(50)


def test_frames_of_a_video_are_found_by_number_and_extra_ones_left_out() -> None:
    truth = stills(picture("cam/0.jpg", (100, 100)), picture("cam/1.jpg", (300, 100)))
    pred = stills(picture("", (100, 100)), picture("", (300, 100)), picture("", (9, 9)))
    metric = OKSAP(TWO)
    metric.update(truth, replace(pred, is_video=True))
    assert metric.compute().scores["AP"] == pytest.approx(100)


def test_two_updates_are_one_set() -> None:
    rng = np.random.default_rng(0)
    frames = [picture(f"p{i}", *rng.uniform(0, 900, (3, 2)).tolist()) for i in range(6)]
    guesses = [
        found(picture(f.name, *(f.xy[:, 0] + rng.normal(0, 6, (3, 2))).tolist()), *rng.random(3))
        for f in frames
    ]
    whole, parts = OKSAP(TWO), OKSAP(TWO)
    whole.update(stills(*frames), stills(*guesses))
    parts.update(stills(*frames[:2]), stills(*guesses[:2]))
    parts.update(replace(stills(*frames[2:]), name="rest"), stills(*guesses[2:]))
    assert whole.compute().scores["AP"] == parts.compute().scores["AP"]
    assert 0 < whole.compute().scores["AP"] < 100


def test_nothing_added_is_nan_and_not_zero() -> None:
    result = OKSAP(TWO).compute()
    assert np.isnan(list(result.scores.values())).all()
    assert (result.pictures, result.people) == (0, 0)


def test_people_and_no_predictions_score_zero() -> None:
    result = score(picture("a", (100, 100)), picture("a"))
    assert (result.scores["AP"], result.scores["AR"]) == (0, 0)


def test_crowdpose_measures_by_the_box_and_groups_by_crowd() -> None:
    xy = np.tile(np.linspace(100, 200, 14)[:, None], (1, 1, 2))
    frames = [
        LabelledFrame(
            f"{index}", 0, CROWDPOSE14, xy, boxes=np.array([[100.0, 100, 200, 200]]),
            extra={"crowdIndex": index},
        )
        for index in (0.0, 0.19, 0.2, 0.79, 0.8, 1.0)
    ]  # fmt: skip
    wrong = {"0.19", "0.79", "0.8", "1.0"}
    guesses = [replace(f, xy=f.xy + 900.0 * (f.name in wrong)) for f in frames]
    truth, pred = (stills(*f, skeleton=CROWDPOSE14) for f in (frames, guesses))
    metric = OKSAP(CROWDPOSE14, compat="crowdpose")
    metric.update(truth, pred)
    scores = metric.compute().scores
    # One of two found with the surest of two equal scores right: recall 0.5, precision 1 to there.
    half = pytest.approx(100 * 51 / 101)
    assert (scores["AP_easy"], scores["AP_medium"], scores["AP_hard"]) == (half, half, 0)
    assert "AP_M" not in scores
    paper = OKSAP(CROWDPOSE14, compat="crowdpose", crowd_edges=(0.1, 0.8))
    paper.update(truth, pred)
    assert paper.compute().scores["AP_easy"] == pytest.approx(100)


def test_crowdpose_area_is_53_percent_of_the_box() -> None:
    box = np.array([[0.0, 0.0, 100.0, 100.0 / 0.53]])  # 0.53 of it is 10,000 square pixels
    truth = picture("a", (100, 100), boxes=box, area=np.array([np.nan]))
    x = off_for(0.7001)
    result = score(truth, found(picture("a", (100 + x, 100)), 0.5), compat="crowdpose")
    assert result.scores["AR"] == pytest.approx(50)


def test_same_people_in_the_seventeen_joints_of_coco_score_a_hundred() -> None:
    rng = np.random.default_rng(0)
    xy = rng.uniform(0, 400, (4, 17, 2))
    xy[2, 5:] = np.nan
    frame = LabelledFrame(
        "a", 0, COCO17, xy, boxes=np.tile([0.0, 0, 400, 400], (4, 1)), area=np.full(4, 9e4)
    )
    metric = OKSAP(COCO17)
    metric.update(stills(frame, skeleton=COCO17), stills(frame, skeleton=COCO17))
    assert metric.compute().scores["AP"] == pytest.approx(100)


def test_printed_result_names_the_mode() -> None:
    told = str(score(picture("a", (100, 100)), picture("a", (100, 100)))).splitlines()
    assert told[0] == "OKS AP (compat=coco), 1 people in 1 pictures, 1 predictions"
    assert told[1].split() == ["AP", "100.0"]


def test_missing_area_is_told_with_the_picture() -> None:
    truth = picture("street.jpg", (100, 100), area=np.array([np.nan]))
    with pytest.raises(FormatError, match=r"street.jpg.*person 0 has no area.*compat='crowdpose'"):
        score(truth, truth)


def test_missing_box_of_a_person_without_joints_is_told() -> None:
    truth = picture("a", (100, 100), boxes=np.full((1, 4), np.nan))
    assert score(truth, truth).people == 1
    bare = replace(truth, xy=np.full((1, 2, 2), np.nan), visibility=None)
    with pytest.raises(FormatError, match="person 0 has no box"):
        score(bare, bare)


def test_same_picture_twice_is_refused() -> None:
    metric = OKSAP(TWO)
    metric.update(stills(picture("a", image_id=3)), stills())
    with pytest.raises(FormatError, match=r"picture 3 .* was added before"):
        metric.update(stills(picture("b", image_id=3)), stills())


def test_predictions_of_unknown_pictures_are_refused() -> None:
    pred = stills(picture("a"), picture("elsewhere", (100, 100)))
    with pytest.raises(FormatError, match="the first is the name 'elsewhere'"):
        OKSAP(TWO).update(stills(picture("a", (100, 100))), pred)


def test_pictures_that_cannot_be_told_apart_are_refused() -> None:
    truth = stills(picture("a", (100, 100)), picture("a", (100, 100)))
    with pytest.raises(FormatError, match="Give each picture an image_id"):
        OKSAP(TWO).update(truth, truth)


def test_some_pictures_without_a_crowd_index_are_refused() -> None:
    metric = OKSAP(TWO, compat="crowdpose")
    truth = stills(picture("a", extra={"crowdIndex": 0.5}), picture("b"))
    metric.update(truth, stills())
    with pytest.raises(FormatError, match="1 of 2 pictures have no crowdIndex"):
        metric.compute()


def test_crowd_index_that_is_no_number_is_refused() -> None:
    truth = stills(picture("a", extra={"crowdIndex": "high"}))
    with pytest.raises(FormatError, match="crowdIndex 'high'"):
        OKSAP(TWO, compat="crowdpose").update(truth, stills())


def test_other_joints_are_refused() -> None:
    with pytest.raises(SkeletonMismatch, match="OKS of 'coco17' cannot score 'stills'"):
        OKSAP(COCO17).update(stills(), stills())


@pytest.mark.parametrize(
    "settings",
    [{"compat": "lvis"}, {"prediction_area": "mask"}, {"max_people": 0}, {"sigmas": np.ones(3)}],
)
def test_unknown_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        OKSAP(TWO, **settings)
