"""The published experiments on COCO, PoseTrack and HiEve: schedules, windows, chains of stages."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from chronopose.core.labels import LabelledFrame
from chronopose.core.skeletons import COCO17, HIEVE14
from chronopose.data.neighbours import find_rule
from chronopose.errors import WeightsError
from chronopose.models._base import PoseModel
from chronopose.models._find import parse_name
from chronopose.recipes import (
    LabelledSpec,
    Recipe,
    coco,
    find,
    list_recipes,
    posetrack,
    posetrack_baselines,
    tdmi_ablations,
)
from chronopose.recipes._run import start
from chronopose.zoo.loading import build

FILES = (coco, posetrack, posetrack_baselines, tdmi_ablations)
OURS = tuple(n for n, f in list_recipes().items() if f.__module__ in {m.__name__ for m in FILES})
ON_CLIPS = tuple(n for n in OURS if find(n).single_frame not in (None, find(n).model))
ABLATIONS = {
    "no_rdm": 84.5,
    "last_stage": 84.4,
    "concat": 84.6,
    "no_modulation": 84.9,
    "no_mi": 84.7,
    "split": 83.8,
}


def on_meta(name: str) -> PoseModel:
    """The model of a recipe, shapes without weights; recipes with the same model share it."""
    recipe = recipe_of(name)
    return _built(recipe.model, tuple(sorted(recipe.overrides.items())))


@cache
def _built(model: str, overrides: tuple[tuple[str, Any], ...]) -> PoseModel:
    with torch.device("meta"):
        return build(parse_name(model), dict(overrides))


def recipe_of(name: str) -> Recipe:
    recipe = find(name)
    assert isinstance(recipe, Recipe)
    return recipe


@pytest.mark.parametrize(
    ("name", "epoch", "epochs", "rates"),
    [
        ("tdmi_posetrack17", 1667, 20, {0: 1e-3, 6: 1e-4, 12: 1e-5, 18: 1e-6}),
        ("tdmi_st_hieve", 1667, 20, {0: 1e-3, 6: 1e-4, 12: 1e-5, 18: 1e-6}),
        ("opflow_posetrack17", 1667, 20, {0: 1e-3, 6: 1e-4, 12: 1e-5, 18: 1e-6}),
        ("dcpose_posetrack18", 1250, 20, {0: 1e-3, 4: 1e-4, 8: 1e-5, 12: 1e-6, 16: 1e-7}),
        ("famipose_posetrack21", 1667, 21, {0: 1e-3, 10: 1e-4, 15: 1e-5}),
        ("posewarper_posetrack17", 1250, 19, {0: 1e-4, 10: 1e-5, 15: 1e-6}),
        ("hrnet_posetrack17", 1250, 3, {0: 1e-4}),
        ("simple_baseline_coco", 1172, 140, {0: 1e-3, 90: 1e-4, 120: 1e-5}),
        ("hrnet_coco", 1172, 210, {0: 1e-3, 170: 1e-4, 200: 1e-5}),
    ],
)
def test_rates_fall_at_the_published_epochs(
    name: str, epoch: int, epochs: int, rates: dict[int, float]
):
    settings = recipe_of(name).settings
    assert settings.planned_steps == epochs * epoch
    before = None
    for first, rate in rates.items():
        assert settings.lr_at(first * epoch) == pytest.approx(rate)
        if before is not None:
            assert settings.lr_at(first * epoch - 1) == pytest.approx(before)
        before = rate
    assert settings.lr_at(epochs * epoch - 1) == pytest.approx(before)


@pytest.mark.parametrize("name", OURS)
def test_the_optimiser_is_adam_and_nothing_else(name: str):
    settings = recipe_of(name).settings
    assert settings.optimiser == "adam"
    extras = (settings.weight_decay, settings.warmup_steps, settings.clip_norm, settings.ema_decay)
    assert extras == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("name", "batch"),
    [
        ("tdmi_posetrack17", 48), ("famipose_posetrack17", 48), ("dcpose_posetrack17", 2 * 32),
        ("posewarper_posetrack17", 8 * 8), ("simple_baseline_coco", 4 * 32),
    ],
)  # fmt: skip
def test_a_step_sees_as_many_clips_as_all_gpus_of_the_paper(name: str, batch: int):
    settings = recipe_of(name).settings
    assert {p.batch_size * settings.accumulate for p in settings.phases} == {batch}


@pytest.mark.parametrize(
    ("name", "offsets"),
    [
        ("tdmi_posetrack17", (-2, -1, 0, 1, 2)), ("famipose_posetrack17", (-2, -1, 0, 1, 2)),
        ("posewarper_posetrack17", (-2, -1, 0, 1, 2)), ("dcpose_posetrack17", (-1, 0, 1)),
        ("hrnet_posetrack17", (0,)),
    ],
)  # fmt: skip
def test_windows_are_the_published_ones(name: str, offsets: tuple[int, ...]):
    train = recipe_of(name).train
    assert isinstance(train, LabelledSpec)
    assert train.neighbours is not None
    assert find_rule(train.neighbours, train.frames).offsets == offsets
    assert not train.training  # nothing is drawn: the frames of a clip are those of the rule


@pytest.mark.parametrize("name", OURS)
def test_data_give_what_the_model_reads(name: str):
    recipe, model = recipe_of(name), on_meta(name)
    for spec in (recipe.train, recipe.val):
        if spec is None:
            assert name.endswith("hieve")  # its other labels are not public
            continue
        assert isinstance(spec, LabelledSpec)
        assert spec.skeleton == model.codec.skeleton.name
        rule = find_rule(spec.neighbours or "still", spec.frames)
        assert rule.offsets == model.needs.offsets


@pytest.mark.filterwarnings("ignore:.*no-op")
@pytest.mark.parametrize("name", ON_CLIPS)
def test_what_a_stage_leaves_fits_the_next(name: str):
    dataset = name.rpartition("_")[2]
    single = on_meta(f"hrnet_{dataset}")
    on_meta(name).load_single_frame(single.state_dict())  # type: ignore[operator]
    pretrained = on_meta("hrnet_coco_hieve14" if dataset == "hieve" else "hrnet_coco")
    shapes = [{k: v.shape for k, v in m.state_dict().items()} for m in (single, pretrained)]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("name", ON_CLIPS)
def test_only_the_temporal_part_is_trained(name: str):
    model = on_meta(name)
    trained = {n.partition(".")[0] for n, p in model.named_parameters() if p.requires_grad}
    assert trained
    assert not trained & {"backbone", "flow"}


def test_fine_tuning_without_weights_is_refused():
    with pytest.raises(WeightsError):
        start(on_meta("hrnet_posetrack17"), recipe_of("hrnet_posetrack17"), None)


@pytest.mark.parametrize(("row", "mean"), ABLATIONS.items())
def test_a_row_of_the_ablations_differs_in_one_switch(row: str, mean: float):
    name = f"tdmi_{row}_posetrack17"
    recipe, whole = recipe_of(name), recipe_of("tdmi_posetrack17")
    assert len(recipe.overrides) == 1
    assert replace(recipe, name=whole.name, overrides={}) == whole
    assert on_meta(name).config != on_meta("tdmi_posetrack17").config
    text = list_recipes()[name].__doc__ or ""
    assert re.search(rf"Published +{mean} mAP", text)


def test_opflow_insists_on_trained_flow():
    assert recipe_of("opflow_posetrack17").overrides == {"flow.pretrained": True}


def test_coco_shows_every_joint_of_hieve_its_chest_between_the_shoulders():
    frame = LabelledFrame("a.jpg", 0, COCO17, np.ones((1, 17, 2)))
    known = np.isfinite(frame.to_skeleton(HIEVE14).xy[0]).all(-1)
    assert known.all()
