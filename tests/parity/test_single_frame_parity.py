"""HRNet and SimpleBaseline compute the functions of the published networks."""

from __future__ import annotations

import gc
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from chronopose.models._base import PoseModel
from chronopose.models._find import build_model

PARITY = Path(__file__).resolve().parents[3] / "shared" / "parity"
pytestmark = pytest.mark.skipif(
    not PARITY.is_dir(), reason="needs shared/parity beside the checkout: published outputs"
)


class Case(NamedTuple):
    """A network with the published weights and the input of its parity file."""

    fill: ModuleType
    file: Path
    model: PoseModel
    frames: Tensor
    left_out: tuple[set[str], set[str]]


@pytest.fixture(scope="module", params=["simplebaseline_r50", "hrnet_w32", "hrnet_w48"])
def case(request: Any) -> Iterator[Case]:
    spec = importlib.util.spec_from_file_location("parity_fill", PARITY / "parity_fill.py")
    assert spec is not None and spec.loader is not None
    fill = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fill)
    file = PARITY / f"{request.param}.npz"
    meta = fill.load_meta(file)
    official = {k: torch.from_numpy(v) for k, v in fill.build_state(meta).items()}
    names = {"simplebaseline_r50": "simple_baseline:r50"}
    with torch.device("meta"):
        model = build_model(
            names.get(request.param, request.param), align="corner", crop_size=(192, 256)
        )
    state = type(model).from_official_keys(official)  # type: ignore[attr-defined]
    own = model.state_dict().keys()
    assert len(state) == len(official)
    model.load_state_dict(state, strict=False, assign=True)
    frames = torch.from_numpy(fill.build_inputs(meta)["x"])
    yield Case(fill, file, model.eval(), frames, (own - state.keys(), state.keys() - own))
    del model, state, official
    gc.collect()


def outputs(model: PoseModel, frames: Tensor) -> dict[str, Any]:
    """Outputs by the names of the parity files."""
    seen: dict[str, Tensor] = {}
    backbone: Any = model.backbone
    with torch.no_grad():
        if hasattr(backbone, "deconv_layers"):
            hook = backbone.body.register_forward_hook(
                lambda _, __, out: seen.update(layer4=out[-1])
            )
            feature = backbone(frames)
            hook.remove()
            seen["deconv"] = feature
        else:
            taps = backbone.forward_stages(frames)
            names = ("layer1", "stage2_branch0", "stage3_branch0", "stage4_branch0")
            seen |= dict(zip(names, taps, strict=True))
            feature = taps[-1]
        seen["heatmaps"] = model.fuse((feature[:, None],)).heatmaps
    return {name: value.numpy() for name, value in seen.items()}


def test_key_map_is_complete_both_ways(case: Case) -> None:
    assert case.left_out == (set(), set())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_outputs_equal_those_of_the_published_network(case: Case, dtype: str) -> None:
    kind = getattr(torch, dtype)
    got = outputs(case.model.to(kind), case.frames.to(kind))
    report = case.fill.compare(case.file, got, dtype=dtype)
    assert {name: entry for name, entry in report.items() if not entry["ok"]} == {}
    assert set(report) == set(case.fill.load_meta(case.file)["outputs"])
