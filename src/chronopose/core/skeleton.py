"""Skeleton: named joints, and the only place where joints of two conventions meet.

Names decide joints, never positions: flip pairs come from the ``left_`` / ``right_`` prefixes and
conversions look names up, so neither can drift from the order in a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from chronopose.errors import SkeletonMismatch


def mirrored(name: str) -> str:
    """Return the joint's name on the other side of the body; itself for a middle joint."""
    if name.startswith("left_"):
        return "right_" + name[5:]
    if name.startswith("right_"):
        return "left_" + name[6:]
    return name


def _part(name: str) -> str:
    """The joint's name without its side."""
    return name.removeprefix("left_").removeprefix("right_")


_COCO_SIGMAS = {
    "nose": 0.026, "eye": 0.025, "ear": 0.035, "shoulder": 0.079, "elbow": 0.072, "wrist": 0.062,
    "hip": 0.107, "knee": 0.087, "ankle": 0.089,
}  # fmt: skip


@dataclass(frozen=True)
class JointMap:
    """How the joints of ``source`` become the joints of ``target``.

    ``weights`` is ``(K_target, K_source)``; each row sums to one, or is all zero for a joint that
    cannot be had from the source (it becomes NaN). A row with several non-zero entries is an
    approximation and is listed in ``approximated``.
    """

    source: Skeleton
    target: Skeleton
    weights: NDArray[np.float64] = field(repr=False)
    dropped: tuple[str, ...]
    """Joints of the source that the target has no place for."""
    missing: tuple[str, ...]
    """Joints of the target that the source cannot give; NaN in the result."""
    approximated: tuple[str, ...]
    """Joints of the target computed from other joints of the source."""


@dataclass(frozen=True)
class Skeleton:
    """An ordered list of named joints with limbs and OKS spreads.

    Args:
        name: Registry name, e.g. ``"coco17"``.
        joints: Joint names in file order; sides carry the prefixes ``left_`` and ``right_`` and
            are the person's own sides.
        limbs: Pairs of joint names to draw.
        oks_sigmas: ``(K,)`` per-joint spread as a fraction of sqrt(area), no unit; empty when
            nobody has published one for this joint list.
        aliases: Names that mean one of our joints in other tools' files.

    Raises:
        SkeletonMismatch: a joint is named twice, a limb names an unknown joint, a side has no
            mirror, or the number of sigmas is wrong.
    """

    name: str
    joints: tuple[str, ...]
    limbs: tuple[tuple[str, str], ...] = ()
    oks_sigmas: tuple[float, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        if len(set(self.joints)) != len(self.joints):
            twice = sorted({j for j in self.joints if self.joints.count(j) > 1})
            raise SkeletonMismatch(f"Skeleton {self.name!r} names joints twice: {twice}.")
        known = set(self.joints)
        for a, b in self.limbs:
            if not {a, b} <= known:
                raise SkeletonMismatch(
                    f"Skeleton {self.name!r} has a limb {a}-{b}, but not both joints. "
                    f"Its joints are: {', '.join(self.joints)}."
                )
        lonely = [j for j in self.joints if mirrored(j) not in known]
        if lonely:
            raise SkeletonMismatch(
                f"Skeleton {self.name!r} has {', '.join(lonely)} without the joint of the other "
                f"side, so it cannot be flipped. Add the mirror joint."
            )
        if self.oks_sigmas and len(self.oks_sigmas) != len(self.joints):
            raise SkeletonMismatch(
                f"Skeleton {self.name!r} has {len(self.joints)} joints but "
                f"{len(self.oks_sigmas)} OKS sigmas; give one for each joint."
            )

    def __len__(self) -> int:
        return len(self.joints)

    @cached_property
    def _index(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.joints)}

    def index(self, name: str) -> int:
        """Position of a joint by name (or alias).

        Raises:
            SkeletonMismatch: the skeleton has no such joint.
        """
        found = self._index.get(name, self._index.get(self.aliases.get(name, ""), -1))
        if found < 0:
            raise SkeletonMismatch(
                f"Skeleton {self.name!r} has no joint {name!r}. "
                f"Its joints are: {', '.join(self.joints)}."
            )
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._index

    @cached_property
    def flip_index(self) -> NDArray[np.intp]:
        """``(K,)`` order of the joints after a left-right mirror; its own inverse."""
        return np.array([self._index[mirrored(j)] for j in self.joints], dtype=np.intp)

    @cached_property
    def mirror_pairs(self) -> tuple[tuple[int, int], ...]:
        """Index pairs ``(left, right)`` that change places in a mirror."""
        return tuple(
            (i, self._index[mirrored(j)]) for i, j in enumerate(self.joints) if j[:5] == "left_"
        )

    @cached_property
    def limb_index(self) -> NDArray[np.intp]:
        """``(L, 2)`` joint indices of the limbs."""
        pairs = [(self._index[a], self._index[b]) for a, b in self.limbs]
        return np.array(pairs, dtype=np.intp).reshape(-1, 2)

    @cached_property
    def sigmas(self) -> NDArray[np.float64]:
        """``(K,)`` OKS sigmas: the published ones, else COCO's by joint name.

        Joints that COCO does not have get a shoulder's spread, 0.079, as in CrowdPose.
        """
        by_name = [_COCO_SIGMAS.get(_part(j), 0.079) for j in self.joints]
        return np.array(self.oks_sigmas or by_name, dtype=np.float64)

    def map_to(self, other: Skeleton, *, approximate: bool = True) -> JointMap:
        """Plan a conversion to another skeleton by joint name.

        Args:
            other: The wanted skeleton.
            approximate: Also use :data:`APPROXIMATIONS` (e.g. neck as the shoulder mid-point)
                for joints that the source does not have under that name.

        Source:
            The approximations are those of the PoseTrack converters; each use is listed in
            :attr:`JointMap.approximated`.
        """
        weights = np.zeros((len(other), len(self)))
        missing, approximated = [], []
        for row, joint in enumerate(other.joints):
            if joint in self._index:
                weights[row, self._index[joint]] = 1.0
                continue
            recipe = next(
                (r for r in APPROXIMATIONS.get(joint, ()) if all(n in self._index for n in r)),
                None,
            )
            if approximate and recipe is not None:
                for name, share in recipe.items():
                    weights[row, self._index[name]] = share
                approximated.append(joint)
            else:
                missing.append(joint)
        dropped = tuple(j for j in self.joints if j not in other)
        return JointMap(self, other, weights, dropped, tuple(missing), tuple(approximated))


