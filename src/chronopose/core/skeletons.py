"""The registry of skeletons: joint names and order of the data sets and tools of the field.

Orders are data, names are law: a conversion, a flip or a spread looks names up. Joints that are
placed differently by different data sets keep different names: ``head_top``, ``head`` (centre),
``face``, ``neck`` (shoulder mid-point), ``head_bottom`` and ``upper_neck`` (base of the skull),
``neck_nose`` (Human3.6M's joint between the two), ``thorax``, ``chest``.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from chronopose.core.skeleton import Skeleton
from chronopose.errors import SkeletonMismatch

Limb = tuple[str, str]


def _sides(*limbs: Limb) -> tuple[Limb, ...]:
    """The limbs once for each side; ``*`` stands for ``left_`` and ``right_``."""
    sides = ("left_", "right_")
    return tuple((a.replace("*", s), b.replace("*", s)) for s in sides for a, b in limbs)


_ARMS = _sides(("*shoulder", "*elbow"), ("*elbow", "*wrist"))
_LEGS = _sides(("*hip", "*knee"), ("*knee", "*ankle"))
_BODY = (("left_hip", "right_hip"), *_sides(("*shoulder", "*hip")), *_ARMS, *_LEGS)
_SHOULDERS = ("left_shoulder", "right_shoulder")
_HEAD_OF_POSETRACK = (
    ("head_top", "nose"), ("nose", "head_bottom"), *_sides(("head_bottom", "*shoulder")),
)  # fmt: skip

COCO17 = Skeleton(
    "coco17",
    (
        "nose", "left_eye", "right_eye", "left_ear", "right_ear",
        "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist",
        "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
        "right_ankle",
    ),
    (
        *_sides(("nose", "*eye"), ("*eye", "*ear"), ("*ear", "*shoulder")), _SHOULDERS, *_BODY,
    ),
    (
        0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107,
        0.087, 0.087, 0.089, 0.089,
    ),
)  # fmt: skip
"""COCO keypoints, with the spreads of the COCO evaluation."""

POSETRACK17SLOT = Skeleton(
    "posetrack17slot",
    (
        "nose", "head_bottom", "head_top", "left_ear", "right_ear", "left_shoulder",
        "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip",
        "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
    ),
    (*_HEAD_OF_POSETRACK, *_BODY),
)  # fmt: skip
"""The files of PoseTrack 2018 and 2021 and the DCPose family; the ears are never annotated."""

POSETRACK15 = Skeleton(
    "posetrack15",
    tuple(j for j in POSETRACK17SLOT.joints if not j.endswith("_ear")),
    POSETRACK17SLOT.limbs,
)
"""The 17 slots without the ears: the PoseTrack21 kit and PAVE-Net."""

POSETRACK15_POSEVAL = Skeleton(
    "posetrack15_poseval",
    (
        "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle",
        "right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow",
        "left_wrist", "head_bottom", "nose", "head_top",
    ),
    POSETRACK15.limbs,
    aliases={"neck": "head_bottom"},
)  # fmt: skip
"""The point ids of PoseTrack 2017 and poseval, where head_bottom is called neck."""

HIEVE14 = Skeleton(
    "hieve14",
    (
        "nose", "chest", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder",
        "left_elbow", "left_wrist", "right_hip", "right_knee", "right_ankle", "left_hip",
        "left_knee", "left_ankle",
    ),
    (("nose", "chest"), *_sides(("chest", "*shoulder"), ("chest", "*hip")), *_ARMS, *_LEGS),
    (
        0.079, 0.079, 0.079, 0.072, 0.062, 0.079, 0.072, 0.062, 0.107, 0.087, 0.089, 0.107, 0.087,
        0.089,
    ),
)  # fmt: skip
"""Human in Events. The spreads are unofficial; the right shoulder that circulates as 0.071
against 0.079 on the left is read as a slip and made equal to the left."""

MPII16 = Skeleton(
    "mpii16",
    (
        "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle", "pelvis",
        "thorax", "upper_neck", "head_top", "right_wrist", "right_elbow", "right_shoulder",
        "left_shoulder", "left_elbow", "left_wrist",
    ),
    (
        ("head_top", "upper_neck"), ("upper_neck", "thorax"), ("thorax", "pelvis"),
        *_sides(("thorax", "*shoulder"), ("pelvis", "*hip")), *_ARMS, *_LEGS,
    ),
)  # fmt: skip
"""MPII Human Pose."""

LSP14 = Skeleton(
    "lsp14",
    (
        "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle",
        "right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow",
        "left_wrist", "neck", "head_top",
    ),
    (("head_top", "neck"), *_sides(("neck", "*shoulder")), *_BODY),
)  # fmt: skip
"""Leeds Sports Pose and its extension, person-centric sides."""

PENN13 = Skeleton(
    "penn13",
    (
        "head", "right_shoulder", "left_shoulder", "right_elbow", "left_elbow", "right_wrist",
        "left_wrist", "right_hip", "left_hip", "right_knee", "left_knee", "right_ankle",
        "left_ankle",
    ),
    (*_sides(("head", "*shoulder")), _SHOULDERS, *_BODY),
)  # fmt: skip
"""Penn Action with the person's true sides; the order in circulation has them exchanged."""

