"""save and load: what comes back is what went in, and everything else is refused by name."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from chronopose import zoo
from chronopose.errors import UsageError, WeightsError
from chronopose.models._base import PoseModel
from chronopose.models._find import build_model
from chronopose.zoo.card import SHIPPED

NAME = "simple_baseline:lite@test"
SAID = {
    "name": NAME,
    "training_data": "nothing",
    "terms": "test only",
    "command": "none",
    "scores": [{"data": "none", "metric": "PCK", "value": 1.5, "command": "none"}],
}
SIZE = (64, 96)
HALF_TOLERANCE = 0.01
"""Largest change of a heatmap by float16 on disk, as a share of the map's own spread."""


@pytest.fixture(scope="module")
def model() -> PoseModel:
    """A small network whose every weight matters to its output."""
    torch.manual_seed(7)
    built = build_model("simple_baseline", "lite", crop_size=SIZE, sigma=1.5)
    with torch.no_grad():
        for value in built.state_dict().values():
            if value.is_floating_point():
                value.add_(0.02 * torch.rand_like(value))
        torch.nn.init.normal_(built.get_submodule("head").weight)  # type: ignore[arg-type]
    return built.eval()


@pytest.fixture(scope="module")
def original(model: PoseModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("original") / "sb.safetensors"
    zoo.save(model, path, SAID)
    return path


@pytest.fixture
def saved(original: Path, tmp_path: Path) -> Path:
    """A copy of the saved model that a test may spoil."""
    for file in (original, original.with_suffix(".json")):
        shutil.copy(file, tmp_path)
    return tmp_path / original.name


def heatmaps(model: PoseModel) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    frames = torch.randn(2, 1, 3, SIZE[1], SIZE[0], generator=generator)
    with torch.no_grad():
        return model(frames).heatmaps


def tampered(path: Path, **changes: Any) -> None:
    """Rewrite fields of the card of ``path``."""
    page = path.with_suffix(".json")
    page.write_text(json.dumps({**json.loads(page.read_text()), **changes}))


def rewritten(path: Path, state: dict[str, Tensor]) -> Path:
    """The same folder's file without a card."""
    other = path.with_name("other.safetensors")
    safetensors.torch.save_file(state, other)
    return other


def test_loaded_model_gives_the_same_heatmaps(model: PoseModel, saved: Path) -> None:
    again = zoo.load(NAME, weights=saved)
    torch.testing.assert_close(heatmaps(again), heatmaps(model), rtol=0, atol=0)


def test_loaded_model_has_the_config_it_was_saved_with(model: PoseModel, saved: Path) -> None:
    again = zoo.load(NAME, weights=saved)
    assert again.config == model.config
    assert again.codec == model.codec


def test_loaded_model_is_in_eval_mode_and_carries_its_card(saved: Path) -> None:
    again = zoo.load(NAME, weights=saved)
    assert not again.training
    assert again.card.name == NAME  # type: ignore[union-attr]
    assert again.card.scores[0]["value"] == 1.5  # type: ignore[union-attr, index]


def test_half_precision_on_disk_halves_the_file_and_hardly_moves_the_heatmaps(
    model: PoseModel, saved: Path, tmp_path: Path
) -> None:
    small = tmp_path / "half.safetensors"
    zoo.save(model, small, SAID, half=True)
    whole, halved = heatmaps(model), heatmaps(zoo.load(NAME, weights=small))
    assert small.stat().st_size < 0.55 * saved.stat().st_size
    assert 0 < (whole - halved).abs().max() < HALF_TOLERANCE * whole.std()


def test_values_beyond_half_precision_are_kept(model: PoseModel, tmp_path: Path) -> None:
    path = tmp_path / "large.safetensors"
    large = build_model("simple_baseline", "lite", crop_size=SIZE)
    with torch.no_grad():
        large.get_submodule("head").weight[0, 0] = 70000.0  # type: ignore[index, operator]
    zoo.save(large, path, SAID, half=True)
    assert safetensors.torch.load_file(path)["head.weight"].max() == 70000.0


@pytest.mark.parametrize(
    "name", [c.name for c in zoo.list_cards([SHIPPED]) if c.model != "person_detector"]
)
def test_shipped_weights_load_by_their_name(name: str) -> None:
    assert zoo.load_any(name).card.name == name  # type: ignore[union-attr]


def test_weights_are_found_by_name_in_the_folder_of_the_variable(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHRONOPOSE_WEIGHTS", str(saved.parent))
    assert zoo.load(NAME).card.path == saved  # type: ignore[union-attr]


def test_saving_twice_writes_the_same_bytes(model: PoseModel, saved: Path, tmp_path: Path) -> None:
    twin = tmp_path / "twin.safetensors"
    zoo.save(model, twin, SAID)
    assert twin.read_bytes() == saved.read_bytes()


def test_saving_leaves_no_other_files(original: Path) -> None:
    assert sorted(os.listdir(original.parent)) == ["sb.json", "sb.safetensors"]


def test_card_lists_joints_codec_and_normalisation(saved: Path) -> None:
    page = json.loads(saved.with_suffix(".json").read_text())
    assert page["joints"][-1] == "head_top"
    assert page["codec"]["crop_size"] == [64, 96]
    assert page["codec"]["activation"] == "softmax"
    assert page["normalisation"]["mean"] == [0.485, 0.456, 0.406]
    assert len(page["sha256"]) == 64


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"licence": "free"}, "licence"),
        ({"term": "free"}, "Did you mean 'terms'"),
        ({"name": "tdmi:lite"}, "SimpleBaseline"),
        ({"name": "simple_baseline:light"}, "lite"),
        ({"name": "simple_baseline:lite@random"}, "untrained"),
        ({"terms": ""}, "terms"),
    ],
)
def test_impossible_cards_are_refused_and_nothing_is_written(
    changes: dict[str, Any], word: str, model: PoseModel, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=word):
        zoo.save(model, tmp_path / "x.safetensors", {**SAID, **changes})
    assert os.listdir(tmp_path) == []


