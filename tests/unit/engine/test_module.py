"""The Lightning module that trains every model."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from chronopose.engine.module import (
    PoseModule,
    criterion_for,
    make_target,
    phase_codec,
    sum_terms,
    to_float,
    update_average,
)
from chronopose.engine.settings import Phase, TrainSettings
from chronopose.tensors import ClipBatch

PHASE = Phase(steps=4, crop_size=(48, 64), sigma=1.5)
SETTINGS = TrainSettings(phases=(PHASE,))


def test_the_average_moves_by_one_minus_the_decay():
    average, model = nn.BatchNorm1d(1), nn.BatchNorm1d(1)
    nn.init.constant_(average.weight, 1.0)
    nn.init.constant_(model.weight, 3.0)
    model.running_mean.fill_(10.0)
    model.num_batches_tracked.fill_(7)
    update_average(average, model, 0.75)
    assert float(average.weight) == pytest.approx(1.5)
    assert float(average.running_mean) == pytest.approx(2.5)
    assert int(average.num_batches_tracked) == 7


def test_the_codec_of_a_phase_has_its_crop_and_spread(make_small):
    codec = phase_codec(make_small(), PHASE)
    assert (codec.crop_size, codec.sigma, codec.activation) == ((48, 64), 1.5, "softmax")


def test_the_criterion_is_built_for_the_phase_and_the_model_keeps_its_codec(make_small):
    model = make_small()
    own = model.codec
    criterion = criterion_for(model, phase_codec(model, PHASE))
    assert criterion.codec.crop_size == (48, 64)
    assert model.codec is own


def batch_of(joints: Tensor) -> ClipBatch:
    full = torch.full((1, 1, 14, 2), 10.0)
    full[0, 0, : len(joints)] = joints
    return ClipBatch(
        torch.zeros(1, 1, 3, 32, 32), full, torch.ones(1, 1, 14, dtype=torch.bool), 0,
        torch.eye(2, 3)[None],
    )  # fmt: skip


def test_joints_outside_the_crop_are_not_trained_on(make_small):
    places = torch.tensor([[31.4, 5.0], [31.6, 5.0], [-0.4, 5.0], [-0.6, 5.0], [5.0, 40.0]])
    weight = make_target(make_small().codec, batch_of(places)).weight[0]
    assert weight[:6].tolist() == [1, 0, 1, 0, 0, 1]


def test_unlabelled_joints_are_not_trained_on_and_leave_no_nan(make_small):
    target = make_target(make_small().codec, batch_of(torch.tensor([[float("nan"), 3.0]])))
    assert target.weight[0, 0] == 0
    assert torch.isfinite(target.heatmaps).all()


def test_terms_are_weighted_by_settings_before_the_model(make_small):
    model = make_small()
    model.weights_of_terms = lambda: {"a": 10.0, "b": 10.0}  # type: ignore[method-assign]
    settings = TrainSettings(phases=(PHASE,), term_weights={"b": 2.0})
    terms = {"a": torch.tensor(1.0), "b": torch.tensor(1.0), "c": torch.tensor(1.0)}
    assert float(sum_terms(terms, model, settings)) == 13.0


def test_decay_is_on_kernels_only_and_frozen_weights_are_left_out(make_small):
    model = make_small()
    model.body[3].requires_grad_(False)
    groups = PoseModule(model, SETTINGS).configure_optimizers().param_groups
    assert [g["weight_decay"] for g in groups] == [0.05, 0.0]
    assert [len(g["params"]) for g in groups] == [2, 4]
    assert all(p.ndim > 1 for p in groups[0]["params"])


class Pair(NamedTuple):
    """Like a model's output."""

    maps: Tensor
    side: tuple[Tensor, ...]
    none: None = None


def test_outputs_become_float32_and_keep_their_type():
    half = torch.ones(2, dtype=torch.bfloat16)
    out = to_float(Pair(half, (half,)))
    assert isinstance(out, Pair)
    assert out.maps.dtype == out.side[0].dtype == torch.float32
    assert out.none is None
