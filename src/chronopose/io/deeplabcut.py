"""DeepLabCut: one wide table, a row a frame, as ``.csv`` or ``.h5``; also Lightning Pose (csv).

The columns have the levels scorer, individuals (several animals only), bodyparts and coords (x,
y, likelihood). In a csv file these are the first three or four lines. In an h5 file it is a
pandas table under ``df_with_missing``, of either kind that pandas writes; it is read without
pandas, which would run what is pickled in it. The first column is the frame, or the name of a
picture of labelled data. Joints that only some individuals have are unknown for the others.

An individual whose name ends in a number has that id. One person is written in the layout of a
single animal, which has no name for it (id 0 when read back), as other writers of this format do;
``layout`` chooses.

Not held: times (give ``fps`` to read it back), boxes (become the extent of the joints) and their
scores, which joints are hidden, frames that were not looked at (they become empty rows), history,
and whether the video broke off. A person without a known joint is not there. 3D tables are not
read: their unit is not stated.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from chronopose.core.skeleton import Skeleton
from chronopose.core.tracks import HistoryStep, VideoPoses
from chronopose.core.video import VideoInfo
from chronopose.errors import FormatError, MissingExtra
from chronopose.io._fields import reading
from chronopose.io._foreign import (
    Dense,
    dense_to_video,
    file_info,
    frame_times,
    ids_of_names,
    picture_number,
    read_step,
    single,
    skeleton_of_names,
    whole_lines,
)
from chronopose.io._foreign_sink import CollectingSink
from chronopose.io._hdf import dataset, numbers, opened, texts
from chronopose.io._safe_pickle import safe_loads

TOOL = "DeepLabCut"
KEY = "df_with_missing"
LEVELS = (("scorer", "bodyparts", "coords"), ("scorer", "individuals", "bodyparts", "coords"))
COORDS = ("x", "y", "likelihood")
SCORER = "chronopose"

_Column = tuple[str, ...]
"""Individual, body part, coordinate."""


class DeepLabCutSink(CollectingSink):
    """Writes a DeepLabCut table; all poses wait in memory until :meth:`close`.

    Args:
        path: The file to be, ``.h5`` for HDF5, else csv; it appears whole at :meth:`close`.
        info: The video.
        skeleton: Joints of every frame; they become body parts under their names.
        history: Steps that make the poses; not held by the file.
        layout: ``"single"`` has no level of individuals and takes one person, ``"multi"`` has it,
            ``"auto"`` is single for one person and multi otherwise.

    Raises:
        FormatError: the file cannot be written, here or in any method; poses are not 2D pixels;
            several people for ``"single"``.
        MissingExtra: pandas or tables is not installed (h5 only).
    """

    tool: ClassVar[str] = TOOL
    holds: ClassVar[frozenset[str]] = frozenset({"scores", "empty frames"})
    every_row: ClassVar[bool] = True

    def __init__(
        self,
        path: str | Path,
        info: VideoInfo,
        skeleton: Skeleton,
        history: tuple[HistoryStep, ...] = (),
        *,
        layout: Literal["auto", "single", "multi"] = "auto",
    ) -> None:
        if layout not in ("auto", "single", "multi"):
            raise FormatError(f"layout must be 'auto', 'single' or 'multi'; got {layout!r}.")
        self._layout = layout
        self._hdf = Path(path).suffix.lower() in (".h5", ".hdf5")
        if self._hdf:
            _pandas()
        super().__init__(path, info, skeleton, history)

    def _lost(self, complete: bool) -> list[str]:
        ids = {i for i in self._ids if i != 0}
        lost = super()._lost(complete)
        return [*lost, f"the person's id {min(ids)}"] if self._single and ids else lost

    def _save(self, temporary: Path, dense: Dense, complete: bool) -> None:
        people = len(dense.ids)
        self._single = self._layout == "single" or (self._layout == "auto" and people < 2)
        if self._single and people > 1:
            raise FormatError(
                f"Cannot write {self.path}: layout='single' holds one person and there are "
                f"{people}. Use layout='multi', or write one person."
            )
        self._ids = list(dense.ids)
        names = [f"individual{i}" for i in dense.ids] or ["individual0"]
        joints = self._facts.skeleton.joints
        columns = [(n, j, c) for n in names for j in joints for c in COORDS]
        there = np.asarray(np.isfinite(dense.xy).any((-1, -2)))
        score = np.where(there[..., None], dense.score, np.nan)
        values = np.full((len(dense.xy), len(columns)), np.nan, np.float32)
        if people:
            table = np.concatenate([dense.xy, score[..., None]], -1)
            values[:] = table.reshape(values.shape)
        if self._hdf:
            _write_hdf(temporary, columns, values, dense.frame_index, self._single)
        else:
            _write_csv(temporary, columns, values, dense.frame_index, self._single)


def _pandas() -> Any:
    try:
        import pandas
        import tables  # noqa: F401
    except ImportError as error:
        package = error.name or "pandas"
        raise MissingExtra(package, "formats", "Writing a DeepLabCut .h5 file") from error
    return pandas


def _write_csv(
    path: Path,
    columns: Sequence[_Column],
    values: NDArray[np.float32],
    index: NDArray[np.int64],
    single: bool,
) -> None:
    levels = list(zip(*columns, strict=True))
    heads = [[SCORER] * len(columns), *levels[int(single) :]]
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        for name, head in zip(LEVELS[not single], heads, strict=True):
            writer.writerow([name, *head])
        for number, row in zip(index.tolist(), values, strict=True):
            writer.writerow([number, *("" if v != v else str(v) for v in row)])


def _write_hdf(
    path: Path,
    columns: Sequence[_Column],
    values: NDArray[np.float32],
    index: NDArray[np.int64],
    single: bool,
) -> None:
    pandas = _pandas()
    heads = [(SCORER, *c[int(single) :]) for c in columns]
    levels = pandas.MultiIndex.from_tuples(heads, names=list(LEVELS[not single]))
    table = pandas.DataFrame(values.astype(np.float64), columns=levels, index=index)
    try:
        table.to_hdf(str(path), key=KEY, mode="w", format="table")
    except (RuntimeError, ValueError, TypeError) as error:
        raise OSError(str(error)) from error


def read_deeplabcut(
    path: str | Path, *, fps: float | None = None, skeleton: Skeleton | None = None
) -> VideoPoses:
    """Read a DeepLabCut table.

    Args:
        path: The file, csv or h5 by its content.
        fps: Frames a second of the video.
        skeleton: Only to check: the file names its joints itself.

    Raises:
        FormatError: no such file, not such a table, a line with another number of fields, a cell
            that is no number, 3D coordinates, or ``fps`` missing.
        MissingExtra: h5py is not installed (h5 only).
    """
    with reading(path, "a DeepLabCut table"), open(path, "rb") as file:
        hdf = file.read(8) == b"\x89HDF\r\n\x1a\n"
    columns, index, values = _read_hdf(path) if hdf else _read_csv(path)
    people = list(dict.fromkeys(c[0] for c in columns))
    joints = list(dict.fromkeys(c[1] for c in columns))
    found = skeleton_of_names(joints, path)
    if skeleton is not None and skeleton.joints != found.joints:
        raise FormatError(f"{path} names its joints itself ({', '.join(joints)[:200]}).")
    grid = np.full((len(values), len(people), len(joints), 3), np.nan, np.float32)
    if len(set(columns)) != len(columns):
        twice = next(c for c in columns if columns.count(c) > 1)
        raise FormatError(f"{path} has the column {' / '.join(twice)} twice.")
    for column, (person, joint, coordinate) in enumerate(columns):
        if coordinate not in COORDS:
            raise FormatError(
                f"{path} has the coordinate {coordinate!r}; only x, y and likelihood are read. "
                f"3D tables do not state their unit."
            )
        place = (people.index(person), joints.index(joint), COORDS.index(coordinate))
        grid[(slice(None), *place)] = single(values[:, column])
    times = frame_times(index, fps, path, TOOL)
    ids = ids_of_names(people) if people != [""] else [0]
    named = {str(i): n for i, n in zip(ids, people, strict=True) if n}
    history = read_step("deeplabcut", fps=fps, individuals=named or None)
    dense = Dense(grid[..., :2], grid[..., 2], ids, index, times)
    return dense_to_video(dense, file_info(path, fps), found, history, path)


_Table = tuple[list[_Column], NDArray[np.int64], NDArray[np.float64]]


def _read_csv(path: str | Path) -> _Table:
    with reading(path, "a DeepLabCut table"):
        lines = whole_lines(Path(path).read_text(encoding="utf-8-sig"), path)
        try:
            rows = [r for r in csv.reader(lines) if r]
        except csv.Error as error:
            raise FormatError(f"Cannot read {path}: {error}.") from error
    levels = tuple(row[0] for row in rows[:4])
    heads = next((n for n in LEVELS if levels[: len(n)] == n), None)
    if heads is None:
        raise FormatError(
            f"Cannot read {path}: a DeepLabCut table begins with the lines "
            f"{', '.join(LEVELS[1])} (individuals only with several animals); this one has "
            f"{', '.join(levels)[:120] or 'nothing'}."
        )
    top, body = rows[: len(heads)], rows[len(heads) :]
    width = len(top[0])
    for at, row in enumerate(rows, 1):
        if len(row) != width:
            raise FormatError(f"{path}: line {at} has {len(row)} fields instead of {width}.")
    first = next((i for i in range(1, width) if any(r[i] for r in top)), width)
    index = np.array(
        [_row_number(r[:first], f"{path}: line {i}") for i, r in enumerate(body, len(top) + 1)],
        np.int64,
    )
    values = np.empty((len(body), width - first))
    for at, row in enumerate(body):
        try:
            values[at] = [float(v) if v.strip() else np.nan for v in row[first:]]
        except ValueError as error:
            raise FormatError(f"{path}: line {at + len(top) + 1}: {error}.") from error
    return _columns(list(zip(*(r[first:] for r in top), strict=True)), path), index, values


def _row_number(cells: Sequence[str], where: str) -> int:
    last = cells[-1].strip() if cells else ""
    if len(cells) == 1 and last.isdecimal() and len(last) < 18:
        return int(last)
    if not re.search(r"[0-9].*\.[A-Za-z]+$", last):
        raise FormatError(
            f"{where} begins with {last[:40]!r}, which is neither a frame number nor the name of a "
            f"picture."
        )
    return picture_number(last, where)


def _columns(heads: Sequence[tuple[Any, ...]], path: str | Path) -> list[_Column]:
    found = []
    for head in heads:
        if len(head) not in (3, 4) or not all(isinstance(part, str) for part in head):
            raise FormatError(f"{path} has a column {head!r}; it must have three or four names.")
        if head[0] != heads[0][0]:
            raise FormatError(
                f"{path} holds tables of two scorers, {heads[0][0]!r} and {head[0]!r}. Keep one."
            )
        found.append((head[1] if len(head) == 4 else "", *head[-2:]))
    if not found:
        raise FormatError(f"{path} has no column of coordinates.")
    return found


def _read_hdf(path: str | Path) -> _Table:
    with opened(path, "a DeepLabCut file") as file:
        group = file.get(KEY)
        if group is None or not hasattr(group, "keys"):
            have = ", ".join(file.keys()) or "nothing"
            raise FormatError(f"Cannot read {path}: no {KEY!r} in it (it has {have}).")
        if "table" in group:
            return _appendable(group, path)
        return _fixed(group, path)


def _appendable(group: Any, path: str | Path) -> _Table:
    """What pandas writes with ``format="table"``, as DeepLabCut does."""
    table = dataset(group, "table", path)
    names = table.dtype.names or ()
    blocks = [n for n in names if n.startswith("values_block_")]
    if "index" not in names or not blocks:
        raise FormatError(f"{path}: the table has the fields {names} and no block of values.")
    rows = table[()]
    columns: list[_Column] = []
    parts = []
    for name in blocks:
        stored = table.attrs.get(f"{name}_kind")
        if not isinstance(stored, bytes):
            raise FormatError(f"{path}: the columns of {name} have no names.")
        heads = safe_loads(bytes(stored), path)
        values = rows[name].reshape(len(rows), -1)
        if not isinstance(heads, list) or len(heads) != values.shape[1]:
            raise FormatError(f"{path}: {values.shape[1]} columns, but other names for them.")
        if values.dtype.kind not in "fiu":
            raise FormatError(f"{path}: a column holds {values.dtype}, not numbers.")
        columns += _columns([tuple(h) for h in heads], path)
        parts.append(values.astype(np.float64))
    return columns, _index(rows["index"], path), np.concatenate(parts, -1)


def _fixed(group: Any, path: str | Path) -> _Table:
    """What pandas writes with ``format="fixed"``, as some tools around DeepLabCut do."""
    if "block0_values" not in group or "block1_values" in group:
        raise FormatError(f"{path} holds no table of numbers of one kind.")
    values = numbers(group, "block0_values", 2, path)
    heads = []
    depth = sum(name.startswith("block0_items_level") for name in group)
    for level in range(depth):
        names = texts(group, f"block0_items_level{level}", path)
        codes = numbers(group, f"block0_items_label{level}", 1, path).astype(np.int64)
        if len(codes) != values.shape[1] or (codes < 0).any() or (codes >= len(names)).any():
            raise FormatError(f"{path}: the names of its columns do not fit the columns.")
        heads.append([names[c] for c in codes])
    if depth not in (3, 4):
        raise FormatError(f"{path}: its columns have {depth} names each instead of 3 or 4.")
    rows = np.asarray(dataset(group, "axis1", path)[()])
    if len(rows) != len(values):
        raise FormatError(f"{path}: {len(rows)} row names for {len(values)} rows.")
    return _columns(list(zip(*heads, strict=True)), path), _index(rows, path), values


def _index(rows: NDArray[Any], path: str | Path) -> NDArray[np.int64]:
    if rows.dtype.kind in "iu":
        return rows.astype(np.int64)
    if rows.dtype.kind in "SO":
        names = [r.decode("utf-8", "replace") if isinstance(r, bytes) else str(r) for r in rows]
        return np.array([picture_number(n, f"{path}: row {n!r}") for n in names], np.int64)
    raise FormatError(f"{path}: its rows are named by {rows.dtype}, not by frame numbers.")
