"""Codec: what every codec can do, so that nothing outside asks how a network says where joints are.

Axes: B clip, K joint.
"""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

from torch import Tensor

from chronopose.core.poses import Poses
from chronopose.core.skeleton import Skeleton
from chronopose.tensors.batch import Target


class Codec(Protocol):
    """Joints to training targets, and outputs of a network back to joints with scores.

    An output is what the network's ``fuse`` returns. Every codec is a frozen dataclass.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def skeleton(self) -> Skeleton:
        """Names of the K joints, in the network's order."""
        ...

    @property
    def crop_size(self) -> tuple[int, int]:
        """Width and height of the crop, pixels."""
        ...

    def at(self, crop_size: tuple[int, int], sigma: float | None = None) -> Codec:
        """The same codec for another crop size and, where it has one, another target spread."""
        ...

    def encode(self, joints: Tensor, visible: Tensor, /) -> Target:
        """``(B, K, 2)`` crop pixels, NaN where unknown, and ``(B, K)`` visibility -> target."""
        ...

    def decode(self, output: Any, /) -> Poses:
        """Poses ``(B, K)`` in ``crop_px`` with scores in [0, 1]; NaN with score 0 where lost."""
        ...

    def unflip(self, output: Any, /) -> Any:
        """Output for mirrored crops -> as for the crops themselves, sides exchanged by name."""
        ...

    def average_flip(self, direct: Any, mirrored: Any, /) -> Any:
        """One output of that for the crops and that for the mirrored crops (flip test)."""
        ...
