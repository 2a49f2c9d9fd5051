"""propagate: joints labelled in a few frames of a video, carried to the frames between.

Idea      1. From each label a joint is carried forward along the flow, frame by frame, and backward
             from the next one. Each step adds to what the place may be off: a little always, more
             where going there and back ends elsewhere.
          2. Between two labels both arrive at the other label's frame, where the truth is known:
             what they are off there is taken back, growing along the way as the doubt did.
          3. A straight line between the labels is a third opinion; its doubt grows with the motion
             and the distance to the labels. The mean of the opinions, weighted by one over their
             squared doubt, is the place.
          4. The score falls with what is left of the doubt and with how far the opinions lie apart.
Differs   Label propagation with flow is a common baseline (PoseWarper's paper compares itself with
          one on FlowNet2) without a layout; the numbers here are choices of ours. PoseWarper's own
          way is in ``pipeline/propagate_warp.py``.
Written   from the idea only; no other source was read.
Checked   tests/unit/refine/test_propagate.py.

Frames are read once. Kept are the flows of as many frames as a label reaches, in half precision.

Axes: P person, T frame, K joint; pixels of the shrunken frames unless said otherwise.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture

from chronopose.core.boxes import Boxes
from chronopose.core.poses import Poses
from chronopose.core.tracks import FramePoses, VideoPoses
from chronopose.core.video import VideoInfo
from chronopose.errors import ShapeError, UsageError, VideoError
from chronopose.refine._carried import BlendRules, Opinion, Person, blend
from chronopose.refine._frames import check_same_video
from chronopose.refine.crowd_flow import FlowFunction

if TYPE_CHECKING:
    from chronopose.nn.flow import FlowMethod

STEP = "propagate"
Array = NDArray[np.float64]
Image = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class PropagateSettings:
    """Settings of :func:`propagate`.

    Args:
        reach: Frames that a label is carried, at most.
        method: How flow is estimated, see :func:`chronopose.nn.flow.estimate_flow`.
        max_side_px: Frames are shrunk to this longer side for the flow.
        step_px: What every step along the flow adds to the doubt, pixels of the shrunken frame.
        bend: Doubt of the straight line halfway between two labels, as a share of the distance
            that the joint moves between them; plus one step's doubt for every frame.
        tolerance: Doubt at which a score is halved, as a share of the square root of the box area.
    """

    reach: int = 60
    method: FlowMethod = "dis"
    max_side_px: int = 640
    step_px: float = 0.3
    bend: float = 0.5
    tolerance: float = 0.05

    def __post_init__(self) -> None:
        if self.reach < 1:
            raise UsageError(f"reach must be at least one frame; got {self.reach}.")
        if self.max_side_px < 32:
            raise UsageError(f"max_side_px must be at least 32; got {self.max_side_px}.")
        for name in ("step_px", "tolerance"):
            if not getattr(self, name) > 0:
                raise UsageError(f"{name} must be above 0; got {getattr(self, name)}.")
        if not self.bend >= 0:
            raise UsageError(f"bend must be at least 0; got {self.bend}.")


class TimedFrame(Protocol):
    """A frame of a video, as :class:`chronopose.io.video.Frame` is one."""

    @property
    def index(self) -> int:
        """Number in the video, from 0."""

    @property
    def time_s(self) -> float:
        """Presentation time, seconds."""

    @property
    def image(self) -> Image:
        """``(H, W, 3)`` uint8 RGB."""


def propagate(
    labels: VideoPoses,
    frames: Iterable[TimedFrame],
    settings: PropagateSettings | None = None,
    *,
    flow: FlowFunction | None = None,
) -> VideoPoses:
    """Spread sparse labels over a video.

    Args:
        labels: People of some frames of the video, image pixels; who is who is told by their ids.
            A frame counts as labelled if anybody in it has a joint, and is then taken to be
            complete: nobody is carried through a labelled frame in which they are not.
        frames: Frames of the video in order, read once: an open
            :class:`~chronopose.io.video.VideoReader`, or anything that yields ``index``,
            ``time_s`` and ``image``.
        settings: Numbers.
        flow: Estimates the flow instead of ``settings.method``.

    Returns:
        The labels as they are, at the times of the video, and everybody in the frames that their
        labels reach. Scores of what was carried lie between 0 and those of the labels.

    Raises:
        VideoError: labels of another video: of another size, or of a frame that it has not.
        ShapeError: labels that are not 2D image pixels.
        UsageError: nothing is labelled.
        MissingExtra: the flow needs a package that is not there.
    """
    from chronopose import __version__

    chosen = settings or PropagateSettings()
    info = getattr(frames, "info", None)
    about = info if isinstance(info, VideoInfo) else labels.info
    waiting = labelled_frames(labels, about)
    carrier = _Carrier(labels, chosen, flow or _estimator(chosen))
    found: list[FramePoses] = []
    for frame in frames:
        found += carrier.push(frame, waiting.pop(frame.index, None))
    never_came(waiting)
    found += carrier.close(None)
    done = VideoPoses.from_frames(about, labels.skeleton, found, labels.history)
    return done.with_step(STEP, asdict(chosen), __version__)


def labelled_frames(labels: VideoPoses, about: VideoInfo) -> dict[int, FramePoses]:
    """The frames in which anybody has a joint, by their numbers.

    Raises:
        UsageError: there are none.
        ShapeError: labels that are not 2D image pixels.
        VideoError: labels of another video than the one described.
    """
    check_same_video(replace(labels.info, num_frames=0), about)
    for track in labels.tracks:
        if track.poses.space != "image_px" or track.poses.xy.shape[-1] != 2:
            raise ShapeError(
                f"Only 2D labels in image pixels can be carried; person {track.track_id} has "
                f"{track.poses.xy.shape[-1]} coordinates in {track.poses.space}."
            )
    found = {f.frame_index: f for f in labels.frames() if np.isfinite(f.poses.xy).any()}
    if not found:
        raise UsageError("Nothing is labelled: no frame has a person with a known joint.")
    return found


def never_came(waiting: dict[int, FramePoses]) -> None:
    """Refuse a video that ended before its labels did.

    Raises:
        VideoError: some labelled frames were not in the video.
    """
    if waiting:
        raise VideoError(
            f"The video has no frame {min(waiting)}, which is labelled. Give the video that was "
            f"labelled, all of it."
        )


def _estimator(settings: PropagateSettings) -> FlowFunction:
    def flow(first: Image, second: Image) -> NDArray[np.floating]:
        # Torch takes seconds to import.
        from chronopose.nn.flow import estimate_flow

        return estimate_flow(first, second, settings.method)

    return flow


@dataclass(frozen=True)
class _Chain:
    """Joints carried along the flow: the place in every frame and its squared doubt."""

    xy: Array
    """P K 2"""
    doubt2: Array
    """P K"""

    def moved(
        self, there: NDArray[np.floating], back: NDArray[np.floating], step_px: float
    ) -> _Chain:
        """One frame on."""
        from chronopose.nn.flow import flow_at

        step = flow_at(there, self.xy).astype(np.float64)
        moved = self.xy + step
        error2 = ((step + flow_at(back, moved)) ** 2).sum(-1)
        return _Chain(moved, self.doubt2 + step_px**2 + error2)


class _Carrier:
    """Takes the frames in order; whenever a label comes, finishes the frames before it."""

    def __init__(self, labels: VideoPoses, settings: PropagateSettings, flow: FlowFunction) -> None:
        self._skeleton, self._size = labels.skeleton, labels.info.size
        self._settings, self._flow = settings, flow
        self._scale = np.ones(2)
        self._before: Image | None = None
        self._clear(None)

    def _clear(self, start: FramePoses | None) -> None:
        """Begin behind a labelled frame, or at the beginning of the video."""
        self._start = start
        self._waiting: list[tuple[int, float]] = []
        self._ahead = [] if start is None else [self._begin(start)]
        self._pairs: deque[tuple[NDArray[np.float16], NDArray[np.float16]]] = deque(
            maxlen=self._settings.reach
        )

    def push(self, frame: TimedFrame, people: FramePoses | None) -> list[FramePoses]:
        """The frames that are finished now."""
        small = self._shrunken(frame.image)
        if self._before is not None:
            there, back = self._flow(self._before, small), self._flow(small, self._before)
            self._pairs.append((there.astype(np.float16), back.astype(np.float16)))
            if 0 < len(self._ahead) <= self._settings.reach:
                self._ahead.append(self._ahead[-1].moved(there, back, self._settings.step_px))
        self._before = small
        if people is None:
            self._waiting.append((frame.index, frame.time_s))
            return []
        label = replace(people, time_s=frame.time_s)
        done = [*self.close(label), label]
        self._clear(label)
        return done

    def close(self, end: FramePoses | None) -> list[FramePoses]:
        """Finish the frames since the last label; ``end`` is the next one, if there is one."""
        behind = [] if end is None else [self._begin(end)]
        for there, back in reversed(self._pairs) if end is not None else ():
            behind.append(behind[-1].moved(back, there, self._settings.step_px))
        start, shares = self._start, self._shares(end)
        people: dict[int, list[Person | None]] = {}
        for person in sorted(
            {int(i) for side in (start, end) if side is not None for i in side.ids}
        ):
            first, last = _row(start, person), _row(end, person)
            people[person] = blend(
                None if start is None or first is None else _person(start, first),
                None if end is None or last is None else _person(end, last),
                None if first is None else self._opinion(self._ahead, first, len(shares)),
                None if last is None else self._opinion(behind, last, len(shares)).backward(),
                shares,
                self._rules(),
            )
        return [
            self._frame(index, time_s, {p: rows[place] for p, rows in people.items()})
            for place, (index, time_s) in enumerate(self._waiting, start=1)
        ]

    def _shares(self, end: FramePoses | None) -> Array:
        """Share of the time between the labels that has passed, from one label to the other."""
        times = np.array([time_s for _, time_s in self._waiting])
        if self._start is None or end is None:
            return np.zeros(len(times) + 2)
        whole = end.time_s - self._start.time_s
        return np.concatenate([[0.0], (times - self._start.time_s) / whole, [1.0]])

    def _rules(self) -> BlendRules:
        s = self._settings
        return BlendRules(s.reach, s.step_px / float(self._scale.mean()), s.bend, s.tolerance)

    def _begin(self, label: FramePoses) -> _Chain:
        xy = (label.poses.xy.astype(np.float64) + 0.5) * self._scale - 0.5
        return _Chain(xy, np.zeros(xy.shape[:2]))

    def _opinion(self, chain: Sequence[_Chain], row: int, count: int) -> Opinion:
        """A person's chain in image pixels, as long as the frames from label to label."""
        joints = len(self._skeleton)
        xy, doubt2 = np.full((count, joints, 2), np.nan), np.full((count, joints), np.inf)
        for place, link in enumerate(chain[:count]):
            xy[place], doubt2[place] = link.xy[row], link.doubt2[row]
        return Opinion((xy + 0.5) / self._scale - 0.5, doubt2 / float(self._scale.mean()) ** 2)

    def _shrunken(self, image: Image) -> Image:
        height, width = image.shape[:2]
        told = VideoInfo("the labelled video", self._size)
        check_same_video(told, VideoInfo("this video", (width, height)))
        share = min(1.0, self._settings.max_side_px / max(width, height))
        size = max(1, round(width * share)), max(1, round(height * share))
        self._scale = np.array([size[0] / width, size[1] / height])
        if size == (width, height):
            return image
        return np.asarray(Picture.fromarray(image).resize(size, Picture.Resampling.BOX))

    def _frame(self, index: int, time_s: float, rows: dict[int, Person | None]) -> FramePoses:
        there = {person: row for person, row in rows.items() if row is not None}
        count, joints = len(there), len(self._skeleton)
        poses = Poses(
            np.array([r.xy for r in there.values()], np.float32).reshape(count, joints, 2),
            np.array([r.score for r in there.values()], np.float32).reshape(count, joints),
            self._skeleton,
            visible=np.array([r.visible for r in there.values()], bool).reshape(count, joints),
        )
        boxes = Boxes(
            np.array([r.box for r in there.values()], np.float32).reshape(count, 4),
            np.array([r.box_score for r in there.values()], np.float32),
        )
        return FramePoses(index, time_s, np.array(list(there), np.int64), boxes, poses)


def _row(people: FramePoses | None, person: int) -> int | None:
    if people is None or person not in people.ids:
        return None
    return int(np.flatnonzero(people.ids == person)[0])


def _person(people: FramePoses, row: int) -> Person:
    poses = people.poses
    return Person(
        poses.xy[row].astype(np.float64), np.nan_to_num(poses.score[row]).astype(np.float64),
        np.asarray(poses.visible)[row], people.boxes.xyxy[row].astype(np.float64),
        float(people.boxes.score[row]),
    )  # fmt: skip
