"""Several moments of one video: what models that learn without labels are trained with.

Which moments belong together is told by presentation times in seconds, and moments are drawn evenly
over time, not over frames: the same video at twice the frame rate, or at an uneven one, gives
samples of the same kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from chronopose.errors import ShapeError, UsageError
from chronopose.tensors.representation import Moments

SLACK_S = 1e-6
"""Presentation times are compared with this tolerance."""


@dataclass(frozen=True, eq=False)
class Footage:
    """One person through one video, or the whole frames of a video of one person.

    Args:
        name: For messages and records.
        time_s: ``(T,)`` seconds, strictly rising; frames in which the person is not seen are left
            out.
        frames: ``(T, H, W, 3)`` uint8 RGB, or ``(T, K, 2)`` joints.
        xy: ``(T, K, 2)`` 2D joints, any unit, NaN where unknown; None where nobody knows them.
        background: ``(H, W, 3)`` uint8, the scene without the person; ``(T, H, W, 3)``, what of it
            each frame shows; or None.

    Raises:
        ShapeError: counts disagree, or times do not rise.
    """

    name: str
    time_s: NDArray[np.float64]
    frames: NDArray[np.generic]
    xy: NDArray[np.floating] | None = None
    background: NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        count = len(self.time_s)
        if len(self.frames) != count or (self.xy is not None and len(self.xy) != count):
            raise ShapeError(
                f"{self.name} has {count} times, {len(self.frames)} frames"
                + ("." if self.xy is None else f" and {len(self.xy)} poses.")
            )
        if not (np.diff(self.time_s) > 0).all():
            raise ShapeError(f"{self.name}: times must rise.")

    def __len__(self) -> int:
        return len(self.time_s)


@dataclass(frozen=True, kw_only=True)
class MomentRule:
    """Which moments make a sample.

    Args:
        near_s: Near moments lie at most so many seconds from the reference.
        away_s: Moments away lie at least so many seconds from it.
        away: How many of them.
        middle: How many in between.
        near: How many near.
        swap: Share of the moments that borrow the time-invariant part of another one.

    Raises:
        UsageError: times do not rise, or there is no near or no other moment.
    """

    near_s: float = 0.2
    away_s: float = 1.0
    away: int = 2
    middle: int = 1
    near: int = 1
    swap: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.near_s < self.away_s:
            raise UsageError(
                f"Times must rise: 0 < near_s < away_s; got {self.near_s} s and {self.away_s} s."
            )
        if min(self.near, self.away) < 1 or self.middle < 0:
            raise UsageError(
                f"A sample needs moments near and away, and no negative count; got near "
                f"{self.near}, middle {self.middle}, away {self.away}."
            )

    @property
    def count(self) -> int:
        """Moments of a sample, with the reference."""
        return 1 + self.away + self.middle + self.near

    def kinds(self, delta_s: NDArray[np.float64]) -> tuple[NDArray[np.bool_], ...]:
        """Which of ``(T,)`` signed distances in seconds are away, between, near; 0 is none."""
        apart = np.abs(delta_s)
        near = (apart > 0) & (apart <= self.near_s + SLACK_S)
        away = apart >= self.away_s - SLACK_S
        return away, (apart > 0) & ~near & ~away, near


class Prepares(Protocol):
    """Brings frames to what a network reads; the codecs of such models do."""

    def prepare(self, frames: NDArray[np.generic]) -> Tensor:
        """``(..., one frame)`` as stored -> tensor."""


def seconds_shown(time_s: NDArray[np.float64], most_s: float) -> NDArray[np.float64]:
    """``(T,)`` how long each frame stands for: half the way to its neighbours on both sides.

    A longer way than ``most_s`` counts as that, so that no frame speaks for a time unseen.
    """
    step = np.minimum(np.diff(time_s), most_s)
    if not len(step):
        return np.ones(len(time_s))
    return np.concatenate([step[:1], step]) / 2 + np.concatenate([step, step[-1:]]) / 2


class Timeline:
    """Draws the moments of a sample from one video.

    Args:
        time_s: ``(T,)`` seconds, rising.
        rule: Which moments.

    Raises:
        UsageError: no frame has moments of every kind; the message says what is missing.
    """

    def __init__(self, time_s: NDArray[np.float64], rule: MomentRule) -> None:
        self._time_s, self._rule, self._weight = time_s, rule, seconds_shown(time_s, rule.near_s)
        usable = _references(time_s, rule)
        if not usable.any():
            length = float(time_s[-1] - time_s[0]) if len(time_s) else 0.0
            raise UsageError(
                f"A video of {len(time_s)} frames over {length:.2f} s has no moment with others up "
                f"to {rule.near_s:g} s and from {rule.away_s:g} s away. Give longer videos or more "
                f"frames a second, or change near_s and away_s."
            )
        self._usable = usable

    def draw(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """Frames of one sample: the reference, then away, between, near.

        The reference is drawn evenly over the time in which it has company of every kind; each
        other moment evenly over the time of its kind. A frame comes twice only if there are too
        few.

        Returns:
            ``(rule.count,)`` places in ``time_s``.
        """
        rule = self._rule
        reference = self._pick(self._usable, 1, rng)[0]
        picked = [np.array([reference])]
        kinds = rule.kinds(self._time_s - self._time_s[reference])
        for kind, count in zip(kinds, (rule.away, rule.middle, rule.near), strict=True):
            if count:
                picked.append(self._pick(kind, count, rng))
        return np.concatenate(picked)

    def _pick(
        self, among: NDArray[np.bool_], count: int, rng: np.random.Generator
    ) -> NDArray[np.int64]:
        places = np.flatnonzero(among)
        ends = np.cumsum(self._weight[places])
        if count == 1:
            return places[[np.searchsorted(ends, rng.random() * ends[-1], side="right")]]
        share = self._weight[places] / ends[-1]
        found: NDArray[np.int64] = rng.choice(places, count, replace=count > len(places), p=share)
        return found


def can_be_drawn(time_s: NDArray[np.float64], rule: MomentRule) -> bool:
    """Whether some frame of a video has moments of every kind."""
    return bool(_references(time_s, rule).any())


class MomentBatches(Dataset[Moments]):
    """Batches of moments; batch ``step`` is a pure function of the seed and its number.

    Args:
        videos: People and videos; those too short or too slow for the rule are left out.
        rule: Which moments make a sample.
        codec: Prepares frames for the network.
        batch_size: Samples a step, of different videos as far as there are enough.
        steps: How many batches there are.
        seed: Decides everything that is drawn.
        overfit: The same so many batches again and again.

    Raises:
        UsageError: no video fits the rule.
    """

    def __init__(
        self, videos: Sequence[Footage], rule: MomentRule, codec: Prepares, *, batch_size: int,
        steps: int, seed: int = 0, overfit: int | None = None,
    ) -> None:  # fmt: skip
        self.videos = [v for v in videos if can_be_drawn(v.time_s, rule)]
        self._lines = [Timeline(v.time_s, rule) for v in self.videos]
        self.left_out = len(videos) - len(self.videos)
        if not self.videos:
            raise UsageError(
                f"None of {len(videos)} videos has a moment with others up to {rule.near_s:g} s "
                f"and from {rule.away_s:g} s away. Give longer videos, or more frames a second."
            )
        self._rule, self._codec, self._size = rule, codec, batch_size
        self._steps, self._seed, self._overfit = steps, seed, overfit

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, step: int) -> Moments:
        number = step if self._overfit is None else step % self._overfit
        rng = np.random.default_rng([self._seed, number])
        few = self._size > len(self.videos)
        chosen = rng.choice(len(self.videos), self._size, replace=few)
        rows = [self._lines[v].draw(rng) for v in chosen]
        seen = [self.videos[v] for v in chosen]
        pairs = list(zip(seen, rows, strict=True))
        delta = np.stack([v.time_s[r] - v.time_s[r[0]] for v, r in pairs])
        return Moments(
            frames=self._codec.prepare(np.stack([v.frames[r] for v, r in pairs])),
            delta_s=torch.from_numpy(delta.astype(np.float32)),
            partner=torch.from_numpy(_partners(len(rows), self._rule, rng)),
            video=torch.from_numpy(chosen.astype(np.int64)),
            xy=_joined([None if v.xy is None else v.xy[r] for v, r in pairs]),
            background=self._backgrounds(pairs),
        )

    def _backgrounds(self, pairs: Sequence[tuple[Footage, NDArray[np.int64]]]) -> Tensor | None:
        known = [
            v.background if v.background.ndim == 3 else v.background[rows]
            for v, rows in pairs
            if v.background is not None
        ]
        return self._codec.prepare(np.stack(known)) if len(known) == len(pairs) else None


def median_background(frames: NDArray[np.uint8], most: int = 101) -> NDArray[np.uint8]:
    """The scene without what moves: the median over time of a camera that stands still.

    Args:
        frames: ``(T, H, W, 3)`` uint8.
        most: So many frames are looked at, spread over the video.

    Returns:
        ``(H, W, 3)`` uint8.
    """
    places = np.unique(np.linspace(0, len(frames) - 1, min(most, len(frames))).round().astype(int))
    middle: NDArray[np.uint8] = np.median(frames[places], 0).round().astype(np.uint8)
    return middle


def _references(time_s: NDArray[np.float64], rule: MomentRule) -> NDArray[np.bool_]:
    """Frames that have company of every kind that the rule asks for."""
    wanted = (rule.away, rule.middle, rule.near)
    usable = np.zeros(len(time_s), bool)
    for start in range(0, len(time_s), 256):
        kinds = rule.kinds(time_s[None] - time_s[start : start + 256, None])
        company = [k.any(1) for k, count in zip(kinds, wanted, strict=True) if count]
        usable[start : start + 256] = np.logical_and.reduce(company)
    return usable


def _partners(samples: int, rule: MomentRule, rng: np.random.Generator) -> NDArray[np.int64]:
    """``(B, M)``: itself, or with probability ``swap`` any other moment of the sample."""
    own = np.broadcast_to(np.arange(rule.count), (samples, rule.count))
    other = (own + rng.integers(1, rule.count, own.shape)) % rule.count
    return np.where(rng.random(own.shape) < rule.swap, other, own).astype(np.int64)


def _joined(poses: Sequence[NDArray[np.floating] | None]) -> Tensor | None:
    """All poses as ``(B, M, K, 2)``; None if no video has any, NaN for those that have none."""
    known = next((p for p in poses if p is not None), None)
    if known is None:
        return None
    blank = np.full(known.shape, np.nan)
    return torch.from_numpy(np.stack([blank if p is None else p for p in poses]).astype(np.float32))
