"""The typed outputs of models. Each is a NamedTuple with a shape behind every field."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor


class HeatmapOutput(NamedTuple):
    """Heatmaps of the key frame.

    Axes: B clip, K joint, h w cells.
    """

    heatmaps: Tensor
    """float B K h w; what one unit means is the codec's ``activation``."""
    side: tuple[Tensor, ...] = ()
    """Coarser maps for deep supervision while training, finest first; empty otherwise."""


class TDMIOutput(NamedTuple):
    """TDMI's heatmaps with the features that its mutual-information terms compare.

    Axes: B clip, K joint, C channel, h w cells. The feature fields are None when not training.
    """

    heatmaps: Tensor
    """float B K h w, of the fused feature."""
    motion: Tensor | None = None
    """float B C h w, M of Eq. 5."""
    useful: Tensor | None = None
    """float B C h w, M_u of Eq. 6."""
    noise: Tensor | None = None
    """float B C h w, M_n of Eq. 6."""
    fused: Tensor | None = None
    """float B C h w, the feature under the head."""
    visual: Tensor | None = None
    """float B C h w, F_t^4 (TDMI) or the spatiotemporal feature (TDMI-ST)."""
    visual_heatmaps: Tensor | None = None
    """float B K h w, the frozen single-frame layer on ``visual``."""
    useful_heatmaps: Tensor | None = None
    """float B K h w, the auxiliary layer on detached ``useful``."""


class FAMIOutput(NamedTuple):
    """FAMI-Pose's heatmaps with the features that its mutual-information terms compare.

    Axes: B clip, S neighbour (T - 1), K joint, C channel, h w cells. All fields but the first are
    None when not training.
    """

    heatmaps: Tensor
    """float B K h w, of the fused feature."""
    fused: Tensor | None = None
    """float B C h w, key frame and aligned neighbours joined; the feature under the head."""
    key: Tensor | None = None
    """float B C h w, feature of the key frame alone."""
    neighbours: Tensor | None = None
    """float B S C h w, features of the other frames, not aligned."""
    fused_heatmaps: Tensor | None = None
    """float B K h w, the frozen single-frame layer on ``fused``."""
    key_heatmaps: Tensor | None = None
    """float B K h w, the same on ``key``."""
    neighbour_heatmaps: Tensor | None = None
    """float B S K h w, the same on ``neighbours``."""


class ClipOutput(NamedTuple):
    """Heatmaps of the key frame, and of all frames while training.

    Axes: B clip, T frame, K joint, h w cells.
    """

    heatmaps: Tensor
    """float B K h w."""
    clip: Tensor | None = None
    """float B T K h w, the key frame among them; None when not training."""


class RegressionOutput(NamedTuple):
    """Coordinates of the key frame's joints with their spreads.

    Axes: B clip, K joint; x before y.
    """

    joints: Tensor
    """float B K 2, shares of the crop; outside [0, 1] for a joint outside the crop."""
    sigma: Tensor
    """float B K 2, spread of each coordinate in shares of the crop, in (0, 1)."""


class CompositeOutput(NamedTuple):
    """Near which cells the key frame's joints lie, and how far from them.

    Axes: B clip, K joint, h w cells; x before y.
    """

    heatmaps: Tensor
    """float B K h w, logits: is the joint near this cell?"""
    offsets: Tensor
    """float B K 2 h w, from the cell to the joint, in units of the codec's ``reach_px``."""
    side: tuple[CompositeOutput, ...] = ()
    """The same of earlier stacks, for deep supervision while training; empty otherwise."""


Output = HeatmapOutput | TDMIOutput | FAMIOutput | ClipOutput | RegressionOutput | CompositeOutput
"""Whatever a model returns; its codec knows what to read off it."""


def join_outputs(outputs: Sequence[Any]) -> Any:
    """One output of several batches, one after the other.

    Args:
        outputs: At least one, all of one kind; fields that are None in the first stay None.
    """
    first = outputs[0]
    parts = [
        torch.cat(field) if isinstance(field[0], Tensor)
        else join_outputs(field) if isinstance(field[0], tuple)
        else field[0]
        for field in zip(*outputs, strict=True)
    ]  # fmt: skip
    return type(first)(*parts) if hasattr(first, "_fields") else tuple(parts)
