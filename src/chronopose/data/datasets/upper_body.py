"""Upper bodies in video, seven joints: Poses in the Wild, BBC Pose, ChaLearn and the like.

Sets       Cherian et al., "Mixing Body-Part Sequences for Human Pose Estimation" (Poses in the
           Wild); Charles et al. and Pfister et al. (BBC Pose, ChaLearn).
Layout     a table a video in ``labels/{split}`` (or ``labels`` for the split ``all``), lines of a
           frame number and seven joints; or ``bbcpose.mat``; or Caffe label lines
           ``{split}.txt``. Pictures in ``frames/{video}``, found by their numbers. The released
           tables of these sets differ and are not documented, so this is the layout we ask for.
Boxes      extent of the joints times 1.3.
Terms      Research only.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from chronopose.core.labels import LabelledFrame, LabelledSequence
from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import UPPER7
from chronopose.data.datasets._base import LabelledSet
from chronopose.errors import FormatError
from chronopose.io.upper_body import read_caffe_lines, read_upper_body

_TABLES = {".txt", ".csv", ".mat"}


@dataclass(frozen=True, kw_only=True)
class UpperBody(LabelledSet):
    """Frames with seven upper-body joints."""

    NAME: ClassVar[str] = "upper_body"
    METRIC: ClassVar[str] = "accuracy-at-d"
    TITLE: ClassVar[str] = "upper-body video (Poses in the Wild, BBC Pose, ChaLearn)"
    SPLITS: ClassVar[tuple[str, ...]] = ("train", "val", "test", "all")
    REPORTED: ClassVar[str] = "test"
    SKELETON: ClassVar[Skeleton] = UPPER7
    LABELS: ClassVar[tuple[str, ...]] = ("labels/{split}", "{split}.mat", "{split}.txt")
    PICTURES: ClassVar[tuple[str, ...]] = ("frames", "images", "")
    TERMS: ClassVar[str] = "research only; cite the paper of the set"
    SOURCE: ClassVar[str] = (
        "from the page of the set's authors; write a table a video to labels/SPLIT/VIDEO.csv with "
        "the header 'frame,head_x,head_y,right_wrist_x,...' and put the pictures to frames/VIDEO"
    )

    def label_places(self) -> list[Path]:
        """The split ``all`` is the folder ``labels`` itself, or the file of BBC Pose."""
        if self.split == "all" and self.labels is None:
            return [self.root / "labels", self.root / "bbcpose.mat"]
        return super().label_places()

    def read(self, path: Path) -> list[LabelledSequence]:
        """A folder of tables, one ``.mat`` of all videos, or Caffe label lines of stills."""
        if path.is_file():
            caffe = path.suffix.lower() == ".txt"
            return read_caffe_lines(path) if caffe else read_upper_body(path)
        files = sorted(f for f in path.iterdir() if f.suffix.lower() in _TABLES)
        if not files:
            raise FormatError(f"{path} holds no table: no {', '.join(sorted(_TABLES))}.")
        return [s for f in files for s in read_upper_body(f)]

    def picture_name(self, sequence: LabelledSequence, frame: LabelledFrame) -> str:
        """Tables know only the number of a frame."""
        return f"{sequence.name}/{frame.frame_index}" if sequence.is_video else frame.name
