"""What the plain training loops share: a run's folder, its device, and what must not change in it.

Crop models train through one Lightning module (:mod:`chronopose.engine.fit`). Detector, lifters,
faces, scenes and representations read other things and have a loop each; where a run lives, what
may differ when it goes on, and when a loss is refused are the same for all of them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from chronopose.engine.checkpoint import read_checkpoint
from chronopose.errors import ChronoposeError, UsageError

LAST = "last.ckpt"
Resume = bool | Literal["auto"]
SPREAD = ("config", "settings")
"""Parts of an identity whose fields are compared one by one."""


def open_run(run_dir: Path | str, resume: Resume) -> tuple[Path, dict[str, Any] | None]:
    """The folder of a run, made if needed, and the checkpoint to go on from.

    Args:
        run_dir: The folder.
        resume: True goes on from ``last.ckpt``; ``"auto"`` does so if there is one.

    Raises:
        UsageError: the folder holds another run, or there is nothing to resume.
        WeightsError: the checkpoint is damaged.
    """
    folder = Path(run_dir)
    there = (folder / LAST).exists()
    if (there and resume is False) or (resume is True and not there):
        raise UsageError(
            f"{folder} {'already holds a run' if there else 'holds no run'}. Use resume="
            f"{'True to go on' if there else 'False to start'}, or choose another folder."
        )
    folder.mkdir(parents=True, exist_ok=True)
    return folder, read_checkpoint(folder / LAST) if there else None


def device_of(name: str) -> torch.device:
    """``auto`` is CUDA where there is one; any other name is torch's."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def refuse_changes(
    old: Mapping[str, Any], new: Mapping[str, Any], free: Collection[str], folder: Path
) -> None:
    """Raise an error unless a resumed run is the run that was started.

    Args:
        old: What identified the run when it was started: plain values, with ``config`` and
            ``settings`` as mappings.
        new: The same now.
        free: Fields that do not change what is learnt.
        folder: Of the run, for the message.

    Raises:
        UsageError: fields differ; the message names them.
    """
    before, now = _fields(old, free), _fields(new, free)
    changed = sorted(k for k in before.keys() | now.keys() if before.get(k) != now.get(k))
    if changed:
        raise UsageError(
            f"The run in {folder} was started with another {', '.join(changed)}. Use the same "
            f"settings and data, or start a new run in another folder."
        )


def refuse_infinite(loss: Tensor, step: int) -> None:
    """Raise an error unless the loss of a step is a finite number.

    Raises:
        ChronoposeError: it is not.
    """
    if not bool(torch.isfinite(loss.detach()).all()):
        raise ChronoposeError(
            f"The loss is no finite number at step {step}. Lower the learning rate; the last "
            f"checkpoint is good."
        )


def _fields(identity: Mapping[str, Any], free: Collection[str]) -> dict[str, Any]:
    found = {k: v for k, v in identity.items() if k not in SPREAD}
    for part in SPREAD:
        found |= identity.get(part, {})
    return {k: v for k, v in found.items() if k not in free}
