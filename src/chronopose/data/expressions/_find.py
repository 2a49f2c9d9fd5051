"""The folder is the registry: which sets of expressions there are, and how to open one by name."""

from __future__ import annotations

import inspect
import pkgutil
from difflib import get_close_matches
from functools import cache
from importlib import import_module

from chronopose.data.expressions._base import ExpressionSet
from chronopose.errors import UsageError


@cache
def list_faces() -> dict[str, type[ExpressionSet]]:
    """Name -> class of every set of this folder, by name.

    Raises:
        UsageError: two sets have one name.
    """
    package = import_module("chronopose.data.expressions")
    found: dict[str, type[ExpressionSet]] = {}
    for info in pkgutil.iter_modules(package.__path__):
        if info.name.startswith("_"):
            continue
        module = import_module(f"{package.__name__}.{info.name}")
        for value in vars(module).values():
            if (
                inspect.isclass(value)
                and issubclass(value, ExpressionSet)
                and value.__module__ == module.__name__
                and not inspect.isabstract(value)
            ):
                if value.NAME in found:
                    raise UsageError(f"Two sets are called {value.NAME!r}; rename one.")
                found[value.NAME] = value
    return dict(sorted(found.items()))


def open_faces(name: str, split: str = "") -> ExpressionSet:
    """Open a set of expressions.

    Args:
        name: ``SET:DIR``, e.g. ``rafdb:path/to/rafdb``; upper case, hyphens and underscores of the
            set's name do not matter.
        split: One of its parts, ``train:3`` or ``test:3`` for a fold, ``all``; empty for the part
            that papers report, or all pictures where that is folds.

    Raises:
        UsageError: there is no such set or split, or the folder is not named.
        FormatError: the folder does not hold the set.
    """
    kind, _, folder = name.partition(":")
    known = list_faces()
    plain = {_plain(n): n for n in known}
    if _plain(kind) not in plain:
        near = get_close_matches(_plain(kind), plain, n=1)
        hint = f" Did you mean {plain[near[0]]!r}?" if near else ""
        raise UsageError(
            f"There is no set of expressions {kind!r}.{hint} Known: {', '.join(known)}."
        )
    if not folder:
        raise UsageError(
            f"Say where {known[plain[_plain(kind)]].TITLE} is: {kind}:DIR. Nothing is downloaded."
        )
    return known[plain[_plain(kind)]](folder, split)


def _plain(name: str) -> str:
    return "".join(c for c in name.lower().replace("+", "plus") if c.isalnum())
