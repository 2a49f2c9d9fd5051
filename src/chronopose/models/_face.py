"""The contract of an expression network: aligned pictures of faces in, expressions out.

A file in this folder that defines a ``FaceModel`` is named in ``_find.FACES``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

from torch import Tensor, nn

from chronopose.codecs.faces import FaceCodec
from chronopose.tensors.faces import FaceOutput


class FaceCriterion(Protocol):
    """Compares an output with class numbers ``(B,)``; returns named, unweighted scalar terms.

    ``persons`` are ``(B,)`` numbers of persons, -1 where unknown, for a criterion that pairs
    pictures by person; None leaves that out.
    """

    def __call__(
        self, output: FaceOutput, labels: Tensor, persons: Tensor | None = None
    ) -> dict[str, Tensor]: ...


class FaceModel(nn.Module, ABC):
    """Base of every expression network."""

    PRESETS: ClassVar[Mapping[str, Any]]
    """Preset name -> Config."""

    config: Any
    codec: FaceCodec
    """Names of the classes, and the size of the pictures."""
    head: nn.Linear
    """Last layer, embedding to logits; it can be fitted anew when the metric is trained."""
    head_scale: float = 1.0
    """What the embedding is multiplied with before the last layer reads it."""
    card: Any = None
    """The weights card, where the weights came from the zoo."""

    @abstractmethod
    def forward(self, faces: Tensor) -> FaceOutput:
        """``(B, 3, H, W)`` normalised RGB, H and W as in ``codec`` -> expressions."""

    @abstractmethod
    def criterion(self) -> FaceCriterion:
        """The loss that the paper trains with."""

    def weights_of_terms(self) -> dict[str, float]:
        """Default weight of each term of the criterion; a term not named weighs 1."""
        return {}
