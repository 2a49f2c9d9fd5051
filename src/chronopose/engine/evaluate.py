"""evaluate: how well a model finds the joints of labelled people.

People come with their boxes (the extent of the labelled joints, grown by 1.25), so the number says
how good the pose network is, not how good a detector is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from chronopose.codecs.codec import Codec
from chronopose.core.poses import Poses
from chronopose.data.clips import ClipSource
from chronopose.data.loader import ClipShape, eval_batches
from chronopose.errors import SkeletonMismatch
from chronopose.metrics.pck import LIMB_JOINTS, PCK, PCKResult
from chronopose.models._base import PoseModel
from chronopose.tensors import Output


@dataclass(frozen=True)
class Evaluation:
    """Result of :func:`evaluate`."""

    limbs: PCKResult
    """PCK of the 12 joints of arms and legs."""
    every: PCKResult
    """PCK of all joints of the skeleton."""
    people: int
    """Samples looked at, scored or not."""
    flip_test: bool
    """Whether the mirrored crop was looked at as well."""

    @property
    def pck(self) -> float:
        """The number to compare: percent of all labelled limb joints that were hit."""
        return self.limbs.pooled

    @property
    def per_joint(self) -> dict[str, float]:
        """Joint name -> percent, all joints of the skeleton."""
        return dict(self.every.per_joint)

    def __str__(self) -> str:
        flip = "with" if self.flip_test else "without"
        return f"{self.limbs}\n  {self.people} people looked at, {flip} flip test"


def predict_clips(model: PoseModel, frames: Tensor, codec: Codec, flip_test: bool) -> Output:
    """Output for clips ``(B, T, 3, H, W)``, averaged with that for the mirrored clips.

    Args:
        model: In eval mode, on the device of ``frames``.
        frames: Normalised crops.
        codec: Decides how outputs are mirrored and averaged.
        flip_test: Look at the mirrored crops too.
    """
    output: Output = model(frames)
    if not flip_test:
        return output
    averaged: Output = codec.average_flip(output, model(frames.flip(-1)))
    return averaged


def predict_samples(
    model: PoseModel,
    data: ClipSource,
    *,
    flip_test: bool = False,
    batch_size: int = 50,
    codec: Codec | None = None,
    limit_batches: int | None = None,
    precision: str = "fp32",
) -> Iterator[tuple[Poses, Poses]]:
    """Predicted and labelled joints of the key frames, a batch at a time, image pixels.

    Arguments as for :func:`evaluate`.
    """
    codec = model.codec if codec is None else codec
    device = next(model.parameters()).device
    shape = ClipShape(count=len(model.needs.offsets), key=model.needs.key)
    cast: AbstractContextManager[object] = nullcontext()
    if precision == "bf16":
        cast = torch.autocast(device.type, dtype=torch.bfloat16)
    model.eval()
    for batch, samples, views in eval_batches(
        data, shape=shape, crop_size=codec.crop_size, batch_size=batch_size, limit=limit_batches
    ):
        with torch.inference_mode(), cast:
            output = predict_clips(model, batch.frames.to(device), codec, flip_test)
        crops = codec.decode(output)
        found = [crops.select(i).to_image(v.window) for i, v in enumerate(views)]
        rows = [0 if len(s.images) == 1 else s.key for s in samples]
        xy = np.stack([s.joints[r] for s, r in zip(samples, rows, strict=True)])
        visible = np.stack([s.visible[r] for s, r in zip(samples, rows, strict=True)])
        predicted = Poses(
            np.stack([p.xy for p in found]), np.stack([p.score for p in found]), codec.skeleton
        )
        yield predicted, Poses(xy, visible.astype(np.float32), codec.skeleton, visible=visible)


def evaluate(
    model: PoseModel,
    data: ClipSource,
    *,
    flip_test: bool = False,
    batch_size: int = 50,
    codec: Codec | None = None,
    limit_batches: int | None = None,
    precision: str = "fp32",
    threshold: float = 0.2,
) -> Evaluation:
    """PCK of a model on labelled people: share of limb joints within 0.2 of the torso's length.

    Args:
        model: Any model; it is put in eval mode and stays there.
        data: Labelled people of the model's skeleton; the whole set is counted.
        flip_test: Average the maps with those of the mirrored crop.
        batch_size: Clips a batch; the result does not depend on it.
        codec: Another codec than the model's own, e.g. with a smaller crop.
        limit_batches: Stop early.
        precision: ``fp32``, or ``bf16`` for autocast.
        threshold: Share of the torso's length within which a joint counts as found.

    Raises:
        SkeletonMismatch: model and data name their joints differently, or have no limbs.
    """
    skeleton = model.codec.skeleton
    if data.skeleton.joints != skeleton.joints:
        raise SkeletonMismatch(
            f"The model finds {skeleton.name!r} joints, the data are labelled with "
            f"{data.skeleton.name!r}. Build the data with the model's skeleton."
        )
    limbs, every = PCK(skeleton, threshold, joints=LIMB_JOINTS), PCK(skeleton, threshold)
    people = 0
    pairs = predict_samples(
        model, data, flip_test=flip_test, batch_size=batch_size, codec=codec,
        limit_batches=limit_batches, precision=precision,
    )  # fmt: skip
    for predicted, truth in pairs:
        assert truth.visible is not None
        people += len(truth)
        for metric in (limbs, every):
            metric.update(predicted.xy, truth.xy, truth.visible)
    return Evaluation(limbs.compute(), every.compute(), people, flip_test)
