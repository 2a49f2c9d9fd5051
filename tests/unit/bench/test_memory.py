"""Peak memory of a process, and of ``predict`` on two lengths of video."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from chronopose.bench.memory import MemoryReport, bench_memory, peak_memory_mb
from chronopose.errors import ChronoposeError, UsageError


def test_the_peak_of_a_process_counts_what_it_has_freed_again() -> None:
    little = peak_memory_mb([sys.executable, "-c", "import time; time.sleep(0.5)"])
    much = peak_memory_mb(
        [sys.executable, "-c", "import time; x = b'1' * 100_000_000; del x; time.sleep(0.5)"]
    )
    assert much - little == pytest.approx(100, abs=15)


def test_the_peak_does_not_count_the_process_that_measures() -> None:
    ballast = b"1" * 200_000_000
    assert peak_memory_mb([sys.executable, "-c", "import time; time.sleep(0.5)"]) < 100
    assert len(ballast) == 200_000_000


def test_a_command_that_fails_says_why() -> None:
    with pytest.raises(ChronoposeError, match="code 3: broken"):
        peak_memory_mb([sys.executable, "-c", "print('broken'); raise SystemExit(3)"])


def test_growth_is_long_minus_short() -> None:
    report = MemoryReport(
        model="m", device="cpu", minutes=(1, 20), frames=(600, 12000), peak_mb=(500.0, 530.5),
        seconds=(10, 200),
    )  # fmt: skip
    assert report.growth_mb == 30.5
    assert "growth +30.5 MB" in str(report)


def test_a_video_too_short_for_a_frame_is_refused() -> None:
    with pytest.raises(UsageError, match="no frame"):
        bench_memory(0.0001, 1)


@pytest.mark.slow
def test_predict_needs_no_more_memory_for_a_video_ten_times_as_long(tmp_path: Path) -> None:
    # 270 more frames of 640x480 would take 249 MB; allocators alone differ by tens.
    report = bench_memory(
        0.05, 0.5, model_name="simple_baseline:lite", size=(640, 480), folder=tmp_path, quiet=True
    )
    assert report.frames == (30, 300)
    assert (tmp_path / "poses" / "long.parquet").is_file()
    assert report.growth_mb < 100
