"""Published PoseWarper on HRNet-W48 (facebookresearch/PoseWarper, Apache-2.0) -> ours."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

MODEL = "posewarper"


def recognises(state: Mapping[str, Tensor]) -> bool:
    """Whether these are the keys of PoseWarper with 20 blocks and five dilations, on a W48."""
    branch = "stage2.0.branches.0.0.conv1.weight"
    return (
        "offset_feats.19.conv2.weight" in state
        and "offsets5.weight" in state
        and "deform_conv5.weight" in state
        and "final_layer.weight" in state
        and branch in state
        and state[branch].shape[0] == 48
    )


def preset_of(state: Mapping[str, Tensor]) -> str:
    """The paper's preset: there is one."""
    return "hrnet_w48"


def joints_of(state: Mapping[str, Tensor]) -> int:
    """Number of heatmaps."""
    return state["final_layer.weight"].shape[0]
