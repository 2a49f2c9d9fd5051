"""MPII Human Pose: the release, HRNet's JSON, the evaluation file and the h5 copies.

Coordinates count from 1 everywhere and are read as counting from 0. Trap: the rectangle of a person
is the **head box**. People have no box of their own but a position and a scale (their height over
200 pixels); the box given here is the square of 200 x scale pixels about the position moved down by
15 x scale, which is where HRNet cuts (it then adds a quarter to the size, as every reader of boxes
here does). ``frame.extra["people"]`` holds ``center`` and ``scale`` as stored.

=============  ================  =====================================================
format         one frame is      visibility
=============  ================  =====================================================
release .mat   a picture         ``is_visible``; visible where it is empty (head points)
HRNet's JSON   a person          ``joints_vis`` 0 is absent, 1 visible or occluded
gt_valid.mat   a person          ``jnt_missing`` 1 is absent
h5 copies      a person          ``visible``; absent at or below (0, 0)
=============  ================  =====================================================

The files of one frame a person keep the order in which the field scores them. In the h5 copies
``normalize`` is already 0.6 of the head box's diagonal; it is kept as ``head_size_px`` of the
person and must not be multiplied again. How these copies mark absent joints is not confirmed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chronopose.core.labels import LabelledFrame, LabelledSequence
from chronopose.core.skeletons import MPII16
from chronopose.errors import FormatError, MissingExtra
from chronopose.io._fields import field, load_json, numbers, records
from chronopose.io._labelled import (
    ABSENT,
    LARGEST_PX,
    OCCLUDED,
    VISIBLE,
    Person,
    arranged,
    box_xyxy,
    frame_of,
    only_person,
    people_extra,
    pixels,
    positive,
    text,
    write_jsons,
)
from chronopose.io._mat import (
    has,
    load_mat,
    mat_array,
    mat_scalar,
    mat_text,
    member,
    save_mat,
    struct_array,
    struct_list,
)

_EDGES = ("x1", "y1", "x2", "y2")
_EVAL_NAMES = {
    "rank": "right_ankle", "rkne": "right_knee", "rhip": "right_hip", "lhip": "left_hip",
    "lkne": "left_knee", "lank": "left_ankle", "pelvis": "pelvis", "thorax": "thorax",
    "neck": "upper_neck", "head": "head_top", "rwri": "right_wrist", "relb": "right_elbow",
    "rsho": "right_shoulder", "lsho": "left_shoulder", "lelb": "left_elbow", "lwri": "left_wrist",
}  # fmt: skip


def person_square(center: Sequence[float], scale: float) -> list[float] | None:
    """The person's box x1 y1 x2 y2, from 0, of a stored position (from 1) and scale.

    None where the position is (-1, -1), which means that there is none.
    """
    if center[0] == -1:
        return None
    x, y, half = center[0] - 1, center[1] + 15 * scale - 1, 100 * scale
    return [x - half, y - half, x + half, y + half]


def _square_person(box: NDArray[np.float64]) -> tuple[list[float], float]:
    """Position and scale whose :func:`person_square` is about as large as the box."""
    if not np.isfinite(box).all():
        return [-1.0, -1.0], -1.0
    scale = float((box[2:] - box[:2]).max()) / 200
    x, y = ((box[:2] + box[2:]) / 2).tolist()
    return [x + 1, y - 15 * scale + 1], scale


def _center_and_scale(frame: LabelledFrame, row: int) -> tuple[list[float], float]:
    extra = people_extra(frame)[row]
    if "center" in extra and "scale" in extra:
        return extra["center"], extra["scale"]
    return _square_person(frame.boxes[row])


# ---- the release ----------------------------------------------------------------------------


def read_mpii(path: str | Path) -> list[LabelledSequence]:
    """Read the release, ``mpii_human_pose_v1_u12_1.mat``.

    Returns:
        One set of stills, one frame a picture; ``frame_index`` is its place in the file, from 0.
        ``labelled`` is ``img_train``. ``frame.extra`` holds ``video`` and ``frame_sec`` (of the
        clip the picture comes from), ``single_person`` (places among the people, from 0) and
        ``activity``, where the file has them.

    Raises:
        FormatError: the file is missing, damaged or something else; the message names the picture
            and the field.
    """
    release = load_mat(path, ["RELEASE"])["RELEASE"]
    listed = struct_list(member(release, "annolist", f"{path}: RELEASE"))
    train = mat_array(
        np.asarray(member(release, "img_train", f"{path}: RELEASE")).reshape(-1),
        (len(listed),), f"{path}: RELEASE.img_train",
    )  # fmt: skip
    more = {
        n: struct_list(member(release, n, str(path)))
        for n in ("single_person", "act", "video_list")
        if has(release, n)
    }
    frames = []
    for at, entry in enumerate(listed):
        where = f"{path}: annolist({at + 1})"
        name = mat_text(member(member(entry, "image", where), "name", where), f"{where}.image.name")
        rects = _listed(entry, "annorect", where) if has(entry, "annorect") else []
        people = [_rect(r, f"{where}.annorect({n + 1})") for n, r in enumerate(rects)]
        extra = _picture_extra(entry, at, more, where)
        frames.append(
            frame_of(where, name, at, MPII16, people, extra, labelled=bool(train[at] == 1))
        )
    return [LabelledSequence(Path(path).stem, MPII16, tuple(frames), is_video=False)]


def _listed(struct: object, name: str, where: str) -> list[Any]:
    return struct_list(member(struct, name, where))


def _rect(rect: object, where: str) -> Person:
    xy, visibility = np.full((16, 2), np.nan), np.full(16, ABSENT, np.int8)
    if has(rect, "annopoints"):
        points = _listed(member(rect, "annopoints", where), "point", where)
        for at, point in enumerate(points):
            here = f"{where}.point({at + 1})"
            joint = mat_scalar(member(point, "id", here), f"{here}.id")
            if joint not in range(16) or visibility[int(joint)] != ABSENT:
                raise FormatError(f"{here}.id is {joint:g}; ids are 0 to 15, each once a person.")
            xy[int(joint)] = [mat_scalar(member(point, n, here), f"{here}.{n}") for n in "xy"]
            visibility[int(joint)] = _point_visibility(point, here)
    person = Person(xy - 1, visibility)
    if any(has(rect, n) for n in _EDGES):
        edges = [mat_scalar(member(rect, n, where), f"{where}.{n}") - 1 for n in _EDGES]
        person.head_box = box_xyxy(edges, f"{where}, fields x1 y1 x2 y2")
    if has(rect, "scale") and has(rect, "objpos"):
        scale = mat_scalar(member(rect, "scale", where), f"{where}.scale")
        place = member(rect, "objpos", where)
        center = [mat_scalar(member(place, n, where), f"{where}.objpos.{n}") for n in "xy"]
        positive(scale, f"{where}.scale")
        person.box = person_square(center, scale)
        person.extra = {"center": center, "scale": scale}
    elif not isinstance(rect, dict):
        raise FormatError(f"{where} must be a struct; got {str(rect)[:60]!r}.")
    return person


def _point_visibility(point: object, where: str) -> int:
    if not has(point, "is_visible"):
        return VISIBLE
    value = member(point, "is_visible", where)
    code = {"0": 0.0, "1": 1.0}.get(str(value)) if isinstance(value, str) else None
    if code is None:
        code = mat_scalar(value, f"{where}.is_visible")
    if code not in (0, 1):
        raise FormatError(f"{where}.is_visible must be 0 or 1; got {code:g}.")
    return VISIBLE if code else OCCLUDED


def _picture_extra(
    entry: object, at: int, more: Mapping[str, list[Any]], where: str
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if has(entry, "frame_sec"):
        found["frame_sec"] = mat_scalar(member(entry, "frame_sec", where), f"{where}.frame_sec")
    if has(entry, "vididx"):
        place = int(mat_scalar(member(entry, "vididx", where), f"{where}.vididx"))
        videos = more.get("video_list", [])
        found["video"] = str(videos[place - 1]) if 0 < place <= len(videos) else place
    alone = more.get("single_person", [])
    if at < len(alone) and np.asarray(alone[at]).dtype.kind in "iuf" and np.size(alone[at]):
        found["single_person"] = [int(n) - 1 for n in np.asarray(alone[at]).reshape(-1)]
    acts = more.get("act", [])
    if at < len(acts) and has(acts[at], "act_name"):
        found["activity"] = mat_text(member(acts[at], "act_name", where), f"{where}: act_name")
    return found


def write_mpii(sequences: Sequence[LabelledSequence], path: str | Path) -> None:
    """Write joints, head boxes, positions and scales in the layout of the release.

    Raises:
        FormatError: the system refused to write.
        SkeletonMismatch: other joints.
    """
    frames = [f for s in sequences for f in arranged(s, MPII16, path)]
    nothing = np.zeros((0, 0))
    annolist = [
        {
            "image": {"name": f.name},
            "annorect": struct_array([_write_rect(f, r) for r in range(len(f))])
            if len(f)
            else nothing,
        }
        for f in frames
    ]
    train = np.array([[float(f.labelled) for f in frames]])
    release = {"annolist": struct_array(annolist), "img_train": train}
    save_mat(path, {"RELEASE": release})


def _write_rect(frame: LabelledFrame, row: int) -> dict[str, Any]:
    nothing = np.zeros((0, 0))
    points = [
        {
            "x": frame.xy[row, k, 0] + 1,
            "y": frame.xy[row, k, 1] + 1,
            "id": float(k),
            "is_visible": float(frame.visible[row, k]),
        }
        for k in np.flatnonzero(frame.known[row])
    ]
    head = frame.head_boxes[row] + 1
    center, scale = _center_and_scale(frame, row)
    boxed = scale >= 0
    return {
        **{n: float(v) if np.isfinite(v) else nothing for n, v in zip(_EDGES, head, strict=True)},
        "annopoints": {"point": struct_array(points)} if points else nothing,
        "scale": float(scale) if boxed else nothing,
        "objpos": {"x": float(center[0]), "y": float(center[1])} if boxed else nothing,
    }


# ---- HRNet's JSON ---------------------------------------------------------------------------


def read_mpii_hrnet(path: str | Path) -> list[LabelledSequence]:
    """Read ``train.json`` or ``valid.json`` as HRNet has them, one frame a person.

    Raises:
        FormatError: the file is missing, damaged or something else; the message names the record
            and the field.
    """
    frames = []
    for at, record in enumerate(records(load_json(path), f"{path}: the content")):
        where = f"{path}: record {at}"
        name = text(field(record, "image", where), f"{where}.image")
        joints = records(field(record, "joints", where), f"{where}.joints")
        if len(joints) != 16:
            raise FormatError(f"{where}.joints has {len(joints)} joints; MPII has 16.")
        xy = np.array([pixels(j, 2, f"{where}.joints[{n}]") for n, j in enumerate(joints)])
        seen = np.array(numbers(field(record, "joints_vis", where), 16, f"{where}.joints_vis"))
        if not np.isin(seen, (0, 1)).all():
            raise FormatError(f"{where}.joints_vis must hold 0 and 1 only.")
        center = pixels(field(record, "center", where), 2, f"{where}.center").tolist()
        scale = field(record, "scale", where)
        if center[0] != -1:
            scale = positive(scale, f"{where}.scale")
        person = Person(
            np.where(seen[:, None] == 1, xy - 1, np.nan),
            np.where(seen == 1, VISIBLE, ABSENT).astype(np.int8),
            box=person_square(center, scale),
            extra={"center": center, "scale": scale},
        )
        frames.append(frame_of(where, name, at, MPII16, [person]))
    return [LabelledSequence(Path(path).stem, MPII16, tuple(frames), is_video=False)]


def write_mpii_hrnet(sequences: Sequence[LabelledSequence], path: str | Path) -> None:
    """Write people as HRNet reads them: absent joints are (-1, -1), occluded ones are labelled.

    Raises:
        FormatError: the system refused to write.
        SkeletonMismatch: other joints.
    """
    found = []
    for frame in (f for s in sequences for f in arranged(s, MPII16, path)):
        for row in range(len(frame)):
            center, scale = _center_and_scale(frame, row)
            known = frame.known[row]
            joints = np.where(known[:, None], frame.xy[row] + 1, -1.0)
            found.append(
                {
                    "image": frame.name,
                    "joints": joints.tolist(),
                    "joints_vis": known.astype(int).tolist(),
                    "center": center,
                    "scale": scale,
                }
            )
    write_jsons({Path(path): found})


# ---- the evaluation file --------------------------------------------------------------------


def read_mpii_eval(path: str | Path) -> list[LabelledSequence]:
    """Read ``gt_valid.mat``: joints and head boxes of the people that the field scores.

    Returns:
        One set of stills, one frame a person, called by its place in the file.

    Raises:
        FormatError: the file is missing, damaged or something else; the message names the variable.
    """
    content = load_mat(path, ["dataset_joints", "jnt_missing", "pos_gt_src", "headboxes_src"])
    listed = struct_list(content["dataset_joints"])
    names = [mat_text(n, f"{path}: dataset_joints") for n in listed]
    ours = [_EVAL_NAMES.get(n, n) for n in names]
    if sorted(ours) != sorted(MPII16.joints):
        raise FormatError(f"{path}: dataset_joints are {', '.join(names)[:300]}: not MPII's.")
    order = [ours.index(j) for j in MPII16.joints]
    joints = mat_array(content["pos_gt_src"], (16, 2, None), f"{path}: pos_gt_src", nan=True)
    count = joints.shape[2]
    missing = mat_array(content["jnt_missing"], (16, None), f"{path}: jnt_missing")
    heads = mat_array(content["headboxes_src"], (2, 2, None), f"{path}: headboxes_src")
    if missing.shape[1] != count or heads.shape[2] != count or not np.isin(missing, (0, 1)).all():
        raise FormatError(
            f"{path}: {count} people in pos_gt_src, {missing.shape[1]} in jnt_missing (0 or 1) and "
            f"{heads.shape[2]} in headboxes_src must be as many."
        )
    frames = []
    for at in range(count):
        where = f"{path}: person {at}"
        known = missing[order, at] == 0
        xy = joints[order, :, at]
        if np.isnan(xy[known]).any():
            raise FormatError(f"{where} has a joint without pos_gt_src that is not missing.")
        head = box_xyxy((heads[:, :, at].reshape(-1) - 1).tolist(), f"{where}, headboxes_src")
        person = Person(
            np.where(known[:, None], xy - 1, np.nan),
            np.where(known, VISIBLE, ABSENT).astype(np.int8),
            head_box=head,
        )
        frames.append(frame_of(where, f"{at:05d}", at, MPII16, [person]))
    return [LabelledSequence(Path(path).stem, MPII16, tuple(frames), is_video=False)]


def write_mpii_eval(sequences: Sequence[LabelledSequence], path: str | Path) -> None:
    """Write people in the layout of ``gt_valid.mat``; absent joints are (0, 0) and missing.

    Raises:
        FormatError: a frame without exactly one person or without a head box, or the system
            refused to write.
        SkeletonMismatch: other joints.
    """
    frames = [f for s in sequences for f in arranged(s, MPII16, path)]
    for frame in frames:
        only_person(frame, path)
        if not np.isfinite(frame.head_boxes).all():
            raise FormatError(f"Cannot write {path}: the person of {frame.name} has no head box.")
    names = {ours: theirs for theirs, ours in _EVAL_NAMES.items()}
    joints = np.array([np.nan_to_num(f.xy[0] + 1) for f in frames]).reshape(-1, 16, 2)
    heads = np.array([f.head_boxes[0] + 1 for f in frames]).reshape(-1, 2, 2)
    missing = np.array([~f.known[0] for f in frames]).reshape(-1, 16)
    save_mat(
        path,
        {
            "dataset_joints": np.array([[names[j] for j in MPII16.joints]], dtype=object),
            "jnt_missing": missing.T.astype(np.float64),
            "pos_gt_src": joints.transpose(1, 2, 0),
            "headboxes_src": heads.transpose(1, 2, 0),
        },
    )


# ---- the h5 copies --------------------------------------------------------------------------


def read_mpii_h5(path: str | Path) -> list[LabelledSequence]:
    """Read the h5 copies (``train.h5``, ``valid.h5``), one frame a person.

    Raises:
        FormatError: the file is missing, damaged or something else; the message names the array.
        MissingExtra: h5py is not installed.
    """
    arrays = _h5_arrays(path, ("part", "visible", "center", "scale", "imgname"), ("normalize",))
    part = mat_array(arrays["part"], (None, 16, 2), f"{path}: part")
    count = len(part)
    seen = mat_array(arrays["visible"], (count, 16), f"{path}: visible")
    center = mat_array(arrays["center"], (count, 2), f"{path}: center")
    scale = mat_array(arrays["scale"].reshape(-1), (count,), f"{path}: scale")
    if not np.isin(seen, (0, 1)).all() or (scale < 0).any():
        raise FormatError(f"{path}: visible must hold 0 and 1, and scale nothing negative.")
    sizes = None
    if "normalize" in arrays:
        sizes = mat_array(arrays["normalize"].reshape(-1), (count,), f"{path}: normalize")
    names = _h5_names(arrays["imgname"], count, path)
    absent: NDArray[np.bool_] = np.all(part <= 0, axis=-1)
    visibility = np.where(absent, ABSENT, np.where(seen == 1, VISIBLE, OCCLUDED)).astype(np.int8)
    frames = []
    for at in range(count):
        extra: dict[str, Any] = {"center": center[at].tolist(), "scale": float(scale[at])}
        if sizes is not None:
            extra["head_size_px"] = float(sizes[at])
        person = Person(
            np.where(absent[at][:, None], np.nan, part[at] - 1),
            visibility[at],
            box=person_square(extra["center"], extra["scale"]),
            extra=extra,
        )
        frames.append(frame_of(f"{path}: row {at}", names[at], at, MPII16, [person]))
    return [LabelledSequence(Path(path).stem, MPII16, tuple(frames), is_video=False)]


def _h5_arrays(
    path: str | Path, needed: Sequence[str], optional: Sequence[str]
) -> dict[str, NDArray[Any]]:
    try:
        import h5py
    except ImportError as error:
        raise MissingExtra("h5py", "formats", f"Reading {path}") from error
    try:
        with h5py.File(path, "r") as file:
            lacking = [n for n in needed if not isinstance(file.get(n), h5py.Dataset)]
            if lacking:
                raise FormatError(f"{path} has no array {lacking[0]!r} (it has {', '.join(file)}).")
            return {n: np.asarray(file[n]) for n in (*needed, *optional) if n in file}
    except (OSError, KeyError, ValueError, RuntimeError, TypeError, MemoryError) as error:
        reason = " ".join(str(error).split())[:200]
        raise FormatError(
            f"Cannot read {path}: it is no HDF5 file, or it is damaged or cut short ({reason})."
        ) from error


def _h5_names(value: NDArray[Any], count: int, path: str | Path) -> list[str]:
    """Pictures' names: texts, or rows of character codes in numbers, filled up with zeros."""
    where = f"{path}: imgname"
    if len(value) != count:
        raise FormatError(f"{where} has {len(value)} rows for {count} people.")
    if value.dtype.kind in "SO":
        names = [n.decode("latin-1") if isinstance(n, bytes) else str(n) for n in value.tolist()]
    else:
        codes = mat_array(value, (count, None), where, limit=LARGEST_PX)
        if not ((codes >= 0) & (codes < 256) & (codes % 1 == 0)).all():
            raise FormatError(f"{where} must hold character codes from 0 to 255.")
        names = [bytes(row.astype(np.uint8)).rstrip(b"\0").decode("latin-1") for row in codes]
    return names
