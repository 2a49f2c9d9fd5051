"""People of LSPET as :class:`~chronopose.data.mosaic.Portrait`, cut out along their silhouettes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from chronopose.core.skeleton import Skeleton
from chronopose.data.datasets.lspet import LSPET
from chronopose.data.mosaic import Portrait, extent_of
from chronopose.data.store import PixelStore
from chronopose.errors import import_extra

LIMBS = (
    ("right_ankle", "right_knee"), ("right_knee", "right_hip"), ("right_hip", "left_hip"),
    ("left_hip", "left_knee"), ("left_knee", "left_ankle"), ("right_wrist", "right_elbow"),
    ("right_elbow", "right_shoulder"), ("right_shoulder", "left_shoulder"),
    ("left_shoulder", "left_elbow"), ("left_elbow", "left_wrist"), ("neck", "head_top"),
    ("right_hip", "right_shoulder"), ("left_hip", "left_shoulder"),
)  # fmt: skip
TRUNK = ("right_hip", "left_hip", "left_shoulder", "right_shoulder")
SURE, LIKELY, POSSIBLE = 0.07, 0.16, 0.33
"""Half widths of the limbs as shares of the trunk's length: surely the person, likely, at most."""
WORKING_PX = 160
"""Silhouettes are sought with the longer side of the picture brought to this."""
ROUNDS = 2


class Portraits:
    """Pictures of single people with their extent and silhouette.

    Args:
        root: Folder of LSPET.
        cache: Folder in which pictures and silhouettes are kept (1.6 GB).

    Raises:
        MissingExtra: OpenCV is not installed; it is needed once, to find the silhouettes.
        FormatError: the folder does not hold LSPET.
    """

    def __init__(self, root: Path | str, cache: Path | str) -> None:
        self._people = LSPET(root, "train", cache=None)
        self._store = PixelStore(
            Path(cache), "lspet_portraits", f"{self._people.fingerprint()}-portraits-1",
            len(self._people), self._cut_out,
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self._people)

    def __getitem__(self, index: int) -> Portrait:
        """Portrait ``index``; without a silhouette where too few joints are labelled."""
        layers = self._store[index]
        extent = extent_of(self._people.joints_of(index), self._people.skeleton)
        cover = layers[..., 3]
        return Portrait(layers[..., :3], extent, cover if cover.any() else None)

    def _cut_out(self, index: int) -> NDArray[np.uint8]:
        image = self._people.sample(index, np.random.default_rng(0)).images[0]
        cover = silhouette(image, self._people.joints_of(index), self._people.skeleton)
        if cover is None:
            cover = np.zeros(image.shape[:2], np.uint8)
        return np.concatenate([image, cover[..., None]], -1)


def silhouette(
    image: NDArray[np.uint8], xy: NDArray[np.floating], skeleton: Skeleton
) -> NDArray[np.uint8] | None:
    """Share of each pixel that belongs to a person, from the joints and the colours around them.

    Args:
        image: ``(h, w, 3)`` uint8 RGB.
        xy: ``(K, 2)`` joints, pixels; NaN where unlabelled.
        skeleton: Their names: lsp14 or one with its joints.

    Returns:
        ``(h, w)`` uint8, 255 inside; None where more than a fifth of the joints is missing.

    Raises:
        MissingExtra: OpenCV is not installed.

    Source:
        Rother, Kolmogorov, Blake, "GrabCut", SIGGRAPH 2004, begun from limbs drawn as strokes.
    """
    cv2 = import_extra("cv2", "opencv-python-headless", "flow", "Cutting people out")
    height, width = image.shape[:2]
    scale = min(1.0, WORKING_PX / max(height, width))
    size = (max(2, round(width * scale)), max(2, round(height * scale)))
    known = np.isfinite(xy).all(-1)
    places = {n: xy[skeleton.index(n)] * scale for n in {j for limb in LIMBS for j in limb}}
    trunk = _trunk_length(places)
    if known.mean() < 0.8 or trunk < 4:
        return None
    small = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX))
    marks = np.full(size[::-1], cv2.GC_BGD, np.uint8)
    for share, mark in (
        (POSSIBLE, cv2.GC_PR_BGD), (LIKELY, cv2.GC_PR_FGD), (SURE, cv2.GC_FGD),
    ):  # fmt: skip
        marks[_strokes(places, size, share * trunk)] = mark
    if not (marks == cv2.GC_BGD).any():
        return None
    memory = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)
    cv2.grabCut(
        np.ascontiguousarray(small[..., ::-1]), marks, None, *memory, ROUNDS,
        cv2.GC_INIT_WITH_MASK,
    )  # fmt: skip
    inside = (marks == cv2.GC_FGD) | (marks == cv2.GC_PR_FGD)
    cover = Image.fromarray(inside.astype(np.uint8) * 255).resize(
        (width, height), Image.Resampling.BILINEAR
    )
    return np.asarray(cover.filter(ImageFilter.GaussianBlur(1.0)))


def _trunk_length(places: dict[str, NDArray[np.floating]]) -> float:
    pairs = [(a, b) for a in TRUNK[:2] for b in TRUNK[2:]]
    lengths = [np.linalg.norm(places[a] - places[b]) for a, b in pairs]
    found = [float(v) for v in lengths if np.isfinite(v)]
    return max(found, default=0.0)


def _strokes(
    places: dict[str, NDArray[np.floating]], size: tuple[int, int], radius: float
) -> NDArray[np.bool_]:
    canvas = Image.new("L", size)
    draw = ImageDraw.Draw(canvas)
    for a, b in LIMBS:
        if np.isfinite(places[a]).all() and np.isfinite(places[b]).all():
            ends = [tuple(float(v) for v in places[n]) for n in (a, b)]
            draw.line(ends, 255, max(1, round(2 * radius)))
    for place in places.values():
        if np.isfinite(place).all():
            x, y = (float(v) for v in place)
            draw.ellipse([x - radius, y - radius, x + radius, y + radius], 255)
    corners = [tuple(float(v) for v in places[n]) for n in TRUNK]
    if np.isfinite(corners).all():
        draw.polygon(corners, 255)
    return np.asarray(canvas) > 0
