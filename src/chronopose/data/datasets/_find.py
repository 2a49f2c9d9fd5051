"""The folder is the registry: which data sets there are, and how to open one by name.

Every public class of a file of this folder that is a finished
:class:`~chronopose.data.datasets._base.LabelledSet` is a data set under its ``NAME``.
"""

from __future__ import annotations

import inspect
import pkgutil
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from chronopose.data.datasets._base import LabelledSet
from chronopose.errors import UsageError


@cache
def list_datasets() -> dict[str, type[LabelledSet]]:
    """Name -> class of every data set of this folder, by name."""
    package = import_module("chronopose.data.datasets")
    found: dict[str, type[LabelledSet]] = {}
    for info in pkgutil.iter_modules(package.__path__):
        if info.name.startswith("_"):
            continue
        module = import_module(f"chronopose.data.datasets.{info.name}")
        for value in vars(module).values():
            if (
                inspect.isclass(value)
                and issubclass(value, LabelledSet)
                and value.__module__ == module.__name__
                and not inspect.isabstract(value)
                and not value.__name__.startswith("_")
            ):
                if value.NAME in found:
                    raise UsageError(f"Two data sets are called {value.NAME!r}; rename one.")
                found[value.NAME] = value
    return dict(sorted(found.items()))


def dataset_class(name: str) -> type[LabelledSet]:
    """The data set called ``name``; upper case, hyphens and underscores do not matter.

    Raises:
        UsageError: there is none; the message names the nearest one.
    """
    known = list_datasets()
    plain = {_plain(n): n for n in known}
    if _plain(name) not in plain:
        near = get_close_matches(_plain(name), plain, n=1)
        hint = f" Did you mean {plain[near[0]]!r}?" if near else ""
        raise UsageError(f"There is no data set {name!r}.{hint} Known: {', '.join(known)}.")
    return known[plain[_plain(name)]]


def find_dataset(name: str, root: Path | str, split: str = "", **options: Any) -> LabelledSet:
    """Open a data set by name.

    Args:
        name: As ``chronopose data list`` prints it.
        root: Its folder.
        split: One of its splits; empty for the one that papers report.
        **options: Further fields of its class, e.g. ``labels=...`` or ``fold=2``.

    Raises:
        UsageError: no such data set, split or option.
    """
    found = dataset_class(name)
    fields = inspect.signature(found).parameters
    for option in options:
        if option not in fields:
            near = get_close_matches(option, fields, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise UsageError(
                f"{found.NAME} has no option {option!r}.{hint} It has: {', '.join(fields)}."
            )
    return found(root=Path(root), split=split, **options)


def _plain(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())
