"""State dicts published by others: told apart, fitted entry by entry, written as ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from chronopose import zoo
from chronopose.cli.main import main
from chronopose.errors import WeightsError
from chronopose.models._find import build_model
from chronopose.models.posewarper import PoseWarper
from chronopose.zoo.convert import recognise, sources


@pytest.fixture(scope="module")
def r50() -> dict[str, Tensor]:
    """A SimpleBaseline with 17 joints under its published names."""
    torch.manual_seed(0)
    ours = build_model("simple_baseline", "r50").state_dict()
    homes = {"backbone.body.": "", "backbone.": "", "head.": "final_layer."}
    return {
        new + key.removeprefix(old): value
        for key, value in ours.items()
        for old, new in [next((o, n) for o, n in homes.items() if key.startswith(o))]
    }


def on_meta(name: str) -> Any:
    with torch.device("meta"):
        return build_model(name)


def published_posewarper() -> tuple[dict[str, Tensor], PoseWarper]:
    """Shapes of PoseWarper under its published names, and ours."""
    model = on_meta("posewarper:hrnet_w48")
    state = {}
    for key, value in model.state_dict().items():
        name = key.removeprefix("backbone.").replace("warp.difference.", "offset_feats.")
        for i in range(5):
            name = name.replace(f"warp.steps.{i}.offset.", f"offsets{i + 1}.")
            name = name.replace(f"warp.steps.{i}.", f"deform_conv{i + 1}.")
        state[name.replace("shortcut", "downsample") if "offset_feats" in name else name] = value
    return state, model


def test_published_posewarper_is_told_from_the_hrnet_it_contains() -> None:
    state, model = published_posewarper()
    found = recognise(state)
    assert found is not None
    assert (found.source, found.preset, found.joints) == ("posewarper", "hrnet_w48", 17)
    assert found.tensors.keys() == model.state_dict().keys()
    assert recognise(state, "hrnet") is None


def test_joints_are_those_of_the_preset_where_their_number_fits() -> None:
    state, _ = published_posewarper()
    hrnet = {k: v for k, v in state.items() if not k.startswith(("offset", "deform"))}
    settings = [found.settings for found in (recognise(state), recognise(hrnet)) if found]
    assert [s["skeleton"] for s in settings] == ["posetrack17slot", "coco17"]
    assert {s["align"] for s in settings} == {"corner"}


def test_no_state_dict_is_claimed_by_two_sources(r50: dict[str, Tensor]) -> None:
    state, _ = published_posewarper()
    hrnet = {k: v for k, v in state.items() if not k.startswith(("offset", "deform"))}
    for some in (state, hrnet, r50):
        assert len([s for s in sources() if recognise(some, s) is not None]) == 1


def test_a_state_dict_loads_like_its_file(r50: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save(r50, tmp_path / "w.pth")
    from_file = zoo.load_foreign("simple_baseline", tmp_path / "w.pth")
    wrapped = {f"module.{key}": value for key, value in r50.items()}
    from_memory = zoo.load_foreign("simple_baseline", wrapped)
    for key, value in from_file.state_dict().items():
        assert torch.equal(value, from_memory.state_dict()[key])
    assert from_memory.card.sha256 == ""


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"layer1.0.conv1.weight": None}, r"1 entries are missing \(backbone.body.layer1.0.conv1"),
        ({"layer9.bias": torch.zeros(1)}, r"1 entries are unexpected \(backbone.body.layer9.bias"),
        ({"bn1.weight": torch.zeros(7)}, r"bn1.weight 7 in the file, 64 here"),
    ],
    ids=["missing", "unexpected", "of another shape"],
)
def test_entries_that_do_not_fit_are_named(
    r50: dict[str, Tensor], change: dict[str, Tensor | None], named: str
) -> None:
    state = {k: v for k, v in {**r50, **change}.items() if v is not None}
    with pytest.raises(WeightsError, match=named):
        zoo.load_foreign("simple_baseline", state)


def test_what_is_no_state_dict_is_refused_with_its_first_entries() -> None:
    with pytest.raises(WeightsError, match="begins with a, b"):
        zoo.load_foreign("hrnet", {"a": torch.zeros(1), "b": torch.zeros(1)})
    with pytest.raises(WeightsError, match="tensors only; got epoch"):
        zoo.load_foreign("hrnet", {"epoch": 3})  # type: ignore[dict-item]


def test_convert_weights_writes_weights_and_card_that_load_by_name(
    r50: dict[str, Tensor], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "pose_resnet_50_256x192.pth.tar", tmp_path / "new" / "r50.safetensors"
    torch.save(r50, file)
    code = main(
        ["convert-weights", str(file), "--source", "simple_baseline", "--out", str(out),
         "--terms", "MIT", "--trained-on", "COCO train2017", "--half"]
    )  # fmt: skip
    told = capsys.readouterr().out
    assert code == 0
    assert told == (
        f"{out}: simple_baseline:r50, 34.0 million parameters, coco17 joints, published by "
        f"simple_baseline\n"
    )
    again = zoo.load("simple_baseline:r50", weights=out)
    codec: Any = again.codec
    assert (codec.align, codec.rounded, codec.crop_size) == (
        "corner", True, (192, 256),
    )  # fmt: skip
    assert (again.card.terms, again.card.training_data) == ("MIT", "COCO train2017")
    want = r50["final_layer.weight"]
    torch.testing.assert_close(again.state_dict()["head.weight"], want, rtol=1e-3, atol=1e-6)


def test_convert_weights_tells_the_source_by_its_keys_and_asks_for_terms(
    r50: dict[str, Tensor], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "w.pth", tmp_path / "r50.safetensors"
    torch.save(r50, file)
    assert main(["convert-weights", str(file), "-o", str(out), "--crop-size", "64x96"]) == 0
    assert "terms of use unknown" in capsys.readouterr().out
    assert zoo.load("simple_baseline:r50", weights=out).codec.crop_size == (64, 96)
    assert main(["convert-weights", str(file), "-o", str(out)]) == 2
    assert "exists already" in capsys.readouterr().err


def test_convert_weights_refuses_other_files_and_runs_no_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "a.pth")
    torch.save({"a": Path("x")}, tmp_path / "code.pth")
    out = tmp_path / "o.safetensors"
    assert main(["convert-weights", str(tmp_path / "a.pth"), "-o", str(out)]) == 7
    assert "no published network" in capsys.readouterr().err
    assert main(["convert-weights", str(tmp_path / "code.pth"), "-o", str(out)]) == 7
    assert "weights must not run code" in capsys.readouterr().err
    assert main(["convert-weights", str(tmp_path / "a.pth"), "-o", str(out),
                 "--crop-size", "big"]) == 7  # fmt: skip
    assert not out.exists()
