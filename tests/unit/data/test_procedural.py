"""Generated video with exact labels."""

from __future__ import annotations

import numpy as np
import pytest

from chronopose.core.skeletons import get_skeleton
from chronopose.data.clips import ClipSource
from chronopose.data.datasets.procedural import ProceduralClips, ProceduralVideo, render_video
from chronopose.data.wardrobe import PARTS
from chronopose.errors import SkeletonMismatch, UsageError

SIZE = (96, 96)


def alone(seed: int, **settings: object) -> ProceduralVideo:
    return ProceduralVideo(seed, SIZE, 50, 1, obstacles=0, **settings)  # type: ignore[arg-type]


def test_the_same_seed_gives_the_same_pixels_and_labels():
    first, second = alone(4).render(7), alone(4).render(7)
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.xy, second.xy)


def test_another_seed_gives_another_picture():
    assert (alone(4).render(7).image != alone(5).render(7).image).mean() > 0.5


def test_a_frame_does_not_depend_on_the_frames_before_it():
    video = ProceduralVideo(3, SIZE, 6, 2)
    run = [image for image, _ in video]
    np.testing.assert_array_equal(run[5], ProceduralVideo(3, SIZE, 6, 2).render(5).image)


@pytest.mark.parametrize("seed", range(8))
def test_visible_joints_lie_on_their_person(seed: int):
    rendered = ProceduralVideo(seed, SIZE, 20, 2, skeleton="lsp14").render(seed)
    xy = np.rint(rendered.xy[rendered.visible]).astype(int)
    owner = rendered.owner[xy[:, 1], xy[:, 0]]
    truth = np.repeat(rendered.ids, rendered.visible.sum(1))
    assert len(truth) > 4
    # The top of the head touches the background; any other joint lies inside.
    assert (owner == truth).mean() > 0.85


def test_joints_behind_an_obstacle_are_labelled_hidden():
    hidden = 0
    for seed in range(12):
        free = ProceduralVideo(seed, SIZE, 5, 1, obstacles=0).render(0)
        behind = ProceduralVideo(seed, SIZE, 5, 1, obstacles=2).render(0)
        np.testing.assert_array_equal(free.xy, behind.xy)
        assert not (behind.visible & ~free.visible).any()
        hidden += int((free.visible & ~behind.visible).sum())
    assert hidden > 10


def test_metres_and_pixels_agree_through_one_pinhole():
    video = alone(11, skeleton="lsp14")
    rows, values = [], []
    for index in (0, 10, 20):
        xy, xyz = video.joints_at(index)
        rows.append(xyz[0, :, 0] / xyz[0, :, 2])
        values.append(xy[0, :, 0] - video._camera.sway(np.array([index / 25]))[0, 0])
    slope, offset = np.polyfit(np.concatenate(rows), np.concatenate(values), 1)
    np.testing.assert_allclose(
        np.concatenate(values), slope * np.concatenate(rows) + offset, atol=0.01
    )
    assert abs(offset - 47.5) < 0.01


def test_people_have_the_size_of_people():
    _, xyz = alone(2, skeleton="lsp14", motions=("walk",)).joints_at(0)
    joints = get_skeleton("lsp14")
    thigh = np.linalg.norm(xyz[0, joints.index("left_hip")] - xyz[0, joints.index("left_knee")])
    assert 0.3 < thigh < 0.6


@pytest.mark.parametrize("seed", range(4))
def test_flow_takes_joints_to_where_they_are_next(seed: int):
    video = alone(seed, motions=("walk",), skeleton="lsp14")
    rendered = video.render(3)
    after, _ = video.joints_at(4)
    names = [n for n in video.skeleton.joints if n.endswith(("knee", "elbow"))]
    for name in names:
        k = video.skeleton.index(name)
        if not rendered.visible[0, k]:
            continue
        x, y = np.rint(rendered.xy[0, k]).astype(int)
        moved = rendered.xy[0, k] + rendered.flow[y, x]
        assert np.linalg.norm(moved - after[0, k]) < 1.5


def test_labels_without_drawing_equal_labels_with_drawing():
    video = alone(6)
    xy, xyz = video.joints_at(9)
    np.testing.assert_array_equal(xy, video.render(9).xy)
    np.testing.assert_array_equal(xyz, video.render(9).xyz_m)


def test_left_and_right_wear_the_same():
    cloth = {(a, b): part for a, b, _, _, part in PARTS}
    for (a, b), part in cloth.items():
        if a.startswith("left_"):
            assert cloth[("right" + a[4:], "right" + b[4:])] == part


def test_a_clip_carries_its_truth():
    clip, truth = ProceduralVideo(1, SIZE, 6, 2, rate_hz=10.0).clip(2, 5)
    assert clip.frames.shape == (3, 96, 96, 3)
    np.testing.assert_allclose(clip.time_s, [0.2, 0.3, 0.4])
    assert truth.ids.tolist() == [1, 2]
    assert truth.history[0].settings["seed"] == 1


def test_a_video_without_people_has_frames_and_no_poses():
    image, poses = next(iter(ProceduralVideo(1, SIZE, 2, 0)))
    assert image.shape == (96, 96, 3)
    assert len(poses) == 0


def test_a_long_video_is_made_a_frame_at_a_time():
    frames = render_video(frames=10_000_000, size=SIZE, people=1, seed=2)
    image, poses = next(frames)
    assert image.dtype == np.uint8
    assert poses.time_s == 0.0
    assert next(frames)[1].time_s == 0.04


@pytest.mark.parametrize(
    "settings",
    [{"size": (8, 8)}, {"frames": 0}, {"people": -1}, {"rate_hz": 0.0}, {"motions": ("swim",)}],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, object]):
    with pytest.raises(UsageError):
        ProceduralVideo(0, **{"size": SIZE, "frames": 3, **settings})  # type: ignore[arg-type]


def test_an_unknown_skeleton_is_refused():
    with pytest.raises(SkeletonMismatch):
        ProceduralVideo(0, SIZE, skeleton="lsp15")


def test_clips_are_a_source_of_samples_of_one_person():
    clips = ProceduralClips(3, seed=5, frames=5, size=(64, 64))
    assert isinstance(clips, ClipSource)
    sample = clips[1]
    assert sample.images.shape == (5, 64, 64, 3)
    assert sample.key == 2
    seen = sample.joints[2][sample.visible[2]]
    np.testing.assert_allclose(sample.box, [*seen.min(0), *seen.max(0)])


def test_kept_clips_equal_rendered_ones(tmp_path):
    kept = ProceduralClips(3, seed=5, frames=3, size=(64, 64), cache=tmp_path).sample(2)
    fresh = ProceduralClips(3, seed=5, frames=3, size=(64, 64)).sample(2)
    np.testing.assert_array_equal(kept.images, fresh.images)
    np.testing.assert_array_equal(kept.joints, fresh.joints)
    np.testing.assert_array_equal(kept.visible, fresh.visible)


def test_the_fingerprint_changes_with_the_settings():
    prints = {
        ProceduralClips(3, seed=5).fingerprint(),
        ProceduralClips(4, seed=5).fingerprint(),
        ProceduralClips(3, seed=6).fingerprint(),
        ProceduralClips(3, seed=5, skeleton="coco17").fingerprint(),
    }
    assert len(prints) == 4
