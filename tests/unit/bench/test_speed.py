"""What streaming saves, counted and timed."""

from __future__ import annotations

import pytest
import torch

from chronopose.bench.speed import SpeedReport, bench_speed, count_both
from chronopose.errors import UsageError
from chronopose.models._find import build_model

REPORT = SpeedReport(
    model="some:model", device="cpu", frames=5, streamed_macs=30, recomputed_macs=100,
    streamed_s=(0.5, 0.2, 0.4), recomputed_s=(1.0, 1.0, 0.5),
)  # fmt: skip


def test_the_paper_model_streamed_costs_at_most_035_of_the_multiply_adds() -> None:
    with torch.device("meta"):
        model = build_model("tdmi:hrnet_w48")
    streamed, recomputed = count_both(model)
    # 35.3 G a frame and 16.7 G for the rest: 52 of 193.
    assert streamed / recomputed == pytest.approx(52.0 / 193.2, abs=0.01)
    assert streamed / recomputed <= 0.35


def test_ratios_are_those_of_the_fastest_and_of_neighbours() -> None:
    assert REPORT.macs_ratio == pytest.approx(0.3)
    assert REPORT.time_ratio == pytest.approx(0.2 / 0.5)
    # 0.5, 0.2 and 0.8.
    assert REPORT.median_ratio == pytest.approx(0.5)


def test_the_report_names_both_ways_and_their_ratio() -> None:
    text = str(REPORT)
    assert all(word in text for word in ("streamed", "recomputed", "0.300", "0.400", "some:model"))


def test_a_small_model_is_measured_and_printed(capsys: pytest.CaptureFixture[str]) -> None:
    report = bench_speed("tdmi:lite", repeats=2)
    assert len(report.streamed_s) == len(report.recomputed_s) == 2
    assert report.streamed_macs < report.recomputed_macs
    assert "multiply-adds" in capsys.readouterr().out


def test_a_model_of_one_frame_has_nothing_to_save() -> None:
    with pytest.raises(UsageError, match="one frame"):
        bench_speed("simple_baseline:lite")


def test_no_repetition_is_no_measurement() -> None:
    with pytest.raises(UsageError, match="repeats"):
        bench_speed("tdmi:lite", repeats=0)
