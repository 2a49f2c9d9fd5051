"""movement: the netCDF file of the Python package for motion tracking, written with xarray.

A data set of type "poses" with the dimensions ``time``, ``space`` (x, y[, z]), ``keypoints`` and
``individuals`` (read also in the singular, as some releases spell them), the variables
``position`` and ``confidence``, and the attributes ``ds_type``, ``time_unit``,
``source_software`` and ``fps``. ``time`` holds the real times in seconds, one row for each frame
that was looked at; ``fps`` is there if time × fps gives the frame numbers, and left out if the
rate varies too much for that. An individual is called ``id_3``; a name that ends in a number has
that id.

We add the coordinate ``frame`` along ``time`` and the attribute ``chronopose`` with our description
of the video; the package passes over both. 3D poses are millimetres.

Not held: boxes (become the extent of the joints), their scores, and which joints are hidden; a
person without a known joint is not there.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from chronopose.core.poses import Space
from chronopose.core.skeleton import Skeleton
from chronopose.core.tracks import VideoPoses
from chronopose.errors import ChronoposeError, FormatError, MissingExtra
from chronopose.io._facts import FileFacts, parse_facts
from chronopose.io._fields import reading
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
from chronopose.io._foreign_sink import CollectingSink, frame_rate

TOOL = "movement"
WHAT = "a netCDF file of movement"
PLURAL = {"keypoint": "keypoints", "individual": "individuals"}
MAX_ATTRIBUTE = 60_000
"""Bytes; HDF5 has no place for a longer attribute."""


def _xarray() -> Any:
    try:
        import h5netcdf  # noqa: F401
        import xarray
    except ImportError as error:
        raise MissingExtra(error.name or "xarray", "formats", "A netCDF file") from error
    return xarray


class MovementSink(CollectingSink):
    """Writes a netCDF file of movement; all poses wait in memory until :meth:`close`.

    Args:
        path: The file to be; it appears whole at :meth:`close`.
        info: The video.
        skeleton: Joints of every frame; they become keypoints under their names.
        history: Steps that make the poses.
        space: Where the coordinates live; the 3D spaces add z.

    Raises:
        FormatError: the file cannot be written, here or in any method.
        MissingExtra: xarray or h5netcdf is not installed.
    """

    tool: ClassVar[str] = TOOL
    holds: ClassVar[frozenset[str]] = frozenset(
        {"times", "scores", "history", "empty frames", "missing frames", "completeness"}
    )

    def _begin(self, temporary: Path) -> None:
        _xarray()
        super()._begin(temporary)

    def _save(self, temporary: Path, dense: Dense, complete: bool) -> None:
        xarray = _xarray()
        dims = ("time", "space", "keypoints", "individuals")
        rate, worst_s = frame_rate(self._facts.info, dense.frame_index, dense.time_s)
        facts = json.dumps(self._facts.to_dict() | self._end(complete), allow_nan=False)
        attributes: dict[str, str | float] = {
            "ds_type": "poses",
            "source_software": "chronopose",
            "source_file": self._facts.info.source.replace("\0", ""),
            "time_unit": "seconds",
        }
        if worst_s * rate < 0.5:
            attributes["fps"] = rate
        if len(facts) <= MAX_ATTRIBUTE:
            attributes["chronopose"] = facts
        data = xarray.Dataset(
            data_vars={
                "position": (dims, np.moveaxis(dense.xy, (0, 3, 2, 1), (0, 1, 2, 3))),
                "confidence": ((dims[0], *dims[2:]), np.swapaxes(dense.score, 1, 2)),
            },
            coords={
                "time": dense.time_s,
                "space": list(self._facts.axes),
                "keypoints": list(self._facts.skeleton.joints),
                "individuals": np.array([f"id_{i}" for i in dense.ids], dtype="U"),
                "frame": ("time", dense.frame_index),
            },
            attrs=attributes,
        )
        try:
            data.to_netcdf(temporary, engine="h5netcdf")
        except (RuntimeError, ValueError) as error:
            raise OSError(str(error)) from error


def read_movement(
    path: str | Path, *, fps: float | None = None, skeleton: Skeleton | None = None
) -> VideoPoses:
    """Read a netCDF file of type "poses".

    Args:
        path: The file.
        fps: Frames a second, for files whose time is counted in frames and that state no rate.
        skeleton: Only to check: the file names its joints itself.

    Raises:
        FormatError: no such file, no netCDF-4, a variable or dimension missing or of another kind,
            or no times and no ``fps``.
        MissingExtra: xarray or h5netcdf is not installed.
    """
    xarray = _xarray()
    with reading(path, WHAT):
        with open(path, "rb") as file:
            if file.read(3) == b"CDF":
                raise FormatError(
                    f"Cannot read {path}: it is a netCDF-3 file, which needs another library. Save "
                    f"it again with ds.to_netcdf(name, engine='h5netcdf')."
                )
        try:
            data = xarray.load_dataset(path, engine="h5netcdf", decode_times=False)
            return _read(data, fps, skeleton, path)
        except (ChronoposeError, OSError):
            raise
        except (KeyError, RuntimeError, TypeError, AttributeError, IndexError) as error:
            raise FormatError(
                f"Cannot read {path}: it is not {WHAT}, or it is damaged ({str(error)[:200]})."
            ) from error


def _read(data: Any, fps: float | None, skeleton: Skeleton | None, path: str | Path) -> VideoPoses:
    data = data.rename({k: v for k, v in PLURAL.items() if k in data.dims})
    if data.attrs.get("ds_type", "poses") != "poses":
        raise FormatError(f"{path} holds {data.attrs['ds_type']} of movement, not poses.")
    xy = _values(data, "position", ("time", "individuals", "keypoints", "space"), path)
    axes = [str(a) for a in data.coords["space"].values.tolist()]
    if axes not in (["x", "y"], ["x", "y", "z"]):
        raise FormatError(f"{path}: space must be x, y or x, y, z; got {axes}.")
    if "confidence" in data:
        score = _values(data, "confidence", ("time", "individuals", "keypoints"), path)
    else:
        score = np.full(xy.shape[:-1], np.nan)
    names = _names(data, "keypoints", path)
    people = _names(data, "individuals", path)
    facts = None
    if "chronopose" in data.attrs:
        value = parse_facts(str(data.attrs["chronopose"]), path)
        facts = FileFacts.from_dict(value, path)
        facts = replace(facts, complete=value.get("complete") is True)
        if list(facts.skeleton.joints) != names or list(facts.axes) != axes:
            raise FormatError(f"{path}: keypoints or space are not those of its description.")
    found = facts.skeleton if facts else skeleton_of_names(names, path)
    if skeleton is not None and skeleton.joints != found.joints:
        raise FormatError(f"{path} names its joints itself ({', '.join(names)[:200]}).")
    index, times, rate = _times(data, fps, path)
    ids = ids_of_names(people)
    dense = Dense(single(xy), single(score), ids, index, times)
    space: Space = facts.space if facts else ("image_px" if len(axes) == 2 else "camera_mm")
    source = str(data.attrs.get("source_file") or "")
    info = facts.info if facts else file_info(path, rate, source)
    named = {str(i): n for i, n in zip(ids, people, strict=True)}
    history = facts.history if facts else read_step("movement", fps=fps, individuals=named)
    complete = facts.complete if facts else False
    return dense_to_video(dense, info, found, history, path, space=space, complete=complete)


def _values(data: Any, name: str, dims: tuple[str, ...], path: str | Path) -> NDArray[np.float64]:
    if name not in data or set(data[name].dims) != set(dims):
        have = {n: tuple(v.dims) for n, v in data.data_vars.items()}
        raise FormatError(
            f"{path} needs a variable {name!r} over {', '.join(dims)}; it has {have}."
        )
    if data[name].dtype.kind not in "fiu":
        raise FormatError(f"{path}: {name} must be numbers; got {data[name].dtype}.")
    return np.asarray(data[name].transpose(*dims).values, np.float64)


def _names(data: Any, name: str, path: str | Path) -> list[str]:
    if name not in data.coords:
        raise FormatError(f"{path} does not name its {name}.")
    found = [str(n) for n in data.coords[name].values.tolist()]
    if len(set(found)) != len(found):
        raise FormatError(f"{path} names {name} twice: {found}.")
    return found


def _times(
    data: Any, fps: float | None, path: str | Path
) -> tuple[NDArray[np.int64], NDArray[np.float64], float]:
    """Frame numbers, their times in seconds, and frames a second (NaN if nobody says)."""
    if "time" not in data.coords or data.coords["time"].dtype.kind not in "fiu":
        raise FormatError(f"{path} has no numbers along time.")
    values = np.asarray(data.coords["time"].values, np.float64)
    if not np.isfinite(values).all():
        raise FormatError(f"{path}: a time is not a finite number.")
    stated = data.attrs.get("fps")
    rate = float(stated) if stated is not None and float(stated) > 0 else float("nan")
    unit = str(data.attrs.get("time_unit", "frames"))
    if unit == "frames":
        if (values != np.round(values)).any():
            raise FormatError(f"{path} counts time in frames, but has {values[:4].tolist()}.")
        index = values.astype(np.int64)
        known = fps if fps is not None else (rate if rate > 0 else None)
        return index, frame_times(index, known, path, TOOL), float(known or "nan")
    if unit != "seconds":
        raise FormatError(f"{path}: time_unit must be seconds or frames; got {unit!r}.")
    if fps is not None:
        raise FormatError(f"{path} holds the times of its frames; leave fps out.")
    if "frame" in data.coords and data.coords["frame"].dims == ("time",):
        return np.asarray(data.coords["frame"].values).astype(np.int64), values, rate
    if rate > 0:
        index = np.round(values * rate).astype(np.int64)
        if (np.diff(index) > 0).all():
            return index, values, rate
    return np.arange(len(values)), values, rate
