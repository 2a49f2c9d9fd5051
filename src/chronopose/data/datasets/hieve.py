"""HiEve (Human in Events): crowds in surveillance and film, 14 joints, tracked.

Set        Lin et al., "Human in Events: A Large-Scale Benchmark for Human-centric Video Analysis
           in Complex Events". Videos 1-19 are for training; the labels of 20-32 are not public.
Layout     ``track2&3/{n}.json``. The set comes as videos: cut each into pictures counted from 0,
           ``images/{n}/000000.jpg``.
Boxes      of the labels (the rectangle is the person's here, unlike PoseTrack 2017).
Terms      Research only.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from chronopose.core.labels import LabelledFrame, LabelledSequence
from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import HIEVE14
from chronopose.data.datasets._base import LabelledSet
from chronopose.data.pictures import picture_parts
from chronopose.io.hieve import read_hieve


@dataclass(frozen=True, kw_only=True)
class HiEve(LabelledSet):
    """HiEve, tracks 2 and 3."""

    NAME: ClassVar[str] = "hieve"
    METRIC: ClassVar[str] = "hieve-ap"
    SUBMISSION: ClassVar[str] = "hieve_submission"
    TITLE: ClassVar[str] = "HiEve (Human in Events)"
    SPLITS: ClassVar[tuple[str, ...]] = ("train",)
    REPORTED: ClassVar[str] = "train"
    SKELETON: ClassVar[Skeleton] = HIEVE14
    LABELS: ClassVar[tuple[str, ...]] = (
        "track2&3", "labels/track2&3", "labels/train/track2&3", "annotations/track2&3",
        "train/track2&3", "HIE20/labels/track2&3",
    )  # fmt: skip
    PICTURES: ClassVar[tuple[str, ...]] = (
        "images", "frames", "images/{split}", "{split}", "videos", "",
    )  # fmt: skip
    TERMS: ClassVar[str] = "research only; cite the paper"
    SOURCE: ClassVar[str] = (
        "register at the official Human in Events site; put the label folder track2&3 into the "
        "root and cut every video n into pictures images/n/000000.jpg and so on, counted from 0"
    )

    def read(self, path: Path) -> list[LabelledSequence]:
        """One file a video, named by its number."""
        return read_hieve(path)

    def picture_name(self, sequence: LabelledSequence, frame: LabelledFrame) -> str:
        """The labels name only the file; the video's number is its folder."""
        return f"{sequence.name}/{picture_parts(frame.name)[-1]}"
