"""Flags of ``chronopose bench css``, and what they start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chronopose.engine.known_people import KnownPeople

PEOPLE, JUDGED = 40, 15
"""Bodies that poses are learnt from, and other ones that are judged."""
FILMED = 60
"""People who are filmed in rooms, to learn from."""
SCRATCH_IN_ROOMS = 600
"""Steps of the supervised network there; 1,500 bring it 1 mm with 1 % of the labels."""


def add_css_flags(parser: Any) -> None:
    """Flags that only ``css`` reads.

    It also reads --data, --split, --seeds, --steps, --rows, --out, and --motion: poses of those
    motion files instead of pictures.
    """
    add = parser.add_argument
    add("--learn", default=None, type=str | None, metavar="DIR",
        help="css: generated set to learn from; --data is the one that is judged")  # fmt: skip
    add("--rooms", default=0, type=int, metavar="N",
        help="css: pictures of people in N rooms made by code, instead of poses")  # fmt: skip
    add("--videos", default=None, type=str | None, metavar="DIR",
        help="css: your own videos with their tracks beside them, judged by 2D poses")  # fmt: skip


def run_css(options: Any) -> int:
    """Train, probe and write the report.

    Without --learn, --rooms and --motion, poses of procedural motion are learnt from: no data is
    needed.
    """
    from dataclasses import replace

    from chronopose.bench.css import ROWS, CssPlan, run_css_bench, write_css_report
    from chronopose.errors import UsageError
    from chronopose.recipes.css import IN_ROOMS, PICTURES, POSES

    if (options.learn is None) != (options.data is None):
        raise UsageError(
            "bench css on pictures needs two generated sets: --learn DIR to learn from and --data "
            "DIR to judge on. Without both it works on poses, or in --rooms."
        )
    if options.rooms < 0 or (options.rooms and (options.learn or options.motion)):
        raise UsageError(
            f"--rooms makes people by code, at least one room, and reads neither --learn nor "
            f"--motion; got {options.rooms}."
        )
    if options.seeds < 1:
        raise UsageError(f"--seeds counts trainings from 1; got {options.seeds}.")
    if options.videos is not None:
        if options.rooms or options.learn or options.motion:
            raise UsageError("--videos goes alone: leave out --rooms, --learn and --motion.")
        return _videos(options, replace(PICTURES, steps=options.steps or PICTURES.steps))
    if options.rooms:
        model, settings = "css:lite_masked", IN_ROOMS
        training, judged = _filmed(options.rooms, options.out)
    elif options.learn is not None:
        model, settings, (training, judged) = "css:lite", PICTURES, _people(options)
    else:
        model, settings, (training, judged) = "css:poses", POSES, _bodies(options.motion)
    steps = options.steps or settings.steps
    plan = CssPlan(
        model=model, training=training, judged=judged,
        settings=replace(settings, steps=steps),
        seeds=tuple(range(options.seeds)), rows=tuple(options.rows or ROWS),
        scratch_steps=min(steps, SCRATCH_IN_ROOMS) if options.rooms else steps,
    )  # fmt: skip
    print(write_css_report(plan, run_css_bench(plan, options.out), options.out))
    return 0


def _videos(options: Any, settings: Any) -> int:
    """Learn from one's own videos."""
    from pathlib import Path

    from chronopose.bench.css_videos import VideoPlan, run_videos, table

    plan = VideoPlan(
        folder=Path(options.videos), settings=settings, seeds=tuple(range(options.seeds))
    )
    print(table(run_videos(plan, options.out)))
    return 0


def _people(options: Any) -> tuple[KnownPeople, KnownPeople]:
    """People of two generated sets."""
    from chronopose.engine.known_people import clip_people

    return clip_people(options.learn, "train"), clip_people(options.data, options.split)


def _filmed(count: int, out: str) -> tuple[KnownPeople, KnownPeople]:
    """People in rooms, and others doing other things in the same rooms; kept in ``out``."""
    from functools import partial
    from pathlib import Path

    from chronopose.engine.people_file import kept_people

    casts: dict[str, dict[str, Any]] = {
        "train": {"people": FILMED, "videos": 12, "split": "train", "seed": 0},
        "test": {"people": JUDGED, "videos": 6, "split": "test", "seed": 50_000},
    }
    found = []
    for name, cast in casts.items():
        made_of = {"rooms": count, **cast}
        file = Path(out) / f"people_{name}.npz"
        found.append(kept_people(file, made_of, partial(_play, count, cast)))
    return found[0], found[1]


def _play(count: int, cast: dict[str, Any]) -> KnownPeople:
    from chronopose.engine.room_people import room_people, rooms_made_by_code

    return room_people(rooms_made_by_code(count), **cast)


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
