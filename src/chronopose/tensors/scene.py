"""What models of whole frames give, and what their answers are compared with."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor


class SceneTarget(NamedTuple):
    """People of the key frames of a batch.

    Axes: B clip, G labelled person (padded), K joint.
    """

    joints: Tensor
    """float B G K 2, pixels of the frame; anything where not visible."""
    visible: Tensor
    """bool B G K, labelled and usable for training."""
    area: Tensor
    """float B G, area of the person, square pixels, above zero."""
    people: Tensor
    """int B, people of each clip; later rows are padding."""

    def to(self, device: torch.device | str) -> SceneTarget:
        """A copy on another device."""
        return SceneTarget(*(part.to(device) for part in self))


class SceneGuess(NamedTuple):
    """What one layer of a network says about every query.

    Axes: B clip, Q query, K joint.
    """

    logits: Tensor
    """float B Q, odds that the query is a person."""
    joints: Tensor
    """float B Q K 2, x and y in shares of the frame without its padding, 0 to 1."""
    sigmas: Tensor
    """float B Q K 2, spread of the joints, same unit, 0 to 1."""


class SceneOutput(NamedTuple):
    """People of the key frame, best first; while training also what the criterion compares.

    Axes: B clip, T frame, P person, Q query, K joint.
    """

    joints: Tensor
    """float B P K 2, pixels of the frame."""
    scores: Tensor
    """float B P, score of the person, 0 to 1."""
    joint_scores: Tensor
    """float B P K, score of the person times that of the joint."""
    layers: tuple[SceneGuess, ...] = ()
    """One for each layer of the decoder; empty in eval mode."""
    proposals: SceneGuess | None = None
    """What every token of the key frame proposes; Q are the tokens."""
    references: Tensor | None = None
    """float B T Q K 2, poses of the queries in all frames of the window, shares as in a guess."""
    features: Any = None
    """The features of the window, for what is computed once the people are matched."""
    valid: Tensor | None = None
    """float B 2, width and height of the key frame without its padding, pixels."""
