"""Moments of videos: told by seconds, drawn evenly over time, the same for the same step."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from chronopose.codecs.self_supervised import PictureInput, PoseInput
from chronopose.core.boxes import Boxes
from chronopose.core.poses import Poses
from chronopose.core.skeletons import COCO17, H36M17
from chronopose.core.tracks import PersonTrack, VideoPoses
from chronopose.data.footage import cut_person, pose_footage, tracked_footage
from chronopose.data.moments import (
    Footage,
    MomentBatches,
    MomentRule,
    Timeline,
    can_be_drawn,
    median_background,
    seconds_shown,
)
from chronopose.errors import FormatError, ShapeError, UsageError
from chronopose.io.motion import Motion2D
from chronopose.io.video import VideoWriter, open_video

RULE = MomentRule(near_s=0.2, away_s=1.0, away=2, middle=1, near=1)


def even(seconds: float, fps: float) -> np.ndarray:
    return np.arange(round(seconds * fps)) / fps


def poses(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 17, 2))


def footage(seconds: float = 3.0, fps: float = 25.0, seed: int = 0) -> Footage:
    time_s = even(seconds, fps)
    xy = poses(len(time_s), seed)
    return Footage(f"video {seed}", time_s, xy, xy)


def drawn(time_s: np.ndarray, count: int) -> np.ndarray:
    """Signed seconds from the reference, ``(count, M)``."""
    line, rng = Timeline(time_s, RULE), np.random.default_rng(0)
    rows = np.stack([line.draw(rng) for _ in range(count)])
    return time_s[rows] - time_s[rows[:, :1]]


@pytest.mark.parametrize("fps", [12.5, 25.0, 60.0])
def test_moments_lie_where_the_rule_wants_them_at_any_frame_rate(fps: float):
    apart = np.abs(drawn(even(3, fps), 300))
    assert (apart[:, 0] == 0).all()
    assert (apart[:, 1:3] >= 1 - 1e-6).all()
    assert ((apart[:, 3] > 0.2) & (apart[:, 3] < 1)).all()
    assert ((apart[:, 4] > 0) & (apart[:, 4] <= 0.2 + 1e-6)).all()


def test_twice_the_frame_rate_gives_samples_of_the_same_kind():
    slow, fast = (drawn(even(3, fps), 1000) for fps in (25, 50))
    # The means of |delta| differ by at most a frame; their standard errors are 0.02 s.
    assert np.abs(slow).mean(0) == pytest.approx(np.abs(fast).mean(0), abs=0.07)


def test_frames_of_an_uneven_rate_are_drawn_by_the_time_they_stand_for():
    # The first second has 50 frames, the rest 10 a second: each second is drawn alike.
    time_s = np.concatenate([np.arange(50) / 50, 1 + np.arange(20) / 10])
    line, rng = Timeline(time_s, RULE), np.random.default_rng(0)
    references = time_s[np.array([line.draw(rng)[0] for _ in range(1500)])]
    first = (references < 1).mean()
    assert first == pytest.approx(1 / 3, abs=0.05)


def test_a_frame_stands_for_half_the_way_to_its_neighbours_and_not_for_gaps():
    shown = seconds_shown(np.array([0.0, 0.1, 0.2, 5.0, 5.1]), 0.2)
    assert shown == pytest.approx([0.1, 0.1, 0.15, 0.15, 0.1])


def test_a_short_or_slow_video_is_refused_with_what_is_missing():
    assert can_be_drawn(even(1.6, 25), RULE)
    assert not can_be_drawn(even(0.9, 25), RULE)
    assert not can_be_drawn(even(9, 2), RULE)
    with pytest.raises(UsageError, match=r"18 frames over 8.50 s has no moment"):
        Timeline(even(9, 2), RULE)


def test_a_rule_whose_times_do_not_rise_is_refused():
    with pytest.raises(UsageError, match="must rise"):
        MomentRule(near_s=1.0, away_s=0.5)
    with pytest.raises(UsageError, match="near and away"):
        MomentRule(near=0)


def test_batches_follow_from_seed_and_step_alone():
    videos = [footage(seed=n) for n in range(5)]
    one, again, other = (
        MomentBatches(videos, RULE, PoseInput(H36M17), batch_size=4, steps=9, seed=seed)
        for seed in (1, 1, 2)
    )
    for step in (7, 2):
        assert all(torch.equal(a, b) for a, b in zip(one[step][:5], again[step][:5], strict=True))
    assert not torch.equal(one[2].frames, one[7].frames)
    assert not torch.equal(one[2].frames, other[2].frames)


def test_a_batch_holds_prepared_frames_times_and_poses_of_the_same_moments():
    video = footage()
    batch = MomentBatches([video], RULE, PoseInput(H36M17), batch_size=3, steps=1)[0]
    assert batch.frames.shape == (3, RULE.count, 17, 2)
    assert batch.xy is not None
    torch.testing.assert_close(PoseInput(H36M17).prepare(batch.xy.numpy()), batch.frames)
    assert batch.background is None
    assert batch.video.tolist() == [0, 0, 0]


@pytest.mark.parametrize("whole", [True, False])
def test_backgrounds_come_once_a_video_or_with_each_frame(whole: bool):
    time_s = np.arange(40) / 25
    frames = np.arange(40, dtype=np.uint8)[:, None, None, None] * np.ones((4, 4, 3), np.uint8)
    video = Footage("v", time_s, frames, background=frames[7] if whole else frames)
    batch = MomentBatches([video], RULE, PictureInput((4, 4)), batch_size=2, steps=1)[0]
    assert batch.background is not None
    if whole:
        assert batch.background.shape == (2, 3, 4, 4)
        assert (PictureInput((4, 4)).show(batch.background) == 7).all()
    else:
        assert torch.equal(batch.background, batch.frames)


def test_a_share_of_the_moments_borrows_from_another_moment_of_the_sample():
    videos = [footage(seed=n) for n in range(3)]
    codec = PoseInput(H36M17)

    def borrowed(swap: float) -> torch.Tensor:
        rule = MomentRule(swap=swap)
        partner = MomentBatches(videos, rule, codec, batch_size=400, steps=1)[0].partner
        assert partner.min() >= 0
        assert partner.max() < rule.count
        return (partner != torch.arange(rule.count)).float().mean()

    assert borrowed(0.0) == 0
    assert borrowed(1.0) == 1
    assert borrowed(0.5) == pytest.approx(0.5, abs=0.04)


def test_videos_that_are_too_short_are_left_out_and_none_at_all_is_an_error():
    short, codec = footage(0.5), PoseInput(H36M17)
    batches = MomentBatches([short, footage()], RULE, codec, batch_size=2, steps=1)
    assert (len(batches.videos), batches.left_out) == (1, 1)
    with pytest.raises(UsageError, match="None of 1 videos"):
        MomentBatches([short], RULE, codec, batch_size=2, steps=1)


def test_overfitting_shows_the_same_batches_again():
    batches = MomentBatches([footage()], RULE, PoseInput(H36M17), batch_size=2, steps=9, overfit=2)
    assert torch.equal(batches[1].frames, batches[3].frames)
    assert not torch.equal(batches[1].frames, batches[2].frames)


def test_footage_with_wrong_counts_or_times_is_refused():
    with pytest.raises(ShapeError, match="3 times, 2 frames"):
        Footage("v", np.arange(3.0), poses(2))
    with pytest.raises(ShapeError, match="must rise"):
        Footage("v", np.array([0.0, 0.0]), poses(2))


def test_the_background_is_what_is_seen_most_of_the_time():
    frames = np.full((9, 2, 2, 3), 40, np.uint8)
    frames[[1, 5], 0, 0] = 200
    assert (median_background(frames) == 40).all()


def test_poses_are_centred_on_the_hips_and_of_spread_one_each_by_itself():
    xy = poses(4)
    ready = PoseInput(H36M17).prepare(7 * xy + 300)
    torch.testing.assert_close(ready, PoseInput(H36M17).prepare(xy), atol=1e-5, rtol=0)
    assert ready.square().sum(-1).mean(-1).numpy() == pytest.approx(1, abs=1e-5)
    hips = [H36M17.index("left_hip"), H36M17.index("right_hip")]
    assert ready[:, hips].mean(1).abs().max() < 1e-6


def test_a_pose_with_an_unknown_joint_is_refused():
    xy = poses(2)
    xy[1, 3] = np.nan
    with pytest.raises(ShapeError, match="unknown joint"):
        PoseInput(H36M17).prepare(xy)


def test_pictures_come_back_as_they_were():
    codec = PictureInput((8, 6))
    frames = np.random.default_rng(0).integers(0, 256, (2, 6, 8, 3)).astype(np.uint8)
    ready = codec.prepare(frames)
    assert ready.shape == (2, 3, 6, 8)
    assert (codec.show(ready) == frames).all()
    with pytest.raises(ShapeError, match="uint8"):
        codec.prepare(frames.astype(float))


def test_a_crop_keeps_the_place_of_a_lit_pixel():
    image = np.zeros((40, 40, 3), np.uint8)
    image[20, 12] = 255
    # A box whose edges lie between pixels, as large as the crop: pixels stay pixels.
    crop = cut_person(image, np.array([3.5, 11.5, 19.5, 27.5]), (16, 16), 1.0)
    assert np.unravel_index(crop[..., 0].argmax(), (16, 16)) == (8, 8)
    assert crop[8, 8, 0] > 250


def test_people_of_a_video_file_are_cut_out_by_their_tracks(tmp_path):
    path = tmp_path / "walk.mp4"
    with VideoWriter(path, (64, 48)) as out:
        for n in range(40):
            image = np.full((48, 64, 3), 60, np.uint8)
            image[10:40, 10 + n // 2 : 22 + n // 2] = 220
            out.write(image, n / 25)
    with open_video(str(path)) as video:
        info = video.info
    rows = np.arange(40)
    left = 10 + rows // 2
    box = np.stack([left - 0.5, np.full(40, 9.5), left + 11.5, np.full(40, 39.5)], 1)
    track = PersonTrack(
        3, rows, rows / 25, Boxes(box, np.ones(40)),
        Poses(np.zeros((40, 17, 2)), np.ones((40, 17)), COCO17),
    )  # fmt: skip
    people = VideoPoses(info, COCO17, (track,), frame_index=rows, time_s=rows / 25)
    found = tracked_footage(path, people, (32, 32), least_px=16, every_s=0.08)
    assert [f.name for f in found] == ["walk.mp4 person 3"]
    assert found[0].time_s == pytest.approx(np.arange(20) * 0.08)
    middle = found[0].frames[:, 12:20, 13:19].astype(float)
    assert abs(middle.mean() - 220) < 12
    assert tracked_footage(path, people, (32, 32), least_px=45) == []


def test_pose_sequences_leave_out_unknown_frames_and_need_a_rate():
    xy = poses(30).astype(np.float32)
    xy[4, 2] = np.nan
    motion = Motion2D("s1", "walk", "left", xy, H36M17, 25.0)
    (found,) = pose_footage([motion])
    assert len(found) == 29
    assert found.time_s[4] == pytest.approx(0.2)
    assert found.name == "s1 walk left"
    with pytest.raises(FormatError, match="frames a second"):
        list(pose_footage([Motion2D("s1", "walk", "left", xy, H36M17, float("nan"))]))
