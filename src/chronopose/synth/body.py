"""A dressed person as the renderer sees them: a mesh, the bones that move it, named landmarks.

World frame of everything in this folder: metres, right-handed, z up, the ground at z = 0. At rest
a body stands on the ground, faces -y and has its left hand at +x.

Every body has the same bones (:data:`BONES`), whoever made it, so that a motion needs no knowledge
of the maker. A pose is one rotation a bone in the world (identity: as at rest) and the place of the
pelvis.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chronopose.errors import ShapeError

BONES = (
    "pelvis", "spine", "chest", "neck", "head",
    "left_clavicle", "left_upper_arm", "left_forearm", "left_hand",
    "right_clavicle", "right_upper_arm", "right_forearm", "right_hand",
    "left_thigh", "left_shin", "left_foot", "left_toes",
    "right_thigh", "right_shin", "right_foot", "right_toes",
)  # fmt: skip
"""Bones J, parents first. A bone's joint is where it begins: ``left_shin`` at the left knee."""

PARENTS = (-1, 0, 1, 2, 3, 2, 5, 6, 7, 2, 9, 10, 11, 0, 13, 14, 15, 0, 17, 18, 19)
"""Position in :data:`BONES` of every bone's parent; -1 for the pelvis."""


@dataclass(frozen=True)
class BonePoses:
    """How a body is posed over time.

    Args:
        rotations: ``(T, J, 3, 3)`` float32, world rotation of each bone away from its rest
            orientation; the identity everywhere is the rest pose.
        root: ``(T, 3)`` float32, the pelvis joint, metres.
        time_s: ``(T,)`` seconds.
    """

    rotations: NDArray[np.float32]
    root: NDArray[np.float32]
    time_s: NDArray[np.float64]

    def __post_init__(self) -> None:
        count = len(self.time_s)
        shapes = (count, len(BONES), 3, 3), (count, 3)
        if (np.shape(self.rotations), np.shape(self.root)) != shapes:
            raise ShapeError(
                f"{count} times need rotations {shapes[0]} and root {shapes[1]}; got "
                f"{np.shape(self.rotations)} and {np.shape(self.root)}."
            )

    def __len__(self) -> int:
        return len(self.time_s)


@dataclass(frozen=True)
class Surface:
    """A run of a body's faces that look alike.

    Args:
        name: ``skin``, ``hair``, ``shirt``, ...
        first, last: Faces ``first <= f < last``.
        texture: ``(h, w, 4)`` uint8 sRGB with coverage, read at ``Body.uv`` (v up); None for
            colours of the vertices alone.
        tint: Multiplies texture or vertex colour, sRGB values in [0, 1].
        thin: Seen from both sides and cut out where coverage is below a half (hair, skirts).
    """

    name: str
    first: int
    last: int
    texture: NDArray[np.uint8] | None = None
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    thin: bool = False


@dataclass(frozen=True)
class Landmark:
    """A point that moves with the mesh: the weighted mean of some vertices.

    Args:
        index: ``(n,)`` vertices.
        weight: ``(n,)`` float32, summing to one.
    """

    index: NDArray[np.int64]
    weight: NDArray[np.float32]


@dataclass(frozen=True)
class Body:
    """One dressed person, or one solid thing, at rest.

    Args:
        key: Name, the same for the same mesh and clothes.
        vertices: ``(V, 3)`` float32, metres.
        faces: ``(F, 3)`` int32, counter-clockwise seen from outside.
        uv: ``(V, 2)`` float32; zeros where nothing has a texture.
        colours: ``(V, 3)`` float32, sRGB in [0, 1].
        bones: ``(V, 4)`` uint8, positions in :data:`BONES`.
        weights: ``(V, 4)`` float32, each row summing to one.
        joints: ``(J, 3)`` float32, where each bone begins at rest.
        surfaces: Together they cover all faces, in order.
        landmarks: Joint name of the skeletons -> its landmark. People have every joint of
            coco17, posetrack15, lsp14 and h36m17, and ``left_heel``, ``left_big_toe``,
            ``left_small_toe`` with their right twins; things have none.
    """

    key: str
    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    uv: NDArray[np.float32]
    colours: NDArray[np.float32]
    bones: NDArray[np.uint8]
    weights: NDArray[np.float32]
    joints: NDArray[np.float32]
    surfaces: tuple[Surface, ...]
    landmarks: Mapping[str, Landmark]

    def __post_init__(self) -> None:
        count = len(self.vertices)
        want = {
            "vertices": (count, 3), "faces": (len(self.faces), 3), "uv": (count, 2),
            "colours": (count, 3), "bones": (count, 4), "weights": (count, 4),
            "joints": (len(BONES), 3),
        }  # fmt: skip
        for name, shape in want.items():
            if np.shape(getattr(self, name)) != shape:
                got = np.shape(getattr(self, name))
                raise ShapeError(f"Body {self.key}: {name} must be {shape}; got {got}.")

    def skin_matrices(self, poses: BonePoses) -> NDArray[np.float32]:
        """``(T, J, 3, 4)`` matrices that carry rest points to their posed places, bone by bone."""
        # Double precision inside: processors that fuse or order sums differently agree in the end.
        turns = poses.rotations.astype(np.float64)
        joints = np.empty((len(poses), len(BONES), 3))
        for bone, parent in enumerate(PARENTS):
            if parent < 0:
                joints[:, bone] = poses.root
                continue
            arm = self.joints[bone] - self.joints[parent]
            joints[:, bone] = joints[:, parent] + turns[:, parent] @ arm
        moved = joints - np.einsum("tjab,jb->tja", turns, self.joints)
        return np.concatenate([turns, moved[..., None]], -1).astype(np.float32)

    def skin(self, matrices: NDArray[np.float32]) -> NDArray[np.float32]:
        """Vertices of one posed frame (linear blend skinning).

        Args:
            matrices: ``(J, 3, 4)`` as :meth:`skin_matrices` gives them for one frame.

        Returns:
            ``(V, 3)`` float32, metres.
        """
        return _blend(matrices, self.bones, self.weights, self.vertices)

    def locate(self, matrices: NDArray[np.float32], names: tuple[str, ...]) -> NDArray[np.float32]:
        """``(T, K, 3)`` landmarks of posed frames; ``matrices`` is ``(T, J, 3, 4)``."""
        found = np.empty((len(matrices), len(names), 3), np.float32)
        for place, name in enumerate(names):
            mark = self.landmarks[name]
            rest = self.vertices[mark.index]
            bones, weights = self.bones[mark.index], self.weights[mark.index]
            for frame, matrix in enumerate(matrices):
                found[frame, place] = mark.weight @ _blend(matrix, bones, weights, rest)
        return found


def _blend(
    matrices: NDArray[np.float32],
    bones: NDArray[np.uint8],
    weights: NDArray[np.float32],
    rest: NDArray[np.float32],
) -> NDArray[np.float32]:
    each = (matrices[bones] * weights[..., None, None]).sum(1)
    return (np.einsum("vab,vb->va", each[..., :3], rest) + each[..., 3]).astype(np.float32)
