"""TRC: the tab-separated marker file of OpenSim, Motion Analysis, Pose2Sim and Sports2D.

Five lines of head (file type, names and values of the rates, marker names, axis names), then a line
a frame: number, time in seconds, and X, Y, Z of each marker; empty where unknown. Markers are the
joints under their names; with several people the names begin with the id and a colon, ``3:nose``.

- 3D poses are written in metres with y up, as OpenSim has it: our camera axes (x right, y down, z
  forward) turned half around x, so y and z change their signs. Reading turns them back, into
  millimetres of the camera space; a file of another origin keeps its own origin and direction.
- 2D poses are written as they are, in pixels with y down, z = 0 and the unit ``px``. Other tools
  write pixels under the unit ``m``: coordinates of more than 100 m are refused; say ``units="px"``.

Frames are counted from 1 in the file; a file that begins with 0 is read as counting from 0.

Not held: joint scores (1 when read back), boxes (the extent of the joints in 2D, nothing in 3D) and
their scores, which joints are hidden, the id of a person who is alone (0 when read back), history,
and whether the video broke off. A person without a known joint is not there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from chronopose.core.poses import Space
from chronopose.core.skeleton import Skeleton
from chronopose.core.tracks import HistoryStep, VideoPoses
from chronopose.core.video import VideoInfo
from chronopose.errors import FormatError
from chronopose.io._fields import reading
from chronopose.io._foreign import (
    Dense,
    dense_to_video,
    file_info,
    ids_of_names,
    read_step,
    single,
    skeleton_of_names,
    whole_lines,
)
from chronopose.io._foreign_sink import CollectingSink, frame_rate

TOOL = "TRC"
MM_PER = {"mm": 1.0, "cm": 10.0, "m": 1000.0}
Y_UP = np.array([1.0, -1.0, -1.0])
FARTHEST_MM = 100_000.0
HEAD = (
    "DataRate", "CameraRate", "NumFrames", "NumMarkers", "Units", "OrigDataRate",
    "OrigDataStartFrame", "OrigNumFrames",
)  # fmt: skip

Units = Literal["px", "mm", "cm", "m"]


class TrcSink(CollectingSink):
    """Writes a TRC file; all poses wait in memory until :meth:`close`.

    Args:
        path: The file to be; it appears whole at :meth:`close`.
        info: The video.
        skeleton: Joints of every frame; they become markers under their names.
        history: Steps that make the poses; not held by the file.
        space: ``"image_px"`` for the pixel variant, a 3D space for metres.

    Raises:
        FormatError: the file cannot be written, here or in any method.
    """

    tool: ClassVar[str] = TOOL
    holds: ClassVar[frozenset[str]] = frozenset({"times", "empty frames", "missing frames"})

    def __init__(
        self,
        path: str | Path,
        info: VideoInfo,
        skeleton: Skeleton,
        history: tuple[HistoryStep, ...] = (),
        *,
        space: Space = "image_px",
    ) -> None:
        super().__init__(path, info, skeleton, history, space=space)

    def _lost(self, complete: bool) -> list[str]:
        alone = self._ids[0] if len(self._ids) == 1 else 0
        lost = super()._lost(complete)
        if alone:
            lost.append(f"the person's id {alone}")
        return [*lost, "that the origin is the root"] if self._facts.space == "root_mm" else lost

    def _save(self, temporary: Path, dense: Dense, complete: bool) -> None:
        self._ids = list(dense.ids)
        names = marker_names(self._ids, self._facts.skeleton.joints)
        rows, people = dense.xy.shape[:2]
        xyz = np.zeros((rows, people, len(self._facts.skeleton), 3))
        xyz[..., : dense.xy.shape[-1]] = dense.xy
        xyz[np.isnan(xyz).any(-1)] = np.nan
        units = "px"
        if self._facts.axes == "xyz":
            units, xyz = "m", xyz * Y_UP / MM_PER["m"]
        rate, _ = frame_rate(self._facts.info, dense.frame_index, dense.time_s)
        first = int(dense.frame_index[0]) + 1 if rows else 1
        head = (rate, rate, rows, len(names), units, rate, first, rows)
        lines = [
            f"PathFileType\t4\t(X/Y/Z)\t{self.path.name}",
            "\t".join(HEAD),
            "\t".join(f"{v:.12g}" if isinstance(v, float) else str(v) for v in head),
            "Frame#\tTime\t" + "\t\t\t".join(names) + ("\t\t" if names else ""),
            "\t\t" + "\t".join(f"X{i}\tY{i}\tZ{i}" for i in range(1, len(names) + 1)),
        ]
        with open(temporary, "w", encoding="utf-8", newline="\n") as file:
            file.write("\n".join(lines) + "\n")
            for index, time_s, row in zip(dense.frame_index, dense.time_s, xyz, strict=True):
                cells = ["" if v != v else f"{v:.12g}" for v in row.ravel().tolist()]
                file.write("\t".join([str(index + 1), repr(float(time_s)), *cells]) + "\n")


def marker_names(ids: list[int], joints: tuple[str, ...]) -> list[str]:
    """Names of all markers: those of the joints, behind ``ID:`` if there are several people."""
    if not ids:
        return list(joints)
    return [j if len(ids) == 1 else f"{i}:{j}" for i in ids for j in joints]


def people_of_markers(names: list[str], path: str | Path) -> tuple[list[str], list[str]]:
    """Inverse of :func:`marker_names`: names of the people ("" for one alone), and of the joints.

    Raises:
        FormatError: people have different markers.
    """
    split = [tuple(n.rsplit(":", 1)) if ":" in n else ("", n) for n in names]
    people = list(dict.fromkeys(s[0] for s in split))
    joints = [s[1] for s in split if s[0] == people[0]] if people else []
    for person in people:
        if [s[1] for s in split if s[0] == person] != joints:
            raise FormatError(
                f"{path}: {person or 'the one without a name'!r} has other markers than "
                f"{people[0]!r}. Write one file a person."
            )
    if split != [(p, j) for p in people for j in joints]:
        raise FormatError(f"{path}: the markers of different people are mixed. Sort them.")
    return people, joints


@dataclass(frozen=True)
class _Head:
    units: str
    rate: float
    frames: int
    names: list[str]


def read_trc(
    path: str | Path, *, skeleton: Skeleton | None = None, units: Units | None = None
) -> VideoPoses:
    """Read a TRC file.

    Args:
        path: The file.
        skeleton: Only to check: the file names its joints itself.
        units: Unit of the numbers, where the head is wrong or has none.

    Raises:
        FormatError: no such file, a head or a line damaged (the message names the line), an
            unknown unit, or coordinates that cannot have the stated unit.
    """
    with reading(path, "a TRC file"):
        lines = whole_lines(Path(path).read_text(encoding="utf-8-sig"), path)
    head = _head(lines, path)
    people, joints = people_of_markers(head.names, path)
    found = skeleton_of_names(joints, path)
    if skeleton is not None and skeleton.joints != found.joints:
        raise FormatError(f"{path} names its joints itself ({', '.join(joints)[:200]}).")
    index, time_s, flat = _rows(lines, len(head.names), path)
    if len(index) != head.frames:
        raise FormatError(
            f"{path} announces {head.frames} frames and holds {len(index)}: it was cut short, or "
            f"NumFrames in line 3 is wrong. Correct it."
        )
    if len(index) and index[0] > 0:
        index = index - 1
    xyz = flat.reshape(len(flat), len(people), len(joints), 3)
    unit = units or head.units
    if unit == "px":
        if np.nanmax(np.abs(xyz[..., 2]), initial=0) > 0:
            raise FormatError(f"{path} is in pixels, but a Z is not 0. Give units='mm' or 'm'.")
        # Z is 0 also where X and Y are empty.
        xy, space = xyz[..., :2], "image_px"
    else:
        xy, space = xyz * Y_UP * MM_PER[unit], "camera_mm"
        _refuse_far(xy, unit, path)
    ids = ids_of_names(people) if people != [""] else [0]
    named = {str(i): n for i, n in zip(ids, people, strict=True) if n}
    dense = Dense(single(xy), np.full(xy.shape[:-1], np.nan, np.float32), ids, index, time_s)
    history = read_step("trc", units=unit, people=named or None)
    info = file_info(path, head.rate)
    return dense_to_video(dense, info, found, history, path, space=space)  # type: ignore[arg-type]


def _refuse_far(xyz: NDArray[np.float64], unit: str, path: str | Path) -> None:
    far = float(np.nanmax(np.abs(xyz), initial=0))
    if far > FARTHEST_MM:
        raise FormatError(
            f"{path} says {unit}, but a marker is {far / 1000:.0f} m from the origin, so the unit "
            f"is wrong. Give the right one: read_trc(path, units='px'), or --units px."
        )


def _head(lines: list[str], path: str | Path) -> _Head:
    if not lines or not lines[0].startswith("PathFileType"):
        raise FormatError(f"Cannot read {path}: a TRC file begins with PathFileType.")
    if len(lines) < 5:
        raise FormatError(f"Cannot read {path}: its head of five lines is cut short.")
    stated = dict(zip(lines[1].split("\t"), lines[2].split("\t"), strict=False))
    stated = {k.strip(): v.strip() for k, v in stated.items()}
    units = stated.get("Units", "").lower()
    units = "px" if units in ("px", "pixel", "pixels") else units
    if units not in ("px", *MM_PER):
        raise FormatError(f"{path}: Units must be mm, cm, m or px; got {units!r} in line 3.")
    try:
        rate = float(stated["DataRate"])
        frames, markers = (int(float(stated[n])) for n in ("NumFrames", "NumMarkers"))
    except (KeyError, ValueError, OverflowError) as error:
        raise FormatError(
            f"{path}: lines 2 and 3 must state DataRate, NumFrames and NumMarkers as numbers."
        ) from error
    cells = [c.strip() for c in lines[3].split("\t")]
    if len(cells) < 2 or not re.match(r"frame", cells[0], re.I) or cells[1].lower() != "time":
        raise FormatError(f"{path}: line 4 must begin with Frame# and Time; got {cells[:2]}.")
    names = [c for c in cells[2:] if c]
    if len(names) != markers:
        raise FormatError(
            f"{path}: NumMarkers is {markers}, but line 4 names {len(names)}: "
            f"{', '.join(names)[:200]}."
        )
    known = np.isfinite(rate) and rate > 0
    return _Head(units, rate if known else float("nan"), frames, names)


def _rows(
    lines: list[str], markers: int, path: str | Path
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    index, times, rows = [], [], []
    for at, line in enumerate(lines[5:], 6):
        if not line.strip():
            continue
        cells = [c.strip() for c in line.rstrip("\n").split("\t")]
        while len(cells) > 2 + 3 * markers and not cells[-1]:
            cells.pop()
        cells += [""] * (2 + 3 * markers - len(cells))
        if len(cells) != 2 + 3 * markers:
            raise FormatError(
                f"{path}: line {at} has {len(cells) - 2} coordinates for {markers} markers."
            )
        try:
            values = [float(c) if c else np.nan for c in cells[1:]]
            number = float(cells[0])
        except ValueError as error:
            raise FormatError(f"{path}: line {at}: {error}.") from error
        if not number.is_integer() or number < 0 or not np.isfinite(values[0]):
            raise FormatError(f"{path}: line {at} has the frame {cells[0]} at {cells[1]!r} s.")
        index.append(int(number))
        times.append(values[0])
        rows.append(values[1:])
    flat = np.array(rows, np.float64).reshape(len(rows), 3 * markers)
    return np.array(index, np.int64), np.array(times, np.float64), flat
