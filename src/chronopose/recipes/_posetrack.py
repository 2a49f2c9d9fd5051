"""What the recipes on COCO, PoseTrack and HiEve share: schedules, and one factory a stage.

Stages     COCO gives a single-frame network, labelled frames of the video set tune it, and it stays
           frozen while the temporal part is trained on top.
Optimiser  Adam without decay, warm-up, clipping or averaged weights, in 32 bits.
Epochs     Steps are counted from a round number of people, for no recipe opens its data to be
           built. ``--set phases.0.steps=N`` changes them.
Boxes      Of the labels, while training and in validation. Published numbers are average
           precisions on detected people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from chronopose.data.transforms import Augmentation, Flip, Rotate, Scale, family
from chronopose.engine.settings import Phase, TrainSettings
from chronopose.recipes._recipe import LabelledSpec, Recipe

PEOPLE = 80_000
"""Labelled people of PoseTrack that stand for one epoch, rounded; also taken for HiEve."""
COCO_PEOPLE = 150_000
"""Labelled people of COCO that stand for one epoch, rounded."""
CROP = (288, 384)
"""Width and height of the crops of all that stand on HRNet-W48."""
SLOTS = "posetrack17slot"
HIEVE = "hieve14"
TWIN = "hrnet:w48"

COCO_TERMS = (
    "Trained on COCO keypoints, whose labels are CC BY 4.0 and whose pictures are under the terms "
    "of Flickr; check them before any other use of these weights."
)
POSETRACK_TERMS = (
    "Trained on PoseTrack, which is for research only; check its terms before any other use of "
    "these weights."
)
HIEVE_TERMS = (
    "Trained on HiEve, which is for research only; check its terms before any other use of these "
    "weights."
)


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A learning rate that falls to a tenth at some epochs.

    Args:
        rate: At the start.
        drops: Rising epochs, from 0, from each of which on the rate is a tenth of what it was.
        epochs: Length.
        batch: Clips in one pass; on several GPUs, those of each.
        passes: Passes to a step. One GPU with as many passes as the paper has GPUs sees the same
            batches.
    """

    rate: float
    drops: tuple[int, ...]
    epochs: int
    batch: int
    passes: int = 1

    def settings(self, crop_size: tuple[int, int], people: int = PEOPLE) -> TrainSettings:
        """The schedule in steps.

        Args:
            crop_size: Width and height, pixels.
            people: Samples of an epoch.
        """
        epoch = round(people / (self.batch * self.passes))
        edges = (0, *self.drops, self.epochs)
        phases = []
        for number, (first, end) in enumerate(pairwise(edges)):
            rate = self.rate / 10**number
            phases.append(
                Phase(
                    steps=(end - first) * epoch, crop_size=crop_size, batch_size=self.batch,
                    lr=(rate, rate),
                )
            )  # fmt: skip
        return TrainSettings(
            phases=tuple(phases),
            optimiser="adam",
            weight_decay=0.0,
            warmup_steps=0,
            clip_norm=0.0,
            ema_decay=0.0,
            precision="fp32",
            accumulate=self.passes,
            val_every=epoch,
            val_batch_size=32,
        )


FINE_TUNE = Schedule(rate=1e-4, drops=(), epochs=3, batch=8, passes=8)
"""From COCO to PoseTrack, as PoseWarper tunes HRNet on the full training set: three epochs, before
the first of its drops. The batch is that of its second stage, for that of the first is not told."""
TDMI = Schedule(rate=1e-3, drops=(6, 12, 18), epochs=20, batch=48)
"""Batch and lack of decay as in FAMI-Pose, whose authors are the same; the paper tells the rest."""


def simple_augmentation() -> Augmentation:
    """SimpleBaseline's: scale 0.7..1.3, turns of spread 40 degrees and at most twice that, flip."""
    return Augmentation(
        (Scale(spread=0.3, low=0.7, high=1.3), Rotate(spread_deg=40.0, limit_deg=80.0), Flip())
    )


def on_coco(
    name: str,
    model: str,
    schedule: Schedule,
    *,
    crop_size: tuple[int, int],
    augmentation: Augmentation,
    skeleton: str = "coco17",
) -> Recipe:
    """A single-frame network on COCO, from random or ImageNet weights."""
    return Recipe(
        name=name,
        model=model,
        train=LabelledSpec(dataset="coco", split="train", frames=1, skeleton=skeleton),
        val=LabelledSpec(dataset="coco", split="val", frames=1, skeleton=skeleton),
        augmentation=augmentation,
        overrides={"skeleton": skeleton},
        settings=schedule.settings(crop_size, COCO_PEOPLE),
        needs_data=True,
        trained_on="COCO train2017",
        terms=COCO_TERMS,
    )


def on_frames(
    name: str,
    dataset: str,
    model: str = TWIN,
    *,
    crop_size: tuple[int, int] = CROP,
    augmentation: Augmentation | None = None,
) -> Recipe:
    """Fine-tuning of a single-frame network on labelled frames; it has to be given weights."""
    return Recipe(
        name=name,
        model=model,
        single_frame=model,
        train=_part(dataset, "train", "still"),
        val=None if dataset == "hieve" else _part(dataset, "val", "still"),
        augmentation=augmentation or family(),
        overrides={"skeleton": _skeleton(dataset)},
        settings=FINE_TUNE.settings(crop_size),
        needs_data=True,
        trained_on=f"COCO, then {dataset} train",
        terms=HIEVE_TERMS if dataset == "hieve" else POSETRACK_TERMS,
    )


def on_clips(
    name: str,
    dataset: str,
    model: str,
    schedule: Schedule,
    *,
    neighbours: str,
    overrides: Mapping[str, Any] | None = None,
) -> Recipe:
    """The temporal part on top of a frozen HRNet-W48, whose weights have to be given."""
    skeleton = _skeleton(dataset)
    own = {"skeleton": skeleton} if skeleton != SLOTS else {}
    return Recipe(
        name=name,
        model=model,
        single_frame=TWIN,
        train=_part(dataset, "train", neighbours),
        val=None if dataset == "hieve" else _part(dataset, "val", neighbours),
        augmentation=family(),
        overrides={**own, **(overrides or {})},
        settings=schedule.settings(CROP),
        needs_data=True,
        trained_on=f"{dataset} train; its frozen backbone was trained on COCO, then on {dataset}",
        terms=HIEVE_TERMS if dataset == "hieve" else POSETRACK_TERMS,
    )


def _skeleton(dataset: str) -> str:
    return HIEVE if dataset == "hieve" else SLOTS


def _part(dataset: str, split: str, neighbours: str) -> LabelledSpec:
    return LabelledSpec(
        dataset=dataset, split=split, neighbours=neighbours, skeleton=_skeleton(dataset)
    )
