"""Every model: a video streamed through the pipeline equals clips cut by hand, to 1e-5."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from chronopose.core.boxes import Boxes
from chronopose.core.crop import CropWindow
from chronopose.core.video import VideoInfo
from chronopose.io.video import Frame
from chronopose.models._base import PoseModel, stack_windows
from chronopose.models._find import build_model, list_models
from chronopose.pipeline.crops import cut
from chronopose.pipeline.stream import PosePipeline
from chronopose.pipeline.window import LockSettings
from chronopose.tensors import Output, join_outputs
from chronopose.tensors.colours import normalise

CROP = (64, 96)
SIZE = (160, 120)
COUNT = 6
BOX = np.array([30.0, 10.0, 100.0, 110.0])


def smallest(name: str) -> str:
    presets = list_models()[name]
    return "lite" if "lite" in presets else presets[0]


@pytest.fixture(scope="module", params=sorted(list_models()))
def model(request: pytest.FixtureRequest) -> PoseModel:
    """Random weights, and none of them zero: a head that starts at zero would hide the frames."""
    torch.manual_seed(0)
    built = build_model(request.param, smallest(request.param), crop_size=CROP).eval()
    with torch.no_grad():
        for parameter in built.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.05)
    return built


class Video:
    """Noise that drifts, read frame by frame."""

    info = VideoInfo("noise", SIZE, num_frames=COUNT)

    def __iter__(self) -> Iterator[Frame]:
        rng = np.random.default_rng(1)
        picture = rng.integers(0, 255, (SIZE[1] // 8, SIZE[0] // 8, 3)).repeat(8, 0).repeat(8, 1)
        for i in range(COUNT):
            yield Frame(i, i / 25, np.roll(picture, (i, 3 * i), (0, 1)).astype(np.uint8))


def clips(model: PoseModel) -> Tensor:
    """``(COUNT, T, 3, H, W)``: the window of time of every frame, repeated at the ends."""
    window = CropWindow.of_box(BOX, CROP)
    crops = normalise(torch.stack([cut(torch.from_numpy(f.image), window) for f in Video()]))
    order = [
        [min(max(key + offset, 0), COUNT - 1) for offset in model.needs.offsets]
        for key in range(COUNT)
    ]
    return torch.stack([crops[row] for row in order])


@pytest.fixture(scope="module")
def expected(model: PoseModel) -> Output:
    """What ``forward`` gives for the clips."""
    with torch.inference_mode():
        return join_outputs([model(clip[None]) for clip in clips(model)])


def fixed(frames: Sequence[Frame]) -> list[Boxes]:
    return [Boxes(BOX[None], np.ones(1)) for _ in frames]


def assert_equal_outputs(found: Output, expected: Output) -> None:
    for got, wanted in zip(found, expected, strict=True):
        if isinstance(wanted, Tensor):
            limit = 1e-5 * float(wanted.abs().max())
            assert float((got - wanted).abs().max()) <= limit


def test_features_of_single_frames_fuse_to_what_forward_gives(
    model: PoseModel, expected: Output
) -> None:
    key = COUNT // 2
    with torch.inference_mode():
        features = [model.encode(one[None]) for one in clips(model)[key]]
        kind: Any = getattr(type(features[0]), "_make", tuple)
        frames = [kind([f[0] for f in one]) for one in features]
        found = model.fuse(stack_windows([frames]))
    one = [f[key : key + 1] if isinstance(f, Tensor) else f for f in expected]
    assert_equal_outputs(found, type(expected)(*one))


@pytest.mark.parametrize("policy", ["reencode", "warp", "key"])
def test_streaming_with_a_fixed_window_equals_forward(
    model: PoseModel, expected: Output, policy: Any
) -> None:
    pipeline = PosePipeline(model, detector=fixed, window_policy=policy, batch_size=4)
    poses = model.codec.decode(expected).to_image(CropWindow.of_box(BOX, CROP))
    answers = list(pipeline.stream(Video()))
    assert [f.frame_index for f in answers] == list(range(COUNT))
    for answer, xy, score in zip(answers, poses.xy, poses.score, strict=True):
        np.testing.assert_allclose(answer.scores[0], score, atol=1e-5)
        np.testing.assert_allclose(answer.keypoints[0], xy, atol=1e-3)


def test_outputs_of_the_pipeline_equal_forward(
    model: PoseModel, expected: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Output] = []
    pipeline = PosePipeline(model, detector=fixed, lock=LockSettings(), batch_size=10)
    codec = type(model.codec)
    decode = codec.decode
    monkeypatch.setattr(codec, "decode", lambda self, o: (seen.append(o), decode(self, o))[1])
    list(pipeline.stream(Video()))
    assert_equal_outputs(join_outputs(seen), expected)


def test_a_multi_frame_model_looks_at_all_its_frames(model: PoseModel) -> None:
    if len(model.needs.offsets) == 1:
        pytest.skip("a single-frame model has no other frames")
    clip = clips(model)[COUNT // 2]
    with torch.inference_mode():
        features = model.encode(torch.cat([clip, clip.flip(-1)]))
        count = len(clip)
        for position in range(count):
            order = [count + t if t == position else t for t in range(count)]
            kind: Any = getattr(type(features), "_make", tuple)
            mixed = model.fuse(kind([f[order][None] for f in features]))
            usual = model.fuse(kind([f[:count][None] for f in features]))
            assert float((mixed[0] - usual[0]).abs().max()) > 0
