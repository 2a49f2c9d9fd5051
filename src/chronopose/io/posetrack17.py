"""PoseTrack 2017: labels and predictions in JSON of a MATLAB struct.

One file a video. ``frame_index`` is ``imgnum`` (from 1), or the number in the picture's name where
there is none, as in predictions. Coordinates are taken as stored. Trap: **x1 y1 x2 y2 is the head
box**; person boxes are not annotated (:meth:`LabelledFrame.extent` gives the joints' extent, which
the field enlarges by 1.3). A point that is listed is annotated: ``is_visible`` 0 is an occluded
joint, 1 or nothing a visible one; points that are not listed are absent. Point ids are those of
``posetrack15_poseval``.

Not confirmed by the format's own text: which frames are labelled beyond the thirty in the middle
(validation and test are said to label every fourth one too); the reader goes by ``is_labeled``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chronopose.core.labels import LabelledFrame, LabelledSequence
from chronopose.core.skeletons import POSETRACK15_POSEVAL
from chronopose.errors import FormatError
from chronopose.io._annolist import (
    Entry,
    annolists,
    entries,
    file_sequence,
    load_annolist,
    write_entry,
    write_rect,
)
from chronopose.io._labelled import (
    arranged,
    frame_of,
    once,
    people_extra,
    picture_number,
    write_jsons,
)
from chronopose.io._submission import (
    match_truth,
    submission_ids,
    submission_scores,
    with_dummies,
)


def read_posetrack17(path: str | Path, *, keep_dummies: bool = False) -> list[LabelledSequence]:
    """Read labels or predictions of PoseTrack 2017.

    Args:
        path: A JSON file, or a folder of them.
        keep_dummies: Take the dummy of an empty frame for a person, as the published evaluator
            does.

    Returns:
        A video for each file, named by the file.

    Raises:
        FormatError: a file is missing, damaged or something else; the message names the file, the
            record and the field.
    """
    folder = Path(path)
    if folder.is_dir():
        files = sorted(folder.glob("*.json"))
        if not files:
            raise FormatError(f"{path} holds no .json file. Give the folder of the annotations.")
        return [s for f in files for s in read_posetrack17(f, keep_dummies=keep_dummies)]
    found = entries(load_annolist(path), POSETRACK15_POSEVAL, path, keep_dummies)
    frames = [_frame(entry) for entry in found]
    once(frames, f"{path}: annolist")
    return [file_sequence(path, folder.stem, POSETRACK15_POSEVAL, frames)]


def _frame(entry: Entry) -> LabelledFrame:
    for person in entry.people:
        person.head_box, person.box = person.box, None
    index = entry.number
    if index is None:
        index = picture_number(entry.name, f"{entry.where}.image.name")
    return frame_of(
        entry.where, entry.name, index, POSETRACK15_POSEVAL, entry.people, entry.extra,
        ignore=entry.ignore, labelled=entry.labelled,
    )  # fmt: skip


def write_posetrack17(sequences: Sequence[LabelledSequence], path: str | Path) -> None:
    """Write labels; person boxes and areas have no place in the format and are left out.

    Args:
        sequences: Videos with the joints of ``posetrack15_poseval``, in any order.
        path: A folder for one file each, or a ``.json`` file for a single video.

    Raises:
        FormatError: names collide, or the system refused to write; nothing is left behind.
        SkeletonMismatch: other joints.
    """
    ready = [arranged(s, POSETRACK15_POSEVAL, path) for s in sequences]
    write_jsons(annolists(ready, path, _label))


def _label(frame: LabelledFrame, video: str) -> dict[str, Any]:
    rects = [
        extra
        | write_rect(frame, row, frame.head_boxes[row], None, int(frame.ids[row]), is_visible=True)
        for row, extra in enumerate(people_extra(frame))
    ]
    return write_entry(
        frame, rects, True, imgnum=[frame.frame_index], is_labeled=[int(frame.labelled)]
    )


def write_posetrack17_predictions(
    sequences: Sequence[LabelledSequence],
    path: str | Path,
    truth: Sequence[LabelledSequence] | None = None,
) -> None:
    """Write predictions as the evaluator of PoseTrack 2017 takes them.

    A frame without anybody gets the dummy: joint 0 at (0, 0) with score -100. People without any
    joint are left out; people without an id get the free numbers of their frame.

    Args:
        sequences: Predictions with a score for every joint.
        path: A folder, or a ``.json`` file for a single video.
        truth: The labels: they decide the pictures' names and which frames must be there.

    Raises:
        FormatError: a joint has no score, a track id is above 9999, videos or frames are not those
            of ``truth``, or the system refused to write; nothing is left behind.
        SkeletonMismatch: other joints.
    """
    ready = [arranged(s, POSETRACK15_POSEVAL, path) for s in sequences]
    if truth is not None:
        ready = match_truth(ready, truth, path)
    write_jsons(annolists(ready, path, _prediction))


def _prediction(frame: LabelledFrame, video: str) -> dict[str, Any]:
    frame = with_dummies(frame)
    no_box = np.full(4, np.nan)
    rects = [
        write_rect(frame, row, no_box, submission_scores(frame, row, video), track)
        for row, track in enumerate(submission_ids(frame, video))
    ]
    return write_entry(frame, rects, False)
