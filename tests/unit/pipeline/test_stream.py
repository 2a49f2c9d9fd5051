"""Frames in, tracked poses out, on a world whose poses are known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from dot_world import DOTS, SIZE, DotNet, DotVideo, Walk, clock, joints_of, true_boxes

from chronopose.core.boxes import Boxes
from chronopose.core.tracks import FramePoses, VideoPoses
from chronopose.errors import UsageError
from chronopose.io.video import Frame
from chronopose.models._find import build_model
from chronopose.pipeline.crops import cut
from chronopose.pipeline.detect import WholeFrame
from chronopose.pipeline.stream import PosePipeline, _Run
from chronopose.pipeline.window import LockSettings
from chronopose.tensors.colours import normalise


def still(t: float) -> tuple[float, float]:
    return (150.0, 90.0)


def walker(t: float) -> tuple[float, float]:
    return (60 + 60 * t, 90.0)


def other(t: float) -> tuple[float, float]:
    return (250 - 50 * t, 92.0)


def poses_of(
    walks: Sequence[Walk], count: int, model: DotNet | None = None, **options: object
) -> list[FramePoses]:
    video = DotVideo(walks, clock(count))
    pipeline = PosePipeline(model or DotNet(), detector=true_boxes(video), **options)  # type: ignore[arg-type]
    return list(pipeline.stream(video))


def errors_px(frames: list[FramePoses], walk: Walk) -> np.ndarray:
    """Distance of the nearest person's joints from the truth, a frame."""
    found = []
    for frame in frames:
        centre = walk(frame.time_s)
        assert centre is not None
        away = np.linalg.norm(frame.keypoints - joints_of(centre), axis=-1).max(-1)
        found.append(away.min())
    return np.array(found)


@pytest.mark.parametrize("policy", ["reencode", "warp", "key"])
def test_joints_are_found_where_they_were_drawn(policy: str) -> None:
    frames = poses_of([walker], 30, window_policy=policy)
    assert [f.frame_index for f in frames] == list(range(30))
    assert {tuple(f.ids) for f in frames} == {(1,)}
    # One crop pixel is 1.9 image pixels here.
    assert errors_px(frames, walker).max() < 2.0


def test_two_people_who_cross_keep_their_ids_and_poses() -> None:
    frames = poses_of([walker, other], 75)
    start = {i: k[0, 0] for i, k in zip(frames[0].ids, frames[0].keypoints, strict=True)}
    end = {i: k[0, 0] for i, k in zip(frames[-1].ids, frames[-1].keypoints, strict=True)}
    assert set(start) == set(end) == {1, 2}
    assert (start[1] < start[2]) and (end[1] > end[2])


