"""LSPET: 9,000 photographs of people in sports, as stills or as pseudo-clips.

Set        Leeds Sports Pose Extended (Johnson, Everingham: "Learning Effective Human Pose
           Estimation from Inaccurate Annotation"), images ``im00001.jpg`` .. and ``joints.mat``.
Joints     lsp14, person-centric, pixel centres at integers; third value 1 is a labelled joint.
Splits     train 1-8500, val 8501-9000 (ours).
Clips      A still becomes a clip when a virtual camera moves over it: smooth drift, turn and zoom.
           Blur and occluders that change over time are pixel effects (``transforms.strong_video``).
Terms      Research only: numbers may be published, pictures may not be passed on.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import get_skeleton
from chronopose.data.clips import Sample
from chronopose.data.store import PixelStore
from chronopose.errors import FormatError
from chronopose.io.lsp import check_third, joint_table

SPLITS = {"train": (0, 8500), "val": (8500, 9000)}
DEFAULT_CACHE = Path("runs") / "cache"
LEAST_BOX_PX = 20.0
"""A box is at least this tall: some people have only one or two labelled joints."""


@dataclass(frozen=True, kw_only=True)
class CameraMotion:
    """How far the virtual camera of a pseudo-clip moves.

    Args:
        shift: Spread of the move a frame, as a share of the person's box size.
        turn_deg: Spread of the turn a frame, degrees.
        zoom: Spread of the zoom a frame, natural logarithm.
        still_p: Probability that the camera does not move at all.
    """

    shift: float = 0.02
    turn_deg: float = 2.0
    zoom: float = 0.015
    still_p: float = 0.2


def camera_path(
    frames: int,
    key: int,
    centre: NDArray[np.floating],
    box_size: float,
    motion: CameraMotion,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Draw a smooth path of the virtual camera.

    Args:
        frames: Length of the clip.
        key: Frame in which the picture stands unmoved.
        centre: ``(2,)`` point that turns and zooms happen about, picture pixels.
        box_size: Size that shifts are a share of, pixels.
        motion: How far it moves.
        rng: Source of randomness.

    Returns:
        ``(T, 2, 3)`` picture -> frame; constant speed plus constant acceleration in shift, turn
        and zoom, the identity at the key frame.
    """
    still = rng.random() < motion.still_p
    speed, bend = rng.normal(size=4), rng.normal(size=4) * 0.3
    spread = np.array([motion.shift * box_size] * 2 + [np.deg2rad(motion.turn_deg), motion.zoom])
    t = np.arange(frames)[:, None] - key
    path = (speed * t + bend * t * np.abs(t)) * spread * (0.0 if still else 1.0)
    scale, angle = np.exp(path[:, 3]), path[:, 2]
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)
    shift = centre + path[:, :2] - linear @ np.asarray(centre, np.float64)
    return np.concatenate([linear, shift[:, :, None]], axis=2)


class LSPET:
    """People of LSPET as a :class:`~chronopose.data.clips.ClipSource`.

    Args:
        root: Folder with ``joints.mat`` and ``images/``.
        split: ``"train"`` or ``"val"``.
        frames: Length of a pseudo-clip, odd; 1 gives stills.
        motion: Camera motion of pseudo-clips; None keeps clips still.
        cache: Folder for decoded pictures (about 1.2 GB for all of them); None decodes every time.

    Raises:
        FormatError: the folder does not hold LSPET.
    """

    def __init__(
        self,
        root: Path | str,
        split: Literal["train", "val"] = "train",
        *,
        frames: int = 1,
        motion: CameraMotion | None = None,
        cache: Path | str | None = DEFAULT_CACHE,
    ) -> None:
        self._root = Path(root)
        self._first, last = SPLITS[split]
        self._split, self._frames, self._motion = split, frames, motion
        labels, digest = _read_labels(self._root / "joints.mat")
        self._digest = _with_pictures(digest, self._root / "images")
        labels = labels[self._first : last]
        self._xy = labels[:, :, :2].astype(np.float32)
        self._visible = labels[:, :, 2] > 0
        self._xy[~self._visible] = np.nan
        self._store: PixelStore | None = None
        if cache is not None:
            self._store = PixelStore(
                Path(cache), f"lspet_{split}", self.fingerprint(), len(self), self._decode
            )

    @property
    def skeleton(self) -> Skeleton:
        """lsp14."""
        return get_skeleton("lsp14")

    def __len__(self) -> int:
        return len(self._xy)

    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        """Picture ``index`` of the split; its box is the extent of the labelled joints."""
        image = self._store[index] if self._store is not None else self._decode(index)
        xy, visible = self._xy[index], self._visible[index]
        box = self._box(index)
        key, motion = 0, None
        if self._frames > 1:
            key = self._frames // 2
            if self._motion is not None:
                centre, size = (box[:2] + box[2:]) / 2, float(max(box[2:] - box[:2]))
                motion = camera_path(self._frames, key, centre, size, self._motion, rng)
        still = motion is None
        return Sample(
            image[None], xy[None], visible[None], box, self.skeleton, 0 if still else key, motion,
            f"lspet im{self._first + index + 1:05d}",
        )  # fmt: skip

    def joints_of(self, index: int) -> NDArray[np.float32]:
        """``(14, 2)`` labelled joints of a picture, pixels; NaN where unlabelled."""
        return self._xy[index]

    def fingerprint(self) -> str:
        """Hash of the labels and of the pictures' names and sizes, with the split."""
        return f"lspet-{self._split}-{self._digest[:12]}"

    def _box(self, index: int) -> NDArray[np.float32]:
        xy = self._xy[index][self._visible[index]]
        if not len(xy):
            xy = np.array([[0.0, 0.0]], np.float32)
        low, high = xy.min(0), xy.max(0)
        middle = (low[1] + high[1]) / 2
        half = max((high[1] - low[1]) / 2, LEAST_BOX_PX / 2)
        return np.array([low[0], middle - half, high[0], middle + half], np.float32)

    def _decode(self, index: int) -> NDArray[np.uint8]:
        path = self._root / "images" / f"im{self._first + index + 1:05d}.jpg"
        try:
            return np.array(Image.open(path).convert("RGB"))
        except OSError as error:
            raise FormatError(
                f"Cannot read picture {path.name} of LSPET: {error}. The folder given as the data "
                f"must hold images/im00001.jpg and so on."
            ) from error


def _with_pictures(digest: str, folder: Path) -> str:
    """A sha256 of labels, extended by the names and sizes of the pictures."""
    try:
        with os.scandir(folder) as entries:
            listing = sorted((e.name, e.stat().st_size) for e in entries)
    except OSError as error:
        raise FormatError(
            f"{folder.parent} is not LSPET: it has no folder images/. Give the folder that holds "
            f"joints.mat and images/."
        ) from error
    return hashlib.sha256(f"{digest}{listing}".encode()).hexdigest()


def _read_labels(path: Path) -> tuple[NDArray[np.float64], str]:
    """``(N, 14, 3)`` labels and the file's sha256."""
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        labels, layout = joint_table(path)
    except (OSError, FormatError) as error:
        raise FormatError(
            f"{path.parent} is not LSPET: joints.mat with an array 'joints' could not be read "
            f"({error}). Give the folder that holds joints.mat and images/."
        ) from error
    if layout != "lspet" or len(labels) < SPLITS["val"][1]:
        raise FormatError(
            f"joints.mat of LSPET must be (14, 3, N) with N of at least {SPLITS['val'][1]}; got "
            f"{len(labels)} pictures in the layout of {layout.upper()}."
        )
    check_third(labels, layout, path)
    return labels, digest
