"""untangle: two people who exchanged their ids where they met get them back.

Where two tracks touch, or one of them vanishes close to the other, each of the two that come out
may be either of the two that went in. Where they go says little: who meets may pass by or turn
back. What they look like says more: the colours of the upper and the lower half of a person just
before and just after the meeting are compared, and the ids are exchanged where that is clearly the
better answer. People in one dress are left as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from chronopose.core.tracks import PersonTrack, VideoPoses
from chronopose.errors import ShapeError, UsageError
from chronopose.refine._frames import TimedImage, together
from chronopose.refine._log import WHOLE_PERSON, Edit, EditLog
from chronopose.refine._tracks import centres, join_tracks, sizes

STEP = "untangle"
Floats = NDArray[np.float64]
LEAST_LOOKS = 3
"""Frames in which a half of a person must be seen before and after a meeting."""
LEVELS = 4
"""Levels of each colour in a histogram."""
BANDS = ((0.15, 0.5), (0.5, 0.9))
"""Shares of a box's height that are looked at, in the middle half of its width."""
SAMPLES = 20
"""Pixels along each side of a band."""
LEAST_SEEN = 0.25
"""Share of a band that has to be seen."""


@dataclass(frozen=True, kw_only=True)
class UntangleSettings:
    """Settings of :func:`untangle`.

    Args:
        touch: People whose boxes overlap by more than this (intersection over union) meet.
        near: A person who vanishes within so many sizes (square root of the box area) of another
            one meets that one as well.
        max_meeting_s: Longer meetings are not judged, seconds.
        look_s: So long before and after a meeting people are looked at, seconds; what of them lies
            in somebody else's box is not.
        margin: The exchange must be better by this much. A person's cost is the distance of the
            colours before and after (Hellinger, mean of the halves that are seen), from 0 to 1.

    Raises:
        UsageError: a number makes no sense.
    """

    touch: float = 0.1
    near: float = 1.0
    max_meeting_s: float = 3.0
    look_s: float = 1.0
    margin: float = 0.15

    def __post_init__(self) -> None:
        if not 0 <= self.touch < 1 or min(self.near, self.max_meeting_s, self.margin) < 0:
            raise UsageError(
                f"touch is a share from 0 to below 1, and near, max_meeting_s and margin are at "
                f"least 0; got {self}."
            )
        if not self.look_s > 0:
            raise UsageError(f"look_s must be above 0; got {self.look_s}.")


@dataclass(frozen=True)
class Meeting:
    """Ids of two tracks, and the last common frame before and the first one after they met."""

    a: int
    b: int
    before: int
    after: int
    before_s: float
    after_s: float


@dataclass
class _Person:
    """A track as it is now; which track each of its rows came from, and what it looks like."""

    track: PersonTrack
    origin: NDArray[np.int64]
    reason: NDArray[np.str_]
    looks: NDArray[np.float32]
    """``(N, B, 64)`` histograms; NaN where too little can be seen."""

    def rows(self, chosen: NDArray[np.bool_]) -> _Person:
        """Some of the rows."""
        return _Person(
            self.track.select(chosen), self.origin[chosen], self.reason[chosen], self.looks[chosen]
        )


def untangle(
    poses: VideoPoses,
    frames: Iterable[TimedImage],
    settings: UntangleSettings | None = None,
    *,
    log: EditLog | None = None,
) -> VideoPoses:
    """Give ids back that were exchanged where two people met.

    Args:
        poses: 2D poses in image pixels.
        frames: The video in which they were found, e.g. an open reader; read once.
        settings: What counts as a meeting, and as a better answer.
        log: Takes an edit for every part that gets another id.

    Returns:
        The same poses in the same frames, some under another id of the same video, one more line
        of history.

    Raises:
        ShapeError: the poses are not in image pixels.
        VideoError: the frames are those of another video.
    """
    from chronopose import __version__

    chosen = settings or UntangleSettings()
    strange = [t for t in poses.tracks if t.poses.space != "image_px"]
    if strange:
        raise ShapeError(
            f"untangle compares people in the picture; track {strange[0].track_id} is in "
            f"{strange[0].poses.space}. Untangle before lifting."
        )
    looks = _looks(poses, frames)
    people = {
        t.track_id: _Person(
            t, np.full(len(t), t.track_id), np.full(len(t), "", "<U120"), looks[t.track_id]
        )
        for t in poses.tracks
    }
    done = -np.inf
    while (found := next(_exchanges(people, chosen, done), None)) is not None:
        meeting, reason = found
        _exchange(people, meeting, reason)
        done = meeting.after_s
    if log is not None:
        for edit in _edits(people):
            log.add(edit)
    tracks = tuple(p.track for p in people.values())
    return replace(poses, tracks=tracks).with_step(STEP, asdict(chosen), __version__)


