"""PoseTrack 2017, 2018 and 2021: several people in video, tracked.

Sets       PoseTrack (Andriluka et al., "PoseTrack: A Benchmark for Human Pose Estimation and
           Tracking"); PoseTrack21 (Doering et al.) labels the videos of 2018 anew.
Joints     15; files of 2018 and 2021 have 17 slots, the ears never labelled.
Splits     train, val; the test labels are not public.
Layouts    official: a file a video in ``annotations/{split}`` (2021: ``posetrack_data/{split}``),
           pictures in ``images``. DCPose family: ``posetrack_{split}.json`` in COCO's form, with
           the pictures of 2017 renamed. Names of pictures are taken from the labels.
Boxes      2017 has none (its rectangles are heads): joints' extent times 1.3. Detections of the
           family: ``clips(boxes="val_boxes.json")``, score 0.2 and above.
Clips      neighbours are found in the list of a video's pictures, labelled or not.
Terms      Research only; pictures may not be passed on.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from chronopose.core.labels import LabelledSequence
from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import POSETRACK15_POSEVAL, POSETRACK17SLOT
from chronopose.data.datasets._base import LabelledSet
from chronopose.io._fields import load_json
from chronopose.io.posetrack import read_posetrack
from chronopose.io.posetrack17 import read_posetrack17

_TERMS = "research only, pictures may not be passed on; cite the PoseTrack papers"
_PICTURES = ("", "images", "images/{split}", "posetrack_data", "frames")


@dataclass(frozen=True, kw_only=True)
class PoseTrack18(LabelledSet):
    """PoseTrack 2018."""

    NAME: ClassVar[str] = "posetrack18"
    METRIC: ClassVar[str] = "posetrack-ap"
    SUBMISSION: ClassVar[str] = "posetrack_submission"
    TITLE: ClassVar[str] = "PoseTrack 2018"
    SPLITS: ClassVar[tuple[str, ...]] = ("train", "val")
    REPORTED: ClassVar[str] = "val"
    SKELETON: ClassVar[Skeleton] = POSETRACK17SLOT
    LABELS: ClassVar[tuple[str, ...]] = (
        "annotations/{split}", "posetrack_data/annotations/{split}",
        "annotations/posetrack_{split}.json", "posetrack_{split}.json",
        "annotations/posetrack18_{split}.json", "posetrack18_{split}.json",
    )  # fmt: skip
    PICTURES: ClassVar[tuple[str, ...]] = _PICTURES
    TERMS: ClassVar[str] = _TERMS
    SOURCE: ClassVar[str] = (
        "register at the official PoseTrack site, accept its terms, and unpack the 2018 "
        "annotations to annotations/{train,val} and the pictures to images/{train,val}"
    )

    def read(self, path: Path) -> list[LabelledSequence]:
        """One file a video, or one file of all of them."""
        return read_posetrack(path)


@dataclass(frozen=True, kw_only=True)
class PoseTrack21(PoseTrack18):
    """PoseTrack21: the videos of 2018 with occluded joints and small people labelled too."""

    NAME: ClassVar[str] = "posetrack21"
    METRIC: ClassVar[str] = "posetrack21-ap"
    TITLE: ClassVar[str] = "PoseTrack21"
    LABELS: ClassVar[tuple[str, ...]] = (
        "posetrack_data/{split}", "annotations/{split}", "{split}",
        "posetrack_data/posetrack_{split}.json", "annotations/posetrack_{split}.json",
        "posetrack_{split}.json",
    )  # fmt: skip
    SOURCE: ClassVar[str] = (
        "get the pictures of PoseTrack 2018 as for posetrack18; the annotations come from the "
        "PoseTrack21 repository of its authors and go to posetrack_data/{train,val}"
    )


@dataclass(frozen=True, kw_only=True)
class PoseTrack17(LabelledSet):
    """PoseTrack 2017, labels in the form of its evaluation kit or in COCO's form."""

    NAME: ClassVar[str] = "posetrack17"
    METRIC: ClassVar[str] = "posetrack-ap"
    SUBMISSION: ClassVar[str] = "posetrack17_submission"
    TITLE: ClassVar[str] = "PoseTrack 2017"
    SPLITS: ClassVar[tuple[str, ...]] = ("train", "val")
    REPORTED: ClassVar[str] = "val"
    SKELETON: ClassVar[Skeleton] = POSETRACK15_POSEVAL
    LABELS: ClassVar[tuple[str, ...]] = (
        "annotations/{split}", "posetrack_data/annotations/{split}",
        "annotations/posetrack_{split}.json", "posetrack_{split}.json",
        "annotations/posetrack17_{split}.json", "posetrack17_{split}.json",
    )  # fmt: skip
    PICTURES: ClassVar[tuple[str, ...]] = _PICTURES
    TERMS: ClassVar[str] = _TERMS
    SOURCE: ClassVar[str] = (
        "register at the official PoseTrack site, accept its terms, and unpack the 2017 "
        "annotations, as its evaluation kit reads them, to annotations/{train,val} and the "
        "pictures to images"
    )

    def read(self, path: Path) -> list[LabelledSequence]:
        """Files with an ``annolist`` are the kit's form; others COCO's."""
        first = min(path.glob("*.json"), default=path) if path.is_dir() else path
        content = load_json(first)
        kit = isinstance(content, dict) and "annolist" in content
        return read_posetrack17(path) if kit else read_posetrack(path)
