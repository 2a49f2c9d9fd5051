"""What the files in COCO's form share: the joint names of a category, and triples x, y, v."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chronopose.core.labels import LabelledFrame
from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import find_skeleton
from chronopose.errors import ChronoposeError, FormatError
from chronopose.io._fields import field, records
from chronopose.io._labelled import ABSENT, OCCLUDED, VISIBLE, pixels

Triples = tuple[NDArray[np.float64], NDArray[np.float64]]
"""``(K, 2)`` coordinates and ``(K,)`` third values."""


def person_category(content: object, path: str | Path) -> tuple[tuple[str, ...], list[Any], str]:
    """Joint names of the first category that has any, its limbs as stored, and where it stands.

    Raises:
        FormatError: there is no such category, or its names are no texts.
    """
    listed = field(content, "categories", str(path))
    for at, category in enumerate(records(listed, f"{path}: categories")):
        where = f"{path}: categories[{at}]"
        if isinstance(category, Mapping) and "keypoints" in category:
            joints = records(category["keypoints"], f"{where}.keypoints")
            if not joints or not all(isinstance(j, str) for j in joints):
                raise FormatError(f"{where}.keypoints must be a list of joint names.")
            return tuple(joints), records(category.get("skeleton", []), f"{where}.skeleton"), where
    raise FormatError(f"{path} has no category with 'keypoints': it does not name its joints.")


def skeleton_of(joints: Sequence[str], limbs: Sequence[Any], path: str | Path) -> Skeleton:
    """The registered skeleton with these joints in this order, else one of its own.

    Args:
        joints: Names as the file spells them.
        limbs: Pairs of joint numbers that count from 1; for drawing only, so a list that names
            joints that do not exist (CrowdPose ships COCO's) is left out.
        path: The file, for messages.

    Raises:
        FormatError: the joints form no skeleton.
    """
    known = find_skeleton(joints)
    if known is not None:
        return known
    sound = all(
        isinstance(p, list) and len(p) == 2
        and all(type(n) is int and 1 <= n <= len(joints) for n in p)
        for p in limbs
    )  # fmt: skip
    pairs = tuple((joints[a - 1], joints[b - 1]) for a, b in limbs) if sound else ()
    try:
        return Skeleton("custom", tuple(joints), pairs)
    except ChronoposeError as error:
        raise FormatError(
            f"{path}: the keypoints of its category form no skeleton. {error}"
        ) from error


def category(skeleton: Skeleton, names: Sequence[str] | None = None) -> dict[str, Any]:
    """The category "person" of a skeleton; ``names`` spell the joints otherwise than we do."""
    return {
        "id": 1,
        "name": "person",
        "supercategory": "person",
        "keypoints": list(names or skeleton.joints),
        "skeleton": (skeleton.limb_index + 1).tolist(),
    }


def triples(value: object, joints: int, where: str) -> Triples:
    """A flat list x, y, v, ... of every joint.

    Raises:
        FormatError: the list has another length, or a number is not finite or beyond any picture.
    """
    flat = pixels(value, 3 * joints, where).reshape(joints, 3)
    return flat[:, :2], flat[:, 2]


def coco_visibility(code: NDArray[np.float64], where: str) -> NDArray[np.int8]:
    """COCO's 0 not labelled, 1 labelled but not visible, 2 visible.

    Raises:
        FormatError: a code is something else.
    """
    wrong = (code != 0) & (code != 1) & (code != 2)
    if wrong.any():
        bad = code[wrong][0]
        raise FormatError(
            f"{where} has the visibility {bad:g}; it is 0 (not labelled), 1 (not visible) or 2 "
            f"(visible). Scores belong into a file of results."
        )
    return np.choose(code.astype(np.int64), (ABSENT, OCCLUDED, VISIBLE)).astype(np.int8)


def flat_keypoints(frame: LabelledFrame, row: int, third: NDArray[Any]) -> list[float]:
    """Flat x, y, third of a person; zeros where a joint is absent."""
    known = frame.known[row]
    xy = np.where(known[:, None], frame.xy[row], 0.0).tolist()
    last = np.where(known, third, 0).tolist()
    return [v for (x, y), t in zip(xy, last, strict=True) for v in (x, y, t)]
