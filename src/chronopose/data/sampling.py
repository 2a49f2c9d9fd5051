"""The order of training data, as a pure function of (seed, position).

Nothing here keeps state. Which sample comes at position p, and the random numbers it is augmented
with, follow from the seed and p alone; so a run that was killed and resumed sees exactly what it
would have seen, also in the middle of an epoch, and workers cannot change it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from chronopose.core.skeleton import Skeleton
from chronopose.data.clips import ClipSource, Sample
from chronopose.errors import SkeletonMismatch, UsageError


@lru_cache(maxsize=4)
def epoch_order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """``(count,)`` order of the samples in one epoch; every sample once."""
    return np.random.default_rng([seed, epoch, 1]).permutation(count)


@dataclass(frozen=True)
class Place:
    """One position of the endless training sequence."""

    epoch: int
    index: int
    """Sample of the source."""


def place_at(seed: int, position: int, count: int) -> Place:
    """Which sample stands at ``position`` when ``count`` samples are shuffled anew each epoch."""
    epoch, row = divmod(position, count)
    return Place(epoch, int(epoch_order(seed, epoch, count)[row]))


def rng_at(seed: int, place: Place) -> np.random.Generator:
    """The generator that augments the sample at a place."""
    return np.random.default_rng([seed, place.epoch, place.index, 2])


class Mixture:
    """Several sources in fixed shares.

    Index ``i`` runs through a cycle of ``sum(shares)`` slots; within a cycle each source fills as
    many slots as its share says, and each source is walked through evenly.

    Args:
        sources: Data sets with one skeleton.
        shares: Whole numbers above zero, one a source, e.g. ``(3, 1)``.

    Raises:
        SkeletonMismatch: the sources name their joints differently.
        UsageError: there is no source, or shares and sources do not match.
    """

    def __init__(self, sources: Sequence[ClipSource], shares: Sequence[int]) -> None:
        if not sources or len(sources) != len(shares) or min(shares, default=0) < 1:
            raise UsageError(
                f"A mixture needs one share above zero for each source; got {len(sources)} "
                f"sources and shares {list(shares)}."
            )
        names = [s.skeleton.name for s in sources]
        if len(set(names)) > 1:
            raise SkeletonMismatch(
                f"Sources of different skeletons cannot be mixed: {', '.join(names)}. Build them "
                f"all with one skeleton, e.g. skeleton={names[0]!r}."
            )
        self.sources = tuple(sources)
        self._slots = [(s, k) for s, share in enumerate(shares) for k in range(share)]
        self._shares = tuple(shares)

    @property
    def skeleton(self) -> Skeleton:
        """Shared by all sources."""
        return self.sources[0].skeleton

    def __len__(self) -> int:
        """Enough cycles to see every sample of every source at least once."""
        cycles = max(-(-len(s) // n) for s, n in zip(self.sources, self._shares, strict=True))
        return cycles * len(self._slots)

    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        """The sample in slot ``index``; sources that are shorter begin again."""
        cycle, slot = divmod(index, len(self._slots))
        source, offset = self._slots[slot]
        inner = self.sources[source]
        return inner.sample((cycle * self._shares[source] + offset) % len(inner), rng)

    def fingerprint(self) -> str:
        """Hash of the sources' hashes and shares."""
        parts = [s.fingerprint() for s in self.sources] + [str(self._shares)]
        return hashlib.sha256("|".join(parts).encode()).hexdigest()[:16]


class FirstFew:
    """The first ``count`` samples of a source, for ``--overfit`` and quick looks.

    Args:
        source: The whole data set.
        count: Samples kept, at least one.

    Raises:
        UsageError: ``count`` is below one.
    """

    def __init__(self, source: ClipSource, count: int) -> None:
        if count < 1:
            raise UsageError(f"At least one sample is needed; got {count}.")
        self._source, self._count = source, min(count, len(source))

    @property
    def skeleton(self) -> Skeleton:
        """As the whole source's."""
        return self._source.skeleton

    def __len__(self) -> int:
        return self._count

    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        """Sample ``index`` of the whole source."""
        return self._source.sample(index, rng)

    def fingerprint(self) -> str:
        """The whole source's hash and the number kept."""
        return f"{self._source.fingerprint()}[:{self._count}]"
