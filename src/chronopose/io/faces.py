"""The table of expressions beside a file of poses: Parquet, one row a person and frame.

``video``, ``frame`` from 0, ``time_s`` seconds, ``person_id`` as in the poses, ``expression`` (the
likeliest; null if the face was not judged), ``expression_score`` its probability, ``judged``
(``yes``, or why not: ``small unsure behind outside``), ``face_x1 face_y1 face_x2 face_y2`` image
pixels, ``face_tilt_deg``, and ``p_NAME`` for every expression.

A table of its own, since that of the poses has one row a joint: an expression would stand there
fourteen times and more, and be lost in every other format. ``frame`` and ``person_id`` join them.
The metadata hold one JSON object under ``chronopose_faces``: video, classes, history, complete.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from chronopose.core.faces import FrameFaces, VideoFaces
from chronopose.core.tracks import HistoryStep
from chronopose.core.video import VideoInfo
from chronopose.errors import FormatError
from chronopose.io._facts import parse_facts, plain
from chronopose.io._fields import reading
from chronopose.io.atomic import PendingFile, write_failure

KEY = b"chronopose_faces"
LAYOUT = 1
ROWS_A_GROUP = 65_536
BOX = ("face_x1", "face_y1", "face_x2", "face_y2")


def faces_schema(classes: tuple[str, ...]) -> pa.Schema:
    """Columns of the table for these expressions."""
    text = pa.dictionary(pa.int32(), pa.string())
    numbers = ("expression_score", *BOX, "face_tilt_deg", *(f"p_{name}" for name in classes))
    return pa.schema(
        [
            ("video", text), ("frame", pa.int64()), ("time_s", pa.float64()),
            ("person_id", pa.int64()), ("expression", text), ("judged", text),
            *((name, pa.float32()) for name in numbers),
        ]
    )  # fmt: skip


class FacesSink:
    """Writes the faces of frames as they come; the file appears whole at :meth:`close`, or never.

    Args:
        path: The file to be.
        info: The video.
        classes: Names of the expressions.
        history: Steps that make the table.

    Raises:
        FormatError: the file cannot be written, here or in any method.
    """

    def __init__(
        self,
        path: str | Path,
        info: VideoInfo,
        classes: tuple[str, ...],
        history: tuple[HistoryStep, ...] = (),
    ) -> None:
        self.path = Path(path)
        self._classes, self._schema = classes, faces_schema(classes)
        self._video = info.source.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        self._facts = {
            "layout": LAYOUT,
            "video": {**asdict(info), "source": self._video},
            "classes": classes,
            "history": [asdict(step) for step in history],
        }
        self._waiting: list[FrameFaces] = []
        self._rows, self._open = 0, True
        self._pending = PendingFile(path)
        self._writer: Any = None
        with self._guard():
            self._writer = pq.ParquetWriter(
                self._pending.temporary, self._schema, compression="zstd"
            )

    def write(self, faces: FrameFaces) -> None:
        """Append the faces of the next frame, also when there are none.

        Raises:
            FormatError: the sink is closed, the classes are others, or the disk is full.
        """
        if not self._open or faces.classes != self._classes:
            raise FormatError(
                f"Cannot write faces to {self.path}: it is closed already, or its classes are "
                f"others ({', '.join(self._classes)}). Open a new sink."
            )
        self._waiting.append(faces)
        self._rows += len(faces)
        if self._rows >= ROWS_A_GROUP:
            with self._guard():
                self._flush()

    def close(self, complete: bool = True) -> None:
        """Finish the file and give it its name; nothing happens if that was done already.

        Args:
            complete: False when the video broke off or the run was stopped.
        """
        if not self._open:
            return
        with self._guard():
            self._flush()
            facts = plain({**self._facts, "complete": bool(complete)})
            self._writer.add_key_value_metadata({KEY: json.dumps(facts, allow_nan=False)})
            self._writer.close()
        self._open = False
        self._pending.commit()

    def abort(self) -> None:
        """Throw the unfinished file away; nothing happens after :meth:`close`."""
        if not self._open:
            return
        self._open = False
        with suppress(OSError, pa.ArrowException):  # a full disk complains again when flushed
            if self._writer is not None:
                self._writer.close()
        self._pending.discard()

    def _flush(self) -> None:
        frames = [f for f in self._waiting if len(f)]
        self._waiting, self._rows = [], 0
        if not frames:
            return
        columns = _columns(frames, self._classes)
        columns["video"] = [self._video] * len(columns["frame"])
        arrays = []
        for column in self._schema:
            array = pa.array(columns[column.name], from_pandas=True)
            if pa.types.is_dictionary(column.type):
                array = array.cast(pa.string()).dictionary_encode()
            arrays.append(array.cast(column.type))
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))

    @contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except (OSError, pa.ArrowException) as error:
            self.abort()
            raise write_failure(self.path, error) from error
        except BaseException:
            self.abort()
            raise


def _columns(frames: list[FrameFaces], classes: tuple[str, ...]) -> dict[str, Any]:
    people = [len(f) for f in frames]
    best = [f.best(row) for f in frames for row in range(len(f))]
    shares = np.concatenate([f.probability for f in frames])
    boxes = np.concatenate([f.xyxy for f in frames])
    return {
        "frame": np.repeat([f.frame_index for f in frames], people),
        "time_s": np.repeat(np.array([f.time_s for f in frames], np.float64), people),
        "person_id": np.concatenate([f.ids for f in frames]),
        "expression": [b[0] if b else None for b in best],
        "expression_score": np.array([b[1] if b else math.nan for b in best], np.float32),
        "judged": [j for f in frames for j in f.judged],
        "face_tilt_deg": np.concatenate([f.tilt_deg for f in frames]),
        **{name: boxes[:, k] for k, name in enumerate(BOX)},
        **{f"p_{name}": shares[:, k] for k, name in enumerate(classes)},
    }


def read_faces(path: str | Path) -> VideoFaces:
    """Read a file of :class:`FacesSink`.

    Raises:
        FormatError: no such file, cut short, or not a table of expressions.
    """
    with reading(path, "a table of expressions"), open(path, "rb") as file:
        source = pq.ParquetFile(file)
        text = (source.metadata.metadata or {}).get(KEY)
        if text is None:
            raise FormatError(
                f"{path} is no table of expressions: it does not say which it holds. Poses are "
                f"read with read_poses; 'chronopose predict --faces' writes the other."
            )
        facts = parse_facts(text, path)
        try:
            if facts["layout"] != LAYOUT:
                raise FormatError(
                    f"{path} has layout {facts['layout']}; this version reads {LAYOUT}. Update "
                    f"chronopose."
                )
            classes = tuple(str(c) for c in facts["classes"])
            info = _info(facts["video"])
            history = tuple(HistoryStep(**step) for step in facts["history"])
            complete = facts["complete"] is True
        except (KeyError, TypeError, ValueError) as error:
            raise FormatError(
                f"Cannot read {path}: its description is damaged ({error}). Write it again."
            ) from error
        missing = [n for n in faces_schema(classes).names if n not in source.schema_arrow.names]
        if missing:
            raise FormatError(f"{path} has no column {missing[0]!r}. Write it again.")
        table = source.read(columns=faces_schema(classes).names)
    return VideoFaces(info, classes, _frames(table, classes), history, complete)


def _info(value: Any) -> VideoInfo:
    video = {f.name: value[f.name] for f in fields(VideoInfo)}
    for name in ("rate_hz", "duration_s"):
        video[name] = math.nan if video[name] is None else float(video[name])
    video["size"] = tuple(int(v) for v in video["size"])
    return VideoInfo(**video)


def _frames(table: pa.Table, classes: tuple[str, ...]) -> list[FrameFaces]:
    def numbers(name: str) -> np.ndarray[Any, Any]:
        return table.column(name).to_numpy()

    frame, time_s, ids = (numbers(n) for n in ("frame", "time_s", "person_id"))
    shares = np.stack([numbers(f"p_{c}") for c in classes], -1).astype(np.float32)
    boxes = np.stack([numbers(n) for n in BOX], -1).astype(np.float32)
    tilt = numbers("face_tilt_deg").astype(np.float32)
    judged = table.column("judged").to_pylist()
    order = np.lexsort((ids, frame)).tolist()
    found = []
    for index, group in groupby(order, key=lambda row: int(frame[row])):
        rows = list(group)
        found.append(
            FrameFaces(
                index, float(time_s[rows[0]]), classes, ids[rows], shares[rows], boxes[rows],
                tilt[rows], tuple(judged[r] for r in rows),
            )
        )  # fmt: skip
    return found
