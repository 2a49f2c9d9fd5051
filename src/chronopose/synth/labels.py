"""Labels of a drawn frame: where every joint is, whether it can be seen, the place of each person.

Joints come from the mesh's landmarks, so they sit in the body in every pose. What can be seen is
read off the drawn layers: depth decides, and how deep a joint may lie under its own skin is
:data:`TOLERANCE_M`. Boxes and places are computed in double precision and do not depend on the
renderer; visibility, seen boxes and shares do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from chronopose.core.labels import LabelledFrame
from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import COCO17, H36M17, LSP14, POSETRACK15
from chronopose.errors import ShapeError
from chronopose.synth.body import BONES, Body
from chronopose.synth.camera import Camera
from chronopose.synth.scene import Actor, Layers
from chronopose.synth.shot import Shot, move_boxes, move_points
from chronopose.synth.silhouette import covered_lattice, posed_vertices

FEET = (
    "left_heel", "right_heel", "left_big_toe", "right_big_toe", "left_small_toe", "right_small_toe",
)  # fmt: skip
"""Joints of the feet that no skeleton of the registry has."""

LABEL_JOINTS: tuple[str, ...] = tuple(
    dict.fromkeys((*COCO17.joints, *POSETRACK15.joints, *LSP14.joints, *H36M17.joints, *FEET))
)
"""Every joint that is labelled: those of COCO first, then what the others add, then the feet."""

LABEL_SKELETON = Skeleton(
    "synth31", LABEL_JOINTS, (*COCO17.limbs, *((f"{n.partition('_')[0]}_ankle", n) for n in FEET))
)
"""The joints of :data:`LABEL_JOINTS`; other skeletons are had from it by name."""

_DEEP_M = {
    "nose": 0.05, "eye": 0.05, "ear": 0.05, "head_top": 0.05, "wrist": 0.07, "heel": 0.07,
    "toe": 0.07, "elbow": 0.10, "ankle": 0.10, "knee": 0.13, "neck": 0.13, "head": 0.13,
    "head_bottom": 0.13, "neck_nose": 0.13, "shoulder": 0.16, "thorax": 0.16, "hip": 0.20,
    "spine": 0.20, "pelvis": 0.20,
}  # fmt: skip

TOLERANCE_M = np.array([_DEEP_M[n if n in _DEEP_M else n.rpartition("_")[2]] for n in LABEL_JOINTS])
"""``(K,)`` how far under the own surface a joint may lie and count as visible, metres."""

NEAREST_M = 0.1
"""What is nearer to the camera's plane is taken to be behind it."""

_LATTICE = 96


@dataclass(frozen=True)
class FrameLabels:
    """What is true of the P people of a frame; K joints of :data:`LABEL_JOINTS`.

    Boxes are x1 y1 x2 y2 in pixels; the picture reaches from -0.5 to its size less 0.5.

    Args:
        ids: ``(P,)`` int64, the same person always the same.
        marks: ``(P,)`` uint8, how the person layer marks them in this frame.
        xyz: ``(P, K, 3)`` float64 world metres.
        xy: ``(P, K, 2)`` float64 pixels, also outside the picture; NaN behind the camera.
        depth: ``(P, K)`` float64 metres along the camera's axis.
        visibility: ``(P, K)`` uint8: 0 outside the picture, 1 hidden, 2 visible.
        boxes: ``(P, 4)`` float64 around the whole person, also what is hidden or outside the
            picture; NaN for people behind the camera.
        cut_boxes: ``(P, 4)`` the same cut at the picture's edge; NaN where nothing is left.
        seen_boxes: ``(P, 4)`` around the pixels that show the person; NaN where there are none.
        head_boxes: ``(P, 4)`` around the head with its hair, like ``boxes``.
        seen_px: ``(P,)`` int64 pixels that show the person.
        share: ``(P,)`` float64 in [0, 1]: how much of the person's outline is seen. What is
            outside the picture counts as not seen.
    """

    ids: NDArray[np.int64]
    marks: NDArray[np.uint8]
    xyz: NDArray[np.float64]
    xy: NDArray[np.float64]
    depth: NDArray[np.float64]
    visibility: NDArray[np.uint8]
    boxes: NDArray[np.float64]
    cut_boxes: NDArray[np.float64]
    seen_boxes: NDArray[np.float64]
    head_boxes: NDArray[np.float64]
    seen_px: NDArray[np.int64]
    share: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.ids)

    def to_labelled(
        self,
        skeleton: Skeleton,
        name: str,
        frame_index: int,
        *,
        size: tuple[int, int],
        time_s: float | None = None,
        least_visible: int = 1,
    ) -> LabelledFrame:
        """The frame as people would label it.

        Joints outside the picture are absent, hidden ones occluded; boxes are cut at the picture's
        edge.

        Args:
            skeleton: Joints wanted.
            name: Of the picture.
            frame_index: Its number.
            size: Width and height, pixels.
            time_s: Presentation time.
            least_visible: People with fewer visible joints of ``skeleton`` are left out.
        """
        found = LabelledFrame(
            name, frame_index, LABEL_SKELETON,
            np.where((self.visibility > 0)[..., None], self.xy, np.nan),
            visibility=self.visibility.astype(np.int8), ids=self.ids, boxes=self.cut_boxes,
            head_boxes=self.head_boxes, size=size, time_s=time_s,
            extra={"people": [{"person_id": int(i)} for i in self.ids]},
        ).to_skeleton(skeleton)  # fmt: skip
        return found.select(found.visible.sum(1) >= least_visible)


