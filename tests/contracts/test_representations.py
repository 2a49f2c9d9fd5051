"""What every model that learns without labels promises; a new one is under contract by its kind.

All presets are checked for shapes on torch's meta device; those for CPUs run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from chronopose import zoo
from chronopose.codecs.self_supervised import PictureInput
from chronopose.errors import UsageError
from chronopose.models._find import (
    REPRESENTATIONS,
    build_model,
    build_representation,
    list_models,
)
from chronopose.nn.cost import trace_shapes
from chronopose.tensors.representation import Moments, Split

PRESETS = list_models(REPRESENTATIONS)
EVERY = [f"{name}:{preset}" for name, presets in PRESETS.items() for preset in presets]
LIGHT = [n for n in EVERY if n.endswith((":lite", ":lite_masked", ":poses"))]


def frame_shape(model: Any) -> tuple[int, ...]:
    if isinstance(model.codec, PictureInput):
        return (3, *model.codec.crop_size[::-1])
    return (len(model.codec.skeleton), 2)


def built(name: str) -> Any:
    torch.manual_seed(0)
    return build_representation(name)


def sample(model: Any, batch: int = 4) -> Moments:
    torch.manual_seed(1)
    frames = torch.randn(batch, 5, *frame_shape(model))
    delta = torch.tensor([0.0, 1.2, -1.5, 0.5, -0.1]).expand(batch, 5)
    partner = torch.tensor([1, 1, 0, 3, 4]).expand(batch, 5)
    empty = torch.zeros_like(frames) if model.config.masked else None
    return Moments(frames, delta, partner, torch.arange(batch), background=empty)


def loss_of(model: Any, moments: Moments) -> Tensor:
    weights = model.weights_of_terms()
    terms = model.criterion()(model(moments), moments)
    return sum((weights[k] * v for k, v in terms.items()), torch.zeros(()))


@pytest.mark.parametrize("name", EVERY)
def test_latents_and_what_is_rebuilt_have_their_shapes(name: str) -> None:
    with torch.device("meta"):
        model = build_representation(name).eval()
    frames = torch.empty(2, *frame_shape(model))
    latent = trace_shapes(model, frames, method="encode")
    assert isinstance(latent, Split)
    assert latent.variant.shape == (2, model.config.variant)
    assert latent.invariant.shape == (2, model.config.invariant)
    assert trace_shapes(model, latent, method="decode").shape == frames.shape


@pytest.mark.parametrize("name", LIGHT)
def test_backward_is_finite_and_reaches_every_parameter(name: str) -> None:
    model = built(name)
    loss_of(model, sample(model)).backward()
    grads = [p.grad for p in model.parameters()]
    assert all(g is not None and torch.isfinite(g).all() for g in grads)


@pytest.mark.parametrize("name", LIGHT)
def test_loss_falls_on_four_samples(name: str) -> None:
    model = built(name)
    moments = sample(model)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(8):
        loss = loss_of(model, moments)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.95 * losses[0]


@pytest.mark.parametrize("name", LIGHT)
def test_saved_and_loaded_it_gives_the_same_latents(name: str, tmp_path: Path) -> None:
    model = built(name).eval()
    facts = {"training_data": "nothing", "terms": "free", "command": "none"}
    card = zoo.save(model, tmp_path / "w.safetensors", {"name": f"{name}@test", **facts})
    again = zoo.load_representation(name, weights=tmp_path / "w.safetensors")
    assert again.card.sha256 == card.sha256
    assert again.config == model.config
    frames = sample(model).frames[0]
    with torch.no_grad():
        pairs = zip(model.encode(frames), again.encode(frames), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("name", EVERY[:1])
def test_it_is_no_pose_model(name: str) -> None:
    with pytest.raises(UsageError, match="build_representation"):
        build_model(name)
