"""A person in space as a BVH figure: bones of fixed length and the turns that pose them.

BVH knows no joints in space, only a skeleton and rotations, so something is chosen here:

- A bone is as long as the median of the clip; the file holds centimetres, y up, z towards the
  viewer, so that a person who faces the camera faces +z.
- The rest pose (all angles zero) is a T: arms out to the sides, legs down, spine and head up.
- A joint with one bone below it takes the shortest turn from where that bone would point to where
  it points. How a bone turns around its own length (twist) cannot be seen in joints: the shortest
  turn leaves it alone, so hands, feet and the direction of the palms mean nothing.
- A joint with several bones (pelvis, thorax) takes the turn that fits all of them best. What is
  left goes into joints of length zero, ``to_left_hip`` and so on, so that every bone points
  exactly where it did.

BVH has one frame time: frames at unequal times are interpolated at the median step, and gaps are
bridged by a straight line, which is said (:class:`~chronopose.io.poses.FormatLoss`). Scores, boxes
and ids are not held; a file holds one person.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from chronopose.core.skeleton import Skeleton
from chronopose.core.tracks import PersonTrack, VideoPoses
from chronopose.errors import FormatError
from chronopose.io._foreign import tell
from chronopose.io.bvh import END, BvhMotion, write_bvh

Array = NDArray[np.float64]

CM_PER_MM = 0.1
Y_UP = np.array([1.0, -1.0, -1.0])
TURNS = ("Zrotation", "Xrotation", "Yrotation")
MOVES = ("Xposition", "Yposition", "Zposition")
AXES = {"left": (1.0, 0, 0), "right": (-1.0, 0, 0), "up": (0, 1.0, 0), "down": (0, -1.0, 0)}
DOWN = ("knee", "ankle")
SIDEWAYS = ("hip", "shoulder", "elbow", "wrist")
GAP_STEPS = 2.5
"""A wait of more than so many usual steps is called a gap."""


def figure_of(skeleton: Skeleton) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Joints in an order with parents first, and their parents, from the limbs.

    Raises:
        FormatError: there is no pelvis, or the limbs are no tree that reaches every joint.
    """
    if "pelvis" not in skeleton.joints:
        raise FormatError(
            f"BVH needs a root, and {skeleton.name!r} has no pelvis. Lift into h36m17."
        )
    names, parents = ["pelvis"], [-1]
    for at, joint in enumerate(names):
        for pair in skeleton.limbs:
            other = pair[1 - pair.index(joint)] if joint in pair else joint
            if other not in names:
                names.append(other)
                parents.append(at)
    if len(names) != len(skeleton) or len(skeleton.limbs) != len(names) - 1:
        raise FormatError(
            f"BVH needs bones that form a tree from the pelvis; the limbs of {skeleton.name!r} do "
            f"not. Lift into h36m17."
        )
    return tuple(names), tuple(parents)


def rest_direction(joint: str) -> Array:
    """``(3,)`` where the bone that ends in a joint points in the rest pose."""
    side, _, part = joint.partition("_")
    if side in ("left", "right"):
        if part in DOWN:
            return np.array(AXES["down"])
        if part in SIDEWAYS:
            return np.array(AXES[side])
    return np.array(AXES["up"])


def bvh_of_track(track: PersonTrack) -> BvhMotion:
    """The figure of one person.

    Args:
        track: 3D poses whose skeleton's limbs form a tree from the pelvis; rows with unknown joints
            are bridged.

    Raises:
        FormatError: flat poses, fewer than one whole frame, or no such tree.
    """
    if track.poses.xy.shape[-1] != 3:
        raise FormatError(
            f"BVH holds motion in space; the poses of person {track.track_id} are flat. Lift them "
            f"first: chronopose lift."
        )
    names, parents = figure_of(track.poses.skeleton)
    xyz, step_s = _steady(track)
    order = [track.poses.skeleton.index(n) for n in names]
    return _figure(names, parents, xyz[:, order] * Y_UP * CM_PER_MM, step_s)


def write_bvh_poses(poses: VideoPoses, path: str | Path) -> tuple[Path, ...]:
    """Write everybody, one file a person.

    Args:
        poses: 3D poses.
        path: The file to be; with several people ``walk.bvh`` becomes ``walk_3.bvh`` and so on.

    Returns:
        The files.

    Raises:
        FormatError: there is nobody, or as for :func:`bvh_of_track`.
    """
    if not poses.tracks:
        raise FormatError(f"Cannot write {path}: there is nobody in these poses.")
    files = bvh_files(path, poses.ids.tolist())
    for file, track in zip(files, poses.tracks, strict=True):
        write_bvh(file, bvh_of_track(track))
    return files


def bvh_files(path: str | Path, ids: list[int]) -> tuple[Path, ...]:
    """Names of the files that :func:`write_bvh_poses` writes."""
    base = Path(path)
    if len(ids) < 2:
        return (base,)
    return tuple(base.with_name(f"{base.stem}_{i}{base.suffix}") for i in ids)


