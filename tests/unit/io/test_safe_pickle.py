"""Pickles of arrays are read, and pickles with a program in them are refused unrun."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chronopose.errors import FormatError
from chronopose.io._safe_pickle import read_npz, read_pickle, safe_loads

EVERY_PROTOCOL = range(pickle.HIGHEST_PROTOCOL + 1)


def through(value: object, protocol: int = 4) -> Any:
    return safe_loads(pickle.dumps(value, protocol), "data.pkl")


ARRAYS = {
    "float32": np.arange(6, dtype=np.float32).reshape(2, 3),
    "float64 by columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "big-endian": np.arange(4, dtype=">f8"),
    "whole numbers": np.array([[1, -2], [3, 4]], np.int16),
    "truth": np.array([True, False]),
    "no element": np.zeros((0, 17, 3)),
    "one number": np.array(4.5),
    "texts": np.array(["54138969", "é"]),
    "bytes": np.array([b"ab", b"c"]),
    "a view": np.arange(10.0)[::2],
}


@pytest.mark.parametrize("protocol", EVERY_PROTOCOL)
@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_comes_back(name: str, protocol: int) -> None:
    array = ARRAYS[name]
    found = through({"a": array}, protocol)["a"]
    assert (found.dtype.kind, found.dtype.itemsize) == (array.dtype.kind, array.dtype.itemsize)
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("protocol", EVERY_PROTOCOL)
def test_containers_and_numbers_come_back(protocol: int) -> None:
    value = {
        "S1": [(1, 2.5), {"x": None, "y": True}], ("S1", "54138969"): {3, 4},
        "name": "Größe", "raw": b"\x00\xff", "z": complex(1, 2), "long": 2**70,
        "ordered": OrderedDict(a=1), "scalar": np.float32(0.1), "text": np.str_("x"),
    }  # fmt: skip
    found = through(value, protocol)
    assert found == value
    assert isinstance(found["scalar"], np.float32)


@pytest.mark.parametrize("protocol", EVERY_PROTOCOL)
def test_an_array_of_objects_holds_arrays(protocol: int) -> None:
    inside = np.empty(2, object)
    inside[0], inside[1] = np.arange(3), {"a": np.ones(2)}
    found = through(inside, protocol)
    assert found.dtype == object
    assert found[0].tolist() == [0, 1, 2]
    assert found[1]["a"].tolist() == [1.0, 1.0]


def test_the_names_of_old_numpy_are_known() -> None:
    new = pickle.dumps({"a": np.arange(3.0)}, 2)
    old = new.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert safe_loads(old, "x")["a"].tolist() == [0.0, 1.0, 2.0]


class Evil:
    """Does what it is told when it is unpickled carelessly."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.what = function, arguments

    def __reduce__(self) -> Any:
        return self.what


def attacks(mark: Path) -> dict[str, object]:
    """Programs that would make the file ``mark``, and other ways to do harm."""
    return {
        "a shell": Evil(os.system, f"touch {mark}"),
        "eval": Evil(eval, f"open({str(mark)!r}, 'w')"),
        "exec": Evil(exec, f"open({str(mark)!r}, 'w')"),
        "open": Evil(open, str(mark), "w"),
        "getattr": Evil(getattr, "text", "upper"),
        "all memory": Evil(bytes, 10**15),
        "a path": Evil(Path.touch, mark),
        "numpy's own loader": Evil(np.load, str(mark)),
        "an array that is written to a file": Evil(np.save, str(mark), np.ones(3)),
        "a class": Fraction(1, 2),
        "a day": date(2000, 1, 1),
        "a record type": np.zeros(2, [("a", "f8")]),
        "a date": np.array(["2000-01-01"], "M8[D]"),
        "an encoding": Evil(__import__("_codecs").encode, "x", "rot13"),
    }


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("name", attacks(Path("mark")))
def test_a_program_is_refused_and_not_run(tmp_path: Path, name: str, protocol: int) -> None:
    mark = tmp_path / "mark"
    path = tmp_path / "data.pkl"
    path.write_bytes(pickle.dumps({"train": [attacks(mark)[name]]}, protocol))
    with pytest.raises(FormatError, match=r"data\.pkl"):
        read_pickle(path)
    assert not mark.exists()


def test_the_attack_is_a_real_one(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    pickle.loads(pickle.dumps(attacks(mark)["a shell"]))
    assert mark.exists()


def test_the_message_says_what_was_asked_for(tmp_path: Path) -> None:
    data = pickle.dumps(attacks(tmp_path)["a shell"])
    with pytest.raises(FormatError, match=r"posix\.system'|nt\.system'"):
        safe_loads(data, "data.pkl")


def test_a_program_in_an_npz_is_refused_and_not_run(tmp_path: Path) -> None:
    mark, path = tmp_path / "mark", tmp_path / "data.npz"
    np.savez(path, positions_2d=np.array({"S1": attacks(mark)["a shell"]}, object))
    with pytest.raises(FormatError, match=r"data\.npz.*Nothing was run"):
        read_npz(path)
    assert not mark.exists()


def state(dtype: str, shape: object, data: object) -> bytes:
    """A pickle of an array that lies about itself, as numpy would write an honest one."""
    honest = pickle.dumps(np.zeros(4), 2)
    assert honest
    make = Evil(np._core.multiarray._reconstruct, np.ndarray, (0,), b"b")

    class Lying:
        def __reduce__(self) -> Any:
            function, arguments = make.what
            return function, arguments, (1, shape, np.dtype(dtype), False, data)

    return pickle.dumps(Lying(), 2)


LIES = {
    "more elements than bytes": ("f8", (1000,), b"\x00" * 8),
    "fewer elements than bytes": ("f8", (1,), b"\x00" * 800),
    "a negative length": ("f8", (-1,), b"\x00" * 8),
    "a length that is no number": ("f8", ("a",), b"\x00" * 8),
    "a shape that is no tuple": ("f8", 3, b"\x00" * 24),
    "objects out of bytes": ("O", (1,), b"\x41" * 8),
    "numbers out of a list": ("f8", (2,), [1, 2]),
    "an astronomic shape": ("f8", (2**62, 2**62), b""),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_an_array_that_lies_about_itself_is_refused(lie: tuple[str, object, object]) -> None:
    with pytest.raises(FormatError, match="damaged, cut short, or no pickle of arrays"):
        safe_loads(state(*lie), "data.pkl")


@pytest.mark.parametrize("data", [b"", b"\x80", b"hello", b"\x80\x04K", b"garbage." * 9, b"cos\n"])
def test_what_is_no_pickle_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError, match=r"x\.pkl"):
        safe_loads(data, "x.pkl")


def test_an_npz_gives_arrays_and_single_objects(tmp_path: Path) -> None:
    path = tmp_path / "d.npz"
    np.savez_compressed(path, a=np.arange(3), b=np.array({"k": np.ones(2)}, object))
    found = read_npz(path)
    assert found["a"].tolist() == [0, 1, 2]
    assert found["b"]["k"].tolist() == [1.0, 1.0]


def test_an_npz_whose_head_lies_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "d.npz"
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": "|O", "fortran_order": False, "shape": (3,)}
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", buffer.getvalue() + pickle.dumps(np.arange(3.0)[:2]))
    with pytest.raises(FormatError, match=r"d\.npz, a\.npy"):
        read_npz(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for read in (read_npz, read_pickle):
        with pytest.raises(FormatError, match="there is no such file"):
            read(tmp_path / "gone")
