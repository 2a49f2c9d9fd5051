"""Detectors: where people are in a frame.

A detector turns frames into boxes. Whoever can do more says so by overriding a method: give ids of
its own, or learn from the poses that were found (:class:`WholeFrame` needs no weights that way).
:func:`build_detector` makes one from the text that follows ``--detector``.
"""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from chronopose.core.boxes import Boxes
from chronopose.core.poses import Poses
from chronopose.core.video import VideoInfo
from chronopose.errors import UsageError, WeightsError
from chronopose.pipeline.associate import TrackSettings
from chronopose.pipeline.follow import PersonFollower

if TYPE_CHECKING:
    from chronopose.io.video import Frame

KINDS = ("auto", "builtin", "builtin:PIXELS", "whole-frame", "torchvision:NAME", "boxes:FILE")
"""What ``--detector`` understands."""

UNSURE = 1 / 3
"""Boxes down to this share of the least score are passed on: they may continue a track."""

SHIPPED = Path(__file__).parents[1] / "zoo" / "weights" / "person_detector_lite.safetensors"
"""Weights of the detector that comes with the package."""


class Detector(ABC):
    """Finds people; one instance a video at a time."""

    min_score: float = 0.0
    """A box scored lower does not make a person; it may be returned to continue one."""
    sequential: bool = False
    """Each answer depends on the poses of the frame before: frames come one by one."""

    @abstractmethod
    def __call__(self, frames: Sequence[Frame]) -> list[Boxes]:
        """Boxes of every frame, image pixels."""

    def tracking(self) -> TrackSettings:
        """How its boxes are best joined."""
        return TrackSettings(start_score=self.min_score)

    def start(self, info: VideoInfo) -> None:  # noqa: B027
        """A new video begins: forget the last one."""

    def identities(self, frame: Frame) -> NDArray[np.int64] | None:
        """``(N,)`` ids of the boxes last returned for ``frame``; None if it has none to give."""
        return None

    def candidates(self, frame: Frame) -> Boxes | None:
        """Boxes whose poses the detector wants to see before it answers; None if it knows."""
        return None

    def consider(self, frame: Frame, boxes: Boxes, poses: Poses) -> None:  # noqa: B027
        """Poses ``(N, K, 2)`` in image pixels of the boxes from :meth:`candidates`."""

    def feedback(self, frame: Frame, poses: Poses) -> None:  # noqa: B027
        """Poses ``(N, K, 2)`` in image pixels that were found in ``frame``."""


class FunctionDetector(Detector):
    """Any function from frames to boxes as a detector."""

    def __init__(self, function: Callable[[Sequence[Frame]], list[Boxes]]) -> None:
        self._function = function

    def __call__(self, frames: Sequence[Frame]) -> list[Boxes]:
        """Whatever the function says."""
        return self._function(frames)


class WholeFrame(Detector):
    """One person somewhere in the picture, found by the pose network itself.

    It starts from the whole frame and some large parts of it, looks at the poses found there,
    cuts closer around the best one, and then follows that pose from frame to frame. When the
    scores drop it starts over.
    """

    sequential = True

    def __init__(self) -> None:
        self._follower = PersonFollower((1, 1))

    def start(self, info: VideoInfo) -> None:
        """Begin with the whole frame."""
        self._follower = PersonFollower(info.size)

    def __call__(self, frames: Sequence[Frame]) -> list[Boxes]:
        """One box a frame: where the person is expected, or the whole frame."""
        one = np.ones(1, np.float32)
        return [Boxes(self._follower.box(f.time_s)[None], one) for f in frames]

    def identities(self, frame: Frame) -> NDArray[np.int64]:
        """Always person 1."""
        return np.ones(1, np.int64)

    def candidates(self, frame: Frame) -> Boxes | None:
        """What to look at while the person is being searched for."""
        return self._follower.candidates(frame.time_s)

    def consider(self, frame: Frame, boxes: Boxes, poses: Poses) -> None:
        """Go on from the best of the poses."""
        self._follower.consider(frame.time_s, poses)

    def feedback(self, frame: Frame, poses: Poses) -> None:
        """Follow the pose, or notice that it is lost."""
        self._follower.follow(frame.time_s, poses)


class BoxesFile(Detector):
    """Boxes made by somebody else, by frame number.

    Args:
        path: COCO detections, MOT text or our Parquet; see :func:`chronopose.io.boxes.read_boxes`.
        min_score: Least score of a box.

    Ids are respected when every box of the file has one; then nothing is tracked or guessed.
    """

    def __init__(self, path: str | Path, min_score: float = 0.0) -> None:
        self.path = Path(path)
        self.min_score = min_score
        self._boxes: dict[int, Boxes] = {}
        self._ids: dict[int, NDArray[np.int64]] | None = None

    def start(self, info: VideoInfo) -> None:
        """Read the file for this video.

        Raises:
            FormatError: the file cannot be read or holds no usable box.
        """
        from chronopose.io.boxes import read_boxes

        found = read_boxes(self.path, info)
        self._ids = {} if all(i is not None for b, i in found.values() if len(b)) else None
        least = self.min_score * (UNSURE if self._ids is None else 1.0)
        self._boxes = {}
        for number, (boxes, ids) in found.items():
            keep = boxes.score >= least
            self._boxes[number] = boxes.select(keep)
            if self._ids is not None and ids is not None:
                self._ids[number] = np.asarray(ids, np.int64)[keep]

    def __call__(self, frames: Sequence[Frame]) -> list[Boxes]:
        """The file's boxes; none for a frame it does not name."""
        return [self._boxes.get(f.index, Boxes.empty()) for f in frames]

    def identities(self, frame: Frame) -> NDArray[np.int64] | None:
        """The file's ids."""
        if self._ids is None:
            return None
        return self._ids.get(frame.index, np.zeros(0, np.int64))


