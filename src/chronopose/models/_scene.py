"""The contract of a model that reads whole frames: no detector, no crops, everyone at once.

Like a :class:`~chronopose.models._base.PoseModel` it is split into ``encode``, which sees one
frame at a time, and ``fuse``; in a video every frame is encoded once. A file in this folder that
defines a ``SceneModel`` is named in ``_find.SCENES``.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from torch import Tensor, nn

from chronopose.codecs.scene import SceneCodec
from chronopose.errors import WeightsError
from chronopose.models._base import Features, unfold_features
from chronopose.tensors.scene import SceneOutput, SceneTarget


class SceneCriterion(Protocol):
    """Compares an output of training mode with a target; returns named, unweighted scalar terms."""

    def __call__(self, output: SceneOutput, target: SceneTarget) -> dict[str, Tensor]: ...


@dataclass(frozen=True, kw_only=True)
class SceneNeeds:
    """What a model of whole frames has to be given."""

    offsets: tuple[int, ...]
    """Frames of the window relative to the key frame, rising; (0,) for a single-frame model."""
    divisor: int = 32
    """Width and height are padded to multiples of this, on the right and below."""
    whole_frame: bool = True
    """Always: it reads no crops."""

    @property
    def key(self) -> int:
        """Position of the key frame in the window."""
        return self.offsets.index(0)

    @property
    def lookahead(self) -> int:
        """Frames after the key frame that must be seen first: the latency of a live stream."""
        return max(self.offsets)


class SceneModel(nn.Module, ABC):
    """Base of every model of whole frames: a window of frames in, people of the key frame out."""

    PRESETS: ClassVar[Mapping[str, Any]]
    """Preset name -> Config."""

    config: Any
    needs: SceneNeeds
    codec: SceneCodec
    card: Any = None
    """The weights card, where the weights came from the zoo."""
    OWN_FRAME: ClassVar[str] = ""
    """Matches names of weights that each frame of a window has of its own: group 1 is what stands
    before the frame's number. Empty where there are none."""

    @abstractmethod
    def encode(self, frames: Tensor, valid: Tensor | None = None) -> Features:
        """Features of single frames.

        Args:
            frames: ``(N, 3, H, W)`` float, normalised RGB; frames do not see each other.
            valid: ``(N, 2)`` width and height of each frame without the padding on the right and
                below, pixels; None: nothing is padding.

        Returns:
            Tensors whose first axis is N.
        """

    @abstractmethod
    def fuse(self, features: Features) -> SceneOutput:
        """Join the features of a window: as ``encode`` returns them, with axes ``(B, T, ...)``."""

    @abstractmethod
    def criterion(self) -> SceneCriterion:
        """The loss that the paper trains with."""

    def load_single_frame(self, state: Mapping[str, Tensor]) -> None:
        """Start from the same network of one frame: what frames have of their own begins as its.

        Args:
            state: Of a network with the same settings but ``num_frames=1``.

        Raises:
            WeightsError: an entry is missing or of another shape.
        """
        own, mark = self.state_dict(), self.OWN_FRAME
        given = {k: state.get(re.sub(mark, r"\g<1>0.", k) if mark else k) for k in own}
        wrong = [k for k, v in given.items() if v is None or v.shape != own[k].shape]
        if wrong:
            raise WeightsError(
                f"These are no weights of the same {type(self).__name__} of one frame: "
                f"{len(wrong)} of {len(own)} entries do not fit, e.g. {min(wrong)}. Train one with "
                f"--set model.num_frames=1."
            )
        self.load_state_dict(given)

    def weights_of_terms(self) -> dict[str, float]:
        """Default weight of each term of the criterion; a term not named weighs 1."""
        return {}

    def forward(self, frames: Tensor, valid: Tensor | None = None) -> SceneOutput:
        """``(B, T, 3, H, W)`` windows -> people of the key frames.

        Args:
            frames: The windows.
            valid: ``(B, T, 2)`` as for ``encode``.
        """
        batch, count = frames.shape[:2]
        flat = None if valid is None else valid.flatten(0, 1)
        features = self.encode(frames.flatten(0, 1), flat)
        return self.fuse(unfold_features(features, batch, count))
