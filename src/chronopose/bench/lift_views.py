"""Lifting on real film: one view, lifted, against what several calibrated views say together.

Several cameras whose places are known see the same person. Their 2D poses, found by a network,
meet in points of space: no labels and no laboratory, but an answer in millimetres that no single
view had a part in alone. One view is lifted and compared with it.

Source: triangulation by the direct linear transformation, R. Hartley and A. Zisserman, "Multiple
View Geometry in Computer Vision", 2nd edition, section 12.2; lens distortion as in Brown's model.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chronopose.core.lifting import plan_joints
from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import H36M17
from chronopose.core.tracks import PersonTrack, VideoPoses
from chronopose.errors import FormatError, UsageError
from chronopose.io._fields import reading
from chronopose.metrics.mpjpe import joint_errors, procrustes
from chronopose.pipeline.lift import Lifter

Array = NDArray[np.float64]

QCA_UNITS = 64.0
"""Parts of a pixel in which Qualisys writes intrinsics."""
ROUNDS = 8
LEAST_VIEWS = 2
LEAST_AGREED = 3


@dataclass(frozen=True)
class View:
    """A calibrated camera.

    Args:
        name: As the file calls it.
        size: Width and height, pixels.
        focal_px: ``(2,)``.
        centre_px: ``(2,)`` principal point, the centre of the top-left pixel at (0, 0).
        rotation: ``(3, 3)`` world to camera (x right, y down, z forward).
        position_mm: ``(3,)`` where it stands in the world.
        radial: ``(2,)`` k1 and k2.
        tangential: ``(2,)`` p1 and p2.
    """

    name: str
    size: tuple[int, int]
    focal_px: Array
    centre_px: Array
    rotation: Array
    position_mm: Array
    radial: Array
    tangential: Array

    def to_camera(self, world_mm: NDArray[np.floating]) -> Array:
        """World ``(..., 3)`` -> axes of the camera, millimetres."""
        return np.asarray((np.asarray(world_mm, np.float64) - self.position_mm) @ self.rotation.T)

    def project(self, world_mm: NDArray[np.floating]) -> Array:
        """World ``(..., 3)`` -> pixels ``(..., 2)``."""
        seen = self.to_camera(world_mm)
        flat = seen[..., :2] / seen[..., 2:]
        return np.asarray(self._bend(flat) * self.focal_px + self.centre_px)

    def rays(self, xy_px: NDArray[np.floating]) -> Array:
        """Pixels ``(..., 2)`` -> x and y at distance 1, as a lens without distortion sees them."""
        bent = (np.asarray(xy_px, np.float64) - self.centre_px) / self.focal_px
        flat = bent.copy()
        for _ in range(ROUNDS):
            flat = flat + bent - self._bend(flat)
        return np.asarray(flat)

    def _bend(self, flat: Array) -> Array:
        x, y = flat[..., 0], flat[..., 1]
        r2 = x**2 + y**2
        radial = 1 + self.radial[0] * r2 + self.radial[1] * r2**2
        p1, p2 = self.tangential
        return np.stack(
            [
                x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x**2),
                y * radial + p1 * (r2 + 2 * y**2) + 2 * p2 * x * y,
            ],
            axis=-1,
        )


def read_qca(path: str | Path) -> dict[str, View]:
    """Read the cameras of a Qualisys calibration (``.qca.txt``), as Pose2Sim keeps it.

    Returns:
        Serial of the camera -> camera. The file's axes are x right, y up, z backward, its pixels
        begin at the corner of the picture, and its intrinsics are 64ths of a pixel.

    Raises:
        FormatError: no such file, or it is no such calibration.
    """
    with reading(path, "a calibration"):
        text = Path(path).read_text(encoding="utf-8")
    try:
        cameras = ElementTree.fromstring(text).iter("camera")
        return {c.attrib["serial"]: _qca_camera(c) for c in cameras}
    except (ElementTree.ParseError, KeyError, ValueError, AttributeError) as error:
        raise FormatError(f"{path} is no whole Qualisys calibration ({error}).") from error


def _qca_camera(node: ElementTree.Element) -> View:
    parts = {child.tag: child.attrib for child in node}
    inside, place, video = parts["intrinsic"], parts["transform"], parts["fov_video"]

    def numbers(of: dict[str, str], *names: str, unit: float = 1.0) -> Array:
        return np.array([float(of[n]) / unit for n in names])

    turn = numbers(place, *(f"r{i}{j}" for i in "123" for j in "123")).reshape(3, 3)
    return View(
        node.attrib["serial"],
        (
            int(video["right"]) - int(video["left"]) + 1,
            int(video["bottom"]) - int(video["top"]) + 1,
        ),
        numbers(inside, "focalLengthU", "focalLengthV", unit=QCA_UNITS),
        numbers(inside, "centerPointU", "centerPointV", unit=QCA_UNITS) - 0.5,
        np.diag([1.0, -1.0, -1.0]) @ turn,
        numbers(place, "x", "y", "z"),
        numbers(inside, "radialDistortion1", "radialDistortion2"),
        numbers(inside, "tangentalDistortion1", "tangentalDistortion2"),
    )


def triangulate(
    views: Sequence[View],
    xy_px: NDArray[np.floating],
    weight: NDArray[np.floating] | None = None,
) -> Array:
    """Points in space that several cameras see.

    Args:
        views: V calibrated cameras.
        xy_px: ``(V, ..., 2)`` the same points in each picture; NaN where unknown.
        weight: ``(V, ...)`` how much a sight counts; 1 by default, below zero counts as zero.

    Returns:
        ``(..., 3)`` world millimetres; NaN where fewer than two cameras know the point.

    Raises:
        UsageError: there are not as many pictures as cameras.
    """
    xy = np.asarray(xy_px, np.float64)
    if len(xy) != len(views):
        raise UsageError(f"{len(views)} cameras need as many pictures; got {len(xy)}.")
    trust = np.ones(xy.shape[:-1]) if weight is None else np.asarray(weight, np.float64)
    known = np.isfinite(xy).all(-1) & (trust > 0)
    rows = []
    for view, seen, share, there in zip(views, xy, trust, known, strict=True):
        ray = np.nan_to_num(view.rays(np.where(there[..., None], seen, view.centre_px)))
        matrix = np.concatenate(
            [view.rotation, -(view.rotation @ view.position_mm)[:, None]], axis=1
        )
        both = ray[..., None] * matrix[2] - matrix[:2]
        rows.append(both * np.where(there, share, 0.0)[..., None, None])
    stacked = np.concatenate(rows, axis=-2)
    # Solved in metres, so that all four unknowns are of the same size.
    scale = np.array([1000.0, 1000.0, 1000.0, 1.0])
    _, _, right = np.linalg.svd(stacked * scale)
    point = right[..., -1, :] * scale
    with np.errstate(divide="ignore", invalid="ignore"):
        found = point[..., :3] / point[..., 3:]
    return np.where((known.sum(0) >= LEAST_VIEWS)[..., None], found, np.nan)


def triangulate_agreed(
    views: Sequence[View],
    xy_px: NDArray[np.floating],
    weight: NDArray[np.floating] | None = None,
    *,
    limit_px: float = 20.0,
) -> Array:
    """As :func:`triangulate`, of the most views that agree.

    One 2D joint that is wrong spoils a point. So the largest set of cameras counts whose sights
    all lie within ``limit_px`` of the point's projection; of equal sets the best one. Sets have at
    least three cameras where there are as many, since two sights nearly always agree.

    Returns:
        ``(..., 3)`` world millimetres; NaN where no such set agrees.
    """
    xy = np.asarray(xy_px, np.float64)
    trust = np.ones(xy.shape[:-1]) if weight is None else np.asarray(weight, np.float64)
    found = np.full((*xy.shape[1:-1], 3), np.nan)
    for count in range(len(views), min(LEAST_AGREED, len(views)) - 1, -1):
        best = np.full(found.shape[:-1], np.inf)
        point = np.full(found.shape, np.nan)
        for chosen in combinations(range(len(views)), count):
            some, sights = [views[i] for i in chosen], xy[list(chosen)]
            world = triangulate(some, sights, trust[list(chosen)])
            off = np.linalg.norm(np.stack([v.project(world) for v in some]) - sights, axis=-1)
            worst = np.where(np.isfinite(off).all(0), off.max(0), np.inf)
            better = worst < best
            best, point = np.where(better, worst, best), np.where(better[..., None], world, point)
        use = np.isnan(found).any(-1) & (best <= limit_px)
        found = np.where(use[..., None], point, found)
    return found


@dataclass(frozen=True, kw_only=True)
class ViewsReport:
    """How one view, lifted, compares with all of them."""

    frames: int
    """Frames in which the root and half of the joints were triangulated, and the person lifted."""
    agreed: float
    """Share of their joints in which enough views agree; only these are scored."""
    reprojection_px: float
    """Median distance between the triangulated joints and the 2D ones: how sure the truth is."""
    mpjpe_mm: float
    """Mean distance of joints from the pelvis, axes of the camera."""
    p_mpjpe_mm: float
    """The same after the best scale, rotation and translation of each frame."""
    bones_lifted: float
    """Spread of the bones' lengths over time as a share of the length: 0 is a stiff skeleton."""
    bones_triangulated: float
    """The same for the triangulated person."""
    distance_mm: float
    """Median error of the person's distance from the camera, by its assumed focal length."""

    def __str__(self) -> str:
        return (
            f"{self.frames} frames, {100 * self.agreed:.0f} % of joints agreed upon, triangulated "
            f"to {self.reprojection_px:.1f} px\n"
            f"MPJPE {self.mpjpe_mm:.1f} mm, P-MPJPE {self.p_mpjpe_mm:.1f} mm\n"
            f"spread of bone lengths {100 * self.bones_lifted:.1f} % lifted, "
            f"{100 * self.bones_triangulated:.1f} % triangulated\n"
            f"distance off by {self.distance_mm:.0f} mm"
        )


