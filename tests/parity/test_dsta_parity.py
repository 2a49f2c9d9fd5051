"""DSTA computes the functions of the published network; its key map loses two idle tokens only."""

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

from chronopose.models._find import build_model
from chronopose.models.dsta import DSTA

PARITY = Path(__file__).resolve().parents[3] / "shared" / "parity"
FILE = PARITY / "dsta_r50_t3.npz"
pytestmark = pytest.mark.skipif(
    not FILE.is_file(), reason="needs shared/parity beside the checkout: published outputs"
)
WIDTH = 32


class Case(NamedTuple):
    """The published weights and inputs, and a model that has read the weights."""

    fill: ModuleType
    meta: dict[str, Any]
    official: dict[str, Tensor]
    inputs: dict[str, Tensor]
    model: DSTA


@pytest.fixture(scope="module")
def case() -> Iterator[Case]:
    spec = importlib.util.spec_from_file_location("parity_fill", PARITY / "parity_fill.py")
    assert spec is not None and spec.loader is not None
    fill = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fill)
    meta = fill.load_meta(FILE)
    official = {k: torch.from_numpy(v) for k, v in fill.build_state(meta).items()}
    inputs = {k: torch.from_numpy(v) for k, v in fill.build_inputs(meta).items()}
    model = build_model("dsta:r50", align="corner")
    assert isinstance(model, DSTA)
    model.load_state_dict(DSTA.from_official_keys(official))
    yield Case(fill, meta, official, inputs, model.eval())
    del model, official
    gc.collect()


def outputs(case: Case, kind: torch.dtype) -> dict[str, Any]:
    """Outputs by the names of the parity file; ours has 15 tokens, so the spare two are added."""
    model = case.model.to(kind)
    frames = case.inputs["x"].to(kind).unflatten(1, (3, 3))
    seen: list[Tensor] = []
    hook = model.backbone.body.layer4.register_forward_hook(lambda _, __, out: seen.append(out))
    found = model(frames)
    hook.remove()
    # The published batch of frames is frame-major.
    batch = len(frames)
    maps = seen[0].unflatten(0, (batch, 3)).transpose(0, 1).flatten(0, 1)
    pooled = maps.mean((-2, -1))
    weight, bias = (case.official[f"fc_coord.linear.{n}"].to(kind) for n in ("weight", "bias"))
    all_tokens = pooled @ weight.T / pooled.norm(dim=1, keepdim=True) + bias
    tokens = all_tokens.unflatten(1, (-1, WIDTH)).unflatten(0, (3, batch)).transpose(0, 1)
    space = model.in_space(tokens[:, 1, :15])
    time = model.in_time(tokens)
    both = torch.stack([time[:, 1], torch.cat([space, tokens[:, 1, 15:]], 1)], 1)
    score = 1 - found.sigma.mean(-1, keepdim=True)
    named = {
        "pred_jts": found.joints,
        "sigma": found.sigma,
        "maxvals": score.float(),
        "flow_log_prob": model.flow.log_prob(case.inputs["flow_points"].to(kind)),
        "backbone": maps,
        "joint_tokens": all_tokens,
        "spatial_branch": space.unflatten(1, (5, 3)).flatten(0, 1),
        "temporal_branch": time.transpose(1, 2).flatten(0, 1),
        "fused_tokens_body_part_order": model.weighted_mean(both),
    }
    return {name: value.detach().numpy() for name, value in named.items()}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_output_equals_that_of_the_published_network(case: Case, dtype: str) -> None:
    with torch.no_grad():
        got = outputs(case, getattr(torch, dtype))
    report = case.fill.compare(FILE, got, dtype=dtype)
    assert {name: entry for name, entry in report.items() if not entry["ok"]} == {}
    assert set(report) == set(case.meta["outputs"])


def test_key_map_is_complete_both_ways(case: Case) -> None:
    ours = DSTA.from_official_keys(case.official)
    assert ours.keys() == case.model.state_dict().keys()
    theirs = DSTA.to_official_keys(ours)
    assert theirs.keys() == case.official.keys()
    for key, value in theirs.items():
        wanted = case.official[key].clone()
        if key.startswith("fc_coord"):
            wanted[-2 * WIDTH :] = 0  # the two spare tokens, which reach no output
        assert torch.equal(value, wanted), key


def test_gradients_of_the_loss_reach_every_weight_but_the_bias_under_a_norm(case: Case) -> None:
    model = case.model.double()
    joints = torch.rand(2, 17, 2, dtype=torch.float64) * 190
    target = model.codec.encode(joints, torch.ones(2, 17))
    feature = torch.rand(2, 3, 2048, dtype=torch.float64)
    tokens = model.to_tokens(feature).unflatten(-1, (-1, WIDTH))
    terms = model.criterion()(model.fuse((tokens,)), target)
    weights = {k: p for k, p in model.named_parameters() if not k.startswith("backbone.")}
    # The bias of weighted_mean adds the same to all channels, which the heads' norms take away.
    shift = weights.pop("weighted_mean.bias")
    *grads, none = torch.autograd.grad(sum(terms.values()), [*weights.values(), shift])
    assert all(g.isfinite().all() for g in grads)
    assert [k for k, g in zip(weights, grads, strict=True) if not g.any()] == []
    assert none.abs().item() < 1e-9 * max(g.abs().max().item() for g in grads)
