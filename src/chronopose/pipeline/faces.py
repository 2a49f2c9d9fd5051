"""Expressions of tracked people: where a face is from the joints, what it shows, and over time.

No face is searched for: it is placed by the joints of the head, so it belongs to a person from the
start. Lengths are shares of the height of a head, chin to crown, which is 0.130 of a person's
height; the face is a square of 0.8 head heights whose middle lies 0.6 below the crown, so that it
reaches from the hairline to the chin. With the codec's margin of 0.2 on each side the crop is the
head of a portrait. What is measured in the picture gives the size:

    joints                              what is measured           head heights    axis of the head
    nose, both eyes (coco17, flic11)    eye to eye                 0.28            across the eyes
                                        ear to ear                 0.70
                                        nose to ear                0.56
    head_top, head_bottom (posetrack)   crown to base of skull     1.15            along both
    head_top, upper_neck  (mpii16)      crown to base of skull     1.15            along both
    head_top, neck        (lsp14)       crown to neck              1.40            along both
                                        shoulder to shoulder       1.55

A length in a picture can be shortened by the view, never lengthened, so the largest of the
estimates counts: a head that nods keeps its size by the shoulders, one that turns by the neck. The
middle of the face is 0.1 head heights below the eyes, or at its share of the way from the crown to
the joint below, 0.6 of 1.15 or of 1.40.

Who faces us has the left shoulder on the right of the picture, as the head stands. A person is
taken to be seen from behind when it is on the left by more than 0.4 face sides, or when the eyes
are exchanged likewise. Between the two, in profile, joints do not tell.

Source  Heights of head and neck and breadth of shoulders: Drillis and Contini's segment lengths as
        printed by Winter, "Biomechanics and Motor Control of Human Movement" (0.130, 0.182, 0.259
        of a person's height; joints of the shoulders lie further in: 0.2). Eyes and ears: mean
        adult lengths on a head of 225 mm, 63 mm from eye to eye, 158 and 126 mm to the middle of
        the outer ear. The base of the skull
        as these sets label it lies a little below the chin (seen on pictures). Nothing was fitted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from chronopose.core.crop import CropWindow
from chronopose.core.faces import FrameFaces, Judged
from chronopose.core.skeleton import Skeleton
from chronopose.core.tracks import FramePoses, VideoPoses
from chronopose.errors import SkeletonMismatch, UsageError
from chronopose.models._face import FaceModel
from chronopose.pipeline.crops import cut
from chronopose.tensors.colours import normalise

if TYPE_CHECKING:
    from chronopose.io.video import Frame

Array = NDArray[np.float64]
Joints = dict[str, Array]
"""Name -> x and y of the joints that are known and sure enough."""
Rule = Callable[[Joints], "FacePlace | None"]

SIDE, BELOW_CROWN, EYES_ABOVE = 0.8, 0.6, 0.1
"""Side of the face, its middle below the crown, and the eyes above it, in head heights."""
EYE_TO_EYE, EAR_TO_EAR, NOSE_TO_EAR = 0.28, 0.70, 0.56
CROWN_TO_SKULL, CROWN_TO_NECK, SHOULDER_TO_SHOULDER = 1.15, 1.40, 1.55
BEHIND = 0.4
"""Shoulders exchanged by that many face sides: seen from behind."""
SHORTEST = 0.4
"""Least share of the shoulders' estimate that crown to neck must give: shorter, the head looks
down or the joints are wrong, and nobody can tell where the face is."""
INSIDE = 0.75
"""Least share of the face's square that must lie in the picture."""