def label_frame(
    actors: Sequence[Actor], camera: Camera, layers: Layers, ids: Sequence[int] | None = None
) -> FrameLabels:
    """Label the people of a drawn frame.

    Args:
        actors: As they were drawn, things included.
        camera: As drawn from.
        layers: What was drawn.
        ids: Ids of the people, in the order of ``actors`` without the things; None for 1, 2, ...

    Raises:
        ShapeError: the layers are of another size than the camera's, a body lacks a landmark, or
            the ids are of another number than the people.
    """
    width, height = camera.size
    if layers.person.shape != (height, width) or layers.depth.shape != (height, width):
        raise ShapeError(
            f"Layers {layers.person.shape} and {layers.depth.shape} do not fit a camera of "
            f"{width}x{height} pixels."
        )
    marks = [place + 1 for place, actor in enumerate(actors) if not actor.thing]
    people = [actors[mark - 1] for mark in marks]
    numbers = np.arange(1, len(people) + 1) if ids is None else np.asarray(ids, np.int64)
    if len(numbers) != len(people):
        raise ShapeError(f"{len(people)} people need as many ids; got {len(numbers)}.")
    meshes = [posed_vertices(actor.body, actor.matrices) for actor in people]
    xyz = np.array(
        [_landmarks(actor.body, mesh) for actor, mesh in zip(people, meshes, strict=True)]
    ).reshape(-1, len(LABEL_JOINTS), 3)
    xy, depth = camera.project(xyz)
    xy = np.where((depth > NEAREST_M)[..., None], xy, np.nan)
    flat = [_projected(camera, mesh) for mesh in meshes]
    heads = [mesh[_head(actor.body)] for actor, mesh in zip(people, flat, strict=True)]
    masks = [np.asarray(layers.person == mark) for mark in marks]
    boxes = np.array([_extent(m) for m in flat]).reshape(-1, 4)
    seen = [_seen(mask) for mask in masks]
    shares = [
        _share(mesh, actor.body.faces, mask)
        for mesh, actor, mask in zip(flat, people, masks, strict=True)
    ]
    return FrameLabels(
        numbers.astype(np.int64), np.array(marks, np.uint8), xyz, xy, depth,
        joint_visibility(xy, depth, np.array(marks, np.int64), layers),
        boxes, cut_to_picture(boxes, camera.size), np.array([b for b, _ in seen]).reshape(-1, 4),
        np.array([_extent(h) for h in heads]).reshape(-1, 4),
        np.array([n for _, n in seen], np.int64), np.array(shares, np.float64),
    )  # fmt: skip


def joint_visibility(
    xy: NDArray[np.float64], depth: NDArray[np.float64], marks: NDArray[np.int64], layers: Layers
) -> NDArray[np.uint8]:
    """What can be seen of joints, by depth test at the nearest pixel.

    A joint is hidden when the surface there is nearer by more than :data:`TOLERANCE_M`, or is
    nearer at all and belongs to somebody or something else.

    Args:
        xy: ``(P, K, 2)`` pixels.
        depth: ``(P, K)`` metres.
        marks: ``(P,)`` how ``layers.person`` marks the people.
        layers: What was drawn.

    Returns:
        ``(P, K)``: 0 outside the picture, 1 hidden, 2 visible.
    """
    height, width = layers.depth.shape
    last = np.array([width, height]) - 0.5
    inside = np.asarray(((xy >= -0.5) & (xy < last)).all(-1))
    pixel = np.clip(np.rint(np.where(inside[..., None], xy, 0)), 0, last - 0.5).astype(int)
    surface = layers.depth[pixel[..., 1], pixel[..., 0]].astype(np.float64)
    owner = layers.person[pixel[..., 1], pixel[..., 0]].astype(np.int64)
    foreign = (owner != 0) & (owner != marks[:, None])
    hidden = surface < np.where(foreign, depth, depth - TOLERANCE_M)
    return np.where(inside, np.where(hidden, 1, 2), 0).astype(np.uint8)


