"""SLEAP: the analysis file, an HDF5 file with all tracks of a video as arrays.

``tracks`` (track, xy, node, frame), ``track_occupancy`` (frame, track), ``point_scores`` (track,
node, frame), ``instance_scores`` and ``tracking_scores`` (track, frame), ``node_names``,
``track_names``, ``edge_names``, ``edge_inds``, and texts about the source. Row f is frame f. Newer
tools may store the axes in another order and say so in the attribute ``dims``, which is followed.

The score of an instance is read as the score of the box. A track whose name ends in a number has
that id. We add two data sets that others pass over: ``time_s`` with the times of the frames (NaN
for frames that were not looked at), and ``chronopose`` with our description of the video.

Not held: boxes (become the extent of the joints) and which joints are hidden; a person without a
known joint is not there. A file of SLEAP itself holds no times: give ``fps``.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from chronopose.core.skeleton import Skeleton
from chronopose.core.tracks import VideoPoses
from chronopose.errors import FormatError
from chronopose.io._facts import FileFacts, parse_facts
from chronopose.io._foreign import (
    Dense,
    dense_to_video,
    file_info,
    frame_times,
    ids_of_names,
    read_step,
    single,
    skeleton_of_names,
)
from chronopose.io._foreign_sink import CollectingSink
from chronopose.io._hdf import dataset, numbers, opened, plain, texts

TOOL = "SLEAP analysis"
WHAT = "a SLEAP analysis file"
AXES = ("track", "xy", "node", "frame")
SCORES = ("point_scores", "instance_scores")


class SleapSink(CollectingSink):
    """Writes a SLEAP analysis file; all poses wait in memory until :meth:`close`.

    Args:
        path: The file to be; it appears whole at :meth:`close`.
        info: The video.
        skeleton: Joints of every frame; they become nodes under their names.
        history: Steps that make the poses.

    Raises:
        FormatError: the file cannot be written, here or in any method; poses are not 2D pixels.
        MissingExtra: h5py is not installed.
    """

    tool: ClassVar[str] = TOOL
    holds: ClassVar[frozenset[str]] = frozenset(
        {"times", "scores", "history", "empty frames", "missing frames", "completeness"}
    )
    every_row: ClassVar[bool] = True

    def _save(self, temporary: Path, dense: Dense, complete: bool) -> None:
        skeleton = self._facts.skeleton
        known = np.isfinite(dense.xy).all(-1)
        tracks = np.moveaxis(dense.xy, (1, 3, 2, 0), (0, 1, 2, 3)).astype(np.float64)
        assert dense.box_score is not None
        sure = np.where(known.any(-1), dense.box_score, np.nan)
        limbs = [(a.encode(), b.encode()) for a, b in skeleton.limbs]
        facts = self._facts.to_dict() | self._end(complete)
        arrays: dict[str, Any] = {
            "tracks": tracks,
            "track_occupancy": known.any(-1).astype(np.uint8),
            "point_scores": np.moveaxis(dense.score, (1, 2, 0), (0, 1, 2)).astype(np.float64),
            "instance_scores": sure.T.astype(np.float64),
            "tracking_scores": np.full(sure.T.shape, np.nan),
            "track_names": np.array([f"track_{i}".encode() for i in dense.ids], "S"),
            "node_names": np.array([j.encode() for j in skeleton.joints], "S"),
            "edge_names": np.array(limbs, "S").reshape(-1, 2),
            "edge_inds": skeleton.limb_index.astype(np.int64),
            "time_s": dense.time_s,
        }
        with opened(temporary, WHAT, "w") as file:
            for name, value in arrays.items():
                packed = {"compression": "gzip"} if value.size else {}
                file.create_dataset(name, data=value, **packed)
            for name, text in (
                ("labels_path", ""),
                ("video_path", self._facts.info.source),
                ("provenance", "{}"),
                ("chronopose", json.dumps(facts, allow_nan=False)),
            ):
                file.create_dataset(name, data=text.replace("\0", ""))
            file.create_dataset("video_ind", data=0)


def read_sleap(
    path: str | Path, *, fps: float | None = None, skeleton: Skeleton | None = None
) -> VideoPoses:
    """Read a SLEAP analysis file.

    Args:
        path: The file.
        fps: Frames a second of the video, for files without ``time_s``.
        skeleton: Only to check: the file names its joints itself.

    Raises:
        FormatError: no such file, a data set missing or of another shape, coordinates that make
            no sense, or no times and no ``fps``.
        MissingExtra: h5py is not installed.
    """
    with opened(path, WHAT) as file:
        nodes = texts(file, "node_names", path)
        names = texts(file, "track_names", path)
        order = _axes(file, path)
        xy = np.moveaxis(numbers(file, "tracks", 4, path), order, (1, 3, 2, 0))
        frames, tracks, joints, _ = xy.shape
        _refuse_shape(xy.shape, len(nodes), names, path)
        flat = [a for a in np.argsort(order) if AXES[a] != "xy"]
        score = _scores(file, SCORES[0], [AXES[a] for a in flat], (frames, tracks, joints), path)
        two = [AXES[a] for a in flat if AXES[a] != "node"]
        sure = _scores(file, SCORES[1], two, (frames, tracks), path)
        facts, times = _ours(file, frames, path)
        limbs = _limbs(file, nodes, path)
        source = plain(file["video_path"][()], "video_path") if "video_path" in file else ""
    found = facts.skeleton if facts else skeleton_of_names(nodes, path, limbs)
    if list(found.joints) != nodes and facts:
        raise FormatError(f"{path}: node_names are not the joints of its skeleton {found.name!r}.")
    if skeleton is not None and skeleton.joints != found.joints:
        raise FormatError(f"{path} names its joints itself ({', '.join(nodes)[:200]}).")
    index = np.arange(frames)
    if times is None:
        times = frame_times(index, fps, path, TOOL)
    elif fps is not None:
        raise FormatError(f"{path} holds the times of its frames; leave fps out.")
    seen = np.isfinite(times)
    if np.isfinite(xy[~seen]).any():
        raise FormatError(f"{path}: time_s is NaN for a frame that holds people.")
    ids = ids_of_names(names) if names else [0][:tracks]
    dense = Dense(
        single(xy[seen]), single(score[seen]), ids, index[seen], times[seen], single(sure[seen])
    )
    info = facts.info if facts else file_info(path, fps, source)
    tracked = {str(i): n for i, n in zip(ids, names, strict=True)} if names else None
    history = facts.history if facts else read_step("sleap", fps=fps, tracks=tracked)
    complete = facts.complete if facts else False
    return dense_to_video(dense, info, found, history, path, complete=complete)


def _axes(file: Any, path: str | Path) -> tuple[int, ...]:
    """Where the axes track, xy, node and frame are stored."""
    stored = dataset(file, "tracks", path).attrs.get("dims")
    if stored is None:
        return (0, 1, 2, 3)
    dims = parse_facts(plain(stored, f"{path}: dims of tracks"), path)
    if not isinstance(dims, list) or sorted(map(str, dims)) != sorted(AXES):
        raise FormatError(f"{path}: tracks has the dims {dims}, and must have {list(AXES)}.")
    return tuple(dims.index(a) for a in AXES)


def _refuse_shape(shape: tuple[int, ...], nodes: int, names: list[str], path: str | Path) -> None:
    untracked = not names and shape[1] == 1
    if shape[3] != 2 or shape[2] != nodes or not (untracked or shape[1] == len(names)):
        raise FormatError(
            f"{path}: tracks holds {shape[1]} tracks, {shape[2]} nodes and {shape[3]} coordinates, "
            f"but there are {len(names)} track names, {nodes} node names and 2 coordinates."
        )


def _scores(
    file: Any, name: str, stored: list[str], shape: tuple[int, ...], path: str | Path
) -> NDArray[np.float64]:
    """An array of scores as (frame, track[, node]); NaN where the file has none."""
    if name not in file:
        return np.full(shape, np.nan)
    values = numbers(file, name, len(shape), path)
    wanted = ["frame", "track", "node"][: len(shape)]
    values = np.transpose(values, [stored.index(a) for a in wanted])
    if values.shape != shape:
        raise FormatError(f"{path}: {name} is {values.shape} and tracks needs {shape}.")
    return values


def _limbs(file: Any, nodes: list[str], path: str | Path) -> list[tuple[str, str]]:
    if "edge_names" not in file or not dataset(file, "edge_names", path).size:
        return []
    pairs = np.asarray(file["edge_names"][()])
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        raise FormatError(f"{path}: edge_names must be pairs of nodes; got {pairs.shape}.")
    named = [[plain(n, f"{path}: edge_names") for n in pair] for pair in pairs.tolist()]
    strange = [n for pair in named for n in pair if n not in nodes]
    if strange:
        raise FormatError(f"{path}: edge_names has {strange[0]!r}, which is no node.")
    return [(a, b) for a, b in named]


def _ours(
    file: Any, frames: int, path: str | Path
) -> tuple[FileFacts | None, NDArray[np.float64] | None]:
    """Our description and the times of the rows, where they are there."""
    times = None
    if "time_s" in file:
        times = numbers(file, "time_s", 1, path)
        if len(times) != frames or np.isinf(times).any():
            raise FormatError(f"{path}: time_s has {len(times)} times for {frames} frames.")
    if "chronopose" not in file:
        return None, times
    value = parse_facts(plain(file["chronopose"][()], f"{path}: chronopose"), path)
    facts = FileFacts.from_dict(value, path)
    return replace(facts, complete=value.get("complete") is True), times