JHMDB15 = Skeleton(
    "jhmdb15",
    (
        "neck", "belly", "face", "right_shoulder", "left_shoulder", "right_hip", "left_hip",
        "right_elbow", "left_elbow", "right_knee", "left_knee", "right_wrist", "left_wrist",
        "right_ankle", "left_ankle",
    ),
    (
        ("face", "neck"), ("neck", "belly"),
        *_sides(("neck", "*shoulder"), ("belly", "*hip")), *_ARMS, *_LEGS,
    ),
    aliases={"head": "face"},
)  # fmt: skip
"""J-HMDB and Sub-J-HMDB. Copies in COCO's form say "head" for the face."""

CROWDPOSE14 = Skeleton(
    "crowdpose14",
    (
        "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist",
        "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
        "right_ankle", "head_top", "neck",
    ),
    (("head_top", "neck"), *_sides(("neck", "*shoulder")), *_BODY),
    (
        0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089, 0.079,
        0.079,
    ),
    {"head": "head_top"},
)  # fmt: skip
"""CrowdPose, with the spreads of its evaluation. Its files say "head" for the top of the head."""

_SPINE_OF_H36M = (("pelvis", "spine"), ("spine", "thorax"))

H36M17 = Skeleton(
    "h36m17",
    (
        "pelvis", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
        "spine", "thorax", "neck_nose", "head", "left_shoulder", "left_elbow", "left_wrist",
        "right_shoulder", "right_elbow", "right_wrist",
    ),
    (
        *_SPINE_OF_H36M, ("thorax", "neck_nose"), ("neck_nose", "head"),
        *_sides(("pelvis", "*hip"), ("thorax", "*shoulder")), *_ARMS, *_LEGS,
    ),
    aliases={
        "hip": "pelvis", "root": "pelvis", "root_pelvis": "pelvis", "left_foot": "left_ankle",
        "right_foot": "right_ankle", "neck": "neck_nose", "neck_base": "neck_nose",
    },
)  # fmt: skip
"""The 17 of Human3.6M's 32 joints that the lifting literature uses."""

MPI_INF_3DHP17 = Skeleton(
    "mpi_inf_3dhp17",
    (
        "head_top", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder",
        "left_elbow", "left_wrist", "right_hip", "right_knee", "right_ankle", "left_hip",
        "left_knee", "left_ankle", "pelvis", "spine", "head",
    ),
    (
        ("pelvis", "spine"), ("spine", "neck"), ("neck", "head"), ("head", "head_top"),
        *_sides(("pelvis", "*hip"), ("neck", "*shoulder")), *_ARMS, *_LEGS,
    ),
)  # fmt: skip
"""MPI-INF-3DHP, the 17 joints of its test set; the root is the pelvis at position 14."""

HUMANEVA15 = Skeleton(
    "humaneva15",
    (
        "pelvis", "thorax", "left_shoulder", "left_elbow", "left_wrist", "right_shoulder",
        "right_elbow", "right_wrist", "left_hip", "left_knee", "left_ankle", "right_hip",
        "right_knee", "right_ankle", "head",
    ),
    (
        ("pelvis", "thorax"), ("thorax", "head"),
        *_sides(("thorax", "*shoulder"), ("pelvis", "*hip")), *_ARMS, *_LEGS,
    ),
)  # fmt: skip
"""HumanEva-I."""

FLIC11 = Skeleton(
    "flic11",
    (
        "left_shoulder", "left_elbow", "left_wrist", "right_shoulder", "right_elbow",
        "right_wrist", "left_hip", "right_hip", "left_eye", "right_eye", "nose",
    ),
    (
        *_sides(("nose", "*eye"), ("nose", "*shoulder")), _SHOULDERS, ("left_hip", "right_hip"),
        *_sides(("*shoulder", "*hip")), *_ARMS,
    ),
)  # fmt: skip
"""The upper body of FLIC: the slots of its 29 that are labelled, in their order."""

UPPER7 = Skeleton(
    "upper7",
    (
        "head", "right_wrist", "left_wrist", "right_elbow", "left_elbow", "right_shoulder",
        "left_shoulder",
    ),
    (*_sides(("head", "*shoulder")), _SHOULDERS, *_ARMS),
)  # fmt: skip
"""The upper-body video sets: BBC Pose, ChaLearn and Poses in the Wild."""

_FEET = _sides(("*ankle", "*heel"), ("*ankle", "*big_toe"), ("*ankle", "*small_toe"))
_FACE = _sides(("nose", "*eye"), ("*eye", "*ear"))
_NECK_TO_SHOULDERS = _sides(("neck", "*shoulder"))
_PELVIS = (("neck", "pelvis"), *_sides(("pelvis", "*hip")))

