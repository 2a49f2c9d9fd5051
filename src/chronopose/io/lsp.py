"""Leeds Sports Pose and its extension: ``joints.mat``.

========  ============  =============================================  ===================
set       ``joints``    third number                                   pictures
========  ============  =============================================  ===================
LSP       (3, 14, N)    1 is **occluded** (7 % are)                    ``im0001.jpg`` ...
LSPET     (14, 3, N)    1 is **visible**, 0 not labelled (88 % are 1)  ``im00001.jpg`` ...
========  ============  =============================================  ===================

The two use the third number in opposite senses, so the reader tests it by its mean and refuses a
file that contradicts its layout. Coordinates count from 1 and are read as counting from 0; that
they do is the common reading and not confirmed by the sets' own text (the smallest one is 0.25), so
``base`` can be given. LSP circulates in a person-centric and an observer-centric file that cannot
be told apart by looking: use the person-centric one, or say so and the sequence is marked.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from chronopose.core.labels import LabelledSequence
from chronopose.core.skeletons import LSP14
from chronopose.errors import FormatError
from chronopose.io._labelled import (
    ABSENT,
    LARGEST_PX,
    OCCLUDED,
    VISIBLE,
    Person,
    arranged,
    frame_of,
    only_person,
)
from chronopose.io._mat import load_mat, mat_array, mat_names, save_mat

Layout = Literal["lsp", "lspet"]
LSP_PICTURES = 2000
"""Pictures of LSP: the first half is for training, the second for testing."""

_SHAPES: dict[Layout, tuple[int, int]] = {"lsp": (3, 14), "lspet": (14, 3)}


def joint_table(path: str | Path) -> tuple[NDArray[np.float64], Layout]:
    """The numbers of ``joints.mat`` as stored, whichever way they lie.

    Returns:
        ``(N, 14, 3)`` x, y and the third number in the sense of the layout, and the layout.

    Raises:
        FormatError: the file is missing, damaged, or holds no such array.
    """
    shape = mat_names(path).get("joints", ())
    layout: Layout = "lsp" if shape[:2] == _SHAPES["lsp"] else "lspet"
    content = load_mat(path, ["joints"])["joints"]
    found = mat_array(content, (*_SHAPES[layout], None), f"{path}: joints", limit=np.inf, nan=True)
    return (found.transpose(2, 1, 0) if layout == "lsp" else found.transpose(2, 0, 1)), layout


def check_third(table: NDArray[np.float64], layout: Layout, path: str | Path) -> None:
    """Make sure that the third number has the sense of its layout, by its mean.

    Raises:
        FormatError: it holds something else than 0 and 1, or its mean belongs to the other set.
    """
    third = table[:, :, 2]
    if not np.isin(third, (0, 1)).all():
        bad = third[~np.isin(third, (0, 1))][0]
        raise FormatError(f"{path}: the third number of joints must be 0 or 1; got {bad:g}.")
    mean = float(third.mean()) if third.size else 0.0
    if third.size and (mean > 0.5) != (layout == "lspet"):
        sense = {"lsp": "occluded, about 0.07", "lspet": "visible, about 0.88"}[layout]
        raise FormatError(
            f"{path}: joints has the layout of {layout.upper()}, whose third number means {sense} "
            f"on average, but its mean is {mean:.2f}. Its sense is exchanged: turn it round in the "
            f"file."
        )


def read_lsp(
    path: str | Path, *, base: float = 1.0, sides: Literal["person", "observer"] = "person"
) -> list[LabelledSequence]:
    """Read ``joints.mat`` of LSP or LSPET; the array's shape tells which.

    Args:
        path: The file.
        base: What the file calls the centre of the top-left pixel.
        sides: ``"observer"`` marks the observer-centric file in ``sequence.extra["sides"]``; its
            joints keep the names that the file gives them.

    Returns:
        One set of stills called ``lsp`` or ``lspet``; ``frame_index`` is the picture's number,
        from 1. A complete LSP says ``extra["split"]`` of each picture; LSPET has no split.

    Raises:
        FormatError: the file is missing, damaged or something else, or the third number
            contradicts the layout.
    """
    table, layout = joint_table(path)
    check_third(table, layout, path)
    third = table[:, :, 2] == 1
    if layout == "lsp":
        visibility = np.where(third, OCCLUDED, VISIBLE)
    else:
        visibility = np.where(third, VISIBLE, ABSENT)
    known = visibility > 0
    beyond = known & ~(np.abs(table[:, :, :2]) <= LARGEST_PX).all(-1)
    if beyond.any():
        picture, joint = np.argwhere(beyond)[0].tolist()
        raise FormatError(
            f"{path}: joints: {LSP14.joints[joint]} of picture {picture + 1} lies at "
            f"{table[picture, joint, :2].tolist()}, which is no place in a picture."
        )
    xy = np.where(known[..., None], table[:, :, :2] - base, np.nan)
    digits = 4 if layout == "lsp" else 5
    halves = len(table) == LSP_PICTURES and layout == "lsp"
    frames = []
    for at, (place, seen) in enumerate(zip(xy, visibility.astype(np.int8), strict=True)):
        split = {"split": "train" if at < LSP_PICTURES // 2 else "test"} if halves else {}
        name = f"im{at + 1:0{digits}d}.jpg"
        frames.append(
            frame_of(f"{path}: {name}", name, at + 1, LSP14, [Person(place, seen)], split)
        )
    if not frames:
        raise FormatError(f"{path} holds no picture: joints has the length 0.")
    extra = {"sides": "observer"} if sides == "observer" else {}
    return [LabelledSequence(layout, LSP14, tuple(frames), is_video=False, extra=extra)]


def write_lsp(
    sequences: Sequence[LabelledSequence],
    path: str | Path,
    layout: Layout | None = None,
    *,
    base: float = 1.0,
) -> None:
    """Write ``joints.mat``.

    LSP has no place for an absent joint, which is an error; LSPET has none for an occluded one,
    which is written as labelled.

    Args:
        sequences: Stills of one person each, with the joints of ``lsp14``.
        path: The file.
        layout: ``"lsp"`` or ``"lspet"``; by default the sequence's name if it is one of them, else
            ``"lspet"``.
        base: What the file shall call the centre of the top-left pixel.

    Raises:
        FormatError: a picture without exactly one person, a joint that LSP cannot leave out, or
            the system refused to write.
        SkeletonMismatch: other joints.
    """
    ready = [arranged(s, LSP14, path) for s in sequences]
    frames = [f for s in ready for f in s]
    if layout is None:
        layout = "lsp" if ready and ready[0].name == "lsp" else "lspet"
    if layout not in _SHAPES:
        raise FormatError(f"The layout must be 'lsp' or 'lspet'; got {layout!r}.")
    table = np.zeros((len(frames), 14, 3))
    for at, frame in enumerate(frames):
        seen = only_person(frame, path)
        if layout == "lsp" and (seen == ABSENT).any():
            joint = LSP14.joints[int(np.flatnonzero(seen == ABSENT)[0])]
            raise FormatError(
                f"Cannot write {path}: {joint} of {frame.name} is absent, and LSP gives every "
                f"joint a place. Write it as 'lspet'."
            )
        table[at, :, :2] = np.nan_to_num(frame.xy[0] + base)
        table[at, :, 2] = seen == OCCLUDED if layout == "lsp" else seen != ABSENT
    order = (2, 1, 0) if layout == "lsp" else (1, 2, 0)
    save_mat(path, {"joints": table.transpose(order)})
