"""Kept features in place of computed ones: the same model, fed from a feature bank.

A multi-frame model asks its ``backbone`` for stages, or for one vector of the whole picture, and,
where it needs optical flow, its ``flow`` for flow. Here both are replaced by modules that take them
out of the frames they are given, which are then blocks of a
:class:`~chronopose.engine.feature_bank.FeatureBank`. Nothing else changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from chronopose.core.crop import CropWindow
from chronopose.core.poses import Poses
from chronopose.engine.feature_bank import FLOW_CHANNELS, FeatureBank
from chronopose.engine.module import to_float
from chronopose.models._base import PoseModel
from chronopose.nn.backbones import ALL_STAGES, Backbone
from chronopose.nn.flow import CropFlows


class KeptBackbone(Backbone):
    """Takes stages out of blocks ``(N, C + 2, h, w)``.

    Args:
        channels: Of the four stages.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        first, second, third, fourth = channels
        self.channels = (first, second, third, fourth)

    def forward_stages(
        self, frames: Tensor, stages: Sequence[int] = ALL_STAGES
    ) -> tuple[Tensor, ...]:
        """The stages asked for, each ``(N, C_j, h, w)``."""
        parts = frames.split([*self.channels, FLOW_CHANNELS], dim=1)
        return tuple(parts[j - 1].contiguous(memory_format=torch.channels_last) for j in stages)


class KeptFlows(nn.Module):
    """Takes the flow out of blocks ``(B, T, C + 2, h, w)``."""

    def forward(self, images: Tensor, key: int) -> Tensor:
        """``(B, T - 1, 2, h, w)`` from the key frame to the others, in cells."""
        others = [t for t in range(images.shape[1]) if t != key]
        return images[:, others, -FLOW_CHANNELS:]


class VectorStages(nn.Module):
    """A network that pools the whole picture, for a bank: its vector is a map of one cell.

    Args:
        backbone: ``(N, 3, H, W) -> (N, C)``, with C in ``channels``.
    """

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.channels = (int(backbone.channels),)  # type: ignore[arg-type]

    def forward_stages(
        self, frames: Tensor, stages: Sequence[int] = ALL_STAGES
    ) -> tuple[Tensor, ...]:
        """The one stage, ``(N, C, 1, 1)``."""
        return (self.backbone(frames)[..., None, None],)


class KeptVectors(nn.Module):
    """Takes the vector out of blocks ``(N, C + 2, 1, 1)``.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, frames: Tensor) -> Tensor:
        """``(N, C)``."""
        return frames[:, : self.channels].flatten(1)


def stages_of(model: PoseModel) -> Backbone | VectorStages:
    """What of a frozen network a bank keeps."""
    backbone = model.backbone
    assert isinstance(backbone, nn.Module)
    return backbone if isinstance(backbone, Backbone) else VectorStages(backbone)


def use_kept(model: PoseModel) -> PoseModel:
    """Let a model read blocks of a bank; it is changed and returned.

    Its state dict loses the backbone, which the bank has replaced.
    """
    stages = stages_of(model)
    if isinstance(stages, Backbone):
        model.backbone = KeptBackbone(stages.channels)
    else:
        model.backbone = KeptVectors(*stages.channels)
    if isinstance(getattr(model, "flow", None), CropFlows):
        model.flow = KeptFlows()
    return model


def hold_still(frames: Tensor, key: int) -> Tensor:
    """The key frame in the place of all frames, its flow zero: what a model can do without time."""
    still = frames[:, key : key + 1].expand(-1, frames.shape[1], -1, -1, -1)
    return torch.cat(
        [still[:, :, :-FLOW_CHANNELS], torch.zeros_like(still[:, :, -FLOW_CHANNELS:])], 2
    )


def predict_kept(
    model: PoseModel, bank: FeatureBank, *, batch_size: int = 32, still: bool = False
) -> Iterator[tuple[Poses, Poses]]:
    """Predicted and labelled joints of the key frames of a bank, image pixels, a batch at a time.

    Args:
        model: After :func:`use_kept`; it is put in eval mode.
        bank: Of an evaluation set, without augmentation.
        batch_size: Clips a batch.
        still: Show the key frame in the place of all frames.
    """
    model.eval()
    codec, needs = model.codec, model.needs
    for start in range(0, len(bank), batch_size):
        rows = slice(start, min(start + batch_size, len(bank)))
        with torch.inference_mode():
            frames = bank.frames(rows, needs.offsets)
            output = model(hold_still(frames, needs.key) if still else frames)
            crops = codec.decode(to_float(output))
        windows = [CropWindow(m.astype(np.float64), codec.crop_size) for m in bank.matrix[rows]]
        found = [crops.select(i).to_image(w) for i, w in enumerate(windows)]
        truth = np.stack([w.invert(j) for w, j in zip(windows, bank.joints[rows], strict=True)])
        predicted = Poses(
            np.stack([p.xy for p in found]), np.stack([p.score for p in found]), codec.skeleton
        )
        visible = bank.visible[rows]
        yield (
            predicted,
            Poses(
                truth.astype(np.float32),
                visible.astype(np.float32),
                codec.skeleton,
                visible=visible,
            ),
        )
