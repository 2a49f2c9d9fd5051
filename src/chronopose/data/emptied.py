"""Real places without people: pictures of LSPET with the person painted over."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from chronopose.core.skeleton import Skeleton
from chronopose.data.datasets.lspet import LSPET
from chronopose.data.portraits import LIMBS, silhouette
from chronopose.data.store import PixelStore
from chronopose.errors import import_extra

BEYOND = (
    ("knee", "ankle", 0.3), ("elbow", "wrist", 0.45),
)  # fmt: skip
"""Feet and hands: how far they go on beyond the last joint, as a share of the limb."""
WORKING_PX = 128
MOST_COVERED = 0.6


class Emptied:
    """Pictures whose labelled person is painted over; others may still be in the background.

    Args:
        root: Folder of LSPET.
        cache: Folder in which the pictures are kept.
        count: How many of the training pictures are used, from the first.

    Raises:
        MissingExtra: OpenCV is not installed; it is needed once.
        FormatError: the folder does not hold LSPET.
    """

    def __init__(self, root: Path | str, cache: Path | str, count: int = 5000) -> None:
        self._people = LSPET(root, "train", cache=None)
        self._store = PixelStore(
            Path(cache), "lspet_emptied", f"{self._people.fingerprint()}-emptied-{count}-1",
            min(count, len(self._people)), self._empty,
        )  # fmt: skip

    def pictures(self) -> list[NDArray[np.uint8]]:
        """All pictures in which the person could be painted over."""
        found = (self._store[i] for i in range(len(self._store)))
        return [picture for picture in found if picture.shape[0] > 1]

    def _empty(self, index: int) -> NDArray[np.uint8]:
        image = self._people.sample(index, np.random.default_rng(0)).images[0]
        done = paint_over(image, self._people.joints_of(index), self._people.skeleton)
        return np.zeros((1, 1, 3), np.uint8) if done is None else done


def paint_over(
    image: NDArray[np.uint8], xy: NDArray[np.floating], skeleton: Skeleton
) -> NDArray[np.uint8] | None:
    """Replace a person by what surrounds them.

    Args:
        image: ``(h, w, 3)`` uint8 RGB.
        xy: ``(K, 2)`` joints, pixels; NaN where unlabelled.
        skeleton: Their names: lsp14 or one with its joints.

    Returns:
        A picture of the same size; None if the person cannot be told or fills the picture.

    Raises:
        MissingExtra: OpenCV is not installed.

    Source:
        Telea, "An image inpainting technique based on the fast marching method", 2004.
    """
    cv2 = import_extra("cv2", "opencv-python-headless", "flow", "Painting people over")
    cover = silhouette(image, xy, skeleton)
    if cover is None:
        return None
    height, width = cover.shape
    limbs = Image.fromarray((cover > 60).astype(np.uint8) * 255)
    _draw_limbs(limbs, xy, skeleton)
    reach = max(3, height // 24) | 1
    mask = np.asarray(limbs.filter(ImageFilter.MaxFilter(reach))) > 0
    if mask.mean() > MOST_COVERED:
        return None
    scale = WORKING_PX / max(height, width)
    size = (max(2, round(width * scale)), max(2, round(height * scale)))
    small = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX))
    holes = np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))
    filled = cv2.inpaint(small, holes.astype(np.uint8), 3, cv2.INPAINT_TELEA)
    grain = np.random.default_rng(0).normal(0, 4, (height, width, 3))
    large = np.asarray(Image.fromarray(filled).resize((width, height)), np.float32) + grain
    soft = Image.fromarray(mask.astype(np.uint8) * 255).filter(ImageFilter.GaussianBlur(1.5))
    share = np.asarray(soft, np.float32)[..., None] / 255
    return np.clip(image * (1 - share) + large * share, 0, 255).astype(np.uint8)


def _draw_limbs(mask: Image.Image, xy: NDArray[np.floating], skeleton: Skeleton) -> None:
    draw, thick = ImageDraw.Draw(mask), max(3, mask.height // 14)
    places = {name: xy[i] for i, name in enumerate(skeleton.joints)}
    lines = [(places[a], places[b]) for a, b in LIMBS]
    for side in ("left_", "right_"):
        for near, far, share in BEYOND:
            a, b = places[side + near], places[side + far]
            lines.append((b, b + share * (b - a)))
    for start, end in lines:
        if np.isfinite(start).all() and np.isfinite(end).all():
            draw.line([*(float(v) for v in start), *(float(v) for v in end)], 255, thick)
