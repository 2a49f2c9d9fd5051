"""People cut out of generated clips come with their joints in camera axes, frame by frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from chronopose.cli.main import main
from chronopose.core.skeletons import H36M17
from chronopose.data.footage import cut_person
from chronopose.data.pictures import read_picture
from chronopose.engine.known_people import clip_people, recorded_motions
from chronopose.errors import FormatError, UsageError
from chronopose.synth.clip_arrays import read_arrays


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("set")
    words = "synth --clips 1 --frames 2 --fps 5 --size 96x64 --people 2..2 --difficulty clean"
    assert main([*words.split(), "--renderer", "soft", "--quiet", "--out", str(folder)]) == 0
    return folder


def test_crops_and_joints_belong_to_the_same_person_and_frame(root: Path):
    found = clip_people(root, "train", (32, 32), least_share=0.3, least_px=8)
    arrays = read_arrays(next((root / "arrays" / "train").glob("*.npz")))
    assert 1 <= len(found.footage) <= len(arrays.ids) == 2
    for footage, xyz in zip(found.footage, found.xyz_mm, strict=True):
        person = int(np.flatnonzero([footage.name.endswith(f"person {i}") for i in arrays.ids])[0])
        rows = np.searchsorted(arrays.time_s, footage.time_s)
        assert footage.frames.shape == (len(rows), 32, 32, 3)
        # Joints in camera axes, moved to where the pelvis is, project to the labelled pixels.
        joints = arrays.places(H36M17.joints)
        for row, pose, crop in zip(rows, xyz, footage.frames, strict=True):
            camera = arrays.camera(row)
            pelvis = camera.to_camera(arrays.xyz[row, person, joints[0]])
            flat = (pose / 1000 + pelvis) @ camera.intrinsics.T
            np.testing.assert_allclose(
                flat[:, :2] / flat[:, 2:], arrays.xy[row, person, joints], atol=0.1
            )
            picture = next((root / "images" / "train").glob(f"*/*{row:06d}.jpg"))
            box = arrays.cut_boxes[row, person]
            np.testing.assert_array_equal(
                crop, cut_person(read_picture(picture), box, (32, 32), 1.1)
            )


def test_a_folder_without_clips_or_motion_says_what_to_do(tmp_path: Path):
    with pytest.raises(FormatError, match="chronopose synth"):
        clip_people(tmp_path, "train")
    with pytest.raises(UsageError, match=r"No \.bvh or \.amc"):
        recorded_motions(tmp_path)
