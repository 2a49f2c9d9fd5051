"""Procedural video: capsule people that move, with every label known exactly.

Gives      2D joints, 3D joints, identity, visibility, boxes and optical flow of every frame.
Needs      numpy and PIL; nothing is downloaded, no graphics driver.
Joints     any skeleton of the registry, picked by name from ``body.BODY``.
Random     everything follows from the seed; frame k can be had without the frames before it, so a
           video of any length takes the memory of one frame.
Honest     pictures are far from photographs: good for tests, pre-training and exact labels; never
           claim from them alone that something works on real people.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from chronopose.core.boxes import Boxes
from chronopose.core.poses import Poses
from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import get_skeleton
from chronopose.core.tracks import FramePoses, HistoryStep, VideoPoses
from chronopose.core.video import Clip, VideoInfo
from chronopose.data.body import BODY, pose_body
from chronopose.data.clips import Sample
from chronopose.data.raster import Canvas, motion_blur
from chronopose.data.scenery import Backdrop, Camera, Obstacle, draw_backdrop, draw_obstacles
from chronopose.data.store import PixelStore
from chronopose.data.wardrobe import Person, draw_people, person_capsules
from chronopose.errors import UsageError

VERSION = 1
"""Raised when the same seed gives other pictures than before; part of cache keys."""

JOINT_RADIUS_M = {"hip": 0.16, "knee": 0.13, "ankle": 0.1, "shoulder": 0.15, "elbow": 0.1,
                  "wrist": 0.08, "head": 0.16, "neck": 0.13}  # fmt: skip
"""How far under the visible surface a joint may lie and still count as visible, metres."""
OTHER_RADIUS_M = 0.16


@dataclass(frozen=True)
class RenderedFrame:
    """One frame with its labels.

    Axes: P person, K joint of the skeleton.
    """

    image: NDArray[np.uint8]
    """(H, W, 3) RGB."""
    ids: NDArray[np.int64]
    """(P,) identity, from 1."""
    xy: NDArray[np.float32]
    """(P, K, 2) image pixels, also of hidden joints; NaN for joints the body does not have."""
    xyz_m: NDArray[np.float32]
    """(P, K, 3) metres in camera axes: x right, y down, z away."""
    visible: NDArray[np.bool_]
    """(P, K) inside the picture and not hidden, by depth test."""
    boxes: NDArray[np.float32]
    """(P, 4) left, top, right, bottom of the whole body, hidden parts included, image pixels."""
    owner: NDArray[np.int16]
    """(H, W) id of the person seen at each pixel, -1 an object, -2 the background."""
    depth_m: NDArray[np.float32]
    """(H, W) metres; infinite for the background."""
    flow: NDArray[np.float32]
    """(H, W, 2) pixels that each pixel's content moves until the next frame."""