def _steady(track: PersonTrack) -> tuple[Array, float]:
    """``(F, K, 3)`` joints at equal steps, and the step in seconds."""
    xyz = track.poses.xy.astype(np.float64)
    whole = np.isfinite(xyz).all((1, 2))
    if not whole.any():
        raise FormatError(f"Person {track.track_id} has no frame with all joints known.")
    xyz, times = xyz[whole], track.time_s[whole]
    if len(times) == 1:
        return xyz, 1.0
    steps = np.diff(times)
    step = float(np.median(steps))
    gaps = int((steps > GAP_STEPS * step).sum())
    if gaps:
        many = "a gap is" if gaps == 1 else f"{gaps} gaps are"
        tell(f"BVH, person {track.track_id}: {many} bridged by a straight line.")
    wanted = times[0] + step * np.arange(round((times[-1] - times[0]) / step) + 1)
    flat = xyz.reshape(len(xyz), -1)
    steady = np.stack([np.interp(wanted, times, column) for column in flat.T], axis=-1)
    return steady.reshape(len(wanted), *xyz.shape[1:]), step


def _figure(
    names: tuple[str, ...], parents: tuple[int, ...], xyz: Array, step_s: float
) -> BvhMotion:
    """The motion of joints ``(F, J, 3)``, centimetres with y up."""
    below = {j: [c for c, p in enumerate(parents) if p == j] for j in range(len(names))}
    bones = {c: xyz[:, c] - xyz[:, p] for c, p in enumerate(parents) if p >= 0}
    length = {c: float(np.median(np.linalg.norm(b, axis=-1))) for c, b in bones.items()}
    rest = {c: rest_direction(names[c]) for c in bones}
    maker = _Maker(len(xyz))
    waiting = [(0, -1, np.broadcast_to(np.eye(3), (len(xyz), 3, 3)))]
    while waiting:
        joint, parent, above = waiting.pop()
        children = below[joint]
        point = {c: np.einsum("fba,fb->fa", above, bones[c]) for c in children}
        if len(children) == 1:
            turn = shortest_turn(rest[children[0]], point[children[0]])
        else:
            turn = _best_turn({c: rest[c] for c in children}, point, len(xyz))
        offset = rest[joint] * length[joint] if joint in length else np.zeros(3)
        at = maker.add(names[joint], parent, offset, turn, xyz[:, 0] if joint == 0 else None)
        now = above @ turn
        if not children:
            maker.end(names[joint], at)
        for child in children:
            if len(children) == 1:
                waiting.append((child, at, now))
                continue
            left = np.einsum("fba,fb->fa", now, bones[child])
            small = shortest_turn(rest[child], left)
            between = maker.add(f"to_{names[child]}", at, np.zeros(3), small, None)
            waiting.append((child, between, now @ small))
    return maker.motion(step_s)


class _Maker:
    """A figure while it is made."""

    def __init__(self, frames: int) -> None:
        self._frames = frames
        self._joints: list[str] = []
        self._parents: list[int] = []
        self._offsets: list[Array] = []
        self._channels: list[tuple[str, ...]] = []
        self._values: list[Array] = []

    def add(self, name: str, parent: int, offset: Array, turn: Array, place: Array | None) -> int:
        """A joint with its ``(F, 3, 3)`` turns and, for the root, its ``(F, 3)`` places."""
        self._joints.append(name)
        self._parents.append(parent)
        self._offsets.append(offset)
        angles = Rotation.from_matrix(turn).as_euler("ZXY", degrees=True)
        angles = np.unwrap(angles, axis=0, period=360.0)
        if place is not None:
            self._values.append(place)
        self._channels.append(TURNS if place is None else (*MOVES, *TURNS))
        self._values.append(angles)
        return len(self._joints) - 1

    def end(self, name: str, parent: int) -> None:
        """The end site that readers expect below a joint without bones; it has no length."""
        self._joints.append(name + END)
        self._parents.append(parent)
        self._offsets.append(np.zeros(3))
        self._channels.append(())

    def motion(self, step_s: float) -> BvhMotion:
        """What was made."""
        return BvhMotion(
            tuple(self._joints), tuple(self._parents), np.stack(self._offsets),
            tuple(self._channels), step_s, np.concatenate(self._values, axis=-1),
        )  # fmt: skip


def shortest_turn(rest: Array, wanted: Array) -> Array:
    """Rotations that carry one direction into others, around the axis across both.

    Args:
        rest: ``(3,)`` of length one.
        wanted: ``(F, 3)`` of any length; where it is zero, nothing is turned.

    Returns:
        ``(F, 3, 3)``.
    """
    size = np.linalg.norm(wanted, axis=-1, keepdims=True)
    unit = np.where(size > 1e-9, wanted / np.maximum(size, 1e-9), rest)
    axis = np.cross(rest, unit)
    sine = np.linalg.norm(axis, axis=-1, keepdims=True)
    angle = np.arctan2(sine, (unit @ rest)[:, None])
    any_across = np.eye(3)[int(np.argmin(np.abs(rest)))]
    across = np.cross(rest, any_across)
    axis = np.where(sine > 1e-9, axis / np.maximum(sine, 1e-9), across / np.linalg.norm(across))
    return np.asarray(Rotation.from_rotvec(axis * angle).as_matrix())


def _best_turn(rest: Mapping[int, Array], wanted: Mapping[int, Array], frames: int) -> Array:
    """``(F, 3, 3)`` turns that carry several directions at once as well as possible (Kabsch)."""
    if not rest:
        return np.broadcast_to(np.eye(3), (frames, 3, 3))
    both = np.zeros((frames, 3, 3))
    for child, direction in rest.items():
        size = np.linalg.norm(wanted[child], axis=-1, keepdims=True)
        both += (wanted[child] / np.maximum(size, 1e-9))[:, :, None] * direction
    left, _, right = np.linalg.svd(both)
    left[np.linalg.det(left @ right) < 0, :, -1] *= -1
    return np.asarray(left @ right)
