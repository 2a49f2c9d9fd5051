"""Motion files of the CMU database, in the three layouts they are spread in.

Layouts, told by joint names, never by file names
    ``asfamc``  ASF/AMC as CMU gives them: 120 frames/s, y up, the subject's own bones.
    ``daz``     BVH for Daz Studio: centimetres, y up, one skeleton for all. Headers say 120
                frames/s everywhere, but the salsa clips are 60 (their readme). The first frames
                run from a T pose to the first real pose: six are dropped (the last step of that
                run is measured between the fourth and the sixth).
    ``iclone``  BVH for iClone: 60 frames/s, centimetres, y up, about a hundred joints.

Other BVH files are refused with a list of the joints that are missing.

CMU data may be used freely, also in products; the motion itself may not be resold, even converted.
Acknowledge mocap.cs.cmu.edu, created with funding from NSF EIA-0196217.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chronopose.errors import FormatError, UsageError
from chronopose.io.asf_amc import read_amc, read_asf
from chronopose.io.bvh import read_bvh

JUMP_M = 0.05
"""A joint that leaves the straight line of its neighbours in time by more than this is a glitch."""

GLITCH_REACH = 3
"""Frames about a glitch that are not trusted either."""

GLITCH_JOIN = 12
"""Glitches closer than this, in frames, are one."""

WHOLE_BODY = 6
"""When so many joints jump at once, none of the body is trusted."""


@dataclass(frozen=True)
class Place:
    """Where a joint of a motion lies in a rig.

    Args:
        joints: Names; their mean is meant.
        ahead: Added to it, in the axes of the first joint at rest, file units.
    """

    joints: tuple[str, ...]
    ahead: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Layout:
    """A rig.

    Args:
        name: How messages call it.
        places: Where each joint lies, by our names.
        metres: Of one file unit.
        drop: Frames to leave out at the start.
    """

    name: str
    places: Mapping[str, Place]
    metres: float
    drop: int = 0

    def needed(self) -> tuple[str, ...]:
        """Joints of the rig that are read."""
        return tuple(dict.fromkeys(j for p in self.places.values() for j in p.joints))


def _both_sides(names: Mapping[str, str], left: str, right: str) -> dict[str, Place]:
    """``{"hip": "{}Thigh"}`` as places of ``left_hip`` and ``right_hip``."""
    return {
        f"{side}_{joint}": Place((name.format(mark),))
        for side, mark in (("left", left), ("right", right))
        for joint, name in names.items()
    }


_ASFAMC_SIDES = {
    "shoulder": "{}clavicle", "elbow": "{}humerus", "wrist": "{}wrist", "hand": "{}fingers",
    "hip": "{}hipjoint", "knee": "{}femur", "ankle": "{}tibia", "toe": "{}foot",
}  # fmt: skip
"""Ends of bones. The wrist is the end of ``wrist``: that bone turns about its length alone and is
the lower third of the forearm."""

_DAZ_SIDES = {
    "shoulder": "{}Shldr", "elbow": "{}ForeArm", "wrist": "{}Hand", "hand": "{}Mid1",
    "hip": "{}Thigh", "knee": "{}Shin", "ankle": "{}Foot", "toe": "{}Foot_end",
}  # fmt: skip
_ICLONE_SIDES = {
    "shoulder": "CC_Base_{}_Upperarm", "elbow": "CC_Base_{}_Forearm",
    "wrist": "CC_Base_{}_Hand", "hand": "CC_Base_{}_Mid1", "hip": "CC_Base_{}_Thigh",
    "knee": "CC_Base_{}_Calf", "ankle": "CC_Base_{}_Foot", "toe": "CC_Base_{}_ToeBase",
}  # fmt: skip

ASFAMC = Layout(
    "asfamc",
    {
        "pelvis": Place(("root",)), "chest": Place(("lowerback",)), "neck": Place(("thorax",)),
        "head": Place(("upperneck",)), **_both_sides(_ASFAMC_SIDES, "l", "r"),
        "lower_neck": Place(("lowerneck",)), "skull": Place(("head",)),
    },
    metres=1.0,
)  # fmt: skip
"""Without ``head_top`` and ``nose``, which lie where the bone ``head`` turns them. ``neck`` is the
end of the breast bone's part, 10 cm below the shoulders; ``lower_neck`` is as high as they are."""

