"""The toy of the collapse: what stays in one point, and what escapes from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from chronopose.bench.face_collapse import (
    ToySettings,
    ToyWorld,
    bench_collapse,
    collapse_rows,
    collapse_table,
    train_toy,
)
from chronopose.errors import UsageError

STEPS = 400


def test_the_plain_squared_loss_stays_collapsed_at_its_threshold():
    told = train_toy(ToySettings(loss="plain", distance="squared", embedding=64, steps=STEPS), 0)
    assert told["loss"] == pytest.approx(1.0, abs=0.01)
    assert told["spread"] < 0.1


def test_the_dual_squared_loss_escapes_from_the_collapse():
    told = train_toy(ToySettings(loss="dual", distance="squared", embedding=64, steps=STEPS), 0)
    assert told["loss"] < 0.3
    assert told["spread"] > 1.0
    assert told["accuracy"] > 50


def test_the_toy_keeps_a_quarter_of_its_people_and_shows_each_with_every_class():
    x, labels, who = ToyWorld(people=8).samples(0)
    assert x.shape == (56, 64)
    assert torch.equal(torch.bincount(who), torch.full((8,), 7))
    assert torch.equal(torch.bincount(labels), torch.full((7,), 8))
    assert torch.equal(x, ToyWorld(people=8).samples(0)[0])


def test_a_stopped_study_goes_on_and_other_settings_are_refused(tmp_path: Path):
    rows = {"a": ToySettings(steps=2), "b": ToySettings(steps=2, loss="plain")}
    whole = bench_collapse(tmp_path, seeds=(0,), rows=rows, quiet=True)
    assert set(whole["results"]) == {"a | seed 0", "b | seed 0"}
    again = bench_collapse(tmp_path, seeds=(0, 1), rows=rows, quiet=True)
    assert again["results"]["a | seed 0"] == whole["results"]["a | seed 0"]
    assert len(again["results"]) == 4
    assert collapse_table(again).splitlines()[2].startswith("| a | ")
    with pytest.raises(UsageError, match="other settings"):
        bench_collapse(tmp_path, seeds=(0,), rows={"a": ToySettings(steps=3)}, quiet=True)


def test_the_rows_compare_equal_and_different_thresholds_of_one_mean():
    rows = collapse_rows()
    equal, different = (rows[f"8 {n}, euclidean, 256 numbers"].thresholds for n in
                        ("equal thresholds", "thresholds"))  # fmt: skip
    assert len(equal) == len(different) == 8
    assert np.mean(different) == pytest.approx(np.mean(equal))
