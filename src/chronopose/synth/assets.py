"""Assets: where bodies, motions and places of a clip come from, divided between the splits.

Without any folder everything is made by code. With one, its environment maps, motion files and
bank of bodies are used instead, each as far as it is there.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from chronopose.errors import UsageError
from chronopose.synth.body import Body
from chronopose.synth.calibrate import Calibration, calibrate
from chronopose.synth.gait import KINDS, procedural_motion
from chronopose.synth.hdri import environment_from_hdri
from chronopose.synth.mocap import MotionFile, find_motions, parts_on_ground, read_motion
from chronopose.synth.motion import Motion
from chronopose.synth.plain_body import plain_body
from chronopose.synth.scene import Environment
from chronopose.synth.sky import procedural_environment, procedural_key

if TYPE_CHECKING:
    from chronopose.synth.bank import Bank

File = TypeVar("File")

HELD_OUT = {"test": 0, "val": 1}
"""Of six recordings in order, the one that belongs to each of these splits."""
SEEDS = {"train": 0, "val": 1 << 28, "test": 1 << 29}
"""Where the seeds of made-up bodies, motions and places begin in each split."""
RANGE = 1 << 27
RATE_HZ = 60.0
"""Rate of the motions that are handed out."""
CALIBRATED = 8
"""At most so many recordings of a performer are read to know their rig."""
HEAD_RAD = 0.4
"""A head that leans by more than this belongs to somebody who looks at a ball, not to the rig."""
BROKEN = ("005_05.bvh", "005_17.bvh")
"""Files of the CMU database for iClone in which the pelvis turns over; they are left out."""
REACH_M, REACH_INDOORS_M = 8.5, 4.2
"""How far from the camera people's feet still stand on the floor of the picture."""

_TRIAL = re.compile(r"0*(\d+)_0*(\d+)")
_SIZE = re.compile(r"_\d+k$")


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

    def environment(
        self, split: str, rng: np.random.Generator, *, painted: bool = True
    ) -> Environment:
        """A place and its light; one made by code is black, but has its name, if not painted."""
        mine, yaw = _share(self.hdris, split, _place), float(rng.uniform(0, 2 * np.pi))
        seed = int(rng.integers(RANGE))
        if not mine and not painted:
            return _unpainted(procedural_key(SEEDS[split] + seed, _two(split)))
        if not mine:
            return procedural_environment(SEEDS[split] + seed, _two(split))
        return environment_from_hdri(mine[seed % len(mine)], yaw)

    def body(self, split: str, rng: np.random.Generator) -> Body:
        """A dressed adult."""
        seed = int(rng.integers(RANGE))
        if self.bank is None:
            return plain_body(SEEDS[split] + seed)
        return self.bank.body(SEEDS[split] + seed, _two(split))

    def motion(
        self, split: str, seconds: float, rng: np.random.Generator, settle_s: float = 0.0
    ) -> Motion:
        """Something to do.

        Args:
            split: Whose motions.
            seconds: Length.
            rng: Chooses.
            settle_s: Also what comes before and after, if anybody knows; else the ends are held.

        Returns:
            A motion whose times go from ``-settle_s`` to ``seconds + settle_s``. A recording that
            is too short goes back and forth.
        """
        mine = _share(self.motions, split, _trial)
        seed, start = int(rng.integers(RANGE)), float(rng.random())
        times = np.arange(-settle_s, seconds + settle_s + 1 / RATE_HZ, 1 / RATE_HZ)
        stretch = _long_enough(mine, seed, seconds)
        if stretch is None:
            kind, whole = KINDS[seed % len(KINDS)], seconds + 2 * settle_s
            made = procedural_motion(
                kind, SEEDS[split] + seed, whole, RATE_HZ, split=_two(split)
            )  # fmt: skip
            return Motion(made.key, made.subject, made.xyz, made.time_s - settle_s)
        length = float(stretch.time_s[-1])
        at = times + start * max(length - seconds, 0.0)
        if length < seconds:
            at = length - np.abs(np.mod(at, 2 * length) - length)
        columns = stretch.xyz.reshape(len(stretch), -1).T
        moved = np.stack([np.interp(at, stretch.time_s, c) for c in columns], -1)
        xyz = moved.reshape(len(at), *stretch.xyz.shape[1:]).astype(np.float32)
        return Motion(stretch.key, stretch.subject, xyz, times)

    def calibration(self, motion: Motion) -> Calibration | None:
        """What is particular to the performer of a motion; None if it is not of a file."""
        return _calibration(tuple(m for m in self.motions if m.subject == motion.subject))

    def fingerprint(self) -> str:
        """sha256 over the names and sizes of all files; ``plain`` without any."""
        if not self.names:
            return "plain"
        return hashlib.sha256("\n".join(self.names).encode()).hexdigest()


