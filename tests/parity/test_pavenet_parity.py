"""PAVE-Net computes the function of the published network, also on padded frames."""

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

from chronopose.models._find import build_scene_model
from chronopose.models.pavenet import DEAD, LEVELS, SHARED, SceneFeatures
from chronopose.nn.frame_tokens import FrameTokens, take
from chronopose.zoo.convert import pavenet as source

PARITY = Path(__file__).resolve().parents[3] / "shared" / "parity"
pytestmark = pytest.mark.skipif(
    not PARITY.is_dir(), reason="needs shared/parity beside the checkout: published outputs"
)
LEFT_OUT = {"nms_keep", "final_boxes", "final_keypoints", "topk_tokens"}
"""A suppression that the public release does not do; and positions of the best tokens, whose order
shows in ``init_reference``."""


class Case(NamedTuple):
    """The network with published weights, and the frames of a parity file."""

    fill: ModuleType
    file: Path
    meta: Any
    model: Any
    frames: Tensor
    points: Tensor
    official: dict[str, Tensor]


@pytest.fixture(scope="module", params=["pave_r50_t3", "pave_r50_t3_padded"])
def case(request: Any) -> Iterator[Case]:
    spec = importlib.util.spec_from_file_location("parity_fill", PARITY / "parity_fill.py")
    assert spec is not None and spec.loader is not None
    fill = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fill)
    file = PARITY / f"{request.param}.npz"
    meta = fill.load_meta(file)
    official = {k: torch.from_numpy(v) for k, v in fill.build_state(meta).items()}
    with torch.device("meta"):
        model: Any = build_scene_model("pavenet:r50", pull=True, **source.SETTINGS)
    state = model.from_official_keys(official)
    model.load_state_dict(state, assign=True)
    inputs = {k: torch.from_numpy(v) for k, v in fill.build_inputs(meta).items()}
    yield Case(fill, file, meta, model.eval(), inputs["frames"], inputs["flow_points"], official)
    del model, state
    gc.collect()


def outputs(case: Case, kind: torch.dtype) -> dict[str, Tensor]:
    """Outputs by the names of the parity files."""
    model, seen = case.model.to(kind), {}
    height, width = case.meta["img_shape"]

    def note(prefix: str) -> Any:
        first = 3 if prefix == "backbone_c" else 0
        return lambda _, __, maps: seen.update(
            {f"{prefix}{first + i}": m for i, m in enumerate(maps)}
        )

    hooks = [
        model.backbone.register_forward_hook(note("backbone_c")),
        model.neck.register_forward_hook(note("neck_")),
    ]
    encoded = model.encode(case.frames[0].to(kind), torch.tensor([[width, height]] * 3))
    features = SceneFeatures(*(part[None] for part in encoded))
    memory = FrameTokens.of_maps(features[:LEVELS], features.cells)
    seen |= {"memory": memory.tokens[0], "padding_mask": memory.padded[0].long()}
    model.training = True  # every token says what it proposes; the layers themselves stay in eval
    chosen, start, proposals = model.choose(memory.frame(1))
    model.training = False
    seen |= {
        "encoder_cls_logits": proposals.logits[..., None],
        "encoder_keypoints": proposals.joints.flatten(-2),
        "encoder_sigmas": proposals.sigmas.flatten(-2),
        "init_reference": start.flatten(1, 2).flatten(-2),
    }
    states: list[Tensor] = []
    hooks += [d.register_forward_hook(lambda _, __, x: states.append(x)) for d in model.decoder]
    layers, poses = model.decode_poses(memory, chosen, start)
    seen |= {
        "decoder_states": torch.stack(states),
        "cls_logits": torch.stack([g.logits[..., None] for g in layers]),
        "keypoints": torch.stack([g.joints.flatten(-2) for g in layers]),
        "keypoint_sigmas": torch.stack([g.sigmas.flatten(-2) for g in layers]),
        "previous_frame_keypoints": poses[:, 0].flatten(-2),
        "next_frame_keypoints": poses[:, 2].flatten(-2),
    }
    best = layers[-1].logits.topk(20, dim=1).indices
    refined = model.refine(features, torch.stack([take(p, best) for p in poses.unbind(1)], 1))
    sigmas = torch.stack([g.sigmas[0] for g in refined])
    seen |= {
        "top20_queries": best[0],
        "refined_keypoints": torch.stack([g.joints[0] for g in refined]),
        "refined_sigmas": sigmas,
        "refined_scores": 1 - sigmas.mean(-1, keepdim=True),
    }
    out = model.fuse(features)
    # The published code keeps the scale of the frame in single precision.
    scale = torch.tensor(case.meta["scale_factor_wh"], dtype=torch.float32).to(kind)
    seen["decoded_keypoints"] = torch.cat(
        [out.joints[0] / scale, out.joint_scores[0][..., None]], -1
    )
    seen["decoded_scores"] = out.scores[0]
    for theirs, ours in (("enc_", "proposals"), ("dec_", "layers"), ("", "refined")):
        seen[f"{theirs}flow_log_prob"] = model.flows[ours].log_prob(case.points.to(kind))
    for hook in hooks:
        hook.remove()
    return seen


def references(case: Case) -> Tensor:
    """Poses after each layer in all frames, layer by layer with the layers cut off."""
    model = case.model
    height, width = case.meta["img_shape"]
    encoded = model.encode(case.frames[0].double(), torch.tensor([[width, height]] * 3))
    memory = FrameTokens.of_maps([m[None] for m in encoded[:LEVELS]], encoded.cells[None])
    chosen, start, _ = model.choose(memory.frame(1))
    found, decoder = [], model.decoder
    for depth in (1, 2, 3):
        model.decoder = decoder[:depth]
        found.append(model.decode_poses(memory, chosen, start)[1].flatten(1, 2).flatten(-2))
    model.decoder = decoder
    return torch.stack(found)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_outputs_equal_those_of_the_published_network(case: Case, dtype: str) -> None:
    with torch.no_grad():
        got = {k: v.numpy() for k, v in outputs(case, getattr(torch, dtype)).items()}
        if dtype == "float64":
            got["references"] = references(case).numpy()
    known = set(case.meta["outputs"])
    report = case.fill.compare(case.file, {k: v for k, v in got.items() if k in known}, dtype=dtype)
    assert {name: entry for name, entry in report.items() if not entry["ok"]} == {}
    if dtype == "float64":
        assert set(report) == known - LEFT_OUT


def test_every_published_entry_has_a_place_or_a_reason(case: Case) -> None:
    state = case.model.from_official_keys(case.official)
    assert state.keys() == case.model.state_dict().keys()
    dead = [k for k in case.official if DEAD.match(k)]
    assert len(state) + len(dead) == len(case.official)
    assert len(dead) == 2 + 2 * 6
    assert len([k for k in case.official if SHARED.match(k)]) == 4


def test_what_reaches_no_output_reaches_none_here_either(case: Case) -> None:
    changed = {k: v + 1 if DEAD.match(k) else v for k, v in case.official.items()}
    before = case.model.from_official_keys(case.official)
    after = case.model.from_official_keys(changed)
    assert all(torch.equal(before[k], after[k]) for k in before)


def test_the_published_state_is_recognised(case: Case) -> None:
    assert source.recognises(case.official)
    assert source.preset_of(case.official) == "r50"
    assert source.joints_of(case.official) == 15
    assert not source.recognises(case.model.state_dict())
