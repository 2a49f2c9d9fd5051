"""Weights of the person detector: saved like those of a pose model, loaded by the pipeline."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from chronopose import __version__
from chronopose.errors import UsageError
from chronopose.models.person_detector import PersonDetector
from chronopose.zoo.card import Card
from chronopose.zoo.saving import config_values, normalisation_values, write_weights


def save_detector(
    model: PersonDetector, path: str | Path, card: Mapping[str, Any], *, half: bool = True
) -> Card:
    """Write ``X.safetensors`` and its card ``X.json``; both appear whole, or neither does.

    Args:
        model: The trained network.
        path: Where to; ends in ``.safetensors``.
        card: The fields of :class:`~chronopose.zoo.card.Card` that only the author of the weights
            knows: ``name``, ``training_data``, ``terms``, ``command``, and what else there is.
        half: Store tensors of two and more axes as float16.

    Returns:
        The card as written.

    Raises:
        UsageError: a field of the card is unknown or missing, or the suffix is another.
        WeightsError: the weights are not finite, or the disk refused.
    """
    return write_weights(
        path, model.state_dict(), half,
        lambda digest, target: _describe(model, card, half, digest, target),
        config=json.dumps(asdict(model.config)),
    )  # fmt: skip


def _describe(
    model: PersonDetector, card: Mapping[str, Any], half: bool, digest: str, path: Path
) -> Card:
    try:
        return Card(
            **card, model="person_detector", preset="lite", config=config_values(model.config),
            skeleton="", joints=(), normalisation=normalisation_values(), codec={},
            storage="float16" if half else "float32",
            parameters=sum(p.numel() for p in model.parameters()),
            sha256=digest, version=__version__, path=path,
        )  # fmt: skip
    except TypeError as error:
        raise UsageError(f"The card of {path} does not fit: {error}.") from error
