"""Reading pickles of arrays without running anything that is in them.

A pickle is a program, and the usual loader runs whatever it names. This one admits the containers
of Python and the arrays of numpy and refuses every other name. Arrays are rebuilt here from plain
types and bytes, not by numpy's own hooks, which trust what they are given.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from chronopose.errors import FormatError
from chronopose.io._fields import reading

KINDS = "biufcSUO"
"""Kinds of numbers and texts that an array may hold; no records, no dates."""
_BROKEN = (
    pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError, KeyError, TypeError,
    ValueError, MemoryError, OverflowError, RecursionError, AssertionError,
)  # fmt: skip


class _Refused(Exception):
    """The pickle names something that is neither a container nor an array."""


class _DType:
    """A numpy type that cannot be told to be something else."""

    def __init__(self, text: object, align: object = False, copy: object = False) -> None:
        if not isinstance(text, str | bytes):
            raise ValueError(f"a numpy type called {text!r}")
        name = text.decode("ascii") if isinstance(text, bytes) else text
        found = np.dtype(name)
        if found.kind not in KINDS or found.fields or found.subdtype:
            raise ValueError(f"an array of {name!r}")
        self.value = found

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order, subdtype, names, fields = state[1], state[2], state[3], state[4]
        if subdtype is not None or names is not None or fields is not None:
            raise ValueError("an array of records")
        if order not in ("<", ">", "=", "|"):
            raise ValueError(f"byte order {order!r}")
        if order in "<>" and self.value.kind != "O":
            self.value = self.value.newbyteorder(order)


class _Array(np.ndarray):
    """An array that fills itself from plain bytes or a plain list."""

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, data = state
        filled = _filled(data, _type(dtype), shape, "F" if fortran else "C")
        base: Any = (1, filled.shape, filled.dtype, False, _contents(filled))
        super().__setstate__(base)


def _contents(array: NDArray[Any]) -> Any:
    return array.ravel().tolist() if array.dtype.hasobject else array.tobytes()


def _type(value: object) -> np.dtype[Any]:
    if not isinstance(value, _DType):
        raise ValueError(f"{type(value).__name__} in place of a numpy type")
    return value.value


def _filled(data: Any, dtype: np.dtype[Any], shape: Any, order: str) -> NDArray[Any]:
    if not isinstance(shape, tuple) or not all(isinstance(n, int) and n >= 0 for n in shape):
        raise ValueError(f"an array of shape {shape!r}")
    if dtype.hasobject:
        if not isinstance(data, list):
            raise ValueError("an array of objects without a list of them")
        flat = np.empty(len(data), object)
        flat[:] = data if data else []
        for at, item in enumerate(data):
            flat[at] = item
    else:
        if isinstance(data, str):
            data = data.encode("latin1")
        flat = np.frombuffer(data, dtype).copy()
    return flat.reshape(shape, order=order)  # type: ignore[call-overload,no-any-return]


def _reconstruct(kind: object, shape: object, code: object) -> NDArray[Any]:
    return np.ndarray.__new__(_Array, (0,), np.dtype("b"))


def _scalar(dtype: object, data: Any = None) -> Any:
    found = _type(dtype)
    if found.hasobject:
        raise ValueError("a scalar that is an object")
    return _filled(data, found, (1,), "C")[0]


def _frombuffer(data: Any, dtype: object, shape: Any, order: str) -> NDArray[Any]:
    return _filled(bytes(data), _type(dtype), shape, order)


def _no_bytes(*arguments: object) -> bytes:
    """Old protocols write ``b""`` as a call; with an argument it could ask for all memory."""
    if arguments:
        raise ValueError("bytes made of something")
    return b""


def _encode(text: object, encoding: object = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise ValueError(f"an encoding {encoding!r}")
    return text.encode("latin1")


_NUMPY: dict[str, Callable[..., Any]] = {
    "multiarray._reconstruct": _reconstruct,
    "multiarray.scalar": _scalar,
    "numeric._frombuffer": _frombuffer,
}
ADMITTED: dict[str, Any] = {
    **{f"numpy.{core}.{name}": f for core in ("core", "_core") for name, f in _NUMPY.items()},
    "numpy.ndarray": np.ndarray,
    "numpy.dtype": _DType,
    "collections.OrderedDict": OrderedDict,
    "_codecs.encode": _encode,
    "builtins.bytes": _no_bytes,
    "__builtin__.bytes": _no_bytes,
    **{
        f"{module}.{kind.__name__}": kind
        for module in ("builtins", "__builtin__")
        for kind in (dict, list, tuple, set, frozenset, complex, slice, range)
    },
}
"""Everything that a pickle may name."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        full = f"{module}.{name}"
        if full not in ADMITTED:
            raise _Refused(full)
        return ADMITTED[full]

    def persistent_load(self, pid: object) -> NoReturn:
        raise _Refused("an object outside the file")


def safe_loads(data: bytes, path: str | Path) -> Any:
    """The containers, numbers, texts and arrays in a pickle.

    Args:
        data: The pickle, of any protocol, also of Python 2.
        path: The file it came from, for messages.

    Raises:
        FormatError: it is damaged, or names anything else, which could run code; nothing of it was
            run.
    """
    try:
        return _Unpickler(io.BytesIO(data), encoding="latin1").load()
    except _Refused as error:
        raise FormatError(
            f"Refused to read {path}: it asks for {str(error)[:200]!r}, which is no array and no "
            f"plain container and could run a program. Nothing was run. Get the file from its "
            f"source, or save its arrays with numpy.savez."
        ) from error
    except _BROKEN as error:
        raise _damaged(path, error) from error


def _damaged(path: str | Path, error: Exception) -> FormatError:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return FormatError(
        f"Cannot read {path}: it is damaged, cut short, or no pickle of arrays ({reason}). Get it "
        f"again from its source."
    )


def read_pickle(path: str | Path) -> Any:
    """The content of a pickle file; errors as for :func:`safe_loads`.

    Raises:
        FormatError: also when the file cannot be read.
    """
    with reading(path, "a pickle"):
        data = Path(path).read_bytes()
    return safe_loads(data, path)


def read_npz(path: str | Path) -> dict[str, Any]:
    """The arrays of an ``.npz`` file; an array of one object becomes that object.

    Raises:
        FormatError: no such file, not an archive of arrays, damaged, or refused as in
            :func:`safe_loads`.
    """
    found: dict[str, Any] = {}
    with reading(path, "an .npz file of numpy"):
        try:
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    data = archive.read(name)
                    found[name.removesuffix(".npy")] = _read_npy(data, f"{path}, {name}")
        except (
            zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, MemoryError,
        ) as error:  # fmt: skip
            raise _damaged(path, error) from error
        except Exception as error:
            if type(error).__module__ in ("zlib", "lzma", "bz2"):
                raise _damaged(path, error) from error
            raise
    return found


def _read_npy(data: bytes, where: str) -> Any:
    file = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        if read_header is None:
            raise ValueError(f"version {version} of the array format")
        shape, _, dtype = read_header(file)
        if not dtype.hasobject:
            if dtype.kind not in KINDS:
                raise ValueError(f"an array of {dtype}")
            file.seek(0)
            return np.lib.format.read_array(file, allow_pickle=False)
    except (ValueError, TypeError, EOFError, KeyError, SyntaxError, MemoryError) as error:
        raise _damaged(where, error) from error
    value = safe_loads(data[file.tell() :], where)
    if not isinstance(value, np.ndarray) or value.shape != shape:
        raise _damaged(where, ValueError(f"an array of shape {shape} was announced"))
    return value.item() if value.shape == () else value
