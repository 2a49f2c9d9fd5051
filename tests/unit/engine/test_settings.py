"""Schedules are pure functions of the step."""

from __future__ import annotations

import pytest

from chronopose.engine.settings import Phase, TrainSettings
from chronopose.errors import UsageError


def settings(**changes: object) -> TrainSettings:
    phases = (
        Phase(steps=10, crop_size=(32, 32), lr=(1e-3, 1e-3)),
        Phase(steps=4, crop_size=(64, 64), lr=(1e-3, 0.0)),
    )
    return TrainSettings(**{"phases": phases, "warmup_steps": 5, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("step", "rate"),
    [(0, 2e-4), (3, 8e-4), (4, 1e-3), (9, 1e-3), (10, 1e-3), (11, 7.5e-4), (13, 2.5e-4)],
)
def test_the_rate_warms_up_holds_and_falls_in_a_line(step: int, rate: float):
    assert settings().lr_at(step) == pytest.approx(rate)


@pytest.mark.parametrize(
    ("step", "number", "within"), [(0, 0, 0), (9, 0, 9), (10, 1, 0), (13, 1, 3), (14, 1, 4)]
)
def test_phases_follow_each_other(step: int, number: int, within: int):
    found, _, place = settings().phase_at(step)
    assert (found, place) == (number, within)


def test_the_average_forgets_its_random_start():
    # min(0.9995, s / (s + 20)): 1/21, then 0.5 at step 20.
    assert settings().ema_decay_at(1) == pytest.approx(1 / 21)
    assert settings().ema_decay_at(20) == pytest.approx(0.5)
    assert settings().ema_decay_at(10**6) == 0.9995


def test_limit_batches_shortens_the_run_but_not_its_schedule():
    short = settings(limit_batches=11)
    assert (short.total_steps, short.planned_steps) == (11, 14)
    assert short.lr_at(10) == settings().lr_at(10)


@pytest.mark.parametrize(
    "changes",
    [{"phases": ()}, {"accumulate": 0}, {"limit_batches": 0}, {"overfit": -1}, {"ema_decay": 1.0}],
)
def test_numbers_that_make_no_sense_are_refused(changes: dict[str, object]):
    with pytest.raises(UsageError):
        settings(**changes)


def test_a_phase_without_steps_is_refused():
    with pytest.raises(UsageError, match="steps"):
        Phase(steps=0, crop_size=(32, 32))
