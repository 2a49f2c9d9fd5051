"""Finding the one person of a frame, looking at it through a soft window, and pasting it back.

Everything passes gradients, so that the place is learnt from the wish to rebuild the picture.
A place is ``(N, 4)``: half width, half height, centre x and y; a frame is [-1, 1] from edge to
edge in both axes.

Source: Neural Scene Decomposition (Rhodin et al., CVPR 2019).
"""

from __future__ import annotations

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

LOOK_PX = 128
"""Side that frames are brought to before the person is looked for."""


class SubjectFinder(nn.Module):
    """ResNet-18 on a small frame -> where the person is.

    Args:
        pretrained: ImageNet weights through timm.
        look_px: Side that frames are brought to.
    """

    def __init__(self, pretrained: bool = False, look_px: int = LOOK_PX) -> None:
        super().__init__()
        self.look_px = look_px
        self.body: nn.Module = timm.create_model("resnet18", pretrained=pretrained, num_classes=0)
        self.place = nn.Linear(512, 5)
        nn.init.zeros_(self.place.weight)
        nn.init.zeros_(self.place.bias)
        with torch.no_grad():
            self.place.bias[:2] = 0.5

    def forward(self, frames: Tensor) -> Tensor:
        """``(N, 3, H, W)`` -> ``(N, 4)`` places.

        The published fifth number, a depth that orders several people, is not used for one.
        """
        small = F.interpolate(frames, (self.look_px, self.look_px), mode="bilinear", antialias=True)
        found = self.place(self.body(small))
        return torch.cat([0.2 + 0.8 * found[:, :2].sigmoid(), 0.8 * found[:, 2:4].tanh()], 1)


def soft_window(height: int, width: int, device: torch.device | None = None) -> Tensor:
    """``(H, W)`` weights: 1 in the middle, falling smoothly to 0 before the border.

    ``exp(1 - 1 / (1 - sqrt(x^4 + y^4)))`` where the root is below 1, else 0; x and y are -1 and 1
    at the outer edges.
    """
    y, x = (((torch.arange(n, device=device) + 0.5) * (2 / n) - 1).pow(4) for n in (height, width))
    inside = 1 - (x + y[:, None]).sqrt()
    return torch.where(inside > 1e-3, (1 - 1 / inside.clamp(min=1e-3)).exp(), 0.0)


def look_at_place(frames: Tensor, place: Tensor, size: tuple[int, int]) -> Tensor:
    """Cut the places out.

    Args:
        frames: ``(N, C, H, W)``.
        place: ``(N, 4)``.
        size: Width and height of the crops.

    Returns:
        ``(N, C, size[1], size[0])``; beyond the frame its edge repeats.
    """
    grid = F.affine_grid(_affine(place), [len(place), 1, size[1], size[0]], align_corners=False)
    return F.grid_sample(frames, grid, padding_mode="border", align_corners=False)


def paste(crops: Tensor, place: Tensor, size: tuple[int, int]) -> Tensor:
    """Crops back at their places in empty frames.

    Args:
        crops: ``(N, C, h, w)``.
        place: ``(N, 4)``.
        size: Width and height of the frames.

    Returns:
        ``(N, C, size[1], size[0])``, 0 outside the places.
    """
    half, centre = place[:, :2], place[:, 2:]
    back = _affine(torch.cat([1 / half, -centre / half], 1))
    grid = F.affine_grid(back, [len(place), 1, size[1], size[0]], align_corners=False)
    return F.grid_sample(crops, grid, padding_mode="zeros", align_corners=False)


def place_prior(place: Tensor) -> Tensor:
    """Places should on average lie in the middle and be of a person's size.

    ``(mean centre)^2 + (mean half side * aspect - 0.4)^2``, each summed over x and y, where the
    aspect of x is 1.5 and that of y is 1.

    Args:
        place: ``(N, 4)`` of a batch.
    """
    mean = place.mean(0)
    wide = mean[:2] * mean.new_tensor([1.5, 1.0])
    return mean[2:].square().sum() + (wide - 0.4).square().sum()


def _affine(place: Tensor) -> Tensor:
    half, centre = place[:, :2], place[:, 2:]
    return torch.cat([torch.diag_embed(half), centre[..., None]], -1)