@dataclass(frozen=True)
class FacePlace:
    """Where a face is.

    Args:
        centre: ``(2,)`` middle of the square, image pixels.
        side_px: Its side.
        tilt_deg: Turn of the head, clockwise on screen positive.
        behind: Whether the back of the head is seen, as far as joints tell.
    """

    centre: Array
    side_px: float
    tilt_deg: float
    behind: bool = False

    @property
    def xyxy(self) -> Array:
        """``(4,)`` left, top, right, bottom, before the turn about the middle."""
        half = self.side_px / 2
        return np.concatenate([self.centre - half, self.centre + half])

    def window(self, size: tuple[int, int], margin: float) -> CropWindow:
        """The crop in which the face stands upright, with ``margin`` of its side around it."""
        return CropWindow.of_box(self.xyxy, size, pad=1 + 2 * margin, rotation_deg=-self.tilt_deg)


def _by_eyes(at: Joints) -> FacePlace:
    eyes = (at["left_eye"] + at["right_eye"]) / 2
    across = at["left_eye"] - at["right_eye"]
    ears = [at[e] for e in ("left_ear", "right_ear") if e in at]
    heads = [_norm(across) / EYE_TO_EYE, *(_norm(at["nose"] - e) / NOSE_TO_EAR for e in ears)]
    if len(ears) == 2:
        heads.append(_norm(ears[0] - ears[1]) / EAR_TO_EAR)
    up = np.array([across[1], -across[0]])
    shoulders = _shoulders(at)
    behind = False
    if shoulders is not None:
        neck = eyes - (shoulders[0] + shoulders[1]) / 2
        # In profile both eyes are nearly one point, and their line says nothing.
        behind = bool(up @ neck < 0)
        if behind or _norm(across) < 0.3 * EYE_TO_EYE * max(heads):
            up = neck
    size = _norm(up)
    middle = eyes - (EYES_ABOVE * max(heads) / size * up if size > 0 else 0)
    return _place(middle, up, max(heads), at, behind)


def _along(lower: str, length: float) -> Rule:
    """A rule for a head that is known by its crown and a joint below it."""

    def rule(at: Joints) -> FacePlace | None:
        up = at["head_top"] - at[lower]
        heads = [_norm(up) / length]
        shoulders = _shoulders(at)
        if lower == "neck" and shoulders is not None:
            heads.append(_norm(shoulders[0] - shoulders[1]) / SHOULDER_TO_SHOULDER)
        if heads[0] < SHORTEST * max(heads):
            return None
        # The face lies between the joints, however short a nod makes their distance.
        middle = at["head_top"] - BELOW_CROWN / length * up
        return _place(middle, up, max(heads), at, False)

    return rule


def _place(middle: Array, up: Array, head: float, at: Joints, behind: bool) -> FacePlace:
    """The face around ``middle`` of a head of ``head`` pixels that points to ``up``."""
    size = _norm(up)
    axis = up / size if size > 0 else np.array([0.0, -1.0])
    side = SIDE * head
    shoulders = _shoulders(at)
    if shoulders is not None:
        right = np.array([-axis[1], axis[0]])
        behind = behind or bool((shoulders[0] - shoulders[1]) @ right < -BEHIND * side)
    return FacePlace(middle, side, math.degrees(math.atan2(axis[0], -axis[1])), behind)


RULES: tuple[tuple[tuple[str, ...], Rule], ...] = (
    (("nose", "left_eye", "right_eye"), _by_eyes),
    (("head_top", "head_bottom"), _along("head_bottom", CROWN_TO_SKULL)),
    (("head_top", "upper_neck"), _along("upper_neck", CROWN_TO_SKULL)),
    (("head_top", "neck"), _along("neck", CROWN_TO_NECK)),
)
"""Joints that a rule needs, and the rule; a skeleton goes by the first whose joints it has."""


def place_face(
    xy: NDArray[np.floating],
    score: NDArray[np.floating],
    skeleton: Skeleton,
    *,
    min_score: float = 0.3,
) -> FacePlace | None:
    """Where the face of a person is.

    Args:
        xy: ``(K, 2)`` joints, image pixels.
        score: ``(K,)`` their scores.
        skeleton: Names of the joints.
        min_score: Joints scored below this are not looked at.

    Returns:
        The place; None if a joint of the head that it takes is unknown or not sure enough, or if
        the joints contradict each other.

    Raises:
        SkeletonMismatch: no rule knows a face by the joints of this skeleton.
    """
    needs, rule = _rule_of(skeleton)
    sure = np.isfinite(xy).all(-1) & (score >= min_score)
    at = {name: np.asarray(xy[k], np.float64) for k, name in enumerate(skeleton.joints) if sure[k]}
    if any(name not in at for name in needs):
        return None
    place = rule(at)
    return place if place is not None and place.side_px > 0 else None