def test_card_without_terms_is_not_written(model: PoseModel, tmp_path: Path) -> None:
    said = {k: v for k, v in SAID.items() if k != "terms"}
    with pytest.raises(UsageError, match="no terms"):
        zoo.save(model, tmp_path / "x.safetensors", said)


def test_diverged_weights_are_not_written(tmp_path: Path) -> None:
    broken = build_model("simple_baseline", "lite", crop_size=SIZE)
    with torch.no_grad():
        broken.get_submodule("head").bias[0] = torch.nan  # type: ignore[index, operator]
    with pytest.raises(WeightsError, match=r"head\.bias"):
        zoo.save(broken, tmp_path / "x.safetensors", SAID)
    assert os.listdir(tmp_path) == []


def test_failed_save_keeps_what_was_there(saved: Path) -> None:
    before = saved.read_bytes()
    broken = build_model("simple_baseline", "lite", crop_size=SIZE)
    with torch.no_grad():
        broken.get_submodule("head").bias[0] = torch.inf  # type: ignore[index, operator]
    with pytest.raises(WeightsError):
        zoo.save(broken, saved, SAID)
    assert saved.read_bytes() == before


def test_saving_into_a_missing_folder_says_so(model: PoseModel, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="does not exist"):
        zoo.save(model, tmp_path / "no" / "x.safetensors", SAID)


def test_random_weights_have_to_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHRONOPOSE_WEIGHTS", raising=False)
    by_tag = zoo.load("simple_baseline:lite@random")
    by_argument = zoo.load("simple_baseline:lite", weights="random")
    assert by_tag.card.name == by_argument.card.name == "simple_baseline:lite@random"  # type: ignore[union-attr]
    with pytest.raises(WeightsError, match="r101"):
        zoo.load("simple_baseline:r101")


def test_unknown_preset_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="lite"):
        zoo.load("simple_baseline:lit@random")


