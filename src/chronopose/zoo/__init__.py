"""Weights: the cards that say what they are and what they may be used for, and loading them.

Listing cards reads JSON only; torch starts when weights are loaded or saved.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from chronopose.zoo.card import Card, find_card, list_cards

if TYPE_CHECKING:
    from chronopose.zoo.detector import save_detector as save_detector
    from chronopose.zoo.loading import load as load
    from chronopose.zoo.loading import load_any as load_any
    from chronopose.zoo.loading import load_face_model as load_face_model
    from chronopose.zoo.loading import load_foreign as load_foreign
    from chronopose.zoo.loading import load_lifter as load_lifter
    from chronopose.zoo.loading import load_representation as load_representation
    from chronopose.zoo.loading import load_scene as load_scene
    from chronopose.zoo.saving import save as save

__all__ = [
    "Card",
    "find_card",
    "list_cards",
    "load",
    "load_any",
    "load_face_model",
    "load_foreign",
    "load_lifter",
    "load_representation",
    "load_scene",
    "save",
    "save_detector",
]

_HOME = {
    "load": "loading",
    "load_any": "loading",
    "load_face_model": "loading",
    "load_foreign": "loading",
    "load_lifter": "loading",
    "load_representation": "loading",
    "load_scene": "loading",
    "save": "saving",
    "save_detector": "detector",
}


def __getattr__(name: str) -> Any:
    """Load a function that needs torch from its module the first time it is asked for."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
