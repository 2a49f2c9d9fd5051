"""SynthTrack's frozen table: what the labels of every clip of val and test must be.

The benchmark is generated where it is needed, so a table of hashes is all that is kept of it. It is
read by the generator, which makes the clips, and by the data set, which reads them; the clips
themselves are described in :mod:`chronopose.synth.synthtrack`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from chronopose.errors import UsageError
from chronopose.io._fields import load_json

STRATA = ("clean", "blur", "defocus", "occlusion", "crowd")
"""Kinds of clips; a clip's name ends with its own, as in ``500001_blur``."""

FROZEN_SPLITS = ("val", "test")
"""Splits whose labels are fixed."""

_TABLE = Path(__file__).with_name("synthtrack.json")


@dataclass(frozen=True)
class FrozenClip:
    """What a clip must be.

    Args:
        name: Of the clip, e.g. ``500001_blur``.
        people: How many there are.
        decisions_sha256: Of what was decided for it: its plan, place, bodies and motions.
        labels_sha256: Of where everybody is: ids, times, cameras, joints in the world and in the
            picture, boxes; see ``ClipArrays.digest``. It does not depend on the renderer.
    """

    name: str
    people: int
    decisions_sha256: str
    labels_sha256: str


def frozen_clips(split: str) -> dict[str, FrozenClip]:
    """Name -> clip of a split, in the order of their seeds.

    Raises:
        UsageError: the split is not a frozen one.
    """
    if split not in FROZEN_SPLITS:
        raise UsageError(
            f"SynthTrack has frozen labels for {' and '.join(FROZEN_SPLITS)}, not for {split!r}."
        )
    return {c.name: c for c in _table()[split]}


def stratum_of(name: str) -> str:
    """Kind of a clip by the end of its name; empty if it ends with none of :data:`STRATA`."""
    end = name.rpartition("_")[2]
    return end if end in STRATA else ""


@cache
def _table() -> dict[str, tuple[FrozenClip, ...]]:
    content = load_json(_TABLE)
    return {
        split: tuple(FrozenClip(**row) for row in content["splits"][split])
        for split in FROZEN_SPLITS
    }
