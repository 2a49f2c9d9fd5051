"""The reader of MATLAB 5 files: the same values as scipy's, and damage is an error."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from chronopose.io import _mat5
from chronopose.io._mat import struct_array
from chronopose.io._mat5 import read_mat5

ARRAYS: dict[str, np.ndarray] = {
    "doubles": np.arange(24.0).reshape(2, 3, 4) / 7,
    "singles": np.array([[1.5, -2.5]], np.float32),
    "small": np.array([[200, 7]], np.uint8),
    "signed": np.array([[-200], [7]], np.int16),
    "large": np.array([[2**60, -1]], np.int64),
    "logical": np.array([[True, False]]),
    "complex": np.array([[1 + 2j, 3 - 4j]]),
    "empty": np.zeros((0, 4)),
}


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("name", ARRAYS)
def test_numbers_are_those_of_scipy(name: str, compressed: bool, tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    savemat(path, ARRAYS, do_compression=compressed)
    found, wanted = read_mat5(path, [name])[1][name], loadmat(path)[name]
    assert found.dtype == wanted.dtype
    np.testing.assert_array_equal(found, wanted)


def test_only_the_wanted_variables_are_read(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", ARRAYS)
    shapes, values = read_mat5(tmp_path / "a.mat", ["small"])
    assert shapes == {name: array.shape for name, array in ARRAYS.items()}
    assert list(values) == ["small"]


@pytest.mark.parametrize("text", ["bowl", "", "Straße", "日本"])
def test_a_row_of_characters_is_a_text(text: str, tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"text": text})
    assert read_mat5(tmp_path / "a.mat", ["text"])[1]["text"] == text


def test_rows_of_characters_are_texts(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"text": np.array(["one", "four"])})
    assert read_mat5(tmp_path / "a.mat", ["text"])[1]["text"].tolist() == ["one ", "four"]


def test_cells_and_structs_may_lie_in_each_other(tmp_path: Path) -> None:
    rows = [{"a": float(n), "b": {"c": np.array([["x", n]], dtype=object)}} for n in range(3)]
    savemat(tmp_path / "a.mat", {"s": struct_array(rows)})
    found = read_mat5(tmp_path / "a.mat", ["s"])[1]["s"]
    assert found.shape == (1, 3)
    assert found[0, 2]["a"].item() == 2
    inner = found[0, 2]["b"][0, 0]["c"]
    assert inner[0, 0] == "x"
    assert inner[0, 1].item() == 2


def element(kind: int, content: bytes, order: str = "<") -> bytes:
    return struct.pack(order + "II", kind, len(content)) + content + bytes(-len(content) % 8)


def matrix(
    content: bytes, shape: tuple[int, ...] = (1, 2), kind: int = 6, order: str = "<"
) -> bytes:
    """A variable called v."""
    head = element(6, struct.pack(order + "II", kind, 0), order)
    sides = element(5, struct.pack(f"{order}{len(shape)}i", *shape), order)
    return element(14, head + sides + element(1, b"v", order) + content, order)


def mat_file(path: Path, *variables: bytes, order: str = "<") -> Path:
    mark = b"\x00\x01IM" if order == "<" else b"\x01\x00MI"
    path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + mark + b"".join(variables))
    return path


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders_are_read(order: str, tmp_path: Path) -> None:
    variable = matrix(element(9, struct.pack(order + "2d", 1.5, -2), order), order=order)
    path = mat_file(tmp_path / "a.mat", variable, order=order)
    assert read_mat5(path, ["v"])[1]["v"].tolist() == [[1.5, -2.0]]


def test_numbers_stored_in_fewer_bytes_get_their_class(tmp_path: Path) -> None:
    path = mat_file(tmp_path / "a.mat", matrix(element(2, b"\x05\xff")))
    found = read_mat5(path, ["v"])[1]["v"]
    assert (found.dtype, found.tolist()) == (np.dtype("f8"), [[5.0, 255.0]])


def deep(levels: int) -> bytes:
    """A cell in a cell in a cell."""
    inner = matrix(element(9, struct.pack("<d", 1)), (1, 1))
    for _ in range(levels):
        inner = matrix(inner, (1, 1), kind=1)
    return inner


TWO = element(9, struct.pack("<2d", 1, 2))
BROKEN: dict[str, tuple[bytes, str]] = {
    "more numbers than there are": (matrix(TWO, (1, 3)), "2 numbers for the shape"),
    "a billion cells": (matrix(b"", (1, 10**9), kind=1), "1000000000 values in 0 bytes"),
    "a huge shape": (matrix(TWO, (2**30, 2**30)), "claims the shape"),
    "a negative shape": (matrix(TWO, (1, -2)), "claims the shape"),
    "half a number": (matrix(element(9, b"12345")), "in the middle of one"),
    "numbers of no type": (matrix(element(77, b"12345678")), "unknown type 77"),
    "an element beyond the end": (matrix(TWO)[:-8], "claims"),
    "deep cells": (deep(40), "deeper than 32"),
    "a function": (matrix(b"", kind=16), "class 16 cannot be read"),
    "an unknown variable": (element(9, b"12345678"), "variable of the type 9"),
    "no shape": (element(14, element(6, bytes(8)) + element(5, b"") + element(1, b"v")), "header"),
    "damaged compression": (element(15, b"12345678"), "damaged"),
    "compression cut short": (
        element(15, zlib.compress(matrix(TWO) * 2)[:-9]), "cut short|damaged"),
    "text of no type": (matrix(element(9, b"12345678"), kind=4), "characters of the unknown type"),
    "text that is no text": (matrix(element(16, b"\xff\xfe"), kind=4), "v: .*utf-8"),
    "a struct without names": (
        matrix(element(5, struct.pack("<i", 0)) + element(1, b""), (1, 1), kind=2), "sound names"),
    "a struct without values": (
        matrix(element(5, struct.pack("<i", 4)) + element(1, b"abc\0"), (1, 9), kind=2),
        "9 values in 0 bytes"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_sizes_that_the_bytes_do_not_bear_out_are_an_error(name: str, tmp_path: Path) -> None:
    variable, message = BROKEN[name]
    with pytest.raises(ValueError, match=message):
        read_mat5(mat_file(tmp_path / "a.mat", variable), ["v"])


def test_a_variable_that_unfolds_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    savemat(tmp_path / "a.mat", {"v": np.zeros(10_000)}, do_compression=True)
    assert read_mat5(tmp_path / "a.mat", ["v"])[1]["v"].size == 10_000
    monkeypatch.setattr(_mat5, "MOST_BYTES", 1000)
    with pytest.raises(ValueError, match="bytes"):
        read_mat5(tmp_path / "a.mat", ["v"])


def test_objects_beside_the_wanted_variable_do_no_harm(tmp_path: Path) -> None:
    opaque = element(14, element(6, struct.pack("<II", 17, 0)) + element(1, b"o") + bytes(16))
    path = mat_file(tmp_path / "a.mat", opaque, matrix(TWO))
    assert read_mat5(path, ["v"])[1]["v"].tolist() == [[1.0, 2.0]]


@pytest.mark.data
@pytest.mark.parametrize(("file", "names"), [
    ("penn_action/0502.mat", ["x", "y", "bbox", "visibility", "dimensions", "nframes", "train"]),
    ("lspet/joints.mat", ["joints"]),
])  # fmt: skip
def test_real_files_are_read_as_scipy_reads_them(
    file: str, names: list[str], shared_data: Path
) -> None:
    found: dict[str, Any] = read_mat5(shared_data / file, names)[1]
    wanted = loadmat(shared_data / file)
    assert sorted(found) == sorted(names)
    for name in names:
        np.testing.assert_array_equal(found[name], wanted[name])


@pytest.mark.data
def test_doubles_that_are_stored_as_small_integers_are_doubles(shared_data: Path) -> None:
    path = shared_data / "penn_action" / "0502.mat"
    assert loadmat(path)["dimensions"].dtype == np.uint16
    assert read_mat5(path, ["dimensions"])[1]["dimensions"].dtype == np.float64
