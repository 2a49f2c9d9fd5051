"""Leeds Sports Pose and its extension: one person in sport a picture, 14 joints.

Sets       Johnson, Everingham: "Clustered Pose and Nonlinear Appearance Models ..." (LSP, 2,000
           pictures) and "Learning Effective Human Pose Estimation from Inaccurate Annotation"
           (LSPET, 10,000).
Layout     ``joints.mat`` and ``images/im0001.jpg`` (LSP), ``images/im00001.jpg`` (LSPET).
Splits     LSP: the first 1,000 train, the last 1,000 test. LSPET has none of its own: train is
           1-8500 and val 8501-9000 (ours), as in :mod:`chronopose.data.datasets.lspet`.
Sides      use LSP's person-centric file; the observer-centric one looks the same from outside.
Boxes      the extent of the joints.
Terms      Research only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

from chronopose.core.labels import LabelledSequence
from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import LSP14
from chronopose.data.datasets._base import LabelledSet
from chronopose.data.datasets.lspet import SPLITS as LSPET_SPLITS
from chronopose.data.neighbours import STILL, NeighbourRule
from chronopose.errors import FormatError
from chronopose.io.lsp import LSP_PICTURES, read_lsp

_TERMS = "research only"


@dataclass(frozen=True, kw_only=True)
class LSP(LabelledSet):
    """Leeds Sports Pose.

    Args:
        base: What the file calls the centre of the top-left pixel.
        sides: ``"observer"`` if the file is the observer-centric one.
    """

    NAME: ClassVar[str] = "lsp"
    TITLE: ClassVar[str] = "Leeds Sports Pose"
    SPLITS: ClassVar[tuple[str, ...]] = ("train", "test")
    REPORTED: ClassVar[str] = "test"
    SKELETON: ClassVar[Skeleton] = LSP14
    LABELS: ClassVar[tuple[str, ...]] = ("joints.mat", "lsp_dataset/joints.mat")
    PICTURES: ClassVar[tuple[str, ...]] = ("images", "lsp_dataset/images", "")
    TERMS: ClassVar[str] = _TERMS
    SOURCE: ClassVar[str] = (
        "from the site of the Leeds Sports Pose Dataset: joints.mat (the person-centric one) and "
        "the folder images"
    )
    VIDEO: ClassVar[bool] = False
    GROW: ClassVar[float] = 1.0
    RULE: ClassVar[NeighbourRule] = STILL

    base: float = 1.0
    sides: Literal["person", "observer"] = "person"

    def read(self, path: Path) -> list[LabelledSequence]:
        """The half of the pictures that the split is."""
        found = read_lsp(path, base=self.base, sides=self.sides)[0]
        if found.name != "lsp" or len(found) != LSP_PICTURES:
            raise FormatError(
                f"{path} holds {len(found)} pictures of {found.name}; LSP has {LSP_PICTURES}. The "
                f"extension is the data set 'lspet'."
            )
        half = LSP_PICTURES // 2
        part = slice(0, half) if self.split == "train" else slice(half, LSP_PICTURES)
        return [replace(found, frames=found.frames[part])]


@dataclass(frozen=True, kw_only=True)
class LSPExtended(LabelledSet):
    """Leeds Sports Pose Extended, as stills.

    Args:
        base: What the file calls the centre of the top-left pixel; 0 as in the class that the
            shipped weights were trained with, :class:`chronopose.data.datasets.lspet.LSPET`.
    """

    NAME: ClassVar[str] = "lspet"
    TITLE: ClassVar[str] = "Leeds Sports Pose Extended"
    SPLITS: ClassVar[tuple[str, ...]] = ("train", "val")
    REPORTED: ClassVar[str] = "val"
    SKELETON: ClassVar[Skeleton] = LSP14
    LABELS: ClassVar[tuple[str, ...]] = ("joints.mat", "lspet_dataset/joints.mat")
    PICTURES: ClassVar[tuple[str, ...]] = ("images", "lspet_dataset/images", "")
    TERMS: ClassVar[str] = _TERMS
    SOURCE: ClassVar[str] = (
        "from the site of the Leeds Sports Pose Extended Training Dataset: joints.mat and the "
        "folder images"
    )
    VIDEO: ClassVar[bool] = False
    GROW: ClassVar[float] = 1.0
    RULE: ClassVar[NeighbourRule] = STILL

    base: float = 0.0

    def read(self, path: Path) -> list[LabelledSequence]:
        """The pictures of the split."""
        found = read_lsp(path, base=self.base)[0]
        first, last = LSPET_SPLITS[self.split]
        if found.name != "lspet" or len(found) < LSPET_SPLITS["val"][1]:
            raise FormatError(
                f"{path} holds {len(found)} pictures of {found.name}; LSPET has at least "
                f"{LSPET_SPLITS['val'][1]} here."
            )
        return [replace(found, frames=found.frames[first:last])]
