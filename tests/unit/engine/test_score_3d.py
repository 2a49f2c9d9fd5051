"""Joints in space meet their labels: rows as papers have them, and what cannot be compared."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from chronopose.core.skeletons import COCO17, H36M17, HUMANEVA15, MPI_INF_3DHP17
from chronopose.engine.score_3d import METRICS_3D, pair_performances, score_3d, through_cameras
from chronopose.errors import FormatError, SkeletonMismatch, UsageError
from chronopose.io.motion import Camera, Motion3D

RNG = np.random.default_rng(0)
BODY = np.round(RNG.normal(0, 300, (17, 3)))
BODY -= BODY[0]


def motion(
    action: str = "Walking 1", frames: int = 2, subject: str = "S9", camera: str = "54138969"
) -> Motion3D:
    """Somebody who stands still, labelled in millimetres in the axes of a camera."""
    xyz = np.repeat(BODY[None], frames, 0).astype(np.float32)
    return Motion3D(subject, action, xyz, H36M17, "mm", "camera", 50.0, camera)


def off(labels: Motion3D, mm: float, joint: str = "head") -> Motion3D:
    """A prediction with one joint that many millimetres away from its label, in every frame."""
    xyz = labels.xyz.copy()
    xyz[:, labels.skeleton.index(joint), 1] += mm
    return replace(labels, xyz=xyz)


@pytest.mark.parametrize("metric", METRICS_3D)
def test_labels_given_as_predictions_are_perfect(metric: str) -> None:
    found = score_3d([motion()], [motion()], metric)
    if metric.endswith("3d"):
        total = found.values["total"]
        assert total["pck"] == 100.0
        assert total["auc"] == pytest.approx(100 * 30 / 31)  # nothing is below 0 mm
    else:
        assert list(found.values["mean"].values()) == pytest.approx(
            [0.0] * len(found.values["mean"]), abs=1e-4
        )


def test_actions_are_pooled_by_frames_and_weigh_alike() -> None:
    # 34 mm of one joint in 17 are 2 mm; Walking has 2 frames of 2 mm and 6 of 10 mm: 8 mm.
    truth = [motion("Walking 1", 2), motion("Walking", 6), motion("Sitting", 4)]
    found = score_3d(
        [off(truth[0], 34), off(truth[1], 170), off(truth[2], 68)], truth, "mpjpe"
    )  # fmt: skip
    rows = {name: row["MPJPE"] for name, row in found.values["actions"].items()}
    assert rows == {"Walking": pytest.approx(8.0), "Sitting": pytest.approx(4.0)}
    assert found.values["mean"]["MPJPE"] == pytest.approx(6.0)
    assert found.values["mean"]["MPJVE"] == pytest.approx(0.0)  # the error does not move
    assert [r["name"] for r in found.sequences] == [
        "S9 Walking 1 54138969", "S9 Walking 54138969", "S9 Sitting 54138969",
    ]  # fmt: skip
    assert found.sequences[1]["mean"]["MPJPE"] == pytest.approx(10.0)
    lines = found.table.splitlines()
    assert lines[1].split() == ["MPJPE", "P-MPJPE", "N-MPJPE", "MPJVE"]
    assert [line.split()[0] for line in lines[2:]] == ["Walking", "Sitting", "mean", "all"]


def test_the_root_may_be_left_out_of_the_mean() -> None:
    found = score_3d([off(motion(), 34)], [motion()], "mpjpe", count_root=0)
    assert found.values["mean"]["MPJPE"] == pytest.approx(34 / 16)


def test_metres_and_millimetres_meet() -> None:
    metres = replace(off(motion(), 34), units="m")
    metres = replace(metres, xyz=metres.xyz / 1000)
    found = score_3d([metres], [motion()], "mpjpe")
    assert found.values["mean"]["MPJPE"] == pytest.approx(2.0, abs=1e-4)


def test_the_scale_is_forgiven_by_protocol_three_and_a_turn_by_protocol_two() -> None:
    turn = Rotation.from_euler("xyz", [10, 40, -70], degrees=True).as_matrix()
    larger = replace(motion(), xyz=200 * motion().xyz)
    turned = replace(larger, xyz=(larger.xyz @ turn).astype(np.float32))
    n = score_3d([larger], [motion()], "n-mpjpe").values["mean"]
    p = score_3d([turned], [motion()], "p-mpjpe").values["mean"]
    assert list(n) == ["N-MPJPE"] and n["N-MPJPE"] == pytest.approx(0, abs=1e-3)
    assert list(p) == ["P-MPJPE"] and p["P-MPJPE"] == pytest.approx(0, abs=1e-3)
    assert score_3d([turned], [motion()], "n-mpjpe").values["mean"]["N-MPJPE"] > 50


def test_velocity_counts_steps_inside_runs_of_frames_that_count() -> None:
    # Frames 0-1 and 3-4 count; the head runs away by 17 mm a frame: 1 mm a step and joint.
    labels = replace(motion(frames=5), valid=np.array([1, 1, 0, 1, 1], bool))
    xyz = labels.xyz.copy()
    xyz[:, H36M17.index("head"), 2] += 17 * np.array([0, 1, 500, 0, 1])
    found = score_3d([replace(labels, xyz=xyz)], [labels], "mpjve")
    assert found.values["mean"] == {"MPJVE": pytest.approx(1.0, abs=1e-5)}
    assert found.values["frames"] == {"Walking": 4}


def test_humaneva_has_a_row_for_each_subject_and_action() -> None:
    body = np.zeros((2, 15, 3), np.float32)
    body[:, 1:, 0] = 100 * np.arange(1, 15)
    truth = [
        Motion3D(f"Validate/S{s}", f"Walking 1 chunk{c}", body, HUMANEVA15, "mm", "world", 60.0)
        for s in (1, 2) for c in (0, 2)
    ]  # fmt: skip
    found = [off(m, 15 * i, "head") for i, m in enumerate(truth)]
    rows = score_3d(found, truth, "mpjpe").values["actions"]
    # 0 and 15 mm over 15 joints of subject 1, 30 and 45 of subject 2.
    errors = {name: row["MPJPE"] for name, row in rows.items()}
    assert errors == {
        "Validate/S1/Walking": pytest.approx(0.5), "Validate/S2/Walking": pytest.approx(2.5),
    }  # fmt: skip
    assert list(score_3d(found, truth, "mpjpe", rows="action").values["actions"]) == ["Walking"]


def test_pck3d_has_a_row_for_each_sequence_and_strict_bounds() -> None:
    xyz = np.repeat(np.round(RNG.normal(0, 300, (1, 17, 3))), 3, 0).astype(np.float32)
    kind = {"skeleton": MPI_INF_3DHP17, "units": "mm", "space": "camera", "fps": 25.0}
    truth = [
        Motion3D("TS1", "test", xyz, valid=np.array([True, True, False]), **kind),
        Motion3D("TS2", "test", xyz, **kind),
    ]
    found = score_3d(
        [off(truth[1], 150, "left_wrist"), off(truth[0], 149, "left_wrist")][::-1], truth, "pck3d"
    )  # fmt: skip
    rows = {name: row["pck"] for name, row in found.values["sequences"].items()}
    assert rows == {"TS1": 100.0, "TS2": pytest.approx(100 * 13 / 14)}
    # 2 and 3 frames: the total weighs by frames.
    assert found.values["total"]["pck"] == pytest.approx((2 * 100 + 3 * 100 * 13 / 14) / 5)
    lines = score_3d(truth, truth, "auc3d").table.splitlines()
    assert lines[1].split() == ["AUC"]
    assert lines[2].split() == ["TS1", "96.8"]


def test_pck3d_of_other_skeletons_counts_the_joints_that_its_table_has() -> None:
    # Twelve joints of arms and legs; one of two wrists is a miss.
    found = score_3d([off(motion(), 200, "left_wrist")], [motion()], "pck3d").values["total"]
    assert found["pck"] == pytest.approx(100 * 11 / 12)
    assert found["groups"]["Wrist"] == 50.0 and "Head" not in found["groups"]


def test_joints_are_found_by_name() -> None:
    order = RNG.permutation(17)
    mixed = replace(H36M17, name="mixed", joints=tuple(H36M17.joints[i] for i in order))
    labels = motion()
    found = replace(off(labels, 34), xyz=off(labels, 34).xyz[:, order], skeleton=mixed)
    assert score_3d([found], [labels], "mpjpe").values["mean"]["MPJPE"] == pytest.approx(2.0)


def test_labels_in_the_room_are_looked_at_through_cameras() -> None:
    # The camera stands 3 m back and looks along the room's y axis: x stays, y is depth, -z is y.
    axes = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
    camera = Camera(
        "S9 54138969", np.ones(2), np.zeros(2), (1000, 1000), np.zeros(3), np.zeros(2), axes,
        np.array([0.0, -3.0, 0.0]),
    )  # fmt: skip
    room = replace(motion(), units="m", space="world", camera="", xyz=motion().xyz / 1000)
    (seen,) = through_cameras([room], {"S9 54138969": camera, "S11 54138969": camera})
    x, y, z = room.xyz[0, 10]
    np.testing.assert_allclose(seen.xyz[0, 10], [x, -z, y + 3.0], rtol=1e-5)
    assert (seen.camera, seen.space) == ("54138969", "camera")
    found = off(replace(seen, xyz=seen.xyz * 1000, units="mm"), 34)
    cameras = {"S9 54138969": camera}
    values = score_3d([found], [room], "mpjpe", cameras=cameras).values
    assert values["mean"]["MPJPE"] == pytest.approx(2.0, abs=1e-3)
    with pytest.raises(FormatError, match="no camera of 'S9'; there are S11 1"):
        through_cameras([room], {"S11 1": camera})


def test_axes_of_the_room_and_of_a_camera_are_not_compared_unless_they_are_turned() -> None:
    room = replace(motion(), space="world")
    with pytest.raises(FormatError, match=r"labels are in the axes of the room .*cameras\.pkl"):
        score_3d([motion()], [room], "mpjpe")
    assert score_3d([motion()], [room], "p-mpjpe").values["mean"]["P-MPJPE"] < 1e-3


def test_a_performance_without_a_prediction_is_an_error_and_people_can_be_picked() -> None:
    truth = [motion(subject="S1"), motion(subject="S9"), motion("Sitting", subject="S9")]
    with pytest.raises(FormatError, match=r"1 of the 3 .* 'S1 Walking 1 54138969'.*subjects=S9"):
        score_3d(truth[1:], truth, "mpjpe")
    found = score_3d(truth[1:], truth, "mpjpe", subjects=["S9"])
    assert list(found.values["actions"]) == ["Walking", "Sitting"]
    with pytest.raises(FormatError, match="no subject S7; they have S1, S9"):
        score_3d(truth, truth, "mpjpe", subjects=["S9", "S7"])


def test_cameras_need_not_be_named_where_there_is_one() -> None:
    one, other = motion("Walking 1"), motion("Sitting")
    nameless = [replace(m, camera="") for m in (other, one)]
    pairs = pair_performances(nameless, [one, other])
    assert [(t.action, p.action) for t, p in pairs] == [
        ("Walking 1", "Walking 1"), ("Sitting", "Sitting"),
    ]  # fmt: skip
    views = [one, motion("Walking 1", camera="55011271")]
    with pytest.raises(FormatError, match=r"2 labels have only 1 different names"):
        pair_performances(nameless, views)


def test_a_single_performance_needs_no_name() -> None:
    found = replace(off(motion(), 34), subject="", action="mine", camera="")
    assert score_3d([found], [motion()], "mpjpe").values["mean"]["MPJPE"] == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("found", "error", "message"),
    [
        (motion(frames=3), FormatError, "2 labelled frames and 3 predicted ones"),
        (
            replace(motion(), xyz=motion().xyz / 1000), FormatError,
            "0.001 times as large as measured ones, so the predictions are hardly in mm",
        ),
        (
            replace(motion(), xyz=np.full((2, 17, 3), np.nan, np.float32)), FormatError,
            "2 of 2 frames to be scored have no whole prediction, the first is frame 0",
        ),
        (
            replace(motion(), valid=np.array([True, False])), FormatError,
            "1 of 2 frames to be scored have no whole prediction, the first is frame 1",
        ),
        (
            replace(motion(), skeleton=COCO17), SkeletonMismatch,
            "cannot score 'coco17' joints against 'h36m17' labels: no pelvis, spine",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_refused(
    found: Motion3D, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        score_3d([found], [motion()], "mpjpe")


def test_a_collapsed_prediction_is_a_bad_one_and_no_wrong_unit() -> None:
    # Everybody in one point: the error is the mean distance of the joints from the root.
    point = replace(motion(), xyz=np.zeros((2, 17, 3), np.float32))
    expected = np.linalg.norm(BODY, axis=-1).mean()
    assert score_3d([point], [motion()], "mpjpe").values["mean"]["MPJPE"] == pytest.approx(expected)


def test_misspelt_names_are_answered_with_what_there_is() -> None:
    with pytest.raises(UsageError, match=r"no metric 'mpjp'\. Did you mean 'mpjpe'"):
        score_3d([motion()], [motion()], "mpjp")
    with pytest.raises(UsageError, match="pck3d has no option 'rows'; its options: root"):
        score_3d([motion()], [motion()], "pck3d", rows="action")
    with pytest.raises(UsageError, match="'action' or 'subject'; got 'camera'"):
        score_3d([motion()], [motion()], "mpjpe", rows="camera")
    with pytest.raises(UsageError, match="no joint 'tail' to measure from"):
        score_3d([motion()], [motion()], "mpjpe", root="tail")
    moved = replace(motion(), xyz=motion().xyz + np.float32(7))
    free = score_3d([moved], [motion()], "mpjpe", root="none").values["mean"]["MPJPE"]
    assert free == pytest.approx(7 * np.sqrt(3), abs=1e-3)
