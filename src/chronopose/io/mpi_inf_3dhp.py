"""MPI-INF-3DHP as P-STMO keeps it: ``data_train_3dhp.npz`` and ``data_test_3dhp.npz``.

Train: ``data`` = {"S1 Seq1": [{camera: {data_2d (F, 17, 2) pixels, data_3d (F, 17, 3) mm}}, fps]}
with eight of the cameras. Test: ``data`` = {"TS1": {data_2d, data_3d, valid (F,)}}. 3D joints are
millimetres in camera axes; the root is the pelvis. The data are for holders of their licence.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from chronopose.core.skeletons import MPI_INF_3DHP17
from chronopose.errors import FormatError
from chronopose.io._safe_pickle import read_npz
from chronopose.io.motion import Motion2D, Motion3D, checked, entry, mapping

JOINTS = (len(MPI_INF_3DHP17),)
SIZE = (2048, 2048)
OTHER_SIZES = {"TS5": (1920, 1080), "TS6": (1920, 1080)}
TEST_FPS = 25.0
RATES = (25.0, 50.0)

Pairs = tuple[tuple[Motion3D, Motion2D], ...]


def read_3dhp_train(path: str | Path) -> Pairs:
    """Read ``data_train_3dhp.npz``.

    Returns:
        For every sequence and camera the joints in space and in the picture, of the same length.
        Subject is ``"S1"``, action ``"Seq1"``.

    Raises:
        FormatError: the file is missing, damaged, wants to run a program, is another tree, or
            states a rate that is neither 25 nor 50.
    """
    pairs = []
    for name, value in _tree(path).items():
        where = f"{path}, {name}"
        if not isinstance(value, list | tuple | np.ndarray) or len(value) != 2:
            raise FormatError(f"{where} must be a list of the cameras and the rate.")
        subject, _, action = name.partition(" ")
        fps = _rate(value[1], where)
        for camera, record in mapping(value[0], where).items():
            here = f"{where}, camera {camera}"
            pairs.append(_pair(record, subject, action, camera, fps, here))
    return tuple(pairs)


def read_3dhp_test(path: str | Path) -> Pairs:
    """Read ``data_test_3dhp.npz``.

    Returns:
        For TS1 to TS6 the joints in space, with the frames that are to be scored, and in the
        picture. Subject is ``"TS1"``; 25 frames a second.

    Raises:
        FormatError: the file is missing, damaged, wants to run a program, or is another tree.
    """
    pairs = []
    for name, record in _tree(path).items():
        where = f"{path}, {name}"
        valid = entry(mapping(record, where), "valid", where)
        pairs.append(_pair(record, name, "test", "", TEST_FPS, where, valid))
    return tuple(pairs)


def _tree(path: str | Path) -> dict[str, Any]:
    return mapping(entry(read_npz(path), "data", str(path)), f"{path}, data")


def _rate(value: object, where: str) -> float:
    scalar = isinstance(value, np.ndarray | np.generic) and np.ndim(value) == 0
    found: Any = value.item() if scalar else value  # type: ignore[attr-defined]
    if isinstance(found, bool) or found not in RATES:
        raise FormatError(f"{where}: the rate must be 25 or 50 frames a second; got {found!r}.")
    return float(found)


def _pair(
    record: object, subject: str, action: str, camera: str, fps: float, where: str,
    valid: object = None,
) -> tuple[Motion3D, Motion2D]:  # fmt: skip
    fields: Mapping[str, Any] = mapping(record, where)
    xy = checked(entry(fields, "data_2d", where), JOINTS, 2, f"{where}, data_2d")
    xyz = checked(entry(fields, "data_3d", where), JOINTS, 3, f"{where}, data_3d")
    if len(xy) != len(xyz):
        raise FormatError(f"{where} has {len(xy)} frames in 2D and {len(xyz)} in 3D.")
    scored = None
    if valid is not None:
        flags = np.asarray(valid)
        if flags.dtype.kind not in "biuf" or flags.size != len(xyz):
            raise FormatError(f"{where}, valid must hold one flag for each of {len(xyz)} frames.")
        if not np.isin(flags, (0, 1)).all():
            raise FormatError(f"{where}, valid must hold 0 and 1 only.")
        scored = flags.reshape(-1) != 0
    size = OTHER_SIZES.get(subject, SIZE)
    skeleton = MPI_INF_3DHP17
    return (
        Motion3D(subject, action, xyz, skeleton, "mm", "camera", fps, camera, scored),
        Motion2D(subject, action, camera, xy, skeleton, fps, size),
    )