class ProceduralVideo:
    """A generated video of known people.

    Args:
        seed: Decides everything.
        size: Width and height, pixels; at least 32 each.
        frames: Length; frames beyond it can still be rendered.
        people: Number of people.
        rate_hz: Frames a second.
        skeleton: Registry name of the joints to label.
        motions: Kinds of motion to choose from, see ``body.MOTIONS``; None for all.
        fill: Range of a person's height as a share of the picture's height.
        obstacles: Objects in front of people; None draws 0 to 2.
        spread: How far people may wander sideways, as a share of the picture's width.

    Raises:
        UsageError: the size or a count makes no sense.
    """

    def __init__(
        self,
        seed: int,
        size: tuple[int, int] = (320, 240),
        frames: int = 100,
        people: int = 1,
        rate_hz: float = 25.0,
        *,
        skeleton: str = "coco17",
        motions: tuple[str, ...] | None = None,
        fill: tuple[float, float] = (0.55, 0.85),
        obstacles: int | None = None,
        spread: float = 0.3,
    ) -> None:
        if min(size) < 32 or frames < 1 or people < 0 or not rate_hz > 0 or seed < 0:
            raise UsageError(
                f"A procedural video needs a size of at least 32x32, a frame, a positive rate and "
                f"a seed of at least 0; got size {size}, {frames} frames, {people} people, "
                f"{rate_hz} Hz, seed {seed}."
            )
        rng = np.random.default_rng([seed, VERSION])
        self.seed, self.size, self.num_frames, self.rate_hz = seed, size, frames, rate_hz
        self.skeleton = get_skeleton(skeleton)
        self._camera = Camera.draw(rng, size)
        self._people = draw_people(rng, people, motions, fill, spread, self._camera)
        count = int(rng.integers(0, 3)) if obstacles is None else obstacles
        self._obstacles: list[Obstacle] = draw_obstacles(rng, count, self._people, self._camera)
        self._backdrop: Backdrop = draw_backdrop(rng, size, self._camera)
        self._joint_weights = BODY.map_to(self.skeleton).weights
        self._unknown = ~self._joint_weights.any(axis=1)
        self._margin = _joint_margins(self.skeleton)

    def __len__(self) -> int:
        return self.num_frames

    @property
    def info(self) -> VideoInfo:
        """The video as a reader would describe it."""
        return VideoInfo(
            f"procedural:{self.seed}", self.size, 1 / self.rate_hz, self.rate_hz, self.num_frames,
            self.num_frames / self.rate_hz, 0, "procedural",
        )  # fmt: skip

    def time_s(self, index: int) -> float:
        """Presentation time of a frame, seconds."""
        return index / self.rate_hz

    def render(self, index: int) -> RenderedFrame:
        """Draw frame ``index`` with its labels; the same call always gives the same result."""
        times = np.array([index, index + 1]) / self.rate_hz
        bodies = [self._place(person, times) for person in self._people]
        picture, drift = self._backdrop.at(index, times, self._camera)
        canvas = Canvas(
            picture, drift, self._camera.focal_px, self._backdrop.light, self._backdrop.ambient
        )
        capsules = [o.capsule(times, self._camera) for o in self._obstacles]
        boxes = np.zeros((len(bodies), 4), np.float32)
        for row, (person, body) in enumerate(zip(self._people, bodies, strict=True)):
            parts = person_capsules(person, body, self._camera, row + 1, times)
            ends = np.concatenate([c.ends for c in parts])
            boxes[row, :2] = (ends[:, :2] - ends[:, 3:]).min(0)
            boxes[row, 2:] = (ends[:, :2] + ends[:, 3:]).max(0)
            capsules += parts
        canvas.draw(capsules)
        exposed = motion_blur(canvas.image, canvas.flow, self._camera.shutter)
        image = self._backdrop.sensor(exposed, index)
        xy, xyz = self._joints(bodies, times[:1])
        visible = self._visible(xy, xyz, canvas.depth)
        return RenderedFrame(
            np.ascontiguousarray(image.transpose(1, 2, 0)), np.arange(1, len(bodies) + 1), xy, xyz,
            visible, boxes, canvas.owner, canvas.depth, canvas.flow.transpose(1, 2, 0),
        )  # fmt: skip

    def frame_poses(self, index: int, rendered: RenderedFrame) -> FramePoses:
        """The labels of a rendered frame as the nouns say it; people outside it are left out."""
        width, height = self.size
        boxes = rendered.boxes
        inside = (
            (boxes[:, 2] > 0) & (boxes[:, 3] > 0) & (boxes[:, 0] < width) & (boxes[:, 1] < height)
        )
        xy = rendered.xy[inside]
        known = np.all(np.isfinite(xy), axis=-1)
        poses = Poses(
            xy, known.astype(np.float32), self.skeleton, "image_px", rendered.visible[inside]
        )
        seen = Boxes(boxes[inside], np.ones(int(inside.sum()), np.float32)).clip(self.size)
        return FramePoses(index, self.time_s(index), rendered.ids[inside], seen, poses)

    def __iter__(self) -> Iterator[tuple[NDArray[np.uint8], FramePoses]]:
        """Frames with their labels, one at a time."""
        for index in range(self.num_frames):
            rendered = self.render(index)
            yield rendered.image, self.frame_poses(index, rendered)

    def clip(self, start: int = 0, stop: int | None = None) -> tuple[Clip, VideoPoses]:
        """Frames ``start`` to ``stop`` in memory, with the true poses."""
        index = np.arange(start, self.num_frames if stop is None else stop)
        rendered = [self.render(int(i)) for i in index]
        truth = VideoPoses.from_frames(
            self.info,
            self.skeleton,
            (self.frame_poses(int(i), r) for i, r in zip(index, rendered, strict=True)),
            (HistoryStep("procedural", {"seed": self.seed}, str(VERSION)),),
        )
        frames = np.stack([r.image for r in rendered])
        return Clip(frames, index.astype(np.int64), index / self.rate_hz), truth

    def _place(self, person: Person, times: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Name -> ``(2, 3)`` metres in camera axes, now and one frame later."""
        angles = person.motion.angles(times)
        base, yaw = person.path(times)
        angles[:, 0] += yaw
        points = pose_body(person.build, angles)
        # Body axes (left, up, forward) of a person at yaw 0, who faces the camera.
        axes = np.array([1.0, -1.0, -1.0])
        return {name: base + xyz * axes for name, xyz in points.items()}

    def joints_at(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """``(P, K, 2)`` image pixels and ``(P, K, 3)`` metres of a frame, without drawing it."""
        times = np.array([index]) / self.rate_hz
        return self._joints([self._place(person, times) for person in self._people], times)

    def _joints(
        self, bodies: list[dict[str, NDArray[np.float64]]], times: NDArray[np.float64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        rich = np.zeros((len(bodies), len(BODY), 3))
        for row, body in enumerate(bodies):
            rich[row] = [body[name][0] for name in BODY.joints]
        xyz = np.einsum("kb,pbd->pkd", self._joint_weights, rich)
        xyz[:, self._unknown] = np.nan
        xy = self._camera.project(xyz) + self._camera.sway(times)[0]
        return xy.astype(np.float32), xyz.astype(np.float32)

    def _visible(
        self, xy: NDArray[np.float32], xyz: NDArray[np.float32], depth: NDArray[np.float32]
    ) -> NDArray[np.bool_]:
        width, height = self.size
        column, row = np.rint(np.nan_to_num(xy, nan=-9)).astype(int).transpose(2, 0, 1)
        inside = (column >= 0) & (row >= 0) & (column < width) & (row < height)
        surface = depth[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)]
        return inside & (surface >= np.nan_to_num(xyz[..., 2]) - self._margin)


def _joint_margins(skeleton: Skeleton) -> NDArray[np.float64]:
    def margin(name: str) -> float:
        words = [w for w in JOINT_RADIUS_M if w in name]
        return JOINT_RADIUS_M[words[0]] if words else OTHER_RADIUS_M

    return np.array([margin(name) for name in skeleton.joints])


def render_video(
    *,
    frames: int,
    size: tuple[int, int] = (320, 240),
    people: int = 2,
    rate_hz: float = 25.0,
    seed: int = 0,
    skeleton: str = "coco17",
) -> Iterator[tuple[NDArray[np.uint8], FramePoses]]:
    """Frames of a generated video of any length, one at a time, with the true poses.

    Args:
        frames: Length.
        size: Width and height, pixels.
        people: Number of people.
        rate_hz: Frames a second.
        seed: Decides everything.
        skeleton: Registry name of the joints to label.

    Yields:
        ``(H, W, 3)`` uint8 RGB and the people in it; ``time_s`` of the poses is the frame's time.
        Memory does not grow with the length.

    Raises:
        UsageError: the size, the length or the rate makes no sense.
    """
    return iter(ProceduralVideo(seed, size, frames, people, rate_hz, skeleton=skeleton))


class ProceduralClips(Dataset[Sample]):
    """Short generated clips of one person each, as a :class:`~chronopose.data.clips.ClipSource`.

    Args:
        count: Number of clips.
        seed: First seed; clip i is video ``seed + i``, so two sets with seeds far apart differ.
        frames: Length of a clip, odd; 1 gives stills.
        size: Width and height of the pictures, pixels.
        skeleton: Registry name of the joints to label.
        motions: Kinds of motion; None for all.
        rate_hz: Range of frame rates; slow rates give large motion between frames.
        cache: Folder where rendered clips are kept; None renders every time.

    A joint may be trained on when it lies in the picture, whether hidden or not.
    """

    def __init__(
        self,
        count: int,
        seed: int = 0,
        *,
        frames: int = 5,
        size: tuple[int, int] = (160, 160),
        skeleton: str = "lsp14",
        motions: tuple[str, ...] | None = None,
        rate_hz: tuple[float, float] = (8.0, 30.0),
        cache: Path | str | None = None,
    ) -> None:
        self._count, self._seed, self._frames, self._size = count, seed, frames, size
        self._skeleton, self._motions, self._rate = skeleton, motions, rate_hz
        self._store: PixelStore | None = None
        self._labels = lru_cache(maxsize=count)(self._label)
        if cache is not None:
            name = f"procedural_{seed}_{count}_{frames}"
            self._store = PixelStore(
                Path(cache), name, self.fingerprint(), count, lambda i: self._render(i)[0]
            )

    @property
    def skeleton(self) -> Skeleton:
        """As asked for."""
        return get_skeleton(self._skeleton)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Sample:
        return self.sample(index)

    def sample(self, index: int, rng: np.random.Generator | None = None) -> Sample:
        """Clip ``index``; nothing in it is random, ``rng`` is not used."""
        if self._store is None:
            images, joints, visible, box = self._render(index)
        else:
            images = self._store[index]
            joints, visible, box = self._labels(index)
        key = self._frames // 2
        return Sample(
            images, joints, visible, box, self.skeleton, key, None,
            f"procedural clip {self._seed + index}",
        )  # fmt: skip

    def fingerprint(self) -> str:
        """Hash of every setting; equal settings give equal pixels."""
        facts = (VERSION, self._count, self._seed, self._frames, self._size, self._skeleton,
                 self._motions, self._rate)  # fmt: skip
        return "procedural-" + hashlib.sha256(repr(facts).encode()).hexdigest()[:12]

    def _video(self, index: int) -> tuple[ProceduralVideo, int]:
        rng = np.random.default_rng([self._seed + index, 11])
        rate = float(np.exp(rng.uniform(*np.log(self._rate))))
        video = ProceduralVideo(
            self._seed + index, self._size, 10_000, 1, rate, skeleton=self._skeleton,
            motions=self._motions, fill=(0.55, 0.95), spread=0.1,
        )  # fmt: skip
        return video, int(rng.integers(0, 1000))

    def _render(
        self, index: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.bool_], NDArray[np.float32]]:
        video, start = self._video(index)
        frames = [video.render(start + t) for t in range(self._frames)]
        joints = np.stack([f.xy[0] for f in frames])
        return (np.stack([f.image for f in frames]), *self._usable(joints))

    def _label(
        self, index: int
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.float32]]:
        video, start = self._video(index)
        return self._usable(
            np.stack([video.joints_at(start + t)[0][0] for t in range(self._frames)])
        )

    def _usable(
        self, joints: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.float32]]:
        edge = np.array(self._size) - 0.5
        with np.errstate(invalid="ignore"):
            visible: NDArray[np.bool_] = np.all((joints > -0.5) & (joints < edge), axis=-1)
        key = self._frames // 2
        seen = joints[key][visible[key]]
        if not len(seen):
            seen = np.array([[0.0, 0.0], edge], np.float32)
        return joints, visible, np.concatenate([seen.min(0), seen.max(0)]).astype(np.float32)
