"""MATLAB files, read with care: known names, plain shapes, numbers that are numbers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chronopose.errors import FormatError
from chronopose.io._fields import reading
from chronopose.io._labelled import LARGEST_PX
from chronopose.io._mat5 import Shape, read_mat5
from chronopose.io.atomic import replacing

_HDF = b"\x89HDF"


def mat_names(path: str | Path) -> dict[str, Shape]:
    """Names and shapes of the variables of a MATLAB 5 file.

    Raises:
        FormatError: the file is missing, damaged, of another version or no MATLAB file.
    """
    return _read(path, None)[0]


def load_mat(
    path: str | Path, needed: Sequence[str], optional: Sequence[str] = ()
) -> dict[str, Any]:
    """Variables of a MATLAB 5 file, as :func:`~chronopose.io._mat5.read_mat5` gives them.

    Args:
        path: The file.
        needed: Variables that must be there.
        optional: Variables that may be there; all others are not read.

    Raises:
        FormatError: as for :func:`mat_names`, or a needed variable is missing.
    """
    shapes, values = _read(path, (*needed, *optional))
    lacking = [n for n in needed if n not in values]
    if lacking:
        raise FormatError(
            f"{path} has no variable {lacking[0]!r} (it has {', '.join(shapes) or 'nothing'})."
        )
    return values


def _read(
    path: str | Path, wanted: Collection[str] | None
) -> tuple[dict[str, Shape], dict[str, Any]]:
    with reading(path, "a MATLAB 5 file"):
        with open(path, "rb") as file:
            head = file.read(16)
        if head[:4] == _HDF or head.startswith(b"MATLAB 7.3"):
            raise FormatError(
                f"Cannot read {path}: it is a MATLAB 7.3 file. Save it in MATLAB with the option "
                f"-v7."
            )
        return read_mat5(path, wanted)


def mat_array(
    value: object,
    shape: Sequence[int | None],
    where: str,
    *,
    limit: float = LARGEST_PX,
    nan: bool = False,
) -> NDArray[np.float64]:
    """An array of numbers as float64, whatever type it was stored in.

    Args:
        value: What the file holds; a last axis of length 1, which MATLAB drops, is put back.
        shape: The wanted shape; None stands for any length.
        where: The file and the variable, for messages.
        limit: Largest size of a number.
        nan: Allow NaN.

    Raises:
        FormatError: no numbers, another shape, or a number that is not finite or too large.
    """
    found = np.asarray(value)
    if found.dtype.kind not in "buif":
        raise FormatError(f"{where} must hold numbers; got {type(value).__name__} {found.dtype}.")
    if found.ndim == len(shape) - 1 and shape[-1] is None:
        found = found[..., None]
    fits = found.ndim == len(shape) and all(
        w is None or w == n for w, n in zip(shape, found.shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if n is None else str(n) for n in shape)
        raise FormatError(f"{where} must have the shape ({wanted}); got {found.shape}.")
    values = found.astype(np.float64)
    wrong = ~(np.abs(values) <= limit)
    if nan:
        wrong &= ~np.isnan(values)
    if wrong.any():
        bad = values[wrong][0]
        raise FormatError(
            f"{where} holds {bad:g}; its numbers must be finite and at most {limit:g}."
        )
    return values


def mat_scalar(value: object, where: str, *, limit: float = LARGEST_PX) -> float:
    """The one number of an array of one element; errors as for :func:`mat_array`."""
    found = np.asarray(value)
    if found.size != 1:
        raise FormatError(f"{where} must be one number; got an array {found.shape}.")
    if found.dtype.kind in "iuf" and abs(number := float(found.item())) <= limit:
        return number
    return float(mat_array(found.reshape(1), (1,), where, limit=limit)[0])


def mat_text(value: object, where: str) -> str:
    """A text, also if it is alone in a cell.

    Raises:
        FormatError: it is no text.
    """
    while isinstance(value, np.ndarray) and value.dtype == object and value.size == 1:
        value = value.reshape(-1)[0]
    if not isinstance(value, str):
        raise FormatError(f"{where} must be a text; got {str(value)[:60]!r}.")
    return value


def struct_list(value: object) -> list[Any]:
    """The elements of a struct array or of a cell; of anything else, the thing itself."""
    if isinstance(value, np.ndarray) and value.dtype == object:
        return list(value.reshape(-1, order="F"))
    return [value]


def member(struct: object, name: str, where: str) -> Any:
    """A field of a struct, which may be an array of one.

    Raises:
        FormatError: it is no struct, or lacks the field.
    """
    inner = _alone(struct)
    if inner is None:
        raise FormatError(f"{where} must be a struct with a {name!r}; got {str(struct)[:60]!r}.")
    if name not in inner:
        raise FormatError(f"{where} has no field {name!r} (it has {', '.join(inner)}).")
    return inner[name]


def has(struct: object, name: str) -> bool:
    """Whether a struct has a field that is not empty."""
    value = (_alone(struct) or {}).get(name)
    if isinstance(value, str):
        return bool(value)
    return value is not None and np.size(value) > 0


def _alone(struct: object) -> dict[str, Any] | None:
    if isinstance(struct, np.ndarray) and struct.dtype == object and struct.size == 1:
        struct = struct.reshape(-1)[0]
    return struct if isinstance(struct, dict) else None


def struct_array(rows: Sequence[Mapping[str, Any]]) -> NDArray[Any]:
    """A ``(1, N)`` struct array to save; every row has the fields of the first."""
    names = list(rows[0]) if rows else ["unused"]
    found = np.zeros((1, len(rows)), dtype=[(n, object) for n in names])
    for at, row in enumerate(rows):
        for name in names:
            found[name][0, at] = row[name]
    return found


def save_mat(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write a MATLAB 5 file, all or nothing.

    Raises:
        FormatError: the system refused to write, or a value has no MATLAB form.
    """
    from scipy.io import savemat

    with replacing(path) as temporary, open(temporary, "wb") as file:
        try:
            savemat(file, dict(content), do_compression=True)
        except (TypeError, ValueError) as error:
            raise FormatError(f"Cannot write {path}: {error}.") from error