def _rule_of(skeleton: Skeleton) -> tuple[tuple[str, ...], Rule]:
    for needs, rule in RULES:
        if all(name in skeleton.joints for name in needs):
            return needs, rule
    raise SkeletonMismatch(
        f"No face can be placed by the joints of {skeleton.name!r}: it has neither nose and eyes "
        f"nor the crown of the head with a joint below it. Use a model of coco17, lsp14 or "
        f"posetrack joints."
    )


@dataclass(frozen=True, kw_only=True)
class FaceReaderSettings:
    """Which faces are judged, and how steady the answers are.

    Args:
        min_px: Least side of a face, image pixels.
        min_score: Least score of the head's joints, in [0, 1].
        smooth_s: Time constant of the mean over time, seconds; 0 for none.
        gap_s: After that long without a judgement the mean starts anew.
        gray: Take the colours out of faces. Most sets of expressions are gray, and networks that
            learn from coloured ones see gray faces in training too.

    Raises:
        UsageError: a value is out of its range.
    """

    min_px: float = 24.0
    min_score: float = 0.3
    smooth_s: float = 0.5
    gap_s: float = 1.0
    gray: bool = True

    def __post_init__(self) -> None:
        if not (self.min_px > 0 and 0 <= self.min_score <= 1):
            raise UsageError(
                f"min_px must be above 0 and min_score in [0, 1]; got {self.min_px} and "
                f"{self.min_score}."
            )
        if not (self.smooth_s >= 0 and self.gap_s > 0):
            raise UsageError(
                f"smooth_s must be at least 0 and gap_s above 0 seconds; got {self.smooth_s} and "
                f"{self.gap_s}."
            )


class SmoothShares:
    """A mean of probabilities over time, one for each person, in seconds and not in frames.

    ``p += (1 - exp(-dt / smooth_s)) * (new - p)``: rows keep their sum of 1. It looks back only,
    and starts anew after ``gap_s`` without a value.
    """

    def __init__(self, smooth_s: float, gap_s: float) -> None:
        self._smooth_s, self._gap_s = smooth_s, gap_s
        self._last: dict[int, tuple[float, Array]] = {}

    def add(self, person: int, time_s: float, shares: NDArray[np.floating]) -> Array:
        """``(C,)`` smoothed probabilities of a person after a new value."""
        new = np.asarray(shares, np.float64)
        before = self._last.get(person)
        if before is not None and self._smooth_s > 0 and time_s - before[0] <= self._gap_s:
            step = 1 - math.exp(-(time_s - before[0]) / self._smooth_s)
            new = before[1] + step * (new - before[1])
        self._last[person] = (time_s, new)
        return new

    def forget(self, time_s: float) -> None:
        """Drop people whose mean would start anew at ``time_s`` anyway."""
        self._last = {p: v for p, v in self._last.items() if time_s - v[0] <= self._gap_s}


