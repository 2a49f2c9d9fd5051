"""C3D: the binary marker file of motion capture laboratories, through ezc3d.

Markers are the joints under their names. People are subjects as in other laboratory software: the
group ``SUBJECTS`` has their ids in ``NAMES``, and with several people the marker names begin with
the id and a colon. 3D poses are millimetres in the camera axes (x right, y down, z forward), which
``X_SCREEN`` +X and ``Y_SCREEN`` -Y state; 2D poses have the unit ``px`` and z = 0. An unknown joint
has the residual -1.

The file holds one rate and no times: frame f is shown at f / rate, from 0, in the header's first
frame as in ezc3d. A frame that was not looked at is a frame without known joints, and at most
65,535 frames fit; a longer video is refused.

Not held: times other than that, joint scores (1 when read back), boxes (the extent of the joints in
2D, nothing in 3D) and their scores, which joints are hidden, which frames were not looked at,
history, and whether the video broke off. A person without a known joint is not there. The axes of a
file of another origin are taken as they are.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from chronopose.core.poses import Space
from chronopose.core.skeleton import Skeleton
from chronopose.core.tracks import HistoryStep, VideoPoses
from chronopose.core.video import VideoInfo
from chronopose.errors import FormatError, MissingExtra
from chronopose.io._fields import reading
from chronopose.io._foreign import (
    Dense,
    dense_to_video,
    file_info,
    ids_of_names,
    read_step,
    refuse_nonsense,
    skeleton_of_names,
)
from chronopose.io._foreign_sink import TIME_ERROR_S, CollectingSink, frame_rate
from chronopose.io.trc import MM_PER, Units, marker_names, people_of_markers

TOOL = "C3D"
MAX_FRAMES = 65_535
MAX_NAME = 127


def _ezc3d() -> Any:
    try:
        import ezc3d
    except ImportError as error:
        raise MissingExtra("ezc3d", "formats", "A C3D file") from error
    return ezc3d


class C3dSink(CollectingSink):
    """Writes a C3D file; all poses wait in memory until :meth:`close`.

    Args:
        path: The file to be; it appears whole at :meth:`close`.
        info: The video.
        skeleton: Joints of every frame; they become markers under their names.
        history: Steps that make the poses; not held by the file.
        space: ``"image_px"`` for pixels, a 3D space for millimetres.

    Raises:
        FormatError: the file cannot be written, here or in any method; no frame at all, or more
            than 65,535.
        MissingExtra: ezc3d is not installed.
    """

    tool: ClassVar[str] = TOOL
    holds: ClassVar[frozenset[str]] = frozenset({"empty frames"})
    every_row: ClassVar[bool] = True

    def __init__(
        self,
        path: str | Path,
        info: VideoInfo,
        skeleton: Skeleton,
        history: tuple[HistoryStep, ...] = (),
        *,
        space: Space = "image_px",
    ) -> None:
        _ezc3d()
        super().__init__(path, info, skeleton, history, space=space)

    def _lost(self, complete: bool) -> list[str]:
        lost = super()._lost(complete)
        _, worst_s = self._rate()
        if worst_s <= TIME_ERROR_S and lost and lost[0].startswith("times"):
            lost = lost[1:]
        return [*lost, "that the origin is the root"] if self._facts.space == "root_mm" else lost

    def _save(self, temporary: Path, dense: Dense, complete: bool) -> None:
        rows, people, joints, axes = dense.xy.shape
        if not 0 < rows <= MAX_FRAMES:
            raise FormatError(
                f"Cannot write {self.path}: a C3D file holds 1 to {MAX_FRAMES} frames, and there "
                f"are {rows}. Write a part of the video, or use .trc."
            )
        names = marker_names(list(dense.ids), self._facts.skeleton.joints)
        long = [n for n in names if len(n.encode()) > MAX_NAME]
        if long:
            raise FormatError(f"Cannot write {self.path}: the marker name {long[0]!r} is too long.")
        points = np.zeros((4, rows, max(people, 1), joints))
        points[:axes] = np.nan if not people else np.moveaxis(dense.xy, -1, 0)
        unknown = np.isnan(points[:3]).any(0).reshape(rows, -1).T
        points = points.reshape(4, rows, -1).swapaxes(1, 2)
        points[:3, unknown] = np.nan
        points[3] = 1
        used = ~np.isnan(dense.time_s)
        rate, _ = frame_rate(self._facts.info, dense.frame_index[used], dense.time_s[used])
        file = _ezc3d().c3d()
        point = file["parameters"]["POINT"]
        point["RATE"]["value"] = [rate]
        point["UNITS"]["value"] = ["px" if axes == 2 else "mm"]
        point["LABELS"]["value"] = tuple(names)
        file.add_parameter("POINT", "X_SCREEN", ["+X"])
        file.add_parameter("POINT", "Y_SCREEN", ["-Y"])
        if people:
            file.add_parameter("SUBJECTS", "USED", [people])
            file.add_parameter("SUBJECTS", "NAMES", [str(i) for i in dense.ids])
            file.add_parameter("SUBJECTS", "USES_PREFIXES", [int(people > 1)])
        file["data"]["points"] = points
        file["data"]["meta_points"]["residuals"] = -unknown.astype(np.float64)[None]
        _write(file, temporary)
        if os.path.getsize(temporary) < 16 * rows * len(names):
            raise OSError(f"only {os.path.getsize(temporary)} bytes were written")


def _write(file: Any, temporary: Path) -> None:
    """Write under this very name; ezc3d adds its suffix to a name that does not have it."""
    suffixed = temporary.with_name(temporary.name.removesuffix(".c3d") + ".c3d")
    try:
        file.write(str(suffixed))
        os.replace(suffixed, temporary)
    except BaseException:
        suffixed.unlink(missing_ok=True)
        raise


def read_c3d(
    path: str | Path, *, skeleton: Skeleton | None = None, units: Units | None = None
) -> VideoPoses:
    """Read the markers of a C3D file.

    Args:
        path: The file.
        skeleton: Only to check: the file names its joints itself.
        units: Unit of the numbers, where the file is wrong or has none.

    Raises:
        FormatError: no such file, not C3D, cut short, an unknown unit, no rate, or markers that
            are no skeleton.
        MissingExtra: ezc3d is not installed.
    """
    ezc3d = _ezc3d()
    with reading(path, "a C3D file"):
        data = Path(path).read_bytes()
        if len(data) < 2 or data[1] != 0x50:
            raise FormatError(f"Cannot read {path}: it is not a C3D file.")
        try:
            content = ezc3d.c3d(str(path))
            point = content["parameters"]["POINT"]
            points = np.asarray(content["data"]["points"], np.float64)
            residual = np.asarray(content["data"]["meta_points"]["residuals"], np.float64)[0]
            names = _labels(point)
            rate = float(content["header"]["points"]["frame_rate"])
            first = int(content["header"]["points"]["first_frame"])
            stated = str(point["UNITS"]["value"][0]) if "UNITS" in point else ""
            subjects = content["parameters"].get("SUBJECTS", {}).get("NAMES", {}).get("value", [])
            _refuse_short(path, data, point["SCALE"]["value"][0] < 0)
        except (RuntimeError, KeyError, IndexError, TypeError, MemoryError, OverflowError) as error:
            raise FormatError(
                f"Cannot read {path}: it is damaged or cut short ({str(error)[:200]})."
            ) from error
    if points.ndim != 3 or len(names) != points.shape[1] or not len(names):
        raise FormatError(
            f"{path} has {points.shape[1] if points.ndim == 3 else 0} markers and {len(names)} "
            f"names for them."
        )
    if not (np.isfinite(rate) and rate > 0):
        raise FormatError(f"{path} states the rate {rate}; it must be above 0.")
    unit = units or stated.strip().lower()
    if unit not in ("px", *MM_PER):
        raise FormatError(f"{path} states the unit {stated!r}. Give it: units='mm', or --units mm.")
    people, joints = people_of_markers(names, path)
    found = skeleton_of_names(joints, path)
    if skeleton is not None and skeleton.joints != found.joints:
        raise FormatError(f"{path} names its joints itself ({', '.join(joints)[:200]}).")
    xyz = _coordinates(points, residual, len(people), len(joints))
    named = people if people != [""] else [str(s) for s in subjects[:1]] or [""]
    ids = ids_of_names(named) if named != [""] else [0]
    index = first + np.arange(len(xyz), dtype=np.int64)
    space: Space = "camera_mm"
    if unit == "px":
        space = "image_px"
        if np.nanmax(np.abs(xyz[..., 2]), initial=0) > 0:
            raise FormatError(f"{path} is in pixels, but a z is not 0. Give units='mm'.")
        xyz = xyz[..., :2]
    else:
        xyz = xyz * MM_PER[unit]
    refuse_nonsense(xyz, path, pixels=False)
    dense = Dense(
        xyz.astype(np.float32), np.full(xyz.shape[:-1], np.nan, np.float32), ids, index,
        index / rate,
    )  # fmt: skip
    history = read_step("c3d", units=unit, people=dict(zip(map(str, ids), named, strict=True)))
    return dense_to_video(dense, file_info(path, rate), found, history, path, space=space)


def _refuse_short(path: str | Path, data: bytes, floating: bool) -> None:
    """ezc3d reads a file that was cut short as a shorter one, so the head is asked here.

    Source: the words of the header section in the C3D file format's manual, counted from 1: 2
    points, 3 analog numbers a frame, 4 and 5 first and last frame, 9 block of the data.
    """
    processor = data[512 * (data[0] - 1) + 3] if len(data) > 512 * (data[0] - 1) + 3 else 0
    order = ">" if processor == 86 else "<"
    words = np.frombuffer(data[:18].ljust(18, b"\0"), f"{order}u2").astype(int)
    frames = max(words[4] - words[3] + 1, 0)
    values = frames * (4 * words[1] + words[2])
    if len(data) < 512 * (words[8] - 1) + (4 if floating else 2) * values:
        raise FormatError(
            f"Cannot read {path}: it was cut short: {frames} frames are announced and not all of "
            f"them are there. Get it again from its source."
        )


def _labels(point: Any) -> list[str]:
    """All marker names; after 255 they go on in LABELS2, LABELS3, ..."""
    parts = ["LABELS", *(f"LABELS{n}" for n in range(2, 300))]
    return [str(v).strip() for part in parts if part in point for v in point[part]["value"]]


def _coordinates(
    points: NDArray[np.float64], residual: NDArray[np.float64], people: int, joints: int
) -> NDArray[np.float64]:
    """``(F, P, K, 3)`` from ``(4, P * K, F)``; NaN where the residual is negative."""
    xyz = np.moveaxis(points[:3], (2, 1, 0), (0, 1, 2)).copy()
    xyz[(residual < 0).T] = np.nan
    return xyz.reshape(len(xyz), people, joints, 3)
