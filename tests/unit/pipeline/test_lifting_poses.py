"""2D poses of videos lifted into space: times, gaps, chunks, mirrors, places."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from lift_world import SIZE, TinyConfig, TinyLifter, moving, person, video

from chronopose.core.skeletons import COCO17, H36M17, UPPER7
from chronopose.errors import ShapeError, SkeletonMismatch, UsageError
from chronopose.models._find import build_lifter
from chronopose.pipeline.lift import Lifter, LiftSettings, dense_in_chunks
from chronopose.pipeline.place import Pinhole

TIMES = np.arange(100) / 50
ROOT = LiftSettings(space="root_mm", flip_test=False)


def tiny(settings: LiftSettings = ROOT, **config: float) -> Lifter:
    return Lifter(TinyLifter(TinyConfig(**config)), settings, name="tiny:lite")  # type: ignore[arg-type]


def test_numbers_of_a_flat_lifter_by_hand() -> None:
    found = tiny().lift(video(person(TIMES, moving(TIMES)))).poses.tracks[0]
    assert found.poses.space == "root_mm"
    assert found.poses.skeleton is H36M17
    # At time 0 the left ankle is 150 * 0.3 = 45 px right of the pelvis and 255 px below; a pixel is
    # 2 / 1000 of the screen, and a unit of it 2 m: 4 mm.
    ankle = found.poses.xy[0, H36M17.index("left_ankle"), :2]
    np.testing.assert_allclose(ankle, [180, 1020], atol=0.05)
    np.testing.assert_array_equal(found.poses.xy[:, 0], 0)
    np.testing.assert_array_equal(found.time_s, TIMES)
    np.testing.assert_allclose(found.poses.score, 0.9)


@pytest.mark.parametrize("chunk", [1, 7, 64])
def test_chunks_give_what_one_pass_gives(chunk: int) -> None:
    model = TinyLifter(TinyConfig(frames=9, before=4))
    screen = model.codec.to_screen(moving(TIMES), SIZE)
    whole = dense_in_chunks(model, screen, chunk=10_000, flip=True)
    model.longest = 0
    np.testing.assert_allclose(
        dense_in_chunks(model, screen, chunk=chunk, flip=True), whole, atol=1e-6
    )
    assert model.longest == chunk + 8


def test_a_real_network_in_chunks_gives_what_one_pass_gives() -> None:
    torch.manual_seed(0)
    model = build_lifter("temporal_cnn:lite").eval()
    screen = model.codec.to_screen(moving(TIMES), SIZE)
    whole = dense_in_chunks(model, screen, chunk=10_000, flip=True)
    assert np.abs(whole).max() > 0
    np.testing.assert_allclose(
        dense_in_chunks(model, screen, chunk=13, flip=True), whole, atol=1e-4 * np.abs(whole).max()
    )


def test_a_window_that_looks_back_only_is_padded_in_front() -> None:
    model = TinyLifter(TinyConfig(frames=5, before=4))
    screen = model.codec.to_screen(moving(TIMES), SIZE)
    found = dense_in_chunks(model, screen, chunk=50, flip=False)
    expected = (screen - screen[:, :1]) * 2
    np.testing.assert_allclose(found[..., :2], expected, atol=1e-6)


def test_mirroring_leaves_a_lifter_alone_that_knows_no_sides() -> None:
    # The tiny lifter's z follows x, so its mirror image has the opposite z: the mean is flat.
    model = TinyLifter(TinyConfig())
    screen = model.codec.to_screen(moving(TIMES), SIZE)
    plain = dense_in_chunks(model, screen, chunk=50, flip=False)
    both = dense_in_chunks(model, screen, chunk=50, flip=True)
    np.testing.assert_allclose(both[..., :2], plain[..., :2], atol=1e-6)
    assert np.abs(plain[..., 2]).max() > 0.01
    np.testing.assert_allclose(both[..., 2], 0, atol=1e-6)


def test_the_result_hardly_depends_on_the_frame_rate() -> None:
    # 2 s at 30, 50 and 24 to 60 frames a second at random: the same motion in seconds.
    rng = np.random.default_rng(3)
    uneven = np.cumsum(np.r_[0, rng.uniform(1 / 60, 1 / 24, 60)])
    uneven = uneven[uneven <= 1.9]
    lifter = tiny(frames=9, before=4)
    fine = lifter.lift(video(person(TIMES, moving(TIMES)))).poses.tracks[0]
    for times in (np.arange(60) / 30, uneven):
        found = lifter.lift(video(person(times, moving(times)))).poses.tracks[0]
        np.testing.assert_array_equal(found.time_s, times)
        inner = (times > 0.1) & (times < 1.8)
        expected = np.stack(
            [np.interp(times, TIMES, c) for c in fine.poses.xy.reshape(100, -1).T], -1
        ).reshape(-1, 17, 3)
        # Sides move by hundreds of millimetres; straight lines between frames cost a few.
        assert np.abs(found.poses.xy - expected)[inner].max() < 3


def test_frames_and_seconds_are_not_mixed_up() -> None:
    # Taken for 50 frames a second, a video of 25 would move twice as fast: other depths.
    times = np.arange(50) / 25
    lifter = tiny(frames=9, before=4)
    right = lifter.lift(video(person(times, moving(times)))).poses.tracks[0].poses.xy
    wrong = lifter.lift(video(person(times / 2, moving(times)))).poses.tracks[0].poses.xy
    truth = lifter.lift(video(person(TIMES, moving(TIMES)))).poses.tracks[0].poses.xy[::2]
    inner = slice(5, -5)
    assert np.abs(right - truth)[inner].max() < 0.5 * np.abs(wrong - truth)[inner].max()


def test_a_long_gap_stays_empty_and_does_not_leak() -> None:
    xy = moving(TIMES)
    xy[40:80, 3] = np.nan
    done = tiny().lift(video(person(TIMES, xy)))
    found = done.poses.tracks[0]
    assert found.frame_index.tolist() == [*range(40), *range(80, 100)]
    assert done.poses.frame_index.tolist() == list(range(100))
    assert "40 of 100 frames stay empty" in done.notes[0]
    alone = tiny().lift(video(person(TIMES[:40], xy[:40]))).poses.tracks[0]
    np.testing.assert_allclose(found.poses.xy[:40], alone.poses.xy, atol=1e-3)


def test_a_filled_joint_is_marked() -> None:
    xy = moving(TIMES)
    xy[50:55, 3] = np.nan
    found = tiny().lift(video(person(TIMES, xy))).poses.tracks[0]
    assert len(found) == 100
    np.testing.assert_allclose(found.poses.score[52, 3], 0.2)
    assert not found.poses.visible[52, 3] and found.poses.visible[52, 4]
    assert np.isfinite(found.poses.xy).all()


def test_somebody_of_whom_a_joint_is_never_known_is_left_out_and_named() -> None:
    xy = moving(TIMES)
    xy[:, [3, 6]] = np.nan
    flat = video(person(TIMES, moving(TIMES)), person(TIMES, xy, track_id=5))
    done = tiny().lift(flat)
    assert done.poses.ids.tolist() == [0]
    assert done.notes == ("Person 5 is left out: right_ankle, left_ankle are never known.",)


def test_in_the_cameras_space_the_pose_lies_on_its_picture() -> None:
    settings = LiftSettings(flip_test=True, fov_deg=47.2, depth_noise=0.0)
    flat = video(person(TIMES, moving(TIMES)))
    done = tiny(settings).lift(flat).poses
    found = done.tracks[0]
    assert found.poses.space == "camera_mm"
    step = done.history[-1]
    assert step.step == "lift"
    assert step.settings["focal_px"] == pytest.approx(500 / np.tan(np.radians(23.6)))
    # Flat, and 4 mm for each pixel of a camera of 1145 px: at 4 * 1145 mm, exactly.
    np.testing.assert_allclose(found.poses.xy[..., 2], 4580, rtol=1e-4)
    camera = Pinhole.assumed(SIZE, fov_deg=47.2)
    np.testing.assert_allclose(camera.project(found.poses.xy), moving(TIMES), atol=0.05)


def test_a_zoom_that_is_known_changes_nothing() -> None:
    xy = moving(TIMES)
    usual = tiny().lift(video(person(TIMES, xy))).poses.tracks[0].poses.xy
    zoomed = 499.5 + 1.5 * (xy - 499.5)
    known = tiny(replace(ROOT, focal_px=1.5 * 1145))
    found = known.lift(video(person(TIMES, zoomed))).poses.tracks[0].poses.xy
    np.testing.assert_allclose(found, usual, atol=0.02)


def test_a_portrait_picture_is_seen_as_the_square_around_it() -> None:
    xy = moving(TIMES)
    square = tiny().lift(video(person(TIMES, xy))).poses.tracks[0].poses.xy
    cut = tiny().lift(video(person(TIMES, xy - [300, 0]), size=(400, 1000)))
    np.testing.assert_allclose(cut.poses.tracks[0].poses.xy, square, atol=0.02)


def test_other_skeletons_come_by_name() -> None:
    coco = person(TIMES, moving(TIMES))
    plan = H36M17.map_to(COCO17)
    poses = coco.poses.mapped(plan)
    # The ears, eyes and the nose are where the head is.
    xy = np.where(np.isfinite(poses.xy), poses.xy, coco.poses.xy[:, 10:11])
    poses = replace(poses, xy=xy, score=np.ones_like(poses.score), visible=None)
    done = tiny().lift(video(replace(coco, poses=poses)))
    assert done.notes[0].startswith("pelvis, spine, thorax, neck_nose, head made from")
    assert done.poses.skeleton is H36M17
    knee = H36M17.index("left_knee")
    direct = tiny().lift(video(coco)).poses.tracks[0].poses.xy
    np.testing.assert_allclose(done.poses.tracks[0].poses.xy[:, knee], direct[:, knee], atol=0.05)


def test_what_cannot_be_lifted_is_refused() -> None:
    flat = video(person(TIMES, moving(TIMES)))
    lifter = tiny()
    with pytest.raises(ShapeError, match="in root_mm already"):
        lifter.lift(lifter.lift(flat).poses)
    with pytest.raises(UsageError, match="--size WIDTHxHEIGHT"):
        lifter.lift(replace(flat, info=replace(flat.info, size=(0, 0))))
    arms = replace(flat.tracks[0], poses=flat.tracks[0].poses.to_skeleton(UPPER7, missing="nan"))
    with pytest.raises(SkeletonMismatch, match="left_ankle"):
        lifter.lift(replace(flat, skeleton=UPPER7, tracks=(arms,)))


def test_a_size_that_is_given_wins() -> None:
    flat = video(person(TIMES, moving(TIMES)), size=(0, 0))
    found = tiny(replace(ROOT, size=(2000, 1000))).lift(flat).poses.tracks[0].poses.xy
    same = tiny().lift(video(person(TIMES, moving(TIMES)))).poses.tracks[0].poses.xy
    # Twice as wide: a pixel is half as much of the screen.
    np.testing.assert_allclose(found[..., :2], same[..., :2] / 2, atol=0.01)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"rate_hz": 0.0}, "rate_hz must be a number above 0"),
        ({"space": "world"}, "camera_mm or root_mm"),
        ({"min_score": 2.0}, r"min_score must be within \[0, 1\]"),
        ({"chunk": 0}, "chunk must be at least 1"),
        ({"fov_deg": 200.0}, "angle of view"),
    ],
)
def test_settings_out_of_range_are_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        LiftSettings(**given)  # type: ignore[arg-type]


def test_scores_go_in_where_the_network_reads_them() -> None:
    model = TinyLifter(TinyConfig(channels=3))
    Lifter(model, ROOT).lift(video(person(TIMES, moving(TIMES), score=0.75)))
    assert model.last is not None and model.last.shape == (1, 104, 17, 3)
    torch.testing.assert_close(model.last[..., 2], torch.full((1, 104, 17), 0.75))
