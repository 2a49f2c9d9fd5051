"""Published PAVE-Net on ResNet-50 (zgspose/PAVENet) -> models/pavenet.py.

The release states Apache-2.0 but has no licence file. Its coordinates are pixels over the frame's
size: the corner law. Swin-L and HRNet-W48 have keys of their own, which are not known here.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

MODEL = "pavenet"
SETTINGS = {"align": "corner", "skeleton": "posetrack15"}

_JOINTS = "bbox_head.transformer.refine_query_embedding.weight"
_FRAMES = "bbox_head.transformer.decoder.layers.0.attentions.1.{}sampling_offsets.weight"


def recognises(state: Mapping[str, Tensor]) -> bool:
    """Whether these are the keys of PAVE-Net for three frames on ResNet-50."""
    return (
        _JOINTS in state
        and all(_FRAMES.format(frame) in state for frame in ("pre_", "", "next_"))
        and "bbox_head.cls_branches.3.weight" in state
        and sum(k.startswith("backbone.layer3.") and k.endswith("conv3.weight") for k in state) == 6
    )


def preset_of(state: Mapping[str, Tensor]) -> str:
    """``r50``, the only one that is recognised."""
    return "r50"


def joints_of(state: Mapping[str, Tensor]) -> int:
    """Number of joint queries."""
    return state[_JOINTS].shape[0]
