"""Pictures of a generated set for the detector: parts of frames, with the boxes of their people."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from chronopose.data.mosaic import LEAST_HEIGHT_PX, CrowdPicture, develop
from chronopose.errors import UsageError
from chronopose.synth.clip_arrays import ClipArrays, read_arrays
from chronopose.synth.write import ClipPlaces, list_clips

LEAST_SEEN = 0.25
"""A person of whom less is seen is not asked for, nor held against anybody."""
SMALLEST_PART = 0.45
"""The smallest part of a frame that is looked at, as a share of its side."""


class SyntheticPictures:
    """Draws parts of the frames that ``chronopose synth`` wrote.

    Args:
        folder: Root of the set.
        split: One of its splits.

    Raises:
        UsageError: there is no clip with pictures.
        FormatError: a clip is damaged.
    """

    def __init__(self, folder: Path, split: str = "train") -> None:
        self._frames: list[tuple[Path, ClipArrays, int]] = []
        for name in list_clips(folder, split):
            places = ClipPlaces(folder, split, name)
            arrays = read_arrays(places.arrays)
            for number in range(len(arrays)):
                file = folder / places.picture(number, "jpg")
                if file.is_file():
                    self._frames.append((file, arrays, number))
        if not self._frames:
            raise UsageError(
                f"{folder} holds no clips of {split} with .jpg pictures. Make some first: "
                f"chronopose synth --out {folder}."
            )

    def __len__(self) -> int:
        return len(self._frames)

    def draw(self, size: tuple[int, int], rng: np.random.Generator) -> CrowdPicture:
        """A part of a frame, brought to ``size`` (width, height)."""
        file, arrays, number = self._frames[int(rng.integers(len(self._frames)))]
        image = Image.open(file)
        fits = min(image.width / size[0], image.height / size[1])
        factor = fits * np.exp(rng.uniform(np.log(SMALLEST_PART), 0.0))
        wide, tall = size[0] * factor, size[1] * factor
        x, y = rng.uniform(0, image.width - wide), rng.uniform(0, image.height - tall)
        part = image.resize(size, Image.Resampling.BILINEAR, (x, y, x + wide, y + tall))
        boxes, share = arrays.cut_boxes[number], arrays.share[number]
        known = np.isfinite(boxes).all(-1)
        boxes, share = (boxes[known] + 0.5 - [x, y, x, y]) / factor, share[known]
        if rng.random() < 0.5:
            part = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            boxes = np.stack(
                [size[0] - boxes[:, 2], boxes[:, 1], size[0] - boxes[:, 0], boxes[:, 3]], 1
            )
        whole = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(-1)
        cut = np.clip(boxes, 0, [*size, *size])
        left = np.clip(cut[:, 2:] - cut[:, :2], 0, None).prod(-1)
        seen = share * left / np.maximum(whole, 1e-6)
        good = (seen >= LEAST_SEEN) & (cut[:, 3] - cut[:, 1] >= LEAST_HEIGHT_PX)
        rest = (left > 0) & ~good
        return CrowdPicture(
            develop(part, rng), (cut[good] - 0.5).astype(np.float32),
            (cut[rest] - 0.5).astype(np.float32),
        )  # fmt: skip
