"""What becomes of poses before a lifter sees them: projection, other bones, detectors' mistakes.

Functions on arrays; :mod:`chronopose.data.lift` cuts windows with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from chronopose.core.lifting import HEAD_SHARE, NECK_SHARE
from chronopose.core.skeleton import Skeleton
from chronopose.io.motion import Camera

Bools = NDArray[np.bool_]

PARENTS = {
    "right_hip": "pelvis", "right_knee": "right_hip", "right_ankle": "right_knee",
    "left_hip": "pelvis", "left_knee": "left_hip", "left_ankle": "left_knee",
    "spine": "pelvis", "thorax": "spine", "neck_nose": "thorax", "head": "neck_nose",
    "left_shoulder": "thorax", "left_elbow": "left_shoulder", "left_wrist": "left_elbow",
    "right_shoulder": "thorax", "right_elbow": "right_shoulder", "right_wrist": "right_elbow",
    "head_top": "neck_nose",
}  # fmt: skip
"""Joint of ``h36m17`` -> the joint that it hangs on, parents first; the top of the head too."""


def project(
    xyz: NDArray[np.floating],
    focal_px: NDArray[np.floating],
    centre_px: NDArray[np.floating],
    radial: NDArray[np.floating],
    tangential: NDArray[np.floating],
) -> NDArray[np.float64]:
    """Camera space -> pixels, with the distortion of the Human3.6M cameras.

    Args:
        xyz: ``(..., 3)`` metres, z above zero.
        focal_px: ``(..., 2)`` pixels.
        centre_px: ``(..., 2)`` pixels.
        radial: ``(..., 3)`` k1 k2 k3.
        tangential: ``(..., 2)`` p1 p2.

    Returns:
        ``f * (u * (1 + k1 r^2 + k2 r^4 + k3 r^6 + p.u) + p r^2) + c`` with ``u = xy / z`` held
        within -1..1 and ``r = |u|``.

    Source:
        Published with VideoPose3D.
    """
    flat = np.clip(xyz[..., :2] / xyz[..., 2:], -1.0, 1.0)
    square = (flat**2).sum(-1, keepdims=True)
    powers = np.concatenate([square, square**2, square**3], -1)
    bend = 1 + (radial * powers).sum(-1, keepdims=True)
    bend = bend + (tangential * flat).sum(-1, keepdims=True)
    pixels: NDArray[np.float64] = focal_px * (flat * bend + tangential * square) + centre_px
    return pixels


def seen_by(xyz: NDArray[np.floating], lens: Camera) -> NDArray[np.float64]:
    """``(..., 3)`` points in a camera's axes -> its pixels ``(..., 2)``."""
    return project(xyz, lens.focal_px, lens.centre_px, lens.radial, lens.tangential)


def fill_dropouts(xy: NDArray[np.floating], seen: Bools) -> NDArray[np.float64]:
    """Missed joints by straight lines over time; before the first and after the last they stay.

    Args:
        xy: ``(..., T, K, 2)``.
        seen: ``(..., T, K)``, False where the joint was missed.

    Returns:
        ``(..., T, K, 2)``; a joint that was never seen is left as it is.
    """
    count = xy.shape[-3]
    shape = (count, 1)
    here = np.broadcast_to(np.arange(count).reshape(shape), seen.shape)
    last = np.maximum.accumulate(np.where(seen, here, -1), axis=-2)
    following = np.flip(
        np.minimum.accumulate(np.flip(np.where(seen, here, count), -2), axis=-2), -2
    )
    before = np.where(last < 0, following, last)
    after = np.where(following >= count, last, following)
    never = (last < 0) & (following >= count)
    before, after = np.where(never, here, before), np.where(never, here, after)
    one, other = (
        np.take_along_axis(np.asarray(xy, np.float64), at[..., None], axis=-3)
        for at in (before, after)
    )
    way = np.where(after > before, (here - before) / np.maximum(after - before, 1), 0.0)
    filled: NDArray[np.float64] = one + (other - one) * way[..., None]
    return filled


