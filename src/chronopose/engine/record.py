"""The record of a run: what was trained, with what, on what, and how it went.

``run.json`` says everything needed to repeat the run, and nothing about whose machine it was:
no host or user name and no path outside the run's own folder.
"""

from __future__ import annotations

import csv
import math
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from chronopose.io._fields import reading
from chronopose.io.atomic import write_json, writing

PACKAGES = ("chronopose", "torch", "lightning", "timm", "numpy", "scipy", "pillow")


def git_revision() -> str | None:
    """Revision of the source tree this package runs from, with ``+`` if it was changed.

    None when the package is not run from a git checkout.
    """

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(Path(__file__).parent), *words],
            capture_output=True, text=True, check=True, timeout=10,
        ).stdout.strip()  # fmt: skip

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", ".")
        return git("rev-parse", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return None


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that matter."""
    out = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            out[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return out


def hardware() -> dict[str, Any]:
    """The machine in general terms."""
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "system": platform.system(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "gpus": gpus,
    }


def plain(value: Any) -> Any:
    """Dataclasses, tuples and mappings as JSON values; anything else by its name."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return type(value).__name__


class RunLog:
    """``train.csv`` and ``val.csv`` of a run, and TensorBoard events if that is installed.

    Args:
        folder: The run's folder.
        first_step: Rows beyond this step are dropped: the run goes on from there.
    """

    def __init__(self, folder: Path, first_step: int = 0) -> None:
        self._folder = folder
        for name in ("train", "val"):
            _cut_back(folder / f"{name}.csv", first_step)
        self._board = _tensorboard(folder, first_step)

    def write(self, name: str, step: int, row: Mapping[str, float | str]) -> None:
        """Append a row to ``NAME.csv``.

        Args:
            name: ``train`` or ``val``.
            step: Steps done.
            row: Column -> value; the first row decides the columns of a file.
        """
        path = self._folder / f"{name}.csv"
        fresh = not path.exists() or path.stat().st_size == 0
        columns = ["step", *row] if fresh else _columns(path)
        with path.open("a", newline="") as file:
            out = csv.DictWriter(file, columns, restval="", extrasaction="ignore")
            if fresh:
                out.writeheader()
            out.writerow({"step": step, **row})
        if self._board is not None:
            for key, value in row.items():
                if isinstance(value, (int, float)):
                    self._board.add_scalar(f"{name}/{key}", value, step)

    def close(self) -> None:
        """Flush what TensorBoard holds back."""
        if self._board is not None:
            self._board.close()


def read_log(path: Path) -> dict[str, list[float]]:
    """The columns of a ``train.csv`` or ``val.csv``; NaN where a cell is empty or no number.

    Raises:
        FormatError: the file cannot be read.
    """
    with reading(path, "the log of a run"), path.open(newline="") as file:
        rows = list(csv.reader(file))
    names = rows[0] if rows else []
    whole = [r for r in rows[1:] if len(r) == len(names)]
    return {n: [_number(r[i]) for r in whole] for i, n in enumerate(names)}


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan


def _tensorboard(folder: Path, first_step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder / "tensorboard"), purge_step=first_step)


def _columns(path: Path) -> list[str]:
    with path.open(newline="") as file:
        return next(csv.reader(file))


def _cut_back(path: Path, last_step: int) -> None:
    if not path.exists():
        return
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    kept = rows[:1] + [r for r in rows[1:] if len(r) == len(rows[0]) and int(r[0]) <= last_step]
    with writing(path) as out:
        csv.writer(out).writerows(kept)


def write_record(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write ``run.json`` with the facts given, versions, hardware and git revision."""
    write_json(
        folder / "run.json",
        {
            **plain(dict(facts)),
            "git_revision": git_revision(),
            "versions": versions(),
            "hardware": hardware(),
        },
    )
