"""Things: what stands or passes between the camera and people, and what people sit on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from chronopose.synth.body import BONES, Body, BonePoses
from chronopose.synth.motion import PROCEDURAL, Motion
from chronopose.synth.plain_body import SOLIDS, solid
from chronopose.synth.stage import Extent, Floats, Spot, Stage

SIZES = {
    "box": (0.5, 0.5, 0.9), "pole": (0.14, 0.14, 2.4), "board": (1.0, 0.05, 1.1),
    "plant": (0.6, 0.6, 1.4),
}  # fmt: skip
"""Typical extents, metres."""
TRIES = 30
NEAREST_M = 0.9
"""Nothing comes closer to the camera, metres."""
WIDEST = 0.3
"""Nothing is wider than this share of the picture."""
ROOM_M = 0.05
"""Least free space between things and people, metres."""
SEAT_M = 0.42
"""Width of a stool, metres."""

_SEAT_BELOW_HIP_M = 0.095


class Thing:
    """A solid and its way.

    Args:
        body: The mesh.
        root: ``(M, 3)`` where it stands, metres.
        turn: ``(3, 3)`` its direction.
        time_s: ``(M,)`` moments.
    """

    def __init__(self, body: Body, root: Floats, turn: Floats, time_s: Floats) -> None:
        self.body = body
        turns = np.broadcast_to(turn.astype(np.float32), (len(time_s), len(BONES), 3, 3))
        self.matrices: NDArray[np.float32] = body.skin_matrices(
            BonePoses(turns, root.astype(np.float32), time_s)
        )


def draw_things(
    stage: Stage, half_width: float, time_s: Floats, rng: np.random.Generator
) -> list[Thing]:
    """Two to four things between the camera and people; the last one moves across the view.

    Those for which no room is found are left out.

    Args:
        stage: With everybody on it.
        half_width: Half the width of the view at a distance of one metre, metres.
        time_s: ``(M,)`` moments.
        rng: Chooses.
    """
    found = []
    count = int(rng.integers(2, 5))
    for number in range(count):
        for _ in range(TRIES):
            kind = SOLIDS[int(rng.integers(len(SOLIDS)))]
            wide, deep, tall = (float(s * np.exp(rng.normal(0, 0.15))) for s in SIZES[kind])
            seed, moves = int(rng.integers(1 << 30)), number == count - 1
            root = _way(stage, time_s, moves, rng)
            near = np.linalg.norm(root[:, :2], axis=1).min()
            if near < NEAREST_M or wide > WIDEST * 2 * half_width * near:
                continue
            radius = np.array([np.hypot(wide, deep) / 2])
            extent = Extent(root[stage.looks][:, None], radius)
            if stage.is_free(extent, ROOM_M):
                stage.add_thing(extent)
                found.append(Thing(solid(kind, (wide, deep, tall), seed), root, np.eye(3), time_s))
                break
    return found


def _way(stage: Stage, time_s: Floats, moves: bool, rng: np.random.Generator) -> Floats:
    """``(M, 3)`` a place on the line to one of the people, or a way across that line."""
    target = stage.somebody(rng)
    place = target * rng.uniform(0.35, 0.85) + rng.normal(0, 0.2, 2)
    speed = float(rng.uniform(0.5, 1.5)) * (1 if rng.random() < 0.5 else -1)
    root = np.tile([*place, 0.0], (len(time_s), 1))
    if moves:
        across = np.array([target[1], -target[0]]) / np.linalg.norm(target)
        root[:, :2] += np.outer((time_s - time_s.mean()) * speed, across)
    return root


class Seat:
    """The stool under somebody who sits down, in the coordinates of the performance.

    Args:
        body: Who sits.
        poses: From before sitting down on.
    """

    def __init__(self, body: Body, poses: BonePoses) -> None:
        frame = int(np.argmin(poses.root[:, 2].round(4)))
        still = BonePoses(poses.rotations[[frame]], poses.root[[frame]], poses.time_s[[frame]])
        matrices = body.skin_matrices(still)[0].astype(np.float64)
        hips = [BONES.index(f"{side}_thigh") for side in ("left", "right")]
        places = [matrices[b, :, :3] @ body.joints[b] + matrices[b, :, 3] for b in hips]
        middle, left = np.mean(places, 0), places[0] - places[1]
        self.height_m = max(float(middle[2]) - _SEAT_BELOW_HIP_M, 0.1)
        self.place = np.array([middle[0], middle[1], 0.0])
        self.turn_rad = float(np.arctan2(left[1], left[0]))

    @property
    def radius_m(self) -> float:
        """How far it reaches about its middle, metres."""
        return SEAT_M / np.sqrt(2)

    def thing(self, spot: Spot, time_s: Floats, seed: int) -> Thing:
        """The stool in the world."""
        body = solid("box", (SEAT_M, SEAT_M, self.height_m), seed)
        root = np.tile(spot.carry(self.place), (len(time_s), 1))
        turn = Spot(spot.turn_rad + self.turn_rad, np.zeros(2), np.zeros(2)).turn
        return Thing(body, root, turn, time_s)


def needs_seat(motion: Motion) -> bool:
    """Whether somebody sits down in it. Recordings do so on the ground alone."""
    return motion.key.startswith(f"{PROCEDURAL}/sit-")
