"""The lifters' benchmark: who takes part, and the tables made of records."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
from numpy.testing import assert_allclose

from chronopose.bench.lift import (
    COLUMNS,
    INPUTS,
    ROWS,
    LiftPlan,
    choose_rows,
    cost_of,
    table,
    write_lift_report,
)
from chronopose.errors import UsageError


def record(name: str, seed: int, mpjpe: float) -> dict[str, Any]:
    """Errors that differ by column and input: disturbed is 10 more, each next column 1 more."""

    def row(more: float) -> dict[str, float]:
        return {c: mpjpe + more + i for i, c in enumerate(COLUMNS)}

    errors = {
        kind: {"mean": row(10 * i), "actions": {"Walk": row(10 * i - 1), "Dance": row(10 * i + 1)}}
        for i, kind in enumerate(INPUTS)
    }
    return {
        "name": name, "seed": seed, "errors": errors, "params": 1234, "macs": 2_500_000,
        "train_s": 30.0 + seed,
    }  # fmt: skip


NAMES = ("temporal_cnn, T=9", "dgnet, T=9")
RECORDS = [record(n, s, m) for n, m in zip(NAMES, (50, 40), strict=True) for s in (0, 1)]
RECORDS[1] = record(NAMES[0], 1, 54)


def test_means_and_spreads_are_over_seeds() -> None:
    found = table(RECORDS)
    # 50 and 54: mean 52, standard deviation of a sample sqrt(8).
    cell = found[NAMES[0]]["exact MPJPE"]
    assert_allclose((cell.mean, cell.sd), (52, 8**0.5))
    assert found[NAMES[1]]["disturbed MPJVE"].mean == 40 + 10 + 3
    assert table(RECORDS, action="Walk")[NAMES[1]]["exact MPJPE"].mean == 39


def test_the_report_has_a_table_an_action_each_and_what_rows_cost(tmp_path: Path) -> None:
    text = write_lift_report(RECORDS, choose_rows(NAMES), "training: CMU-Lift.", tmp_path)
    assert (tmp_path / "lift.md").read_text() == text
    assert text.startswith("training: CMU-Lift.")
    assert "| temporal_cnn, T=9 | 52.0 ± 2.8 |" in text
    assert "| dgnet, T=9 | 32 channels; DSG and DTG | 1,234 | 2.50 | 30 |" in text
    assert "## Walk" in text
    with (tmp_path / "lift.csv").open() as file:
        sheet = list(csv.DictReader(file))
    # Four records, two inputs, the mean and two actions.
    assert len(sheet) == 4 * 2 * 3
    assert [r["MPJPE"] for r in sheet if r["action"] == "Dance"][:2] == ["51", "61"]


def test_rows_are_chosen_by_name() -> None:
    assert choose_rows(None) == ROWS
    assert [r.name for r in choose_rows(["dgnet, T=9"])] == ["dgnet, T=9"]
    with pytest.raises(UsageError, match="Did you mean 'dgnet, T=9'"):
        choose_rows(["dgnet T=9"])


def test_rows_that_ask_where_graphs_come_from_have_nearly_one_size() -> None:
    names = ("dgnet, T=9", "dgnet, T=9, skeleton", "dgnet, T=9, DSG", "dgnet, T=9, DTG")
    sizes = [cost_of(r.build()).params for r in choose_rows(names)]
    # A graph that is found anew also learns how to measure movement.
    assert max(sizes) < 1.02 * min(sizes)


def test_the_yardstick_is_about_as_large_as_dgnet() -> None:
    for frames in (9, 27):
        one, other = (
            cost_of(r.build()).params
            for r in choose_rows([f"temporal_cnn, T={frames}", f"dgnet, T={frames}"])
        )
        assert 0.75 < one / other < 1.4


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r.name)
def test_every_row_can_be_built_and_answers(row: Any) -> None:
    torch.manual_seed(0)
    model = row.build().eval()
    needs = model.needs
    window = torch.rand(2, needs.frames, 17, needs.channels)
    with torch.inference_mode():
        assert model(window).xyz.shape == (2, 1, 17, 3)


def test_a_plan_without_motion_says_what_to_give() -> None:
    with pytest.raises(UsageError, match="--train-motion DIR and --test-motion DIR"):
        LiftPlan(train_motion=Path("a"))
    assert "not Human3.6M" in LiftPlan(motion=Path("a")).told
    assert "test: motion of one's own" in LiftPlan(motion=Path("a"), test_motion=Path("b")).told
