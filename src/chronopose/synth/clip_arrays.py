"""The exact labels of a written clip as arrays: what is in ``arrays/SPLIT/NAME.npz``."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chronopose.core.skeletons import COCO17, H36M17, LSP14, POSETRACK15
from chronopose.errors import FormatError, ShapeError, SkeletonMismatch
from chronopose.io.atomic import replacing
from chronopose.synth.camera import Camera
from chronopose.synth.labels import LABEL_JOINTS, FrameLabels

PARTS = {s.name: s for s in (COCO17, POSETRACK15, LSP14, H36M17)}
"""Skeletons whose places among the joints are stored, under their names."""

_PX, _M = 16, 10_000
"""Steps of a pixel and of a metre that labels are compared with."""
_OPTIONAL = ("masks", "depth", "flow")


@dataclass(frozen=True, eq=False)
class ClipArrays:
    """Labels of T frames, P people (the same in every frame, absent ones NaN) and K joints.

    Args:
        joints: Names of the K joints.
        ids: ``(P,)`` int64.
        xy: ``(T, P, K, 2)`` float64 pixels, also outside the picture; NaN behind the camera.
        xyz: ``(T, P, K, 3)`` float32 world metres, z up.
        visibility: ``(T, P, K)`` uint8: 0 outside the picture, 1 hidden, 2 visible.
        boxes: ``(T, P, 4)`` float64 x1 y1 x2 y2 around the whole person, hidden parts included.
        cut_boxes: ``(T, P, 4)`` the same cut at the picture's edge.
        seen_boxes: ``(T, P, 4)`` around the pixels that show the person.
        head_boxes: ``(T, P, 4)`` around the head.
        share: ``(T, P)`` float64, seen share of the person's outline.
        intrinsics: ``(T, 3, 3)`` float64 camera matrices, pixels.
        rotation: ``(T, 3, 3)`` float64, world to camera.
        translation: ``(T, 3)`` float64, metres.
        size: ``(2,)`` int64 width and height, pixels.
        time_s: ``(T,)`` float64 seconds.
        masks: ``(T, H, W)`` uint8: 0 background, p + 1 for person p, 255 things; or None.
        depth: ``(T, H, W)`` float16 metres, inf for the background; or None.
        flow: ``(T, H, W, 2)`` float16 pixels to the next frame; or None.
    """

    joints: tuple[str, ...]
    ids: NDArray[np.int64]
    xy: NDArray[np.float64]
    xyz: NDArray[np.float32]
    visibility: NDArray[np.uint8]
    boxes: NDArray[np.float64]
    cut_boxes: NDArray[np.float64]
    seen_boxes: NDArray[np.float64]
    head_boxes: NDArray[np.float64]
    share: NDArray[np.float64]
    intrinsics: NDArray[np.float64]
    rotation: NDArray[np.float64]
    translation: NDArray[np.float64]
    size: NDArray[np.int64]
    time_s: NDArray[np.float64]
    masks: NDArray[np.uint8] | None = None
    depth: NDArray[np.float16] | None = None
    flow: NDArray[np.float16] | None = None

    def __post_init__(self) -> None:
        for name, shape in _shapes(self).items():
            value = getattr(self, name)
            if value is not None and np.shape(value) != shape:
                raise ShapeError(f"{name} of a clip must be {shape}; got {np.shape(value)}.")

    def __len__(self) -> int:
        return len(self.time_s)

    def camera(self, place: int) -> Camera:
        """The camera of a frame."""
        size = int(self.size[0]), int(self.size[1])
        return Camera(
            self.intrinsics[place], self.rotation[place], self.translation[place], size
        )  # fmt: skip

    def places(self, names: Sequence[str]) -> NDArray[np.int64]:
        """Places of joints by name, e.g. those of a skeleton.

        Raises:
            SkeletonMismatch: there is no such joint.
        """
        missing = [n for n in names if n not in self.joints]
        if missing:
            raise SkeletonMismatch(
                f"The clip has no joint {', '.join(missing)}. It has: {', '.join(self.joints)}."
            )
        return np.array([self.joints.index(n) for n in names], np.int64)

    def digest(self) -> str:
        """Sha256 of what does not depend on the renderer: the same on any machine.

        Ids, times, cameras, places in the world and in the picture and whole boxes, rounded to
        a sixteenth of a pixel and a tenth of a millimetre.
        """
        steps = {
            "ids": 1, "time_s": 1e6, "intrinsics": _PX, "rotation": _M, "translation": _M,
            "xyz": _M, "xy": _PX, "boxes": _PX, "size": 1,
        }  # fmt: skip
        return self._sha256(steps)

    def seen_digest(self) -> str:
        """Sha256 of visibility and seen boxes: the same for the same renderer and driver."""
        return self._sha256({"visibility": 1, "seen_boxes": _PX})

    def _sha256(self, steps: Mapping[str, float]) -> str:
        digest = hashlib.sha256("|".join(self.joints).encode())
        for name, step in steps.items():
            value = np.asarray(getattr(self, name), np.float64)
            known = np.isfinite(value)
            whole = np.where(known, np.rint(np.where(known, value, 0) * step), 2**62)
            digest.update(f"{name}{value.shape}".encode() + whole.astype("<i8").tobytes())
        return digest.hexdigest()

    @classmethod
    def of(
        cls,
        labels: Sequence[FrameLabels],
        cameras: Sequence[Camera],
        time_s: Sequence[float] | NDArray[np.float64],
        layers: Mapping[str, NDArray[Any] | None] | None = None,
    ) -> ClipArrays:
        """Frames put together; people are matched by their ids.

        Args:
            labels: One a frame, at least one.
            cameras: One a frame, all of one size.
            time_s: One a frame, seconds.
            layers: ``masks`` as drawn, ``depth``, ``flow``, as wanted. Marks of people in the masks
                become their place in ``ids`` plus one.

        Raises:
            ShapeError: counts disagree, or there is no frame.
        """
        if not len(labels) == len(cameras) == len(time_s) or not len(labels):
            raise ShapeError(
                f"A clip needs as many labels, cameras and times, at least one; got {len(labels)}, "
                f"{len(cameras)} and {len(time_s)}."
            )
        ids = np.unique(np.concatenate([frame.ids for frame in labels]))
        rows = [np.searchsorted(ids, frame.ids) for frame in labels]
        more = {n: v for n, v in (layers or {}).items() if v is not None}
        if "masks" in more:
            more["masks"] = np.stack(
                [_renamed(m, f, r) for m, f, r in zip(more["masks"], labels, rows, strict=True)]
            )
        for name in {"depth", "flow"} & more.keys():
            more[name] = np.asarray(more[name]).astype(np.float16)
        placed = {
            name: _placed([getattr(f, name) for f in labels], rows, len(ids))
            for name in ("xy", "xyz", "visibility", "boxes", "cut_boxes", "seen_boxes",
                         "head_boxes", "share")
        }  # fmt: skip
        return cls(
            joints=LABEL_JOINTS, ids=ids, **{**placed, "xyz": placed["xyz"].astype(np.float32)},
            intrinsics=np.stack([c.intrinsics for c in cameras]).astype(np.float64),
            rotation=np.stack([c.rotation for c in cameras]).astype(np.float64),
            translation=np.stack([c.translation for c in cameras]).astype(np.float64),
            size=np.array(cameras[0].size, np.int64), time_s=np.array(time_s, np.float64), **more,
        )  # fmt: skip

    def write(self, path: str | Path) -> None:
        """Write an npz, all or nothing; ``np.load`` alone can read it.

        Beside the fields it has ``coco17``, ``posetrack15``, ``lsp14`` and ``h36m17``: the places
        of their joints, so that ``z["xy"][:, :, z["coco17"]]`` is ``(T, P, 17, 2)``.

        Raises:
            FormatError: the system refused.
        """
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        values["joints"] = np.array(self.joints)
        values |= {name: self.places(s.joints) for name, s in PARTS.items()}
        with replacing(path) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(file, **{n: v for n, v in values.items() if v is not None})


def read_arrays(path: str | Path) -> ClipArrays:
    """Read the npz of a written clip.

    Raises:
        FormatError: it is missing, damaged, no such file, or lacks an array.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            found = {name: stored[name] for name in stored.files}
    except FileNotFoundError as error:
        raise FormatError(f"Cannot read {path}: there is no such file. Check the path.") from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        raise FormatError(
            f"Cannot read {path}: it is not an npz of a generated clip, or it is damaged "
            f"({' '.join(str(error).split())[:200]}). Generate the clip again."
        ) from error
    wanted = [f.name for f in fields(ClipArrays) if f.name not in _OPTIONAL]
    missing = [name for name in wanted if name not in found]
    if missing:
        raise FormatError(
            f"{path} has no array {missing[0]!r} (it has {', '.join(found) or 'nothing'}), so it "
            f"is not of a generated clip. Give the file arrays/SPLIT/NAME.npz."
        )
    known = {name: found[name] for name in (*wanted, *_OPTIONAL) if name in found}
    known["joints"] = tuple(known["joints"].tolist())
    try:
        return ClipArrays(**known)
    except ShapeError as error:
        raise FormatError(f"{path} is damaged: {error} Generate the clip again.") from error


