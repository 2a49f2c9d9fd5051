"""States that are carried from frame to frame: one a person, and no more."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from dot_world import CROP, DOTS, DotNet, DotVideo, clock, joints_of, true_boxes
from torch import Tensor, nn

from chronopose.codecs.heatmap import HeatmapCodec
from chronopose.errors import UsageError
from chronopose.models._base import Criterion, Features, Needs, PoseModel
from chronopose.models._find import build_model
from chronopose.pipeline.recurrent import RecurrentRunner, Restart, Visit
from chronopose.pipeline.stream import PosePipeline
from chronopose.pipeline.window import LockSettings
from chronopose.tensors import HeatmapOutput
from chronopose.tensors.colours import normalise


class DotState(NamedTuple):
    maps: Tensor
    before: Tensor


class SlowDots(DotNet):
    """Answers with the mean of what it sees and of what it answered before."""

    def __init__(self) -> None:
        super().__init__(offsets=(-2, -1, 0))
        self.started: list[int] = []
        self.stepped: list[int] = []

    def start(self, frame: Tensor) -> DotState:
        self.started.append(len(frame))
        maps = self.encode(frame)[0]
        return DotState(maps, maps)

    def step(self, frame: Tensor, state: DotState) -> tuple[HeatmapOutput, DotState]:
        self.stepped.append(len(frame))
        maps = (self.encode(frame)[0] + state.before) / 2
        return HeatmapOutput(maps), DotState(maps, maps)


def crop(seed: int) -> Tensor:
    """A dot of each colour somewhere."""
    numbers = np.random.default_rng(seed)
    picture = torch.full((3, CROP[1], CROP[0]), 60.0)
    for channel in range(3):
        x, y = int(numbers.integers(6, CROP[0] - 6)), int(numbers.integers(6, CROP[1] - 6))
        picture[:, y - 2 : y + 3, x - 2 : x + 3] = 0
        picture[channel, y - 2 : y + 3, x - 2 : x + 3] = 255
    return picture


def black() -> Tensor:
    return torch.full((3, CROP[1], CROP[0]), 10.0)


def test_a_stream_answers_as_a_loop_over_start_and_step():
    model: Any = build_model("dkd:lite", crop_size=(32, 32), width=8)
    torch.manual_seed(0)
    torch.nn.init.normal_(model.head_norm.weight)
    torch.nn.init.normal_(model.visual_head.weight, std=0.05)
    numbers = torch.Generator().manual_seed(1)
    crops = torch.rand(5, 2, 3, 32, 32, generator=numbers) * 255
    runner = RecurrentRunner(model)
    found = [runner.answer([Visit(7, 1), Visit(9, 2)], list(pair)) for pair in crops]
    with torch.inference_mode():
        for person in (0, 1):
            frames = normalise(crops[:, person])
            state = model.start(frames[:1])
            maps = [state.maps]
            for frame in frames[1:]:
                output, state = model.step(frame[None], state)
                maps.append(output.heatmaps)
            wanted = model.codec.decode(torch.cat(maps))
            ours = np.stack([p.xy[person] for p in found])
            np.testing.assert_allclose(ours, wanted.xy, atol=1e-3)
    assert (runner.starts, runner.steps) == (2, 8)


class Fading(PoseModel):
    """The cheapest recurrent network: a frame's colours are its maps, what was fades by half."""

    PRESETS: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__()
        self.needs = Needs(offsets=(-1, 0), crop_size=(8, 8))
        self.codec = HeatmapCodec(DOTS, (8, 8), stride=1, sigma=1.0)
        self.unused = nn.Parameter(torch.zeros(1))

    def encode(self, frames: Tensor) -> Features:
        return (frames,)

    def fuse(self, features: Features) -> HeatmapOutput:
        return HeatmapOutput((features[0][:, 1] + features[0][:, 0]) / 2)

    def criterion(self) -> Criterion:
        raise NotImplementedError

    def start(self, frame: Tensor) -> DotState:
        return DotState(frame, frame)

    def step(self, frame: Tensor, state: DotState) -> tuple[HeatmapOutput, DotState]:
        maps = (frame + state.before) / 2
        return HeatmapOutput(maps), DotState(maps, maps)


