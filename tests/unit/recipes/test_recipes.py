"""The registry of recipes, and what each of them promises."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import pytest
import torch

from chronopose import zoo
from chronopose.engine.checkpoint import write_checkpoint
from chronopose.engine.settings import Phase
from chronopose.errors import UsageError, WeightsError
from chronopose.models._base import PoseModel
from chronopose.models._find import build_any, build_model, override, parse_name
from chronopose.models.person_detector import PRESETS as DETECTORS
from chronopose.recipes import Places, find, list_recipes
from chronopose.recipes._detector import DetectorRecipe
from chronopose.recipes._recipe import MixtureSpec, ProceduralSpec, Recipe
from chronopose.recipes._run import WEIGHTS, card_of, run, start, with_settings
from chronopose.zoo.loading import build

DOCSTRING = ("Command", "Hardware", "Hours", "Published", "Ours")


def test_the_folder_is_the_registry():
    assert {"simple_baseline_lite", "tdmi_lite", "procedural"} <= set(list_recipes())


@pytest.mark.parametrize("name", list_recipes())
def test_every_recipe_says_what_it_costs_and_gives(name: str):
    text = list_recipes()[name].__doc__ or ""
    assert [word for word in DOCSTRING if f"\n    {word} " not in text] == []
    assert f"chronopose train {name}" in text


@cache
def on_meta(model: str, overrides: tuple[tuple[str, object], ...]) -> PoseModel:
    """Shapes without weights; recipes with the same model share it."""
    with torch.device("meta"):
        return build(parse_name(model), dict(overrides))


@pytest.mark.parametrize("name", list_recipes())
def test_every_recipe_fits_its_model(name: str):
    recipe = find(name)
    assert recipe.name == name
    assert recipe.terms
    assert recipe.trained_on
    if isinstance(recipe, DetectorRecipe):
        override(DETECTORS["lite"], recipe.overrides)
        return
    if not isinstance(recipe, Recipe):
        with torch.device("meta"):
            build_any(recipe.model, None, **recipe.overrides)
        return
    model = on_meta(recipe.model, tuple(sorted(recipe.overrides.items())))
    assert recipe.settings.phases[-1].crop_size == model.needs.crop_size
    for phase in recipe.settings.phases:
        assert all(side % 32 == 0 for side in phase.crop_size)


@pytest.mark.parametrize("spelling", ["tdmi_lite", "tdmi:lite", "tdmi-lite"])
def test_a_recipe_is_found_by_the_name_of_its_model(spelling: str):
    assert find(spelling).model == "tdmi:lite"


def test_a_misspelt_recipe_gets_a_suggestion():
    with pytest.raises(UsageError, match="Did you mean 'procedural'"):
        find("procedual")


def test_a_recipe_that_needs_data_says_so():
    with pytest.raises(UsageError, match="--data"):
        find("simple_baseline_lite").train.build(Places())


def test_settings_are_replaced_by_name_and_none_changes_nothing():
    recipe = with_settings(find("procedural"), {"seed": 5, "overfit": None})
    assert recipe.settings == replace(find("procedural").settings, seed=5)
    with pytest.raises(UsageError, match="sede"):
        with_settings(recipe, {"sede": 5})


def test_the_last_phases_end_at_rate_zero():
    for name in ("simple_baseline_lite", "tdmi_lite", "procedural"):
        settings = find(name).settings
        last = settings.lr_at(settings.planned_steps - 1)
        assert 0 < last < 0.05 * max(p.lr[0] for p in settings.phases)


def small(name: str, tmp_path, **changes: object) -> Recipe:
    frames = len(build_model(find(name).model).needs.offsets)
    data = ProceduralSpec(count=4, frames=frames, size=(64, 64))
    settings = replace(
        find(name).settings, phases=(Phase(steps=2, crop_size=(64, 64), batch_size=2),),
        val_batch_size=4,
    )  # fmt: skip
    return replace(find(name), train=data, val=data, settings=settings, **changes)


def test_the_body_of_a_backbone_alone_starts_another_head():
    twin = zoo.load("simple_baseline:lite").state_dict()
    for name, body in (
        ("clnet_lite_nano", "net.body."), ("simple_baseline_lite_body_nano", "backbone.body."),
    ):  # fmt: skip
        torch.manual_seed(0)
        model = build_model(find(name).model)
        before = {k: v.clone() for k, v in model.state_dict().items()}
        start(model, find(name), None)
        for key, value in model.state_dict().items():
            wanted = before[key]
            if key.startswith(body):
                wanted = twin["backbone.body." + key.removeprefix(body)]
            assert torch.equal(value, wanted), key
    with pytest.raises(WeightsError, match="another one"):
        start(build_model("clnet:r18"), find("clnet_lite_nano"), None)


def test_a_single_frame_run_becomes_the_start_of_tdmi(tmp_path):
    places = Places(cache=tmp_path / "cache")
    single = run(
        small("simple_baseline_lite", tmp_path), tmp_path / "single", places=places, device="cpu",
        quiet=True,
    )  # fmt: skip
    twin = zoo.load("simple_baseline:lite", weights=tmp_path / "single" / WEIGHTS)
    assert torch.equal(twin.head.weight, single.model.head.weight)
    assert "LSPET" in twin.card.training_data

    model = build_model("tdmi:lite").eval()
    start(model, find("tdmi_lite"), tmp_path / "single")
    frames = torch.randn(1, 5, 3, 64, 64)
    best = build_model("simple_baseline:lite")
    start(best, find("simple_baseline_lite"), tmp_path / "single")
    with torch.no_grad():
        torch.testing.assert_close(
            model(frames).heatmaps, best.eval()(frames[:, 2:3]).heatmaps, atol=1e-5, rtol=1e-5
        )

    video = run(
        small("tdmi_lite", tmp_path), tmp_path / "video", places=places,
        init=tmp_path / "single" / WEIGHTS, device="cpu", quiet=True,
    )  # fmt: skip
    assert torch.equal(video.model.backbone.smooth[0][0].weight, twin.backbone.smooth[0][0].weight)
    assert not torch.equal(video.model.head.weight, torch.zeros_like(video.model.head.weight))


def test_weights_of_another_model_are_refused(tmp_path):
    write_checkpoint(tmp_path / "best.ckpt", {"model": {"w": torch.zeros(1)}})
    with pytest.raises(WeightsError, match="single-frame twin"):
        start(build_model("tdmi:lite"), find("tdmi_lite"), tmp_path)


def test_the_card_names_data_terms_and_score():
    result = SimpleNamespace(validation={"pck": 61.237}, steps=12)
    card = card_of(find("simple_baseline_lite"), result)  # type: ignore[arg-type]
    assert card["training_data"].startswith("LSPET images 1-8500")
    assert "research" in card["terms"]
    assert card["scores"][0]["value"] == 61.24
    assert "--data DIR" in card["command"]


def test_mixtures_are_built_of_their_parts(tmp_path):
    parts = (ProceduralSpec(count=3, cached=False), ProceduralSpec(count=2, seed=50, cached=False))
    mixture = MixtureSpec(parts=parts, shares=(1, 1)).build(Places(cache=tmp_path))
    assert len(mixture) == 6