def disturb(
    xy: NDArray[np.floating],
    spread_px: NDArray[np.floating] | float,
    dropout: float,
    rng: np.random.Generator,
    steady: float = 0.0,
) -> tuple[NDArray[np.float64], Bools]:
    """Joints as a detector finds them: normal noise, and gaps that are filled.

    Args:
        xy: ``(..., T, K, 2)`` pixels.
        spread_px: Of the noise in x and in y; broadcasts to ``xy``.
        dropout: Share of missed joints.
        rng: Source of chance.
        steady: Share of the noise's power that is the same in all T frames: detectors repeat
            their mistakes.

    Returns:
        ``(..., T, K, 2)`` pixels, and ``(..., T, K)`` which were not missed.
    """
    noise = rng.standard_normal(xy.shape, np.float32)
    if steady:
        same = rng.standard_normal((*xy.shape[:-3], 1, *xy.shape[-2:]), np.float32)
        noise = np.sqrt(1 - steady) * noise + np.sqrt(steady) * same
    noisy = np.asarray(xy, np.float64) + noise * spread_px
    if not dropout:
        return noisy, np.ones(xy.shape[:-1], bool)
    seen = rng.random(xy.shape[:-1]) >= dropout
    return fill_dropouts(noisy, seen), seen


def derive_trunk(
    xy: NDArray[np.floating],
    head_top: NDArray[np.floating],
    skeleton: Skeleton,
    shares: tuple[NDArray[np.floating] | float, NDArray[np.floating] | float] = (
        NECK_SHARE,
        HEAD_SHARE,
    ),
) -> NDArray[np.float64]:
    """The trunk of ``h36m17`` made of hips, shoulders and the top of the head.

    pelvis = middle of the hips, thorax = middle of the shoulders, spine = middle of both,
    neck_nose and head = parts of the way from the thorax to the top of the head.

    Args:
        xy: ``(..., K, D)`` joints; others than the five stay.
        head_top: ``(..., D)``.
        skeleton: Names of the K joints.
        shares: Parts of the way for neck_nose and for head; each broadcasts to ``head_top``.
    """
    out = np.array(xy, np.float64)
    at = skeleton.index
    pelvis = (out[..., at("left_hip"), :] + out[..., at("right_hip"), :]) / 2
    thorax = (out[..., at("left_shoulder"), :] + out[..., at("right_shoulder"), :]) / 2
    up = np.asarray(head_top, np.float64) - thorax
    out[..., at("pelvis"), :] = pelvis
    out[..., at("thorax"), :] = thorax
    out[..., at("spine"), :] = (pelvis + thorax) / 2
    out[..., at("neck_nose"), :] = thorax + shares[0] * up
    out[..., at("head"), :] = thorax + shares[1] * up
    return out


def scale_bones(
    xyz: NDArray[np.floating], joints: Sequence[str], factors: Mapping[str, NDArray[np.floating]]
) -> NDArray[np.float64]:
    """A person with other bones in the same pose; the root stays where it is.

    Args:
        xyz: ``(..., K, 3)``.
        joints: Names of the K joints, all of them known to :data:`PARENTS` but the root.
        factors: Name of a joint without its side -> factor ``(..., 1)`` of the bone that ends
            there; a bone that is not named keeps its length.
    """
    out = np.array(xyz, np.float64)
    place = {name: k for k, name in enumerate(joints)}
    for joint in (j for j in PARENTS if j in place):
        parent = PARENTS[joint]
        bone = np.asarray(xyz[..., place[joint], :], np.float64) - xyz[..., place[parent], :]
        out[..., place[joint], :] = (
            out[..., place[parent], :] + factors.get(part_of(joint), 1) * bone
        )
    return out


def part_of(joint: str) -> str:
    """A joint without its side; the top of the head goes with the head."""
    part = joint.removeprefix("left_").removeprefix("right_")
    return "head" if part == "head_top" else part
