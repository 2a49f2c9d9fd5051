"""Channel gate: a small network that looks at the mean of each channel and weighs the channels."""

from __future__ import annotations

from torch import Tensor, nn


class ChannelGate(nn.Sequential):
    """``sigmoid(MLP(GAP(x)))``: one factor in (0, 1) for every channel of every sample.

    Args:
        channels: Channels C of the feature.
        reduction: The hidden layer has ``C // reduction`` units, at least one.

    Source:
        TDMI, Eq. 6.
    """

    def __init__(self, channels: int, reduction: int) -> None:
        hidden = max(channels // reduction, 1)
        super().__init__(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, hidden),
            nn.ReLU(inplace=True), nn.Linear(hidden, channels), nn.Sigmoid(),
            nn.Unflatten(1, (channels, 1, 1)),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W) -> (N, C, 1, 1)``, to be multiplied with the feature."""
        return super().forward(x)
