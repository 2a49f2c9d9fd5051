"""What held windows cost and save."""

from __future__ import annotations

import pytest

from chronopose.bench.window import PolicyResult, WindowReport, bench_window
from chronopose.errors import UsageError


def test_held_windows_encode_less_and_the_people_scored_are_all_of_them() -> None:
    report = bench_window(
        "tdmi:lite", weights="random", clips=1, frames=8, people=1, size=(160, 120), quiet=True
    )
    assert report.people == 8
    by_policy = {r.policy: r for r in report.results}
    assert by_policy["key"].encodes == pytest.approx(5.0, abs=1.5)
    assert (
        by_policy["warp"].encodes < by_policy["reencode"].encodes + 1e-9 < by_policy["key"].encodes
    )


def test_the_difference_is_to_windows_that_are_never_held() -> None:
    results = (
        PolicyResult(policy="warp", pck=49.0, encodes=1.0),
        PolicyResult(policy="key", pck=50.5, encodes=5.0),
    )
    assert "-1.50" in str(WindowReport(model="m", people=3, results=results))


def test_a_single_frame_model_has_nothing_to_hold() -> None:
    with pytest.raises(UsageError, match="looks at one frame"):
        bench_window("simple_baseline:lite", weights="random", quiet=True)
