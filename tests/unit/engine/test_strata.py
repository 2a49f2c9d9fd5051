"""One metric on each kind of sequence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from chronopose.core import LabelledFrame, LabelledSequence, get_skeleton
from chronopose.engine.strata import score_strata, strata_table
from chronopose.errors import FormatError

SLOT = get_skeleton("posetrack17slot")


def walk(name: str, off: float = 0.0) -> LabelledSequence:
    """One person in two frames with a head of ten pixels, moved by ``off``."""
    steps = np.arange(17.0)
    frames = tuple(
        LabelledFrame(
            f"{i:06d}.jpg", i, SLOT, np.stack([20 + steps + off, 10 + 2 * steps], -1)[None],
            score=np.ones((1, 17)), person_score=np.ones(1), ids=[1],
            head_boxes=np.array([[20.0, 10, 30, 20]]), image_id=i,
        )
        for i in range(2)
    )  # fmt: skip
    return LabelledSequence(name, SLOT, frames)


def end(name: str) -> str:
    return name.partition("_")[2]


TRUTH = [walk("1_clean"), walk("2_blur"), walk("3_clean"), walk("4_blur")]
FOUND = [walk("1_clean"), walk("2_blur", 40.0), walk("3_clean"), walk("4_blur", 40.0)]


def test_what_goes_wrong_in_one_stratum_does_not_count_in_the_other():
    found = score_strata(FOUND, TRUTH, end, "posetrack-ap", compat="fixed")
    assert list(found) == ["clean", "blur"]
    assert [s.values["groups"]["Total"] for s in found.values()] == [100.0, 0.0]
    assert [len(s.sequences) for s in found.values()] == [2, 2]


def test_the_table_has_a_row_for_each_stratum():
    rows = strata_table(score_strata(FOUND, TRUTH, end, "posetrack-ap", compat="fixed"))
    assert [row.split()[0] for row in rows.splitlines()] == ["Head", "clean", "blur"]
    assert rows.splitlines()[1].endswith("100.0")


def test_a_metric_without_groups_prints_its_own_tables():
    rows = strata_table(score_strata(FOUND, TRUTH, end, "pck", normalise="torso"))
    assert "clean: " in rows and "blur: " in rows


def test_sequences_of_no_stratum_make_none():
    assert score_strata(FOUND, TRUTH, lambda _: "", "posetrack-ap") == {}


def test_a_missing_prediction_is_no_perfect_one():
    with pytest.raises(FormatError, match="no prediction"):
        score_strata(FOUND[:1] + FOUND[2:], TRUTH, end, "posetrack-ap")


def test_a_single_clip_of_a_stratum_finds_its_own_prediction():
    truth = [replace(TRUTH[0], name="1_clean"), TRUTH[1]]
    found = score_strata(FOUND[:2][::-1], truth, end, "posetrack-ap", compat="fixed")
    assert found["clean"].values["groups"]["Total"] == 100.0
