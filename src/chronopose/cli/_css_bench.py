"""Flags of ``chronopose bench css``, and what they start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chronopose.engine.known_people import KnownPeople

PEOPLE, JUDGED = 40, 15
"""Bodies that poses are learnt from, and other ones that are judged."""


def add_css_flags(parser: Any) -> None:
    """Flags that only ``css`` reads.

    It also reads --data, --split, --seeds, --steps, --rows, --out, and --motion: poses of those
    motion files instead of pictures.
    """
    add = parser.add_argument
    add("--learn", default=None, type=str | None, metavar="DIR",
        help="css: generated set to learn from; --data is the one that is judged")  # fmt: skip


def run_css(options: Any) -> int:
    """Train, probe and write the report.

    Without --learn and --motion, poses of procedural motion are learnt from: no data is needed.
    """
    from dataclasses import replace

    from chronopose.bench.css import ROWS, CssPlan, run_css_bench, write_css_report
    from chronopose.errors import UsageError
    from chronopose.recipes.css import PICTURES, POSES

    if (options.learn is None) != (options.data is None):
        raise UsageError(
            "bench css on pictures needs two generated sets: --learn DIR to learn from and --data "
            "DIR to judge on. Without both it works on poses."
        )
    if options.seeds < 1:
        raise UsageError(f"--seeds counts trainings from 1; got {options.seeds}.")
    pictures = options.learn is not None
    training, judged = _people(options) if pictures else _bodies(options.motion)
    settings = PICTURES if pictures else POSES
    plan = CssPlan(
        model="css:lite" if pictures else "css:poses", training=training, judged=judged,
        settings=replace(settings, steps=options.steps or settings.steps),
        seeds=tuple(range(options.seeds)), rows=tuple(options.rows or ROWS),
        scratch_steps=options.steps or settings.steps,
    )  # fmt: skip
    print(write_css_report(plan, run_css_bench(plan, options.out), options.out))
    return 0


def _people(options: Any) -> tuple[KnownPeople, KnownPeople]:
    """People of two generated sets."""
    from chronopose.engine.known_people import clip_people

    return clip_people(options.learn, "train"), clip_people(options.data, options.split)


def _bodies(folder: str | None) -> tuple[KnownPeople, KnownPeople]:
    """Bodies that perform motion; every fourth motion is kept for those that are judged."""
    from chronopose.engine.known_people import pose_people, procedural_motions, recorded_motions

    if folder is None:
        learnt, held = procedural_motions(72), procedural_motions(24, seed=1000, split="test")
    else:
        motions = recorded_motions(folder)
        held = motions[3::4]
        learnt = [m for n, m in enumerate(motions) if n % 4 != 3]
    return (
        pose_people(learnt, people=PEOPLE, videos=5, seconds=3.0, fps=12.5),
        pose_people(held, people=JUDGED, videos=4, seconds=3.0, fps=12.5, seed=1_000_000),
    )
