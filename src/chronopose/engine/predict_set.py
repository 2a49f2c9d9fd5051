"""predict_set: the people of a labelled set as predictions that a submission is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chronopose.core.labels import NO_ID, LabelledFrame, LabelledSequence
from chronopose.core.skeleton import Skeleton
from chronopose.data.datasets._base import LabelledSet
from chronopose.data.labelled import LEAST_SCORE, LabelledClips
from chronopose.engine.evaluate import predict_samples
from chronopose.models._base import PoseModel


@dataclass
class _Found:
    """Predictions of one frame, in the order in which they came."""

    xy: list[NDArray[np.float32]] = field(default_factory=list)
    score: list[NDArray[np.float32]] = field(default_factory=list)
    box_score: list[float] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)


def predict_set(
    model: PoseModel,
    data: LabelledSet,
    *,
    boxes: Path | str | None = None,
    least_score: float = LEAST_SCORE,
    flip_test: bool = False,
    batch_size: int = 50,
) -> list[LabelledSequence]:
    """Predict everybody in a labelled set, frame by frame as its labels list them.

    Args:
        model: Any model; it is put in eval mode and stays there.
        data: The set, with its split.
        boxes: File of detected boxes; None takes the labelled people's.
        least_score: Detections below this are left out.
        flip_test: Average the maps with those of the mirrored crop.
        batch_size: Clips a batch; the result does not depend on it.

    Returns:
        One sequence for each of the labels, with the same frames, in the joints of the set:
        joints are found by name and those that the model does not know are absent. The score of a
        joint is its peak times the score of the box, as the field submits it; that of a person is
        the box's times the mean of the peaks. With labelled boxes people carry the labels' ids, so
        a tracking score says nothing; with detected ones they have none.

    Raises:
        FormatError: labels, boxes or pictures are missing or damaged.
    """
    labels = data.sequences()
    clips = data.clips(
        frames=len(model.needs.offsets), skeleton=model.codec.skeleton, boxes=boxes,
        least_score=least_score,
    )  # fmt: skip
    assert isinstance(clips, LabelledClips)
    found: dict[tuple[str, int, str], _Found] = {}
    index = 0
    pairs = predict_samples(model, clips, flip_test=flip_test, batch_size=batch_size)
    for predicted, _ in pairs:
        for xy, score in zip(predicted.xy, predicted.score, strict=True):
            origin = clips.origin(index)
            index += 1
            key = (origin.sequence, origin.frame_index, origin.picture)
            place = found.setdefault(key, _Found())
            place.xy.append(xy)
            place.score.append(score)
            place.box_score.append(origin.score)
            place.ids.append(origin.track_id if boxes is None else NO_ID)
    joints = model.codec.skeleton
    return [
        replace(
            s,
            frames=tuple(
                _frame(f, found.get((s.name, f.frame_index, f.name), _Found()), joints)
                for f in s.frames
            ),
        )
        for s in labels
    ]


def _frame(labels: LabelledFrame, found: _Found, joints: Skeleton) -> LabelledFrame:
    count = len(found.xy)
    xy = np.array(found.xy, np.float64).reshape(count, len(joints), 2)
    peak = np.array(found.score, np.float64).reshape(count, len(joints))
    box_score = np.array(found.box_score, np.float64)
    person = box_score * (peak.mean(1) if count else 1.0)
    predicted = LabelledFrame(
        labels.name, labels.frame_index, joints, xy, score=peak * box_score[:, None],
        person_score=person, ids=_unique(found.ids), image_id=labels.image_id, size=labels.size,
        time_s=labels.time_s, labelled=True,
    ).to_skeleton(labels.skeleton)  # fmt: skip
    return replace(predicted, boxes=predicted.extent())


def _unique(ids: Sequence[int]) -> NDArray[np.int64]:
    """The ids; those that a frame's labels give twice are taken away from the later ones."""
    seen: set[int] = set()
    kept = []
    for number in ids:
        kept.append(NO_ID if number in seen else number)
        seen.add(number)
    return np.array(kept, np.int64)
