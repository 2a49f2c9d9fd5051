"""Shards: person crops for training, many in a file, any of them read without the others.

A shard is an Arrow file (``.arrow``; any Arrow or Feather reader sees a table) that is mapped into
memory, so that a sample costs its own bytes and a shuffled order costs nothing. A row is one person
in one clip:

============== ====================== =========================================================
column         type                   what
============== ====================== =========================================================
``name``       string                 where it comes from
``key``        int32                  position of the key frame
``jpeg``       list of binary         F crops of one size, JPEG, the same window for all
``xy``         list of float32        F K 2, crop pixels; NaN where unknown
``visibility`` binary                 F K bytes: 0 outside the picture or unknown, 1 hidden,
                                      2 visible
``box``        list of 4 float32      the person in the key frame, crop pixels
============== ====================== =========================================================

The schema's metadata hold, under ``chronopose``, a JSON object: ``format``, ``version``, ``joints``
(names of the K joints) and ``facts`` (whatever the maker tells).
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from chronopose.errors import FormatError, ShapeError, UsageError
from chronopose.io._fields import field, reading
from chronopose.io.atomic import PendingFile, write_failure

FORMAT = "chronopose shard"
VERSION = 1
SUFFIX = ".arrow"
_KEY = b"chronopose"
_ROWS_A_BATCH = 256
_COLUMNS = {
    "name": pa.string(), "key": pa.int32(), "jpeg": pa.list_(pa.binary()),
    "xy": pa.list_(pa.float32()), "visibility": pa.binary(), "box": pa.list_(pa.float32(), 4),
}  # fmt: skip


@dataclass(frozen=True)
class ShardRow:
    """One person in one clip of F frames, joints K.

    Args:
        name: Where it comes from, for messages.
        jpeg: F crops, encoded.
        xy: ``(F, K, 2)`` float32 crop pixels; NaN where unknown.
        visibility: ``(F, K)`` uint8 as in the table above.
        box: ``(4,)`` float32 x1 y1 x2 y2 of the person in the key frame, crop pixels.
        key: Position of the key frame.

    Raises:
        ShapeError: shapes disagree.
    """

    name: str
    jpeg: tuple[bytes, ...]
    xy: NDArray[np.float32]
    visibility: NDArray[np.uint8]
    box: NDArray[np.float32]
    key: int = 0

    def __post_init__(self) -> None:
        frames = len(self.jpeg)
        good = self.xy.ndim == 3 and self.xy.shape[::2] == (frames, 2)
        if not good or self.visibility.shape != self.xy.shape[:2] or self.box.shape != (4,):
            raise ShapeError(
                f"{self.name}: {frames} crops need joints ({frames}, K, 2), visibility "
                f"({frames}, K) and a box (4,); got {self.xy.shape}, {self.visibility.shape} and "
                f"{self.box.shape}."
            )
        if not 0 <= self.key < frames:
            raise ShapeError(f"{self.name}: key frame {self.key} lies outside {frames} frames.")


class ShardWriter:
    """Writes one shard; it appears whole at :meth:`close`, and not at all after an error.

    Args:
        path: File to be, ``.arrow``.
        joints: Names of the joints of every row.
        facts: Whatever is to be known of its making; plain values.

    Raises:
        UsageError: the name ends in something else, or the facts have no JSON form.
        FormatError: the file cannot be written, here or in any method.
    """

    def __init__(
        self, path: str | Path, joints: Sequence[str], facts: Mapping[str, Any] | None = None
    ) -> None:
        self._path, self._joints = Path(path), tuple(joints)
        if self._path.suffix != SUFFIX:
            raise UsageError(f"A shard is called NAME{SUFFIX}; got {self._path.name!r}.")
        head = {
            "format": FORMAT, "version": VERSION, "joints": list(joints), "facts": dict(facts or {})
        }  # fmt: skip
        try:
            text = json.dumps(head, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise UsageError(f"The facts of {path} must be plain values: {error}.") from error
        self._schema = pa.schema(list(_COLUMNS.items()), metadata={_KEY: text})
        self._waiting: list[ShardRow] = []
        self._rows = 0
        self._pending = PendingFile(path)
        try:
            self._file = pa.OSFile(str(self._pending.temporary), "wb")
            self._writer = pa.ipc.new_file(self._file, self._schema)
        except (OSError, pa.ArrowException) as error:
            self._pending.discard()
            raise write_failure(path, error) from error

    def __len__(self) -> int:
        return self._rows

    def add(self, row: ShardRow) -> None:
        """Append a person.

        Raises:
            ShapeError: it has another number of joints.
        """
        if row.xy.shape[1] != len(self._joints):
            raise ShapeError(
                f"{row.name} has {row.xy.shape[1]} joints in a shard of {len(self._joints)}."
            )
        self._waiting.append(row)
        self._rows += 1
        if len(self._waiting) >= _ROWS_A_BATCH:
            self._flush()

    def _flush(self) -> None:
        rows, self._waiting = self._waiting, []
        xy = _plain(np.concatenate([r.xy.ravel() for r in rows]), pa.float32())
        box = _plain(np.concatenate([r.box for r in rows]), pa.float32())
        jpeg = _bytes([j for r in rows for j in r.jpeg], pa.binary())
        columns = {
            "name": _bytes([r.name.encode() for r in rows], pa.string()),
            "key": _plain(np.array([r.key for r in rows]), pa.int32()),
            "jpeg": _lists([len(r.jpeg) for r in rows], jpeg),
            "xy": _lists([r.xy.size for r in rows], xy),
            "visibility": _bytes([r.visibility.astype(np.uint8).tobytes() for r in rows]),
            "box": pa.FixedSizeListArray.from_arrays(box, 4),
        }
        arrays = [columns[name] for name in _COLUMNS]
        try:
            self._writer.write_batch(pa.record_batch(arrays, schema=self._schema))
        except (OSError, pa.ArrowException) as error:
            self.abort()
            raise write_failure(self._path, error) from error

    def close(self) -> None:
        """Finish the file and give it its name."""
        if self._waiting:
            self._flush()
        try:
            self._writer.close()
            self._file.close()
        except (OSError, pa.ArrowException) as error:
            self.abort()
            raise write_failure(self._path, error) from error
        self._pending.commit()

    def abort(self) -> None:
        """Throw the unfinished file away."""
        with suppress(OSError, pa.ArrowException):
            self._file.close()
        self._pending.discard()

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()


# Columns are put together from buffers: pa.array would import pandas wherever it is installed.


def _plain(values: NDArray[Any], kind: pa.DataType) -> pa.Array:
    flat = np.ascontiguousarray(values, kind.to_pandas_dtype())
    return pa.Array.from_buffers(kind, len(flat), [None, pa.py_buffer(flat)])


def _bytes(values: Sequence[bytes], kind: pa.DataType = _COLUMNS["visibility"]) -> pa.Array:
    buffers = [None, _offsets([len(v) for v in values]), pa.py_buffer(b"".join(values))]
    return pa.Array.from_buffers(kind, len(values), buffers)


def _lists(lengths: Sequence[int], values: pa.Array) -> pa.Array:
    kind = pa.list_(values.type)
    return pa.Array.from_buffers(
        kind, len(lengths), [None, _offsets(lengths)], children=[values]
    )  # fmt: skip


def _offsets(lengths: Sequence[int]) -> pa.Buffer:
    return pa.py_buffer(np.cumsum([0, *lengths]).astype(np.int32))


def _floats(values: pa.Array) -> NDArray[np.float32]:
    flat = np.frombuffer(values.buffers()[1], np.float32)
    return flat[values.offset : values.offset + len(values)].copy()


class Shard:
    """A shard that is read; pixels stay on disk until a row is asked for.

    Args:
        path: The file.

    Raises:
        FormatError: it is missing, damaged, or no shard of this version.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with reading(path, "a shard"):
            self._table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        text = (self._table.schema.metadata or {}).get(_KEY)
        if text is None or not self._table.schema.equals(pa.schema(list(_COLUMNS.items()))):
            raise FormatError(f"{path} is an Arrow file, but no shard. Write the shards again.")
        with reading(path, "a shard"):
            head = json.loads(text)
        if (
            field(head, "format", str(path)) != FORMAT
            or field(head, "version", str(path)) != VERSION
        ):
            raise FormatError(
                f"{path} is a shard of version {head.get('version')!r}; this is version {VERSION}. "
                f"Write the shards again."
            )
        self.joints: tuple[str, ...] = tuple(field(head, "joints", str(path)))
        """Names of the K joints."""
        self.facts: Mapping[str, Any] = field(head, "facts", str(path))
        """What its maker told."""

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __getitem__(self, index: int) -> ShardRow:
        """Row ``index``, its crops still encoded.

        Raises:
            FormatError: the row is damaged.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"{self.path} has {len(self)} rows; there is no row {index}.")
        row = {name: self._table[name][index] for name in _COLUMNS}
        jpeg = tuple(bytes(j.as_buffer()) for j in row["jpeg"])
        shape = len(jpeg), len(self.joints)
        try:
            xy = _floats(row["xy"].values).reshape(*shape, 2)
            seen = np.frombuffer(row["visibility"].as_buffer(), np.uint8).reshape(shape).copy()
            box = _floats(row["box"].values)
            return ShardRow(row["name"].as_py(), jpeg, xy, seen, box, row["key"].as_py())
        except (ValueError, ShapeError) as error:
            raise FormatError(
                f"Row {index} of {self.path} is damaged ({error}). Write the shards again."
            ) from error


def encode_crop(pixels: NDArray[np.uint8], quality: int = 90) -> bytes:
    """``(H, W, 3)`` RGB as JPEG."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "jpeg", quality=quality, subsampling=0)
    return file.getvalue()


def decode_crop(jpeg: bytes, name: str = "a crop") -> NDArray[np.uint8]:
    """``(H, W, 3)`` RGB of a JPEG.

    Raises:
        FormatError: it is damaged; ``name`` says which one.
    """
    try:
        with Image.open(io.BytesIO(jpeg)) as image:
            return np.array(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        raise FormatError(
            f"{name} is no JPEG, or it is damaged ({error}). Write the shards again."
        ) from error
