"""The single-frame yardsticks: keys, deep supervision, official checkpoints."""

from __future__ import annotations

import pytest
import torch

from chronopose.errors import ShapeError, UsageError
from chronopose.models._find import build_model, config_of
from chronopose.nn.cost import count_macs

TINY = (64, 96)


def test_lite_keys_are_those_of_its_checkpoints() -> None:
    keys = build_model("simple_baseline", "lite").state_dict().keys()
    tops = {".".join(k.split(".")[: 2 if k.startswith("backbone") else 1]) for k in keys}
    assert tops == {"backbone.body", "backbone.lateral", "backbone.smooth", "head"}
    assert {k for k in keys if k.startswith("head")} == {"head.weight", "head.bias"}


def test_lite_gives_side_maps_while_training_only() -> None:
    model = build_model("simple_baseline", "lite", crop_size=TINY)
    frames = torch.randn(2, 1, 3, 96, 64)
    out = model(frames)
    assert [tuple(m.shape) for m in out.side] == [(2, 14, 12, 8), (2, 14, 6, 4)]  # type: ignore[union-attr]
    assert model.eval()(frames).side == ()  # type: ignore[union-attr]


def test_side_terms_are_named_by_stride_and_weigh_less() -> None:
    model = build_model("simple_baseline", "lite", crop_size=TINY)
    target = model.codec.encode(torch.full((2, 14, 2), 30.0), torch.ones(2, 14))
    terms = model.criterion()(model(torch.randn(2, 1, 3, 96, 64)), target)
    assert set(terms) == {"heatmap", "side_8", "side_16"}
    assert model.weights_of_terms() == {"side_8": 0.3, "side_16": 0.2}


def test_side_outputs_need_the_pyramid() -> None:
    with pytest.raises(UsageError, match="resnet50 has none"):
        build_model("simple_baseline", "r50", side_outputs=True)


@pytest.mark.parametrize("name", ["hrnet:w32", "simple_baseline:lite"])
def test_two_frames_are_one_too_many(name: str) -> None:
    with pytest.raises(ShapeError, match="one frame at a time; got 2"):
        build_model(name, crop_size=TINY).eval()(torch.randn(1, 2, 3, 96, 64))


@pytest.mark.parametrize(
    ("name", "params_m"),
    [
        ("hrnet:w32", 28.5),
        ("hrnet:w48", 63.6),
        ("simple_baseline:r50", 34.0),
        ("simple_baseline:r101", 53.0),
        ("simple_baseline:r152", 68.6),
    ],
)
def test_sizes_are_the_published_ones(name: str, params_m: float) -> None:
    with torch.device("meta"):
        model = build_model(name).eval()
    width, height = model.needs.crop_size
    cost = count_macs(model, torch.empty(1, 1, 3, height, width, device="meta"))
    assert cost.params / 1e6 == pytest.approx(params_m, abs=0.06)


@pytest.mark.parametrize(
    ("name", "sigma"),
    [("hrnet:w48", 3.0), ("hrnet:w48_256", 2.0), ("simple_baseline:lite", 2.0)],
)
def test_spread_of_the_target_follows_the_crop(name: str, sigma: float) -> None:
    assert config_of(*name.split(":")).build_codec().sigma == sigma
