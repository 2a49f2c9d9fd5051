"""A model of whole frames from generated clips to a score: trained by a recipe, then evaluated."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from chronopose import zoo
from chronopose.cli.main import main
from chronopose.data.scene_augment import SceneAugmentation
from chronopose.errors import UsageError, WeightsError
from chronopose.recipes import Places, find
from chronopose.recipes._run import run, with_settings
from chronopose.synth.generate import GenerateSettings, generate
from chronopose.synth.scenario import ClipPlan

TINY = {
    "skeleton": "posetrack15", "frame_size": (96, 64), "width": 32, "hidden": (32, 16),
    "encoder_layers": 1, "decoder_layers": 1, "queries": 8, "people": 4,
}  # fmt: skip
SMALL = SceneAugmentation(shorter=(48, 64), longest=96, crop_from=(64,), crop=(48, 64))


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("set")
    plan = ClipPlan(seed=3, difficulty="clean", frames=2, fps=10.0, size=(96, 64))
    list(generate([plan], folder, GenerateSettings(renderer="soft")))
    return folder


def small(**changes: Any) -> Any:
    """``pavenet_lite`` of one step, validated on its own training clip."""
    recipe: Any = with_settings(find("pavenet_lite"), {"limit_batches": 1})
    settings = replace(recipe.settings, batch_size=2, workers=0, val_every=1)
    return replace(
        recipe, val_split="train", val_options={}, augmentation=SMALL, overrides=TINY,
        settings=settings, **changes,
    )  # fmt: skip


@pytest.fixture(scope="module")
def trained(generated: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("run")
    return run(small(), folder, places=Places(data=generated), device="cpu", quiet=True)


def test_a_run_ends_with_weights_and_a_card(trained: Any) -> None:
    assert trained.steps == 1 and trained.validated and set(trained.validation) == {"ap"}
    weights = trained.run_dir / "weights.safetensors"
    model: Any = zoo.load_scene("pavenet:lite", weights=weights)
    assert model.codec.skeleton.name == "posetrack15" and "LSPET" in model.card.training_data
    twin = zoo.load("simple_baseline:lite").state_dict()
    own = model.backbone.body.layer1[0].conv1.weight
    assert torch.equal(own, twin["backbone.body.layer1.0.conv1.weight"])


def test_evaluate_scores_whole_frames(
    trained: Any, generated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", "--model", "pavenet:lite", "--data", f"synthtrack:{generated}"]
    words += ["--weights", str(trained.run_dir / "weights.safetensors"), "--split", "train"]
    words += ["--device", "cpu", "--json", str(tmp_path / "score.json")]
    assert main([*words, "--metric", "official"]) == 0
    assert "synthtrack train, whole frames, no boxes" in capsys.readouterr().out
    result = json.loads((tmp_path / "score.json").read_text())
    assert result["metric"] == "posetrack-ap" and result["boxes"] is None
    # Files round coordinates, which validation during training does not.
    found, told = result["result"]["groups"]["Total"], trained.validation["ap"]
    assert found == pytest.approx(told, abs=0.5)
    assert main([*words, "--flip-test"]) == 2
    assert "knows no flip test" in capsys.readouterr().err


def test_a_run_goes_on_from_the_folder_of_another(
    trained: Any, generated: Path, tmp_path: Path
) -> None:
    places = Places(data=generated)
    recipe = small()
    settings = replace(recipe.settings, warmup_steps=0, lr=1e-5, val_every=0, ema_decay=0.0)
    on = run(
        replace(recipe, settings=settings), tmp_path / "b", places=places,
        init=trained.run_dir, device="cpu", quiet=True,
    )  # fmt: skip
    before, after = (m.neck.maps[0].conv.weight.detach() for m in (trained.model, on.model))
    assert 0 < float((after - before).abs().max()) < 2e-5
    assert not on.validated
    still = replace(recipe, overrides={**TINY, "num_frames": 5})
    with pytest.raises(WeightsError, match="does not fit"):
        run(still, tmp_path / "c", places=places, init=trained.run_dir, device="cpu", quiet=True)


def test_what_a_recipe_needs_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--data"):
        run(find("pavenet_lite"), tmp_path, places=Places())
    with pytest.raises(UsageError, match="--init"):
        run(find("pavenet_r50_posetrack17"), tmp_path, places=Places(data=tmp_path))
