"""CrowdPose: photographs of crowds, 14 joints.

Set        Li et al., "CrowdPose: Efficient Crowded Scenes Pose Estimation and a New Benchmark".
Layout     ``crowdpose_{split}.json`` in the root, in ``annotations`` or in ``json``; pictures in
           ``images``. ``crowdIndex`` of a picture is in ``frame.extra``.
Joints     what the files call "head" is our ``head_top``.
Terms      Research only; the authors ask for citation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from chronopose.core.labels import LabelledSequence
from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import CROWDPOSE14
from chronopose.data.datasets._base import LabelledSet
from chronopose.data.neighbours import STILL, NeighbourRule
from chronopose.io.coco_labels import read_coco_labels


@dataclass(frozen=True, kw_only=True)
class CrowdPose(LabelledSet):
    """CrowdPose."""

    NAME: ClassVar[str] = "crowdpose"
    METRIC: ClassVar[str] = "oks"
    METRIC_OPTIONS: ClassVar[Mapping[str, str]] = {"compat": "crowdpose"}
    SUBMISSION: ClassVar[str] = "coco_results"
    TITLE: ClassVar[str] = "CrowdPose"
    SPLITS: ClassVar[tuple[str, ...]] = ("train", "val", "trainval", "test")
    REPORTED: ClassVar[str] = "test"
    SKELETON: ClassVar[Skeleton] = CROWDPOSE14
    LABELS: ClassVar[tuple[str, ...]] = (
        "crowdpose_{split}.json", "annotations/crowdpose_{split}.json",
        "json/crowdpose_{split}.json", "annotations/mmpose_crowdpose_{split}.json",
    )  # fmt: skip
    PICTURES: ClassVar[tuple[str, ...]] = ("images", "")
    TERMS: ClassVar[str] = "research only; cite the paper"
    SOURCE: ClassVar[str] = (
        "from the CrowdPose repository of its authors: the annotation files to the root or to "
        "annotations/, the pictures to images/"
    )
    VIDEO: ClassVar[bool] = False
    RULE: ClassVar[NeighbourRule] = STILL

    def read(self, path: Path) -> list[LabelledSequence]:
        """One set of stills."""
        return read_coco_labels(path)