def compare_views(
    lifter: Lifter,
    poses: Sequence[VideoPoses],
    views: Sequence[View],
    index: int = 0,
    *,
    limit_px: float = 20.0,
) -> ViewsReport:
    """Lift one view and compare it with what all of them say.

    Args:
        lifter: With ``space="camera_mm"``.
        poses: 2D poses of each camera, frames in step; the person who fills most of each video
            counts.
        views: Their cameras.
        index: The view that is lifted.
        limit_px: How near to its sights a point must lie (:func:`triangulate_agreed`).

    Raises:
        UsageError: there is no frame in which enough views agree.
    """
    skeleton = lifter.model.codec.skeleton
    flat = [_main_person(p, skeleton) for p in poses]
    count = min(len(xy) for xy, _ in flat)
    xy = np.stack([xy[:count] for xy, _ in flat])
    score = np.stack([s[:count] for _, s in flat])
    world = triangulate_agreed(views, xy, np.maximum(score, 0.05), limit_px=limit_px)
    person = _main_track(lifter.lift(poses[index]).poses)
    kept = person.frame_index < count
    rows = person.frame_index[kept]
    found = person.poses.xy[kept].astype(np.float64)
    true = views[index].to_camera(world[rows])
    known = np.asarray(np.isfinite(true).all(-1))
    root = skeleton.index(lifter.model.codec.root)
    good = known[:, root] & (2 * known.sum(-1) >= len(skeleton))
    if not good.any():
        raise UsageError(
            f"There is no frame in which enough views agree within {limit_px:g} px. Are the videos "
            f"in step, and is it the same person?"
        )
    true, found, known = true[good], found[good], known[good]
    off = np.linalg.norm(np.stack([v.project(world) for v in views]) - xy, axis=-1)
    away = (found - found[:, root, None]) - (true - true[:, root, None])
    aligned = [
        joint_errors(procrustes(f[None, k], t[None, k]), t[None, k])[0]
        for f, t, k in zip(found, true, known, strict=True)
    ]
    return ViewsReport(
        frames=len(true),
        agreed=float(known.mean()),
        reprojection_px=float(np.nanmedian(off)),
        mpjpe_mm=float(np.linalg.norm(away, axis=-1)[known].mean()),
        p_mpjpe_mm=float(np.concatenate(aligned).mean()),
        bones_lifted=bone_spread(found, skeleton),
        bones_triangulated=bone_spread(true, skeleton),
        distance_mm=float(np.median(np.abs(found[:, root, 2] - true[:, root, 2]))),
    )


