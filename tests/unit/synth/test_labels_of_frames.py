"""Labels of frames whose every number was worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from plates import SIZE, at, drawn, front_camera, plate

from chronopose.core.labels import Visibility
from chronopose.core.skeletons import COCO17, H36M17, LSP14, POSETRACK15
from chronopose.core.video import Clip
from chronopose.errors import ShapeError
from chronopose.synth.body import BONES, BonePoses
from chronopose.synth.labels import (
    FEET,
    LABEL_JOINTS,
    LABEL_SKELETON,
    TOLERANCE_M,
    joint_visibility,
    label_frame,
    move_labels,
)
from chronopose.synth.plain_body import plain_body
from chronopose.synth.scene import THING, Actor
from chronopose.synth.shot import Shot
from chronopose.synth.silhouette import covered_lattice, posed_vertices

ROWS, COLUMNS = slice(30, 50), slice(40, 60)
"""Pixels of a plate of 0.4 m, 2 m away: 100 * 0.2 / 2 = 10 px to each side of (49.5, 39.5)."""


def test_every_joint_of_the_four_skeletons_and_the_feet_is_labelled_once():
    for skeleton in (COCO17, POSETRACK15, LSP14, H36M17):
        assert set(skeleton.joints) <= set(LABEL_JOINTS)
        assert LABEL_SKELETON.map_to(skeleton).approximated == ()
    assert set(FEET) <= set(LABEL_JOINTS) and len(LABEL_JOINTS) == 31
    assert LABEL_JOINTS[:17] == COCO17.joints


@pytest.mark.parametrize(
    ("joint", "metres"),
    [
        ("nose", 0.05), ("left_ear", 0.05), ("right_wrist", 0.07), ("left_elbow", 0.10),
        ("right_ankle", 0.10), ("left_knee", 0.13), ("right_shoulder", 0.16), ("left_hip", 0.20),
    ],
)  # fmt: skip
@pytest.mark.parametrize(("off_m", "seen"), [(-0.001, 2), (0.001, 1)])
def test_the_own_surface_may_lie_this_far_in_front_of_a_joint(
    joint: str, metres: float, off_m: float, seen: int
):
    # The joint is in the plate, 2 m away; the surface drawn there is nearer.
    layers = drawn((1, ROWS, COLUMNS, 2.0 - metres - off_m))
    found = label_frame([at(plate(), (0, 2, 0))], front_camera(), layers)
    assert found.visibility[0, LABEL_JOINTS.index(joint)] == seen
    assert TOLERANCE_M[LABEL_JOINTS.index(joint)] == metres


def test_somebody_else_hides_a_joint_however_close():
    people = [at(plate(), (0, 2, 0)), at(plate(), (0, 1.99, 0))]
    layers = drawn((1, ROWS, COLUMNS, 2.0), (2, ROWS, COLUMNS, 1.99))
    found = label_frame(people, front_camera(), layers)
    assert (found.visibility[0] == 1).all() and (found.visibility[1] == 2).all()


def test_somebody_behind_a_joint_does_not_hide_it():
    people = [at(plate(), (0, 2, 0)), at(plate(), (0, 2.01, 0))]
    found = label_frame(people, front_camera(), drawn((2, ROWS, COLUMNS, 2.01)))
    assert (found.visibility[0] == 2).all()


def test_a_box_in_front_hides_what_is_behind_it():
    joints = {"left_wrist": (0.15, 0.0, 0.0), "right_wrist": (-0.15, 0.0, 0.0)}
    people = [at(plate(joints=joints), (0, 2, 0)), at(plate(), (0.15, 1, 0), thing=True)]
    # The left wrist is seen at x = 57, the right one at 42; the box covers columns from 55 on.
    layers = drawn((1, ROWS, COLUMNS, 2.0), (THING, slice(20, 60), slice(55, 75), 1.0))
    found = label_frame(people, front_camera(), layers)
    assert len(found) == 1
    seen = dict(zip(LABEL_JOINTS, found.visibility[0], strict=True))
    assert (seen["left_wrist"], seen["right_wrist"], seen["nose"]) == (1, 2, 2)
    # 15 of 20 columns are left.
    assert found.share[0] == pytest.approx(15 / 20)
    assert found.seen_px[0] == 15 * 20
    assert found.seen_boxes[0].tolist() == [39.5, 29.5, 54.5, 49.5]


def test_places_boxes_and_head_are_projections():
    joints = {"head_top": (0.0, 0.0, 0.3), "left_hip": (0.1, 0.0, -0.1)}
    found = label_frame(
        [at(plate(joints=joints), (0.2, 2, 0.1))], front_camera(), drawn((1, ROWS, COLUMNS, 2.0))
    )
    hip, head = LABEL_JOINTS.index("left_hip"), LABEL_JOINTS.index("head_top")
    np.testing.assert_allclose(found.xyz[0, hip], [0.3, 2.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(found.xy[0, hip], [64.5, 39.5], atol=1e-4)
    np.testing.assert_allclose(found.depth[0], 2.0, atol=1e-6)
    # x from 0 to 0.4, z from -0.1 to 0.3, and the head's top at 0.4: 39.5 - 100 * 0.4 / 2 = 19.5.
    np.testing.assert_allclose(found.boxes[0], [49.5, 19.5, 69.5, 44.5], atol=1e-4)
    np.testing.assert_allclose(found.head_boxes[0], [59.5, 19.5, 59.5, 19.5], atol=1e-4)
    np.testing.assert_allclose(found.xy[0, head], [59.5, 19.5], atol=1e-4)


def test_boxes_are_cut_at_the_edge_of_the_picture_and_joints_beyond_are_outside():
    # x from 0.88 to 1.28: 93.5 to 113.5 px; the picture ends at 99.5. The joint is at 103.5.
    actor = at(plate(), (1.08, 2, 0))
    found = label_frame([actor], front_camera(), drawn((1, ROWS, slice(94, 100), 2.0)))
    np.testing.assert_allclose(found.boxes[0], [93.5, 29.5, 113.5, 49.5], atol=1e-4)
    np.testing.assert_allclose(found.cut_boxes[0], [93.5, 29.5, 99.5, 49.5], atol=1e-4)
    assert (found.visibility == 0).all() and np.isfinite(found.xy).all()
    # 6 of 20 columns: the rest is not seen, whatever the reason.
    assert found.share[0] == pytest.approx(6 / 20)


def test_who_is_behind_the_camera_is_nowhere():
    found = label_frame([at(plate(), (0, -2, 0))], front_camera(), drawn())
    assert np.isnan(found.xy).all() and np.isnan(found.boxes).all()
    assert np.isnan(found.cut_boxes).all() and np.isnan(found.seen_boxes).all()
    assert (found.visibility == 0).all() and found.share.tolist() == [0]


def test_things_are_not_people_and_ids_go_by_the_order_of_people():
    actors = [at(plate(), (0, 3, 0), thing=True), at(plate(), (0, 2, 0)), at(plate(), (0, 4, 0))]
    layers = drawn((2, ROWS, COLUMNS, 2.0))
    assert label_frame(actors, front_camera(), layers).ids.tolist() == [1, 2]
    found = label_frame(actors, front_camera(), layers, ids=[30, 4])
    assert (found.ids.tolist(), found.marks.tolist()) == ([30, 4], [2, 3])
    assert found.seen_px.tolist() == [400, 0]
    with pytest.raises(ShapeError, match="2 people need as many ids; got 1"):
        label_frame(actors, front_camera(), layers, ids=[5])


def test_layers_of_another_size_and_bodies_without_landmarks_are_refused():
    with pytest.raises(ShapeError, match="do not fit a camera of 100x80"):
        label_frame([], front_camera(), drawn(size=(50, 40)))
    bare = replace(plate(), landmarks={})
    with pytest.raises(ShapeError, match="no landmark nose"):
        label_frame([at(bare, (0, 2, 0))], front_camera(), drawn())


def test_visibility_of_nobody_is_empty():
    found = label_frame([], front_camera(), drawn())
    assert len(found) == 0 and found.xy.shape == (0, 31, 2)
    empty = joint_visibility(np.zeros((0, 31, 2)), np.zeros((0, 31)), np.zeros(0, int), drawn())
    assert empty.shape == (0, 31)


# ---- as people would label it ---------------------------------------------------------------


def test_a_labelled_frame_has_hidden_joints_and_lacks_those_outside_and_people_nobody_sees():
    joints = {"left_wrist": (0.15, 0.0, 0.0), "right_ankle": (-1.2, 0.0, 0.0)}
    people = [at(plate(joints=joints), (0, 2, 0)), at(plate(), (0, 5, 0))]
    layers = drawn((1, ROWS, COLUMNS, 2.0), (THING, ROWS, slice(55, 60), 1.0))
    found = label_frame(people, front_camera(), layers)
    frame = found.to_labelled(POSETRACK15, "000003.jpg", 3, size=SIZE, time_s=0.12)
    assert frame.ids.tolist() == [1] and frame.frame_index == 3
    state = dict(zip(POSETRACK15.joints, frame.visibility[0], strict=True))
    assert state["left_wrist"] == Visibility.OCCLUDED
    assert state["right_ankle"] == Visibility.ABSENT
    assert state["nose"] == Visibility.VISIBLE
    np.testing.assert_array_equal(frame.boxes, found.cut_boxes[:1])
    everybody = found.to_labelled(COCO17, "x.jpg", 3, size=SIZE, least_visible=0)
    assert everybody.ids.tolist() == [1, 2]


# ---- after degradations ---------------------------------------------------------------------


def test_moved_labels_are_what_the_moved_camera_sees():
    actor = at(plate(joints={"nose": (0.1, 0.1, 0.1)}), (0, 2, 0))
    layers = drawn((1, ROWS, COLUMNS, 2.0))
    camera = front_camera()
    labels = label_frame([actor], camera, layers)
    turn = np.deg2rad(10)
    linear = 1.3 * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    clip = Clip(np.zeros((1, 80, 100, 3), np.uint8), np.zeros(1, np.int64), np.zeros(1))
    shot = Shot.of(clip, person=layers.person[None])
    shot = replace(shot, matrices=np.concatenate([linear, [[4.0], [-9.0]]], 1)[None])
    moved, seen_from = move_labels(labels, camera, shot, 0)
    again, depth = seen_from.project(labels.xyz)
    np.testing.assert_allclose(again, moved.xy, atol=1e-9)
    np.testing.assert_allclose(depth, moved.depth, atol=1e-9)
    sheared = replace(shot, matrices=np.array([[[1.0, 0.5, 0], [0, 1, 0]]]))
    with pytest.raises(ShapeError, match="shear"):
        move_labels(labels, camera, sheared, 0)


def test_what_an_occluder_covers_is_hidden_and_no_longer_seen():
    layers = drawn((1, ROWS, COLUMNS, 2.0))
    labels = label_frame([at(plate(), (0, 2, 0))], front_camera(), layers)
    assert (labels.visibility == 2).all() and labels.share[0] == 1
    person = layers.person.copy()
    person[30:45, 40:60] = THING
    clip = Clip(np.zeros((1, 80, 100, 3), np.uint8), np.zeros(1, np.int64), np.zeros(1))
    shot = replace(Shot.of(clip, person=person[None]), hidden=(person == THING)[None])
    moved, _ = move_labels(labels, front_camera(), shot, 0)
    assert (moved.visibility == 1).all()
    assert moved.share[0] == pytest.approx(5 / 20) and moved.seen_px[0] == 100
    assert moved.seen_boxes[0].tolist() == [39.5, 44.5, 59.5, 49.5]


# ---- silhouettes ----------------------------------------------------------------------------


def test_a_triangle_covers_the_pixel_centres_inside_it():
    xy = np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 3.0], [np.nan, np.nan]])
    faces = np.array([[0, 1, 2], [0, 1, 3]])
    found = covered_lattice(xy, faces, 1)
    assert len(found) == 4 + 3 + 2 + 1
    assert (found.sum(1) <= 3).all()
    np.testing.assert_array_equal(covered_lattice(xy, faces[:, ::-1], 1), found)


@pytest.mark.parametrize(("step", "count"), [(1, 200 * 100), (2, 100 * 50), (5, 40 * 20)])
def test_a_coarser_lattice_has_as_many_points_as_fit(step: int, count: int):
    xy = np.array([[-0.5, -0.5], [199.4, -0.5], [199.4, 99.4], [-0.5, 99.4]]) - (20, 10)
    found = covered_lattice(xy, np.array([[0, 1, 2], [0, 2, 3]]), step)
    assert len(found) == count and (found % step == 0).all()
    assert len(covered_lattice(xy, np.zeros((0, 3), int), step)) == 0


def test_double_precision_skin_is_the_skin():
    body = plain_body(3)
    rng = np.random.default_rng(0)
    turns = np.linalg.qr(rng.normal(size=(1, len(BONES), 3, 3)))[0].astype(np.float32)
    poses = BonePoses(turns, np.array([[1.0, 2, 0.9]], np.float32), np.zeros(1))
    matrices = body.skin_matrices(poses)[0]
    found = posed_vertices(body, matrices)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, body.skin(matrices), atol=2e-6)
    actor = Actor(body, matrices)
    marks = label_frame([actor], front_camera(), drawn()).xyz[0]
    np.testing.assert_allclose(marks, body.locate(matrices[None], LABEL_JOINTS)[0], atol=2e-6)
