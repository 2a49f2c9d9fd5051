"""The one door to files of joints in space: a name or the content picks the reader.

``motion`` is our own ``.npz``, plain arrays that ``numpy.savez`` writes and nothing pickled, for
what somebody predicted or measured:

- ``names`` (N, 3) texts: subject, action and camera of each performance, empty where there is none;
- ``joints`` (K) texts, ``units`` ``"m"`` or ``"mm"``, ``space`` ``"camera"`` or ``"world"``;
- ``xyz_0`` ... ``xyz_N-1``, each (F, K, 3) numbers, one row a frame;
- ``valid_0`` ... (F) flags of frames that count, and ``fps`` (N) frames a second, if there are any.

The others are those of the 3D data sets (:mod:`chronopose.io.motion`), and the files of poses whose
joints are 3D (:mod:`chronopose.io.poses`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import find_skeleton, joint_name
from chronopose.core.tracks import PersonTrack, VideoPoses
from chronopose.errors import ChronoposeError, FormatError
from chronopose.io._safe_pickle import read_npz
from chronopose.io.atomic import replacing
from chronopose.io.h36m import FPS, read_h36m_3d
from chronopose.io.humaneva import read_humaneva_3d
from chronopose.io.motion import Motion3D, entry, mapping
from chronopose.io.motionbert import read_motionbert
from chronopose.io.mpi_inf_3dhp import read_3dhp_test, read_3dhp_train
from chronopose.io.poses import FORMATS, read_poses

UNITS, SPACES = ("m", "mm"), ("camera", "world")


def read_motions(path: str | Path, format: str | None = None) -> tuple[Motion3D, ...]:
    """Read performances in space.

    Args:
        path: A file, or a folder of files of poses, one a performance.
        format: A name of :data:`MOTION_FORMATS` or of :data:`~chronopose.io.poses.FORMATS`; None
            finds out by the content.

    Raises:
        FormatError: unknown format, a content that no format explains, or a file that is missing
            or damaged; the message names the file and the field.
    """
    if format is not None and format not in (*MOTION_FORMATS, *FORMATS):
        raise FormatError(
            f"There is no format {format!r} for joints in space. There are: "
            f"{', '.join((*MOTION_FORMATS, *FORMATS))}."
        )
    source = Path(path)
    if source.is_dir() and format in (None, "poses", *FORMATS):
        files = sorted(f for f in source.iterdir() if f.is_file() and not f.name.startswith("."))
        if not files:
            raise FormatError(f"{path} is a folder without files. Give the folder of the poses.")
        return tuple(m for f in files for m in read_motions(f, format))
    if format in FORMATS:
        return motions_of(read_poses(path, format), source.name.split(".")[0])
    return MOTION_FORMATS[format or _sniff(source)](path)


def _read_poses(path: str | Path) -> tuple[Motion3D, ...]:
    return motions_of(read_poses(path), Path(path).name.split(".")[0])


def motions_of(poses: VideoPoses, action: str) -> tuple[Motion3D, ...]:
    """The people of a video as performances, each from frame 0 to the last one looked at.

    Args:
        poses: 3D poses.
        action: What the performances are to be called.

    Returns:
        One for each person, whose id is the subject if there are several. Frames in which a joint
        is not known are not valid.

    Raises:
        FormatError: the poses are flat.
    """
    flat = [t for t in poses.tracks if t.poses.space not in ("camera_mm", "root_mm")]
    if flat or not poses.tracks:
        raise FormatError(
            f"{poses.info.source!r} holds {'joints of a picture' if flat else 'no person'}; 3D "
            f"errors need joints in space. Score 2D poses with a 2D metric."
        )
    last = max(int(t.frame_index.max()) for t in poses.tracks)
    count = max(last, int(poses.frame_index.max(initial=-1))) + 1
    rate = poses.info.rate_hz
    several = len(poses) > 1
    return tuple(
        _motion_of(t, count, str(t.track_id) if several else "", action, rate) for t in poses.tracks
    )


def _motion_of(
    track: PersonTrack, count: int, subject: str, action: str, rate_hz: float
) -> Motion3D:
    xyz = np.full((count, *track.poses.xy.shape[1:]), np.nan, np.float32)
    xyz[track.frame_index] = track.poses.xy
    return Motion3D(
        subject, action, xyz, track.poses.skeleton, "mm", "camera",
        rate_hz if rate_hz > 0 else float("nan"), valid=np.asarray(np.isfinite(xyz).all((1, 2))),
    )  # fmt: skip


# ---- our own file --------------------------------------------------------------------------------


def write_motions(motions: Sequence[Motion3D], path: str | Path) -> None:
    """Write performances as our own ``.npz``; the file appears whole or not at all.

    Args:
        motions: Of one skeleton, one unit and one space.
        path: The file to be.

    Raises:
        FormatError: they are of several kinds, two have the same names, there is none, or the
            system refused to write.
    """
    kinds = {(m.skeleton.joints, m.units, m.space) for m in motions}
    names = [(m.subject, m.action, m.camera) for m in motions]
    if len(kinds) != 1:
        told = sorted(f"{m.skeleton.name} in {m.units}, {m.space}" for m in motions)
        raise FormatError(
            f"Cannot write {path}: a file holds performances of one skeleton, unit and space; got "
            f"{'; '.join(dict.fromkeys(told)) or 'none'}."
        )
    if len(set(names)) != len(names):
        twice = next(n for n in names if names.count(n) > 1)
        raise FormatError(
            f"Cannot write {path}: two performances are called {' '.join(twice).strip()!r}."
        )
    first = motions[0]
    arrays: dict[str, Any] = {f"xyz_{i}": m.xyz for i, m in enumerate(motions)}
    arrays |= {f"valid_{i}": m.valid for i, m in enumerate(motions)}
    arrays |= {"names": np.array(names), "joints": np.array(first.skeleton.joints)}
    arrays |= {"units": np.array(first.units), "space": np.array(first.space)}
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, fps=np.array([m.fps for m in motions]), **arrays)


def _read_motion(path: str | Path) -> tuple[Motion3D, ...]:
    content = read_npz(path)
    joints = _texts(entry(content, "joints", str(path)), 1, f"{path}, joints")
    skeleton = _skeleton(joints.tolist(), f"{path}, joints")
    names = _texts(entry(content, "names", str(path)), 2, f"{path}, names")
    if names.shape[1] != 3:
        raise FormatError(f"{path}, names must be (N, 3): subject, action, camera; got {names}.")
    if len({tuple(n) for n in names.tolist()}) != len(names):
        raise FormatError(f"{path}, names: two performances are called the same.")
    units = _one_of(content, "units", UNITS, path)
    space = _one_of(content, "space", SPACES, path)
    fps = np.asarray(content.get("fps", np.full(len(names), np.nan)))
    if fps.dtype.kind not in "fiu" or fps.shape != (len(names),):
        raise FormatError(f"{path}, fps must be {len(names)} numbers; got {fps.dtype} {fps.shape}.")
    strange = [
        n for n in content if n.startswith("xyz_") and n[4:] not in map(str, range(len(fps)))
    ]
    if strange:
        raise FormatError(f"{path} has {strange[0]}, but names of only {len(names)} performances.")
    found = []
    for i, (subject, action, camera) in enumerate(names.tolist()):
        valid = _flags(content.get(f"valid_{i}"), f"{path}, valid_{i}")
        xyz = _joints(entry(content, f"xyz_{i}", str(path)), valid, skeleton, f"{path}, xyz_{i}")
        found.append(
            Motion3D(
                subject, action, xyz, skeleton, units, space, float(fps[i]), camera, valid,  # type: ignore[arg-type]
            )
        )  # fmt: skip
    return tuple(found)


def _texts(value: object, axes: int, where: str) -> NDArray[np.str_]:
    if not isinstance(value, np.ndarray) or value.dtype.kind != "U" or value.ndim != axes:
        raise FormatError(f"{where} must be an array of texts with {axes} axes.")
    return value


def _skeleton(joints: list[str], where: str) -> Skeleton:
    known = find_skeleton(joints)
    if known is not None:
        return known
    try:
        return Skeleton("of the file", tuple(joint_name(j) for j in joints))
    except ChronoposeError as error:
        raise FormatError(f"{where}: {error}") from error


def _one_of(content: Mapping[str, Any], name: str, known: Sequence[str], path: str | Path) -> str:
    value = entry(content, name, str(path))
    found = str(value.item()) if isinstance(value, np.ndarray) and value.ndim == 0 else str(value)
    if found not in known:
        raise FormatError(f"{path}, {name} must be {' or '.join(known)}; got {found[:40]!r}.")
    return found


def _flags(value: object, where: str) -> NDArray[np.bool_] | None:
    if value is None:
        return None
    if not isinstance(value, np.ndarray) or value.dtype.kind != "b" or value.ndim != 1:
        raise FormatError(f"{where} must be a list of true and false, one for each frame.")
    return value


def _joints(
    value: object, valid: NDArray[np.bool_] | None, skeleton: Skeleton, where: str
) -> NDArray[np.float32]:
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu":
        raise FormatError(f"{where} must be an array of numbers; got {type(value).__name__}.")
    if value.ndim != 3 or value.shape[1:] != (len(skeleton), 3):
        raise FormatError(f"{where} must be (frames, {len(skeleton)}, 3); got {value.shape}.")
    if valid is not None and len(valid) != len(value):
        raise FormatError(f"{where} has {len(value)} frames and {len(valid)} flags of validity.")
    bad = ~np.isfinite(value).all((1, 2)) & (True if valid is None else valid)
    if bad.any():
        raise FormatError(
            f"{where}: frame {int(np.flatnonzero(bad)[0])} holds a coordinate that is no finite "
            f"number. Fill it, or mark the frame in valid_N."
        )
    return value.astype(np.float32)


# ---- finding out ---------------------------------------------------------------------------------


def _read_motionbert_test(path: str | Path) -> tuple[Motion3D, ...]:
    """The test part in the space that its results are scored in, millimetres."""
    part = read_motionbert(path).get("test")
    if part is None or part.xyz_25d is None or part.mm_factor is None or part.action is None:
        raise FormatError(
            f"{path} has no test part with joints_2.5d_image, 2.5d_factor and action, which 3D "
            f"errors are measured by. Give the file as released."
        )
    xyz = part.xyz_25d * part.mm_factor[:, None, None]
    return tuple(
        Motion3D(
            str(part.source[rows][0]), str(part.action[rows][0]), xyz[rows], part.skeleton, "mm",
            "camera", FPS, str(part.camera[rows][0]),
        )
        for rows in part.runs()
    )  # fmt: skip


MOTION_FORMATS: dict[str, Callable[[str | Path], tuple[Motion3D, ...]]] = {
    "motion": _read_motion,
    "h36m": read_h36m_3d,
    "humaneva": read_humaneva_3d,
    "3dhp_train": lambda path: tuple(three for three, _ in read_3dhp_train(path)),
    "3dhp_test": lambda path: tuple(three for three, _ in read_3dhp_test(path)),
    "motionbert": _read_motionbert_test,
    "poses": _read_poses,
}
"""Name -> reader of performances in space."""


def _sniff(path: Path) -> str:
    if path.suffix.lower() == ".pkl":
        return "motionbert"
    if path.suffix.lower() != ".npz":
        return "poses"
    content = read_npz(path)
    if "names" in content or "xyz_0" in content:
        return "motion"
    if "positions_3d" in content:
        counts = {
            np.shape(xyz)[1:2]
            for actions in mapping(content["positions_3d"], f"{path}, positions_3d").values()
            for xyz in mapping(actions, f"{path}, positions_3d").values()
        }
        return "humaneva" if counts == {(15,)} else "h36m"
    if "data" in content:
        listed = mapping(content["data"], f"{path}, data")
        test = all(isinstance(v, Mapping) and "data_3d" in v for v in listed.values())
        return "3dhp_test" if test else "3dhp_train"
    raise FormatError(
        f"{path} holds {', '.join(content) or 'nothing'}, which is no file of joints in space that "
        f"is known. Name it if it is one of these: {', '.join(MOTION_FORMATS)}."
    )