class FaceReader:
    """Says frame by frame which expressions the faces of tracked people show.

    An expression is what a face looks like to the people who labelled the training pictures. It is
    not what somebody feels.

    Args:
        model: The expression network; it is put into eval mode on ``device``.
        skeleton: Joints of the poses.
        settings: Which faces are judged, and how steady the answers are.
        device: Where the network runs.

    Raises:
        SkeletonMismatch: no face can be placed by these joints.
    """

    def __init__(
        self,
        model: FaceModel,
        skeleton: Skeleton,
        settings: FaceReaderSettings | None = None,
        *,
        device: str = "cpu",
    ) -> None:
        _rule_of(skeleton)
        self.settings = settings or FaceReaderSettings()
        self.model = model.eval().to(device)
        self.classes = model.codec.classes
        self._device = device
        self.start()

    def start(self) -> None:
        """Forget the people of an earlier video."""
        self._smooth = SmoothShares(self.settings.smooth_s, self.settings.gap_s)

    def read(self, image: NDArray[np.uint8], frame: FramePoses) -> FrameFaces:
        """The faces of one frame; frames must come in order of time.

        Args:
            image: ``(H, W, 3)`` uint8 RGB.
            frame: Its people, in pixels of ``image``.
        """
        places = [
            place_face(xy, score, frame.skeleton, min_score=self.settings.min_score)
            for xy, score in zip(frame.keypoints, frame.scores, strict=True)
        ]
        judged = [judge_place(p, image.shape[1::-1], self.settings.min_px) for p in places]
        rows = [row for row, why in enumerate(judged) if why == "yes"]
        shares = np.full((len(frame), len(self.classes)), np.nan, np.float32)
        if rows:
            sure = [place for place, why in zip(places, judged, strict=True) if why == "yes"]
            found = self._expressions(image, [place for place in sure if place is not None])
            for row, share in zip(rows, found, strict=True):
                shares[row] = self._smooth.add(int(frame.ids[row]), frame.time_s, share)
        self._smooth.forget(frame.time_s)
        boxes = [np.full(4, np.nan) if p is None else p.xyxy for p in places]
        tilts = [np.nan if p is None else p.tilt_deg for p in places]
        return FrameFaces(
            frame.frame_index, frame.time_s, self.classes, frame.ids, shares,
            np.array(boxes, np.float32).reshape(-1, 4), np.array(tilts, np.float32), tuple(judged),
        )  # fmt: skip

    @torch.inference_mode()
    def _expressions(
        self, image: NDArray[np.uint8], places: list[FacePlace]
    ) -> NDArray[np.float32]:
        codec = self.model.codec
        pixels = torch.from_numpy(np.array(image)).to(self._device)
        crops = [cut(pixels, place.window(codec.crop_size, codec.margin)) for place in places]
        faces = torch.stack(crops)
        if self.settings.gray:
            faces = faces.mean(1, keepdim=True).expand_as(faces)
        return codec.decode(self.model(normalise(faces)))


def judge_place(place: FacePlace | None, size: tuple[int, int], min_px: float) -> Judged:
    """Whether a face can be judged, or why not.

    Args:
        place: Where it is; None if the head's joints do not tell.
        size: Width and height of the picture, pixels.
        min_px: Least side of a face.
    """
    if place is None:
        return "unsure"
    if place.side_px < min_px:
        return "small"
    if place.behind:
        return "behind"
    low, high = place.xyxy[:2], place.xyxy[2:]
    limit = np.array(size, np.float64) - 0.5
    seen = np.clip(np.minimum(high, limit) - np.maximum(low, -0.5), 0, None).prod()
    return "yes" if seen >= INSIDE * place.side_px**2 else "outside"


def faces_of_video(
    reader: FaceReader, frames: Iterable[Frame], poses: VideoPoses
) -> Iterator[FrameFaces]:
    """Expressions of a video whose poses are known already.

    Args:
        reader: What judges the faces; it forgets earlier videos.
        frames: The frames of the same video, from :func:`chronopose.io.video.open_video`; those
            without poses are passed over.
        poses: Poses of it, in image pixels.
    """
    reader.start()
    known = {frame.frame_index: frame for frame in poses.frames()}
    for frame in frames:
        people = known.get(frame.index)
        if people is not None:
            yield reader.read(frame.image, people)


def _shoulders(at: Joints) -> tuple[Array, Array] | None:
    """Left and right shoulder, where both are known."""
    if "left_shoulder" in at and "right_shoulder" in at:
        return at["left_shoulder"], at["right_shoulder"]
    return None


def _norm(vector: Array) -> float:
    return float(np.hypot(*vector))
