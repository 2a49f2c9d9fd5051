"""LabelledScenes: labelled key frames of a data set as whole pictures with everybody in them.

One scene is one labelled frame with the frames around it. People are those of the key frame alone,
their joints found by name.

Frames     around the key frame by a :class:`~chronopose.data.neighbours.NeighbourRule`, from the
           list of the video's pictures, whether they are labelled or not. PAVE-Net's rule puts the
           key frame in the place of a missing neighbour. A still stays one picture; whoever reads
           scenes repeats it, so that stills serve as video in which nothing moves.
People     without crowds. Nobody says what is inside regions that a set wants ignored: people there
           count as background.
Area       of the labels; where there is none, of the labelled box, else of the extent of the
           joints with 1.3 times its sides.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from chronopose.core.labels import LabelledFrame
from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import get_skeleton
from chronopose.data.datasets._base import LabelledSet
from chronopose.data.labelled import person_boxes
from chronopose.data.neighbours import RULES, NeighbourRule
from chronopose.data.pictures import PictureReader, file_number
from chronopose.errors import FormatError, ShapeError, UsageError

PAVENET = RULES["pavenet"]


@dataclass(frozen=True)
class Scene:
    """Everybody in one key frame, and the frames around it.

    Args:
        images: ``(F, H, W, 3)`` uint8 RGB; F is 1 for a still, which stands for all frames of a
            window, else the window's length.
        joints: ``(G, K, 2)`` float32 of the G people of the key frame, pixels; NaN where unknown.
        visible: ``(G, K)`` bool; joints that may be trained on.
        area: ``(G,)`` float64, square pixels.
        skeleton: Names of the K joints.
        key: Position of the key frame among ``images``.
        name: Where the scene comes from, for messages.

    Raises:
        ShapeError: shapes disagree.
    """

    images: NDArray[np.uint8]
    joints: NDArray[np.float32]
    visible: NDArray[np.bool_]
    area: NDArray[np.float64]
    skeleton: Skeleton
    key: int = 0
    name: str = ""

    def __post_init__(self) -> None:
        people, joints = len(self.joints), len(self.skeleton)
        if self.images.ndim != 4 or self.images.shape[3] != 3 or self.images.dtype != np.uint8:
            raise ShapeError(
                f"{self.name}: images must be (F, H, W, 3) uint8; got {self.images.shape} "
                f"{self.images.dtype}."
            )
        shapes = (self.joints.shape, self.visible.shape, self.area.shape)
        if shapes != ((people, joints, 2), (people, joints), (people,)):
            raise ShapeError(
                f"{self.name}: {people} people of {self.skeleton.name!r} have joints "
                f"({people}, {joints}, 2), visible ({people}, {joints}) and area ({people},); got "
                f"{shapes[0]}, {shapes[1]} and {shapes[2]}."
            )
        if not 0 <= self.key < len(self.images):
            raise ShapeError(
                f"{self.name}: key frame {self.key} lies outside {len(self.images)} images."
            )

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the pictures, pixels."""
        return self.images.shape[2], self.images.shape[1]


class SceneSource(Protocol):
    """What training on whole frames asks for."""

    @property
    def skeleton(self) -> Skeleton:
        """Names of the joints of every scene."""

    def __len__(self) -> int: ...

    def scene(self, index: int) -> Scene:
        """Scene ``index``, always the same."""

    def fingerprint(self) -> str:
        """Short hash that changes when the data change; it is kept in the run record."""


@dataclass(frozen=True)
class _Key:
    """A labelled frame: its place in the labels, its picture, and its people."""

    sequence: int
    frame: int
    picture: str
    video: bool
    joints: NDArray[np.float32]
    visible: NDArray[np.bool_]
    area: NDArray[np.float64]
    size: tuple[int, int] | None


