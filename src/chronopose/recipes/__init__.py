"""Experiments: one function each, returning a typed recipe."""

from chronopose.recipes._recipe import (
    LabelledSpec,
    LSPETSpec,
    MixtureSpec,
    Places,
    ProceduralSpec,
    Recipe,
    find,
    list_recipes,
)

__all__ = [
    "LSPETSpec",
    "LabelledSpec",
    "MixtureSpec",
    "Places",
    "ProceduralSpec",
    "Recipe",
    "find",
    "list_recipes",
]
