"""PoseWarper computes the function of the published network."""

from __future__ import annotations

import gc
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from chronopose.models._find import build_model
from chronopose.models.posewarper import PoseWarper
from chronopose.zoo.convert import recognise

PARITY = Path(__file__).resolve().parents[3] / "shared" / "parity"
FILE = PARITY / "posewarper_w48_agg.npz"
pytestmark = pytest.mark.skipif(
    not PARITY.is_dir(), reason="needs shared/parity beside the checkout: published outputs"
)
IN_TIME = [2, 1, 0, 3, 4]
"""Place in time order -> place in the published order: current, -1, -2, +1, +2."""


class Case(NamedTuple):
    """The network with the published weights, and what it makes of the parity file's clips."""

    fill: ModuleType
    missing: set[str]
    extra: set[str]
    outputs: dict[str, np.ndarray]
    """By the names of the parity file; computed in float64."""


@pytest.fixture(scope="module")
def case() -> Iterator[Case]:
    spec = importlib.util.spec_from_file_location("parity_fill", PARITY / "parity_fill.py")
    assert spec is not None and spec.loader is not None
    fill = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fill)
    meta = fill.load_meta(FILE)
    official = {k: torch.from_numpy(v) for k, v in fill.build_state(meta).items()}
    found = recognise(official)
    assert found is not None and found.source == "posewarper"
    assert len(found.tensors) == len(official)
    with torch.device("meta"):
        model = build_model(
            "posewarper", found.preset, **{**found.settings, "crop_size": (192, 256)}
        )
    assert isinstance(model, PoseWarper)
    own = model.state_dict().keys()
    model.load_state_dict(dict(found.tensors), strict=False, assign=True)
    x = torch.from_numpy(fill.build_inputs(meta)["x"])
    frames = x.unflatten(1, (5, 3))[:, IN_TIME]
    outputs = run(model.eval().double(), frames.double())
    yield Case(fill, set(own - found.tensors.keys()), set(found.tensors.keys() - own), outputs)
    del model, official
    gc.collect()


def published_order(maps: Tensor) -> np.ndarray:
    """``(B*T, ...)`` in time order -> ``(T*B, ...)`` in the published order."""
    clips = maps.unflatten(0, (-1, 5))
    back = torch.empty_like(clips)
    back[:, IN_TIME] = clips
    return back.transpose(0, 1).flatten(0, 1).numpy()


def run(model: PoseWarper, frames: Tensor) -> dict[str, np.ndarray]:
    seen: dict[str, Tensor] = {}
    steps: Any = model.warp.steps
    hooks = [
        part.register_forward_hook(lambda _, __, out, name=name: seen.update({name: out}))
        for name, part in (
            ("offset_features", model.warp.difference),
            ("offsets_d3", steps[0].offset),
            ("warped_d3", steps[0]),
            ("warped_d24", steps[4]),
        )
    ]
    with torch.no_grad():
        features = model.encode(frames.flatten(0, 1))
        seen["frame_heatmaps"] = features.heatmaps
        answer = model.fuse((features.heatmaps.unflatten(0, frames.shape[:2]),))
    for hook in hooks:
        hook.remove()
    named = {name: published_order(maps) for name, maps in seen.items()}
    return {**named, "heatmaps": answer.heatmaps.numpy()}


def test_key_map_is_complete_both_ways(case: Case) -> None:
    assert (case.missing, case.extra) == (set(), set())


def test_outputs_equal_those_of_the_published_network(case: Case) -> None:
    report = case.fill.compare(FILE, case.outputs, dtype="float64")
    assert {name: entry for name, entry in report.items() if not entry["ok"]} == {}
    assert set(report) == set(case.fill.load_meta(FILE)["outputs"])
