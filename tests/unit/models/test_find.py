"""Models by name: listing, parsing, building, overriding."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from chronopose.errors import UsageError
from chronopose.models._find import (
    ModelName,
    build_model,
    config_of,
    find_model,
    list_models,
    model_files,
    override,
    parse_name,
)
from chronopose.models.tdmi import TDMI, TDMIConfig


def test_every_file_without_underscore_is_a_model() -> None:
    assert {"hrnet", "simple_baseline", "tdmi"} <= set(model_files())
    assert not any(name.startswith("_") for name in model_files())


def test_presets_are_listed_by_file() -> None:
    presets = list_models()
    assert {"lite", "lite_st", "hrnet_w32", "hrnet_w48", "hrnet_w48_st"} <= set(presets["tdmi"])
    assert {"r50", "r101", "r152", "lite"} <= set(presets["simple_baseline"])
    assert {"w32", "w48"} <= set(presets["hrnet"])


def test_listing_the_files_does_not_start_torch() -> None:
    code = (
        "import sys; from chronopose.models._find import model_files, parse_name; model_files(); "
        "parse_name('tdmi:lite@real'); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("tdmi:lite", ModelName("tdmi", "lite")),
        ("tdmi:lite@real", ModelName("tdmi", "lite", "real")),
        ("tdmi_lite", ModelName("tdmi", "lite")),
        ("tdmi_hrnet_w48_st@posetrack17", ModelName("tdmi", "hrnet_w48_st", "posetrack17")),
        ("simple_baseline_lite", ModelName("simple_baseline", "lite")),
        ("hrnet_w32", ModelName("hrnet", "w32")),
    ],
)
def test_names_are_read(text: str, name: ModelName) -> None:
    assert parse_name(text) == name


def test_a_name_is_written_as_it_is_read() -> None:
    assert str(parse_name("tdmi_lite@real")) == "tdmi:lite@real"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tdmy:lite", "Did you mean 'tdmi'"),
        ("resnet", "no model 'resnet'"),
        ("tdmi", "MODEL:PRESET"),
        ("tdmi:", "MODEL:PRESET"),
        ("tdmi:lite@", "MODEL:PRESET"),
        ("", "no model ''"),
    ],
)
def test_names_that_are_not_whole_say_what_to_write(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_name(text)


def test_unknown_preset_names_the_nearest_and_all() -> None:
    with pytest.raises(UsageError, match="Did you mean 'lite'") as caught:
        build_model("tdmi", "light")
    assert "hrnet_w48_st" in str(caught.value)
    with pytest.raises(UsageError, match="preset of tdmi"):
        config_of("tdmi", "light")


def test_whole_name_builds_without_a_preset() -> None:
    assert isinstance(build_model("tdmi:lite", crop_size=(64, 64)), TDMI)


def test_overrides_reach_nested_settings_and_keep_the_rest() -> None:
    before = find_model("tdmi").PRESETS["lite"]
    after = override(
        before, {"tde.dcn.groups": 4, "tde.stages": [3, 4], "sigma": 1.5, "mi.mode": "none"}
    )
    assert (after.tde.dcn.groups, after.tde.stages, after.sigma) == (4, (3, 4), 1.5)
    assert after.mi.mode == "none"
    assert after.tde.width == before.tde.width
    assert before.tde.dcn.groups == 2


@pytest.mark.parametrize("path", ["sigmas", "tde.stage", "sigma.x", "tde.dcn.x"])
def test_unknown_settings_are_refused(path: str) -> None:
    changes: dict[str, Any] = {path: 1}
    with pytest.raises(UsageError, match="no setting of"):
        override(TDMIConfig(), changes)