def reach_m(environment: Environment) -> float:
    """How far away people may stand; behind it a room made by code has walls."""
    return REACH_INDOORS_M if environment.key.startswith("indoor/") else REACH_M


def open_assets(folder: Path | None = None, bank: Path | None = None) -> Assets:
    """Find what a folder has to offer.

    Args:
        folder: Is searched for ``.hdr`` environment maps and ``.bvh`` or ``.amc`` motion files,
            these below ``mocap/`` if there is such a folder; None: nothing.
        bank: File of baked bodies; None: bodies made by code.

    Raises:
        UsageError: there is no such folder, or it holds neither maps nor motions.
        FormatError: the bank is missing or damaged.
    """
    hdris: tuple[Path, ...] = ()
    motions: tuple[MotionFile, ...] = ()
    names: list[str] = []
    if folder is not None:
        if not folder.is_dir():
            raise UsageError(f"{folder} is no folder. Give the folder with .hdr and .bvh files.")
        hdris = tuple(sorted(folder.rglob("*.hdr"), key=Path.as_posix))
        moving = folder / "mocap" if (folder / "mocap").is_dir() else folder
        if any(p.suffix.lower() in (".bvh", ".amc") for p in moving.rglob("*")):
            motions = tuple(m for m in find_motions(moving) if m.path.name not in BROKEN)
        if not hdris and not motions:
            raise UsageError(
                f"{folder} holds neither .hdr environment maps nor .bvh or .amc motion files. "
                f"Leave --assets out to make everything by code."
            )
        files = [*hdris, *(m.path for m in motions)]
        names = [f"{p.relative_to(folder).as_posix()} {p.stat().st_size}" for p in files]
    found: Any = None
    if bank is not None:
        from chronopose.synth.bank import read_bank

        found = read_bank(bank)
        names.append(f"bank {bank.stat().st_size}")
    return Assets(hdris, motions, found, tuple(names))


def _share(files: Sequence[File], split: str, recording: Callable[[File], str]) -> list[File]:
    """The files of a split. Files of one recording stay together.

    Of each six recordings the first is for test, the second for val. A single one is for train,
    of two the first is for test; a split without any makes up its own.
    """
    known = sorted({recording(f) for f in files})
    mine = {r for i, r in enumerate(known) if _owner(i, len(known)) == split}
    return [f for f in files if recording(f) in mine]


def _owner(place: int, count: int) -> str:
    if count < 3:
        return "train" if place == count - 1 else "test"
    return next((split for split, held in HELD_OUT.items() if place % 6 == held), "train")


def _place(path: Path) -> str:
    """The same for a panorama in several sizes: ``kiara_1_dawn_1k`` -> ``kiara_1_dawn``."""
    return _SIZE.sub("", path.stem)


def _trial(file: MotionFile) -> str:
    """The same for a trial of the CMU database in several formats: ``005_03``, ``05_03``."""
    numbers = _TRIAL.fullmatch(file.path.stem)
    return "_".join(numbers.groups()) if numbers else file.key


def _two(split: str) -> Any:
    """Made-up things know train and test only; val is drawn from the ranges of test."""
    return "train" if split == "train" else "test"


def _unpainted(key: str) -> Environment:
    black, up = np.zeros((9, 3), np.float32), np.array([0, 0, 1], np.float32)
    return Environment(key, np.zeros((2, 4, 3), np.float32), black, up, black[0], 1.0)


def _long_enough(files: Sequence[MotionFile], seed: int, seconds: float) -> Motion | None:
    """A stretch of the first file from ``seed`` on that lasts so long, or else the longest."""
    longest: Motion | None = None
    for step in range(len(files)):
        parts = _read(files[(seed + step) % len(files)])
        fit = [p for p in parts if p.time_s[-1] >= seconds]
        if fit:
            return fit[seed // len(files) % len(fit)]
        for part in parts:
            if longest is None or part.time_s[-1] > longest.time_s[-1]:
                longest = part
    return longest


@lru_cache(maxsize=128)
def _read(file: MotionFile) -> tuple[Motion, ...]:
    """What of a file happens on the ground."""
    return tuple(parts_on_ground(read_motion(file.path, key=file.key, subject=file.subject)))


@lru_cache(maxsize=32)
def _calibration(files: tuple[MotionFile, ...]) -> Calibration | None:
    if not files:
        return None
    chosen = [files[i * len(files) // CALIBRATED] for i in range(CALIBRATED)]
    parts = [part for file in dict.fromkeys(chosen) for part in _read(file)]
    slow = [p.at(np.arange(p.time_s[0], p.time_s[-1], 1 / 30)) for p in parts]
    if not slow:
        return None
    known = calibrate(slow)
    return replace(known, head=float(np.clip(known.head, -HEAD_RAD, HEAD_RAD)))
