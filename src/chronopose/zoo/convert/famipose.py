"""FAMI-Pose, alignment V15, on HRNet-W48 (Pose-Group/FAMI-Pose) -> models/famipose.py.

No weights were published: this reads what a user has trained with the published code.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

MODEL = "famipose"


def recognises(state: Mapping[str, Tensor]) -> bool:
    """Whether these are the keys of FAMI-Pose with five frames, on an HRNet-W48."""
    first = "sup_agg_block.layers.0.conv1.weight"
    return (
        "agg_final_layer.weight" in state
        and "hrnet.final_layer.weight" in state
        and "feat_global_offset_layers.9.weight" in state
        and "dcn_4.weight" in state
        and first in state
        and state[first].shape[:2] == (48, 4 * 48)
    )


def preset_of(state: Mapping[str, Tensor]) -> str:
    """The paper's preset: there is one."""
    return "hrnet_w48"


def joints_of(state: Mapping[str, Tensor]) -> int:
    """Number of heatmaps."""
    return state["agg_final_layer.weight"].shape[0]
