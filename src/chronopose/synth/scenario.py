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
from chronopose.synth.assets import Assets
from chronopose.synth.body import BONES, Body, BonePoses
from chronopose.synth.camera import Camera
from chronopose.synth.motion import Motion
from chronopose.synth.filming import draw_shooting, follow_cameras
from chronopose.synth.plain_body import SOLIDS, solid
from chronopose.synth.retarget import retarget
from chronopose.synth.scene import Environment

Difficulty = Literal["clean", "blur", "defocus", "occlusion", "crowd"]
DIFFICULTIES: tuple[Difficulty, ...] = ("clean", "blur", "defocus", "occlusion", "crowd")
Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")

CROWD = (5, 8)
"""People in a crowd, whatever the plan says."""
FINE = 8
"""Moments of a frame's time in which a blurred clip is drawn."""
APART_M, APART_IN_CROWD_M = 0.65, 0.45
"""Least distance of two pelvises over the ground, metres."""
NEAREST_M = 1.7
"""Nobody comes closer to the camera, metres."""
TRIES = 40
SETTLE_S = 1.0
"""Motion before and after the clip that retargeting looks at, seconds."""
THING_SIZES = {
    "box": (0.5, 0.5, 0.9), "pole": (0.14, 0.14, 2.4), "board": (1.0, 0.05, 1.1),
    "plant": (0.6, 0.6, 1.4),
}  # fmt: skip
"""Typical extents of occluders, metres."""


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
        if not 1 <= low <= high <= 30 or self.frames < 2 or not self.fps > 0 or self.seed < 0:
            raise UsageError(
                f"A clip needs 1 to 30 people, two frames or more, a rate above zero and a seed "
                f"from 0; got people {low}..{high}, {self.frames} frames, {self.fps} frames a "
                f"second, seed {self.seed}."
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


def make_scenario(plan: ClipPlan, assets: Assets) -> Scenario:
    """Draw everything random about a clip.

    People for whom no free place is found in :data:`TRIES` attempts stay away; one always comes.
    """
    rng = np.random.default_rng([plan.seed, DIFFICULTIES.index(plan.difficulty)])
    environment = assets.environment(plan.split, rng)
    shooting = draw_shooting(plan.size, plan.difficulty == "blur", rng)
    time_s = (np.arange((plan.frames + 2) * plan.fine + 1) - plan.fine) / (plan.fps * plan.fine)
    crowd = plan.difficulty == "crowd"
    low, high = CROWD if crowd else plan.people
    count = int(rng.integers(low, high + 1))
    stage = _Stage(APART_IN_CROWD_M if crowd else APART_M)
    players: list[Player] = []
    for _ in range(count):
        body = assets.body(plan.split, rng)
        motion = assets.motion(plan.split, float(time_s[-1] - time_s[0]) + 2 * SETTLE_S, rng)
        poses = _perform(motion, body, time_s)
        placed = stage.place(poses, shooting.half_width, rng, first=not players)
        if placed is not None:
            matrices = body.skin_matrices(placed)
            players.append(Player(body, matrices, len(players) + 1, motion.key))
    cameras = follow_cameras(shooting, stage.middle(), time_s, plan.size, rng)
    if plan.difficulty == "occlusion":
        players += _things(stage, cameras[0], time_s, rng)
    shutter = int(rng.integers(2, plan.fine // 2 + 1)) if plan.fine > 1 else 0
    return Scenario(plan, environment, cameras, tuple(players), time_s, shutter)


def _perform(motion: Motion, body: Body, time_s: NDArray[np.float64]) -> BonePoses:
    """What the body does at the moments of the clip, starting anywhere on the ground."""
    step = float(time_s[1] - time_s[0])
    before = round(SETTLE_S / step)
    times = motion.time_s[0] + np.arange(len(time_s) + 2 * before) * step
    poses = retarget(motion.at(times), body)
    part = slice(before, before + len(time_s))
    return BonePoses(poses.rotations[part], poses.root[part], time_s)


def _moved(
    poses: BonePoses, turn_rad: float, anchor: NDArray[np.floating], place: NDArray[np.floating]
) -> BonePoses:
    """Turn a performance about the vertical and carry ``anchor`` to ``place`` on the ground."""
    cos, sin = np.cos(turn_rad), np.sin(turn_rad)
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    root = (poses.root - [*anchor, 0.0]) @ turn.T + [*place, 0.0]
    rotations = turn @ poses.rotations
    return BonePoses(rotations.astype(np.float32), root.astype(np.float32), poses.time_s)


class _Stage:
    """The ground in front of the camera, which stands at the origin and looks along +y."""

    def __init__(self, apart_m: float) -> None:
        self._apart = apart_m
        self._paths: list[NDArray[np.float64]] = []

    def place(
        self, poses: BonePoses, half_width: float, rng: np.random.Generator, *, first: bool
    ) -> BonePoses | None:
        """Find room for a performance.

        Args:
            poses: Anywhere.
            half_width: Half the width of the view at a distance of one metre, metres.
            rng: Draws directions and places.
            first: Take the last attempt even if it does not fit well.
        """
        path = poses.root[:, :2].astype(np.float64)
        anchor = path[len(path) // 2]
        placed: BonePoses | None = None
        for _ in range(TRIES):
            depth = float(np.exp(rng.uniform(np.log(2.6), np.log(8.5))))
            side = float(rng.uniform(-0.8, 0.8)) * half_width * depth
            turn = float(rng.uniform(0, 2 * np.pi))
            placed = _moved(poses, turn, anchor, np.array([side, depth]))
            way = placed.root[:, :2].astype(np.float64)
            seen = np.abs(way[:, 0]) < 0.95 * half_width * way[:, 1]
            free = all(np.linalg.norm(way - w, axis=1).min() >= self._apart for w in self._paths)
            if free and np.linalg.norm(way, axis=1).min() >= NEAREST_M and seen.mean() > 0.7:
                break
        else:
            if not first:
                return None
        assert placed is not None
        self._paths.append(placed.root[:, :2].astype(np.float64))
        return placed

    def middle(self) -> NDArray[np.float64]:
        """``(2,)`` mean place of the people."""
        return np.mean([p.mean(0) for p in self._paths], 0)

    def somebody(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """``(2,)`` where one of the people is in the middle of the clip."""
        path = self._paths[int(rng.integers(len(self._paths)))]
        return path[len(path) // 2]


def _things(
    stage: _Stage, camera: Camera, time_s: NDArray[np.float64], rng: np.random.Generator
) -> list[Player]:
    """Two to four things between the camera and people; the last one moves across the view."""
    players = []
    count = int(rng.integers(2, 5))
    for number in range(count):
        kind = SOLIDS[int(rng.integers(len(SOLIDS)))]
        size = tuple(float(s * np.exp(rng.normal(0, 0.15))) for s in THING_SIZES[kind])
        body = solid(kind, (size[0], size[1], size[2]), int(rng.integers(1 << 30)))
        target, eye = stage.somebody(rng), camera.place[:2]
        place = eye + (target - eye) * rng.uniform(0.4, 0.8) + rng.normal(0, 0.2, 2)
        root = np.tile([*place, 0.0], (len(time_s), 1))
        if number == count - 1:
            across = np.array([target[1] - eye[1], -(target[0] - eye[0])])
            across /= max(float(np.linalg.norm(across)), 1e-6)
            speed = float(rng.uniform(0.5, 1.5)) * (1 if rng.random() < 0.5 else -1)
            root[:, :2] += np.outer((time_s - time_s.mean()) * speed, across)
        still = np.broadcast_to(np.eye(3, dtype=np.float32), (len(time_s), len(BONES), 3, 3))
        poses = BonePoses(still, root.astype(np.float32), time_s)
        players.append(Player(body, body.skin_matrices(poses), 0))
    return players


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