def bone_spread(xyz: NDArray[np.floating], skeleton: Skeleton = H36M17) -> float:
    """Mean over the bones of the standard deviation over time of their length, by its mean.

    Args:
        xyz: ``(F, K, 3)``; NaN where unknown.
        skeleton: Its limbs are the bones.
    """
    first, last = skeleton.limb_index.T
    length = np.linalg.norm(xyz[:, first] - xyz[:, last], axis=-1)
    return float(np.nanmean(np.nanstd(length, axis=0) / np.nanmean(length, axis=0)))


def _main_track(poses: VideoPoses) -> PersonTrack:
    """Who fills the most of the video: the largest sum of box areas."""
    if not poses.tracks:
        raise UsageError(f"There is nobody in {poses.info.source}.")
    return max(poses.tracks, key=lambda t: float(t.boxes.area.sum()))


def _main_person(poses: VideoPoses, skeleton: Skeleton) -> tuple[Array, Array]:
    """``(F, J, 2)`` and ``(F, J)`` of the main person, a row for every frame from 0 on."""
    track = _main_track(poses)
    joints = track.poses.mapped(plan_joints(poses.skeleton, skeleton))
    count = int(max(poses.frame_index.max(initial=-1), track.frame_index[-1])) + 1
    xy, score = np.full((count, len(skeleton), 2), np.nan), np.zeros((count, len(skeleton)))
    xy[track.frame_index], score[track.frame_index] = joints.xy, joints.score
    return xy, score
