"""Penn Action: 2,326 clips of one person in sport, 13 joints.

Set        Zhang, Zhu, Derpanis: "From Actemes to Action".
Layout     ``labels/0001.mat`` and ``frames/0001/000001.jpg``, frames counted from 1.
Joints     the person's true sides (the order in circulation has them exchanged).
Splits     of the files: 1,258 clips train, 1,068 test.
Scored     visible joints only, as the papers do.
Clips      ``windows="run"`` gives runs of neighbouring frames for recurrent models.
Terms      The authors ask for citation and state no licence: research use.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from chronopose.core.labels import LabelledFrame, LabelledSequence
from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import PENN13
from chronopose.data.datasets._base import LabelledSet
from chronopose.io.penn_action import read_penn_action


@dataclass(frozen=True, kw_only=True)
class PennAction(LabelledSet):
    """Penn Action.

    Args:
        base: What the files call the centre of the top-left pixel.
    """

    NAME: ClassVar[str] = "penn_action"
    METRIC: ClassVar[str] = "penn-pck"
    TITLE: ClassVar[str] = "Penn Action"
    SPLITS: ClassVar[tuple[str, ...]] = ("train", "test")
    REPORTED: ClassVar[str] = "test"
    SKELETON: ClassVar[Skeleton] = PENN13
    LABELS: ClassVar[tuple[str, ...]] = ("labels", "Penn_Action/labels")
    PICTURES: ClassVar[tuple[str, ...]] = ("frames", "Penn_Action/frames")
    TERMS: ClassVar[str] = "no licence stated; research use, cite the paper"
    SOURCE: ClassVar[str] = (
        "from the Penn Action page of its authors: one archive with the folders frames and labels"
    )
    OCCLUDED: ClassVar[bool] = False

    base: float = 0.0

    def read(self, path: Path) -> list[LabelledSequence]:
        """The clips that say they belong to the split."""
        found = read_penn_action(path, base=self.base)
        return [s for s in found if s.extra.get("split") == self.split]

    def picture_name(self, sequence: LabelledSequence, frame: LabelledFrame) -> str:
        """Pictures lie in a folder of the clip's number."""
        return f"{sequence.name}/{frame.name}"
