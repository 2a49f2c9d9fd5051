"""Means, spreads and differences of the arena, by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest

from chronopose.bench._arena_report import Spread, collect, markdown, paired
from chronopose.bench._contestants import ABLATIONS, contestants
from chronopose.errors import UsageError


def record(name: str, seed: int, clean: float, blur: float) -> dict[str, Any]:
    strata = {
        s: {"Head": v + 10, "Total": v}
        for s, v in (("all", clean), ("clean", clean), ("blur", blur))
    }
    return {"name": name, "seed": seed, "ap": {"labels": strata}}


RECORDS = [
    record("one", 0, 30.0, 20.0), record("two", 0, 32.0, 26.0), record("two", 1, 36.0, 24.0),
]  # fmt: skip


def test_the_spread_is_that_of_a_sample():
    spread = Spread.of([1.0, 2.0, 3.0])
    assert (spread.mean, spread.sd, str(spread)) == (2.0, 1.0, "2.0 ± 1.0")
    assert str(Spread.of([5.0])) == "5.0"


def test_rows_are_means_over_their_seeds():
    table = collect(RECORDS, "labels")
    assert table["two"]["clean"].mean == 34.0
    assert table["two"]["clean"].sd == pytest.approx(math.sqrt(8.0))
    assert table["one"]["blur"] == Spread(20.0, 0.0, 1)
    assert collect(RECORDS, "labels", stratum="clean")["two"]["Head"].mean == 44.0


def test_a_row_without_seeds_is_compared_with_every_seed_of_the_other():
    [(name, row)] = paired(RECORDS, "labels", "two", "one").items()
    assert name == "two - one"
    # Blur: 26 - 20 and 24 - 20.
    assert row["blur"].mean == 5.0 and row["blur"].sd == pytest.approx(math.sqrt(2.0))


def test_seeds_are_paired_with_their_like():
    both = [record("one", 0, 10.0, 0.0), record("one", 1, 20.0, 0.0), *RECORDS[1:]]
    # 32 - 10 and 36 - 20.
    assert paired(both, "labels", "two", "one")["two - one"]["clean"] == Spread(
        19.0, pytest.approx(math.sqrt(18.0)), 2
    )


def test_a_trained_row_of_one_seed_is_compared_with_that_seed_alone():
    taught = {**record("one", 0, 30.0, 20.0), "curve": [{"loss": 1.0}]}
    [row] = paired([taught, *RECORDS[1:]], "labels", "two", "one").values()
    assert row["blur"] == Spread(6.0, 0.0, 1)
    other = {**RECORDS[2], "curve": [{"loss": 1.0}]}
    assert paired([taught, other], "labels", "two", "one") == {}


def test_the_table_is_markdown():
    lines = markdown(collect(RECORDS, "labels"), "row").splitlines()
    assert lines[0] == "| row | all | clean | blur |"
    assert lines[2] == "| one | 30.0 | 30.0 | 20.0 |"


def test_everybody_takes_part_but_ablations_only_when_asked():
    names = [c.name for c in contestants()]
    assert {"single frame", "tdmi, still", "tdmi", "tdmi-st"} <= set(names)
    assert not set(names) & set(ABLATIONS)
    assert set(ABLATIONS) <= {c.name for c in contestants(ablations=True)}
    assert [c.name for c in contestants(["tdmi"])] == ["tdmi"]
    with pytest.raises(UsageError, match="Did you mean 'tdmi'"):
        contestants(["tdm"])