@pytest.mark.parametrize("name", ["dsta:lite", "tdmi:lite"])
def test_thirty_people_keep_their_ids_and_get_finite_poses(name: str) -> None:
    walks: list[Walk] = [
        lambda t, i=i: (22 + 30 * (i % 10) + 10 * t, 45.0 + 45 * (i // 10))  # type: ignore[misc]
        for i in range(30)
    ]
    torch.manual_seed(0)
    video = DotVideo(walks, clock(6))
    pipeline = PosePipeline(build_model(name, crop_size=(64, 96)), detector=true_boxes(video))
    frames = list(pipeline.stream(video))
    assert [tuple(sorted(f.ids)) for f in frames] == [tuple(range(1, 31))] * 6
    for frame in frames:
        assert np.isfinite(frame.keypoints).all() and np.isfinite(frame.scores).all()
        order = np.argsort(frame.ids)
        boxes = frame.boxes.xyxy[order]
        wanted = np.array([w(frame.time_s) for w in walks])
        np.testing.assert_allclose((boxes[:, :2] + boxes[:, 2:]) / 2, wanted, atol=1.0)


def test_a_held_window_encodes_each_frame_once() -> None:
    model = DotNet()
    poses_of([still], 40, model)
    assert model.encoded == 40


def test_the_key_policy_encodes_five_frames_a_pose() -> None:
    model = DotNet()
    poses_of([still], 40, model, window_policy="key")
    # The two first and two last windows hold repeated frames: 3 + 4 + 36 * 5 + 4 + 3.
    assert model.encoded == 194


def test_a_moving_person_costs_little_more_than_one_encode_a_frame() -> None:
    model = DotNet()
    poses_of([walker], 75, model)
    # The window moves some 12 times in 3 s, each time at most 5 frames are encoded again.
    assert 75 < model.encoded < 2 * 75


def test_bending_features_encodes_each_frame_once_for_a_moving_person_too() -> None:
    model = DotNet()
    poses_of([walker], 75, model, window_policy="warp")
    assert model.encoded == 75


def test_a_single_frame_model_gets_a_window_for_each_frame() -> None:
    model = DotNet(offsets=(0,))
    held, key = (poses_of([walker], 12, model, window_policy=p) for p in ("reencode", "key"))
    for a, b in zip(held, key, strict=True):
        np.testing.assert_array_equal(a.keypoints, b.keypoints)
    assert model.encoded == 2 * 12


def test_policies_agree_when_nothing_moves() -> None:
    held, bent, key = (poses_of([still], 12, window_policy=p) for p in ("reencode", "warp", "key"))
    for a, b, c in zip(held, bent, key, strict=True):
        np.testing.assert_allclose(a.keypoints, b.keypoints, atol=1e-4)
        np.testing.assert_allclose(a.keypoints, c.keypoints, atol=1e-4)


def test_streaming_equals_forward_on_clips_cut_by_hand() -> None:
    torch.manual_seed(0)
    model = DotNet(difference=0.4)
    video = DotVideo([still, walker], clock(9))
    lock = LockSettings(shift=9.0, zoom=99.0)  # never moves
    answers = list(
        PosePipeline(
            model, detector=lambda fs: [_box(100, 50, 200, 130) for _ in fs], lock=lock
        ).stream(video)
    )
    images = [torch.from_numpy(f.image) for f in video]
    from chronopose.core.crop import CropWindow

    window = CropWindow.of_box(np.array([100.0, 50, 200, 130]), model.needs.crop_size)
    crops = normalise(torch.stack([cut(i, window) for i in images]))
    for key, answer in enumerate(answers):
        clip = crops[[min(max(key + o, 0), 8) for o in model.needs.offsets]]
        with torch.inference_mode():
            expected = model.codec.decode(model(clip[None]).heatmaps).to_image(window)
        np.testing.assert_allclose(answer.keypoints, expected.xy, atol=1e-3)
        np.testing.assert_allclose(answer.scores, expected.score, atol=1e-5)


def _box(*edges: float) -> Boxes:
    return Boxes(np.array([edges], np.float32), np.ones(1, np.float32))


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_the_batch_size_changes_nothing(batch: int) -> None:
    usual = poses_of([walker, other], 20)
    batched = poses_of([walker, other], 20, batch_size=batch)
    for a, b in zip(usual, batched, strict=True):
        assert a.ids.tolist() == b.ids.tolist()
        np.testing.assert_allclose(a.keypoints, b.keypoints, atol=1e-3)


def test_a_camera_is_answered_lookahead_frames_late() -> None:
    video = DotVideo([still], clock(12), known_length=False)
    pipeline = PosePipeline(DotNet(), detector=true_boxes(video))
    late = [video.read - 1 - frame.frame_index for frame in pipeline.stream(video)]
    # Two frames behind; the last two come when the video has ended.
    assert late == [2] * 10 + [1, 0]


def test_a_single_frame_model_has_no_latency() -> None:
    video = DotVideo([walker], clock(12), known_length=False)
    pipeline = PosePipeline(DotNet(offsets=(0,)), detector=true_boxes(video))
    late = [video.read - 1 - frame.frame_index for frame in pipeline.stream(video)]
    assert late == [0] * 12


def test_a_video_of_one_frame() -> None:
    frames = poses_of([still], 1)
    assert len(frames) == 1
    assert errors_px(frames, still).max() < 2.0


def test_a_video_without_frames_gives_no_answer() -> None:
    assert poses_of([still], 0) == []


def test_frames_without_anybody_are_answered_empty() -> None:
    late: Walk = lambda t: still(t) if t >= 0.4 else None  # noqa: E731
    frames = poses_of([late], 20)
    assert [len(f) for f in frames] == [0] * 10 + [1] * 10
    assert frames[0].keypoints.shape == (0, 3, 2)
    # The first pose of a person reaches back into frames in which he had no box.
    assert errors_px(frames[10:], still).max() < 2.0


def test_a_missing_box_is_bridged_by_a_pose_of_lower_score() -> None:
    gap: Walk = lambda t: None if 0.39 < t < 0.45 else walker(t)  # noqa: E731
    video = DotVideo([walker], clock(20))
    blinking = DotVideo([gap], clock(20))
    pipeline = PosePipeline(DotNet(), detector=true_boxes(blinking))
    frames = list(pipeline.stream(video))
    assert [len(f) for f in frames] == [1] * 20
    assert errors_px(frames, walker).max() < 2.5
    assert frames[11].scores.mean() < frames[10].scores.mean() < frames[9].scores.mean()


def test_memory_does_not_grow_with_the_video() -> None:
    video = DotVideo([walker, still], clock(60))
    pipeline = PosePipeline(DotNet(), detector=true_boxes(video), batch_size=8)
    pipeline.detector.start(video.info)
    pipeline.tracker.start(video.info.size)
    run = _Run(pipeline, video.info)
    frames_held, features_held = [], []
    for frame in video:
        run.ring.push(frame)
        list(run.answer(at_end=False))
        frames_held.append(len(run.ring))
        features_held.append(len(run._kept))
    # Five frames of the window of time and at most a run of eight; two people.
    assert max(frames_held) <= 5 + 8
    assert max(features_held) <= 2 * (5 + 8)


def test_a_second_video_starts_with_id_one_again() -> None:
    first, second = DotVideo([still], clock(5)), DotVideo([still], clock(5))
    pipeline = PosePipeline(DotNet(), detector=true_boxes(first))
    list(pipeline.stream(first))
    assert {tuple(f.ids) for f in pipeline.stream(second)} == {(1,)}


def test_flip_test_of_a_symmetric_network_changes_nothing() -> None:
    usual = poses_of([still], 6)
    flipped = poses_of([still], 6, flip_test=True)
    for a, b in zip(usual, flipped, strict=True):
        np.testing.assert_allclose(a.keypoints, b.keypoints, atol=0.5)  # a quarter of a crop pixel


def test_sixteen_bit_arithmetic_finds_nearly_the_same() -> None:
    usual = poses_of([walker], 10)
    short = poses_of([walker], 10, half=True)
    for a, b in zip(usual, short, strict=True):
        np.testing.assert_allclose(a.keypoints, b.keypoints, atol=1.0)


def test_whole_frame_finds_one_person_without_a_detector() -> None:
    video = DotVideo([walker], clock(50))
    frames = list(PosePipeline(DotNet(), detector=WholeFrame()).stream(video))
    assert {tuple(f.ids) for f in frames} == {(1,)}
    assert errors_px(frames, walker).max() < 3.0
    # The box has closed in on the person: joints span 16 by 63 pixels of 320 by 180.
    assert (frames[0].boxes.area < 0.2 * SIZE[0] * SIZE[1]).all()


def test_whole_frame_finds_a_person_who_jumped_away() -> None:
    jump: Walk = lambda t: (60.0, 90.0) if t < 1 else (270.0, 90.0)  # noqa: E731
    video = DotVideo([jump], clock(75))
    frames = list(PosePipeline(DotNet(), detector=WholeFrame()).stream(video))
    assert errors_px(frames[:24], jump).max() < 3.0
    assert errors_px(frames[-30:], jump).max() < 3.0


def test_frames_become_a_result_with_tracks() -> None:
    video = DotVideo([walker, still], clock(10))
    stream = PosePipeline(DotNet(), detector=true_boxes(video)).stream(video)
    result = VideoPoses.from_frames(video.info, DOTS, stream)
    assert result.ids.tolist() == [1, 2]
    assert [len(t) for t in result.tracks] == [10, 10]


def test_boxes_outside_the_picture_or_without_area_give_no_people() -> None:
    def strange(frames: Sequence[Frame]) -> list[Boxes]:
        xyxy = np.array([[-90, 0, -50, 40], [10, 10, 10, 10]], np.float32)
        return [Boxes(xyxy, np.ones(2)) for _ in frames]

    video = DotVideo([still], clock(4))
    assert [len(f) for f in PosePipeline(DotNet(), detector=strange).stream(video)] == [0] * 4


def test_a_batch_of_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="batch"):
        PosePipeline(DotNet(), detector=WholeFrame(), batch_size=0)
