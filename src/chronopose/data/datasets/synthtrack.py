"""SynthTrack: synthetic people in video, generated on the spot, labels exact and frozen.

Sets       made by ``chronopose synth --benchmark synthtrack --split SPLIT --out DIR``.
Joints     15, in the 17 slots of PoseTrack 2018, the ears absent; hidden joints are labelled too.
Splits     train, val, test. Labels of val and test must be those of a frozen table.
Layout     that of PoseTrack 2018, below ``posetrack_data``; arrays beside it, with all else that is
           known: joints in space, cameras, what is seen of whom.
Strata     clean, blur, defocus, occlusion, crowd: a clip's name ends with its own.
Clips      every frame is labelled.
Terms      pictures and labels are free: nobody has rights in them but who made them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from chronopose.core.labels import LabelledSequence
from chronopose.data.datasets._base import Problem
from chronopose.data.datasets.posetrack import PoseTrack18
from chronopose.errors import FormatError, UsageError
from chronopose.io._fields import load_json
from chronopose.io.synthtrack import FROZEN_SPLITS, FrozenClip, frozen_clips, stratum_of


@dataclass(frozen=True, kw_only=True)
class SynthTrack(PoseTrack18):
    """SynthTrack.

    Args:
        every: Only every so manyth frame of a clip counts as labelled; its neighbours are seen all
            the same. PoseTrack labels every fourth.

    Raises:
        UsageError: ``every`` is below 1.
    """

    every: int = 1

    NAME: ClassVar[str] = "synthtrack"
    TITLE: ClassVar[str] = "SynthTrack"
    SPLITS: ClassVar[tuple[str, ...]] = ("train", "val", "test")
    LABELS: ClassVar[tuple[str, ...]] = ("posetrack_data/annotations/{split}",)
    PICTURES: ClassVar[tuple[str, ...]] = ("",)
    TERMS: ClassVar[str] = "free: made by code, without any asset"
    SOURCE: ClassVar[str] = (
        "make it: chronopose synth --benchmark synthtrack --split val --out DIR (or test, train)"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.every < 1:
            raise UsageError(f"every counts frames from 1; got {self.every}.")

    def sequences(self) -> list[LabelledSequence]:
        """Labels of the split, of every so manyth frame."""
        return [
            replace(
                s,
                frames=tuple(
                    f if at % self.every == 0 else replace(f.select(slice(0)), labelled=False)
                    for at, f in enumerate(s.frames)
                ),
            )
            for s in super().sequences()
        ]

    def stratum(self, sequence: str) -> str:
        """Kind of a clip: clean, blur, defocus, occlusion or crowd."""
        return stratum_of(sequence)

    def check(self) -> list[Problem]:
        """What is missing of the split, or is not as frozen; nothing if it can be used."""
        return super().check() or self._check_frozen(self.sequences())

    def _check_frozen(self, sequences: Sequence[LabelledSequence]) -> list[Problem]:
        """Clips, people and hashes against the table; 'synth --benchmark' hashes anew."""
        if self.split not in FROZEN_SPLITS:
            return []
        frozen, there = frozen_clips(self.split), {s.name: s for s in sequences}
        missing = [name for name in frozen if name not in there]
        strange = [name for name in there if name not in frozen]
        other = [n for n, s in there.items() if n in frozen and not self._as_frozen(s, frozen[n])]
        told = (
            (missing, f"of the {len(frozen)} clips of {self.split} are missing"),
            (strange, f"clips are not of SynthTrack {self.split}"),
            (other, f"of the {len(frozen)} clips of {self.split} are not as frozen"),
        )
        place = str(self.root / "arrays" / self.split)
        return [
            Problem(
                f"{len(names)} {what}: {', '.join(names[:3])}{' ...' if len(names) > 3 else ''}",
                place, self.SOURCE,
            )
            for names, what in told if names
        ]  # fmt: skip

    def _as_frozen(self, sequence: LabelledSequence, clip: FrozenClip) -> bool:
        facts = self._facts(clip.name)
        settings = facts.get("settings")
        decided = settings.get("fingerprint") if isinstance(settings, dict) else None
        people = {i for frame in sequence for i in frame.ids.tolist()}
        return (
            facts.get("labels_sha256") == clip.labels_sha256
            and decided == clip.decisions_sha256
            and len(people) <= clip.people
        )

    def _facts(self, name: str) -> dict[str, Any]:
        path = Path(self.root) / "arrays" / self.split / f"{name}.json"
        try:
            content = load_json(path)
        except FormatError:
            return {}
        return content if isinstance(content, dict) else {}