_MID_SHOULDER = {"left_shoulder": 0.5, "right_shoulder": 0.5}
_MID_HIP = {"left_hip": 0.5, "right_hip": 0.5}

APPROXIMATIONS: dict[str, tuple[dict[str, float], ...]] = {
    "neck": (_MID_SHOULDER, {"head_bottom": 1.0}),
    "head_bottom": ({"neck": 1.0}, {"upper_neck": 1.0}, _MID_SHOULDER),
    "upper_neck": ({"head_bottom": 1.0}, {"neck": 1.0}, _MID_SHOULDER),
    "thorax": (_MID_SHOULDER, {"chest": 1.0}, {"neck": 1.0}),
    "chest": (_MID_SHOULDER, {"thorax": 1.0}, {"neck": 1.0}),
    "neck_nose": (
        {"upper_neck": 1.0},
        {"head_bottom": 1.0},
        {"nose": 0.5, "left_shoulder": 0.25, "right_shoulder": 0.25},
    ),
    "pelvis": (_MID_HIP,),
    "head_top": ({"nose": 2.0, "left_shoulder": -0.5, "right_shoulder": -0.5},),
    "head": (
        {"left_ear": 0.5, "right_ear": 0.5},
        {"head_top": 0.5, "neck": 0.5},
        {"head_top": 0.5, "head_bottom": 0.5},
        {"head_top": 0.5, "upper_neck": 0.5},
        {"nose": 1.0},
        {"face": 1.0},
    ),
    "face": ({"nose": 1.0}, {"head": 1.0}),
    "spine": (
        {"left_shoulder": 0.25, "right_shoulder": 0.25, "left_hip": 0.25, "right_hip": 0.25},
    ),
    "belly": (
        {"left_shoulder": 0.175, "right_shoulder": 0.175, "left_hip": 0.325, "right_hip": 0.325},
    ),
}
"""Joint -> ways to approximate it, best first; a way maps source joints to shares that sum to 1.

Source: head_bottom and head_top as in the PoseTrack converters of the DCPose family; belly at 0.65
of the way from the shoulders to the hips as in the J-HMDB evaluation; the others are ours.
"""
