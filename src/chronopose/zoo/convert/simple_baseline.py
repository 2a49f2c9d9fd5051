"""Published SimpleBaselines (microsoft/human-pose-estimation.pytorch, MIT) -> ours."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

MODEL = "simple_baseline"

_PRESETS = {6: "r50", 23: "r101", 36: "r152"}


def recognises(state: Mapping[str, Tensor]) -> bool:
    """Whether these are the keys of a published SimpleBaseline on ResNet-50, -101 or -152."""
    return (
        "final_layer.weight" in state
        and "deconv_layers.0.weight" in state
        and "layer1.0.conv3.weight" in state
        and _blocks(state) in _PRESETS
    )


def preset_of(state: Mapping[str, Tensor]) -> str:
    """The preset of the same depth: ``r50``, ``r101`` or ``r152``."""
    return _PRESETS[_blocks(state)]


def joints_of(state: Mapping[str, Tensor]) -> int:
    """Number of heatmaps."""
    return state["final_layer.weight"].shape[0]


def _blocks(state: Mapping[str, Tensor]) -> int:
    """Blocks of the third stage, which tell the depths apart."""
    return sum(k.startswith("layer3.") and k.endswith(".conv3.weight") for k in state)
