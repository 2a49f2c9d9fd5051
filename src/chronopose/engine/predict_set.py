"""predict_set: the people of a labelled set as predictions that a submission is made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from chronopose.core.boxes import Boxes
from chronopose.core.labels import NO_ID, LabelledFrame, LabelledSequence
from chronopose.core.poses import Poses
from chronopose.core.skeleton import Skeleton
from chronopose.core.tracks import FramePoses
from chronopose.data.datasets._base import LabelledSet
from chronopose.data.labelled import LEAST_SCORE, LabelledClips
from chronopose.data.neighbours import NeighbourRule
from chronopose.data.pictures import picture_size
from chronopose.engine.evaluate import predict_samples
from chronopose.models._base import PoseModel

USUAL_RATE_HZ = 25.0
"""Frames a second of videos whose labels tell neither times nor a rate, as PoseTrack's do not."""


class Link(Protocol):
    """Says who is who in the frames of one video, as :func:`chronopose.pipeline.link.link_people`.

    Layers do not look sideways, so the caller brings it along.
    """

    def __call__(
        self, frames: Sequence[FramePoses], size: tuple[int, int]
    ) -> Sequence[NDArray[np.int64]]:
        """Ids of the people of each frame, in their order.

        Args:
            frames: In the order of their times; their own ids mean nothing.
            size: Width and height of the pictures, pixels.
        """


class Predict(Protocol):
    """Finds the joints of everybody in a set, as ``engine.evaluate.predict_samples``."""

    def __call__(
        self, model: PoseModel, data: LabelledClips, *, flip_test: bool, batch_size: int
    ) -> Iterator[tuple[Poses, Poses]]:
        """Predicted and labelled joints in the order of the samples, a batch at a time."""


@dataclass
class _Found:
    """Predictions of one frame, in the order in which they came."""

    xy: list[NDArray[np.float32]] = field(default_factory=list)
    score: list[NDArray[np.float32]] = field(default_factory=list)
    box: list[tuple[float, float, float, float]] = field(default_factory=list)
    box_score: list[float] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)

    def poses(self, frame_index: int, time_s: float, joints: Skeleton) -> FramePoses:
        """The same people as the nouns say it, numbered from 0."""
        count = len(self.xy)
        poses = Poses(
            np.array(self.xy, np.float32).reshape(count, len(joints), 2),
            np.array(self.score, np.float32).reshape(count, len(joints)), joints,
        )  # fmt: skip
        boxes = Boxes(np.array(self.box, np.float32), np.array(self.box_score, np.float32))
        return FramePoses(frame_index, time_s, np.arange(count), boxes, poses)


_Where = tuple[str, int, str]
"""Name of the sequence, number of the frame, name of the picture."""


def predict_set(
    model: PoseModel,
    data: LabelledSet,
    *,
    boxes: Path | str | None = None,
    least_score: float = LEAST_SCORE,
    link: Link | None = None,
    flip_test: bool = False,
    batch_size: int = 50,
    predict: Predict = predict_samples,
) -> list[LabelledSequence]:
    """Predict everybody in a labelled set, frame by frame as its labels list them.

    Args:
        model: Any model; it is put in eval mode and stays there.
        data: The set, with its split.
        boxes: File of detected boxes; None takes the labelled people's.
        least_score: Detections below this are left out.
        link: Gives ids to the people of ``boxes``, one video at a time; None leaves them without.
        flip_test: Average the maps with those of the mirrored crop.
        batch_size: Clips a batch; the result does not depend on it.
        predict: Finds the joints; another one may take features that were kept.

    Returns:
        One sequence for each of the labels, with the same frames, in the joints of the set. Joints
        are found by name. One that the model does not know is made from others where
        :data:`~chronopose.core.skeleton.APPROXIMATIONS` knows a way (a neck between the shoulders),
        with the least of their scores; without one it is absent. The score of a joint is its peak
        times the score of the box, as the field submits it; that of a person is the box's times the
        mean of the peaks. With labelled boxes people carry the labels' ids, so a tracking score
        says nothing; with detected ones they have the ids of ``link``. Times are those of the
        labels, or the frames' numbers over the rate, 25 a second where the labels tell none.

    Raises:
        FormatError: labels, boxes or pictures are missing or damaged.
    """
    labels, offsets = data.sequences(), model.needs.offsets
    centred = offsets[0] == -offsets[-1]
    clips = data.clips(
        frames=len(offsets) if centred else None,
        neighbours=None if centred else NeighbourRule(name="as the model reads", offsets=offsets),
        skeleton=model.codec.skeleton, boxes=boxes, least_score=least_score,
    )  # fmt: skip
    assert isinstance(clips, LabelledClips)
    found: dict[_Where, _Found] = {}
    index = 0
    pairs = predict(model, clips, flip_test=flip_test, batch_size=batch_size)
    for predicted, _ in pairs:
        for xy, score in zip(predicted.xy, predicted.score, strict=True):
            origin = clips.origin(index)
            index += 1
            key = (origin.sequence, origin.frame_index, origin.picture)
            place = found.setdefault(key, _Found())
            place.xy.append(xy)
            place.score.append(score)
            place.box.append(origin.box)
            place.box_score.append(origin.score)
            place.ids.append(origin.track_id if boxes is None else NO_ID)
    joints = model.codec.skeleton
    if link is not None and boxes is not None:
        for sequence in labels:
            if sequence.is_video:
                _link(sequence, found, data, joints, link)
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


def _link(
    sequence: LabelledSequence, found: dict[_Where, _Found], data: LabelledSet, joints: Skeleton,
    link: Link,
) -> None:  # fmt: skip
    """Give the people of one video their ids."""
    timed = all(f.time_s is not None for f in sequence)
    rate = sequence.fps or USUAL_RATE_HZ

    def time_of(frame: LabelledFrame) -> float:
        return float(frame.time_s or 0.0) if timed else frame.frame_index / rate

    frames = sorted((f for f in sequence if f.labelled), key=time_of)
    people = [found.get((sequence.name, f.frame_index, f.name), _Found()) for f in frames]
    if not any(p.xy for p in people):
        return
    size = frames[0].size
    if size is None:
        name = data.picture_name(sequence, frames[0])
        size = picture_size(data.finder.require(name, f"{data.NAME} {data.split}"))
    looked_at = [
        p.poses(f.frame_index, time_of(f), joints) for f, p in zip(frames, people, strict=True)
    ]
    for person, ids in zip(people, link(looked_at, size), strict=True):
        person.ids = ids.tolist()


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
