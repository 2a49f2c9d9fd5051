"""Labelled people made up for the tests of label files, and how two of them are compared."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chronopose.core.labels import LabelledFrame, LabelledSequence, Visibility
from chronopose.core.skeleton import Skeleton

PER_PERSON = ("xy", "visibility", "score", "person_score", "ids", "boxes", "head_boxes", "area")
EVERYTHING = (*PER_PERSON, "crowd")


def frame(
    skeleton: Skeleton, index: int, ids: Sequence[int] = (2, 5), **fields: Any
) -> LabelledFrame:
    """People with odd digits in every number; one joint of each is absent, one is occluded."""
    random = np.random.default_rng([index, len(ids)])
    count, joints = len(ids), len(skeleton)
    xy = random.uniform(20, 300, (count, joints, 2))
    visibility = np.full((count, joints), Visibility.VISIBLE)
    visibility[:, 1], visibility[:, 2] = Visibility.ABSENT, Visibility.OCCLUDED
    visibility = fields.pop("visibility", visibility)
    xy[np.asarray(visibility) == 0] = np.nan
    corner = random.uniform(-5, 100, (count, 2))
    boxes = np.concatenate([corner, corner + random.uniform(30, 90, (count, 2))], -1)
    given = {"ids": np.array(ids, np.int64), "boxes": boxes, "visibility": visibility}
    name = fields.pop("name", f"images/val/000017_mpii_test/{index:06d}.jpg")
    return LabelledFrame(name, index, skeleton, xy, **(given | fields))


def scored(found: LabelledFrame) -> dict[str, Any]:
    """Fields that make predictions of a frame."""
    random = np.random.default_rng(found.frame_index)
    score = np.where(found.known, random.uniform(0, 1, found.visibility.shape), np.nan)
    return {"score": score, "person_score": random.uniform(0, 1, len(found))}


def assert_same(
    found: LabelledSequence,
    wanted: LabelledSequence,
    columns: Sequence[str] = EVERYTHING,
    atol: float = 1e-9,
) -> None:
    """Names, numbers of frames and the given columns agree."""
    assert found.name == wanted.name
    assert found.skeleton.joints == wanted.skeleton.joints
    assert [f.frame_index for f in found] == [f.frame_index for f in wanted]
    assert [f.name for f in found] == [f.name for f in wanted]
    assert [f.labelled for f in found] == [f.labelled for f in wanted]
    for ours, theirs in zip(found, wanted, strict=True):
        for column in columns:
            np.testing.assert_allclose(
                getattr(ours, column), getattr(theirs, column), rtol=0, atol=atol, err_msg=column
            )
        assert len(ours.ignore) == len(theirs.ignore)
        for a, b in zip(ours.ignore, theirs.ignore, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=atol)


def write_json(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path
