"""How far two pictures are apart in the features of a network that does not learn."""

from __future__ import annotations

import timm
from torch import Tensor, nn


class FeatureDistance(nn.Module):
    """Mean squared difference of the features of ResNet-18, of strides 2 to 16, summed.

    The network is frozen and stays in eval mode; gradients reach the pictures alone.

    Args:
        pretrained: ImageNet weights through timm. Without them the features are random: still a
            distance, but not the one that papers train with.

    Source:
        The reconstruction loss of Neural Scene Decomposition; which features is our choice.
    """

    def __init__(self, pretrained: bool = True) -> None:
        super().__init__()
        self.features: nn.Module = timm.create_model(
            "resnet18", pretrained=pretrained, features_only=True, out_indices=(0, 1, 2, 3)
        )
        self.requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> FeatureDistance:
        """Stays in eval mode, whatever is asked."""
        super().train(False)
        return self

    def forward(self, drawn: Tensor, target: Tensor) -> Tensor:
        """``(N, 3, H, W)`` normalised pictures each -> a scalar."""
        pairs = zip(self.features(drawn), self.features(target), strict=True)
        return sum(((a - b.detach()).square().mean() for a, b in pairs), drawn.new_zeros(()))
