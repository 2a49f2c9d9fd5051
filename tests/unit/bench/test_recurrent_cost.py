"""What a frame costs a model that carries a state."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from chronopose.bench._recurrent_cost import RecurrentCost, recurrent_cost
from chronopose.bench.speed import bench_speed
from chronopose.models._find import build_model
from chronopose.nn.cost import count_macs

COST = RecurrentCost(
    start_macs=4_000_000_000, step_macs=1_000_000_000, initialiser_macs=2_000_000_000,
    start_s=0.4, step_s=0.1, initialiser_s=0.4,
)  # fmt: skip


def test_the_table_compares_a_step_with_the_initialiser() -> None:
    told = str(COST).splitlines()
    assert [line.split()[-1] for line in told[1:]] == ["0.500", "0.250"]


def test_costs_are_those_of_the_parts() -> None:
    model: Any = build_model("dkd:lite", crop_size=(64, 96)).eval()
    cost = recurrent_cost(model, repeats=1)
    frame = torch.empty(1, 3, 96, 64, device="meta")
    twin = count_macs(model.backbone, frame).macs + 24 * 16 * 64 * 14
    assert cost.initialiser_macs == twin
    assert cost.start_macs == twin + 24 * 16 * 64 * 64
    assert cost.step_macs > cost.start_macs
    assert min(cost.start_s, cost.step_s, cost.initialiser_s) > 0


def test_the_speed_bench_shows_it_for_models_that_carry_a_state(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = bench_speed("dkd:lite", repeats=1)
    assert report.recurrent is not None
    assert "step / initialiser" in capsys.readouterr().out
    assert bench_speed("opflow:lite", repeats=1, quiet=True).recurrent is None
