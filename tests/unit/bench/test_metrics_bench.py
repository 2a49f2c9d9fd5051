"""The benchmark of the metrics: made-up people, two ways to the same numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from chronopose.bench import metrics as bench
from chronopose.bench._scenes import SceneSettings, make_pair, make_pictures
from chronopose.bench.metrics import OKSReport, PoseTrackReport, bench_metrics, bench_posetrack
from chronopose.errors import ChronoposeError, UsageError

TINY = SceneSettings(frames=8, people=3)


def test_fast_and_slow_agree_and_are_timed() -> None:
    report = bench_posetrack(2, sample=1, settings=TINY)
    assert report.difference < 1e-9 and report.ratio == report.slow_s / report.fast_s
    assert report.labels == sum(len(f) for i in range(2) for f in make_pair(i, TINY)[0])


def test_a_wrong_number_stops_the_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    right = bench.slow_ap
    monkeypatch.setattr(bench, "slow_ap", lambda p: {**right(p), "nose": -1.0})
    with pytest.raises(ChronoposeError, match="AP of the fast metrics and of plain loops differ"):
        bench_posetrack(1, sample=1, settings=TINY)


def test_oks_agrees_with_the_rival() -> None:
    pytest.importorskip("faster_coco_eval", reason="faster-coco-eval is not installed")
    report = bench.bench_oks(20, repeats=1)
    assert report is not None and report.people == 100
    assert report.difference < 1e-9 and len(report.own_s) == len(report.rival_s) == 1


def test_reports_print_their_ratios() -> None:
    tracked = PoseTrackReport(
        sequences=170, labels=5, predictions=6, seconds=4.0, processor_s=3.0, sample=3,
        fast_s=0.1, slow_s=5.0, difference=1e-12,
    )  # fmt: skip
    assert "50.0" in str(tracked) and "plain loops" in str(tracked)
    found = OKSReport(pictures=9, people=8, own_s=(1.0, 2.0, 4.0), rival_s=(3.0, 3.0, 3.0),
                      difference=0.0)  # fmt: skip
    # 3, 1.5 and 0.75
    assert found.ratio == 1.5 and "1.50" in str(found)


def test_everything_needs_at_least_one() -> None:
    with pytest.raises(UsageError, match="at least one of each; got 0 sequences"):
        bench_metrics(0)


def test_made_up_people_are_the_same_every_time() -> None:
    first, again = make_pair(3, TINY), make_pair(3, TINY)
    for one, two in zip(first[1], again[1], strict=True):
        np.testing.assert_array_equal(one.xy, two.xy)
        np.testing.assert_array_equal(one.ids, two.ids)
    pictures, same = make_pictures(1, 3), make_pictures(1, 3)
    np.testing.assert_array_equal(pictures[1].frames[2].xy, same[1].frames[2].xy)


def test_the_slow_twin_shares_no_code_with_what_it_checks(repo_root: Path) -> None:
    source = (repo_root / "src" / "chronopose" / "bench" / "_slow_twin.py").read_text()
    assert "chronopose.metrics" not in source
