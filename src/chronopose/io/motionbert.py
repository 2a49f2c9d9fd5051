"""The Human3.6M pickle of MotionBERT, ``h36m_sh_conf_cam_source_final.pkl``.

``{"train": {...}, "test": {...}}``, each with ``joint_2d`` (N, 17, 2) pixels found by a detector,
``confidence`` (N, 17), ``joint3d_image`` (N, 17, 3) in the pixel-scaled camera space of that line
of work, ``camera_name`` (N) and ``source`` (N), the performance and camera that a row belongs to;
the test part also has ``2.5d_factor`` (N), ``joints_2.5d_image`` (N, 17, 3) and ``action`` (N).
Rows of one source follow each other. The data are for holders of their licence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import H36M17
from chronopose.errors import FormatError
from chronopose.io._safe_pickle import read_pickle
from chronopose.io.h36m import FPS, SIZES
from chronopose.io.motion import checked, entry, mapping


@dataclass(frozen=True)
class MotionBertPart:
    """The training or the test part: one row a frame and camera.

    Args:
        xy: ``(N, 17, 2)`` float32 pixels, as detected.
        confidence: ``(N, 17)`` float32 of the detections.
        xyz_image: ``(N, 17, 3)`` float32 pixel-scaled camera space.
        camera: ``(N,)`` camera names.
        source: ``(N,)`` performance and camera that a row belongs to.
        sizes: ``(N, 2)`` int64 width and height of each row's picture, pixels.
        mm_factor: ``(N,)`` float32 millimetres a unit of ``xyz_25d``; None in the training part.
        xyz_25d: ``(N, 17, 3)`` float32 pixel-scaled space that results are scored in; None in the
            training part.
        action: ``(N,)`` actions; None in the training part.
        skeleton: ``h36m17``.
        fps: 50.
        units: ``"px"``: of all coordinates.
    """

    xy: NDArray[np.float32]
    confidence: NDArray[np.float32]
    xyz_image: NDArray[np.float32]
    camera: NDArray[np.str_]
    source: NDArray[np.str_]
    sizes: NDArray[np.int64]
    mm_factor: NDArray[np.float32] | None = None
    xyz_25d: NDArray[np.float32] | None = None
    action: NDArray[np.str_] | None = None
    skeleton: Skeleton = H36M17
    fps: float = FPS
    units: str = "px"

    def __len__(self) -> int:
        return len(self.xy)

    def runs(self) -> list[slice]:
        """The rows of each source, in the order of the file."""
        ends = [0, *(np.flatnonzero(self.source[1:] != self.source[:-1]) + 1), len(self)]
        return [slice(int(a), int(b)) for a, b in pairwise(ends) if b > a]


def read_motionbert(path: str | Path) -> dict[str, MotionBertPart]:
    """Read the pickle without running what is in it.

    Returns:
        ``"train"`` and ``"test"``, as far as the file has them.

    Raises:
        FormatError: the file is missing, damaged, wants to run a program, lacks an array, or has
            one of another shape; a camera is not one of Human3.6M.
    """
    content = mapping(read_pickle(path), str(path))
    names: list[str] = [n for n in ("train", "test") if n in content]
    parts = {n: _part(content[n], f"{path}, {n}") for n in names}
    if not parts:
        raise FormatError(f"{path} has neither 'train' nor 'test' (it has {', '.join(content)}).")
    return parts


def _part(value: object, where: str) -> MotionBertPart:
    fields = mapping(value, where)
    joints = (len(H36M17),)
    xy = checked(_array(fields, "joint_2d", where), joints, 2, f"{where}, joint_2d")
    count = len(xy)
    camera, source = (_names(fields, n, count, where) for n in ("camera_name", "source"))
    strange = sorted(set(camera.tolist()) - set(SIZES))
    if strange:
        raise FormatError(f"{where}, camera_name has {strange[0]!r}, no camera of Human3.6M.")
    optional: dict[str, Any] = {}
    if "2.5d_factor" in fields:
        optional["mm_factor"] = _rows(fields, "2.5d_factor", (count,), where)
    if "joints_2.5d_image" in fields:
        optional["xyz_25d"] = _rows(fields, "joints_2.5d_image", (count, *joints, 3), where)
    if "action" in fields:
        optional["action"] = _names(fields, "action", count, where)
    return MotionBertPart(
        xy,
        _rows(fields, "confidence", (count, *joints), where),
        _rows(fields, "joint3d_image", (count, *joints, 3), where),
        camera,
        source,
        np.array([SIZES[c] for c in camera.tolist()], np.int64).reshape(-1, 2),
        **optional,
    )


def _array(fields: Mapping[str, Any], name: str, where: str) -> NDArray[Any]:
    try:
        return np.asarray(entry(fields, name, where))  # type: ignore[arg-type]
    except ValueError as error:
        raise FormatError(f"{where}, {name} is no array: {error}.") from error


def _rows(
    fields: Mapping[str, Any], name: str, shape: tuple[int, ...], where: str
) -> NDArray[np.float32]:
    found = _array(fields, name, where)
    if found.size == int(np.prod(shape)) and found.ndim == len(shape) + 1 and found.shape[-1] == 1:
        found = found[..., 0]
    if found.dtype.kind not in "fiu" or found.shape != shape:
        raise FormatError(
            f"{where}, {name} must be numbers {shape}; got {found.dtype} {found.shape}."
        )
    found = found.astype(np.float32)
    if not np.isfinite(found).all():
        raise FormatError(f"{where}, {name} holds a number that is not finite.")
    return found


def _names(fields: Mapping[str, Any], name: str, count: int, where: str) -> NDArray[np.str_]:
    found = _array(fields, name, where)
    texts = found.dtype.kind in "US" or (
        found.dtype.kind == "O" and all(isinstance(v, str) for v in found.ravel().tolist())
    )
    if not texts or found.shape != (count,):
        raise FormatError(
            f"{where}, {name} must be {count} names; got {found.dtype} {found.shape}."
        )
    return found.astype(np.str_)