class LabelledScenes:
    """Labelled key frames of a set as a :class:`SceneSource`.

    Args:
        data: The set, with its split.
        frames: Length of a window, odd; 1 for the key frame alone.
        skeleton: Joints of the scenes; labels are converted by name. None takes those of the set.
        rule: Which frames stand around a key frame; its length gives way to ``frames``.
        occluded: Whether occluded joints may be trained on; None as the field does on this set.
        empty: Also take labelled frames in which nobody has a joint that may be trained on, as
            prediction needs them.

    Raises:
        UsageError: the length is even, the rule draws its frames, or no frame is left.
        FormatError: the labels are missing or damaged.
    """

    def __init__(
        self,
        data: LabelledSet,
        *,
        frames: int = 3,
        skeleton: Skeleton | str | None = None,
        rule: NeighbourRule = PAVENET,
        occluded: bool | None = None,
        empty: bool = False,
    ) -> None:
        self.data, self.sequences = data, data.sequences()
        self.rule = rule.of(frames)
        if self.rule.reach:
            raise UsageError(f"Scenes are always the same; the rule {rule.name!r} draws frames.")
        chosen = data.skeleton if skeleton is None else skeleton
        self._skeleton = get_skeleton(chosen) if isinstance(chosen, str) else chosen
        self._whose, self._read = f"{data.NAME} {data.split}", PictureReader()
        occluded = data.OCCLUDED if occluded is None else occluded
        found = [
            self._key(s, f, frame, occluded)
            for s, sequence in enumerate(self.sequences)
            for f, frame in enumerate(sequence)
            if frame.labelled
        ]
        self._keys = [k for k in found if empty or k.visible.any()]
        if not self._keys:
            raise UsageError(
                f"{self._whose} has no frame with a labelled joint of {self._skeleton.name} among "
                f"its {len(found)} labelled frames; check the folder and the split."
            )
        self._settings = (self.rule, self._skeleton.name, occluded, empty, len(self))

    def _key(self, s: int, f: int, frame: LabelledFrame, occluded: bool) -> _Key:
        frame = frame.select(~frame.crowd)
        ours = frame.to_skeleton(self._skeleton)
        boxes = person_boxes(frame, self.data.GROW)
        made = (boxes[:, 2:] - boxes[:, :2]).prod(-1)
        with np.errstate(invalid="ignore"):
            area = np.where(frame.area > 0, frame.area, made)
        sequence = self.sequences[s]
        return _Key(
            s, f, self.data.picture_name(sequence, frame), sequence.is_video,
            ours.xy.astype(np.float32), ours.known if occluded else ours.visible,
            np.nan_to_num(area), frame.size,
        )  # fmt: skip

    @property
    def skeleton(self) -> Skeleton:
        """As asked for."""
        return self._skeleton

    def __len__(self) -> int:
        return len(self._keys)

    def place(self, index: int) -> tuple[int, int]:
        """Which of ``sequences``, and which of its frames, scene ``index`` is."""
        return self._keys[index].sequence, self._keys[index].frame

    def people(self, index: int) -> Scene:
        """Scene ``index`` without pictures: ``images`` tell the size alone, and cost no memory.

        Raises:
            FormatError: the labels do not tell the size, and the picture cannot be read.
        """
        key = self._keys[index]
        width, height = key.size or self._size(index)
        blank = np.broadcast_to(np.uint8(0), (1, height, width, 3))
        return Scene(
            blank, key.joints, key.visible, key.area, self._skeleton, 0,
            f"{self._whose} {key.picture}",
        )  # fmt: skip

    def _size(self, index: int) -> tuple[int, int]:
        paths, place = self.window(index)
        height, width = self.read(paths[place]).shape[:2]
        return width, height

    def window(self, index: int) -> tuple[list[Path], int]:
        """Pictures of the window of scene ``index``, and the key frame's position among them.

        Returns:
            As many paths as the window has frames, or one for a still.

        Raises:
            FormatError: the picture is missing, or belongs to a video and has no number.
        """
        key = self._keys[index]
        path = self.data.finder.require(key.picture, self._whose)
        count, place = self.rule.shape()
        if not key.video or count == 1:
            return [path], 0
        existing, names = self.data.finder.numbered(path.parent, path.suffix)
        number = file_number(path.stem)
        if number is None:
            raise FormatError(
                f"The picture {path} of {self._whose} belongs to a video and has no number in its "
                f"name, so its neighbours are not known. Name pictures as in 000017.jpg."
            )
        return [path.parent / names[n] for n in self.rule.numbers(number, existing)], place

    def read(self, path: Path) -> NDArray[np.uint8]:
        """``(H, W, 3)`` one picture; the last few are kept.

        Raises:
            FormatError: it is missing or damaged.
        """
        return self._read(path)

    def scene(self, index: int) -> Scene:
        """Scene ``index`` with its pictures.

        Raises:
            FormatError: a picture is missing, damaged, or of another size than the key frame's.
        """
        key, (paths, place) = self._keys[index], self.window(index)
        images = [self.read(path) for path in paths]
        for path, image in zip(paths, images, strict=True):
            check_size(path, image, paths[place], images[place])
        return Scene(
            np.stack(images), key.joints, key.visible, key.area, self._skeleton, place,
            f"{self._whose} {key.picture}",
        )  # fmt: skip

    def fingerprint(self) -> str:
        """Hash of the labels and of all settings."""
        text = repr((self.data.fingerprint(), self._settings))
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        return f"{self._whose.replace(' ', '-')}-scenes-{digest}"


def check_size(
    path: Path, image: NDArray[np.uint8], key_path: Path, key: NDArray[np.uint8]
) -> None:
    """Refuse a frame of another size than the key frame's.

    Raises:
        FormatError: it is so.
    """
    if image.shape != key.shape:
        raise FormatError(
            f"{path} has {image.shape[1]}x{image.shape[0]} pixels, but the key frame "
            f"{key_path.name} has {key.shape[1]}x{key.shape[0]}: the frames of one video share one "
            f"size."
        )
