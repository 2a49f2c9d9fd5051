"""Checked reading: every complaint names the file, the record and the field."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from chronopose.errors import ChronoposeError, FormatError


@contextmanager
def reading(path: str | Path, what: str) -> Iterator[None]:
    """Turn what the system or pyarrow says while reading ``path`` into a FormatError.

    Args:
        path: The file as the user named it.
        what: What the file should be, for the message, e.g. ``"a Parquet file"``.
    """
    try:
        yield
    except ChronoposeError:
        raise
    except FileNotFoundError as error:
        raise FormatError(f"Cannot read {path}: there is no such file. Check the path.") from error
    except OSError as error:
        if error.errno:
            raise FormatError(f"Cannot read {path}: {os.strerror(error.errno)}.") from error
        raise _damaged(path, what, error) from error
    except (pa.ArrowException, ValueError, RecursionError) as error:
        raise _damaged(path, what, error) from error


def _damaged(path: str | Path, what: str, error: Exception) -> FormatError:
    reason = " ".join(str(error).split())[:300]
    return FormatError(
        f"Cannot read {path}: it is not {what}, or it is damaged or cut short ({reason}). "
        f"Write it again from its source."
    )


def load_json(path: str | Path) -> Any:
    """The content of a JSON file.

    Raises:
        FormatError: the file is missing, unreadable, or not JSON.
    """
    with reading(path, "a JSON file"):
        return json.loads(Path(path).read_bytes())


def field(record: object, name: str, where: str) -> Any:
    """``record[name]``; ``where`` says which file and record it is.

    Raises:
        FormatError: the record is no JSON object or lacks the field.
    """
    if not isinstance(record, Mapping):
        raise FormatError(f"{where} must be a JSON object with a {name!r}; got {_short(record)}.")
    if name not in record:
        have = ", ".join(map(str, record)) or "nothing"
        raise FormatError(f"{where} has no field {name!r} (it has {have}).")
    return record[name]


def records(value: object, where: str) -> list[Any]:
    """``value`` if it is a JSON list.

    Raises:
        FormatError: it is something else.
    """
    if not isinstance(value, list):
        raise FormatError(f"{where} must be a list; got {_short(value)}.")
    return value


def number(value: object, where: str) -> float:
    """``value`` as a finite float that fits into single precision.

    Raises:
        FormatError: it is no number, NaN, infinite or far too large.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FormatError(f"{where} must be a number; got {_short(value)}.")
    if not abs(value) <= float(np.finfo(np.float32).max):
        raise FormatError(f"{where} must be a finite number; got {_short(value)}.")
    return float(value)


def numbers(value: object, count: int, where: str) -> list[float]:
    """``value`` as ``count`` finite floats.

    Raises:
        FormatError: it is no list of that many finite numbers.
    """
    if not isinstance(value, list) or len(value) != count:
        raise FormatError(f"{where} must be a list of {count} numbers; got {_short(value)}.")
    return [number(v, where) for v in value]


def whole(value: object, where: str, *, least: int | None = 0) -> int:
    """``value`` as an integer of at least ``least`` that fits into 64 bits.

    Raises:
        FormatError: it is something else.
    """
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= 2**63:
        raise FormatError(f"{where} must be a whole number; got {_short(value)}.")
    if least is not None and value < least:
        raise FormatError(f"{where} must be at least {least}; got {value}.")
    return value


def score(value: object, where: str) -> float:
    """``value`` as a confidence in [0, 1].

    Raises:
        FormatError: it is something else.
    """
    found = number(value, where)
    if not 0.0 <= found <= 1.0:
        raise FormatError(f"{where} must be between 0 and 1; got {found}. Rescale the scores.")
    return found


def xywh_to_xyxy(value: object, where: str) -> list[float]:
    """A box ``[left, top, width, height]`` as ``[left, top, right, bottom]``, pixels.

    Raises:
        FormatError: not four finite numbers, or a negative width or height.
    """
    left, top, width, height = numbers(value, 4, where)
    if width < 0 or height < 0:
        raise FormatError(
            f"{where} is [left, top, width, height] and has a negative size: {_short(value)}. "
            f"If these are edges, convert them to width and height."
        )
    return [left, top, number(left + width, where), number(top + height, where)]


def _short(value: object) -> str:
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        text = f"a {type(value).__name__} too large to print"
    return text if len(text) <= 80 else text[:77] + "..."