def test_changed_file_is_refused_by_its_sum_unless_told_otherwise(saved: Path) -> None:
    tampered(saved, sha256="0" * 64)
    with pytest.raises(WeightsError, match="000000"):
        zoo.load(NAME, weights=saved)
    assert zoo.load(NAME, weights=saved, verify=False).card.sha256 == "0" * 64  # type: ignore[union-attr]


def test_file_that_is_cut_off_is_refused(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes()[:-1000])
    with pytest.raises(WeightsError, match="SHA-256"):
        zoo.load(NAME, weights=saved)
    with pytest.raises(WeightsError, match="cut off"):
        zoo.load(NAME, weights=saved, verify=False)


@pytest.mark.parametrize("content", [b"", b"abc", b"\xff" * 64])
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_files_of_another_kind_are_refused(content: bytes, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"w{suffix}"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"w\."):
        zoo.load(NAME, weights=path)


@pytest.mark.parametrize("name", ["gone.safetensors", "gone.pth"])
def test_missing_file_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=name):
        zoo.load(NAME, weights=tmp_path / name)


def test_a_folder_is_no_weights_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no weights file"):
        zoo.load(NAME, weights=tmp_path)


def test_unknown_suffix_lists_the_known_ones(tmp_path: Path) -> None:
    (tmp_path / "w.onnx").write_bytes(b"x")
    with pytest.raises(WeightsError, match=r"\.safetensors, \.pth"):
        zoo.load(NAME, weights=tmp_path / "w.onnx")


def test_weights_of_another_model_name_the_right_one(saved: Path) -> None:
    with pytest.raises(WeightsError, match=r"Load it as simple_baseline:lite\."):
        zoo.load("tdmi:lite", weights=saved)


def test_card_with_other_joints_is_refused(saved: Path) -> None:
    joints = json.loads(saved.with_suffix(".json").read_text())["joints"]
    tampered(saved, joints=["nose", *joints[1:]])
    with pytest.raises(WeightsError, match="gives the joints nose"):
        zoo.load(NAME, weights=saved)


@pytest.mark.parametrize(
    ("key", "value", "word"),
    [("skeleton", "martian9", "martian9"), ("colour", "red", "colour"), ("sigma", -1.0, "sigma")],
)
def test_card_with_a_config_that_cannot_be_built_is_refused(
    key: str, value: Any, word: str, saved: Path
) -> None:
    config = json.loads(saved.with_suffix(".json").read_text())["config"]
    tampered(saved, config={**config, key: value})
    with pytest.raises(WeightsError, match=word):
        zoo.load(NAME, weights=saved)


def test_missing_unexpected_and_misshapen_entries_are_counted_and_named(saved: Path) -> None:
    state = safetensors.torch.load_file(saved)
    del state["head.bias"]
    state["tail.weight"] = torch.zeros(2)
    state["head.weight"] = state["head.weight"][:, :-1].contiguous()
    with pytest.raises(WeightsError) as caught:
        zoo.load(NAME, weights=rewritten(saved, state))
    for words in (
        "1 entries are missing (head.bias)",
        "1 entries are unexpected (tail.weight)",
        "head.weight 14×63×1×1 in the file, 14×64×1×1 here",
    ):
        assert words in str(caught.value)


def test_another_number_of_joints_is_explained(saved: Path) -> None:
    state = safetensors.torch.load_file(saved)
    state["head.bias"], state["head.weight"] = torch.zeros(17), torch.zeros(17, 64, 1, 1)
    with pytest.raises(WeightsError, match="for 17 joints, this model is for the 14 of lsp14"):
        zoo.load(NAME, weights=rewritten(saved, state))


def test_numbers_that_are_not_finite_are_refused(saved: Path) -> None:
    state = safetensors.torch.load_file(saved)
    state["head.bias"] = torch.full((14,), torch.inf)
    with pytest.raises(WeightsError, match="not finite"):
        zoo.load(NAME, weights=rewritten(saved, state))


