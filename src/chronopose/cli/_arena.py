"""Flags of ``chronopose bench accuracy``, and what they start."""

from __future__ import annotations

from typing import Any


def add_arena_flags(parser: Any) -> None:
    """Flags that only ``accuracy`` reads."""
    add = parser.add_argument
    add("--shards", default=None, type=str | None, metavar="DIR",
        help="accuracy: training shards of 5 frames, of 'chronopose shards'")  # fmt: skip
    add(
        "--data",
        default=None,
        type=str | None,
        metavar="DIR",
        help="accuracy, scenes: root of SynthTrack, or of LSPET for photographs",
    )
    add("--split", default="val", metavar="NAME",
        help="accuracy, scenes: val or test; accuracy: also photographs (LSPET)")  # fmt: skip
    add("--twin", default=None, type=str | None, metavar="FILE",
        help="accuracy, scenes: weights of the single-frame network that all stand on")  # fmt: skip
    add("--regression", default=None, type=str | None, metavar="FILE",
        help="accuracy: weights of the one-frame regression of the rows of dsta")  # fmt: skip
    add("--tier", default="nano", metavar="NAME", help="accuracy: nano or lite")
    add("--rows", default=None, nargs="+", type=str, metavar="NAME",
        help="accuracy, lift: who takes part (default: everybody)")  # fmt: skip
    add("--ablations", default=False, action="store_true",
        help="accuracy: also the rows of TDMI's ablation tables")  # fmt: skip
    add("--seeds", default=3, type=int, metavar="N", help="accuracy, lift: trainings of every row")
    add(
        "--steps",
        default=None,
        type=int | None,
        metavar="N",
        help="accuracy: instead of the tier's",
    )
    add("--windows", default=None, type=int | None, metavar="N",
        help="accuracy: clips in the bank instead of the tier's")  # fmt: skip
    add("--boxes", default=None, type=str | None, metavar="FILE",
        help="accuracy: also judge on these detected boxes")  # fmt: skip
    add("--out", "-o", default=None, type=str | None, metavar="DIR",
        help="accuracy, lift: folder of the run; one that was stopped goes on (default: runs/arena "
        "or runs/lift)")  # fmt: skip


def run_accuracy(options: Any) -> int:
    """Train, judge and write the report."""
    from dataclasses import replace
    from pathlib import Path

    from chronopose.bench._arena_report import write_report
    from chronopose.bench._contestants import REGRESSION, contestants
    from chronopose.bench._judges import unit_of
    from chronopose.bench.accuracy import TIERS, ArenaPlan, judged_in, measure_costs, run_arena
    from chronopose.errors import UsageError

    missing = [f"--{n}" for n in ("shards", "data", "twin") if getattr(options, n) is None]
    if missing:
        raise UsageError(
            f"bench accuracy needs {', '.join(missing)}: make clips with 'chronopose synth "
            f"--benchmark synthtrack', cut out people with 'chronopose shards --frames 5', and "
            f"train the twin with 'chronopose train simple_baseline_lite_nano'."
        )
    if options.tier not in TIERS:
        raise UsageError(f"There is no tier {options.tier!r}. Known: {', '.join(TIERS)}.")
    if options.seeds < 1:
        raise UsageError(f"--seeds counts trainings from 1; got {options.seeds}.")
    tier = TIERS[options.tier]
    steps = options.steps or tier.training.steps
    tier = replace(
        tier, windows=options.windows or tier.windows,
        training=replace(tier.training, steps=steps),
    )  # fmt: skip
    rows = contestants(options.rows, ablations=options.ablations)
    if options.rows is None and options.regression is None:
        rows = [r for r in rows if r.stands_on != REGRESSION]
    plan = ArenaPlan(
        shards=Path(options.shards), root=Path(options.data), twin=Path(options.twin),
        split=options.split, tier=tier, seeds=tuple(range(options.seeds)),
        boxes=None if options.boxes is None else Path(options.boxes),
        regression=None if options.regression is None else Path(options.regression),
    )  # fmt: skip
    out = options.out or "runs/arena"
    records = run_arena(plan, rows, out)
    costs = measure_costs(rows, tier, out)
    print(write_report(records, costs, rows, judged_in(plan, out), unit_of(plan.split)))
    return 0


def run_scenes(options: Any) -> int:
    """The same for whole frames: --data has the splits train and --split, --twin the start."""
    from dataclasses import replace
    from pathlib import Path

    from chronopose.bench.scene_arena import (
        ROWS,
        TRAINING,
        SceneArenaPlan,
        run_scene_arena,
        write_scene_report,
    )
    from chronopose.errors import UsageError

    missing = [f"--{n}" for n in ("data", "twin") if getattr(options, n) is None]
    if missing:
        raise UsageError(
            f"bench scenes needs {', '.join(missing)}: make clips with 'chronopose synth "
            f"--benchmark synthtrack', and train the start with 'chronopose train "
            f"pavenet_lite_still'."
        )
    if options.seeds < 1:
        raise UsageError(f"--seeds counts trainings from 1; got {options.seeds}.")
    steps = options.steps or TRAINING.steps
    plan = SceneArenaPlan(
        root=Path(options.data), start=Path(options.twin), split=options.split,
        training=replace(TRAINING, steps=steps, drops=(4 * steps // 5,)),
        seeds=tuple(range(options.seeds)), rows=tuple(options.rows or ROWS),
    )  # fmt: skip
    out = options.out or "runs/scenes"
    print(write_scene_report(run_scene_arena(plan, out), out))
    return 0
