"""What every expression network promises; those of ``_find.FACES`` are under contract."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

from chronopose import zoo
from chronopose.models._face import FaceModel
from chronopose.models._find import FACES, build_any, build_face_model, list_models
from chronopose.nn.cost import trace_shapes
from chronopose.tensors.faces import FaceOutput

EVERY = [f"{name}:{preset}" for name, presets in list_models(FACES).items() for preset in presets]
LIGHT = [n for n in EVERY if "lite" in n]


@cache
def built(name: str) -> FaceModel:
    torch.manual_seed(1)
    return build_face_model(name)


def faces(model: FaceModel, count: int) -> tuple[Tensor, Tensor]:
    width, height = model.codec.crop_size
    generator = torch.Generator().manual_seed(2)
    images = torch.randn(count, 3, height, width, generator=generator)
    return images, torch.arange(count) % len(model.codec.classes[:3])


def loss_of(model: FaceModel, images: Tensor, labels: Tensor) -> Tensor:
    terms = model.criterion()(model(images), labels)
    weights = model.weights_of_terms()
    return torch.stack([weights.get(k, 1.0) * v for k, v in terms.items()]).sum()


def assert_equal_to_rounding(a: FaceOutput, b: FaceOutput) -> None:
    for x, y in zip(a, b, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", EVERY)
def test_shapes(name: str) -> None:
    with torch.device("meta"):
        model = build_face_model(name).eval()
    width, height = model.codec.crop_size
    out = trace_shapes(model, torch.empty(2, 3, height, width))
    assert out.logits.shape == (2, len(model.codec.classes))
    assert out.embedding.shape == (2, model.head.in_features)
    assert model.head.out_features == len(model.codec.classes)


@pytest.mark.parametrize("name", LIGHT)
def test_backward_is_finite(name: str) -> None:
    model = built(name).train()
    model.zero_grad()
    loss_of(model, *faces(model, 6)).backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter.grad).all(), key


@pytest.mark.parametrize("name", LIGHT)
def test_the_loss_falls_on_six_faces(name: str) -> None:
    torch.manual_seed(0)
    model = build_face_model(name).train()
    images, labels = faces(model, 6)
    optimiser = torch.optim.Adam(model.parameters(), 2e-3)
    losses = []
    for _ in range(12):
        loss = loss_of(model, images, labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("name", LIGHT)
def test_a_batch_of_one_equals_a_batch_of_four(name: str) -> None:
    model = built(name).eval()
    images, _ = faces(model, 4)
    with torch.inference_mode():
        whole = model(images)
        single = [model(images[i : i + 1]) for i in range(4)]
    assert_equal_to_rounding(whole, FaceOutput(*map(torch.cat, zip(*single, strict=True))))


@pytest.mark.parametrize("name", LIGHT)
def test_decoded_shares_add_up_to_one(name: str) -> None:
    model = built(name).eval()
    with torch.inference_mode():
        out = model(faces(model, 3)[0])
    shares = model.codec.decode(out)
    assert shares.shape == (3, len(model.codec.classes))
    torch.testing.assert_close(torch.from_numpy(shares.sum(1)), torch.ones(3))
    assert (shares.argmax(1) == out.logits.numpy().argmax(1)).all()


@pytest.mark.parametrize("name", LIGHT)
def test_saved_and_loaded_weights_give_the_same_answer(name: str, tmp_path: Path) -> None:
    torch.manual_seed(3)
    model = build_face_model(name, classes=("calm", "glad", "cross")).eval()
    file = tmp_path / "face.safetensors"
    zoo.save(
        model, file, {"name": name, "training_data": "none", "terms": "free", "command": "none"}
    )
    again = zoo.load_face_model(name, weights=file)
    assert again.codec.classes == ("calm", "glad", "cross")
    assert again.card is not None and again.card.joints == ()
    assert f'zoo.load_face_model("{name}")' in again.card.markdown()
    images, _ = faces(model, 2)
    with torch.inference_mode():
        assert_equal_to_rounding(again(images), model(images))


@pytest.mark.parametrize("name", LIGHT)
def test_export_gives_the_same_answer(name: str) -> None:
    model = built(name).eval()
    images, _ = faces(model, 2)
    program = torch.export.export(model, (images,))
    with torch.inference_mode():
        assert_equal_to_rounding(FaceOutput(*program.module()(images)), model(images))


def test_a_face_model_is_built_by_any_name() -> None:
    assert isinstance(build_any(LIGHT[0]), FaceModel)
