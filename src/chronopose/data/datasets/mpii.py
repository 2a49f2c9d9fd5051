"""MPII Human Pose: photographs of activities, 16 joints.

Set        Andriluka et al., "2D Human Pose Estimation: New Benchmark and State of the Art
           Analysis".
Layouts    HRNet's: ``annot/{train,valid,trainval}.json``; official: the release's ``.mat``, which
           does not tell train from val and is therefore ``trainval``. Pictures in ``images``.
Boxes      the square of 200 x scale about the position moved down by 15 x scale; the crop adds a
           quarter, as HRNet does. They are not cut to the picture.
Heads      PCKh needs head boxes, which HRNet's files lack: those of ``gt_valid.mat`` beside
           ``valid.json`` are added to the people of val.
Terms      Simplified BSD for the annotations; pictures for research.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from chronopose.core.labels import LabelledSequence
from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import MPII16
from chronopose.data.datasets._base import LabelledSet
from chronopose.data.neighbours import STILL, NeighbourRule
from chronopose.errors import FormatError
from chronopose.io.mpii import read_mpii, read_mpii_eval, read_mpii_hrnet

_FILES = {"train": "train.json", "val": "valid.json", "trainval": "trainval.json"}
_RELEASES = (
    "mpii_human_pose_v1_u12_2/mpii_human_pose_v1_u12_1.mat", "mpii_human_pose_v1_u12_1.mat",
    "annot/mpii_human_pose_v1_u12_1.mat", "annotations/mpii_human_pose_v1_u12_1.mat",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class MPII(LabelledSet):
    """MPII Human Pose."""

    NAME: ClassVar[str] = "mpii"
    METRIC: ClassVar[str] = "pckh"
    TITLE: ClassVar[str] = "MPII Human Pose"
    SPLITS: ClassVar[tuple[str, ...]] = ("train", "val", "trainval")
    REPORTED: ClassVar[str] = "val"
    SKELETON: ClassVar[Skeleton] = MPII16
    LABELS: ClassVar[tuple[str, ...]] = ("annot", "annotations", "")
    PICTURES: ClassVar[tuple[str, ...]] = ("images", "")
    TERMS: ClassVar[str] = "annotations Simplified BSD, pictures for research"
    SOURCE: ClassVar[str] = (
        "from the official MPII Human Pose site: the pictures to images/ and the annotations "
        "(.mat) to the root; train and val apart need annot/{train,valid}.json as HRNet ships them"
    )
    VIDEO: ClassVar[bool] = False
    CUT: ClassVar[bool] = False
    RULE: ClassVar[NeighbourRule] = STILL

    def label_places(self) -> list[Path]:
        """HRNet's file of the split; the release for all of its labelled people."""
        if self.labels is not None:
            return super().label_places()
        places = [self.root / folder / _FILES[self.split] for folder in self.LABELS]
        if self.split == "trainval":
            places += [self.root / release for release in _RELEASES]
        return places

    def read(self, path: Path) -> list[LabelledSequence]:
        """One set of stills; HRNet's files have a frame for each person."""
        if path.suffix.lower() == ".mat":
            return read_mpii(path)
        found = read_mpii_hrnet(path)
        heads = path.with_name("gt_valid.mat")
        if path.name == _FILES["val"] and heads.is_file():
            return [_with_heads(found[0], heads)]
        return found


def _with_heads(sequence: LabelledSequence, path: Path) -> LabelledSequence:
    """The people with the head boxes of the evaluation file, which has them in the same order."""
    truth = read_mpii_eval(path)[0]
    if len(truth) != len(sequence):
        raise FormatError(
            f"{path} has {len(truth)} people and {_FILES['val']} beside it {len(sequence)}; they "
            f"must be of one release."
        )
    frames = [
        replace(f, head_boxes=t.head_boxes)
        for f, t in zip(sequence.frames, truth.frames, strict=True)
    ]
    return replace(sequence, frames=tuple(frames))
