"""Neighbour rules: which frames stand beside the key frame, also where a video begins or ends.

A rule speaks of frame numbers. Which numbers exist is told by the list of a video's pictures and by
nothing else: file names of eight digits and of six digits count alike, from 0 or from 1.

Source: the published systems' papers and code; for TDMI, whose paper does not say what happens at
the ends, frames repeat (a choice of ours).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from chronopose.errors import UsageError

Ends = Literal["clamp", "key"]


@dataclass(frozen=True, kw_only=True)
class NeighbourRule:
    """Frames of a clip relative to its key frame.

    Args:
        name: As :data:`RULES` knows it.
        offsets: Rising frame offsets with 0, the key frame, among them.
        ends: What stands for a frame that does not exist: ``"clamp"`` takes the nearest one on the
            way to the key frame, ``"key"`` the key frame itself.
        reach: In training, every neighbour is a frame drawn evenly from -reach to reach instead of
            the one that ``offsets`` says; 0 draws nothing.
        training_frames: Frames of a training clip, the key frame last, where training and inference
            differ in this; None for as many as ``offsets``.

    Raises:
        UsageError: the offsets do not rise, or lack 0; or a number makes no sense.
    """

    name: str
    offsets: tuple[int, ...] = (0,)
    ends: Ends = "clamp"
    reach: int = 0
    training_frames: int | None = None

    def __post_init__(self) -> None:
        rising = all(a < b for a, b in zip(self.offsets, self.offsets[1:], strict=False))
        if not rising or 0 not in self.offsets:
            raise UsageError(
                f"The offsets of a clip must rise and hold 0, the key frame; got {self.offsets}."
            )
        if self.ends not in ("clamp", "key") or self.reach < 0:
            raise UsageError(
                f"A neighbour rule needs ends of 'clamp' or 'key' and a reach of at least 0; got "
                f"{self.ends!r} and {self.reach}."
            )
        if self.training_frames is not None and (self.training_frames < 1 or not self.reach):
            raise UsageError("Training clips of another length need a reach, and at least 1 frame.")

    def shape(self, training: bool = False) -> tuple[int, int]:
        """Frames of a clip and the position of the key frame among them."""
        if training and self.training_frames is not None:
            return self.training_frames, self.training_frames - 1
        return len(self.offsets), self.offsets.index(0)

    def numbers(
        self,
        key: int,
        existing: NDArray[np.int64],
        training: bool = False,
        rng: np.random.Generator | None = None,
    ) -> list[int]:
        """Frame numbers of the clip around a key frame.

        Args:
            key: Number of the key frame.
            existing: Rising numbers of the frames that exist; the key frame is one of them.
            training: Draw neighbours, if the rule does.
            rng: Where drawn neighbours come from.

        Returns:
            One existing number for each frame of the clip.

        Raises:
            UsageError: the rule draws neighbours and there is no generator.
        """
        count, place = self.shape(training)
        if training and self.reach:
            if rng is None:
                raise UsageError(f"The rule {self.name!r} draws neighbours; give it a generator.")
            drawn = rng.integers(-self.reach, self.reach + 1, count)
            drawn[place] = 0
            offsets = drawn.tolist()
        else:
            offsets = list(self.offsets)
        return [self._existing(key, o, existing) for o in offsets]

    def _existing(self, key: int, offset: int, existing: NDArray[np.int64]) -> int:
        at = int(np.searchsorted(existing, key + offset))
        if at < len(existing) and existing[at] == key + offset:
            return key + offset
        if self.ends == "key":
            return key
        # Before the key frame the next one up is nearer to it, after it the next one down.
        return int(existing[at] if offset < 0 else existing[at - 1])

    def of(self, frames: int) -> NeighbourRule:
        """The same rule for a clip of ``frames`` neighbouring frames, key frame in the middle.

        Where the key frame is the last of several, it stays the last, and any count from 1 will do.

        Raises:
            UsageError: the count is even or below 1.
        """
        if self.offsets[-1] == 0 and len(self.offsets) > 1 and frames > 0:
            return replace(self, offsets=tuple(range(1 - frames, 1)))
        if frames < 1 or frames % 2 == 0:
            raise UsageError(
                f"A clip has an odd number of frames, so that the key frame is in its middle; got "
                f"{frames}."
            )
        half = frames // 2
        offsets = tuple(range(-half, half + 1))
        if offsets == self.offsets:
            return self
        return replace(self, offsets=offsets)


STILL = NeighbourRule(name="still")
"""The key frame alone."""

RULES: Mapping[str, NeighbourRule] = MappingProxyType(
    {
        r.name: r
        for r in (
            STILL,
            NeighbourRule(name="tdmi", offsets=(-2, -1, 0, 1, 2), ends="clamp"),
            NeighbourRule(name="dcpose", offsets=(-1, 0, 1), ends="key"),
            NeighbourRule(name="famipose", offsets=(-2, -1, 0, 1, 2), ends="key"),
            NeighbourRule(name="dsta", offsets=(-1, 0, 1), ends="clamp"),
            NeighbourRule(name="pavenet", offsets=(-1, 0, 1), ends="key"),
            NeighbourRule(name="dkd", offsets=(-4, -3, -2, -1, 0), ends="clamp"),
            NeighbourRule(name="posewarper", offsets=(-2, -1, 0, 1, 2), ends="clamp", reach=2),
            NeighbourRule(
                name="posewarper_pair", offsets=(-2, -1, 0, 1, 2), ends="clamp", reach=2,
                training_frames=2,
            ),
        )
    }
)  # fmt: skip
"""Name -> rule. Training in PoseWarper's paper is on pairs (``posewarper_pair``); ``posewarper``
draws as many neighbours as inference sees."""


def find_rule(name: str, frames: int | None = None) -> NeighbourRule:
    """The rule of a published system, for clips of any odd length.

    Args:
        name: One of :data:`RULES`.
        frames: Length of the clip; None for the system's own.

    Raises:
        UsageError: nobody knows the rule, or the length is even.
    """
    if name not in RULES:
        near = get_close_matches(name, RULES, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UsageError(f"There is no neighbour rule {name!r}.{hint} Known: {', '.join(RULES)}.")
    rule = RULES[name]
    return rule if frames is None else rule.of(frames)