def _looks(poses: VideoPoses, frames: Iterable[TimedImage]) -> dict[int, NDArray[np.float32]]:
    """Histograms of everybody in every frame; NaN where too little can be seen."""
    shape = (len(BANDS), LEVELS**3)
    looks = {t.track_id: np.full((len(t), *shape), np.nan, np.float32) for t in poses.tracks}
    done = dict.fromkeys(looks, 0)
    for image, people in together(poses, frames):
        boxes = people.boxes.xyxy.astype(np.float64)
        for row, person in enumerate(people.ids.tolist()):
            others = np.delete(boxes, row, axis=0)
            looks[person][done[person]] = histograms(image, boxes[row], others)
            done[person] += 1
    return looks


def histograms(image: NDArray[np.uint8], box: Floats, others: Floats) -> NDArray[np.float32]:
    """``(B, 64)`` shares of the colours in each of :data:`BANDS`.

    Args:
        image: ``(H, W, 3)`` RGB.
        box: ``(4,)`` corners, pixels.
        others: ``(N, 4)`` boxes of other people; what lies in them is not counted.

    Returns:
        NaN for a band of which less than :data:`LEAST_SEEN` is left in the picture.
    """
    found = np.full((len(BANDS), LEVELS**3), np.nan, np.float32)
    (x0, y0), (width, height) = box[:2], box[2:] - box[:2]
    for band, (top, bottom) in enumerate(BANDS):
        x, y = np.meshgrid(
            np.linspace(x0 + 0.25 * width, x0 + 0.75 * width, SAMPLES).round(),
            np.linspace(y0 + top * height, y0 + bottom * height, SAMPLES).round(),
        )
        seen = (x >= 0) & (x < image.shape[1]) & (y >= 0) & (y < image.shape[0])
        for left, up, right, down in others:
            seen &= (x < left) | (x > right) | (y < up) | (y > down)
        if seen.mean() >= LEAST_SEEN:
            level = image[y[seen].astype(int), x[seen].astype(int)].astype(np.int64) * LEVELS // 256
            code = (level * (LEVELS**2, LEVELS, 1)).sum(-1)
            found[band] = np.bincount(code, minlength=LEVELS**3) / len(code)
    return found


def _overlaps(one: Floats, other: Floats) -> Floats:
    """Intersection over union of boxes ``(..., 4)``, corners, entry by entry."""
    low, high = np.maximum(one[..., :2], other[..., :2]), np.minimum(one[..., 2:], other[..., 2:])
    shared = (high - low).clip(0).prod(-1)
    area = sum((box[..., 2:] - box[..., :2]).prod(-1) for box in (one, other))
    return np.asarray(shared / np.maximum(area - shared, 1e-9))


def _exchanges(
    people: dict[int, _Person], settings: UntangleSettings, since_s: float
) -> Iterator[tuple[Meeting, str]]:
    """Meetings after which the ids were exchanged, by time."""
    found = [
        m
        for a, b in combinations(people, 2)
        for m in meetings(people[a].track, people[b].track, settings)
        if m.after_s > since_s
    ]
    for meeting in sorted(found, key=lambda m: (m.after_s, m.a, m.b)):
        reason = _judge(people[meeting.a], people[meeting.b], meeting, settings)
        if reason:
            yield meeting, reason


def meetings(a: PersonTrack, b: PersonTrack, settings: UntangleSettings) -> Iterator[Meeting]:
    """Every time that two tracks come together and part again."""
    common, in_a, in_b = np.intersect1d(a.frame_index, b.frame_index, return_indices=True)
    if len(common) < 2:
        return
    boxes = [t.boxes.xyxy[rows].astype(np.float64) for t, rows in ((a, in_a), (b, in_b))]
    apart = np.flatnonzero(_overlaps(*boxes) <= settings.touch)
    time_s = a.time_s[in_a]
    away = np.linalg.norm(centres(a)[in_a] - centres(b)[in_b], axis=-1)
    near = away < settings.near * (sizes(a)[in_a] + sizes(b)[in_b]) / 2
    later = (np.diff(apart) > 1) | (np.diff(common[apart]) > 1)
    for first, second in zip(apart[:-1][later], apart[1:][later], strict=True):
        touched = second - first > 1
        # Beside each other, one of them was not found for a while.
        hidden = (
            _lost(a, b, int(common[first]), int(common[second])) and near[[first, second]].any()
        )
        lasted_s = time_s[second] - time_s[first]
        if (touched or hidden) and lasted_s <= settings.max_meeting_s:
            yield Meeting(
                a.track_id, b.track_id, int(common[first]), int(common[second]),
                float(time_s[first]), float(time_s[second]),
            )  # fmt: skip


