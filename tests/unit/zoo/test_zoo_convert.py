"""Published checkpoints: recognised by their keys and loaded under the law they were trained by."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from chronopose import zoo
from chronopose.errors import UsageError, WeightsError
from chronopose.models._base import PoseModel
from chronopose.models._find import build_model, find_model
from chronopose.zoo.convert import recognise, sources


def published(model: PoseModel) -> dict[str, Tensor]:
    """The state dict of ``model`` under the keys of the published code."""
    state = model.state_dict()
    if type(model).__name__ == "HRNetPose":
        return {k.removeprefix("backbone."): v for k, v in state.items()}
    names = {
        "backbone.body.": "",
        "backbone.deconv_layers.": "deconv_layers.",
        "head.": "final_layer.",
    }
    return {
        new + key.removeprefix(old): value
        for key, value in state.items()
        for old, new in names.items()
        if key.startswith(old)
    }


@pytest.fixture(scope="module")
def r50() -> PoseModel:
    return build_model("simple_baseline", "r50", crop_size=(64, 96)).eval()


@pytest.fixture(scope="module")
def r50_file(r50: PoseModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("published") / "pose_resnet_50_384x288.pth.tar"
    torch.save(published(r50), path)
    return path


@pytest.fixture(scope="module")
def w32() -> PoseModel:
    return build_model("hrnet", "w32", crop_size=(64, 96)).eval()


def heatmaps(model: PoseModel) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        return model(torch.randn(1, 1, 3, 96, 64, generator=generator)).heatmaps


def test_every_source_belongs_to_a_model() -> None:
    assert {"hrnet", "posewarper", "simple_baseline"} <= set(sources())
    for name in sources():
        source = import_module(f"chronopose.zoo.convert.{name}")
        assert callable(find_model(source.MODEL).from_official_keys)  # type: ignore[attr-defined]
        assert all(callable(getattr(source, f)) for f in ("recognises", "preset_of", "joints_of"))


def test_published_simple_baseline_gives_the_same_heatmaps(r50: PoseModel, r50_file: Path) -> None:
    again = zoo.load_foreign("simple_baseline", r50_file, crop_size=(64, 96))
    torch.testing.assert_close(heatmaps(again), heatmaps(r50), rtol=0, atol=0)


def test_published_hrnet_gives_the_same_heatmaps(w32: PoseModel, tmp_path: Path) -> None:
    path = tmp_path / "pose_hrnet_w32_96x64.pth"
    torch.save({f"module.{k}": v for k, v in published(w32).items()}, path)
    again = zoo.load_foreign("hrnet", path)
    torch.testing.assert_close(heatmaps(again), heatmaps(w32), rtol=0, atol=0)


def test_published_weights_follow_the_corner_law_and_the_size_in_their_name(r50_file: Path) -> None:
    codec: Any = zoo.load_foreign("simple_baseline", r50_file).codec
    assert (codec.align, codec.rounded, codec.decoder) == ("corner", True, "quarter")
    assert (codec.crop_size, codec.sigma) == ((288, 384), 3.0)


def test_settings_that_are_given_win(r50_file: Path) -> None:
    codec: Any = zoo.load_foreign(
        "simple_baseline", r50_file, crop_size=(192, 256), decoder="dark"
    ).codec
    assert (codec.crop_size, codec.decoder) == ((192, 256), "dark")


def test_published_file_loads_by_name_too_and_its_card_says_what_it_is(r50_file: Path) -> None:
    model: Any = zoo.load("simple_baseline:r50", weights=r50_file)
    assert model.codec.align == "corner"
    assert "published simple_baseline weights" in model.card.training_data  # type: ignore[union-attr, operator]


def test_number_of_heatmaps_decides_the_joints(r50: PoseModel, tmp_path: Path) -> None:
    state = published(r50)
    state["final_layer.weight"], state["final_layer.bias"] = (
        torch.zeros(16, 256, 1, 1),
        torch.zeros(16),
    )
    torch.save(state, tmp_path / "w.pth")
    model = zoo.load_foreign("simple_baseline", tmp_path / "w.pth", crop_size=(64, 96))
    assert model.codec.skeleton.name == "mpii16"


def test_unknown_number_of_heatmaps_asks_for_the_joints(r50: PoseModel, tmp_path: Path) -> None:
    state = published(r50)
    state["final_layer.weight"], state["final_layer.bias"] = (
        torch.zeros(14, 256, 1, 1),
        torch.zeros(14),
    )
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="skeleton=NAME"):
        zoo.load_foreign("simple_baseline", tmp_path / "w.pth")
    named = zoo.load_foreign("simple_baseline", tmp_path / "w.pth", skeleton="lsp14")
    assert named.codec.skeleton.name == "lsp14"


def test_published_weights_of_another_model_name_the_right_one(r50_file: Path) -> None:
    with pytest.raises(WeightsError, match="Load them as simple_baseline:r50"):
        zoo.load("hrnet:w32", weights=r50_file)


def test_our_own_keys_are_not_taken_for_published_ones(r50: PoseModel, w32: PoseModel) -> None:
    assert recognise(r50.state_dict()) is None
    assert recognise(w32.state_dict()) is None


def test_width_of_a_published_hrnet_is_read_off_its_shapes(w32: PoseModel) -> None:
    found = recognise(published(w32))
    assert found is not None
    assert (found.source, found.preset, found.joints) == ("hrnet", "w32", 17)


def test_unknown_source_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"hrnet, .*simple_baseline"):
        zoo.load_foreign("openpose", tmp_path / "w.pth")


def test_file_of_another_source_is_refused(r50_file: Path) -> None:
    with pytest.raises(WeightsError, match="published hrnet"):
        zoo.load_foreign("hrnet", r50_file)
