"""Assets: where bodies, motions and places of a clip come from, divided between the splits.

Without any folder everything is made by code. With one, its environment maps, motion files and
bank of bodies are used instead, each as far as it is there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chronopose.errors import UsageError
from chronopose.synth.body import Body
from chronopose.synth.gait import KINDS, procedural_motion
from chronopose.synth.hdri import environment_from_hdri
from chronopose.synth.mocap import MotionFile, find_motions, read_motion
from chronopose.synth.motion import Motion
from chronopose.synth.plain_body import plain_body
from chronopose.synth.scene import Environment
from chronopose.synth.sky import procedural_environment

if TYPE_CHECKING:
    from chronopose.synth.bank import Bank

HELD_OUT = {"test": 0, "val": 1}
"""Of six files in order, the one that belongs to each of these splits."""
SEEDS = {"train": 0, "val": 1 << 28, "test": 1 << 29}
"""Where the seeds of made-up bodies, motions and places begin in each split."""
RANGE = 1 << 27


@dataclass(frozen=True)
class Assets:
    """What clips are made of.

    Args:
        hdris: Environment maps; empty: procedural places.
        motions: Motion files; empty: procedural motion.
        bank: Baked bodies; None: bodies made by code.
    """

    hdris: tuple[Path, ...] = ()
    motions: tuple[MotionFile, ...] = ()
    bank: Bank | None = None
    names: tuple[str, ...] = field(default=())

    def environment(self, split: str, rng: np.random.Generator) -> Environment:
        """A place and its light."""
        mine, yaw = _share(self.hdris, split), float(rng.uniform(0, 2 * np.pi))
        seed = int(rng.integers(RANGE))
        if not mine:
            return procedural_environment(SEEDS[split] + seed, _two(split))
        return environment_from_hdri(mine[seed % len(mine)], yaw)

    def body(self, split: str, rng: np.random.Generator) -> Body:
        """A dressed adult."""
        seed = int(rng.integers(RANGE))
        if self.bank is None:
            return plain_body(SEEDS[split] + seed)
        return self.bank.body(SEEDS[split] + seed, _two(split))

    def motion(self, split: str, seconds: float, rng: np.random.Generator) -> Motion:
        """Something to do for so many seconds, beginning at time 0 or anywhere in a file."""
        mine = _share(self.motions, split)
        seed, start = int(rng.integers(RANGE)), float(rng.random())
        if not mine:
            kind = KINDS[seed % len(KINDS)]
            return procedural_motion(kind, SEEDS[split] + seed, seconds, split=_two(split))
        whole = _read(mine[seed % len(mine)])
        room = max(0.0, float(whole.time_s[-1] - whole.time_s[0]) - seconds)
        first = float(whole.time_s[0]) + start * room
        times = np.arange(first, first + seconds, 1 / 60)
        return Motion(whole.key, whole.subject, whole.at(times).xyz, times - first)

    def fingerprint(self) -> str:
        """sha256 over the names and sizes of all files; ``plain`` without any."""
        if not self.names:
            return "plain"
        return hashlib.sha256("\n".join(self.names).encode()).hexdigest()


def open_assets(folder: Path | None = None, bank: Path | None = None) -> Assets:
    """Find what a folder has to offer.

    Args:
        folder: Is searched for ``.hdr`` environment maps and ``.bvh`` or ``.amc`` motion files,
            these below ``mocap/`` if there is such a folder; None: nothing.
        bank: File of baked bodies; None: bodies made by code.

    Raises:
        UsageError: there is no such folder, or it holds neither maps nor motions.
        FormatError: the bank is damaged.
    """
    hdris: tuple[Path, ...] = ()
    motions: tuple[MotionFile, ...] = ()
    files: list[Path] = []
    if folder is not None:
        if not folder.is_dir():
            raise UsageError(f"{folder} is no folder. Give the folder with .hdr and .bvh files.")
        hdris = tuple(sorted(folder.rglob("*.hdr")))
        moving = folder / "mocap" if (folder / "mocap").is_dir() else folder
        if any(p.suffix.lower() in (".bvh", ".amc") for p in moving.rglob("*")):
            motions = tuple(find_motions(moving))
        if not hdris and not motions:
            raise UsageError(
                f"{folder} holds neither .hdr environment maps nor .bvh or .amc motion files. "
                f"Leave --assets out to make everything by code."
            )
        files += [*hdris, *(m.path for m in motions)]
    found: Any = None
    if bank is not None:
        from chronopose.synth.bank import read_bank

        found = read_bank(bank)
        files.append(bank)
    names = tuple(f"{p.name} {p.stat().st_size}" for p in files)
    return Assets(hdris, motions, found, names)


def _share(files: Sequence[Any], split: str) -> Sequence[Any]:
    """The files of a split: each sixth one is for test, the one after it for val."""
    place = HELD_OUT.get(split)
    if place is None:
        kept = [f for i, f in enumerate(files) if i % 6 not in HELD_OUT.values()]
        return kept or files
    return [f for i, f in enumerate(files) if i % 6 == place] or files[place : place + 1]


def _two(split: str) -> Any:
    """Made-up things know train and test only; val is drawn from the ranges of test."""
    return "train" if split == "train" else "test"


@lru_cache(maxsize=16)
def _read(file: MotionFile) -> Motion:
    return read_motion(file.path, key=file.key, subject=file.subject)
