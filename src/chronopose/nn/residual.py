"""Convolution and residual blocks that the temporal networks are built of."""

from __future__ import annotations

from torch import Tensor, nn

from chronopose.errors import ShapeError


def conv_bn_relu(cin: int, cout: int, *, stride: int = 1, bias: bool = False) -> nn.Sequential:
    """3×3 convolution, batch norm, ReLU: ``(N, cin, H, W) -> (N, cout, H', W')``.

    A ``bias`` before a batch norm changes nothing; some published weights have one.
    """
    return nn.Sequential(
        nn.Conv2d(cin, cout, 3, stride=stride, padding=1, bias=bias),
        nn.BatchNorm2d(cout),
        nn.ReLU(inplace=True),
    )


class BasicBlock(nn.Module):
    """3×3-BN-ReLU-3×3-BN, a shortcut, ReLU; the size of the map stays.

    Args:
        cin: Channels in.
        cout: Channels out.
        project: Shortcut of 1×1 convolution and batch norm; the identity otherwise.

    Raises:
        ShapeError: an identity shortcut between different channel counts.
    """

    def __init__(self, cin: int, cout: int, *, project: bool) -> None:
        super().__init__()
        if not project and cin != cout:
            raise ShapeError(
                f"A block from {cin} to {cout} channels cannot add its input; give project=True."
            )
        self.conv1 = nn.Conv2d(cin, cout, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut: nn.Module = nn.Identity()
        if project:
            self.shortcut = nn.Sequential(nn.Conv2d(cin, cout, 1, bias=False), nn.BatchNorm2d(cout))
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """``(N, cin, H, W) -> (N, cout, H, W)``."""
        y = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


def residual_chain(cin: int, cout: int, count: int) -> nn.Sequential:
    """``count`` basic blocks; the first one always projects its shortcut, also if cin == cout.

    ``count`` 0 gives the identity and needs ``cin == cout``.

    Source:
        The chains of FAMI-Pose as described in its paper and lab notes.
    """
    if count == 0 and cin != cout:
        raise ShapeError(f"A chain from {cin} to {cout} channels needs at least one block; got 0.")
    return nn.Sequential(
        *(BasicBlock(cin if i == 0 else cout, cout, project=i == 0) for i in range(count))
    )


def init_head(head: nn.Conv2d, std: float = 0.001) -> None:
    """Normal weights of a small spread and zero bias, as the published heatmap heads start."""
    nn.init.normal_(head.weight, std=std)
    if head.bias is not None:
        nn.init.zeros_(head.bias)
