"""Motion of one person as arrays: what the files of the 3D data sets give, and their cameras.

A :class:`Motion3D` is a performance in space, a :class:`Motion2D` the same seen by one camera.
:func:`read_cameras` and :func:`read_pictures_3d` read the two layouts that MMPose keeps Human3.6M
and MPI-INF-3DHP in; those of VideoPose3D, P-STMO and MotionBERT are in the files of the data
sets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from chronopose.core.skeleton import Skeleton
from chronopose.errors import FormatError, ShapeError
from chronopose.io._safe_pickle import read_npz, read_pickle


@dataclass(frozen=True)
class Motion3D:
    """Joints of one performance in space.

    Args:
        subject: The person, as the data set calls them.
        action: What they do, as the data set calls it.
        xyz: ``(F, K, 3)`` float32 in ``units``.
        skeleton: Names of the K joints.
        units: ``"m"`` or ``"mm"``.
        space: ``"world"`` for the room, ``"camera"`` for x right, y down, z forward of ``camera``.
        fps: Frames a second; NaN if the file does not say and the data set does not fix it.
        camera: The camera of camera space, else empty.
        valid: ``(F,)`` frames that are to be scored; all of them by default.

    Raises:
        ShapeError: the arrays do not fit the skeleton or each other.
    """

    subject: str
    action: str
    xyz: NDArray[np.float32]
    skeleton: Skeleton
    units: Literal["m", "mm"]
    space: Literal["world", "camera"]
    fps: float
    camera: str = ""
    valid: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        _need_shape(self.xyz, len(self.skeleton), 3, f"{self.subject} {self.action}")
        valid = np.ones(len(self.xyz), bool) if self.valid is None else self.valid
        if np.shape(valid) != (len(self.xyz),):
            raise ShapeError(f"valid must have one entry for each of {len(self.xyz)} frames.")
        object.__setattr__(self, "valid", valid)

    def __len__(self) -> int:
        return len(self.xyz)


@dataclass(frozen=True)
class Motion2D:
    """Joints of one performance in the pictures of one camera.

    Args:
        subject: The person, as the data set calls them; the video's name for one's own videos.
        action: What they do, as the data set calls it.
        camera: The camera, as the data set calls it.
        xy: ``(F, K, 2)`` float32 pixels.
        skeleton: Names of the K joints.
        fps: Frames a second; NaN if nobody says.
        size: Width and height of the pictures, pixels; None if the file does not say and the data
            set does not fix it.

    Raises:
        ShapeError: the array does not fit the skeleton.
    """

    subject: str
    action: str
    camera: str
    xy: NDArray[np.float32]
    skeleton: Skeleton
    fps: float
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        _need_shape(self.xy, len(self.skeleton), 2, f"{self.subject} {self.action}")

    def __len__(self) -> int:
        return len(self.xy)


def _need_shape(array: NDArray[Any], joints: int, axes: int, name: str) -> None:
    if array.ndim != 3 or array.shape[1:] != (joints, axes):
        raise ShapeError(f"{name}: joints must be (frames, {joints}, {axes}); got {array.shape}.")


def pair_motions(
    threes: Sequence[Motion3D], twos: Sequence[Motion2D]
) -> tuple[tuple[Motion3D, Motion2D], ...]:
    """Every 3D performance with every camera that saw it, cut to the same length.

    The detections of Human3.6M have a few frames more than its motion capture: they are cut.

    Raises:
        FormatError: a performance has fewer frames in 2D than in 3D, or none of them meet.
    """
    by_name = {(m.subject, m.action): m for m in threes}
    pairs = []
    for two in twos:
        three = by_name.get((two.subject, two.action))
        if three is None or (three.camera and three.camera != two.camera):
            continue
        if len(two) < len(three):
            raise FormatError(
                f"{two.subject} {two.action}, camera {two.camera}: {len(two)} frames in 2D and "
                f"{len(three)} in 3D. The files do not belong together."
            )
        pairs.append((three, replace(two, xy=two.xy[: len(three)])))
    if not pairs:
        raise FormatError(
            f"None of {len(threes)} 3D and {len(twos)} 2D performances have subject and action in "
            f"common. Read the two files of one data set."
        )
    return tuple(pairs)


def checked(
    value: object, joints: Sequence[int], axes: int, where: str, *, extra: bool = False
) -> NDArray[np.float32]:
    """An array ``(F, K, axes)`` of finite numbers with K one of ``joints``.

    Args:
        value: What the file holds.
        joints: Numbers of joints that are understood.
        axes: Coordinates a joint.
        where: File and record, for messages.
        extra: Whether one more number a joint (a score) may follow; it is cut off.

    Raises:
        FormatError: it is something else.
    """
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu":
        raise FormatError(f"{where} must be an array of numbers; got {type(value).__name__}.")
    allowed = (axes, axes + 1) if extra else (axes,)
    if value.ndim != 3 or value.shape[1] not in joints or value.shape[2] not in allowed:
        raise FormatError(
            f"{where} must be (frames, {' or '.join(map(str, joints))} joints, {axes}); got "
            f"{value.shape}."
        )
    found = np.asarray(value[..., :axes], np.float32)
    if not np.isfinite(found).all():
        bad = int(np.flatnonzero(~np.isfinite(found).all((1, 2)))[0])
        raise FormatError(f"{where}: frame {bad} holds a coordinate that is no finite number.")
    return found


def mapping(value: object, where: str) -> dict[str, Any]:
    """``value`` if it is a dict with names as keys.

    Raises:
        FormatError: it is something else.
    """
    if not isinstance(value, Mapping) or not value:
        raise FormatError(f"{where} must be a dict with something in it; got {_kind(value)}.")
    return {str(k): v for k, v in value.items()}


def entry(value: Mapping[str, Any], name: str, where: str) -> Any:
    """``value[name]``.

    Raises:
        FormatError: there is no such entry.
    """
    if name not in value:
        raise FormatError(f"{where} has no {name!r} (it has {', '.join(value) or 'nothing'}).")
    return value[name]


def _kind(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"an array {value.shape}"
    return f"an empty {type(value).__name__}" if not value else f"a {type(value).__name__}"


@dataclass(frozen=True)
class Camera:
    """A calibrated camera.

    Args:
        name: As the file calls it.
        focal_px: ``(2,)`` pixels.
        centre_px: ``(2,)`` principal point, pixels.
        size: Width and height, pixels.
        radial: ``(3,)`` distortion k1 k2 k3; zeros if the file has none.
        tangential: ``(2,)`` distortion p1 p2; zeros if the file has none.
        rotation: ``(3, 3)`` whose columns are the camera's axes in the world; None if not known.
        position: ``(3,)`` of the camera in the world, metres; None if not known.
    """

    name: str
    focal_px: NDArray[np.float64]
    centre_px: NDArray[np.float64]
    size: tuple[int, int]
    radial: NDArray[np.float64]
    tangential: NDArray[np.float64]
    rotation: NDArray[np.float64] | None = None
    position: NDArray[np.float64] | None = None

    def to_camera(self, xyz: NDArray[np.float64]) -> NDArray[np.float64]:
        """World -> camera axes, metres: ``R^T (x - position)``.

        Raises:
            FormatError: the file does not say where the camera stands.
        """
        if self.rotation is None or self.position is None:
            raise FormatError(f"Nobody knows where camera {self.name} stands.")
        return (np.asarray(xyz, np.float64) - self.position) @ self.rotation


def read_cameras(path: str | Path) -> dict[str, Camera]:
    """Read ``cameras.pkl`` as MMPose keeps it: name -> R, T, c, f, k, p, w, h.

    Returns:
        ``"S1 54138969"`` for Human3.6M, ``"S1_Seq1_Cam0"`` or ``"TS1"`` for MPI-INF-3DHP -> camera.

    Raises:
        FormatError: the file is missing, damaged, wants to run a program, or lacks a field.
    """
    content = read_pickle(path)
    if not isinstance(content, Mapping) or not content:
        raise FormatError(f"{path} must be a dict of cameras; got {_kind(content)}.")
    cameras = {}
    for key, value in content.items():
        name = " ".join(map(str, key)) if isinstance(key, tuple) else str(key)
        where = f"{path}: camera {name}"
        fields = mapping(value, where)
        placed = "R" in fields and "T" in fields
        cameras[name] = Camera(
            name,
            _flat(entry(fields, "f", where), 2, f"{where}, f"),
            _flat(entry(fields, "c", where), 2, f"{where}, c"),
            tuple(_count(entry(fields, n, where), f"{where}, {n}") for n in "wh"),  # type: ignore[arg-type]
            _flat(fields["k"], 3, f"{where}, k") if "k" in fields else np.zeros(3),
            _flat(fields["p"], 2, f"{where}, p") if "p" in fields else np.zeros(2),
            _flat(fields["R"], 9, f"{where}, R").reshape(3, 3) if placed else None,
            _flat(fields["T"], 3, f"{where}, T") if placed else None,
        )
    return cameras


def _flat(value: object, count: int, where: str) -> NDArray[np.float64]:
    try:
        found = np.asarray(value, np.float64).ravel()
    except (TypeError, ValueError) as error:
        raise FormatError(f"{where} must be {count} numbers; got {_kind(value)}.") from error
    if found.shape != (count,) or not np.isfinite(found).all():
        raise FormatError(f"{where} must be {count} finite numbers; got {found[:9].tolist()}.")
    return found


def _count(value: object, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value <= 0:
        raise FormatError(f"{where} must be a positive whole number; got {value!r}.")
    return int(value)


@dataclass(frozen=True)
class Pictures3D:
    """Unrelated pictures with joints in the picture and in camera space.

    Args:
        names: N picture names.
        xy: ``(N, K, 2)`` float32 pixels.
        visible: ``(N, K)`` bool.
        xyz_m: ``(N, K, 3)`` float32, camera axes, metres.
        centre: ``(N, 2)`` middle of the person's box, pixels.
        scale: ``(N,)`` side of the person's box over 200 pixels.
        skeleton: Names of the K joints.
    """

    names: tuple[str, ...]
    xy: NDArray[np.float32]
    visible: NDArray[np.bool_]
    xyz_m: NDArray[np.float32]
    centre: NDArray[np.float64]
    scale: NDArray[np.float64]
    skeleton: Skeleton


def read_pictures_3d(path: str | Path, skeleton: Skeleton) -> Pictures3D:
    """Read an ``.npz`` of MMPose's 3D data sets: imgname, center, scale, part, S.

    Args:
        path: The file.
        skeleton: Its joints, which it does not name: ``h36m17`` or ``mpi_inf_3dhp17``.

    Raises:
        FormatError: the file is missing or damaged, an array is missing or of another shape.
    """
    content = read_npz(path)
    part, space = (
        checked(entry(content, n, str(path)), [len(skeleton)], axes, f"{path}, {n}")
        for n, axes in (("part", 3), ("S", 4))
    )  # fmt: skip
    names = entry(content, "imgname", str(path))
    if not isinstance(names, np.ndarray) or names.dtype.kind not in "US" or names.ndim != 1:
        raise FormatError(f"{path}, imgname must be a list of names; got {_kind(names)}.")
    count = len(names)
    centre = _flat(entry(content, "center", str(path)), 2 * count, f"{path}, center")
    scale = _flat(entry(content, "scale", str(path)), count, f"{path}, scale")
    if len(part) != count or len(space) != count:
        raise FormatError(f"{path} has {count} names, {len(part)} part and {len(space)} S.")
    return Pictures3D(
        tuple(str(n) for n in names.tolist()), part[..., :2], part[..., 2] > 0, space[..., :3],
        centre.reshape(-1, 2), scale, skeleton,
    )  # fmt: skip
