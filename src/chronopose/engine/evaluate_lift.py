"""Lift clips with a network and measure how far the joints are from where they were."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chronopose.codecs.root_relative import MM
from chronopose.data.lift import LiftClip
from chronopose.metrics.mpjpe import MPJPE, MPJPEResult
from chronopose.models._lift import LiftModel


def lift_clip(model: LiftModel, clip: LiftClip, *, flip_test: bool = True) -> NDArray[np.float32]:
    """Joints in space for every frame of a clip.

    Windows that reach over an end of the clip repeat its first or last frame.

    Args:
        model: The network; it is asked in eval mode and left in the mode it had.
        clip: Its ``xy`` and ``score`` are read.
        flip_test: Also lift the mirrored clip, and take the mean.

    Returns:
        ``(F, K, 3)`` metres from the root, axes of the camera.
    """
    codec, needs = model.codec, model.needs
    poses = codec.to_screen(clip.xy, clip.size)
    if needs.channels == 3:
        poses = np.concatenate([poses, clip.confidence[..., None]], -1)
    ends = ((needs.before, needs.lookahead), (0, 0), (0, 0))
    padded = np.pad(poses, ends, mode="edge")
    asked = [padded, codec.mirror_screen(padded)] if flip_test else [padded]
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    with torch.inference_mode():
        found = [model.dense(_batch(a, device)).xyz[0].float().cpu().numpy() for a in asked]
    model.train(training)
    answers = [codec.relative(f) for f in found]
    if flip_test:
        answers[1] = codec.mirror_screen(answers[1]).astype(np.float32)
    mean: NDArray[np.float32] = np.mean(answers, 0, dtype=np.float32)
    return mean


def _batch(poses: NDArray[np.floating], device: torch.device) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(poses, np.float32))[None].to(device)


def evaluate_lift(
    model: LiftModel, clips: Sequence[LiftClip], *, flip_test: bool = True
) -> MPJPEResult:
    """MPJPE, P-MPJPE, N-MPJPE and MPJVE of clips, a row for each action.

    Args:
        model: The network.
        clips: With the joints of the network.
        flip_test: As for :func:`lift_clip`.

    Raises:
        SkeletonMismatch: the clips have no such root.
        ShapeError: a clip has other joints.
    """
    metric = MPJPE(model.codec.skeleton, model.codec.root)
    for clip in clips:
        found = lift_clip(model, clip, flip_test=flip_test)
        metric.update(MM * found, MM * model.codec.relative(clip.xyz), clip.action)
    return metric.compute()
