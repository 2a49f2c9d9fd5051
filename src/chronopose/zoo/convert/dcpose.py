"""Published DCPose with RSN blocks on HRNet-W48 (Pose-Group/DCPose) -> models/dcpose.py.

The weights carry no licence; this reads a file that the user has, and ships none.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

MODEL = "dcpose"

_TWIN = "rough_pose_estimation_net."


def recognises(state: Mapping[str, Tensor]) -> bool:
    """Whether these are the keys of DCPose with residual-steps blocks, on an HRNet-W48."""
    branch = _TWIN + "stage2.0.branches.0.0.conv1.weight"
    return (
        _TWIN + "final_layer.weight" in state
        and "diff_temporal_fuse.layers.0.conv_bn_relu2_4_4.conv.weight" in state
        and "modulated_deform_conv_list.4.deform_conv.weight" in state
        and branch in state
        and state[branch].shape[0] == 48
    )


def preset_of(state: Mapping[str, Tensor]) -> str:
    """The paper's preset: there is one."""
    return "hrnet_w48"


def joints_of(state: Mapping[str, Tensor]) -> int:
    """Number of heatmaps."""
    return state[_TWIN + "final_layer.weight"].shape[0]
