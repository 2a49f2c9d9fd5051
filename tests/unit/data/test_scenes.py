"""Whole frames with everybody in them: who, where, and which frames stand around."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import picture_worlds as worlds
import pytest

from chronopose.core.skeletons import get_skeleton
from chronopose.data.datasets._find import find_dataset
from chronopose.data.scenes import LabelledScenes, Scene
from chronopose.errors import FormatError, ShapeError, UsageError

POSETRACK15 = get_skeleton("posetrack15")


def opened(root: Path, world: str, name: str, **options) -> LabelledScenes:
    getattr(worlds, world)(root)
    return LabelledScenes(find_dataset(name, root, "val"), **options)


def test_every_labelled_frame_is_a_scene_with_all_its_people(tmp_path: Path):
    scenes = opened(tmp_path, "posetrack18", "posetrack18", skeleton="posetrack15")
    # Frames 1 and 2 of the first video are labelled, and all four of the second.
    assert [scenes.place(i) for i in range(len(scenes))] == [
        (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (1, 3),
    ]  # fmt: skip
    scene = scenes.scene(0)
    assert scene.images.shape == (3, 60, 80, 3) and scene.key == 1 and scene.size == (80, 60)
    assert scene.joints.shape == (2, 15, 2) and scene.visible.all()
    # Joint 16 of the 17 slots is the right ankle; person 1 stands 26 pixels to the right.
    assert scene.joints[0, 14].tolist() == [12 + 4 * 1 + 1, 10 + 6 * 3]
    assert (scene.joints[1] - scene.joints[0]).tolist() == [[26.0, 0.0]] * 15


def test_the_lit_pixel_of_each_frame_is_where_its_ankle_was(tmp_path: Path):
    scenes = opened(tmp_path, "posetrack18", "posetrack18", skeleton="posetrack15")
    scene = scenes.scene(3)
    for t, image in enumerate(scene.images):
        x, y = scene.joints[0, 14]
        assert worlds.brightest(image) == [x + t - 1, y]


def test_a_missing_neighbour_is_the_key_frame(tmp_path: Path):
    scenes = opened(tmp_path, "posetrack17", "posetrack17", skeleton="posetrack15")
    names = [[p.name for p in scenes.window(i)[0]] for i in range(4)]
    assert names[0] == ["00000001.jpg", "00000001.jpg", "00000002.jpg"]
    assert names[1] == ["00000001.jpg", "00000002.jpg", "00000003.jpg"]
    assert names[3] == ["00000003.jpg", "00000004.jpg", "00000004.jpg"]
    # No boxes are labelled: 17 pixels wide and 13 high with 1.3 times the sides, at least 20 high.
    low, high = scenes.scene(1).joints[0].min(0), scenes.scene(1).joints[0].max(0)
    width, height = (high - low) * 1.3
    assert scenes.scene(1).area == pytest.approx([width * max(height, 20)])


def test_a_window_of_one_frame_is_the_key_frame_alone(tmp_path: Path):
    scenes = opened(tmp_path, "posetrack18", "posetrack18", frames=1)
    paths, key = scenes.window(2)
    assert [p.name for p in paths] == ["000000.jpg"] and key == 0
    assert len(scenes.scene(2).images) == 1


def test_a_still_is_one_picture_and_its_joints_get_the_names_asked_for(tmp_path: Path):
    scenes = opened(tmp_path, "coco", "coco", skeleton="posetrack15")
    scene = scenes.scene(0)
    assert len(scene.images) == 1 and scene.joints.shape[1:] == (15, 2)
    coco = worlds.joints_of(17)
    ours = dict(zip(POSETRACK15.joints, scene.joints[0].tolist(), strict=True))
    assert ours["nose"] == coco[0].tolist() and ours["right_ankle"] == coco[16].tolist()


def test_frames_without_people_are_kept_for_prediction_only(tmp_path: Path):
    from dataclasses import replace

    from chronopose.io.posetrack import write_posetrack

    slots = get_skeleton("posetrack17slot")
    made = worlds.video(slots, "000001_mpii_test", "images/val/000001_mpii_test/{:06d}.jpg")
    worlds.paint_video(made, tmp_path, lambda f: f.name)
    first = made.frames[0].select([])
    frames = (first, *made.frames[1:])
    write_posetrack([replace(made, frames=frames)], tmp_path / "annotations" / "val")
    data = find_dataset("posetrack18", tmp_path, "val")
    assert len(LabelledScenes(data)) == 3
    every = LabelledScenes(data, empty=True)
    assert len(every) == 4 and every.scene(0).joints.shape == (0, 17, 2)


def test_a_frame_of_another_size_is_refused(tmp_path: Path):
    scenes = opened(tmp_path, "posetrack18", "posetrack18")
    worlds.paint(scenes.window(0)[0][2], None, size=(40, 30))
    with pytest.raises(FormatError, match="share one size"):
        scenes.scene(0)


def test_the_hash_follows_labels_and_settings(tmp_path: Path):
    three = opened(tmp_path, "posetrack18", "posetrack18")
    same = LabelledScenes(three.data)
    five = LabelledScenes(three.data, frames=5)
    assert three.fingerprint() == same.fingerprint() != five.fingerprint()
    with pytest.raises(UsageError, match="odd"):
        LabelledScenes(three.data, frames=2)


def test_a_scene_whose_shapes_disagree_is_refused():
    images = np.zeros((1, 8, 8, 3), np.uint8)
    joints, seen = np.zeros((2, 15, 2), np.float32), np.ones((2, 15), bool)
    with pytest.raises(ShapeError, match="area"):
        Scene(images, joints, seen, np.ones(1), POSETRACK15)
    with pytest.raises(ShapeError, match="key frame 1"):
        Scene(images, joints, seen, np.ones(2), POSETRACK15, key=1)
