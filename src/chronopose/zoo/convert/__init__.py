"""Checkpoints published by others: recognised by their keys, renamed by the model's own key map.

One file a source, with ``MODEL``, ``recognises(state)``, ``preset_of(state)`` and
``joints_of(state)``; the renaming is the model's ``from_official_keys``. Published pose networks
were trained under the corner law and on rounded targets, so their codec says so; a source of
another kind has ``SETTINGS``, fields of the model's Config that go before these, or
``settings_of(state)``, such fields as the tensors' shapes tell.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from importlib import import_module
from typing import Any

from torch import Tensor

from chronopose.core.skeletons import get_skeleton
from chronopose.models._find import config_of, find_model

SKELETON_OF = {17: "coco17", 16: "mpii16"}
"""Number of published joints -> their skeleton, where the preset's own has another number."""
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
    """Number of joints that it gives."""
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
        preset, joints = known.preset_of(state), known.joints_of(state)
        return Recognised(
            name, known.MODEL, preset, _settings(known, preset, joints, state), joints,
            model.from_official_keys(state),
        )  # fmt: skip
    return None


def _settings(known: Any, preset: str, joints: int, state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Joints and law of a source, as far as the model's Config has such fields."""
    config = config_of(known.MODEL, preset)
    has = {f.name for f in fields(config)}
    told = known.settings_of(state) if hasattr(known, "settings_of") else {}
    settings = {**LAW, **getattr(known, "SETTINGS", {}), **told}
    if "skeleton" in has and len(get_skeleton(config.skeleton)) == joints:
        settings.setdefault("skeleton", config.skeleton)
    elif joints in SKELETON_OF:
        settings.setdefault("skeleton", SKELETON_OF[joints])
    return {key: value for key, value in settings.items() if key in has}
