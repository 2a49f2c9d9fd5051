"""Published pose HRNets (leoxiaobin/deep-high-resolution-net.pytorch, MIT) -> models/hrnet.py."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

MODEL = "hrnet"

_MARK = "stage2.0.branches.0.0.conv1.weight"
_WARPER = ("offset_feats.", "offsets1.", "deform_conv1.")
"""PoseWarper has the names of an HRNet and these."""
_PRESETS = {32: "w32", 48: "w48"}


def recognises(state: Mapping[str, Tensor]) -> bool:
    """Whether these are the keys of a published pose HRNet of width 32 or 48 and nothing else."""
    return (
        "final_layer.weight" in state
        and not any(key.startswith(_WARPER) for key in state)
        and "stage4.0.fuse_layers.0.1.0.weight" in state
        and _MARK in state
        and state[_MARK].shape[0] in _PRESETS
    )


def preset_of(state: Mapping[str, Tensor]) -> str:
    """The preset of the same width: ``w32`` or ``w48``."""
    return _PRESETS[state[_MARK].shape[0]]


def joints_of(state: Mapping[str, Tensor]) -> int:
    """Number of heatmaps."""
    return state["final_layer.weight"].shape[0]