class Torchvision(Detector):
    """A detector of torchvision with weights from the disk; nothing is ever downloaded.

    Args:
        name: Builder name in ``torchvision.models.detection``.
        weights: File with a state dict (``.pth`` or ``.safetensors``); without it the file that
            torchvision itself would have downloaded into torch's cache.
        min_score: Least score of a box.
        device: Where it runs.
        batch_size: Frames in one pass.

    Raises:
        UsageError: there is no detector of that name.
        WeightsError: the weights are not on the disk, damaged or of another network.
    """

    def __init__(
        self,
        name: str,
        *,
        weights: str | Path | None = None,
        min_score: float = 0.3,
        device: str = "cpu",
        batch_size: int = 4,
    ) -> None:
        import torch
        from torchvision.models import detection, get_model, get_model_weights, list_models

        names = list_models(module=detection)
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise UsageError(
                f"torchvision has no detector {name!r}.{hint} It has: {', '.join(names)}."
            )
        published = next(iter(get_model_weights(name)))
        file = Path(weights) if weights is not None else _cached(name, published.url)
        labels = published.meta.get("categories", ["background", "person"])
        self._person = labels.index("person")
        self.min_score, self._batch, self._device = min_score, batch_size, torch.device(device)
        model = get_model(name, weights=None, weights_backbone=None, num_classes=len(labels))
        _load_state(model, file, name)
        self._model = model.eval().to(self._device)

    def __call__(self, frames: Sequence[Frame]) -> list[Boxes]:
        """The boxes of the class "person"."""
        import torch

        found: list[Boxes] = []
        with torch.inference_mode():
            for first in range(0, len(frames), self._batch):
                pictures = [
                    torch.from_numpy(f.image).to(self._device).permute(2, 0, 1).float() / 255
                    for f in frames[first : first + self._batch]
                ]
                for answer in self._model(pictures):
                    people = answer["labels"] == self._person
                    xyxy = answer["boxes"][people].float().cpu().numpy() - 0.5
                    score = answer["scores"][people].float().cpu().numpy()
                    good = np.isfinite(xyxy).all(-1) & (score >= self.min_score * UNSURE)
                    found.append(Boxes(xyxy[good], score[good]))
        return found


def _cached(name: str, url: str) -> Path:
    import torch

    file = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]
    if not file.is_file():
        raise WeightsError(
            f"The weights of torchvision's {name} are not on this machine: no file {file}. Nothing "
            f"is downloaded behind your back: fetch {url} and put it there, or name its file with "
            f"--detector-weights."
        )
    return file


def _load_state(model: object, file: Path, name: str) -> None:
    import pickle

    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not file.is_file():
        raise WeightsError(f"There is no weights file {file}. Check --detector-weights.")
    try:
        safe = file.suffix == ".safetensors"
        state = load_file(file) if safe else torch.load(file, "cpu", weights_only=True)
    except (
        OSError,
        RuntimeError,
        ValueError,
        EOFError,
        pickle.UnpicklingError,
        SafetensorError,
    ) as e:
        raise WeightsError(
            f"{file} cannot be read as weights ({type(e).__name__}). Fetch the file again."
        ) from e
    try:
        model.load_state_dict(state)  # type: ignore[attr-defined]
    except (RuntimeError, TypeError, AttributeError) as e:
        raise WeightsError(
            f"{file} does not hold the weights of torchvision's {name}. "
            f"Give the file that belongs to this detector, or name the other detector."
        ) from e


def build_detector(
    spec: str,
    *,
    weights: str | Path | None = None,
    min_score: float = 0.3,
    device: str = "cpu",
) -> Detector:
    """Make a detector from its name on the command line.

    Args:
        spec: ``auto`` or ``builtin`` for the shipped network, ``builtin:640`` to look at frames
            with a longer side of 640 pixels, ``whole-frame``, ``torchvision:NAME`` or
            ``boxes:FILE``.
        weights: Weights file for ``torchvision:NAME``, or other ones for ``builtin``.
        min_score: Least score of a box that makes a person, in [0, 1].
        device: Where a network runs.

    Raises:
        UsageError: nobody knows ``spec``.
        WeightsError: weights are missing or damaged.
    """
    kind, _, rest = spec.partition(":")
    if spec == "auto" or kind == "builtin":
        from chronopose.pipeline.builtin import BuiltIn

        file = Path(weights) if weights is not None else SHIPPED
        return BuiltIn(file, side=_side(rest), min_score=min_score, device=device)
    if spec == "whole-frame":
        return WholeFrame()
    if kind == "torchvision" and rest:
        return Torchvision(rest, weights=weights, min_score=min_score, device=device)
    if kind == "boxes" and rest:
        return BoxesFile(rest, min_score)
    near = difflib.get_close_matches(spec, KINDS, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise UsageError(f"No detector {spec!r}.{hint} Choose from {', '.join(KINDS)}.")


def _side(text: str) -> int | None:
    if not text:
        return None
    if not text.isdigit() or not 64 <= int(text) <= 4096:
        raise UsageError(
            f"builtin:{text} is not understood: the longer side at which frames are looked at is "
            f"a whole number of pixels from 64 to 4096, e.g. builtin:640."
        )
    return int(text)
