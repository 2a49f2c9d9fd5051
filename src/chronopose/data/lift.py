"""Windows of 2D and 3D poses for lifters: projected, disturbed as detectors disturb, and mirrored.

A :class:`LiftClip` is one performance seen by one camera. :class:`LiftBatches` cuts windows out of
clips: batch ``step`` is a pure function of the seed and the step, so a run that was stopped goes on
with the batches that it would have had.

Source: edge-replicate padding, doubling by mirrored copies and the projection as published with
D. Pavllo et al., "3D human pose estimation in video with temporal convolutions and semi-supervised
training"; bones, noise and derived joints are ours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from chronopose.codecs.root_relative import RootRelative
from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import H36M17
from chronopose.data.lift_noise import (
    PARENTS,
    derive_trunk,
    disturb,
    part_of,
    project,
    scale_bones,
)
from chronopose.errors import ShapeError, UsageError
from chronopose.io.motion import Camera

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

MARGIN = 2
"""Frames beside a window from which a gap in it may be filled."""


@dataclass(frozen=True)
class LiftClip:
    """One performance of one person, seen by one camera.

    Args:
        subject: Who.
        action: What they do; its first word is the row of a table.
        camera: The camera's name.
        xyz: ``(F, K, 3)`` float32 metres, axes of the camera (x right, y down, z away).
        xy: ``(F, K, 2)`` float32 pixels, every joint with a number.
        size: Width and height of the pictures, pixels.
        lens: How ``xyz`` becomes ``xy``; None where ``xy`` was measured otherwise.
        head_top: ``(F, 3)`` float32, the top of the head as ``xyz``, for derived joints; or None.
        score: ``(F, K)`` float32 confidence of ``xy``; 1 everywhere by default.
        skeleton: Names of the K joints.

    Raises:
        ShapeError: the arrays do not fit each other.
    """

    subject: str
    action: str
    camera: str
    xyz: Floats
    xy: Floats
    size: tuple[int, int]
    lens: Camera | None = None
    head_top: Floats | None = None
    score: Floats | None = None
    skeleton: Skeleton = H36M17

    def __post_init__(self) -> None:
        count, joints = len(self.xyz), len(self.skeleton)
        wanted: dict[str, tuple[int, ...]] = {
            "xyz": (count, joints, 3), "xy": (count, joints, 2),
        }  # fmt: skip
        if self.head_top is not None:
            wanted["head_top"] = (count, 3)
        if self.score is not None:
            wanted["score"] = (count, joints)
        wrong = [n for n, shape in wanted.items() if np.shape(getattr(self, n)) != shape]
        if wrong or not count:
            raise ShapeError(
                f"{self.name}: {', '.join(wrong) or 'xyz'} must be "
                f"{', '.join(str(wanted[n]) for n in wrong or ['xyz'])} with at least one frame; "
                f"got {[np.shape(getattr(self, n)) for n in wrong or ['xyz']]}."
            )

    def __len__(self) -> int:
        return len(self.xyz)

    @property
    def name(self) -> str:
        """Subject, action and camera."""
        return f"{self.subject} {self.action} {self.camera}"

    @property
    def confidence(self) -> Floats:
        """``(F, K)`` scores, 1 where none are known."""
        return np.ones(self.xy.shape[:2], np.float32) if self.score is None else self.score


@dataclass(frozen=True, kw_only=True)
class LiftAugmentation:
    """What is done to windows of training.

    Args:
        flip: Every window also comes as in a mirror.
        bones: Every pair of limbs gets a length of its own, at most so much longer or shorter
            (0.15 is 15 %), left as right; the changed person is projected again.
        noise_px: Least and largest spread of the noise on joints, pixels; one spread is drawn for
            a window.
        noise_share: The same as a share of the person's height in the picture; it is added.
        steady: Share of the noise's power that is the same in all frames of a window.
        dropout: Share of joints that the detector misses; gaps are filled by straight lines over
            time, as in use.
        derived: Share of windows in which pelvis, spine, thorax, neck and head are made of hips,
            shoulders and the top of the head (:func:`derive_trunk`): what a detector of
            ``lsp14`` gives.

    Raises:
        UsageError: a number makes no sense.
    """

    flip: bool = True
    bones: float = 0.0
    noise_px: tuple[float, float] = (0.0, 0.0)
    noise_share: tuple[float, float] = (0.0, 0.0)
    steady: float = 0.0
    dropout: float = 0.0
    derived: float = 0.0

    def __post_init__(self) -> None:
        rising = all(0 <= low <= high for low, high in (self.noise_px, self.noise_share))
        shares = (self.dropout, self.derived, self.steady)
        if not rising or not all(0 <= s <= 1 for s in shares) or self.dropout == 1:
            raise UsageError(
                f"Noise rises from 0, and shares lie in 0..1; got noise_px {self.noise_px}, "
                f"noise_share {self.noise_share}, and dropout, derived, steady {shares}."
            )
        if not 0 <= self.bones < 1:
            raise UsageError(f"bones is a share below 1; got {self.bones}.")

    @property
    def projects(self) -> bool:
        """Whether 2D has to be made anew from 3D."""
        return bool(self.bones or self.derived)

    @property
    def disturbs(self) -> bool:
        """Whether joints are moved or missed."""
        return bool(self.noise_px[1] or self.noise_share[1] or self.dropout)


def disturbed_clip(clip: LiftClip, noise_px: float, dropout: float, *, seed: int = 0) -> LiftClip:
    """The clip as a detector would find it, always the same for a seed and the clip's name."""
    mark = int.from_bytes(hashlib.sha256(clip.name.encode()).digest()[:8], "little")
    rng = np.random.default_rng([seed, mark])
    xy, seen = disturb(clip.xy, noise_px, dropout, rng)
    return replace(
        clip, xy=xy.astype(np.float32), score=seen.astype(np.float32), lens=None, head_top=None
    )


