"""Stage: room before the camera, so that everybody is in the picture and nobody in anybody else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from chronopose.synth.body import BONES, PARENTS, Body, BonePoses
from chronopose.synth.camera import Camera
from chronopose.synth.filming import share_in_picture

Floats = NDArray[np.float64]

TRIES = 60
"""Places that are tried for one performance."""
NEAREST_M = 1.7
"""No pelvis comes closer to the camera, metres."""
START_M = 2.6
"""Least distance of a person halfway through the clip, metres."""
LEAST_SEEN = 0.75
"""Share of a person, over the clip, that is in the picture at least."""

_LOOK_S = 0.04
_TRUNK_M, _LIMB_M, _HAND_M, _TOES_M = 0.2, 0.09, 0.16, 0.08
_TRUNK = ("pelvis", "spine", "chest", "neck", "head")
_FAR_M = 0.3


@dataclass(frozen=True)
class Extent:
    """Where a person or thing is over the moments that a stage looks at.

    Args:
        points: ``(L, P, 3)`` metres; the first one is its middle.
        radii: ``(P,)`` how far it reaches about each, along the ground, metres.
    """

    points: Floats
    radii: Floats

    @cached_property
    def reach_m(self) -> float:
        """The farthest that anything of it ever is from its middle, along the ground."""
        arms = np.linalg.norm(self.points[..., :2] - self.points[:, :1, :2], axis=-1)
        return float((arms + self.radii).max())

    def beside(self, points: Floats, radius_m: float) -> Extent:
        """Together with something at ``(L, 3)``."""
        both = np.concatenate([self.points, points[:, None]], 1)
        return Extent(both, np.append(self.radii, radius_m))


@dataclass(frozen=True)
class Spot:
    """Where a performance takes place: turned about the vertical, then carried.

    Args:
        turn_rad: Counter-clockwise seen from above.
        anchor: ``(2,)`` ground point of the performance that is carried to ``place``.
        place: ``(2,)`` metres.
    """

    turn_rad: float
    anchor: Floats
    place: Floats

    @property
    def turn(self) -> Floats:
        """``(3, 3)``."""
        cos, sin = np.cos(self.turn_rad), np.sin(self.turn_rad)
        return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])

    def carry(self, points: NDArray[np.floating]) -> Floats:
        """Points ``(..., 3)`` of the performance in the world, metres."""
        moved: Floats = (points - [*self.anchor, 0.0]) @ self.turn.T + [*self.place, 0.0]
        return moved

    def carry_poses(self, poses: BonePoses) -> BonePoses:
        """The performance itself."""
        root = self.carry(poses.root.astype(np.float64))
        turned = self.turn @ poses.rotations
        return BonePoses(turned.astype(np.float32), root.astype(np.float32), poses.time_s)


class Stage:
    """The ground before the cameras, which are at the origin and look along +y.

    Args:
        cameras: One a moment.
        time_s: ``(M,)`` moments.
        room_m: Free space between two people, metres.
        reach_m: How far away people may be halfway through the clip, metres.
    """

    def __init__(
        self, cameras: Sequence[Camera], time_s: Floats, room_m: float, reach_m: float
    ) -> None:
        step = float(time_s[-1] - time_s[0]) / max(len(time_s) - 1, 1)
        self.looks = slice(0, len(time_s), max(1, round(_LOOK_S / step)))
        """The moments that are looked at: 25 a second."""
        self._cameras = cameras[self.looks]
        self._room, self._reach = room_m, reach_m
        self._people: list[Extent] = []
        self._things: list[Extent] = []

    def extent(self, body: Body, poses: BonePoses) -> Extent:
        """What a person takes up: joints, middles of bones, fingertips and toes."""
        part = BonePoses(poses.rotations[self.looks], poses.root[self.looks],
                         poses.time_s[self.looks])  # fmt: skip
        points, bones, radii = _probes(body)
        matrices = body.skin_matrices(part).astype(np.float64)[:, bones]
        turned = np.einsum("lpab,pb->lpa", matrices[..., :3], points)
        return Extent(turned + matrices[..., 3], radii)

    def place(
        self, extent: Extent, half_width: float, rng: np.random.Generator, *, anyhow: bool = False
    ) -> Spot | None:
        """Find room for a person and take it.

        Args:
            extent: Of the performance, anywhere.
            half_width: Half the width of the view at a distance of one metre, metres.
            rng: Draws directions and places.
            anyhow: Take the place at which the most is seen if none is good.

        Returns:
            None if there is no room.
        """
        anchor = extent.points[len(extent.points) // 2, 0, :2]
        best: tuple[float, Spot] | None = None
        for _ in range(TRIES):
            away = float(np.exp(rng.uniform(np.log(START_M), np.log(self._reach))))
            side = float(rng.uniform(-0.85, 0.85)) * half_width * away
            spot = Spot(float(rng.uniform(0, 2 * np.pi)), anchor, np.array([side, away]))
            points = spot.carry(extent.points)
            if np.linalg.norm(points[:, 0, :2], axis=1).min() < NEAREST_M:
                continue
            seen = float(share_in_picture(self._cameras, points).mean())
            wanted = seen >= LEAST_SEEN or (anyhow and (best is None or seen > best[0]))
            if wanted and self.is_free(Extent(points, extent.radii), self._room):
                best = seen, spot
                if seen >= LEAST_SEEN:
                    break
        if best is None:
            return None
        self._people.append(Extent(best[1].carry(extent.points), extent.radii))
        return best[1]

    def is_free(self, extent: Extent, room_m: float) -> bool:
        """Whether it stays so far away from everybody and everything, metres."""
        return all(gap(extent, other) >= room_m for other in (*self._people, *self._things))

    def add_thing(self, extent: Extent) -> None:
        """Take a place that is free."""
        self._things.append(extent)

    def somebody(self, rng: np.random.Generator) -> Floats:
        """``(2,)`` where one of the people is halfway through the clip."""
        points = self._people[int(rng.integers(len(self._people)))].points
        return points[len(points) // 2, 0, :2]


def gap(one: Extent, other: Extent) -> float:
    """Least free space between two extents along the ground at any moment, metres.

    Nobody reaches over anybody: heights do not count. More than 0.3 m is an estimate.
    """
    middles = np.linalg.norm(one.points[:, 0, :2] - other.points[:, 0, :2], axis=1)
    reach = one.reach_m + other.reach_m
    near = middles <= reach + _FAR_M
    if not near.any():
        return float(middles.min()) - reach
    apart = one.points[near][:, :, None, :2] - other.points[near][:, None, :, :2]
    return float((np.linalg.norm(apart, axis=-1) - one.radii[:, None] - other.radii).min())


def _probes(body: Body) -> tuple[Floats, NDArray[np.int64], Floats]:
    """Rest points, the bones that carry them and how far the body reaches about each."""
    joints = body.joints.astype(np.float64)
    points, bones, radii = [], [], []
    for bone, parent in enumerate(PARENTS):
        reach = _TRUNK_M if BONES[bone] in _TRUNK else _LIMB_M
        points.append(joints[bone])
        bones.append(bone)
        radii.append(reach)
        if parent < 0:
            continue
        points.append((joints[bone] + joints[parent]) / 2)
        bones.append(parent)
        radii.append(_LIMB_M)
        on = {"hand": _HAND_M, "toes": _TOES_M}.get(BONES[bone].partition("_")[2])
        if on is not None:
            way = joints[bone] - joints[parent]
            points.append(joints[bone] + way * (on / max(float(np.linalg.norm(way)), 1e-6)))
            bones.append(bone)
            radii.append(0.05)
    return np.array(points), np.array(bones), np.array(radii)
