"""Checkpoints published by others: recognised by their keys, renamed by the model's own key map.

One file a source, with ``MODEL``, ``recognises(state)`` and ``preset_of(state)``; the renaming is
the model's ``from_official_keys``. Published pose networks were trained under the corner law and
on rounded targets, so their codec says so.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

from torch import Tensor

from chronopose.models._find import find_model

SKELETON_OF = {17: "coco17", 16: "mpii16"}
"""Joints of a published heatmap layer -> the skeleton it was trained on."""
LAW = {"align": "corner", "rounded": True, "activation": "gaussian", "decoder": "quarter"}
"""Coordinates and targets of the published pose networks."""


@dataclass(frozen=True)
class Recognised:
    """A published checkpoint, in our words."""

    source: str
    """File in this folder that knows it."""
    model: str
    preset: str
    settings: Mapping[str, Any]
    """Fields of the model's Config: joints and coordinates."""
    joints: int
    """Number of heatmaps."""
    tensors: Mapping[str, Tensor]
    """Our keys."""


@cache
def sources() -> tuple[str, ...]:
    """Names of the sources known here."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__)))


def recognise(state: Mapping[str, Tensor], source: str | None = None) -> Recognised | None:
    """Tell which published network a state dict is of; None if of none.

    Args:
        state: Entries as published, without the prefix of ``DataParallel``.
        source: Try this source only.
    """
    for name in sources() if source is None else (source,):
        known = import_module(f"{__name__}.{name}")
        if not known.recognises(state):
            continue
        model: Any = find_model(known.MODEL)
        joints = state["final_layer.weight"].shape[0]
        skeleton = {"skeleton": SKELETON_OF[joints]} if joints in SKELETON_OF else {}
        return Recognised(
            name, known.MODEL, known.preset_of(state), {**LAW, **skeleton}, joints,
            model.from_official_keys(state),
        )  # fmt: skip
    return None
