"""Submissions to the PoseTrack and HiEve evaluators: every frame, track ids, scores, the dummy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chronopose.core.labels import NO_ID, LabelledFrame, LabelledSequence, Visibility
from chronopose.errors import FormatError
from chronopose.io._labelled import Person

DUMMY_SCORE = -100.0
"""Score of the one joint of the person that stands for "nobody here" in a submission."""
MOST_TRACKS = 10_000
"""Track ids of a submission are below this."""


def is_dummy(person: Person) -> bool:
    """Whether a person stands for "nobody here": joint 0 alone, at (0, 0), scored -100."""
    return (
        person.score is not None
        and bool((person.visibility[1:] == Visibility.ABSENT).all())
        and bool((person.xy[0] == 0).all())
        and person.score[0] == DUMMY_SCORE
    )


def match_truth(
    sequences: Sequence[LabelledSequence], truth: Sequence[LabelledSequence], path: str | Path
) -> list[LabelledSequence]:
    """Predictions frame by frame beside the labels, with the labels' picture names and ids.

    Raises:
        FormatError: a video is missing or is none of the labelled ones, or a frame is not among
            the labelled video's.
    """
    by_name = {s.name: s for s in sequences}
    strangers = [n for n in by_name if n not in {s.name for s in truth}]
    if strangers:
        raise FormatError(
            f"Cannot write {path}: the labels have no video {strangers[0]!r}. Leave it out, or "
            f"give its labels too."
        )
    found = []
    for labels in truth:
        if labels.name not in by_name:
            raise FormatError(
                f"Cannot write {path}: there are no predictions for {labels.name!r}. There are: "
                f"{', '.join(by_name)[:300]}."
            )
        predicted = by_name[labels.name]
        frames = {f.frame_index: f for f in predicted}
        strange = sorted(set(frames) - {f.frame_index for f in labels})
        if strange:
            first = labels.frames[0].frame_index if len(labels) else "nothing"
            raise FormatError(
                f"Cannot write {path}: frame {strange[0]} of the predictions for {labels.name!r} "
                f"is none of the labelled video, which begins at {first}. Number the frames as "
                f"the labels do."
            )
        empty = LabelledFrame("", 0, predicted.skeleton, np.zeros((0, len(predicted.skeleton), 2)))
        together = tuple(
            replace(
                frames.get(f.frame_index, empty),
                name=f.name, frame_index=f.frame_index, image_id=f.image_id,
            )
            for f in labels
        )  # fmt: skip
        found.append(replace(predicted, frames=together))
    return found


def submission_ids(frame: LabelledFrame, video: str) -> list[int]:
    """Track ids of a frame's people for a submission; free numbers for those without one.

    Raises:
        FormatError: one is negative or not below :data:`MOST_TRACKS`.
    """
    ids = frame.ids.tolist()
    bad = [i for i in ids if i != NO_ID and not 0 <= i < MOST_TRACKS]
    if bad:
        raise FormatError(
            f"Track id {bad[0]} in frame {frame.frame_index} of {video!r} cannot be submitted: the "
            f"evaluators take ids from 0 to {MOST_TRACKS - 1}. Number the tracks anew."
        )
    free = iter(sorted(set(range(2 * len(ids) + 1)) - set(ids)))
    return [next(free) if i == NO_ID else i for i in ids]


def submission_scores(frame: LabelledFrame, row: int, video: str) -> list[float]:
    """Joint scores of a person for a submission, 0 for absent joints.

    Raises:
        FormatError: a joint with coordinates has none.
    """
    known, scores = frame.known[row], frame.score[row]
    without = np.flatnonzero(known & ~np.isfinite(scores))
    if len(without):
        raise FormatError(
            f"{frame.skeleton.joints[without[0]]} of a person in frame {frame.frame_index} of "
            f"{video!r} has no score, and a submission ranks joints by theirs. Give every joint "
            f"one, e.g. dataclasses.replace(frame, score=...)."
        )
    return np.where(known, scores, 0.0).tolist()


def with_dummies(frame: LabelledFrame) -> LabelledFrame:
    """The frame's people who have a joint, or one dummy person if there are none."""
    some = frame.known.any(-1)
    if some.any():
        return frame.select(some)
    joints = len(frame.skeleton)
    xy = np.full((1, joints, 2), np.nan)
    score = np.full((1, joints), np.nan)
    xy[0, 0], score[0, 0] = 0.0, DUMMY_SCORE
    return LabelledFrame(
        frame.name, frame.frame_index, frame.skeleton, xy, score=score, ids=np.zeros(1, np.int64),
        ignore=frame.ignore, labelled=frame.labelled, image_id=frame.image_id, size=frame.size,
        extra={k: v for k, v in frame.extra.items() if k != "people"},
    )  # fmt: skip


def person_boxes(frame: LabelledFrame) -> NDArray[np.float64]:
    """``(N, 4)`` boxes x1 y1 x2 y2, or the extent of the joints where there is none."""
    return np.where(np.isfinite(frame.boxes).all(-1, keepdims=True), frame.boxes, frame.extent())
