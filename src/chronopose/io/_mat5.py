"""MATLAB 5 files, read so that damage is an error and nothing worse.

The usual reader trusts the sizes that a file states about itself, and a damaged one can take the
whole process down with it. Here every size is checked against the bytes that are there.

What comes out: numbers as arrays of MATLAB's shape; a row of characters as ``str``, several rows as
an array of them; a cell as an array of objects; a struct as an array of dicts, one an element.

Source: "MAT-File Format", The MathWorks, the chapter on level 5 files.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_BYTES = 2 * 1024**3
"""No variable unfolds to more."""
DEEPEST = 32
"""Structs and cells do not lie deeper in each other."""

_MATRIX, _COMPRESSED = 14, 15
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8",
           13: "u8"}  # fmt: skip
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8",
            15: "u8"}  # fmt: skip
_CELL, _STRUCT, _CHAR, _OPAQUE = 1, 2, 4, 17
_COMPLEX = 0x0800
_USUAL = (6, 8, 5, 8, 1, 0)
"""Tags of the flags (8 bytes), of a shape of two sides (8 bytes) and of an empty name."""
_HEAD_BYTES = 4096

Shape = tuple[int, ...]


class _Reader:
    """Elements of one block of bytes, in the byte order of the file."""

    def __init__(self, content: bytes, order: str) -> None:
        self._content, self._order = content, order
        self._pair = struct.Struct(order + "II")
        self._usual = struct.Struct(order + "10I")

    def element(self, at: int, end: int) -> tuple[int, int, int, int]:
        """Type, first byte, last byte + 1, and where the next element starts."""
        if at + 8 > end:
            raise ValueError("an element is cut short")
        kind, size = self._pair.unpack_from(self._content, at)
        if kind >> 16:
            kind, size = kind & 0xFFFF, kind >> 16
            if size > 4:
                raise ValueError(f"a small element claims {size} bytes")
            return kind, at + 4, at + 4 + size, at + 8
        start = at + 8
        if start + size > end:
            raise ValueError(f"an element claims {size} bytes and {end - start} are left")
        padded = start + size if kind == _COMPRESSED else start + (size + 7) // 8 * 8
        return kind, start, start + size, min(padded, end)

    def numbers(self, at: int, end: int) -> tuple[NDArray[Any], int, int]:
        """An element of plain numbers, its type, and where the next starts."""
        kind, start, stop, after = self.element(at, end)
        if kind not in _STORED:
            raise ValueError(f"numbers of the unknown type {kind}")
        dtype = np.dtype(self._order + _STORED[kind])
        if (stop - start) % dtype.itemsize:
            raise ValueError("numbers end in the middle of one")
        count = (stop - start) // dtype.itemsize
        return np.frombuffer(self._content, dtype, count, start), kind, after

    def header(self, at: int, end: int) -> tuple[int, int, Shape, str, int]:
        """Class, flags, shape and name of a matrix, and where its content starts."""
        if at + 40 <= end:  # A nameless matrix of two sides: a field of a struct, a cell.
            usual = self._usual.unpack_from(self._content, at)
            sides = usual[6:8]
            if usual[:2] + usual[4:6] + usual[8:] == _USUAL and max(sides) < 2**31:
                return usual[2] & 0xFF, usual[2], sides, "", at + 40
        flags, _, at = self.numbers(at, end)
        if len(flags) == 2 and int(flags[0]) & 0xFF == _OPAQUE:
            return _OPAQUE, 0, (), f"an object at {at}", at
        shape, _, at = self.numbers(at, end)
        name, _, at = self.numbers(at, end)
        if len(flags) != 2 or len(shape) < 2 or shape.dtype.kind not in "iu":
            raise ValueError("a matrix without a sound header")
        dims = tuple(int(n) for n in shape)
        if min(dims) < 0:
            raise ValueError(f"a matrix claims the shape {dims}")
        text = name.tobytes().decode("latin-1")
        return int(flags[0]) & 0xFF, int(flags[0]), dims, text, at

    def matrix(self, at: int, end: int, depth: int = 0) -> Any:
        """The value of a matrix whose content lies between two bytes."""
        if depth > DEEPEST:
            raise ValueError(f"structs lie deeper than {DEEPEST}")
        if at == end:
            return np.zeros((0, 0))
        kind, flags, shape, _, at = self.header(at, end)
        count = 1
        for side in shape:
            count *= side
        if count > MOST_BYTES:
            raise ValueError(f"a matrix claims the shape {shape}")
        if kind in _CLASSES:
            return self._plain(kind, flags, shape, count, at, end)
        if kind == _CHAR:
            return self._text(shape, count, at, end)
        if kind == _CELL:
            return self._cell(shape, count, at, end, depth)
        if kind == _STRUCT:
            return self._struct(shape, count, at, end, depth)
        raise ValueError(f"values of MATLAB's class {kind} cannot be read")

    def _plain(
        self, kind: int, flags: int, shape: Shape, count: int, at: int, end: int
    ) -> NDArray[Any]:
        real, _, at = self.numbers(at, end)
        if len(real) != count:
            raise ValueError(f"{len(real)} numbers for the shape {shape}")
        found = real.astype(np.dtype(_CLASSES[kind]))
        if flags & _COMPLEX:
            imaginary, _, _ = self.numbers(at, end)
            if len(imaginary) != count:
                raise ValueError("half of a complex matrix")
            found = found + 1j * imaginary
        return found.reshape(shape, order="F")

    def _text(self, shape: Shape, count: int, at: int, end: int) -> Any:
        kind, start, stop, _ = self.element(at, end)
        raw = self._content[start:stop]
        if kind == 16:
            letters = raw.decode("utf-8")
        elif kind in (3, 4, 17):
            letters = raw.decode("utf-16-le" if self._order == "<" else "utf-16-be")
        elif kind in (1, 2):
            letters = raw.decode("latin-1")
        else:
            raise ValueError(f"characters of the unknown type {kind}")
        if len(shape) == 2 and shape[0] <= 1:
            return letters
        if len(letters) != count or len(shape) != 2:
            raise ValueError(f"{len(letters)} characters for the shape {shape}")
        rows = np.array(list(letters), dtype="U1").reshape(shape, order="F")
        return np.array(["".join(r) for r in rows])

    def _children(self, count: int, at: int, end: int, depth: int) -> list[Any]:
        if count * 8 > end - at:
            raise ValueError(f"{count} values in {end - at} bytes")
        found = []
        for _ in range(count):
            kind, start, stop, at = self.element(at, end)
            if kind != _MATRIX:
                raise ValueError(f"a value of the type {kind} where a matrix belongs")
            found.append(self.matrix(start, stop, depth + 1))
        return found

    def _cell(self, shape: Shape, count: int, at: int, end: int, depth: int) -> NDArray[Any]:
        return _objects(self._children(count, at, end, depth), shape)

    def _struct(self, shape: Shape, count: int, at: int, end: int, depth: int) -> NDArray[Any]:
        length, _, at = self.numbers(at, end)
        names, _, at = self.numbers(at, end)
        if len(length) != 1 or length[0] < 1 or len(names) % int(length[0]):
            raise ValueError("a struct without sound names")
        size, raw = int(length[0]), names.tobytes()
        fields = [
            raw[i : i + size].split(b"\0")[0].decode("latin-1") for i in range(0, len(raw), size)
        ]
        if not fields:
            return _objects([{} for _ in range(min(count, 1))], (min(count, 1), 1))
        values = iter(self._children(count * len(fields), at, end, depth))
        return _objects([{name: next(values) for name in fields} for _ in range(count)], shape)


def _objects(values: list[Any], shape: Shape) -> NDArray[Any]:
    found = np.empty(len(values), dtype=object)
    for at, value in enumerate(values):
        found[at] = value
    return found.reshape(shape, order="F")


def read_mat5(
    path: str | Path, wanted: Collection[str] | None = None
) -> tuple[dict[str, Shape], dict[str, Any]]:
    """Shapes of all variables of a file, and the values of those that are wanted.

    Args:
        path: The file.
        wanted: Names of the variables to read; None reads none.

    Raises:
        OSError: the file cannot be opened.
        ValueError: it is damaged, cut short, or no MATLAB 5 file.
    """
    content = Path(path).read_bytes()
    mark = content[126:128]
    if len(content) < 128 or mark not in (b"IM", b"MI"):
        raise ValueError("it lacks the head of a MATLAB 5 file")
    order = "<" if mark == b"IM" else ">"
    shapes: dict[str, Shape] = {}
    values: dict[str, Any] = {}
    outer, at = _Reader(content, order), 128
    while at < len(content):
        kind, start, stop, at = outer.element(at, len(content))
        if kind not in (_MATRIX, _COMPRESSED):
            raise ValueError(f"a variable of the type {kind}")
        head = content[start : min(stop, start + _HEAD_BYTES)]
        if kind == _COMPRESSED:
            head = _unfold(content[start:stop], order, _HEAD_BYTES)
        _, _, shape, name, _ = _Reader(head, order).header(0, len(head))
        shapes[name] = shape
        if wanted is not None and name in wanted:
            body = content[start:stop]
            if kind == _COMPRESSED:
                body = _unfold(body, order, None)
            try:
                values[name] = _Reader(body, order).matrix(0, len(body))
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error
    return shapes, values


def _unfold(packed: bytes, order: str, most: int | None) -> bytes:
    """The content of the matrix in a compressed element, or the beginning of it."""
    stream = zlib.decompressobj()
    limit = MOST_BYTES if most is None else most
    try:
        found = stream.decompress(packed, limit + 8)
    except zlib.error as error:
        raise ValueError(f"a variable is damaged ({error})") from error
    if len(found) < 8:
        raise ValueError("a variable is cut short")
    kind, size = struct.unpack_from(order + "II", found)
    if kind != _MATRIX or size > MOST_BYTES:
        raise ValueError(f"a variable of the type {kind} and {size} bytes")
    if most is not None:
        return found[8 : 8 + min(size, most)]
    if not stream.eof or len(found) < 8 + size:
        raise ValueError("a variable is cut short")
    return found[8 : 8 + size]
