"""Triangulation of several views, and the comparison of a lifted one with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from torch import Tensor

from chronopose.bench.lift_views import (
    View,
    bone_spread,
    compare_views,
    read_qca,
    triangulate,
    triangulate_agreed,
)
from chronopose.codecs.root_relative import RootRelative
from chronopose.core.boxes import Boxes
from chronopose.core.poses import Poses
from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import H36M17
from chronopose.core.tracks import PersonTrack, VideoPoses
from chronopose.core.video import VideoInfo
from chronopose.errors import FormatError, UsageError
from chronopose.models._lift import LiftCriterion, LiftModel, LiftNeeds
from chronopose.pipeline.lift import Lifter, LiftSettings
from chronopose.tensors.space import LiftOutput

FRONT = np.eye(3)
# The camera on the right looks to the left: its x is the world's z, its z the world's -x.
SIDE = np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])


def view(
    rotation: np.ndarray = FRONT, position: tuple[float, float, float] = (0, 0, 0), k1: float = 0.0
) -> View:
    return View(
        "made", (641, 481), np.array([1000.0, 1000.0]), np.array([320.0, 240.0]), rotation,
        np.array(position, float), np.array([k1, 0.0]), np.zeros(2),
    )  # fmt: skip


def test_projection_by_hand() -> None:
    # 0.5 m right and 0.25 m up at 5 m: a tenth and a twentieth of the focal length.
    np.testing.assert_allclose(view().project(np.array([500, -250, 5000])), [420, 190])
    # From the side, at x = 5 m: the point is 4.5 m away and 5 m to the right.
    seen = view(SIDE, (5000, 0, 5000)).project(np.array([500, -450, 5000]))
    np.testing.assert_allclose(seen, [320, 240 - 100])


def test_two_views_meet_in_the_point_that_both_see() -> None:
    views = [view(), view(SIDE, (5000, 0, 5000))]
    points = np.array([[500.0, -250, 5000], [0, 0, 5000], [-300, 800, 4000]])
    sights = np.stack([v.project(points) for v in views])
    np.testing.assert_allclose(triangulate(views, sights), points, atol=1e-6)


def test_a_sight_of_no_weight_and_an_unknown_one_do_not_count() -> None:
    views = [view(), view(SIDE, (5000, 0, 5000)), view(position=(1000, 0, 0))]
    point = np.array([100.0, 200, 4000])
    sights = np.stack([v.project(point) for v in views])
    sights[2] += 50
    found = triangulate(views, sights, np.array([1.0, 1.0, 0.0]))
    np.testing.assert_allclose(found, point, atol=1e-6)
    sights[2] = np.nan
    np.testing.assert_allclose(triangulate(views, sights), point, atol=1e-6)
    sights[1] = np.nan
    assert np.isnan(triangulate(views, sights)).all()


def test_one_wrong_sight_of_four_is_outvoted_and_two_are_too_many() -> None:
    views = [view(), view(SIDE, (5000, 0, 5000)), view(position=(1000, 0, 0)),
             view(position=(0, 1000, 0))]  # fmt: skip
    points = np.array([[100.0, 200, 4000], [-300, 0, 4500]])
    sights = np.stack([v.project(points) for v in views])
    sights[2, 0] += 60
    assert np.linalg.norm(triangulate(views, sights) - points, axis=-1)[0] > 20
    np.testing.assert_allclose(triangulate_agreed(views, sights), points, atol=1e-6)
    sights[3, 0] -= 90
    found = triangulate_agreed(views, sights)
    assert np.isnan(found[0]).all()
    np.testing.assert_allclose(found[1], points[1], atol=1e-6)


def test_distortion_is_taken_out_again() -> None:
    lens = view(k1=-0.2)
    # At 0.5 the radius shrinks by 0.2 * 0.25: 0.475 of the focal length.
    np.testing.assert_allclose(lens.project(np.array([500.0, 0, 1000])), [320 + 475, 240])
    np.testing.assert_allclose(lens.rays(np.array([795.0, 240.0])), [0.5, 0.0], atol=1e-5)


def test_as_many_pictures_as_cameras() -> None:
    with pytest.raises(UsageError, match="2 cameras need as many pictures; got 1"):
        triangulate([view(), view()], np.zeros((1, 2)))


def test_spread_of_bones_by_hand() -> None:
    # Lengths 1 and 3: mean 2, standard deviation 1.
    xyz = np.array([[[0.0, 0, 0], [1, 0, 0]], [[0, 0, 0], [0, 3, 0]]])
    assert bone_spread(xyz, Skeleton("two", ("a", "b"), (("a", "b"),))) == pytest.approx(0.5)


CALIBRATION = """<calibration><cameras><camera serial="one">
<fov_video bottom="479" left="0" right="639" top="0"/>
<transform r11="1" r12="0" r13="0" r21="0" r22="0" r23="1" r31="0" r32="-1" r33="0"
 x="0" y="-3000" z="1000"/>
