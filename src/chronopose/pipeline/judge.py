"""How well a detector finds the people of labelled pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from chronopose.core.labels import LabelledFrame
from chronopose.data.datasets._base import LabelledSet
from chronopose.data.pictures import read_picture
from chronopose.io.detections import Detection
from chronopose.io.video import Frame
from chronopose.metrics.detection import BoxAP, DetectionResult
from chronopose.pipeline.detect import Detector


def labelled_pictures(data: LabelledSet) -> Iterator[tuple[NDArray[np.uint8], LabelledFrame]]:
    """The labelled frames of a data set with their pictures, in the order of the labels.

    Raises:
        FormatError: labels or a picture are missing or damaged.
    """
    for sequence in data.sequences():
        for frame in sequence:
            if frame.labelled:
                name = data.picture_name(sequence, frame)
                yield read_picture(data.finder.require(name, data.NAME)), frame


def judge_detector(
    detector: Detector,
    pictures: Iterable[tuple[NDArray[np.uint8], LabelledFrame]],
    *,
    least_height_px: float = 0.0,
) -> DetectionResult:
    """Average precision at overlap 0.5; recall and precision at the detector's threshold.

    Args:
        detector: Whose ``min_score`` is the threshold of recall and precision.
        pictures: ``(H, W, 3)`` uint8 RGB pictures with their labels. People without a box are
            left out; ignored areas excuse boxes.
        least_height_px: People labelled smaller than this are ignored, pixels.
    """
    metric = BoxAP(0.5, detector.min_score)
    for index, (image, labels) in enumerate(pictures):
        found = detector([Frame(index, 0.0, image)])[0]
        boxes = labels.boxes
        known = np.isfinite(boxes).all(-1)
        asked = known & ~labels.crowd & (boxes[:, 3] - boxes[:, 1] >= least_height_px)
        areas = [np.concatenate([p.min(0), p.max(0)]) for p in labels.ignore if len(p)]
        away = np.concatenate([boxes[known & ~asked], np.array(areas).reshape(-1, 4)])
        metric.update(found, boxes[asked], away)
    return metric.compute()


def detect_set(detector: Detector, data: LabelledSet) -> Iterator[Detection]:
    """Boxes that a detector finds in the labelled pictures of a set, picture by picture.

    Args:
        detector: Its ``min_score`` decides which boxes are told.
        data: The set, with its split.

    Yields:
        Boxes under the pictures' names, best first within one.

    Raises:
        FormatError: labels or a picture are missing or damaged.
    """
    for index, (image, labels) in enumerate(labelled_pictures(data)):
        found = detector([Frame(index, 0.0, image)])[0]
        for box, score in zip(found.xyxy.tolist(), found.score.tolist(), strict=True):
            yield Detection(labels.name, (box[0], box[1], box[2], box[3]), score)