DAZ = Layout(
    "daz",
    {
        "pelvis": Place(("hip", "abdomen")), "chest": Place(("abdomen",)),
        "neck": Place(("neck",)), "head": Place(("head",)),
        "head_top": Place(("head",), (0.0, 18.0, 2.0)), "nose": Place(("head",), (0.0, 7.0, 12.0)),
        **_both_sides(_DAZ_SIDES, "l", "r"),
    },
    metres=0.01,
    drop=6,
)  # fmt: skip

ICLONE = Layout(
    "iclone",
    {
        "pelvis": Place(("CC_Base_Waist",)), "chest": Place(("CC_Base_Spine02",)),
        "neck": Place(("CC_Base_NeckTwist01",)), "head": Place(("CC_Base_Head",)),
        "head_top": Place(("CC_Base_FacialBone",), (18.0, 1.0, 0.0)),
        "nose": Place(("CC_Base_FacialBone",), (6.0, 12.0, 0.0)),
        **_both_sides(_ICLONE_SIDES, "L", "R"),
    },
    metres=0.01,
)  # fmt: skip

_HEAD_TOP_M, _NOSE_M = (0.0, 0.18, 0.02), (0.0, 0.07, 0.12)
_FPS = {"asfamc": 120.0, "daz": 120.0, "iclone": 60.0}


class MotionFile(NamedTuple):
    """A motion in a folder, not yet read.

    Args:
        key: Path within the folder without suffix: ``cmu_bvh/salsa_03``.
        subject: What is calibrated together: the file's folder and the name before its last ``_``.
        path: The file.
    """

    key: str
    subject: str
    path: Path


def find_motions(folder: str | Path) -> list[MotionFile]:
    """Every ``.bvh`` and ``.amc`` file below a folder, by key.

    Raises:
        UsageError: there is no such folder, or no such file in it.
    """
    root = Path(folder)
    if not root.is_dir():
        raise UsageError(f"{folder} is no folder. Give the folder with .bvh or .amc files.")
    found = sorted(p for p in root.rglob("*") if p.suffix.lower() in (".bvh", ".amc"))
    if not found:
        raise UsageError(f"No .bvh or .amc file lies in {folder} or below it.")
    return [
        MotionFile(
            p.relative_to(root).with_suffix("").as_posix(),
            p.relative_to(root).with_name(subject_of(p)).as_posix(),
            p,
        )
        for p in found
    ]


def subject_of(path: Path) -> str:
    """Who moves in a file: the part of its name before the last ``_``."""
    before = path.stem.rpartition("_")[0]
    return before or path.stem


class RigMotion(NamedTuple):
    """What a motion file says, in our axes and units.

    Args:
        layout: Its rig.
        joints: Names of the N joints that the layout has places for.
        xyz: ``(T, N, 3)`` float64 metres, z up; the frames that the layout drops are gone,
            glitches are not (:func:`without_glitches`).
        fps: Frames a second.
    """

    layout: Layout
    joints: tuple[str, ...]
    xyz: NDArray[np.float64]
    fps: float

    def of(self, joints: Sequence[str]) -> NDArray[np.float64]:
        """``(T, K, 3)`` of some joints, in their order."""
        return self.xyz[:, [self.joints.index(j) for j in joints]]


def read_rig_motion(path: str | Path) -> RigMotion:
    """Read a motion file of one of the three layouts.

    Args:
        path: A ``.bvh`` file, or an ``.amc`` file with the subject's ``.asf`` file beside it.

    Raises:
        FormatError: the file is malformed, of another rig, too short, or its ``.asf`` file is
            missing.
    """
    path = Path(path)
    layout, found = _read_amc(path) if path.suffix.lower() == ".amc" else _read_bvh(path)
    fps = 60.0 if layout == DAZ and path.stem.lower().startswith("salsa") else _FPS[layout.name]
    xyz = np.stack(list(found.values()), 1)
    xyz = np.stack([xyz[..., 0], -xyz[..., 2], xyz[..., 1]], -1)[layout.drop :] * layout.metres
    if len(xyz) < 2:
        raise FormatError(f"{path} has too few frames: {layout.drop + 2} are needed at least.")
    return RigMotion(layout, tuple(found), xyz, fps)