def resident_bytes() -> int:
    """Memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_ten_thousand_frames_need_no_more_memory_than_a_thousand_and_answer_as_one_long_loop():
    numbers = torch.Generator().manual_seed(0)
    model, crops = Fading(), list(torch.rand(7, 3, 8, 8, generator=numbers) * 255)
    runner = RecurrentRunner(model)

    def go(first: int, last: int) -> np.ndarray:
        for t in range(first, last):
            # One stays for ever; beside it a new person comes every tenth frame, for one frame.
            visits = [Visit(0, 0), Visit(t, 0)] if t % 10 == 9 else [Visit(0, 0)]
            poses = runner.answer(visits, [crops[t % 7]] * len(visits))
            runner.keep_only(v.track for v in visits)
        return poses.xy

    go(0, 1000)
    before = resident_bytes()
    last = go(1000, 10_000)
    assert resident_bytes() - before < 8 * 2**20
    assert len(runner) == 2
    assert (runner.starts, runner.steps) == (1 + 1000, 9999)
    frames = normalise(torch.stack(crops))
    maps = frames[:1]
    for t in range(1, 10_000):
        maps = (frames[t % 7] + maps) / 2
    np.testing.assert_allclose(last[0], model.codec.decode(maps).xy[0], atol=1e-4)


def test_a_track_starts_anew_when_its_window_moves_and_when_it_was_forgotten():
    model = SlowDots()
    runner = RecurrentRunner(model)
    for window in (1, 1, 2, 2):
        runner.answer([Visit(5, window)], [crop(0)])
    assert (runner.starts, runner.steps) == (2, 2)
    runner.keep_only([4])
    runner.answer([Visit(5, 2)], [crop(0)])
    assert runner.starts == 3


def test_old_and_new_people_of_one_frame_keep_their_places():
    model = SlowDots()
    runner = RecurrentRunner(model)
    runner.answer([Visit(2, 0)], [crop(2)])
    both = runner.answer([Visit(1, 0), Visit(2, 0)], [crop(1), crop(2)])
    for row, seed in enumerate((1, 2)):
        alone = RecurrentRunner(SlowDots()).answer([Visit(0, 0)], [crop(seed)])
        np.testing.assert_allclose(both.xy[row], alone.xy[0], atol=1e-4)
    assert (model.started, model.stepped) == ([1, 1], [1])


def test_every_third_step_is_followed_by_a_start():
    runner = RecurrentRunner(SlowDots(), restart=Restart(every=3))
    kinds = []
    for _ in range(9):
        before = runner.starts
        runner.answer([Visit(0, 0)], [crop(0)])
        kinds.append(runner.starts - before)
    assert kinds == [1, 0, 0, 0, 1, 0, 0, 0, 1]


def test_a_lost_person_is_answered_by_a_start():
    model = SlowDots()
    runner = RecurrentRunner(model, restart=Restart(below=0.4))
    scores = [float(runner.answer([Visit(0, 0)], [crop(0)]).score.mean()) for _ in range(2)]
    assert min(scores) > 0.4
    assert runner.starts == 1
    # A dark frame halves what is remembered; the second one falls below and starts anew.
    for _ in range(3):
        runner.answer([Visit(0, 0)], [black()])
    assert runner.starts > 1
    again = runner.answer([Visit(0, 0)], [crop(3)])
    alone = RecurrentRunner(SlowDots()).answer([Visit(0, 0)], [crop(3)])
    assert again.score.mean() > 0.2
    assert alone.score.mean() > 0.4


def test_half_precision_answers_nearly_the_same():
    full, half = (RecurrentRunner(SlowDots(), half=h) for h in (False, True))
    for _ in range(3):
        a, b = (r.answer([Visit(0, 0)], [crop(4)]) for r in (full, half))
    np.testing.assert_allclose(a.xy, b.xy, atol=0.5)


def test_what_cannot_be_is_refused():
    with pytest.raises(UsageError, match="no start and step"):
        RecurrentRunner(DotNet())
    with pytest.raises(UsageError, match="twice"):
        RecurrentRunner(SlowDots()).answer([Visit(0, 0)] * 2, [crop(0)] * 2)
    with pytest.raises(UsageError, match="below"):
        Restart(below=1.5)
    video = DotVideo([], clock(1))
    with pytest.raises(UsageError, match="flip test"):
        PosePipeline(SlowDots(), detector=true_boxes(video), flip_test=True, recurrent=Restart())


def standing(t: float) -> tuple[float, float]:
    return (150.0, 90.0)


def test_the_pipeline_carries_states_and_sees_every_frame_once():
    model, video = SlowDots(), DotVideo([standing], clock(40))
    pipeline = PosePipeline(model, detector=true_boxes(video), recurrent=Restart())
    frames = list(pipeline.stream(video))
    assert [f.frame_index for f in frames] == list(range(40))
    assert (sum(model.started), sum(model.stepped), model.encoded) == (1, 39, 40)
    for frame in frames:
        np.testing.assert_allclose(frame.keypoints[0], joints_of(standing(0)), atol=2.0)


def test_a_person_who_walks_starts_anew_with_every_new_window():
    def walking(t: float) -> tuple[float, float]:
        return (50 + 60 * t, 90.0)

    def far(t: float) -> tuple[float, float]:
        return (260.0, 90.0)

    model, video = SlowDots(), DotVideo([walking, far], clock(40))
    lock = LockSettings(shift=0.05)
    pipeline = PosePipeline(model, detector=true_boxes(video), recurrent=Restart(), lock=lock)
    frames = list(pipeline.stream(video))
    assert {len(f.ids) for f in frames} == {2}
    assert 3 < sum(model.started) < 40
    assert sum(model.started) + sum(model.stepped) == 80


def test_the_same_model_fused_over_windows_needs_no_frame_after_the_key_frame() -> None:
    model, video = SlowDots(), DotVideo([standing], clock(20))
    frames = []
    for answer in PosePipeline(model, detector=true_boxes(video), batch_size=1).stream(video):
        frames.append(answer)
        assert video.read == len(frames)
    assert (len(frames), model.encoded, model.started) == (20, 20, [])
    for frame in frames:
        np.testing.assert_allclose(frame.keypoints[0], joints_of(standing(0)), atol=2.0)
