"""Predictions meet their labels by name, and results become plain values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from chronopose.core import LabelledFrame, LabelledSequence, get_skeleton
from chronopose.engine.score import (
    METRICS,
    Paired,
    find_metric,
    pair_people,
    pair_sequences,
    plain_values,
    score,
)
from chronopose.errors import FormatError, UsageError
from chronopose.metrics.pck import PCK

SLOT, COCO, LSP = (get_skeleton(n) for n in ("posetrack17slot", "coco17", "lsp14"))


def person(x: float, joints: int = 17) -> np.ndarray:
    """Somebody whose joints stand on a slope from (x, 10)."""
    steps = np.arange(joints, dtype=float)
    return np.stack([x + steps, 10 + 2 * steps], axis=-1)


def labels(name: str = "walk", frames: int = 3) -> LabelledSequence:
    """Two people, each with a head box of 10 by 10 and an id."""
    xy = np.stack([person(20), person(120)])
    heads = np.array([[20.0, 10, 30, 20], [120, 10, 130, 20]])
    all_frames = tuple(
        LabelledFrame(
            f"{i:06d}.jpg", i, SLOT, xy + i, score=np.ones((2, 17)), person_score=np.ones(2),
            ids=[1, 2], boxes=np.array([[15.0, 5, 40, 50], [115, 5, 140, 50]]),
            head_boxes=heads, area=[900.0, 900.0], image_id=i,
        )
        for i in range(frames)
    )  # fmt: skip
    return LabelledSequence(name, SLOT, all_frames)


@pytest.mark.parametrize(
    ("metric", "options", "key"),
    [
        ("posetrack-ap", {}, "groups"),
        ("posetrack-ap", {"compat": "fixed"}, "groups"),
        ("posetrack21-ap", {"compat": "fixed"}, "groups"),
        ("posetrack-mota", {"compat": "fixed"}, "groups"),
        ("keypoint-hota", {}, "groups"),
        ("pck", {"normalise": "bbox"}, "per_joint"),
        ("pckh", {}, "per_joint"),
        ("pcp", {}, "per_limb"),
    ],
)
def test_labels_given_as_predictions_score_a_hundred(
    metric: str, options: dict[str, str], key: str
) -> None:
    found = score([labels()], [labels()], metric, **options)
    values = [v for v in found.values[key].values() if v is not None]
    assert values == pytest.approx([100.0] * len(values))
    assert len(values) > 6
    assert found.sequences[0]["name"] == "walk"
    assert "100.0" in found.table


def test_oks_of_labels_is_a_hundred() -> None:
    frames = tuple(replace(f, skeleton=COCO) for f in labels().frames)
    coco = LabelledSequence("val", COCO, frames, is_video=False)
    assert score([coco], [coco], "oks").values["scores"]["AP"] == pytest.approx(100.0)


def test_predictions_in_another_skeleton_are_converted_by_name() -> None:
    lsp = labels().to_skeleton(LSP)
    found = score([lsp], [labels()], "pck", joints="limbs")
    assert found.values["pooled"] == pytest.approx(100.0)


def test_every_sequence_has_its_row_and_the_whole_is_pooled() -> None:
    walk, run = labels("walk", 2), labels("run", 6)
    nobody = replace(run, frames=tuple(f.select(slice(0, 0)) for f in run.frames))
    found = score([nobody, walk], [walk, run], "pck", normalise="bbox")
    assert [(r["name"], r["pooled"]) for r in found.sequences] == [("walk", 100.0), ("run", 0.0)]
    assert found.values["pooled"] == 25.0  # 2 of 8 frames


def test_a_sequence_that_cannot_be_scored_alone_says_why() -> None:
    # poseval skips the last frame: a video of one frame has none left.
    with pytest.raises(UsageError, match="one labelled frame"):
        score([labels(frames=1)], [labels(frames=1)], "posetrack-mota")


def test_a_lost_person_is_all_misses_and_a_ghost_does_not_count() -> None:
    truth = labels(frames=1)
    frame = truth.frames[0]
    one = replace(truth, frames=(frame.select([1]),))
    assert score([one], [truth], "pck", normalise="bbox").values["pooled"] == 50.0
    assert score([truth], [one], "pck", normalise="bbox").values["pooled"] == 100.0


def test_people_are_paired_by_ids_where_all_have_one_and_else_by_distance() -> None:
    frame = labels(frames=1).frames[0]
    swapped = replace(frame, ids=np.array([2, 1]))
    rows, columns = pair_people(frame, swapped)
    assert dict(zip(rows.tolist(), columns.tolist(), strict=True)) == {0: 1, 1: 0}
    nameless = replace(frame.select([1, 0]), ids=None)
    rows, columns = pair_people(frame, nameless)
    assert dict(zip(rows.tolist(), columns.tolist(), strict=True)) == {0: 1, 1: 0}


def test_a_crowd_region_is_nobody_to_be_found() -> None:
    truth = labels(frames=1)
    crowd = replace(truth.frames[0], crowd=np.array([False, True]))
    metric = Paired(PCK(SLOT, normalise="bbox"), SLOT, lambda frame: {"boxes": frame.boxes})
    metric.update(replace(truth, frames=(crowd,)), truth)
    assert metric.compute().people == 1


def test_sequences_are_paired_by_name_whatever_their_order() -> None:
    pairs = pair_sequences([labels("b"), labels("a"), labels("c")], [labels("a"), labels("b")])
    assert [(t.name, p.name) for t, p in pairs] == [("a", "a"), ("b", "b")]


def test_a_sequence_without_predictions_is_an_error_and_not_a_zero() -> None:
    with pytest.raises(FormatError, match=r"1 of the 2 labelled sequences .* 'b'"):
        pair_sequences([labels("a"), labels("x")], [labels("a"), labels("b")])
    with pytest.raises(FormatError, match="only 1 different names"):
        pair_sequences([labels("a"), labels("a")], [labels("a"), labels("b")])


def test_frames_that_have_nothing_in_common_are_refused() -> None:
    other = labels()
    strange = tuple(
        replace(f, image_id=None, name=f"x{f.frame_index}", frame_index=f.frame_index + 70)
        for f in other.frames
    )
    with pytest.raises(FormatError, match="neither image ids nor names nor numbers"):
        score([replace(other, frames=strange)], [labels()], "pck", normalise="bbox")


def test_a_misspelt_metric_or_option_is_answered_with_what_there_is() -> None:
    with pytest.raises(UsageError, match="Did you mean 'posetrack-ap'"):
        find_metric("posetrak-ap")
    with pytest.raises(UsageError, match="no option 'treshold'; its options: threshold"):
        score([labels()], [labels()], "pck", treshold=0.1)


def test_what_has_no_value_is_none_in_plain_values() -> None:
    assert plain_values({"a": np.array([1.0, np.nan]), "b": float("inf")}) == {
        "a": [1.0, None], "b": None,
    }  # fmt: skip


def test_every_metric_says_what_it_measures() -> None:
    assert all(m.told and "\n" not in m.told for m in METRICS.values())
