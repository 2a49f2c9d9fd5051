"""Heatmaps that are read off after enlarging them to the size of the crop.

Axes: B clip, K joint, h w cells, H W crop pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from chronopose.codecs.heatmap import HeatmapCodec, Mapped, maps_of
from chronopose.core.poses import Poses


@dataclass(frozen=True)
class UpsampledHeatmapCodec(HeatmapCodec):
    """A :class:`HeatmapCodec` whose decoder is the highest pixel of the bicubically enlarged map.

    Arguments as for :class:`HeatmapCodec`, whose ``decoder`` is not asked. Targets, mirroring and
    scores are the same.

    Source:
        The decoding of Flowing ConvNets (Pfister, Charles, Zisserman, ICCV 2015): no sub-pixel
        step, so a joint is found to half a pixel of the crop at best.
    """

    def decode(self, heatmaps: Tensor | Mapped) -> Poses:
        """Read joints and scores off the maps.

        Args:
            heatmaps: ``(B, K, h, w)`` as the network returns them, any float type and device; or
                its whole output.

        Returns:
            Poses of shape ``(B, K)`` in ``crop_px``, whole pixels with ``align="centre"``; scores
            as :meth:`HeatmapCodec.decode` gives them. A map with a value that is not finite gives
            NaN and score 0.

        Raises:
            ShapeError: the maps do not fit the skeleton and the crop.
        """
        heatmaps = maps_of(heatmaps)
        found = super().decode(heatmaps)
        width, height = self.crop_size
        with torch.no_grad(), torch.autocast(heatmaps.device.type, enabled=False):
            maps = self.probability(heatmaps.detach().float())
            finite = torch.isfinite(maps).all(-1).all(-1)
            maps = torch.where(finite[..., None, None], maps, torch.zeros_like(maps))
            large = F.interpolate(maps, (height, width), mode="bicubic", align_corners=False)
            best = large.flatten(2).argmax(-1)
            pixel = torch.stack([best % width, best // width], dim=-1).to(maps.dtype)
            # Pixel p of the enlarged map lies at cell (p + 0.5) / stride - 0.5.
            xy = self.to_pixels((pixel + 0.5) / self.stride - 0.5)
            xy = torch.where(finite[..., None], xy, torch.full_like(xy, torch.nan))
        return replace(found, xy=xy.cpu().numpy())
