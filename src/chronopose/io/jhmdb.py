"""J-HMDB and Sub-J-HMDB: ``joint_positions.mat``, puppet masks and splits.

``joint_positions/{action}/{clip}/joint_positions.mat`` holds ``pos_img`` (2, 15, F), which counts
from 1 and is read as counting from 0; pictures ``00001.png`` ... are numbered from 1. There is no
visibility: every joint is visible as far as the file tells, also outside the picture. The person's
box is the tight box of the puppet mask, ``puppet_mask/{action}/{clip}/puppet_mask.mat``, from the
first to the last pixel centre that it covers (a choice of ours: whether the published evaluation
counts one pixel more is not confirmed). Where the masks are missing there are no boxes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chronopose.core.labels import LabelledSequence
from chronopose.core.skeletons import JHMDB15
from chronopose.errors import FormatError
from chronopose.io._fields import reading
from chronopose.io._labelled import (
    ABSENT,
    VISIBLE,
    Person,
    arranged,
    frame_of,
    only_person,
    single,
)
from chronopose.io._mat import load_mat, mat_array, mat_names, mat_text, save_mat

SPLIT_FOLDERS = ("sub_splits", "sub-splits", "splits")
"""Folders that the split files are found in: Sub-J-HMDB's two spellings, and the whole set's."""

_FILE = "joint_positions.mat"


def read_jhmdb(path: str | Path, mask: str | Path | None = None) -> list[LabelledSequence]:
    """Read clips of J-HMDB.

    Args:
        path: A ``joint_positions.mat``, or a folder with such files somewhere below it.
        mask: The ``puppet_mask.mat`` of the clip; by default the one at its place in the released
            folders, if it is there.

    Returns:
        A video for each file, named by the clip's folder; ``frame_index`` counts from 1.
        ``extra`` holds ``action`` (the folder above the clip's) and ``viewpoint`` where the file
        has it; ``frame.extra["scale"]`` the puppet's scale.

    Raises:
        FormatError: a file is missing, damaged or something else; the message names the variable.
    """
    source = Path(path)
    if source.is_dir():
        files = sorted(source.rglob(_FILE))
        if not files:
            raise FormatError(f"{path} holds no {_FILE}. Give the folder 'joint_positions'.")
        return [s for f in files for s in read_jhmdb(f)]
    content = load_mat(path, ["pos_img"], ("scale", "viewpoint"))
    stored = mat_array(content["pos_img"], (2, 15, None), f"{path}: pos_img")
    xy = stored.transpose(2, 1, 0) - 1
    count = len(xy)
    boxes, size = _mask_boxes(mask or _mask_beside(source), count)
    scales = _scales(content, count, path)
    frames = []
    for at in range(count):
        person = Person(xy[at], np.full(15, VISIBLE, np.int8), box=boxes[at])
        extra = {} if scales is None else {"scale": float(scales[at])}
        name = f"{at + 1:05d}.png"
        frames.append(
            frame_of(f"{path}: frame {at + 1}", name, at + 1, JHMDB15, [person], extra, size=size)
        )
    if not frames:
        raise FormatError(f"{path}: pos_img has no frame.")
    about = {"action": source.resolve().parent.parent.name}
    if "viewpoint" in content:
        about["viewpoint"] = mat_text(content["viewpoint"], f"{path}: viewpoint")
    name = source.resolve().parent.name if source.name == _FILE else source.stem
    return [LabelledSequence(name, JHMDB15, tuple(frames), extra=about)]


def _scales(content: dict[str, Any], count: int, path: str | Path) -> NDArray[np.float64] | None:
    if "scale" not in content:
        return None
    return mat_array(np.asarray(content["scale"]).reshape(-1), (count,), f"{path}: scale")


def _mask_beside(path: Path) -> Path | None:
    clip = path.resolve().parent
    if clip.parent.parent.name != "joint_positions":
        return None
    found = clip.parents[2] / "puppet_mask" / clip.parent.name / clip.name / "puppet_mask.mat"
    return found if found.is_file() else None


def _mask_boxes(
    path: str | Path | None, count: int
) -> tuple[list[list[float] | None], tuple[int, int] | None]:
    """Tight box of each frame's mask, None for an empty one, and the pictures' size."""
    if path is None:
        return [None] * count, None
    names = mat_names(path)
    if len(names.get("part_mask", ())) not in (2, 3):
        raise FormatError(f"{path} has no part_mask of rows, columns and frames.")
    mask = np.asarray(load_mat(path, ["part_mask"])["part_mask"])
    mask = mask[..., None] if mask.ndim == 2 else mask
    if mask.dtype.kind not in "buif" or mask.shape[2] != count:
        raise FormatError(
            f"{path}: part_mask must hold numbers for {count} frames; got {mask.dtype} "
            f"{mask.shape}."
        )
    boxes: list[list[float] | None] = []
    for at in range(count):
        rows, columns = np.nonzero(mask[:, :, at])
        edges = None
        if len(rows):
            edges = [float(v) for v in (columns.min(), rows.min(), columns.max(), rows.max())]
        boxes.append(edges)
    return boxes, (mask.shape[1], mask.shape[0])


def write_jhmdb(sequences: Sequence[LabelledSequence], path: str | Path) -> None:
    """Write ``joint_positions.mat`` of a clip: joints, scale and viewpoint; boxes are in the masks.

    Raises:
        FormatError: several sequences, a frame without exactly one person or with an absent joint,
            for which there is no place, or the system refused to write.
        SkeletonMismatch: other joints.
    """
    sequence = arranged(single(sequences, path), JHMDB15, path)
    for frame in sequence:
        seen = only_person(frame, path)
        if (seen == ABSENT).any():
            joint = JHMDB15.joints[int(np.flatnonzero(seen == ABSENT)[0])]
            raise FormatError(
                f"Cannot write {path}: {joint} of {frame.name} is absent, and J-HMDB gives every "
                f"joint a place."
            )
    content: dict[str, Any] = {
        "pos_img": np.array([f.xy[0] + 1 for f in sequence]).reshape(-1, 15, 2).transpose(2, 1, 0)
    }
    if all("scale" in f.extra for f in sequence):
        content["scale"] = np.array([[f.extra["scale"] for f in sequence]], np.float64)
    if "viewpoint" in sequence.extra:
        content["viewpoint"] = str(sequence.extra["viewpoint"])
    save_mat(path, content)


def read_jhmdb_split(path: str | Path, split: int = 1) -> dict[str, tuple[str, str]]:
    """Read the split files ``{action}_test_split_{k}.txt`` with lines ``clip.avi 1`` or ``2``.

    Args:
        path: The folder of the files, or the one that holds it under a name of
            :data:`SPLIT_FOLDERS`.
        split: 1, 2 or 3.

    Returns:
        Clip -> its action and ``"train"`` or ``"test"``. Sub-J-HMDB is said to have 316 clips of
        12 actions (not confirmed, not checked).

    Raises:
        FormatError: there are no such files, or a line is something else.
    """
    root = Path(path)
    folder = next((root / n for n in SPLIT_FOLDERS if (root / n).is_dir()), root)
    ending = f"_test_split_{split}.txt"
    files = sorted(folder.glob(f"*{ending}"))
    if not files:
        raise FormatError(
            f"{folder} holds no file *{ending}. Give the folder of the splits of J-HMDB, and a "
            f"split from 1 to 3."
        )
    found: dict[str, tuple[str, str]] = {}
    for file in files:
        action = file.name.removesuffix(ending)
        with reading(file, "a text file"):
            lines = file.read_text(encoding="utf-8-sig").splitlines()
        if not any(map(str.strip, lines)):
            raise FormatError(f"{file} is empty: every action has clips.")
        for at, line in enumerate(lines, 1):
            if not line.strip():
                continue
            clip, _, code = line.strip().rpartition(" ")
            clip = clip.strip().removesuffix(".avi")
            if code not in ("1", "2") or not clip or clip in found:
                raise FormatError(
                    f"{file}: line {at} must be a clip's name, once in all files, and 1 (train) or "
                    f"2 (test); got {line.strip()[:80]!r}."
                )
            found[clip] = (action, "train" if code == "1" else "test")
    return found
