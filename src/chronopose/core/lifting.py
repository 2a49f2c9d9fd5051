"""The joints that lifters read, made from those that detectors find.

Lifters speak ``h36m17``. Its trunk and head are hardly ever detected, but follow from joints that
are: the pelvis is the middle of the hips, the thorax that of the shoulders, the spine the middle
between both (:data:`~chronopose.core.skeleton.APPROXIMATIONS`). Neck and head are points on the
line from the thorax to the top of the head, and :data:`HEAD_WAYS` says which. Training makes them
in the same way.
"""

from __future__ import annotations

from chronopose.core.skeleton import JointMap, Skeleton
from chronopose.errors import SkeletonMismatch

NECK_SHARE, HEAD_SHARE = 0.35, 0.75
"""How far from the thorax to the top of the head neck_nose and head lie."""
EAR_SHARE = 0.625
"""How far up the ears are on that line."""


def _up(share: float, *tops: str) -> dict[str, float]:
    """The way that leads so far from the thorax to the middle of some joints of the head."""
    return {
        "left_shoulder": (1 - share) / 2,
        "right_shoulder": (1 - share) / 2,
        **{top: share / len(tops) for top in tops},
    }


_EARS = ("left_ear", "right_ear")

HEAD_WAYS: dict[str, tuple[dict[str, float], ...]] = {
    "neck_nose": (
        _up(NECK_SHARE, "head_top"),
        _up(NECK_SHARE / EAR_SHARE, *_EARS),
        _up(0.5, "nose"),
        _up(0.5, "head"),
        _up(0.5, "face"),
    ),
    "head": (
        _up(HEAD_SHARE, "head_top"),
        _up(HEAD_SHARE / EAR_SHARE, *_EARS),
    ),
}
"""Joint -> ways to make it, best first; a way maps joints to shares that sum to 1.

Source: ours. With the top of the head: 0.35 and 0.75 of the way from the middle of the shoulders.
With the ears, which lie at about 0.625 of it: 0.56 and 1.2 of the way to them.
"""


def plan_joints(source: Skeleton, wanted: Skeleton) -> JointMap:
    """How a lifter's joints are had from those of poses, by name.

    A joint that is there is taken as it is; else the first way of :data:`HEAD_WAYS`, then of
    :data:`~chronopose.core.skeleton.APPROXIMATIONS`, whose joints are all there.

    Raises:
        SkeletonMismatch: some joints can be had in no way; the message names them.
    """
    plan = source.map_to(wanted)
    weights, made = plan.weights.copy(), set(plan.approximated)
    for row, joint in enumerate(wanted.joints):
        ways = HEAD_WAYS.get(joint, ()) if joint not in source else ()
        way = next((w for w in ways if all(name in source for name in w)), None)
        if way is not None:
            weights[row] = 0
            for name, share in way.items():
                weights[row, source.index(name)] = share
            made.add(joint)
    missing = tuple(j for j in plan.missing if j not in made)
    if missing:
        raise SkeletonMismatch(
            f"Cannot lift {source.name!r} poses: the lifter reads {wanted.name}, and "
            f"{', '.join(missing)} cannot be had from {', '.join(source.joints)}. Use poses of "
            f"the whole body, e.g. coco17, halpe26 or lsp14."
        )
    return JointMap(
        source, wanted, weights, plan.dropped, (), tuple(j for j in wanted.joints if j in made)
    )
