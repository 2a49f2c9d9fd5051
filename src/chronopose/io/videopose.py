"""The ``.npz`` files of VideoPose3D: trees of arrays, pickled, that half of the field reads.

3D: ``positions_3d`` = {subject: {action: (F, K, 3)}}. 2D: ``positions_2d`` = {subject: {action:
[one (F, K, 2) a camera]}} with ``metadata`` = {layout_name, num_joints, keypoints_symmetry}. A file
of one's own videos is the 2D kind with {video: {"custom": [(F, 17, 2)]}} and
``metadata.video_metadata`` = {video: {w, h}}.

The joints are recognised by their number and by which of them are left and right; a file in which
these do not fit a known order is refused. Nothing that is pickled in a file is run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import COCO17, H36M17, HUMANEVA15, MPII16
from chronopose.core.tracks import VideoPoses
from chronopose.errors import FormatError
from chronopose.io._safe_pickle import read_npz
from chronopose.io.atomic import replacing
from chronopose.io.motion import Motion2D, checked, entry, mapping

LAYOUTS = (H36M17, COCO17, MPII16, HUMANEVA15)
CUSTOM = "custom"


def tree_3d(path: str | Path, joints: Sequence[int]) -> list[tuple[str, str, NDArray[np.float32]]]:
    """Subject, action and ``(F, K, 3)`` of every performance in a 3D file.

    Args:
        path: The file.
        joints: Numbers of joints that are understood.

    Raises:
        FormatError: the file is missing, damaged, wants to run a program, or is another tree.
    """
    content = read_npz(path)
    tree = mapping(entry(content, "positions_3d", str(path)), f"{path}, positions_3d")
    found = []
    for subject, actions in tree.items():
        for action, value in mapping(actions, f"{path}, {subject}").items():
            xyz = checked(value, joints, 3, f"{path}, {subject}, {action!r}")
            found.append((subject, action, xyz))
    return found


def symmetry_layout(metadata: Mapping[str, Any], path: str | Path) -> Skeleton:
    """The joints that ``metadata`` describes by their number and their sides.

    Raises:
        FormatError: none of :data:`LAYOUTS` fits.
    """
    where = f"{path}, metadata"
    symmetry = entry(metadata, "keypoints_symmetry", where)
    try:
        left, right = ({int(i) for i in side} for side in symmetry)
        count = int(metadata.get("num_joints", 0))
    except (TypeError, ValueError) as error:
        raise FormatError(
            f"{where}: keypoints_symmetry must be two lists of joint numbers; got "
            f"{str(symmetry)[:80]}."
        ) from error
    for skeleton in LAYOUTS:
        sides = [
            {i for i, j in enumerate(skeleton.joints) if j.startswith(side)}
            for side in ("left_", "right_")
        ]
        if sides == [left, right] and count in (0, len(skeleton)):
            return skeleton
    raise FormatError(
        f"{where}: {count} joints with {sorted(left)} left and {sorted(right)} right are none of "
        f"{', '.join(s.name for s in LAYOUTS)}."
    )


def tree_2d(
    path: str | Path,
    cameras: Sequence[str],
    fps: float,
    size: Callable[[str, str], tuple[int, int] | None],
    rename: Callable[[str], str] = str,
) -> tuple[Motion2D, ...]:
    """Every performance in a 2D file, seen by every camera.

    Args:
        path: The file.
        cameras: Names of the cameras in the order of the lists.
        fps: Frames a second of the data set.
        size: Subject and camera -> width and height of the pictures, pixels.
        rename: Action -> its name in the other files of the data set.

    Raises:
        FormatError: the file is missing, damaged, wants to run a program, is another tree, has
            another number of cameras, or joints that are not known.
    """
    content = read_npz(path)
    metadata = mapping(entry(content, "metadata", str(path)), f"{path}, metadata")
    skeleton = symmetry_layout(metadata, path)
    tree = mapping(entry(content, "positions_2d", str(path)), f"{path}, positions_2d")
    found = []
    for subject, actions in tree.items():
        for action, views in mapping(actions, f"{path}, {subject}").items():
            where = f"{path}, {subject}, {action!r}"
            if not isinstance(views, list | tuple | np.ndarray) or len(views) != len(cameras):
                count = len(views) if isinstance(views, list | tuple | np.ndarray) else 0
                raise FormatError(f"{where} has {count} cameras instead of {len(cameras)}.")
            for camera, value in zip(cameras, views, strict=True):
                xy = checked(value, [len(skeleton)], 2, f"{where}, camera {camera}", extra=True)
                seen = size(subject, camera)
                found.append(Motion2D(subject, rename(action), camera, xy, skeleton, fps, seen))
    return tuple(found)


def read_custom_video(path: str | Path) -> tuple[Motion2D, ...]:
    """Read ``data_2d_custom_NAME.npz``, the poses of one's own videos.

    Returns:
        One entry a video, with its name as the subject and ``fps`` NaN unless the file has it.

    Raises:
        FormatError: as for :func:`tree_2d`, or the size of a video is missing.
    """
    content = read_npz(path)
    metadata = mapping(entry(content, "metadata", str(path)), f"{path}, metadata")
    about = mapping(
        entry(metadata, "video_metadata", f"{path}, metadata"), f"{path}, video_metadata"
    )
    skeleton = symmetry_layout(metadata, path)
    tree = mapping(entry(content, "positions_2d", str(path)), f"{path}, positions_2d")
    found = []
    for video, actions in tree.items():
        where = f"{path}, {video}"
        views = entry(mapping(actions, where), CUSTOM, where)
        if not isinstance(views, list | tuple | np.ndarray) or len(views) != 1:
            raise FormatError(f"{where} must have one camera under {CUSTOM!r}.")
        facts = mapping(entry(about, video, f"{path}, video_metadata"), f"{where}, video_metadata")
        try:
            width, height = (int(entry(facts, n, f"{where}, video_metadata")) for n in "wh")
            fps = float(facts.get("fps", "nan"))
        except (TypeError, ValueError) as error:
            raise FormatError(f"{where}: w, h and fps must be numbers; got {facts}.") from error
        xy = checked(views[0], [len(skeleton)], 2, where, extra=True)
        found.append(Motion2D(video, CUSTOM, "", xy, skeleton, fps, (width, height)))
    return tuple(found)


def write_custom_video(poses: VideoPoses, path: str | Path, person: int | None = None) -> None:
    """Write the poses of one person for VideoPose3D's own videos, as the 17 joints of COCO.

    Args:
        poses: 2D poses; the video's size must be known.
        path: The file to be, usually ``data_2d_custom_NAME.npz``; it appears whole or not at all.
        person: Whose, if there are several.

    Raises:
        FormatError: several people and no ``person``, frames or joints missing (the file has no
            way to say so: fill the gaps first), unknown size, or the file cannot be written.
    """
    if person is None and len(poses) != 1:
        raise FormatError(
            f"Cannot write {path}: it holds one person and there are {len(poses)}. Say whose "
            f"poses, one of {poses.ids.tolist()}."
        )
    track = poses.person(int(poses.ids[0]) if person is None else person)
    if 0 in poses.info.size or track.poses.space != "image_px":
        raise FormatError(
            f"Cannot write {path}: it needs poses in pixels ({track.poses.space}) and the size of "
            f"the video ({poses.info.size})."
        )
    xy = track.poses.to_skeleton(COCO17, missing="nan").xy
    if not np.isfinite(xy).all() or (np.diff(track.frame_index) != 1).any():
        raise FormatError(
            f"Cannot write {path}: it has no way to say that a joint or a frame is missing, and "
            f"some are. Fill the gaps first."
        )
    name = Path(poses.info.source).stem or "video"
    left, right = ([p[side] for p in COCO17.mirror_pairs] for side in (0, 1))
    facts: dict[str, float] = {"w": poses.info.size[0], "h": poses.info.size[1]}
    if poses.info.rate_hz > 0:
        facts["fps"] = poses.info.rate_hz
    metadata = {
        "layout_name": "coco",
        "num_joints": len(COCO17),
        "keypoints_symmetry": [left, right],
        "video_metadata": {name: facts},
    }
    tree = {name: {CUSTOM: [xy.astype(np.float32)]}}
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(
            file, positions_2d=np.array(tree, object), metadata=np.array(metadata, object)
        )
