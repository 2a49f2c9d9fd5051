"""Who scores the rows of the arena: on clips of SynthTrack, or on photographs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from chronopose.data.clips import ClipSource
from chronopose.data.datasets._base import LabelledSet
from chronopose.data.datasets.lspet import LSPET, CameraMotion
from chronopose.data.datasets.synthtrack import SynthTrack
from chronopose.data.loader import ClipShape, eval_batches
from chronopose.engine.feature_bank import FeatureBank
from chronopose.engine.kept import predict_kept
from chronopose.engine.predict_set import predict_set
from chronopose.engine.score import score
from chronopose.engine.strata import score_strata
from chronopose.metrics.pck import LIMB_JOINTS, PCK
from chronopose.models._base import PoseModel
from chronopose.tensors import ClipBatch

FRAMES = 5
CLIP = ClipShape(count=FRAMES, key=FRAMES // 2)
BATCH = 16
ALL = "all"
"""The name of all strata together."""
PHOTOGRAPHS = "photographs"
"""The split whose root is LSPET."""
TOTAL = "Total"
Scores = dict[str, dict[str, float]]
"""Stratum -> group of joints -> AP or PCK, percent."""


def unit_of(split: str) -> str:
    """What a split is judged by."""
    return "PCK@0.2" if split == PHOTOGRAPHS else "AP (PoseTrack)"


class MakesBank(Protocol):
    """Computes once what a frozen network makes of clips."""

    def __call__(
        self, name: str, batches: Iterator[ClipBatch], count: int, facts: Mapping[str, Any]
    ) -> FeatureBank:
        """The bank called ``name``, made now or before."""


class Judge(Protocol):
    """Scores a model that reads kept features."""

    def __call__(self, model: PoseModel, still: bool) -> Scores:
        """``still`` shows it the key frame in the place of all frames."""


def open_judged(root: Path, split: str, every: int) -> LabelledSet | LSPET:
    """What rows are judged on.

    Args:
        root: Of SynthTrack, or of LSPET for the split :data:`PHOTOGRAPHS`.
        split: Of SynthTrack, or :data:`PHOTOGRAPHS`.
        every: Every so manyth frame of the clips.

    Raises:
        UsageError: SynthTrack has no such split.
        FormatError: the set is missing or damaged.
    """
    if split == PHOTOGRAPHS:
        return LSPET(root, "val", frames=FRAMES, motion=CameraMotion(), cache=None)
    return SynthTrack(root=root, split=split, every=every)


class ClipJudge:
    """PoseTrack AP by stratum, on one kind of boxes.

    Args:
        data: SynthTrack.
        twin: The frozen network.
        name: ``labels`` or ``detected``.
        boxes: File of detected boxes; None takes those of the labels.
        crop_size: Width and height of the crops, pixels.
        make: Makes the bank of the people to be judged.
    """

    def __init__(
        self, data: LabelledSet, twin: PoseModel, name: str, boxes: Path | None,
        crop_size: tuple[int, int], make: MakesBank,
    ) -> None:  # fmt: skip
        self._data, self._boxes = data, boxes
        clips = data.clips(frames=FRAMES, skeleton=twin.codec.skeleton, boxes=boxes)
        facts = {"kind": "judge", "boxes": str(boxes and boxes.name)}
        self._bank = make(name, _clips(clips, crop_size), len(clips), facts)

    def __call__(self, model: PoseModel, still: bool) -> Scores:
        """See :class:`Judge`."""
        predict = partial(_from_bank, bank=self._bank, still=still)
        found = predict_set(model, self._data, boxes=self._boxes, predict=predict)
        truth, metric = self._data.sequences(), self._data.METRIC
        options = dict(self._data.METRIC_OPTIONS)
        scores = {ALL: score(found, truth, metric, **options)}
        scores |= score_strata(found, truth, self._data.stratum, metric, **options)
        return {name: dict(s.values["groups"]) for name, s in scores.items()}


class PhotographJudge:
    """PCK@0.2 of arms and legs on photographs before a camera that is made to move.

    Args:
        data: LSPET with pseudo-clips.
        crop_size: Width and height of the crops, pixels.
        make: Makes the bank of the people to be judged.
    """

    def __init__(self, data: LSPET, crop_size: tuple[int, int], make: MakesBank) -> None:
        facts = {"kind": "judge", "boxes": PHOTOGRAPHS}
        self._bank = make("labels", _clips(data, crop_size), len(data), facts)

    def __call__(self, model: PoseModel, still: bool) -> Scores:
        """See :class:`Judge`; there is one stratum."""
        skeleton = model.codec.skeleton
        limbs, every = PCK(skeleton, joints=LIMB_JOINTS), PCK(skeleton)
        for predicted, truth in predict_kept(model, self._bank, still=still):
            assert truth.visible is not None
            for metric in (limbs, every):
                metric.update(predicted.xy, truth.xy, truth.visible)
        groups = every.compute().groups(("neck", "head_top"))
        return {ALL: {**groups, TOTAL: limbs.compute().pooled}}


def _clips(source: ClipSource, crop_size: tuple[int, int]) -> Iterator[ClipBatch]:
    for batch, _, _ in eval_batches(source, shape=CLIP, crop_size=crop_size, batch_size=BATCH):
        yield batch


def _from_bank(
    model: PoseModel, data: Any, *, bank: FeatureBank, still: bool, flip_test: bool, batch_size: int
) -> Any:
    """What :func:`~chronopose.engine.predict_set.predict_set` asks, answered from the bank."""
    assert len(data) == len(bank) and not flip_test
    return predict_kept(model, bank, batch_size=batch_size, still=still)
