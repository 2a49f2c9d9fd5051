"""Frames in, tracked poses out, without a detector, on a world whose poses are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from dot_world import DOTS, SIZE, DotVideo, Walk, clock, joints_of
from torch import Tensor

from chronopose.codecs.scene import SceneCodec
from chronopose.core.tracks import FramePoses
from chronopose.errors import UsageError
from chronopose.models._base import Features
from chronopose.models._find import build_scene_model
from chronopose.models._scene import SceneCriterion, SceneModel, SceneNeeds
from chronopose.pipeline.scene import ScenePipeline
from chronopose.tensors.colours import unnormalise
from chronopose.tensors.scene import SceneOutput


class DotScene(SceneModel):
    """Finds up to two people by their coloured dots: peaks of red, and the dots around each."""

    PRESETS: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self, offsets: tuple[int, ...] = (-1, 0, 1)) -> None:
        super().__init__()
        self.needs = SceneNeeds(offsets=offsets)
        self.codec = SceneCodec(DOTS, (320, 180))
        self.encoded, self.windows = 0, []

    def encode(self, frames: Tensor, valid: Tensor | None = None) -> Features:
        self.encoded += len(frames)
        rgb = unnormalise(frames) / 255
        strong = F.relu(1.5 * rgb - 0.5 * rgb.sum(1, keepdim=True))
        return (strong, frames[:, 0, 0, 0])

    def fuse(self, features: Features) -> SceneOutput:
        strong, mark = features
        self.windows.append(mark[0].tolist())
        maps = strong[0, self.needs.key].clone()
        joints, scores = [], []
        for _ in range(2):
            peak = maps[0].flatten().argmax().item()
            y, x = divmod(int(peak), maps.shape[2])
            scores.append(maps[0, y, x].clamp(max=1))
            pose = []
            for colour in maps:
                near = torch.zeros_like(colour)
                near[max(y - 20, 0) : y + 90, max(x - 30, 0) : x + 31] = 1
                at = int((colour * near).flatten().argmax().item())
                pose.append([at % maps.shape[2], at // maps.shape[2]])
                colour[near > 0] = 0
            joints.append(pose)
        score = torch.stack(scores)[None]
        return SceneOutput(
            torch.tensor([joints]).float(), score, score[..., None].expand(-1, -1, len(DOTS))
        )

    def criterion(self) -> SceneCriterion:
        raise NotImplementedError


def walker(t: float) -> tuple[float, float]:
    return (60 + 60 * t, 90.0)


def other(t: float) -> tuple[float, float]:
    return (260 - 20 * t, 90.0)


def visitor(t: float) -> tuple[float, float] | None:
    return (260.0, 90.0) if t > 0.5 else None


def run(
    walks: Sequence[Walk], count: int, model: DotScene | None = None
) -> tuple[list[FramePoses], ScenePipeline]:
    pipeline = ScenePipeline(model or DotScene())
    return list(pipeline.stream(DotVideo(walks, clock(count)))), pipeline


def test_people_are_found_where_they_were_drawn_under_their_own_ids() -> None:
    frames, _ = run([walker, other], 30)
    assert [f.frame_index for f in frames] == list(range(30))
    assert {tuple(f.ids) for f in frames} == {(1, 2)}
    first = {i: k for i, k in zip(frames[0].ids, frames[0].keypoints, strict=True)}
    last = {i: k for i, k in zip(frames[-1].ids, frames[-1].keypoints, strict=True)}
    for walk in (walker, other):
        who = min(first, key=lambda i: np.abs(first[i] - joints_of(walk(0.0))).max())
        for found, t in ((first, 0.0), (last, frames[-1].time_s)):
            assert np.abs(found[who] - joints_of(walk(t))).max() < 1.5


@pytest.mark.parametrize("offsets", [(0,), (-1, 0, 1), (-2, -1, 0, 1, 2)])
def test_every_frame_is_encoded_once(offsets: tuple[int, ...]) -> None:
    model = DotScene(offsets)
    frames, pipeline = run([walker], 12, model)
    assert model.encoded == 12 and len(frames) == 12
    assert (pipeline.counts.encodes, pipeline.counts.fuses, pipeline.counts.frames) == (12, 12, 12)


def test_windows_repeat_frames_at_the_ends() -> None:
    class Numbered(DotScene):
        def encode(self, frames: Tensor, valid: Tensor | None = None) -> Features:
            number = torch.full((1,), float(self.encoded))
            return (super().encode(frames, valid)[0], number)

    model = Numbered((-2, -1, 0, 1, 2))
    run([walker], 4, model)
    assert model.windows == [
        [0, 0, 0, 1, 2], [0, 0, 1, 2, 3], [0, 1, 2, 3, 3], [1, 2, 3, 3, 3],
    ]  # fmt: skip


@pytest.mark.parametrize("count", [0, 1, 2])
def test_videos_shorter_than_the_window_are_answered(count: int) -> None:
    frames, _ = run([walker], count)
    assert [f.frame_index for f in frames] == list(range(count))


def test_somebody_who_enters_gets_a_new_id_and_an_empty_frame_has_nobody() -> None:
    frames, _ = run([visitor], 25)
    assert [len(f) for f in frames] == [0] * 13 + [1] * 12
    assert {int(i) for f in frames for i in f.ids} == {1}


def test_two_people_who_cross_keep_their_ids() -> None:
    def right(t: float) -> tuple[float, float]:
        return (60 + 100 * t, 84.0)

    def left(t: float) -> tuple[float, float]:
        return (260 - 100 * t, 96.0)

    frames, _ = run([right, left], 50)
    # The one behind is not found for as long as they overlap.
    assert min(len(f) for f in frames) == 1 and len(frames[-1]) == 2
    assert {int(i) for f in frames for i in f.ids} == {1, 2}
    for walk in (right, left):
        who = [
            int(f.ids[np.abs(f.keypoints - joints_of(walk(f.time_s))).max((1, 2)).argmin()])
            for f in (frames[0], frames[-1])
        ]
        assert who[0] == who[1]


def test_a_second_video_starts_from_nothing() -> None:
    pipeline = ScenePipeline(DotScene())
    first, second = (list(pipeline.stream(DotVideo([walker], clock(5)))) for _ in range(2))
    for a, b in zip(first, second, strict=True):
        assert a.ids.tolist() == b.ids.tolist()
        np.testing.assert_array_equal(a.keypoints, b.keypoints)


def test_a_network_that_has_learnt_nothing_runs_over_a_video() -> None:
    torch.manual_seed(0)
    model: Any = build_scene_model("pavenet:lite", frame_size=(160, 90))
    # At the start of training the joints of a person lie in one point, which nobody can follow.
    torch.nn.init.normal_(model.propose_pose[-1].weight, std=2.0)
    frames = list(ScenePipeline(model, min_score=0.0).stream(DotVideo([walker], clock(5))))
    assert min(len(f) for f in frames) >= 30  # a crowd: it may find 40
    assert len(frames) == 5 and all(np.isfinite(f.keypoints).all() for f in frames)
    assert all(len(set(f.ids.tolist())) == len(f) for f in frames)
    assert all((f.keypoints >= -0.5).all() for f in frames)
    assert all((f.keypoints <= np.array(SIZE) - 0.5).all() for f in frames)


def test_scores_outside_0_to_1_are_refused() -> None:
    with pytest.raises(UsageError, match="between 0 and 1"):
        ScenePipeline(DotScene(), min_score=1.5)
