"""Flags that several verbs share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


def add_model_flags(parser: Any, default: str | None = None) -> None:
    """``--model --weights --device``, the same in every verb that runs a network.

    Args:
        parser: Of the verb.
        default: Model that the verb takes if none is named; None: that of all verbs.
    """
    from chronopose._api import DEFAULT_MODEL

    add = parser.add_argument
    usual = default or DEFAULT_MODEL
    add("--model", default=usual, metavar="NAME", help="'chronopose models' lists them")
    add(
        "--weights",
        default=None,
        type=str | None,
        metavar="FILE",
        help="use this file instead of the shipped weights",
    )
    add("--device", default="auto", metavar="NAME", help="auto, cpu, cuda, cuda:N")


def parse_size(text: str, flag: str) -> tuple[int, int]:
    """``192x256`` -> (192, 256), width before height.

    Raises:
        UsageError: it is written in another way; the message names ``flag``.
    """
    import re

    from chronopose.errors import UsageError

    found = re.fullmatch(r"(\d+)[xX×](\d+)", text.strip())
    if found is None:
        raise UsageError(f"{flag} is WIDTHxHEIGHT in pixels, e.g. 192x256; got {text!r}.")
    return int(found.group(1)), int(found.group(2))


def make_folder(folder: Path) -> None:
    """Make an output folder and those above it.

    Raises:
        UsageError: the system refused.
    """
    from chronopose.errors import UsageError

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"Cannot make the output folder {folder}: {error.strerror}. Choose another --out."
        ) from error


def tell_losses(work: Callable[[], list[str]]) -> int:
    """Do what a verb does with files of poses; print what was done, warn of what was lost.

    Args:
        work: Returns the lines to print. Losses of formats become warnings, each once, also when
            it fails.

    Returns:
        0, the exit code of success.
    """
    import warnings

    from chronopose.cli._predict import warn
    from chronopose.io.poses import FormatLoss

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", FormatLoss)
        try:
            done = work()
        finally:
            for text in dict.fromkeys(str(w.message) for w in told):
                warn(text)
    for line in done:
        print(line)
    return 0
