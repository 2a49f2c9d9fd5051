"""Published lifters: what their shapes tell, from a state dict and from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from chronopose import zoo
from chronopose.errors import WeightsError
from chronopose.models._find import build_lifter
from chronopose.models._lift import LiftModel
from chronopose.zoo.convert import recognise


def published(joints: int = 15, reads: int | None = None, numbers: int = 2) -> dict[str, Tensor]:
    """The keys of a published network of 16 channels, widths 3 and 5, with random values."""
    rng = torch.Generator().manual_seed(0)
    shapes = {
        "expand_conv.weight": (16, (reads or joints) * numbers, 3),
        "layers_conv.0.weight": (16, 16, 5),
        "layers_conv.1.weight": (16, 16, 1),
        "shrink.weight": (joints * 3, 16, 1),
        "shrink.bias": (joints * 3,),
    }
    for norm in ("expand_bn", "layers_bn.0", "layers_bn.1"):
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{norm}.{part}"] = (16,)
    return {key: torch.rand(shape, generator=rng) for key, shape in shapes.items()}


def loaded(state: dict[str, Tensor], **settings: Any) -> LiftModel:
    model = zoo.load_foreign("videopose3d", state, **settings)
    assert isinstance(model, LiftModel)
    return model


def test_shapes_tell_widths_channels_joints_and_score() -> None:
    config = loaded(published(numbers=3)).config
    assert (config.widths, config.channels, config.score) == ((3, 5), 16, True)
    assert config.skeleton == "humaneva15"
    assert not config.causal
    assert loaded(published(), causal=True).needs.lookahead == 0


def test_joints_of_17_are_those_of_human36m() -> None:
    assert loaded(published(17)).codec.skeleton.name == "h36m17"


def test_wide_and_narrow_layers_find_their_places() -> None:
    state = published()
    ours = zoo.load_foreign("videopose3d", state).state_dict()
    assert torch.equal(ours["expand.conv.weight"], state["expand_conv.weight"])
    assert torch.equal(ours["blocks.0.wide.conv.weight"], state["layers_conv.0.weight"])
    assert torch.equal(ours["blocks.0.point.norm.running_var"], state["layers_bn.1.running_var"])
    assert torch.equal(ours["shrink.bias"], state["shrink.bias"])


def test_a_published_checkpoint_is_read_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "epoch_60.bin"
    torch.save({"epoch": 60, "lr": 0.001, "model_pos": published()}, path)
    model = zoo.load_foreign("videopose3d", path)
    assert model.card.name == "temporal_cnn:t9"
    assert "published videopose3d weights for 15 joints" in model.card.training_data


def test_networks_that_answer_for_other_joints_than_they_read_are_refused() -> None:
    with pytest.raises(WeightsError, match="published videopose3d"):
        zoo.load_foreign("videopose3d", published(17, reads=13))


def test_our_own_weights_are_not_taken_for_published_ones() -> None:
    assert recognise(build_lifter("temporal_cnn:lite").state_dict()) is None
