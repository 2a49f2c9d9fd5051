"""DCPose and FAMI-Pose compute the functions of the published networks, in double precision.

The recorded outputs are of two clips. Only the first one is run here, which takes one core half a
minute; the recorded elements of the second clip are left out.
"""

from __future__ import annotations

import gc
import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from chronopose.models._base import PoseModel
from chronopose.models._find import build_model
from chronopose.zoo.convert import dcpose, famipose

PARITY = Path(__file__).resolve().parents[3] / "shared" / "parity"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not PARITY.is_dir(), reason="needs shared/parity beside the checkout: published outputs"
    ),
]
FILES = {"dcpose": "dcpose_rsn_w48.npz", "famipose": "fami_v15_w48.npz"}
ALLOWED = 20.0
"""Times the recorded rounding level, as the parity files say."""


class Case(NamedTuple):
    """A network with the published weights and the input of its parity file."""

    fill: ModuleType
    file: Path
    model: PoseModel
    inputs: dict[str, Tensor]
    official: set[str]
    left_out: set[str]
    known: tuple[bool, str, int]


@pytest.fixture(scope="module", params=FILES)
def case(request: Any) -> Iterator[Case]:
    spec = importlib.util.spec_from_file_location("parity_fill", PARITY / "parity_fill.py")
    assert spec is not None and spec.loader is not None
    fill = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fill)
    file = PARITY / FILES[request.param]
    meta = fill.load_meta(file)
    official = {k: torch.from_numpy(v) for k, v in fill.build_state(meta).items()}
    with torch.device("meta"):
        model = build_model(request.param, "hrnet_w48")
    state = type(model).from_official_keys(official)  # type: ignore[attr-defined]
    left_out = state.keys() ^ model.state_dict().keys()
    model.load_state_dict(state, strict=False, assign=True)
    inputs = {k: torch.from_numpy(v).double() for k, v in fill.build_inputs(meta).items()}
    source = {"dcpose": dcpose, "famipose": famipose}[request.param]
    known = (source.recognises(official), source.preset_of(official), source.joints_of(official))
    model = model.eval().double()
    yield Case(fill, file, model, inputs, set(official), left_out, known)
    del model, state, official
    gc.collect()


def recorder(seen: dict[str, list[Tensor]]) -> Callable[[str, nn.Module], None]:
    """Keeps what a part of a network returns, under the name of the parity file."""

    def record(name: str, part: nn.Module) -> None:
        part.register_forward_hook(lambda _, __, out: seen.setdefault(name, []).append(out))

    return record


def dcpose_outputs(model: Any, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Outputs of the first clip; the file's frames are current, previous, next."""
    seen: dict[str, list[Tensor]] = {}
    record = recorder(seen)
    record("difference_features", model.change)
    record("support_heatmaps", model.support)
    record("combined_features", model.combine)
    record("offsets_d3", model.head.offset[0])
    record("masks_d3", model.head.mask[0])
    record("warped_d3", model.head.dcn[0])
    record("warped_d15", model.head.dcn[4])
    frames = inputs["x"][0].view(3, 3, 384, 288)
    with torch.no_grad():
        rough = torch.cat([model.encode(frame[None]).heatmaps for frame in frames])
        in_time = rough[None, [1, 0, 2]]
        heatmaps = model.fuse((in_time,), inputs["margin"][:1]).heatmaps
    got = {name: parts[0] for name, parts in seen.items()}
    return got | {"rough_heatmaps": rough, "heatmaps": heatmaps}


def famipose_outputs(model: Any, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Outputs of the first clip; the file's frames are key frame, two before, two after."""
    seen: dict[str, list[Tensor]] = {}
    record = recorder(seen)
    part = model.temporal
    record("global_offsets_px", part.warp.layers)
    record("support_features", part.neighbours)
    record("combined_features", part.combine)
    record("offsets_1", part.offset[0])
    record("masks_1", part.mask[0])
    for step, dcn in enumerate(part.dcn, start=1):
        record(f"dcn_{step}", dcn)
    record("fused_features", part.join)
    support = inputs["support_frames"][0].view(4, 3, 384, 288)
    with torch.no_grad():
        frames = torch.cat([inputs["key_frame"][:1], support])
        features = torch.cat([model.encode(frame[None]).stage4 for frame in frames])
        heatmaps = model.fuse((features[None, [1, 2, 0, 3, 4]],)).heatmaps
        key_maps = model.single_frame_head(features[:1])
    got = {name: torch.stack(parts, 1)[:, 0] for name, parts in seen.items() if len(parts) == 1}
    got["global_offsets_px"] = torch.stack(seen["global_offsets_px"], 1)
    return got | {
        "backbone_features": features, "heatmaps": heatmaps,
        "key_frame_backbone_heatmaps": key_maps,
    }  # fmt: skip


def differences(case: Case, got: dict[str, Tensor]) -> dict[str, tuple[float, float, int]]:
    """Output -> largest difference on the first clip's recorded elements, allowance, their count.

    Outputs with frames in the first axis are frame-major: every second entry is the first clip's.
    """
    meta = case.fill.load_meta(case.file)
    report = {}
    with np.load(case.file, allow_pickle=False) as recorded:
        for name, info in meta["outputs"].items():
            whole = np.full(info["shape"], np.nan)
            whole[::2] = got[name].numpy()
            at = case.fill.sample_index(whole.size, info["sample_size"])
            off = np.abs(whole.ravel()[at] - recorded[f"sample/{name}"])
            ours = off[~np.isnan(off)]
            report[name] = (
                float(ours.max()), ALLOWED * info["rounding_float64"], len(ours)
            )  # fmt: skip
    return report


def test_key_map_is_complete_both_ways(case: Case) -> None:
    assert case.left_out == set()
    assert len(case.official) == len(case.model.state_dict())


def test_published_state_is_recognised(case: Case) -> None:
    assert case.known == (True, "hrnet_w48", 17)


def test_outputs_equal_those_of_the_published_network(case: Case) -> None:
    run = dcpose_outputs if case.file.name.startswith("dcpose") else famipose_outputs
    report = differences(case, run(case.model, case.inputs))
    assert {name: row for name, row in report.items() if not row[0] <= row[1]} == {}
    # Half of each sample belongs to the first clip: 300 of 600, 1000 of 2000, 8 of 16.
    assert min(count for _, _, count in report.values()) >= 8
