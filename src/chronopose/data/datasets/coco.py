"""COCO keypoints, 2017: photographs of everyday scenes, 17 joints.

Set        Lin et al., "Microsoft COCO: Common Objects in Context".
Layouts    official: ``annotations/person_keypoints_train2017.json`` and pictures in ``train2017``;
           HRNet's: the same annotations, pictures in ``images/train2017``.
People     crowds and people without a joint are left out, as the field does.
Boxes      of the labels, or of a detector:
           ``clips(boxes="COCO_val2017_detections_AP_H_56_person.json", least_score=0.0)``.
Terms      labels CC BY 4.0; pictures under the terms of their owners on Flickr.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from chronopose.core.labels import LabelledSequence
from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import COCO17
from chronopose.data.datasets._base import LabelledSet
from chronopose.data.neighbours import STILL, NeighbourRule
from chronopose.io.coco_labels import read_coco_labels


@dataclass(frozen=True, kw_only=True)
class COCO(LabelledSet):
    """COCO keypoints 2017."""

    NAME: ClassVar[str] = "coco"
    METRIC: ClassVar[str] = "oks"
    SUBMISSION: ClassVar[str] = "coco_results"
    TITLE: ClassVar[str] = "COCO keypoints 2017"
    SPLITS: ClassVar[tuple[str, ...]] = ("train", "val")
    REPORTED: ClassVar[str] = "val"
    SKELETON: ClassVar[Skeleton] = COCO17
    LABELS: ClassVar[tuple[str, ...]] = (
        "annotations/person_keypoints_{split}2017.json", "person_keypoints_{split}2017.json",
    )  # fmt: skip
    PICTURES: ClassVar[tuple[str, ...]] = ("{split}2017", "images/{split}2017", "images")
    TERMS: ClassVar[str] = "labels CC BY 4.0, pictures under the terms of their owners"
    SOURCE: ClassVar[str] = (
        "from the official COCO site: 'Train/Val annotations' of 2017 to annotations/, the "
        "pictures of 2017 to train2017/ and val2017/"
    )
    VIDEO: ClassVar[bool] = False
    RULE: ClassVar[NeighbourRule] = STILL

    def read(self, path: Path) -> list[LabelledSequence]:
        """One set of stills."""
        return read_coco_labels(path)
