"""Parquet: the long table, in row groups that are appended as frames come.

The file's metadata hold one JSON object under the key ``chronopose``: video, skeleton, history,
whether the file is complete, and the frames without people (see ``io/_facts.py``). Any Parquet
reader sees a plain table; reading back gives the same numbers bit for bit.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from chronopose.core.poses import Space
from chronopose.core.skeleton import Skeleton
from chronopose.core.tracks import FramePoses, HistoryStep, VideoPoses
from chronopose.core.video import VideoInfo
from chronopose.io._facts import FileFacts, parse_facts
from chronopose.io._fields import reading
from chronopose.io._sink import FileSink
from chronopose.io._table import arrow_to_poses, frames_to_arrow, table_schema

if TYPE_CHECKING:
    from typing import Any

KEY = b"chronopose"
FRAMES_A_GROUP = 1024
ROWS_A_GROUP = 65_536


class ParquetSink(FileSink):
    """Writes frames to Parquet as they come.

    Memory stays flat: at most 1024 frames or about 65,536 rows wait for their row group.

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
        self._rows = 0
        self._file: Any = None
        self._writer: Any = None
        super().__init__(path, FileFacts(info, skeleton, history, space))

    def _begin(self, temporary: Path) -> None:
        self._schema = table_schema(self._facts.axes)
        self._file = pa.OSFile(str(temporary), "wb")
        numbers = [n for n in self._schema.names if n not in (*"xyz", "score", "visible")]
        self._writer = pq.ParquetWriter(
            self._file, self._schema, compression="zstd", use_dictionary=numbers
        )

    def _add(self, frame: FramePoses) -> None:
        if not len(frame):
            return
        self._waiting.append(frame)
        self._rows += len(frame) * len(self._facts.skeleton)
        if len(self._waiting) >= FRAMES_A_GROUP or self._rows >= ROWS_A_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            table = frames_to_arrow(self._waiting, self._facts, self._schema)
            self._writer.write_table(table, row_group_size=len(table))
            self._waiting, self._rows = [], 0

    def _finish(self, complete: bool) -> None:
        self._flush()
        facts = self._facts.to_dict() | self._end(complete)
        self._writer.add_key_value_metadata({KEY: json.dumps(facts, allow_nan=False)})
        self._writer.close()

    def _release(self) -> None:
        if self._writer is not None and self._writer.is_open:
            with suppress(OSError, pa.ArrowException):
                self._writer.close()
            self._writer.is_open = False  # Else its finaliser would try the full disk again.
        if self._file is not None:
            self._file.close()


def read_parquet(path: str | Path) -> VideoPoses:
    """Read a file of :class:`ParquetSink`, or a table with its columns that was saved by others.

    Rows may have any order, and joints may be missing. Where the metadata were lost, the skeleton
    is the known one with exactly the joints of the table, and ``complete`` is False.

    Raises:
        FormatError: no Parquet file, cut short, a column missing or of another kind, or unknown
            joints.
    """
    with reading(path, "a Parquet file"), open(path, "rb") as file:
        source = pq.ParquetFile(file)
        text = (source.metadata.metadata or {}).get(KEY)
        facts = None
        if text is not None:
            value = parse_facts(text, path)
            facts = FileFacts.from_dict(value, path).with_end(value, path)
        wanted = [n for n in table_schema("xyz").names if n in source.schema_arrow.names]
        table = source.read(columns=wanted)
    return arrow_to_poses(table, facts, path)
