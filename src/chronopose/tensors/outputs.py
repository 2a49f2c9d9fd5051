"""The typed outputs of models. Each is a NamedTuple with a shape behind every field."""

from __future__ import annotations

from typing import NamedTuple

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


Output = HeatmapOutput | TDMIOutput
"""Whatever a model returns; every member has ``heatmaps``."""