def cut_to_picture(boxes: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    """Boxes ``(N, 4)`` cut at the picture's edge; NaN where nothing is left."""
    last = np.array([size[0], size[1]] * 2) - 0.5
    cut = np.clip(boxes, -0.5, last)
    some = (cut[:, 2] > cut[:, 0]) & (cut[:, 3] > cut[:, 1])
    return np.where(some[:, None], cut, np.nan)


def move_labels(
    labels: FrameLabels, camera: Camera, shot: Shot, place: int
) -> tuple[FrameLabels, Camera]:
    """Labels and camera of a frame after degradations.

    Args:
        labels: Of the frame as it was drawn.
        camera: As it was drawn from.
        shot: The degraded clip. Without its ``person`` layer seen boxes and shares stay as they
            were.
        place: Position of the frame in the shot.

    Returns:
        The labels, and the camera that projects the world to the degraded picture.

    Raises:
        ShapeError: the shot's frame went through more than shift, turn and scale.
    """
    matrix = shot.matrices[place]
    scale = np.sqrt(np.linalg.det(matrix[:, :2]))
    turn = np.eye(3)
    turn[:2, :2] = matrix[:, :2] / scale
    focal = camera.intrinsics[[0, 1], [0, 1]]
    sheared = not np.allclose(turn @ turn.T, np.eye(3), atol=1e-9)
    if sheared or (not np.isclose(*focal) and not np.allclose(turn, np.eye(3))):
        raise ShapeError("A camera can follow shifts, turns and scales only; label before shear.")
    lens = np.eye(3)
    lens[[0, 1], [0, 1]] = focal * scale
    lens[:2, 2] = move_points(matrix, camera.intrinsics[:2, 2])
    seen_from = Camera(lens, turn @ camera.rotation, turn @ camera.translation, camera.size)
    xy, boxes = move_points(matrix, labels.xy), move_boxes(matrix, labels.boxes)
    last = np.array(camera.size) - 0.5
    inside = np.asarray(((xy >= -0.5) & (xy < last)).all(-1))
    pixel = np.clip(np.rint(np.where(inside[..., None], xy, 0)), 0, last - 0.5).astype(int)
    covered = shot.hidden[place][pixel[..., 1], pixel[..., 0]]
    visibility = np.where(covered | (labels.visibility < 2), 1, 2)
    moved = replace(
        labels, xy=xy, visibility=np.where(inside, visibility, 0).astype(np.uint8), boxes=boxes,
        cut_boxes=cut_to_picture(boxes, camera.size),
        head_boxes=move_boxes(matrix, labels.head_boxes),
    )  # fmt: skip
    if shot.person is None:
        return moved, seen_from
    layer = shot.person[place]
    seen = [_seen(np.asarray(layer == mark)) for mark in labels.marks]
    count = np.array([n for _, n in seen], np.int64)
    before = np.maximum(labels.seen_px, 1) * scale**2
    return replace(
        moved, seen_boxes=np.array([b for b, _ in seen]).reshape(-1, 4), seen_px=count,
        share=np.clip(labels.share * count / before, 0, 1),
    ), seen_from  # fmt: skip


def _landmarks(body: Body, mesh: NDArray[np.float64]) -> NDArray[np.float64]:
    missing = [name for name in LABEL_JOINTS if name not in body.landmarks]
    if missing:
        raise ShapeError(f"Body {body.key} has no landmark {', '.join(missing[:4])}; bake it anew.")
    marks = [body.landmarks[name] for name in LABEL_JOINTS]
    weights = np.concatenate([m.weight for m in marks]).astype(np.float64)
    starts = np.cumsum([0, *(len(m.index) for m in marks[:-1])])
    pulled = mesh[np.concatenate([m.index for m in marks])] * weights[:, None]
    return np.add.reduceat(pulled, starts, axis=0)


def _head(body: Body) -> NDArray[np.bool_]:
    share = np.where(body.bones == BONES.index("head"), body.weights, 0).sum(1)
    return np.asarray(share >= 0.5)


def _projected(camera: Camera, mesh: NDArray[np.float64]) -> NDArray[np.float64]:
    xy, depth = camera.project(mesh)
    return np.where((depth > NEAREST_M)[:, None], xy, np.nan)


def _extent(xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """``(4,)`` box around the points ``(n, 2)`` in front of the camera; NaN without any."""
    known = xy[np.isfinite(xy).all(1)]
    if not len(known):
        return np.full(4, np.nan)
    return np.concatenate([known.min(0), known.max(0)])


def _seen(mask: NDArray[np.bool_]) -> tuple[NDArray[np.float64], int]:
    """Box around the lit pixels of ``(H, W)`` and their number."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return np.full(4, np.nan), 0
    box = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]) - 0.5
    return box, int(mask.sum())


def _share(xy: NDArray[np.float64], faces: NDArray[np.int32], mask: NDArray[np.bool_]) -> float:
    """Share of a person's outline, in the picture or not, at which the mask is lit."""
    box = _extent(xy)
    if not mask.any() or not np.isfinite(box).all():
        return 0.0
    step = max(int((box[2:] - box[:2]).max() // _LATTICE), 1)
    points = covered_lattice(xy, faces, step)
    height, width = mask.shape
    inside = ((points >= 0) & (points < (width, height))).all(1)
    lit = mask[points[inside, 1], points[inside, 0]].sum()
    return float(lit / max(len(points), 1))
