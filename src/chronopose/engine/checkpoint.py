"""Checkpoints: everything a run needs to go on as if it had never stopped.

A checkpoint holds tensors and plain values only, so it is read without unpickling code, and it
appears under its name whole or not at all.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from chronopose.errors import WeightsError
from chronopose.io.atomic import replacing

FORMAT = 1


def write_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write ``state`` (tensors, numbers, texts, lists, dicts) atomically.

    Raises:
        WeightsError: the disk refused.
    """
    with replacing(path, WeightsError) as temporary:
        torch.save({"format": FORMAT, **state}, temporary)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU.

    Raises:
        WeightsError: the file is missing, damaged, or no checkpoint of ours.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise WeightsError(
            f"There is no checkpoint {path}. Start the run without resuming it."
        ) from error
    except Exception as error:  # a damaged pickle can fail in any way
        raise WeightsError(
            f"{path} is not a readable checkpoint ({type(error).__name__}). Delete it and start "
            f"the run again, or resume from another one."
        ) from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise WeightsError(f"{path} was not written by this version's training. Start a new run.")
    return state
