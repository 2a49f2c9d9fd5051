"""The contract of a model that learns without labels what changes in a video and what stays.

A file in this folder that defines a ``RepresentationModel`` is named in ``_find.REPRESENTATIONS``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from chronopose.tensors.representation import Split


class RepresentationModel(nn.Module, ABC):
    """Base of every model whose latent is split into a time-variant and a time-invariant part."""

    PRESETS: ClassVar[Mapping[str, Any]]
    """Preset name -> Config."""

    config: Any
    codec: Any
    """What the input means: a frozen dataclass."""
    card: Any = None
    """The weights card, where the weights came from the zoo."""

    @abstractmethod
    def encode(self, frames: Tensor) -> Split:
        """``(N, ...)`` single frames or poses, which do not see each other -> their latents."""

    @abstractmethod
    def decode(self, latent: Split) -> Tensor:
        """Latents -> ``(N, ...)`` what was encoded."""
