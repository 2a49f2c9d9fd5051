"""FaceCodec: what an expression network's numbers mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chronopose.errors import UsageError
from chronopose.tensors.faces import FaceOutput


@dataclass(frozen=True)
class FaceCodec:
    """Names of the classes, and how faces are cut.

    Args:
        classes: Names, in the order of the logits.
        crop_size: Width and height of the picture, pixels.
        margin: What is added around a face on each side, as a share of its box.

    Raises:
        UsageError: fewer than two classes, or one is named twice.
    """

    classes: tuple[str, ...]
    crop_size: tuple[int, int]
    margin: float = 0.2

    def __post_init__(self) -> None:
        if len(self.classes) < 2 or len(set(self.classes)) != len(self.classes):
            raise UsageError(
                f"An expression network needs two or more classes of different names; got "
                f"{', '.join(self.classes) or 'none'}."
            )

    def decode(self, output: FaceOutput) -> NDArray[np.float32]:
        """``(B, C)`` probabilities of the classes, each row of sum 1."""
        shares: NDArray[np.float32] = output.logits.detach().float().softmax(-1).cpu().numpy()
        return shares
