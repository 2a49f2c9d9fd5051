"""Flags of ``chronopose bench lift``, and what they start."""

from __future__ import annotations

from typing import Any


def add_lift_flags(parser: Any) -> None:
    """Flags that only ``lift`` reads; it also reads --rows, --seeds, --out and --device."""
    add = parser.add_argument
    add("--motion", default=None, type=str | None, metavar="DIR",
        help="lift: folder with the free motion of CMU-Lift")  # fmt: skip
    add("--train-motion", default=None, type=str | None, metavar="DIR",
        help="lift: train on this motion instead")  # fmt: skip
    add("--test-motion", default=None, type=str | None, metavar="DIR",
        help="lift: judge on this motion instead, of other people")  # fmt: skip
    add("--epochs", default=None, type=int | None, metavar="N",
        help="lift: passes over the windows instead of the budget's 3")  # fmt: skip


def run_lift(options: Any) -> int:
    """Train, judge and write the report."""
    from dataclasses import replace
    from pathlib import Path

    from chronopose.bench.lift import (
        BUDGET,
        LiftPlan,
        choose_rows,
        run_lift_bench,
        write_lift_report,
    )
    from chronopose.errors import UsageError

    if options.seeds < 1:
        raise UsageError(f"--seeds counts trainings from 1; got {options.seeds}.")

    def folder(text: str | None) -> Path | None:
        return None if text is None else Path(text)

    epochs = BUDGET.epochs if options.epochs is None else options.epochs
    plan = LiftPlan(
        motion=folder(options.motion), train_motion=folder(options.train_motion),
        test_motion=folder(options.test_motion), settings=replace(BUDGET, epochs=epochs),
        seeds=tuple(range(options.seeds)),
    )  # fmt: skip
    rows = choose_rows(options.rows)
    out = options.out or "runs/lift"
    records = run_lift_bench(plan, rows, out, device=options.device)
    print(write_lift_report(records, rows, plan.told, out))
    return 0