def _lost(a: PersonTrack, b: PersonTrack, before: int, after: int) -> bool:
    """Whether frames between two common ones show only one of the two."""
    counts = [int(((t.frame_index > before) & (t.frame_index < after)).sum()) for t in (a, b)]
    return counts[0] != counts[1]


def _judge(a: _Person, b: _Person, meeting: Meeting, settings: UntangleSettings) -> str:
    """Why the two are to be exchanged; empty where they are not."""
    seen: list[Floats] = []
    counts: list[NDArray[np.int64]] = []
    for before in (True, False):
        edge = meeting.before_s if before else meeting.after_s
        for person in (a, b):
            time_s = person.track.time_s
            rows = (time_s <= edge) if before else (time_s >= edge)
            looks = person.looks[rows & (np.abs(time_s - edge) <= settings.look_s + 1e-6)]
            known = np.asarray(np.isfinite(looks).all(-1))
            counts.append(known.sum(0))
            whole = np.where(known[..., None], looks, 0).astype(np.float64).sum(0)
            seen.append(whole / np.maximum(known.sum(0), 1)[:, None])
    bands: NDArray[np.bool_] = np.stack(counts).min(0) >= LEAST_LOOKS
    if not bands.any():
        return ""
    a_in, b_in, a_out, b_out = (look[bands] for look in seen)
    as_it_is = _distance(a_in, a_out) + _distance(b_in, b_out)
    exchanged = _distance(a_in, b_out) + _distance(b_in, a_out)
    if exchanged + settings.margin >= as_it_is:
        return ""
    gap_s = meeting.after_s - meeting.before_s
    return (
        f"met person {{other}} for {gap_s:.3f} s; colours {as_it_is:.2f} apart as it was, "
        f"{exchanged:.2f} exchanged"
    )


def _distance(one: Floats, other: Floats) -> float:
    """Hellinger distance of histograms ``(B, 64)``, mean of the bands."""
    alike = np.sqrt(one * other).sum(-1)
    return float(np.sqrt(np.maximum(1 - alike, 0)).mean())


def _exchange(people: dict[int, _Person], meeting: Meeting, reason: str) -> None:
    """Exchange all that comes after the moment of the meeting at which that jumps least."""
    a, b = people[meeting.a], people[meeting.b]
    cut = _moment(a.track, b.track, meeting)
    heads, tails = zip(*(_split(p, cut) for p in (a, b)), strict=True)
    whose = (meeting.a, meeting.b)
    for one, other in ((0, 1), (1, 0)):
        head, tail = heads[one], tails[other]
        why = np.where(tail.reason == "", reason.format(other=whose[other]), tail.reason)
        people[whose[one]] = _Person(
            join_tracks([head.track, replace(tail.track, track_id=whose[one])]),
            np.concatenate([head.origin, tail.origin]),
            np.concatenate([head.reason, why]),
            np.concatenate([head.looks, tail.looks]),
        )


def _split(person: _Person, cut: int) -> tuple[_Person, _Person]:
    """Rows before frame ``cut``, and the others."""
    early = person.track.frame_index < cut
    return person.rows(early), person.rows(~early)


def _moment(a: PersonTrack, b: PersonTrack, meeting: Meeting) -> int:
    """First frame of the meeting from which on the two are exchanged."""
    best, cut = np.inf, meeting.after
    for frame in range(meeting.before + 1, meeting.after + 1):
        ends = [_beside(t, frame) for t in (a, b)]
        (a0, a1), (b0, b1) = ends
        jump = (
            np.linalg.norm(b1 - a0) + np.linalg.norm(a1 - b0)
            - np.linalg.norm(a1 - a0) - np.linalg.norm(b1 - b0)
        )  # fmt: skip
        if jump < best:
            best, cut = float(jump), frame
    return cut


def _beside(track: PersonTrack, frame: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centres in the last frame before ``frame`` and the first one from it on."""
    row, every = int(np.searchsorted(track.frame_index, frame)), centres(track)
    return every[max(row - 1, 0)], every[min(row, len(every) - 1)]


def _edits(people: dict[int, _Person]) -> Iterator[Edit]:
    """What is under another id than before, a run of frames at a time."""
    for person_id, person in people.items():
        ends = np.flatnonzero(np.diff(person.origin)) + 1
        for rows in np.split(np.arange(len(person.origin)), ends):
            if not len(rows) or person.origin[rows[0]] == person_id:
                continue
            track = person.track
            yield Edit(
                step=STEP, action="relinked", reason=str(person.reason[rows[0]]),
                frame_index=int(track.frame_index[rows[0]]),
                until_frame=int(track.frame_index[rows[-1]]), time_s=float(track.time_s[rows[0]]),
                person_id=person_id, person_id_before=int(person.origin[rows[0]]),
                joint=WHOLE_PERSON,
            )  # fmt: skip