def _shapes(arrays: ClipArrays) -> dict[str, tuple[int, ...]]:
    times, people, joints = len(arrays.time_s), len(arrays.ids), len(arrays.joints)
    size = np.asarray(arrays.size).ravel()
    layer = (times, int(size[1]), int(size[0])) if len(size) == 2 else ()
    each, box = (times, people, joints), (times, people, 4)
    return {
        "size": (2,), "time_s": (times,), "ids": (people,), "xy": (*each, 2), "xyz": (*each, 3),
        "visibility": each, "boxes": box, "cut_boxes": box, "seen_boxes": box, "head_boxes": box,
        "share": (times, people), "intrinsics": (times, 3, 3), "rotation": (times, 3, 3),
        "translation": (times, 3), "masks": layer, "depth": layer, "flow": (*layer, 2),
    }  # fmt: skip


def _placed(values: list[NDArray[Any]], rows: list[NDArray[np.intp]], people: int) -> NDArray[Any]:
    """``(T, P, ...)`` from arrays ``(p, ...)``; people who are not in a frame NaN, or 0."""
    first = values[0]
    blank = np.nan if first.dtype.kind == "f" else 0
    found = np.full((len(values), people, *first.shape[1:]), blank, first.dtype)
    for place, (value, row) in enumerate(zip(values, rows, strict=True)):
        found[place, row] = value
    return found


def _renamed(
    mask: NDArray[np.uint8], labels: FrameLabels, rows: NDArray[np.intp]
) -> NDArray[np.uint8]:
    table = np.full(256, 255, np.uint8)
    table[0] = 0
    table[labels.marks] = rows + 1
    return table[mask]