def _read_amc(path: Path) -> tuple[Layout, dict[str, NDArray[np.float64]]]:
    beside = path.with_name(subject_of(path) + ".asf")
    if not beside.is_file():
        others = sorted(path.parent.glob("*.asf"))
        if len(others) != 1:
            raise FormatError(
                f"Cannot read {path}: the skeleton {beside.name} is not beside it. Put the "
                f"subject's .asf file into the same folder."
            )
        beside = others[0]
    skeleton = read_asf(beside)
    _refuse_missing(ASFAMC, (*skeleton.bones,), beside, extra=("head",))
    motion = read_amc(path, skeleton)
    found = _gather(ASFAMC, skeleton.bones, motion.positions, motion.rotations)
    turn = motion.rotations[:, skeleton.bones.index("head")]
    for joint, ahead in (("head_top", _HEAD_TOP_M), ("nose", _NOSE_M)):
        found[joint] = found["head"] + turn @ np.array(ahead)
    return ASFAMC, found


def _read_bvh(path: Path) -> tuple[Layout, dict[str, NDArray[np.float64]]]:
    motion = read_bvh(path)
    known = (DAZ, ICLONE)
    layout = min(known, key=lambda one: len(set(one.needed()) - set(motion.joints)))
    _refuse_missing(layout, motion.joints, path)
    return layout, _gather(layout, motion.joints, *motion.world())


def _refuse_missing(
    layout: Layout, have: Sequence[str], path: Path, extra: tuple[str, ...] = ()
) -> None:
    missing = sorted({*layout.needed(), *extra} - set(have))
    if missing:
        raise FormatError(
            f"{path} has none of the rigs that can be read. Nearest is {layout.name}, but it lacks "
            f"{', '.join(missing)}; it has {', '.join(have)[:300]}. Rename its joints, or use "
            f"CMU motion as ASF/AMC, Daz BVH or iClone BVH."
        )


def _gather(
    layout: Layout,
    names: Sequence[str],
    places: NDArray[np.float64],
    turns: NDArray[np.float64],
) -> dict[str, NDArray[np.float64]]:
    """``(T, 3)`` of every joint that the layout has a place for, in file axes and units."""
    found = {}
    for joint, place in layout.places.items():
        index = [names.index(n) for n in place.joints]
        found[joint] = places[:, index].mean(1) + turns[:, index[0]] @ np.array(place.ahead)
    return found


def without_glitches(xyz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Joints about their jumps replaced by straight lines over time; all where many jump.

    Args:
        xyz: ``(T, N, 3)`` metres.

    Returns:
        A copy. What counts as a jump is said by :data:`JUMP_M` and its neighbours.
    """
    bent = np.linalg.norm(xyz[2:] - 2 * xyz[1:-1] + xyz[:-2], axis=-1) > JUMP_M
    bent |= bent.sum(1, keepdims=True) >= WHOLE_BODY
    mended, frames = xyz.copy(), np.arange(len(xyz))
    for joint in np.flatnonzero(bent.any(0)):
        at = np.flatnonzero(bent[:, joint]) + 1
        bad = np.zeros(len(xyz), bool)
        for start, following in zip(at, [*at[1:], at[-1]], strict=True):
            last = following if following - start <= GLITCH_JOIN else start
            bad[max(start - GLITCH_REACH, 0) : last + GLITCH_REACH + 1] = True
        good = np.flatnonzero(~bad)
        if len(good) > 1:
            for axis in range(3):
                mended[:, joint, axis] = np.interp(frames, good, xyz[good, joint, axis])
    return mended
