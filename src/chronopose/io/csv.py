"""CSV: the long table as text, for spreadsheets and for every language.

The columns are those of the Parquet files. Two lines begin with ``#``: the first,
``# chronopose {...}``, describes video, skeleton and history as JSON; the last, ``# end {...}``,
says whether the file is complete and which frames hold nobody. Readers pass over them with their
comment option: ``pandas.read_csv(path, comment="#")``, ``read.csv(path, comment.char = "#")``.
Texts are quoted, so a ``#`` in the name of a video does no harm. A file without its first line is
read by the joint names; one without its last line was cut off and is not complete.

Numbers are written with as many digits as they need: reading back gives the same bits.
"""

from __future__ import annotations

import json
import mmap
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.csv as arrow_csv

from chronopose.core.poses import Space
from chronopose.core.skeleton import Skeleton
from chronopose.core.tracks import FramePoses, HistoryStep, VideoPoses
from chronopose.core.video import VideoInfo
from chronopose.errors import FormatError
from chronopose.io._facts import FileFacts, parse_facts
from chronopose.io._fields import reading
from chronopose.io._sink import FileSink
from chronopose.io._table import arrow_to_poses, frames_to_arrow, table_schema

if TYPE_CHECKING:
    from typing import Any

HEAD = b"# chronopose "
END = b"# end "
FRAMES_A_BLOCK = 256


class CsvSink(FileSink):
    """Writes frames to CSV as they come; at most 256 frames wait in memory.

    Args:
        path: The file to be; it appears whole at :meth:`close`.
        info: The video.
        skeleton: Joints of every frame.
        history: Steps that make the poses.
        space: Where the coordinates live; the 3D spaces add a column ``z``.

    Raises:
        FormatError: the file cannot be written, here or in any method.
    """

    def __init__(
        self,
        path: str | Path,
        info: VideoInfo,
        skeleton: Skeleton,
        history: tuple[HistoryStep, ...] = (),
        *,
        space: Space = "image_px",
    ) -> None:
        self._waiting: list[FramePoses] = []
        self._file: Any = None
        self._writer: Any = None
        super().__init__(path, FileFacts(info, skeleton, history, space))

    def _begin(self, temporary: Path) -> None:
        self._schema = table_schema(self._facts.axes, names=pa.string())
        self._file = pa.OSFile(str(temporary), "wb")
        self._line(HEAD, self._facts.to_dict())
        self._writer = arrow_csv.CSVWriter(self._file, self._schema)

    def _line(self, start: bytes, value: dict[str, Any]) -> None:
        self._file.write(start + json.dumps(value, allow_nan=False).encode("ascii") + b"\n")

    def _add(self, frame: FramePoses) -> None:
        if len(frame):
            self._waiting.append(frame)
        if len(self._waiting) >= FRAMES_A_BLOCK:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(frames_to_arrow(self._waiting, self._facts, self._schema))
            self._waiting = []

    def _finish(self, complete: bool) -> None:
        self._flush()
        self._writer.close()
        self._writer = None
        self._line(END, self._end(complete))

    def _release(self) -> None:
        if self._writer is not None:
            with suppress(OSError, pa.ArrowException):
                self._writer.close()
            self._writer = None
        if self._file is not None:
            self._file.close()


def read_csv(path: str | Path) -> VideoPoses:
    """Read a file of :class:`CsvSink`, or a table with its columns that was saved by others.

    Rows may have any order, and joints may be missing. Without the first line the skeleton is the
    known one with exactly the joints of the table; without the last, ``complete`` is False.

    Raises:
        FormatError: no such table, a line cut short, a column missing or of another kind, or
            unknown joints. Rows are counted from 1 at the line of column names.
    """
    with reading(path, "a CSV table"):
        with open(path, "rb") as file:
            if not file.read(1):
                raise FormatError(f"{path} is empty. Write it again from its source.")
            text = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        start, end, facts = 0, len(text), None
        if text[: len(HEAD)] == HEAD:
            start = text.find(b"\n") + 1 or end
            facts = FileFacts.from_dict(parse_facts(text[len(HEAD) : start], path), path)
        last = text.rfind(b"\n" + END)
        if last >= start - 1 and last >= 0:
            end = last + 1
            closing = parse_facts(text[end + len(END) :], path)
            facts = facts.with_end(closing, path) if facts else None
        elif facts is not None:
            facts = replace(facts, complete=False)
        table = _parse(pa.py_buffer(text).slice(start, max(end - start, 0)), path)
    return arrow_to_poses(table, facts, path)


def _parse(buffer: pa.Buffer, path: str | Path) -> pa.Table:
    if not buffer.size:
        raise FormatError(f"{path} has no line of column names. Write it again from its source.")
    schema = table_schema("xyz", names=pa.string())
    types = {f.name: f.type for f in schema}
    return arrow_csv.read_csv(
        pa.BufferReader(buffer),
        read_options=arrow_csv.ReadOptions(use_threads=False),
        convert_options=arrow_csv.ConvertOptions(column_types=types),
    )
