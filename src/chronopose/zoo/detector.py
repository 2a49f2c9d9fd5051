"""Weights of the person detector: saved like those of a pose model, loaded by the pipeline."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import safetensors.torch

from chronopose import __version__
from chronopose.errors import UsageError, WeightsError
from chronopose.io.atomic import replacing
from chronopose.models.person_detector import PersonDetector
from chronopose.zoo.card import Card, card_path
from chronopose.zoo.saving import config_values, normalisation_values, storable


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
    target = Path(path)
    if target.suffix != ".safetensors":
        raise UsageError(f"Weights are written as .safetensors; got {path}. Change the suffix.")
    data = safetensors.torch.save(
        storable(model.state_dict(), half),
        metadata={"format": "pt", "config": json.dumps(asdict(model.config))},
    )
    try:
        whole = Card(
            **card, model="person_detector", preset="lite", config=config_values(model.config),
            skeleton="", joints=(), normalisation=normalisation_values(), codec={},
            storage="float16" if half else "float32",
            parameters=sum(p.numel() for p in model.parameters()),
            sha256=hashlib.sha256(data).hexdigest(), version=__version__, path=target,
        )  # fmt: skip
    except TypeError as error:
        raise UsageError(f"The card of {target} does not fit: {error}.") from error
    text = json.dumps(whole.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with (
        replacing(target, WeightsError) as weights,
        replacing(card_path(target), WeightsError) as page,
    ):
        weights.write_bytes(data)
        page.write_text(text, encoding="utf-8")
    return whole