<intrinsic centerPointU="20480" centerPointV="15360" focalLengthU="64000" focalLengthV="64000"
 radialDistortion1="0" radialDistortion2="0" tangentalDistortion1="0" tangentalDistortion2="0"/>
</camera></cameras></calibration>"""


def test_qualisys_file_gives_a_camera_that_looks_at_the_room(tmp_path: Path) -> None:
    path = tmp_path / "room.qca.txt"
    path.write_text(CALIBRATION)
    camera = read_qca(path)["one"]
    assert camera.size == (640, 480)
    # 20480 / 64 = 320 from the corner is 319.5 from the first pixel's centre.
    np.testing.assert_allclose(camera.centre_px, [319.5, 239.5])
    # The world's z is up; the camera stands 3 m back, 1 m high, looks along y. One metre right and
    # one up of the axis at 3 m: a third of 1000 px.
    seen = camera.project(np.array([1000.0, 0, 2000]))
    np.testing.assert_allclose(seen, [319.5 + 1000 / 3, 239.5 - 1000 / 3])


def test_damaged_calibration_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "room.qca.txt"
    path.write_text(CALIBRATION[:300])
    with pytest.raises(FormatError, match="no whole Qualisys calibration"):
        read_qca(path)


class FlatLifter(LiftModel):
    """x and y are those on the screen, 2 m for a unit of it; nobody has any depth."""

    PRESETS: ClassVar[dict[str, object]] = {}

    def __init__(self) -> None:
        super().__init__()
        self.needs, self.codec = LiftNeeds(frames=1), RootRelative(H36M17)

    def forward(self, poses: Tensor) -> LiftOutput:
        return self.dense(poses)

    def dense(self, poses: Tensor) -> LiftOutput:
        flat = poses.new_zeros(*poses.shape[:3], 3)
        flat[..., :2] = 2 * (poses - poses[:, :, :1])
        return LiftOutput(flat)

    def criterion(self) -> LiftCriterion:
        return lambda output, target: {}


def film(camera: View, world: np.ndarray) -> VideoPoses:
    """What a camera sees of one person, and of somebody small who is in every picture longer."""
    count = len(world)
    xy = camera.project(world).astype(np.float32)
    tracks = []
    for person, rows, area in ((3, count - 1, 200.0), (8, count, 9.0)):
        joints = Poses(xy[:rows] + 7 * (person == 8), np.ones((rows, 17)), H36M17)
        boxes = Boxes(np.tile([0, 0, area, area], (rows, 1)), np.ones(rows))
        tracks.append(PersonTrack(person, np.arange(rows), np.arange(rows) / 50, boxes, joints))
    info = VideoInfo(camera.name, camera.size, rate_hz=50)
    return VideoPoses(info, H36M17, tuple(tracks), frame_index=np.arange(count),
                      time_s=np.arange(count) / 50)  # fmt: skip


def test_a_lifter_that_is_right_has_no_error_and_one_of_half_the_size_has_one() -> None:
    # A flat person in front of a camera like Human3.6M's, at 4 * 1145 mm: there the flat lifter's
    # 4 mm a pixel are true. A second camera stands at the side.
    rng = np.random.default_rng(0)
    world = np.zeros((6, 17, 3))
    world[..., :2] = rng.normal(0, 400, (1, 17, 2))
    world[..., 2] = 4580
    front, side = (
        View(n, (1000, 1000), np.full(2, 1145.0), np.full(2, 499.5), turn, place, np.zeros(2),
             np.zeros(2))
        for n, turn, place in (
            ("front", FRONT, np.zeros(3)), ("side", SIDE, np.array([5000.0, 0, 4580])),
        )
    )  # fmt: skip
    films = [film(front, world), film(side, world)]
    lifter = Lifter(FlatLifter(), LiftSettings(flip_test=False))
    right = compare_views(lifter, films, [front, side])
    assert right.frames == 5
    assert right.agreed == 1
    assert right.reprojection_px == pytest.approx(0, abs=1e-3)
    for name in ("mpjpe_mm", "p_mpjpe_mm", "distance_mm"):
        assert getattr(right, name) == pytest.approx(0, abs=0.1), name
    assert right.bones_lifted == pytest.approx(0, abs=1e-4)
    # In a world twice as large the lifter's person is half as large and half as far.
    doubled = [replace(v, position_mm=2 * v.position_mm) for v in (front, side)]
    half = compare_views(lifter, films, doubled)
    assert half.distance_mm == pytest.approx(4580, abs=1)
    assert half.p_mpjpe_mm == pytest.approx(0, abs=0.1)
    root = np.linalg.norm(world[0] - world[0, :1], axis=-1).mean()
    assert half.mpjpe_mm == pytest.approx(root, rel=1e-3)
    assert "MPJPE" in str(half)
