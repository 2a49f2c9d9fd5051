"""HOTA of joints: association and pieces of tracks worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from people_in_frames import frame, pose, video, without

from chronopose.core.labels import LabelledSequence
from chronopose.errors import FormatError, UsageError
from chronopose.metrics.hota import KeypointHOTA, KeypointHOTAResult

ALONE = video(*(frame(i, [pose(100)]) for i in range(4)))


def score(
    truth: LabelledSequence, found: LabelledSequence, compat: Any = "fixed"
) -> KeypointHOTAResult:
    metric = KeypointHOTA(compat=compat)
    metric.update(truth, found)
    return metric.compute()


def named(*ids: int) -> LabelledSequence:
    """The lonely person under these ids, frame by frame."""
    return video(*(frame(i, [pose(100)], ids=[own]) for i, own in enumerate(ids)))


@pytest.mark.parametrize("compat", ["fixed", "posetrack21"])
def test_labels_as_predictions_score_a_hundred(compat: Any) -> None:
    result = score(ALONE, ALONE, compat)
    assert result.total == pytest.approx(dict.fromkeys(result.total, 100.0))


def test_a_track_broken_in_the_middle_agrees_by_half() -> None:
    result = score(ALONE, named(1, 1, 2, 2))
    # Each match: 2 frames together, 4 + 2 - 2 in the union; its piece is just as long.
    assert result.det_a["nose"] == 100
    assert result.ass_a["nose"] == pytest.approx(50)
    assert result.frag_a["nose"] == pytest.approx(50)
    assert result.hota["nose"] == pytest.approx(100 * np.sqrt(0.5))
    assert result.fa_hota["nose"] == pytest.approx(100 * np.sqrt(0.5))


def test_going_back_and_forth_costs_fragments_only() -> None:
    result = score(ALONE, named(1, 2, 1, 2))
    assert result.ass_a["nose"] == pytest.approx(50)
    # Pieces of one frame: 1 of 4 each.
    assert result.frag_a["nose"] == pytest.approx(25)
    assert result.fa_hota["nose"] == pytest.approx(100 * (0.5 * 0.25) ** 0.25)


def test_a_missed_frame_does_not_break_a_piece() -> None:
    found = video(ALONE.frames[0], frame(1), *ALONE.frames[2:])
    result = score(ALONE, found)
    # 3 matches of 4 labels; the union is 4 frames.
    assert result.det_a["nose"] == 75
    assert result.ass_a["nose"] == result.frag_a["nose"] == pytest.approx(75)


def test_similarity_falls_linearly_to_zero_at_half_a_head() -> None:
    # 7.5 of 30 px: similarity 1 - 0.25 / 0.5001 = 0.5001, enough for .05 to .50 of 19 thresholds.
    result = score(ALONE, video(*(frame(i, [pose(107.5)]) for i in range(4))))
    assert result.det_a["nose"] == pytest.approx(100 * 10 / 19)
    assert result.hota["nose"] == pytest.approx(100 * 10 / 19)


def test_joints_are_matched_for_the_greatest_sum_of_similarities() -> None:
    # Keeping the exact pair (1.0) beats two poor ones (0.2 + 0.13).
    truth = video(frame(0, [pose(98), pose(110)]))
    result = score(truth, video(frame(0, [pose(110), pose(123)])))
    sims = 1 - np.array([13 / 30]) / 0.5001
    assert result.det_a["nose"] == pytest.approx(100 * (2 * 1 / 3 + 17 * 1 / 3) / 19)
    assert sims[0] == pytest.approx(0.1335, abs=1e-4)


@pytest.mark.parametrize(("compat", "det_a"), [("fixed", 50.0), ("posetrack21", 100 / 3)])
def test_frame_without_labels_counts_itself_or_the_whole_sequence(
    compat: Any, det_a: float
) -> None:
    truth, found = video(ALONE.frames[0], frame(1)), video(ALONE.frames[0], frame(1, [pose(9)]))
    assert score(truth, found, compat).det_a["nose"] == pytest.approx(det_a)


@pytest.mark.parametrize(("compat", "det_a"), [("fixed", 75.0), ("posetrack21", 300 / 7)])
def test_frame_without_predictions_counts_itself_or_the_whole_sequence(
    compat: Any, det_a: float
) -> None:
    found = video(*ALONE.frames[:3], frame(3))
    # 3 matches, and one miss or the 4 labels of the whole sequence.
    assert score(ALONE, found, compat).det_a["nose"] == pytest.approx(det_a)


def test_joint_without_labels_is_left_out_or_counts_as_zero() -> None:
    truth = video(*(frame(i, [without(pose(100), "nose")]) for i in range(4)))
    fixed = score(truth, ALONE)
    assert np.isnan(fixed.hota["nose"]) and fixed.total["hota"] == pytest.approx(100)
    kit = score(truth, ALONE, "posetrack21")
    assert kit.hota["nose"] == 0 and kit.total["hota"] == pytest.approx(100 * 14 / 15)


def test_association_of_several_sequences_weighs_by_matches() -> None:
    metric = KeypointHOTA()
    metric.update(ALONE, named(1, 1, 2, 2))
    metric.update(*[video(*ALONE.frames[:2], name="short")] * 2)
    result = metric.compute()
    # (4 · 50 + 2 · 100) / 6
    assert result.ass_a["nose"] == pytest.approx(400 / 6)
    assert [s.name for s in result.sequences] == ["walk", "short"]
    assert result.sequences[1].total["hota"] == pytest.approx(100)


def test_ids_are_needed_and_modes_known() -> None:
    nameless = video(frame(0, [pose(100)], ids=[-1]))
    with pytest.raises(FormatError, match="no track id"):
        score(nameless, nameless)
    with pytest.raises(UsageError, match="got 'poseval'"):
        KeypointHOTA(compat="poseval")  # type: ignore[arg-type]


def test_nothing_found_is_zero_and_nothing_added_unknown() -> None:
    nothing = video(*(frame(i) for i in range(4)))
    assert score(ALONE, nothing).total["hota"] == 0
    assert np.isnan(KeypointHOTA().compute().total["hota"])


def test_the_table_names_its_mode() -> None:
    text = str(score(ALONE, ALONE, "posetrack21"))
    assert "Keypoint HOTA (posetrack21)" in text and "FA-HOTA" in text and "Shoulder" in text
