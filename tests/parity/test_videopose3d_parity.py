"""The temporal convolutions compute the function of the published network, in all its forms."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from chronopose import zoo
from chronopose.models._lift import LiftModel

PARITY = Path(__file__).resolve().parents[3] / "shared" / "parity"
FILE = PARITY / "videopose3d_27f.npz"
pytestmark = pytest.mark.skipif(
    not FILE.is_file(), reason="needs shared/parity beside the checkout: published outputs"
)


class Case(NamedTuple):
    """The published weights and the input of the parity file."""

    fill: ModuleType
    official: dict[str, Tensor]
    poses: Tensor


@pytest.fixture(scope="module")
def case() -> Iterator[Case]:
    spec = importlib.util.spec_from_file_location("parity_fill", PARITY / "parity_fill.py")
    assert spec is not None and spec.loader is not None
    fill = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fill)
    meta = fill.load_meta(FILE)
    official = {k: torch.from_numpy(v) for k, v in fill.build_state(meta).items()}
    yield Case(fill, official, torch.from_numpy(fill.build_inputs(meta)["x"]))


def loaded(case: Case, causal: bool) -> LiftModel:
    model: Any = zoo.load_foreign("videopose3d", case.official, causal=causal)
    assert isinstance(model, LiftModel)
    return model


def test_published_keys_are_all_used_and_none_of_ours_is_left(case: Case) -> None:
    model = loaded(case, causal=False)
    renamed = type(model).from_official_keys(case.official)  # type: ignore[attr-defined]
    assert len(renamed) == len(case.official)
    assert set(renamed) == set(model.state_dict())
    assert model.card.name == "temporal_cnn:t27"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_outputs_equal_those_of_the_published_network(case: Case, dtype: str) -> None:
    kind = getattr(torch, dtype)
    poses = case.poses.to(kind)
    got = {}
    for causal, name in ((False, "joints3d"), (True, "joints3d_causal")):
        model = loaded(case, causal).to(kind)
        with torch.no_grad():
            got[name] = model.dense(poses).xyz.numpy()
            got[f"{name}_first_window_strided"] = model(poses[:, :27]).xyz.numpy()
    report = case.fill.compare(FILE, got, dtype=dtype)
    assert {name: entry for name, entry in report.items() if not entry["ok"]} == {}
    assert set(report) == set(case.fill.load_meta(FILE)["outputs"])
