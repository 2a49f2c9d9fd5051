"""Scenario: who does what where, and who films it, all of it from one seed.

A scenario holds no pixels. Everything random about a clip is drawn here, in one order, by one
generator, so that the same plan and the same assets give the same labels on every machine; a
renderer then only has to draw what is written down.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from chronopose.errors import UsageError
from chronopose.synth.assets import Assets, reach_m
from chronopose.synth.body import Body, BonePoses
from chronopose.synth.camera import Camera
from chronopose.synth.filming import draw_shooting, follow_cameras
from chronopose.synth.motion import Motion
from chronopose.synth.retarget import retarget
from chronopose.synth.scene import Environment
from chronopose.synth.stage import Stage
from chronopose.synth.things import Seat, Thing, draw_things, needs_seat

Difficulty = Literal["clean", "blur", "defocus", "occlusion", "crowd"]
DIFFICULTIES: tuple[Difficulty, ...] = ("clean", "blur", "defocus", "occlusion", "crowd")
Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")

CROWD = (5, 8)
"""People in a crowd, whatever the plan says."""
FINE = 8
"""Moments of a frame's time in which a blurred clip is drawn."""
ROOM_M, ROOM_IN_CROWD_M = 0.1, 0.0
"""Free space between two people, metres; bodies themselves keep 0.4 m between their spines."""
MOTIONS = 3
"""Motions that are tried for a person until one fits into the picture and between the others."""
SETTLE_S = 1.0
"""Motion before and after the clip that retargeting looks at, seconds."""


@dataclass(frozen=True, kw_only=True)
class ClipPlan:
    """What decides a clip, together with the assets.

    Args:
        seed: Any number from 0.
        difficulty: One of :data:`DIFFICULTIES`.
        people: Fewest and most people.
        frames: Length.
        fps: Frames a second.
        size: Width and height, pixels.
        split: Bodies, motions and places of ``test`` and ``val`` are others than of ``train``.

    Raises:
        UsageError: a value makes no sense.
    """

    seed: int
    difficulty: Difficulty = "clean"
    people: tuple[int, int] = (1, 4)
    frames: int = 40
    fps: float = 25.0
    size: tuple[int, int] = (640, 360)
    split: Split = "train"

    def __post_init__(self) -> None:
        low, high = self.people
        if self.difficulty not in DIFFICULTIES or self.split not in SPLITS:
            raise UsageError(
                f"A clip is one of {', '.join(DIFFICULTIES)} of the split {', '.join(SPLITS)}; "
                f"got {self.difficulty!r}, {self.split!r}."
            )
        timed = self.frames >= 2 and 0 < self.fps < 1000
        if not 1 <= low <= high <= 30 or not timed or self.seed < 0:
            raise UsageError(
                f"A clip needs 1 to 30 people, two frames or more, up to 1000 frames a second and "
                f"a seed from 0; got people {low}..{high}, {self.frames} frames, {self.fps} frames "
                f"a second, seed {self.seed}."
            )
        if any(n < 32 or n % 2 for n in self.size):
            raise UsageError(f"Sides of a clip are even and at least 32 pixels; got {self.size}.")

    @property
    def name(self) -> str:
        """``000042_blur``."""
        return f"{self.seed:06d}_{self.difficulty}"

    @property
    def fine(self) -> int:
        """Moments a frame's time is divided into."""
        return FINE if self.difficulty == "blur" else 1


@dataclass(frozen=True)
class Player:
    """A person or thing over the whole clip.

    Args:
        body: The mesh.
        matrices: ``(M, J, 3, 4)`` skinning matrices at every moment of the scenario.
        track: Number of the person from 1; 0 for things.
        motion: Key of the motion; empty for things.
    """

    body: Body
    matrices: NDArray[np.float32]
    track: int
    motion: str = ""


