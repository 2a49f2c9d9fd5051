"""FLIC (Frames Labeled In Cinema): upper bodies in films, eleven joints.

Set        Sapp, Taskar: "MODEC: Multimodal Decomposable Models for Human Pose Estimation".
Layout     ``examples.mat`` and ``images``; also below a folder ``FLIC`` or ``FLIC-full``.
Sides      the file is observer-centric; left and right are exchanged while reading.
Boxes      extent of the joints times 1.3 (the file's box is the torso).
Terms      Research only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

from chronopose.core.labels import LabelledSequence
from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import FLIC11
from chronopose.data.datasets._base import LabelledSet
from chronopose.data.neighbours import STILL, NeighbourRule
from chronopose.io.flic import read_flic


@dataclass(frozen=True, kw_only=True)
class FLIC(LabelledSet):
    """FLIC or FLIC-full.

    Args:
        base: What the file calls the centre of the top-left pixel.
        sides: ``"stored"`` keeps the file's names of the sides.
    """

    NAME: ClassVar[str] = "flic"
    METRIC: ClassVar[str] = "pdj"
    TITLE: ClassVar[str] = "FLIC (Frames Labeled In Cinema)"
    SPLITS: ClassVar[tuple[str, ...]] = ("train", "test")
    REPORTED: ClassVar[str] = "test"
    SKELETON: ClassVar[Skeleton] = FLIC11
    LABELS: ClassVar[tuple[str, ...]] = (
        "examples.mat", "FLIC/examples.mat", "FLIC-full/examples.mat",
    )  # fmt: skip
    PICTURES: ClassVar[tuple[str, ...]] = ("images", "FLIC/images", "FLIC-full/images", "")
    TERMS: ClassVar[str] = "research only; cite the paper"
    SOURCE: ClassVar[str] = "from the FLIC page of its authors: examples.mat and the folder images"
    VIDEO: ClassVar[bool] = False
    RULE: ClassVar[NeighbourRule] = STILL

    base: float = 0.0
    sides: Literal["observer", "stored"] = "observer"

    def read(self, path: Path) -> list[LabelledSequence]:
        """The examples that the file marks with the split."""
        found = read_flic(path, base=self.base, sides=self.sides)[0]
        frames = tuple(f for f in found if f.extra.get("split") == self.split)
        return [replace(found, frames=frames)]
