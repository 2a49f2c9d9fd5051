"""The benchmarks of multi-threshold metric learning."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from chronopose.bench.faces import (
    QUICK,
    FaceStudy,
    bench_face_step,
    bench_face_study,
    study_table,
    summarise,
)
from chronopose.data.drawn_faces import DrawnFaces
from chronopose.data.faces import FacesOf
from chronopose.errors import UsageError


def test_mining_and_loss_are_many_times_faster_than_plain_loops():
    report = bench_face_step(128, slices=4, embedding=64, repeats=2)
    assert report.difference < 1e-5
    assert report.ratio > 5
    assert "plain loops" in str(report)


def test_the_rows_differ_only_in_slices_thresholds_and_loss():
    rows = FaceStudy().rows()
    assert rows["cross-entropy"]["metric_weight"] == 0
    assert rows["threshold 0.4"] == {"slices": 1, "thresholds": (0.4, 0.4)}
    assert rows["8 slices, all 0.45"]["thresholds"] == (0.45, 0.45)
    assert rows["8 slices, 0.1 to 0.8"] == {"slices": 8, "thresholds": (0.1, 0.8)}


def test_a_stopped_study_goes_on_where_it_was(tmp_path: Path):
    faces = DrawnFaces(4, size=24, classes=("neutral", "happiness"))
    whole = bench_face_study(faces, tmp_path, QUICK, quiet=True)
    assert len(whole["results"]) == 4 * 2
    again = bench_face_study(faces, tmp_path, QUICK, quiet=True)
    assert again["results"] == whole["results"]
    table = study_table(whole).splitlines()
    assert len(table) == 2 + 4
    assert table[2].startswith("| cross-entropy | 1 | ")
    with pytest.raises(UsageError, match="other settings or data"):
        bench_face_study(FacesOf(faces, np.arange(6)), tmp_path, QUICK, quiet=True)


def test_only_seeds_with_all_folds_count():
    outcome = {
        "settings": {"folds": 2},
        "results": {
            "a | seed 0 | fold 1": {"accuracy": 50.0}, "a | seed 0 | fold 2": {"accuracy": 70.0},
            "a | seed 1 | fold 1": {"accuracy": 60.0}, "a | seed 1 | fold 2": {"accuracy": 64.0},
            "a | seed 2 | fold 1": {"accuracy": 99.0},
        },
    }  # fmt: skip
    mean, spread, seeds = summarise(outcome)["a"]
    assert (mean, seeds) == (61.0, 2)
    assert spread == pytest.approx(np.std([60, 62], ddof=1))
