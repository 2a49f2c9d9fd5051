"""Checked reading of HDF5 files: every complaint names the file and the data set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chronopose.errors import ChronoposeError, FormatError, MissingExtra
from chronopose.io._fields import reading
from chronopose.io._foreign import MAX_NUMBERS


@contextmanager
def opened(path: str | Path, what: str, mode: str = "r") -> Iterator[Any]:
    """An HDF5 file.

    Args:
        path: The file.
        what: What it should be, for messages.
        mode: ``"r"``, or ``"w"`` to make a new one; anything that goes wrong in writing is an
            OSError then.

    Raises:
        FormatError: in reading: no such file, damaged, or something else.
        MissingExtra: h5py is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        raise MissingExtra("h5py", "formats", f"{what.capitalize()}") from error
    if mode == "w":
        try:
            with h5py.File(path, "w") as file:
                yield file
        except (RuntimeError, ValueError, TypeError) as error:
            raise OSError(str(error)) from error
        return
    with reading(path, what):
        if not Path(path).is_file():
            Path(path).open("rb").close()
        try:
            with h5py.File(path, "r") as file:
                yield file
        except ChronoposeError:
            raise
        except (KeyError, RuntimeError, TypeError, AttributeError, MemoryError) as error:
            raise FormatError(
                f"Cannot read {path}: it is not {what}, or it is damaged ({str(error)[:200]})."
            ) from error


def dataset(file: Any, name: str, path: str | Path) -> Any:
    """The data set ``name``, not yet read.

    Raises:
        FormatError: there is none, or it is too large to be what it claims.
    """
    found = file.get(name)
    if found is None or not hasattr(found, "shape"):
        have = ", ".join(file.keys()) or "nothing"
        raise FormatError(f"{path} has no data set {name!r} (it has {have}).")
    if found.shape is not None and int(np.prod(found.shape, dtype=object)) > MAX_NUMBERS:
        raise FormatError(f"{path}: {name} claims the shape {found.shape}: the file is damaged.")
    return found


def numbers(file: Any, name: str, dims: int, path: str | Path) -> NDArray[np.float64]:
    """A data set of numbers with ``dims`` axes.

    Raises:
        FormatError: it is missing, or of another kind.
    """
    found = dataset(file, name, path)
    if found.dtype.kind not in "fiu" or found.ndim != dims:
        raise FormatError(
            f"{path}: {name} must be numbers with {dims} axes; got {found.dtype} {found.shape}."
        )
    return np.asarray(found[()], np.float64)


def texts(file: Any, name: str, path: str | Path) -> list[str]:
    """A data set of texts with one axis.

    Raises:
        FormatError: it is missing, or of another kind.
    """
    found = dataset(file, name, path)
    if found.shape is None or found.size == 0:
        return []
    values = np.asarray(found[()])
    if values.ndim != 1 or values.dtype.kind not in "SUO":
        raise FormatError(
            f"{path}: {name} must be a list of texts; got {found.dtype} {found.shape}."
        )
    return [plain(v, f"{path}: {name}") for v in values.tolist()]


def plain(value: object, where: str) -> str:
    """A stored text as ``str``.

    Raises:
        FormatError: it is no text, or no UTF-8.
    """
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError as error:
            raise FormatError(f"{where} is no UTF-8 text: {value[:40]!r}.") from error
    if isinstance(value, str):
        return value
    raise FormatError(f"{where} must be text; got {value!r}."[:200])
