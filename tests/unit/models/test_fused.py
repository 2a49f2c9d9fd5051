"""Several networks asked together: the mean of their maps, from the frames that each reads."""

from __future__ import annotations

import pytest
import torch

from chronopose.errors import UsageError
from chronopose.models._base import PoseModel, stack_windows
from chronopose.models._find import build_model
from chronopose.models._fused import FusedModel

TINY = (64, 96)


def network(name: str, seed: int, **changes: object) -> PoseModel:
    torch.manual_seed(seed)
    model = build_model(name, crop_size=TINY, **changes)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if "head" in key:
                parameter.normal_(std=0.05)
    return model.eval()


def test_a_model_fused_with_itself_says_what_it_said_before():
    model = network("simple_baseline:lite", 0)
    fused = FusedModel([model, model], [1, 3])
    frames = torch.randn(2, 1, 3, 96, 64)
    with torch.no_grad():
        alone = model.codec.probability(model(frames).heatmaps)
        both = fused.codec.probability(fused(frames).heatmaps)
    torch.testing.assert_close(both, alone)


def test_probabilities_are_averaged_by_their_weights():
    one, other = network("simple_baseline:lite", 0), network("simple_baseline:lite", 1)
    fused = FusedModel([one, other], [1, 3])
    frames = torch.randn(1, 1, 3, 96, 64)
    with torch.no_grad():
        a, b = (m.codec.probability(m(frames).heatmaps) for m in (one, other))
        found = fused.codec.probability(fused(frames).heatmaps)
    torch.testing.assert_close(found, 0.25 * a + 0.75 * b)


def test_each_network_reads_its_own_frames_of_the_window():
    single, several = network("simple_baseline:lite", 0), network("tdmi:lite", 1)
    fused = FusedModel([single, several])
    assert fused.needs.offsets == several.needs.offsets
    video = torch.randn(1, 5, 3, 96, 64)
    with torch.no_grad():
        a = single.codec.probability(single(video[:, 2:3]).heatmaps)
        b = several.codec.probability(several(video).heatmaps)
        found = fused.codec.probability(fused(video).heatmaps)
        kept = [tuple_of_one(fused, frame) for frame in video[0]]
        streamed = fused.codec.probability(fused.fuse(stack_windows([kept])).heatmaps)
    torch.testing.assert_close(found, (a + b) / 2)
    torch.testing.assert_close(streamed, found, atol=1e-6, rtol=1e-4)


def tuple_of_one(model: PoseModel, frame: torch.Tensor):
    features = model.encode(frame[None])
    return features._make([f[0] for f in features])


def test_maps_that_mean_something_else_are_refused():
    lite = network("simple_baseline:lite", 0)
    with pytest.raises(UsageError, match=r"crop_size"):
        FusedModel([lite, build_model("simple_baseline:lite", crop_size=(96, 128))])
    with pytest.raises(UsageError, match=r"joints \(lsp14, coco17\)"):
        FusedModel([lite, build_model("simple_baseline:lite", crop_size=TINY, skeleton="coco17")])
    with pytest.raises(UsageError, match="only heatmaps"):
        FusedModel([lite, build_model("dsta:lite", crop_size=TINY)])
    with pytest.raises(UsageError, match="a weight above 0"):
        FusedModel([lite, lite], [1, 0])
