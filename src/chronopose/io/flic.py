"""FLIC (Frames Labeled In Cinema): ``examples.mat``.

A struct array ``examples`` with ``coords`` (2, 29) of named slots, of which eleven are labelled
(shoulders, elbows, wrists, hips, eyes, nose); NaN is absent, there is no visibility. ``torsobox``
x1 y1 x2 y2 is the torso, not the person.

FLIC is observer-centric: "left" is the left side of the picture. Its people face the camera, so
left and right are exchanged while reading to become the person's own; people seen from behind come
out the wrong way round. Beyond the counts of the set nothing of this is confirmed by its own text:
neither the slots, nor the sides (``sides="stored"`` leaves them), nor the pixel that coordinates
count from (``base`` shifts them; 0 takes them as stored).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from chronopose.core.labels import LabelledFrame, LabelledSequence
from chronopose.core.skeletons import FLIC11
from chronopose.errors import FormatError
from chronopose.io._labelled import (
    ABSENT,
    VISIBLE,
    Person,
    arranged,
    box_xyxy,
    frame_of,
    only_person,
    people_extra,
)
from chronopose.io._mat import (
    has,
    load_mat,
    mat_array,
    mat_scalar,
    mat_text,
    member,
    save_mat,
    struct_array,
    struct_list,
)

SLOTS = 29
_SLOT = {
    "left_shoulder": 0, "left_elbow": 1, "left_wrist": 2, "right_shoulder": 3, "right_elbow": 4,
    "right_wrist": 5, "left_hip": 6, "right_hip": 9, "left_eye": 12, "right_eye": 13, "nose": 16,
}  # fmt: skip
_MORE = ("moviename", "currframe", "istrain", "istest", "isbad", "isunchecked")


def read_flic(
    path: str | Path, *, base: float = 0.0, sides: Literal["observer", "stored"] = "observer"
) -> list[LabelledSequence]:
    """Read ``examples.mat`` of FLIC or FLIC-full.

    Args:
        path: The file.
        base: What the file calls the centre of the top-left pixel.
        sides: ``"observer"`` exchanges left and right, ``"stored"`` keeps the file's names; which
            was done stands in ``sequence.extra["sides"]``.

    Returns:
        One set of stills, one frame an example; ``frame_index`` is its place in the file, from 0.
        ``frame.extra`` holds ``split`` and the movie; the torso's box is in
        ``frame.extra["people"]``.

    Raises:
        FormatError: the file is missing, damaged or something else; the message names the example
            and the field.
    """
    listed = struct_list(load_mat(path, ["examples"])["examples"])
    slots = [_SLOT[j] for j in FLIC11.joints]
    if sides == "observer":
        slots = [slots[k] for k in FLIC11.flip_index]
    frames = [
        _frame(e, at, f"{path}: examples({at + 1})", slots, base) for at, e in enumerate(listed)
    ]
    if not frames:
        raise FormatError(f"{path}: examples is empty.")
    about = {"sides": "person" if sides == "observer" else "stored"}
    return [LabelledSequence("flic", FLIC11, tuple(frames), is_video=False, extra=about)]


def _frame(example: object, at: int, where: str, slots: list[int], base: float) -> LabelledFrame:
    stored = mat_array(member(example, "coords", where), (2, SLOTS), f"{where}.coords", nan=True)
    xy = stored.T[slots] - base
    if (np.isnan(xy[:, 0]) != np.isnan(xy[:, 1])).any():
        raise FormatError(f"{where}.coords has a joint with only one of its two coordinates.")
    known = np.isfinite(xy).all(-1)
    person = Person(xy, np.where(known, VISIBLE, ABSENT).astype(np.int8))
    if has(example, "torsobox"):
        torso = mat_array(
            np.asarray(member(example, "torsobox", where)).reshape(-1), (4,), f"{where}.torsobox"
        )
        torso = torso - base
        person.extra = {"torso_box": box_xyxy(torso.tolist(), f"{where}.torsobox")}
    extra: dict[str, Any] = {}
    for name in _MORE:
        if has(example, name):
            value = member(example, name, where)
            plain = isinstance(value, str)
            extra[name] = value if plain else mat_scalar(value, f"{where}.{name}")
    train, test = extra.pop("istrain", 0), extra.pop("istest", 0)
    if train or test:
        extra["split"] = "train" if train else "test"
    size = None
    if has(example, "imgdims"):
        rows, columns = mat_array(
            np.asarray(member(example, "imgdims", where)).reshape(-1)[:2], (2,), f"{where}.imgdims"
        )
        if rows < 1 or columns < 1:
            raise FormatError(f"{where}.imgdims must be rows and columns; got {rows}, {columns}.")
        size = (int(columns), int(rows))
    name = mat_text(member(example, "filepath", where), f"{where}.filepath")
    return frame_of(where, name, at, FLIC11, [person], extra, size=size)


def write_flic(
    sequences: Sequence[LabelledSequence], path: str | Path, *, base: float = 0.0
) -> None:
    """Write ``examples.mat``; sides become the observer's unless the sequence was read as stored.

    Raises:
        FormatError: a frame without exactly one person, or the system refused to write.
        SkeletonMismatch: other joints.
    """
    rows = []
    for sequence in (arranged(s, FLIC11, path) for s in sequences):
        slots = [_SLOT[j] for j in FLIC11.joints]
        if sequence.extra.get("sides") != "stored":
            slots = [slots[k] for k in FLIC11.flip_index]
        rows += [_example(f, slots, base, path) for f in sequence]
    save_mat(path, {"examples": struct_array(rows)})


def _example(
    frame: LabelledFrame, slots: list[int], base: float, path: str | Path
) -> dict[str, Any]:
    only_person(frame, path)
    coords = np.full((2, SLOTS), np.nan)
    coords[:, slots] = frame.xy[0].T + base
    nothing = np.zeros((0, 0))
    torso = people_extra(frame)[0].get("torso_box")
    split = frame.extra.get("split")
    width, height = frame.size or (0, 0)
    return {
        "coords": coords,
        "filepath": frame.name,
        "torsobox": nothing if torso is None else np.array([torso]) + base,
        "istrain": float(split == "train"),
        "istest": float(split == "test"),
        "imgdims": np.array([[height, width, 3.0]]) if frame.size else nothing,
        "moviename": str(frame.extra.get("moviename", "")),
        "currframe": float(frame.extra.get("currframe", 0)),
    }
