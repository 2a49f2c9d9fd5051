"""Joint orders that are law only inside the files of other tools.

They name the places of a list that carries no names. Joints that our registry knows under a name
carry that name here too, so conversions go by name as everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping

from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import COCO17, SKELETONS

_FEET = tuple(
    (f"{s}ankle", f"{s}{p}") for s in ("left_", "right_") for p in ("heel", "big_toe", "small_toe")
)
_TRUNK = tuple(
    (a.replace("*", s), b.replace("*", s))
    for s in ("left_", "right_")
    for a, b in (
        ("neck", "*shoulder"), ("*shoulder", "*elbow"), ("*elbow", "*wrist"), ("*hip", "*knee"),
        ("*knee", "*ankle"), ("nose", "*eye"), ("*eye", "*ear"),
    )
)  # fmt: skip
_PELVIS = (("neck", "pelvis"), ("pelvis", "left_hip"), ("pelvis", "right_hip"))

COCO18 = Skeleton(
    "coco18",
    (
        "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder",
        "left_elbow", "left_wrist", "right_hip", "right_knee", "right_ankle", "left_hip",
        "left_knee", "left_ankle", "right_eye", "left_eye", "right_ear", "left_ear",
    ),
    (("nose", "neck"), ("neck", "left_hip"), ("neck", "right_hip"), *_TRUNK),
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
    (("nose", "neck"), *_PELVIS, *_TRUNK, *_FEET),
    aliases={"mid_hip": "pelvis"},
)  # fmt: skip
"""OpenPose's BODY_25; its MidHip is our pelvis."""

HALPE26 = Skeleton(
    "halpe26",
    (
        *COCO17.joints, "head_top", "neck", "pelvis", "left_big_toe", "right_big_toe",
        "left_small_toe", "right_small_toe", "left_heel", "right_heel",
    ),
    (("head_top", "neck"), *_PELVIS, *_TRUNK, *_FEET),
    aliases={"head": "head_top", "hip": "pelvis"},
)  # fmt: skip
"""Halpe's body with feet: AlphaPose, and RTMPose in Sports2D and Pose2Sim."""

LAYOUTS: Mapping[str, Skeleton] = {s.name: s for s in (COCO18, BODY25, HALPE26)}
"""Name -> layout, beside those of the registry."""


def known_skeletons() -> dict[str, Skeleton]:
    """The registry and the layouts of other tools, by name."""
    return {**SKELETONS, **LAYOUTS}
