"""How fast synthetic people are made."""

from __future__ import annotations

import json

import numpy as np
import pytest

from chronopose.bench.synth import Rate, SynthReport, bench_synth
from chronopose.errors import UsageError

SMALL = {"small": ((64, 48), (2, 2))}


def rate(renderer: str, seconds: float, processor_s: float, workers: int = 1) -> Rate:
    return Rate(
        mode="video", size=(640, 360), what="draw", renderer=renderer, workers=workers,
        frames=100, crops=300, seconds=seconds, processor_s=processor_s,
    )  # fmt: skip


def test_both_renderers_draw_the_same_frames() -> None:
    report = bench_synth(1, frames=2, workers=1, modes=SMALL, quiet=True)
    soft = report.find("small", "draw", "soft"), report.find("small", "whole", "soft")
    assert all(r is not None and r.frames == 2 and 0 < r.crops <= 4 for r in soft)
    for r in report.rates:
        assert r.frames == 2 and r.seconds > 0 and r.processor_s > 0
    rows = json.loads(json.dumps(report.as_json()))["rates"]
    assert len(rows) == len(report.rates)
    assert str(report).count("numpy") >= 2


def test_rates_and_their_ratio_follow_from_counts_and_times() -> None:
    gl, soft = rate("gl", 10.0, 5.0, workers=2), rate("soft", 40.0, 30.0)
    report = SynthReport(clips=5, rates=(gl, soft))
    assert (gl.frames_a_second, gl.crops_a_second) == (10.0, 30.0)
    # 300 people in 5 s of one core: 60 a second, 120 on two.
    assert gl.free_crops_a_second == 120.0
    assert report.ratio("video", "draw") == 4.0
    assert "4.00" in str(report)


def test_without_opengl_there_is_no_ratio() -> None:
    report = SynthReport(clips=5, rates=(rate("soft", 40.0, 30.0),))
    assert np.isnan(report.ratio("video", "draw"))
    assert "OpenGL is missing" in str(report)


def test_nothing_cannot_be_timed() -> None:
    with pytest.raises(UsageError, match="0 clips"):
        bench_synth(0)
