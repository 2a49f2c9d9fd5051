"""Weights of models that read whole frames: saved with a card, loaded by name, kept apart."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from chronopose import zoo
from chronopose.errors import UsageError, WeightsError
from chronopose.models._find import build_model, build_scene_model

SAID = {
    "name": "pavenet:lite@test",
    "training_data": "nothing",
    "terms": "test only",
    "command": "none",
}


def test_a_saved_scene_model_comes_back_with_its_card(tmp_path: Path) -> None:
    model = build_scene_model("pavenet:lite", queries=20, frame_size=(160, 96)).eval()
    path = tmp_path / "scene.safetensors"
    zoo.save(model, path, SAID)
    again = zoo.load_scene("pavenet:lite", weights=path)
    assert again.card.codec == {"frame_size": [160, 96], "align": "centre"}
    assert again.config == model.config and not again.training
    frames = torch.randn(1, 3, 3, 64, 96)
    with torch.no_grad():
        assert torch.equal(again(frames).joints, model(frames).joints)


def test_random_weights_are_had_by_their_tag() -> None:
    assert zoo.load_scene("pavenet:lite@random").card.name == "pavenet:lite@random"


def test_models_of_crops_and_of_whole_frames_are_not_mixed_up() -> None:
    with pytest.raises(UsageError, match=r"zoo\.load_scene"):
        zoo.load("pavenet:lite@random")
    with pytest.raises(UsageError, match=r"zoo\.load"):
        zoo.load_scene("hrnet:w32@random")
    with pytest.raises(UsageError, match="build_scene_model"):
        build_model("pavenet:lite")
    with pytest.raises(UsageError, match="build_model"):
        build_scene_model("hrnet:w32")


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save(build_model("simple_baseline:lite").state_dict(), path)
    with pytest.raises(WeightsError):
        zoo.load_scene("pavenet:lite", weights=path)
