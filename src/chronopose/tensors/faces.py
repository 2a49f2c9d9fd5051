"""What an expression network returns."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class FaceOutput(NamedTuple):
    """What an expression network says of faces.

    Axes: B face, E embedding, C class.
    """

    logits: Tensor
    """float B C, odds of the expressions."""
    embedding: Tensor
    """float B E, slices of length 1 each, one after the other."""
