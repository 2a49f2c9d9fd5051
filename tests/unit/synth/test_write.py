"""Written clips: read back by the PoseTrack reader, the same for the same seed, never by halves."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from plates import SIZE, at, drawn, front_camera
from written_world import FRAMES, TIMES, body, labelled, pictures, write

from chronopose.core.skeletons import COCO17, H36M17, LSP14, POSETRACK15
from chronopose.data.datasets.posetrack import PoseTrack18
from chronopose.errors import FormatError, ShapeError, SkeletonMismatch, UsageError
from chronopose.io.video import open_video
from chronopose.metrics.posetrack_map import PoseTrackAP
from chronopose.synth.clip_arrays import ClipArrays, read_arrays
from chronopose.synth.labels import LABEL_JOINTS, label_frame
from chronopose.synth.write import ClipPlaces, is_written, list_clips, read_facts, write_clip

# ---- what was written is what is read -------------------------------------------------------


def test_the_posetrack_reader_gives_the_labels_back(tmp_path: Path):
    write(tmp_path)
    [sequence] = PoseTrack18(root=tmp_path).sequences()
    assert sequence.name == "walk" and len(sequence) == FRAMES
    for frame, truth in zip(sequence, labelled(), strict=True):
        expected = truth.to_labelled(POSETRACK15, frame.name, frame.frame_index, size=SIZE)
        found = frame.to_skeleton(POSETRACK15)
        np.testing.assert_allclose(found.xy, expected.xy, atol=1e-9)
        np.testing.assert_array_equal(found.visibility, expected.visibility)
        np.testing.assert_array_equal(found.ids, expected.ids)
        np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-9)
        np.testing.assert_allclose(found.head_boxes, expected.head_boxes, atol=1e-9)
        assert [p["person_id"] for p in found.extra["people"]] == found.ids.tolist()
        assert found.size == SIZE
    # Nobody would have labelled person 5 in the last frame.
    assert [f.ids.tolist() for f in sequence] == [[8, 5]] * (FRAMES - 1) + [[8]]


def test_labels_as_predictions_score_a_hundred(tmp_path: Path):
    write(tmp_path)
    [sequence] = PoseTrack18(root=tmp_path).sequences()
    metric = PoseTrackAP()
    metric.update(sequence, sequence)
    assert metric.compute().total == 100


def test_the_set_is_complete_and_the_lit_pixel_lies_under_the_nose(tmp_path: Path):
    write(tmp_path)
    data = PoseTrack18(root=tmp_path)
    assert data.check() == []
    sample = data.clips(frames=1, skeleton="posetrack15").sample(0, np.random.default_rng(0))
    nose = np.rint(sample.joints[0, POSETRACK15.index("nose")]).astype(int)
    assert sample.images[0, nose[1], nose[0]].tolist() == [255, 255, 255]
    assert (sample.images[0] > 0).any(-1).sum() == 1


def test_arrays_hold_everything_also_what_people_would_not_label(tmp_path: Path):
    write(tmp_path)
    arrays, labels = read_arrays(tmp_path / "arrays" / "val" / "walk.npz"), labelled()
    assert arrays.ids.tolist() == [5, 8] and len(arrays) == FRAMES
    for t, truth in enumerate(labels):
        rows = [1, 0]  # Person 8 comes first in the frames.
        np.testing.assert_array_equal(arrays.xy[t, rows], truth.xy)
        np.testing.assert_array_equal(arrays.visibility[t, rows], truth.visibility)
        np.testing.assert_array_equal(arrays.boxes[t, rows], truth.boxes)
        np.testing.assert_array_equal(arrays.share[t, rows], truth.share)
        np.testing.assert_allclose(arrays.xyz[t, rows], truth.xyz, atol=1e-6)
        again, _ = arrays.camera(t).project(arrays.xyz[t])
        np.testing.assert_allclose(again, arrays.xy[t], atol=1e-4)
    np.testing.assert_array_equal(arrays.time_s, TIMES)
    assert arrays.masks is arrays.depth is arrays.flow is None


def test_plain_numpy_finds_each_skeleton(tmp_path: Path):
    write(tmp_path)
    with np.load(tmp_path / "arrays" / "val" / "walk.npz") as stored:
        for skeleton in (COCO17, POSETRACK15, LSP14, H36M17):
            places = stored[skeleton.name]
            assert stored["joints"][places].tolist() == list(skeleton.joints)
            assert stored["xyz"][:, :, places].shape == (FRAMES, 2, len(skeleton), 3)


def test_masks_depth_and_flow_are_kept_if_wanted(tmp_path: Path):
    masks = np.zeros((FRAMES, 80, 100), np.uint8)
    masks[:, :10], masks[:, 10:20], masks[:, 20:30] = 1, 2, 255
    depth = np.full((FRAMES, 80, 100), np.inf, np.float32)
    depth[:, :10] = 2.5
    flow = np.full((FRAMES, 80, 100, 2), -1.5, np.float32)
    write(tmp_path, layers={"masks": masks, "depth": depth, "flow": flow})
    arrays = read_arrays(tmp_path / "arrays" / "val" / "walk.npz")
    assert arrays.masks is not None and arrays.depth is not None and arrays.flow is not None
    # Person 8 was drawn first and is the second of the sorted ids.
    assert arrays.masks[0, [0, 10, 20, 30], 0].tolist() == [2, 1, 255, 0]
    assert arrays.depth.dtype == np.float16 and arrays.depth[1, 5, 5] == 2.5
    assert np.isinf(arrays.depth[1, 50, 5]) and (arrays.flow == -1.5).all()


def test_people_may_come_and_go():
    here = label_frame([at(body(), (0, 2, 0))], front_camera(), drawn(), ids=[4])
    nobody = label_frame([], front_camera(), drawn())
    arrays = ClipArrays.of([nobody, here], [front_camera()] * 2, [0.0, 0.04])
    assert arrays.ids.tolist() == [4]
    assert np.isnan(arrays.xy[0]).all() and np.isfinite(arrays.xy[1]).all()
    assert (arrays.visibility[0] == 0).all()


def test_a_video_instead_of_pictures_keeps_the_times(tmp_path: Path):
    facts = write(tmp_path, pictures="mp4")
    assert facts.pictures == "mp4" and is_written(tmp_path, "val", "walk")
    assert not (tmp_path / "images" / "val" / "walk").exists()
    with open_video(tmp_path / "videos" / "val" / "walk.mp4") as video:
        times = [frame.time_s for frame in video]
    np.testing.assert_allclose(times, TIMES, atol=1e-4)


# ---- the same on any machine ----------------------------------------------------------------


def test_the_same_seed_has_the_same_hash_and_other_labels_another(tmp_path: Path):
    first, second = write(tmp_path / "a"), write(tmp_path / "b", pictures="mp4")
    assert first.labels_sha256 == second.labels_sha256
    assert first.seen_sha256 == second.seen_sha256
    moved = write(tmp_path / "c", shift_m=0.01)
    assert moved.labels_sha256 != first.labels_sha256
    assert read_facts(tmp_path / "a", "val", "walk") == first
    assert first.settings == {"people": 2} and (first.seed, first.people) == (3, 2)


def test_the_hash_of_labels_does_not_see_the_last_bits_nor_the_renderer():
    cameras = [front_camera()] * FRAMES
    labels = labelled()
    plain = ClipArrays.of(labels, cameras, TIMES)
    noise = [replace(f, xy=f.xy + 1e-11, xyz=f.xyz - 1e-11) for f in labels]
    assert ClipArrays.of(noise, cameras, TIMES).digest() == plain.digest()
    unseen = [replace(f, visibility=np.minimum(f.visibility, 1)) for f in labels]
    other = ClipArrays.of(unseen, cameras, TIMES)
    assert other.digest() == plain.digest() and other.seen_digest() != plain.seen_digest()


# ---- all or nothing -------------------------------------------------------------------------


def check_folder(folder: Path) -> bool:
    """Whether the clip is there; fails if anything of it is half there."""
    annotations = folder / "posetrack_data" / "annotations" / "val"
    if any(annotations.glob("*.json")):
        data = PoseTrack18(root=folder)
        assert data.check() == []
        assert [len(s) for s in data.sequences()] == [FRAMES]
    if not is_written(folder, "val", "walk"):
        assert list_clips(folder, "val") == []
        return False
    arrays = read_arrays(folder / "arrays" / "val" / "walk.npz")
    assert arrays.digest() == read_facts(folder, "val", "walk").labels_sha256
    [sequence] = PoseTrack18(root=folder).sequences()
    row = arrays.ids.tolist().index(8)
    nose = arrays.xy[0, row, LABEL_JOINTS.index("nose")]
    np.testing.assert_allclose(sequence.frames[0].to_skeleton(POSETRACK15).xy[0, 0], nose)
    return True


TOUCHES = ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir")


def written_in_child(folder: Path, last: int) -> int:
    """Write in a child that dies at its n-th touch of the file system.

    Returns:
        How often it touched the file system, 255 if it died.
    """
    child = os.fork()
    if child == 0:
        touches = 0

        def hook(name: str, _arguments: object) -> None:
            nonlocal touches
            if name in TOUCHES:
                if touches == last:
                    os._exit(255)
                touches += 1

        sys.addaudithook(hook)
        try:
            write(folder, shift_m=0.01)
            os._exit(touches)
        finally:
            os._exit(254)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("again", [False, True])
def test_a_killed_writer_leaves_nothing_that_counts(tmp_path: Path, again: bool):
    if again:
        write(tmp_path / "all")
    total = written_in_child(tmp_path / "all", last=-1)
    assert 15 < total < 200 and check_folder(tmp_path / "all")
    # All the last steps, where things get their names, and some of those before.
    whole = []
    for last in sorted({*range(0, total, 12), *range(total - 8, total)}):
        folder = tmp_path / str(last)
        if again:
            write(folder)
        assert written_in_child(folder, last) == 255
        whole.append(check_folder(folder))
        if last % 12 == 0:
            write(folder)
            assert check_folder(folder)
            assert list(folder.rglob(".*")) == []
    assert not any(whole[1:]) and whole[0] == again


@pytest.mark.parametrize("kind", ["png", "mp4"])
def test_a_frame_that_cannot_be_had_leaves_nothing(tmp_path: Path, kind: str):
    def frames():
        yield from pictures(labelled())[:2]
        raise RuntimeError("the renderer broke")

    with pytest.raises(RuntimeError, match="broke"):
        write(tmp_path, frames=frames(), pictures=kind)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []
    assert not is_written(tmp_path, "val", "walk")


def test_a_clip_whose_parts_were_taken_away_is_not_written(tmp_path: Path):
    for number, lost in enumerate(
        ("images/val/walk/000003.png", "arrays/val/walk.npz", "arrays/val/walk.json",
         "posetrack_data/annotations/val/walk.json")
    ):  # fmt: skip
        folder = tmp_path / str(number)
        write(folder)
        assert list_clips(folder, "val") == ["walk"]
        (folder / lost).unlink()
        assert not is_written(folder, "val", "walk") and list_clips(folder, "val") == []


# ---- errors ---------------------------------------------------------------------------------


def test_what_does_not_fit_is_refused(tmp_path: Path):
    frames = pictures(labelled())
    with pytest.raises(ShapeError, match="4 labelled frames need as many pictures; got 3"):
        write(tmp_path, frames=frames[:3])
    with pytest.raises(ShapeError, match="got 5"):
        write(tmp_path, frames=[*frames, frames[0]], pictures="mp4")
    with pytest.raises(ShapeError, match=r"Frame 1 must be \(80, 100, 3\) uint8"):
        write(tmp_path, frames=[frames[0], frames[1][:50], *frames[2:]])
    with pytest.raises(UsageError, match="cannot name a clip"):
        write(tmp_path, name="../walk")
    with pytest.raises(UsageError, match="'jpg', 'png' or 'mp4'"):
        write(tmp_path, pictures="gif")
    with pytest.raises(UsageError, match="plain values"):
        write(tmp_path, settings={"rate": float("nan")})
    with pytest.raises(ShapeError, match="as many labels, cameras and times"):
        write_clip(tmp_path, "val", "w", [], [], [], [], seed=0, settings={})
    assert not is_written(tmp_path, "val", "walk")


def test_arrays_that_are_damaged_or_something_else_say_so(tmp_path: Path):
    write(tmp_path)
    path = tmp_path / "arrays" / "val" / "walk.npz"
    with pytest.raises(FormatError, match="no such file"):
        read_arrays(tmp_path / "none.npz")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FormatError, match="damaged"):
        read_arrays(path)
    np.savez(path, xy=np.zeros(3))
    with pytest.raises(FormatError, match=r"no array 'joints' \(it has xy\)"):
        read_arrays(path)
    path.write_bytes(b"{}")
    with pytest.raises(FormatError, match="not an npz"):
        read_arrays(path)
    path.write_bytes(whole)
    with np.load(path) as stored:
        content = dict(stored)
    np.savez(path, **(content | {"xyz": content["xyz"][:2]}))
    with pytest.raises(FormatError, match=r"xyz of a clip must be \(4, 2, 31, 3\)"):
        read_arrays(path)


def test_facts_of_something_else_are_refused(tmp_path: Path):
    write(tmp_path)
    path = ClipPlaces(tmp_path, "val", "walk").facts
    content = json.loads(path.read_text())
    path.write_text(json.dumps({k: v for k, v in content.items() if k != "seed"}))
    with pytest.raises(FormatError, match="lacks seed"):
        read_facts(tmp_path, "val", "walk")
    path.write_text("[]")
    with pytest.raises(FormatError, match="does not tell"):
        read_facts(tmp_path, "val", "walk")
    assert not is_written(tmp_path, "val", "walk")


def test_an_unknown_joint_is_named(tmp_path: Path):
    write(tmp_path)
    arrays = read_arrays(tmp_path / "arrays" / "val" / "walk.npz")
    assert arrays.places(("nose", "left_heel")).tolist() == [0, LABEL_JOINTS.index("left_heel")]
    with pytest.raises(SkeletonMismatch, match="no joint tail"):
        arrays.places(("tail",))