class LiftBatches:
    """Training windows of clips; batch ``step`` is a pure function of the seed and the step.

    An epoch shows every window once, and once more mirrored if ``augmentation.flip``. Windows that
    reach over an end of their clip repeat its first or last frame.

    Args:
        clips: What to learn from.
        codec: Screen coordinates and root of the network.
        frames: Length T of a window.
        before: Frames of a window before the one that it stands for.
        channels: 2, or 3 where the network reads the score.
        batch_size: Windows a batch.
        stride: Every so manyth frame of a clip is the middle of a window.
        augmentation: What is done to windows.
        seed: Decides order and augmentation.

    Raises:
        UsageError: there is no clip, a number is below 1, or 2D shall be made anew for a clip
            without lens (or, for derived joints, without the top of the head).
        ShapeError: a clip has other joints than the network.
    """

    def __init__(
        self, clips: Sequence[LiftClip], codec: RootRelative, *, frames: int, before: int,
        channels: int = 2, batch_size: int = 1024, stride: int = 1,
        augmentation: LiftAugmentation | None = None, seed: int = 0,
    ) -> None:  # fmt: skip
        self.augmentation = augmentation or LiftAugmentation()
        self._clips, self._codec = tuple(clips), codec
        self._frames, self._before, self._channels = frames, before, channels
        self._batch, self._seed = batch_size, seed
        self._check(stride)
        self._starts = np.cumsum([0, *map(len, clips)])
        self._stack()
        which, where = [], []
        for number, clip in enumerate(clips):
            middles = np.arange((len(clip) - 1) % stride // 2, len(clip), stride)
            which.append(np.full(len(middles), number))
            where.append(self._starts[number] + middles)
        self._which, self._where = np.concatenate(which), np.concatenate(where)

    def _check(self, stride: int) -> None:
        if not self._clips:
            raise UsageError("There is no clip to learn from.")
        if min(self._frames, self._batch, stride) < 1 or not 0 <= self._before < self._frames:
            raise UsageError(
                f"frames, batch_size and stride count from 1, and before lies within the window; "
                f"got {self._frames}, {self._batch}, {stride}, {self._before}."
            )
        for clip in self._clips:
            if clip.skeleton.joints != self._codec.skeleton.joints:
                raise ShapeError(
                    f"{clip.name} has joints of {clip.skeleton.name}; the network reads "
                    f"{self._codec.skeleton.name}."
                )
            if (self.augmentation.projects and clip.lens is None) or (
                self.augmentation.derived and clip.head_top is None
            ):
                raise UsageError(
                    f"{clip.name} cannot be projected anew: it has no lens, or no top of the head. "
                    f"Set bones and derived to 0 for measured 2D."
                )

    def _stack(self) -> None:
        """All frames of all clips one after the other."""
        clips = self._clips
        self._xyz = np.concatenate([c.xyz for c in clips])
        self._score = np.concatenate([c.confidence for c in clips])
        self._xy = np.concatenate([c.xy for c in clips])
        self._top = None
        if self.augmentation.derived:
            self._top = np.concatenate([c.head_top for c in clips if c.head_top is not None])
        lenses = [c.lens for c in clips if c.lens is not None]
        self._lens = None
        if self.augmentation.projects:
            self._lens = tuple(
                np.array([getattr(lens, n) for lens in lenses])[:, None, None]
                for n in ("focal_px", "centre_px", "radial", "tangential")
            )
        sizes = [c.size for c in clips]
        self._sizes = sorted(set(sizes))
        self._size_of = np.array([self._sizes.index(s) for s in sizes])

    @property
    def windows(self) -> int:
        """Windows of an epoch, mirrored copies counted."""
        return len(self._which) * (2 if self.augmentation.flip else 1)

    def __len__(self) -> int:
        """Batches of an epoch; the last may be smaller."""
        return -(-self.windows // self._batch)

    def __getitem__(self, step: int) -> tuple[Floats, Floats]:
        """Batch ``step``, counted from the beginning of the training.

        Returns:
            ``(B, T, K, C)`` screen coordinates, and ``(B, T, K, 3)`` metres from the root.
        """
        epoch, number = divmod(step, len(self))
        order = np.random.default_rng([self._seed, epoch]).permutation(self.windows)
        chosen = order[number * self._batch : (number + 1) * self._batch]
        mirrored, chosen = chosen >= len(self._which), chosen % len(self._which)
        rng = np.random.default_rng([self._seed, epoch, number])
        poses, xyz = self._cut(self._which[chosen], self._where[chosen], rng)
        poses[mirrored] = self._codec.mirror_screen(poses[mirrored])
        xyz[mirrored] = self._codec.mirror_screen(xyz[mirrored])
        return poses, xyz

    def _cut(
        self, clip: NDArray[np.intp], where: NDArray[np.intp], rng: np.random.Generator
    ) -> tuple[Floats, Floats]:
        """Windows about the frames ``where`` of some clips."""
        how = self.augmentation
        margin = MARGIN if how.dropout else 0
        ahead = np.arange(self._frames + 2 * margin) - self._before - margin
        at = np.clip(
            where[:, None] + ahead, self._starts[clip][:, None], self._starts[clip + 1][:, None] - 1
        )
        xyz, xy = self._xyz[at], np.asarray(self._xy[at], np.float64)
        if how.projects and self._lens is not None:
            xyz, xy = self._other_bones(at, clip, rng)
        score = self._score[at]
        if how.disturbs:
            draws = (len(at), 1, 1, 1)
            height = np.ptp(xy[:, margin + self._before, :, 1], axis=-1).reshape(draws)
            spread = rng.uniform(*how.noise_px, draws)
            spread = spread + rng.uniform(*how.noise_share, draws) * height
            xy, seen = disturb(xy, spread, how.dropout, rng, how.steady)
            score = score * seen[:, :, : score.shape[2]]
        if how.derived:
            xy = self._derive(xy, rng)
        inside = slice(margin, margin + self._frames)
        poses = self._to_screen(xy[:, inside], clip)
        if self._channels == 3:
            poses = np.concatenate([poses, score[:, inside, :, None].astype(np.float32)], -1)
        return poses, self._codec.relative(xyz[:, inside])

    def _other_bones(
        self, at: NDArray[np.intp], clip: NDArray[np.intp], rng: np.random.Generator
    ) -> tuple[NDArray[np.floating], NDArray[np.float64]]:
        """Frames with other bones, ``(B, T, K, 3)``, and their projection.

        The top of the head follows the joints of the projection where it is needed.
        """
        assert self._lens is not None
        joints = list(self._codec.skeleton.joints)
        body: NDArray[np.floating] = self._xyz[at]
        if self._top is not None:
            joints.append("head_top")
            body = np.concatenate([body, self._top[at][:, :, None]], 2)
        if self.augmentation.bones:
            spread = self.augmentation.bones
            parts = dict.fromkeys(part_of(j) for j in PARENTS)
            factors = {p: 1 + rng.uniform(-spread, spread, (len(at), 1, 1)) for p in parts}
            body = scale_bones(body, joints, factors)
        xy = project(body, *(values[clip] for values in self._lens))
        return body[:, :, : len(self._codec.skeleton)], xy

    def _derive(self, xy: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
        """Some windows with a derived trunk; the top of the head is cut off all of them."""
        joints, top = xy[:, :, :-1], xy[:, :, -1]
        neck, head = rng.uniform(0.2, 0.5, len(xy)), rng.uniform(0.5, 1.0, len(xy))
        chosen = rng.random(len(xy)) < self.augmentation.derived
        out = np.array(joints)
        shares = tuple(s[chosen][:, None, None] for s in (neck, head))
        out[chosen] = derive_trunk(
            joints[chosen], top[chosen], self._codec.skeleton, (shares[0], shares[1])
        )
        return out

    def _to_screen(self, xy: NDArray[np.float64], clip: NDArray[np.intp]) -> Floats:
        if len(self._sizes) == 1:
            return self._codec.to_screen(xy, self._sizes[0])
        out = np.empty(xy.shape, np.float32)
        for number, size in enumerate(self._sizes):
            own = self._size_of[clip] == number
            out[own] = self._codec.to_screen(xy[own], size)
        return out


def fingerprint(clips: Sequence[LiftClip]) -> str:
    """Digest of what clips hold, to a millimetre and a tenth of a pixel."""
    digest = hashlib.sha256()
    for clip in clips:
        digest.update(clip.name.encode())
        digest.update(np.round(1000 * clip.xyz).astype(np.int32).tobytes())
        digest.update(np.round(10 * clip.xy).astype(np.int32).tobytes())
    return digest.hexdigest()
