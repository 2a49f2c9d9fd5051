"""Sub-J-HMDB: 316 clips of whole bodies in twelve actions, 15 joints; J-HMDB is read likewise.

Set        Jhuang et al., "Towards Understanding Action Recognition".
Layout     ``joint_positions``, ``puppet_mask`` and ``Rename_Images``, each ``/{action}/{clip}``,
           and ``sub_splits`` (or ``sub-splits``); copies in COCO's form with ``labels=FILE.json``.
Splits     three folds of train and test; papers average the three.
Boxes      of the puppet masks, where they are there; else extent of the joints times 1.3.
Clips      ``windows="run"`` gives runs of neighbouring frames for recurrent models.
Terms      Research only; the authors ask for citation.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from chronopose.core.labels import LabelledFrame, LabelledSequence
from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import JHMDB15
from chronopose.data.datasets._base import LabelledSet
from chronopose.errors import FormatError, UsageError
from chronopose.io.jhmdb import read_jhmdb, read_jhmdb_split
from chronopose.io.posetrack import read_posetrack


@dataclass(frozen=True, kw_only=True)
class JHMDB(LabelledSet):
    """Sub-J-HMDB.

    Args:
        fold: Which of the three splits, 1 to 3.

    Raises:
        UsageError: there is no such split or fold.
    """

    NAME: ClassVar[str] = "jhmdb"
    METRIC: ClassVar[str] = "jhmdb-pck"
    TITLE: ClassVar[str] = "Sub-J-HMDB"
    SPLITS: ClassVar[tuple[str, ...]] = ("train", "test")
    REPORTED: ClassVar[str] = "test"
    SKELETON: ClassVar[Skeleton] = JHMDB15
    LABELS: ClassVar[tuple[str, ...]] = ("joint_positions",)
    PICTURES: ClassVar[tuple[str, ...]] = ("Rename_Images", "rename_images", "frames", "")
    TERMS: ClassVar[str] = "research only; cite the paper"
    SOURCE: ClassVar[str] = (
        "from the J-HMDB page of its authors: joint positions, puppet masks, Rename_Images and the "
        "splits of the sub-set (sub_splits)"
    )

    fold: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fold not in (1, 2, 3):
            raise UsageError(f"jhmdb has the folds 1, 2 and 3; got {self.fold}.")

    def read(self, path: Path) -> list[LabelledSequence]:
        """The clips that the fold's split files name."""
        if path.suffix.lower() == ".json":
            return read_posetrack(path)
        wanted = {
            clip: action
            for clip, (action, split) in read_jhmdb_split(path.parent, self.fold).items()
            if split == self.split
        }
        found = []
        for clip, action in wanted.items():
            file = path / action / clip / "joint_positions.mat"
            if not file.is_file():
                raise FormatError(
                    f"{file} is missing, though the split files name the clip. Unpack all of the "
                    f"joint positions."
                )
            found += read_jhmdb(file)
        return found

    def picture_name(self, sequence: LabelledSequence, frame: LabelledFrame) -> str:
        """Pictures lie in folders of the action and the clip; copies in COCO's form say theirs."""
        if "action" not in sequence.extra:
            return frame.name
        return f"{sequence.extra['action']}/{sequence.name}/{frame.name}"

    def fingerprint(self) -> str:
        """Also of the fold."""
        return f"{super().fingerprint()}-fold{self.fold}"