@dataclass(frozen=True)
class Scenario:
    """A clip before it is drawn.

    Args:
        plan: What was asked for.
        environment: Light and place.
        cameras: One for each of M moments.
        players: People in the order of their tracks, then things.
        time_s: ``(M,)`` moments, ``fine`` a frame; frame k happens at moment ``moment(k)``.
        shutter: Moments before and after a frame's own in which its shutter is open.
    """

    plan: ClipPlan
    environment: Environment
    cameras: tuple[Camera, ...]
    players: tuple[Player, ...]
    time_s: NDArray[np.float64]
    shutter: int = 0

    def moment(self, frame: int) -> int:
        """Position of a frame among the moments; the frame after the last one exists too."""
        return (frame + 1) * self.plan.fine

    @property
    def people(self) -> tuple[Player, ...]:
        """The players who are people."""
        return tuple(p for p in self.players if p.track)

    def fingerprint(self) -> str:
        """sha256 over the decisions: plan, place, bodies, motions and counts."""
        decisions = {
            "plan": asdict(self.plan), "environment": self.environment.key,
            "players": [[p.body.key, p.motion, p.track] for p in self.players],
            "shutter": self.shutter,
        }  # fmt: skip
        return hashlib.sha256(json.dumps(decisions, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Room:
    """A place with a camera that stands still, in which several clips are filmed.

    Args:
        environment: Light and place.
        camera: Over the origin, looking along +y.
        reach_m: How far away people may be halfway through a clip, metres.
    """

    environment: Environment
    camera: Camera
    reach_m: float

    @property
    def half_width(self) -> float:
        """Half the width of the view at a distance of one metre, metres."""
        return float(self.camera.size[0] / 2 / self.camera.intrinsics[0, 0])


def make_scenario(
    plan: ClipPlan, assets: Assets, *, painted: bool = True, room: Room | None = None,
    body: Body | None = None,
) -> Scenario:  # fmt: skip
    """Draw everything random about a clip.

    People for whom no place is found stay away; one always comes.

    Args:
        plan: What is wanted.
        assets: What it is made of.
        painted: False leaves places made by code black, for labels without pictures: faster, and
            everything else is the same.
        room: Where it is filmed; None draws a place and a camera.
        body: Whose body everybody has; None draws one for each.
    """
    rng = np.random.default_rng(
        [plan.seed, DIFFICULTIES.index(plan.difficulty), SPLITS.index(plan.split)]
    )
    time_s = (np.arange((plan.frames + 2) * plan.fine + 1) - plan.fine) / (plan.fps * plan.fine)
    seconds = float(time_s[-1] - time_s[0])
    if room is None:
        environment = assets.environment(plan.split, rng, painted=painted)
        shooting = draw_shooting(plan.size, seconds, plan.difficulty == "blur", rng)
        reach, half_width = reach_m(environment), shooting.half_width
        focus = float(np.exp(rng.uniform(np.log(3.0), np.log(0.8 * reach))))
        cameras = follow_cameras(shooting, focus, time_s, plan.size, rng)
    else:
        environment, reach, half_width = room.environment, room.reach_m, room.half_width
        cameras = (room.camera,) * len(time_s)
    crowd = plan.difficulty == "crowd"
    low, high = CROWD if crowd else plan.people
    stage = Stage(cameras, time_s, ROOM_IN_CROWD_M if crowd else ROOM_M, reach)
    players: list[Player] = []
    things: list[Thing] = []
    for _ in range(int(rng.integers(low, high + 1))):
        who = assets.body(plan.split, rng) if body is None else body
        for left in reversed(range(MOTIONS)):
            motion = assets.motion(plan.split, seconds, rng, SETTLE_S)
            whole, poses = _perform(motion, assets, who, time_s)
            extent = stage.extent(who, poses)
            seat = Seat(who, whole) if needs_seat(motion) else None
            if seat is not None:
                extent = extent.beside(
                    np.tile(seat.place, (len(extent.points), 1)), seat.radius_m
                )  # fmt: skip
            spot = stage.place(extent, half_width, rng, anyhow=not (players or left))
            if spot is not None:
                matrices = who.skin_matrices(spot.carry_poses(poses))
                players.append(Player(who, matrices, len(players) + 1, motion.key))
                if seat is not None:
                    things.append(seat.thing(spot, time_s, plan.seed + len(players)))
                break
    if plan.difficulty == "occlusion":
        things += draw_things(stage, half_width, time_s, rng)
    shutter = int(rng.integers(2, plan.fine // 2 + 1)) if plan.fine > 1 else 0
    solid = [Player(thing.body, thing.matrices, 0) for thing in things]
    return Scenario(plan, environment, cameras, (*players, *solid), time_s, shutter)


def _perform(
    motion: Motion, assets: Assets, body: Body, time_s: NDArray[np.float64]
) -> tuple[BonePoses, BonePoses]:
    """What the body does, anywhere on the ground: with what is before and after, and in the clip.

    The motion's time 0 is the first moment of the clip.
    """
    step = float(time_s[1] - time_s[0])
    before = round(SETTLE_S / step)
    times = (np.arange(len(time_s) + 2 * before) - before) * step
    whole = retarget(motion.at(times), body, calibration=assets.calibration(motion))
    part = slice(before, before + len(time_s))
    return whole, BonePoses(whole.rotations[part], whole.root[part], time_s)


def plans(
    count: int,
    seed: int,
    difficulties: Sequence[Difficulty],
    **settings: Any,
) -> list[ClipPlan]:
    """Plans of ``count`` clips with seeds from ``seed`` on, the difficulties taken in turn."""
    return [
        ClipPlan(seed=seed + i, difficulty=difficulties[i % len(difficulties)], **settings)
        for i in range(count)
    ]