def test_file_without_a_card_loads_into_the_preset_and_says_so(tmp_path: Path) -> None:
    plain = zoo.load("simple_baseline:lite@random")
    safetensors.torch.save_file(plain.state_dict(), tmp_path / "bare.safetensors")
    again = zoo.load("simple_baseline:lite", weights=tmp_path / "bare.safetensors")
    assert "without a card" in again.card.terms  # type: ignore[union-attr, operator]
    assert len(again.card.sha256) == 64  # type: ignore[union-attr, arg-type]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: s,
        lambda s: {"state_dict": {f"model.{k}": v for k, v in s.items()}, "epoch": 3},
        lambda s: {f"module.{k}": v for k, v in s.items()},
        lambda s: {
            "state_dict": {
                **{f"model.{k}": v * 0 for k, v in s.items()},
                **{f"ema.{k}": v for k, v in s.items()},
            }
        },
    ],
    ids=["state dict", "Lightning", "DataParallel", "Lightning with averaged weights"],
)
def test_files_of_torch_save_give_the_same_heatmaps(
    wrap: Any, model: PoseModel, tmp_path: Path
) -> None:
    identity = {"model": "SimpleBaseline", "config": {"crop_size": [64, 96], "sigma": 1.5}}
    wrapped = wrap(dict(model.state_dict()))
    if "state_dict" in wrapped:
        wrapped["identity"] = identity
    torch.save(wrapped, tmp_path / "w.ckpt")
    again = zoo.load("simple_baseline:lite", weights=tmp_path / "w.ckpt")
    torch.testing.assert_close(heatmaps(again), heatmaps(model), rtol=0, atol=0)


def test_checkpoint_of_our_training_restores_its_config(model: PoseModel, tmp_path: Path) -> None:
    identity = {"model": "SimpleBaseline", "config": {"crop_size": [64, 96], "sigma": 1.5}}
    state = {"format": 1, "step": 9, "identity": identity, "model": model.state_dict()}
    torch.save(state, tmp_path / "best.ckpt")
    again = zoo.load("simple_baseline:lite", weights=tmp_path / "best.ckpt")
    assert again.config == model.config


def test_checkpoint_of_another_class_is_refused(model: PoseModel, tmp_path: Path) -> None:
    identity = {"model": "TDMI", "config": {"crop_size": [64, 96]}}
    torch.save({"identity": identity, "model": model.state_dict()}, tmp_path / "best.ckpt")
    with pytest.raises(WeightsError, match="checkpoint of a TDMI"):
        zoo.load("simple_baseline:lite", weights=tmp_path / "best.ckpt")


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {}, {"state_dict": {"a": "text"}}])
def test_pickle_without_a_state_dict_is_refused(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(WeightsError, match="no state dict"):
        zoo.load(NAME, weights=tmp_path / "w.pt")


class Bomb:
    """Unpickling this creates the file it is given."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return (open, (str(self.target), "w"))


@pytest.mark.parametrize("zipped", [True, False], ids=["torch.save", "bare pickle"])
@pytest.mark.parametrize("suffix", [".pth", ".pt", ".ckpt", ".pth.tar", ".safetensors"])
def test_code_in_a_pickle_is_refused_and_never_runs(
    zipped: bool, suffix: str, tmp_path: Path
) -> None:
    path, target = tmp_path / f"evil{suffix}", tmp_path / "went_off"
    content = {"head.weight": torch.zeros(2), "extra": Bomb(target)}
    if zipped:
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps({"extra": Bomb(target)}))
    with pytest.raises(WeightsError, match="evil"):
        zoo.load(NAME, weights=path)
    assert not target.exists()


def test_refused_code_is_named(tmp_path: Path) -> None:
    path = tmp_path / "evil.pth"
    torch.save({"extra": Bomb(tmp_path / "went_off")}, path)
    with pytest.raises(WeightsError, match=r"wants to run (_io|io)\.open"):
        zoo.load(NAME, weights=path)


def test_the_bomb_of_these_tests_works(tmp_path: Path) -> None:
    path = tmp_path / "evil.pth"
    torch.save({"extra": Bomb(tmp_path / "went_off")}, path)
    torch.load(path, weights_only=False)["extra"].close()
    assert (tmp_path / "went_off").exists()
