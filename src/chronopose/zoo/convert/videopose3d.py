"""Published VideoPose3D (facebookresearch/VideoPose3D) -> models/temporal_cnn.py.

The published code and weights are CC BY-NC; this reads a file that the user has, and ships none.
The keys do not tell whether the network is causal (``causal=True`` says it), nor which joints it
reads: published networks that read the joints of COCO have the shapes of those that read the
joints of Human3.6M, and are not supported.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

MODEL = "temporal_cnn"

_SKELETONS = {17: "h36m17", 15: "humaneva15"}
_PRESETS = {2: "t9", 3: "t27", 4: "t81", 5: "t243"}


def recognises(state: Mapping[str, Tensor]) -> bool:
    """Whether these are the keys of a temporal network that answers for the joints it reads."""
    if not {"expand_conv.weight", "expand_bn.weight", "shrink.weight", "shrink.bias"} <= set(state):
        return False
    shapes = state["expand_conv.weight"].shape, state["shrink.weight"].shape
    if [len(s) for s in shapes] != [3, 3] or shapes[1][0] % 3:
        return False
    return shapes[0][1] in (2 * joints_of(state), 3 * joints_of(state))


def preset_of(state: Mapping[str, Tensor]) -> str:
    """The preset with as many layers; what else differs is in :func:`settings_of`."""
    return _PRESETS.get(len(_widths(state)), "t27")


def joints_of(state: Mapping[str, Tensor]) -> int:
    """Number of joints."""
    return state["shrink.weight"].shape[0] // 3


def settings_of(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Fields of the Config that the shapes tell."""
    joints = joints_of(state)
    first = state["expand_conv.weight"]
    found = {
        "widths": _widths(state),
        "channels": first.shape[0],
        "score": first.shape[1] == 3 * joints,
    }
    return {**found, "skeleton": _SKELETONS[joints]} if joints in _SKELETONS else found


def _widths(state: Mapping[str, Tensor]) -> tuple[int, ...]:
    """Frames under the first convolution and under each wide one."""
    widths = [state["expand_conv.weight"].shape[2]]
    while (key := f"layers_conv.{2 * (len(widths) - 1)}.weight") in state:
        widths.append(state[key].shape[2])
    return tuple(widths)