COCO18 = Skeleton(
    "coco18",
    (
        "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder",
        "left_elbow", "left_wrist", "right_hip", "right_knee", "right_ankle", "left_hip",
        "left_knee", "left_ankle", "right_eye", "left_eye", "right_ear", "left_ear",
    ),
    (
        ("nose", "neck"), *_FACE, *_NECK_TO_SHOULDERS, *_sides(("neck", "*hip")), *_ARMS, *_LEGS,
    ),
)  # fmt: skip
"""OpenPose's COCO model, and the ``cmu`` and ``open`` variants of AlphaPose."""

BODY25 = Skeleton(
    "body25",
    (
        "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder",
        "left_elbow", "left_wrist", "pelvis", "right_hip", "right_knee", "right_ankle", "left_hip",
        "left_knee", "left_ankle", "right_eye", "left_eye", "right_ear", "left_ear",
        "left_big_toe", "left_small_toe", "left_heel", "right_big_toe", "right_small_toe",
        "right_heel",
    ),
    (("nose", "neck"), *_FACE, *_NECK_TO_SHOULDERS, *_PELVIS, *_ARMS, *_LEGS, *_FEET),
    aliases={"mid_hip": "pelvis"},
)  # fmt: skip
"""OpenPose's BODY_25; its MidHip is our pelvis."""

HALPE26 = Skeleton(
    "halpe26",
    (
        *COCO17.joints, "head_top", "neck", "pelvis", "left_big_toe", "right_big_toe",
        "left_small_toe", "right_small_toe", "left_heel", "right_heel",
    ),
    (
        ("head_top", "neck"), ("nose", "neck"), *_FACE, *_NECK_TO_SHOULDERS, *_PELVIS, *_ARMS,
        *_LEGS, *_FEET,
    ),
    aliases={"head": "head_top", "hip": "pelvis"},
)  # fmt: skip
"""Halpe's body with feet: AlphaPose, and RTMPose in Sports2D and Pose2Sim."""

SKELETONS: Mapping[str, Skeleton] = MappingProxyType(
    {
        s.name: s
        for s in (
            COCO17, POSETRACK15, POSETRACK15_POSEVAL, POSETRACK17SLOT, HIEVE14, MPII16, LSP14,
            PENN13, JHMDB15, CROWDPOSE14, FLIC11, UPPER7, H36M17, MPI_INF_3DHP17, HUMANEVA15,
            COCO18, BODY25, HALPE26,
        )
    }
)  # fmt: skip
"""Registry name -> skeleton; cannot be changed."""


def get_skeleton(name: str) -> Skeleton:
    """The skeleton registered under ``name``.

    Raises:
        SkeletonMismatch: there is none; the message suggests the closest name.
    """
    found = SKELETONS.get(name)
    if found is None:
        near = difflib.get_close_matches(name.lower(), SKELETONS, n=1, cutoff=0.4)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        raise SkeletonMismatch(
            f"There is no skeleton {name!r}. {hint}The skeletons are: {', '.join(SKELETONS)}."
        )
    return found


_SHORT_PARTS = {
    "sho": "shoulder", "shldr": "shoulder", "elb": "elbow", "wri": "wrist", "kne": "knee",
    "ank": "ankle",
}  # fmt: skip
_MIDDLE = {"top_head": "head_top", "bottom_head": "head_bottom", "belly_button": "belly"}


def joint_name(text: str) -> str:
    """A joint's name as other tools spell it, in our spelling.

    Understands case, spaces, hyphens, camel case, ``L``/``R`` in front or behind, and the usual
    three-letter parts: ``"LSho"``, ``"l-shoulder"``, ``"Shoulder.L"`` and ``"left shoulder"`` all
    become ``"left_shoulder"``. Only the spelling changes: whether "neck" means the same place is
    the skeleton's business (:attr:`Skeleton.aliases`).
    """
    spaced = re.sub(r"([a-z0-9])([A-Z])|([A-Z])(?=[A-Z][a-z])", r"\1\3_\2", text.strip())
    words = [w for w in re.split(r"[^a-z0-9]+", spaced.lower()) if w]
    sides = {"l": "left", "r": "right", "left": "left", "right": "right"}
    if len(words) > 1 and words[0] not in sides and words[-1] in sides:
        words = [words[-1], *words[:-1]]
    if len(words) > 1:
        words[0] = sides.get(words[0], words[0])
    plain = "_".join(_SHORT_PARTS.get(w, w) for w in words)
    return _MIDDLE.get(plain, plain)


def find_skeleton(joints: Iterable[str]) -> Skeleton | None:
    """The registered skeleton that has exactly these joints in this order, else None.

    Names may be spelled as in :func:`joint_name`, or be an alias of the skeleton.
    """
    wanted = [joint_name(j) for j in joints]
    for skeleton in SKELETONS.values():
        ours = [j if j in skeleton else skeleton.aliases.get(j, j) for j in wanted]
        if ours == list(skeleton.joints):
            return skeleton
    return None
