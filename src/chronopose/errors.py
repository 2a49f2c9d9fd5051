"""The errors chronopose raises on purpose.

Every message says what cannot be done, why (with the values) and what to do next. The command
line prints the message alone and leaves with ``exit_code``; a traceback always means a bug.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


class ChronoposeError(Exception):
    """Base of every error raised on purpose; ``exit_code`` is what the command line returns."""

    exit_code = 1


class UsageError(ChronoposeError):
    """The request itself cannot be understood or contradicts itself."""

    exit_code = 2


class ShapeError(ChronoposeError):
    """An array or tensor has the wrong shape, type or range."""

    exit_code = 3


class SkeletonMismatch(ChronoposeError):
    """Two skeletons do not share the joints that the operation needs."""

    exit_code = 3


class FormatError(ChronoposeError):
    """A file of poses, boxes or annotations cannot be read or written as asked."""

    exit_code = 4


class VideoError(ChronoposeError):
    """A video or a folder of frames cannot be read or written."""

    exit_code = 5


class VideoDamaged(VideoError):
    """A video broke off part-way: what could be read was used, the rest is lost."""

    exit_code = 6


class WeightsError(ChronoposeError):
    """Weights are missing, damaged, of another model, or not safe to load."""

    exit_code = 7


class MissingExtra(ChronoposeError):
    """An optional dependency is not installed."""

    exit_code = 8

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed. "
            f"Install it with: pip install 'chronopose[{extra}]'"
        )


def import_extra(module: str, package: str, extra: str, purpose: str) -> Any:
    """A module of an optional dependency, imported when it is needed and not before.

    Args:
        module: Name to import.
        package: What installs it.
        extra: Extra of chronopose that brings the package.
        purpose: What cannot be done without, as the beginning of a sentence.

    Returns:
        The module, untyped: its stubs may be missing where it is.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtra(package, extra, purpose) from error
