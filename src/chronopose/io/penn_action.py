"""Penn Action: ``labels/0001.mat``, one person in each clip.

- **Sides.** The order in circulation (head, left_shoulder, ...) has them exchanged: the joint right
  after the head is the person's right shoulder in the clips that were checked against their
  pictures, so that is its name here (``penn13``).
- **Numbers.** Some files store coordinates as unsigned 8 or 16-bit integers; all become float64
  before anything is computed.
- **Coordinates** are taken as stored: whether they count from 0 or 1 is not known (``base`` shifts
  them). Pictures ``000001.jpg`` ... are numbered from 1.
- **Visibility** 1 is visible; 0 is occluded, or not labelled if the place is at or below (1, 1).
- **Boxes** x1 y1 x2 y2. A list one row short gets its last row again. A box without an area is no
  box: NaN, and kept in ``frame.extra["degenerate_box"]``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chronopose.core.labels import LabelledFrame, LabelledSequence
from chronopose.core.skeletons import PENN13
from chronopose.errors import FormatError
from chronopose.io._labelled import (
    ABSENT,
    OCCLUDED,
    VISIBLE,
    Person,
    arranged,
    files_for,
    frame_of,
    only_person,
)
from chronopose.io._mat import load_mat, mat_array, mat_scalar, mat_text, save_mat

_NEEDED = ("x", "y", "visibility", "bbox", "nframes", "dimensions")
_TEXTS = ("action", "pose")
_SPLITS = {1: "train", -1: "test"}


def read_penn_action(path: str | Path, *, base: float = 0.0) -> list[LabelledSequence]:
    """Read clips of Penn Action.

    Args:
        path: A ``.mat`` file, or the folder ``labels``.
        base: What the files call the centre of the top-left pixel; not known for sure, hence 0:
            coordinates as stored.

    Returns:
        A video for each file, named by the file; ``frame_index`` counts from 1. ``extra`` holds
        ``action`` and ``viewpoint`` as the file spells them, and ``split``.

    Raises:
        FormatError: a file is missing, damaged or something else; the message names the variable.
    """
    source = Path(path)
    if source.is_dir():
        files = sorted(source.glob("*.mat"))
        if not files:
            raise FormatError(f"{path} holds no .mat file. Give the folder 'labels'.")
        return [s for f in files for s in read_penn_action(f, base=base)]
    content = load_mat(path, _NEEDED, ("train", *_TEXTS))
    x = mat_array(content["x"], (None, 13), f"{path}: x")
    count = len(x)
    y = mat_array(content["y"], (count, 13), f"{path}: y")
    seen = mat_array(content["visibility"], (count, 13), f"{path}: visibility")
    if not np.isin(seen, (0, 1)).all():
        raise FormatError(f"{path}: visibility must hold 0 and 1 only.")
    if mat_scalar(content["nframes"], f"{path}: nframes") != count:
        raise FormatError(
            f"{path}: nframes is {np.asarray(content['nframes']).item()}, but x has {count} rows."
        )
    stored = np.stack([x, y], -1)
    hidden = np.where((stored <= 1).all(-1), ABSENT, OCCLUDED)
    visibility = np.where(seen == 1, VISIBLE, hidden).astype(np.int8)
    xy = np.where((visibility > 0)[..., None], stored - base, np.nan)
    boxes, size = _boxes(content["bbox"], count, path), _size(content["dimensions"], count, path)
    frames = [
        _frame(at, xy[at], visibility[at], boxes[at], base, size, path) for at in range(count)
    ]
    return [LabelledSequence(source.stem, PENN13, tuple(frames), extra=_extra(content, path))]


def _boxes(value: object, count: int, path: str | Path) -> NDArray[np.float64]:
    found = mat_array(value, (None, 4), f"{path}: bbox")
    if len(found) == count - 1 and len(found):
        found = np.concatenate([found, found[-1:]])
    if len(found) != count:
        raise FormatError(
            f"{path}: bbox has {len(found)} rows for {count} frames; only one may be missing."
        )
    return found


def _size(value: object, count: int, path: str | Path) -> tuple[int, int]:
    height, width, length = mat_array(np.asarray(value).reshape(-1), (3,), f"{path}: dimensions")
    if not (height >= 1 and width >= 1) or height % 1 or width % 1 or length != count:
        raise FormatError(
            f"{path}: dimensions are {height:g} rows, {width:g} columns and {length:g} frames, "
            f"but x has {count} rows."
        )
    return int(width), int(height)


def _extra(content: dict[str, Any], path: str | Path) -> dict[str, Any]:
    names = {"action": "action", "pose": "viewpoint"}
    found: dict[str, Any] = {
        ours: mat_text(content[theirs], f"{path}: {theirs}")
        for theirs, ours in names.items()
        if theirs in content
    }
    if "train" in content:
        train = mat_scalar(content["train"], f"{path}: train")
        if train not in _SPLITS:
            raise FormatError(f"{path}: train must be 1 or -1; got {train:g}.")
        found["split"] = _SPLITS[int(train)]
    return found


def _frame(
    at: int,
    xy: NDArray[np.float64],
    visibility: NDArray[np.int8],
    box: NDArray[np.float64],
    base: float,
    size: tuple[int, int],
    path: str | Path,
) -> LabelledFrame:
    sound = bool((box[2:] > box[:2]).all())
    person = Person(xy, visibility, box=(box - base).tolist() if sound else None)
    extra = {} if sound else {"degenerate_box": (box - base).tolist()}
    name = f"{at + 1:06d}.jpg"
    return frame_of(f"{path}: frame {at + 1}", name, at + 1, PENN13, [person], extra, size=size)


def write_penn_action(
    sequences: Sequence[LabelledSequence], path: str | Path, *, base: float = 0.0
) -> None:
    """Write clips in the layout of the labels; absent joints are (1, 1) and not visible.

    Args:
        sequences: Videos of one person in each frame, with the joints of ``penn13``.
        path: A folder for one file each, or a ``.mat`` file for a single video.
        base: What the files shall call the centre of the top-left pixel.

    Raises:
        FormatError: a frame without exactly one person, without a size, or with an occluded joint
            where the format says "not labelled"; or the system refused to write.
        SkeletonMismatch: other joints.
    """
    ready = [arranged(s, PENN13, path) for s in sequences]
    contents = {f: _content(s, f, base) for f, s in files_for(ready, path, ".mat").items()}
    for file, content in contents.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        save_mat(file, content)


def _content(sequence: LabelledSequence, path: Path, base: float) -> dict[str, Any]:
    seen = np.array([only_person(f, path) for f in sequence]).reshape(-1, 13)
    xy = np.array([f.xy[0] + base for f in sequence]).reshape(-1, 13, 2)
    xy = np.where((seen == ABSENT)[..., None], 1.0, xy)
    lost = (seen == OCCLUDED) & (xy <= 1).all(-1)
    sizes = {f.size for f in sequence}
    if lost.any() or len(sizes) != 1 or None in sizes:
        why = "an occluded joint lies at or below (1, 1)" if lost.any() else "its size is not known"
        raise FormatError(f"Cannot write {path} as Penn Action labels: {why}.")
    boxes = np.array([_box(f, base) for f in sequence]).reshape(-1, 4)
    width, height = next(iter(sizes)) or (0, 0)
    splits = {name: value for value, name in _SPLITS.items()}
    extra = sequence.extra
    return {
        "action": str(extra.get("action", "")) or "unknown",
        "pose": str(extra.get("viewpoint", "")) or "unknown",
        "x": xy[..., 0],
        "y": xy[..., 1],
        "visibility": (seen == VISIBLE).astype(np.uint8),
        "train": np.int32(splits.get(str(extra.get("split")), -1)),
        "bbox": boxes,
        "dimensions": np.array([[height, width, len(sequence)]], np.float64),
        "nframes": np.float64(len(sequence)),
    }


def _box(frame: LabelledFrame, base: float) -> list[float]:
    box = frame.boxes[0] if np.isfinite(frame.boxes[0]).all() else None
    if box is None:
        box = np.array(frame.extra.get("degenerate_box", [-base] * 4), np.float64)
    return (box + base).tolist()
