"""Published DSTA on ResNet-50 (zgspose/DSTA, Apache-2.0) -> models/dsta.py.

Its coordinates are pixels over the crop's size: the corner law.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

MODEL = "dsta"
SETTINGS = {"align": "corner", "skeleton": "posetrack17slot"}

_PRESETS = {3: "r50", 5: "r50_t5"}
_TIME = "Temporal_pos_embed"


def recognises(state: Mapping[str, Tensor]) -> bool:
    """Whether these are the keys of DSTA on ResNet-50, for 3 or 5 frames."""
    return (
        _TIME in state
        and state[_TIME].shape[1] in _PRESETS
        and "Spatial_pos_embed" in state
        and "fc_coord.linear.weight" in state
        and sum(k.startswith("preact.layer3.") and k.endswith(".conv3.weight") for k in state) == 6
    )


def preset_of(state: Mapping[str, Tensor]) -> str:
    """The preset for as many frames: ``r50`` or ``r50_t5``."""
    return _PRESETS[state[_TIME].shape[1]]


def joints_of(state: Mapping[str, Tensor]) -> int:
    """The 17 slots of PoseTrack, whatever the number of tokens."""
    return 17
