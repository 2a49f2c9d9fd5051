"""LabelledClips: people of labelled videos or stills as samples, their pictures read when needed.

One sample is one person around one key frame, or one person in a run of frames. What comes from the
labels is held in a few flat arrays; pictures are decoded one sample at a time.

Boxes      of the labels; where there is none, the extent of the labelled joints times 1.3 (how the
           field derives them for PoseTrack 2017); or of a detector's file, score 0.2 and above. The
           key frame's box, cut to the picture, cuts every frame of the clip.
Clips      frames around the key frame by a :class:`~chronopose.data.neighbours.NeighbourRule`, from
           the list of the video's pictures, whether they are labelled or not. A still stays one
           picture; whoever reads clips repeats it.
Joints     of the same track in every frame of the clip; unknown where the track is not labelled.
Runs       for sets of one person a clip and for recurrent models: every frame of a track is seen
           once, in windows of neighbouring frames, cut by the box around all of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from chronopose.core.labels import NO_ID, LabelledFrame, LabelledSequence
from chronopose.core.skeleton import Skeleton
from chronopose.data.clips import Sample
from chronopose.data.neighbours import STILL, NeighbourRule
from chronopose.data.pictures import PictureFinder, PictureReader, file_number, picture_parts
from chronopose.errors import FormatError, UsageError
from chronopose.io.detections import Detection

Windows = Literal["key", "run"]
PictureName = Callable[[LabelledSequence, LabelledFrame], str]

EXTENT_GROW = 1.3
"""Sides of a person's box over those of the extent of the joints (PoseTrack 2017)."""
LEAST_SCORE = 0.2
"""Detections below this are left out (PoseTrack)."""
LEAST_HEIGHT_PX = 20.0
"""A box made from joints is at least this tall: some people have only one labelled joint."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What a sample shows, for writing predictions back into the frames they belong to."""

    sequence: str
    """Name of the video or of the set of stills."""
    picture: str
    """Name of the key frame's picture, as the labels give it."""
    frame_index: int
    """Number of the key frame, as the labels count."""
    image_id: int | None
    """The picture's id in the labels."""
    person: int | None
    """Place of the person among those of the frame; None for a detection."""
    track_id: int
    """Id of the person, ``NO_ID`` where there is none."""
    score: float
    """Confidence of the box: the detector's, 1 for a labelled one."""
    box: tuple[float, float, float, float]
    """Left, top, right, bottom in image pixels, before it is cut to the picture."""


@dataclass(frozen=True)
class _Frame:
    sequence: str
    name: str
    picture: str
    index: int
    image_id: int | None
    number: int | None
    video: int
    """Number of the video; -1 for a still."""


@dataclass(frozen=True)
class _Window:
    """A key frame (``start`` is its person or detection), or a run of a track from ``start`` on."""

    frame: int
    start: int
    track: int = -1
    shown: int = 0
    """Leading frames that the window before has shown already."""


@dataclass
class _People:
    """Flat tables of everybody that can be learnt from or asked for."""

    frames: list[_Frame] = field(default_factory=list)
    frame: list[int] = field(default_factory=list)
    row: list[int] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    boxes: list[NDArray[np.float64]] = field(default_factory=list)
    xy: list[NDArray[np.float32]] = field(default_factory=list)
    usable: list[NDArray[np.bool_]] = field(default_factory=list)
    track: dict[tuple[int, int, int], int] = field(default_factory=dict)
    """Video, frame number, id -> person."""


def person_boxes(frame: LabelledFrame, grow: float = EXTENT_GROW) -> NDArray[np.float64]:
    """``(N, 4)`` a box for each person: the labelled one, else the grown extent of the joints.

    Args:
        frame: The labels.
        grow: Factor on the sides of the extent.

    Returns:
        x1 y1 x2 y2, image pixels; NaN for people with neither a box nor a joint. A labelled box
        without an area counts as none.
    """
    boxes = frame.boxes
    with np.errstate(invalid="ignore"):
        sound = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    extent = frame.extent()
    centre, half = (extent[:, :2] + extent[:, 2:]) / 2, (extent[:, 2:] - extent[:, :2]) / 2 * grow
    half[:, 1] = np.maximum(half[:, 1], LEAST_HEIGHT_PX / 2)
    made = np.concatenate([centre - half, centre + half], axis=1)
    return np.where(sound[:, None], boxes, made)


class LabelledClips:
    """Labelled people as a :class:`~chronopose.data.clips.ClipSource`.

    Args:
        sequences: Labels of videos or stills.
        finder: Where their pictures are.
        skeleton: Joints of the samples; labels are converted by name. None takes those of the
            first sequence.
        picture_name: Sequence and frame -> name of the picture for ``finder``; None takes the
            frame's name.
        rule: Frames of a clip.
        training: Whether neighbours and runs are drawn, where the rule or the windows do.
        windows: ``"key"``: each labelled person of each frame once, as the key frame of a clip.
            ``"run"``: each track in runs of as many neighbouring frames as the rule has offsets; in
            training a run begins anywhere in its track. Frames that were shown already, or that
            repeat the last one of a short track, are not visible.
        occluded: Whether occluded joints may be trained on and scored.
        grow: Factor on the extent of the joints where it stands for a box.
        cut: Whether boxes are cut to the picture before their centre is taken.
        detections: Boxes to use instead of the labelled ones; their joints are unknown.
        least_score: Detections below this are left out.
        name: Of the data set, for messages.
        digest: Hash of the files that the labels came from.

    Raises:
        UsageError: there is no sequence; or runs are asked of stills, of detections, or of a rule
            whose offsets are not neighbours.
        FormatError: no detection belongs to a labelled picture.
    """

    def __init__(
        self,
        sequences: Sequence[LabelledSequence],
        finder: PictureFinder,
        *,
        skeleton: Skeleton | None = None,
        picture_name: PictureName | None = None,
        rule: NeighbourRule = STILL,
        training: bool = False,
        windows: Windows = "key",
        occluded: bool = True,
        grow: float = EXTENT_GROW,
        cut: bool = True,
        detections: Sequence[Detection] | None = None,
        least_score: float = LEAST_SCORE,
        name: str = "labels",
        digest: str = "",
    ) -> None:
        if not sequences:
            raise UsageError(f"{name} holds no sequence; check the data folder and the split.")
        self._skeleton = sequences[0].skeleton if skeleton is None else skeleton
        self._finder, self._rule, self._training, self._name = finder, rule, training, name
        self._cut = cut
        self._read = PictureReader()
        named = picture_name or (lambda _sequence, frame: frame.name)
        people = _gather(sequences, self._skeleton, named, occluded, grow)
        self._frames, self._track = people.frames, people.track
        self._frame, self._row = np.array(people.frame, int), np.array(people.row, int)
        self._ids = np.array(people.ids, np.int64)
        joints = len(self._skeleton)
        self._xy = np.array(people.xy, np.float32).reshape(-1, joints, 2)
        self._usable = np.array(people.usable, bool).reshape(-1, joints)
        self._boxes = np.array(people.boxes, np.float64).reshape(-1, 4)
        self._detections: list[Detection] | None = None
        self._tracks: list[NDArray[np.intp]] = []
        if windows == "run":
            if detections is not None:
                raise UsageError("Runs follow labelled tracks; they cannot use detections.")
            self._windows = self._runs()
        elif detections is not None:
            self._detections, frames = _detected(self._frames, detections, least_score, name)
            self._windows = [_Window(f, at) for at, f in enumerate(frames)]
        else:
            scored = np.flatnonzero(self._usable.any(-1))
            self._windows = [_Window(int(self._frame[p]), int(p)) for p in scored]
        self._settings = (
            digest, rule, training, windows, occluded, grow, cut, self._skeleton.name,
            self._detections, len(self),
        )  # fmt: skip

    @property
    def skeleton(self) -> Skeleton:
        """As asked for."""
        return self._skeleton

    def __len__(self) -> int:
        return len(self._windows)

    def fingerprint(self) -> str:
        """Hash of the labels, of all settings, and of the sizes of the labelled pictures' files."""
        digest = hashlib.sha256(repr(self._settings).encode())
        for at in sorted({w.frame for w in self._windows}):
            path = self._finder.find(self._frames[at].picture)
            digest.update(f"{self._frames[at].picture} {path and path.stat().st_size}\n".encode())
        return f"{self._name.replace(' ', '-')}-{digest.hexdigest()[:12]}"

    def origin(self, index: int) -> Origin:
        """Where sample ``index`` comes from; of a run, the first frame."""
        window = self._windows[index]
        frame = self._frames[window.frame]
        person, track, score = None, NO_ID, 1.0
        if self._detections is not None:
            score, box = self._detections[window.start].score, self._detections[window.start].box
        else:
            at = self._tracks[window.track][window.start] if window.track >= 0 else window.start
            person, track = int(self._row[at]), int(self._ids[at])
            left, top, right, bottom = self._boxes[at].tolist()
            box = (left, top, right, bottom)
        return Origin(
            sequence=frame.sequence, picture=frame.name, frame_index=frame.index,
            image_id=frame.image_id, person=person, track_id=track, score=score, box=box,
        )  # fmt: skip

    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        """Person ``index`` with the frames of the clip.

        Raises:
            FormatError: a picture is missing, damaged, or of another size than the key frame's.
        """
        window = self._windows[index]
        if window.track >= 0:
            return self._run_sample(window, rng)
        frame = self._frames[window.frame]
        detected = self._detections is not None
        person = -1 if detected else window.start
        paths, people, key = self._clip(frame, person, rng)
        box = np.array(self._detections[window.start].box) if self._detections is not None else (
            self._boxes[person]
        )  # fmt: skip
        whom = f"detection {window.start}" if detected else f"person {self._row[person]}"
        return self._sample(paths, people, box, key, f"{self._name} {frame.picture} {whom}")

    def _clip(
        self, frame: _Frame, person: int, rng: np.random.Generator
    ) -> tuple[list[Path], list[int], int]:
        """Pictures of a clip, the person in each of them (-1 if unknown), and the key's place."""
        path = self._finder.require(frame.picture, self._name)
        count, key = self._rule.shape(self._training)
        if frame.video < 0 or count == 1:
            return [path], [person], 0
        existing, names = self._finder.numbered(path.parent, path.suffix)
        at = file_number(path.stem)
        if at is None:
            raise FormatError(
                f"The picture {path} of {self._name} belongs to a video and has no number in its "
                f"name, so its neighbours are not known. Name pictures as in 000017.jpg."
            )
        numbers = self._rule.numbers(at, existing, self._training, rng)
        ids = NO_ID if person < 0 else int(self._ids[person])
        people = [
            person if n == at else self._track.get((frame.video, n, ids), -1) for n in numbers
        ]
        return [path.parent / names[n] for n in numbers], people, key

    def _sample(
        self, paths: list[Path], people: list[int], box: NDArray[np.float64], key: int, name: str
    ) -> Sample:
        images = [self._read(p) for p in paths]
        for path, image in zip(paths, images, strict=True):
            if image.shape != images[key].shape:
                raise FormatError(
                    f"{path} has {image.shape[1]}x{image.shape[0]} pixels, but the key frame "
                    f"{paths[key].name} has {images[key].shape[1]}x{images[key].shape[0]}: the "
                    f"frames of one video share one size."
                )
        known = np.array(people) >= 0
        joints = np.full((len(people), len(self._skeleton), 2), np.nan, np.float32)
        visible = np.zeros(joints.shape[:2], bool)
        for at in np.flatnonzero(known):
            joints[at], visible[at] = self._xy[people[at]], self._usable[people[at]]
        box = _inside(box, images[key]) if self._cut else box
        return Sample(
            np.stack(images), joints, visible, box.astype(np.float32), self._skeleton, key,
            name=name,
        )  # fmt: skip

    def _runs(self) -> list[_Window]:
        offsets = self._rule.offsets
        if offsets != tuple(range(offsets[0], offsets[-1] + 1)):
            raise UsageError(f"A run is of neighbouring frames; the rule has offsets {offsets}.")
        if any(self._frames[f].video < 0 for f in self._frame):
            raise UsageError(f"{self._name} holds stills, which have no runs; use windows='key'.")
        groups: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for (video, number, track), person in self._track.items():
            groups.setdefault((video, track), []).append((number, person))
        count, found = len(offsets), []
        for listed in groups.values():
            numbers, people = np.array(sorted(listed)).T
            for part in np.split(people, np.flatnonzero(np.diff(numbers) != 1) + 1):
                self._tracks.append(part)
                last = max(len(part) - count, 0)
                for start in range(0, len(part), count):
                    first = min(start, last)
                    frame = int(self._frame[part[first]])
                    found.append(_Window(frame, first, len(self._tracks) - 1, start - first))
        return found

    def _run_sample(self, window: _Window, rng: np.random.Generator) -> Sample:
        track, (count, key) = self._tracks[window.track], self._rule.shape()
        start, shown = window.start, window.shown
        if self._training:
            start, shown = int(rng.integers(0, max(len(track) - count, 0) + 1)), 0
        places = np.arange(start, start + count)
        people = track[np.minimum(places, len(track) - 1)]
        frames = [self._frames[self._frame[p]] for p in people]
        paths = [self._finder.require(f.picture, self._name) for f in frames]
        boxes = self._boxes[people]
        box = np.concatenate([boxes[:, :2].min(0), boxes[:, 2:].max(0)])
        name = f"{self._name} {frames[key].picture} run of {count}"
        sample = self._sample(paths, people.tolist(), box, key, name)
        sample.visible[:shown] = False
        sample.visible[places >= len(track)] = False
        return sample


def _gather(
    sequences: Sequence[LabelledSequence],
    skeleton: Skeleton,
    picture_name: PictureName,
    occluded: bool,
    grow: float,
) -> _People:
    people = _People()
    for video, sequence in enumerate(sequences):
        alone = sequence.is_video and all(len(f) <= 1 and (f.ids == NO_ID).all() for f in sequence)
        for frame in sequence:
            if not frame.labelled:
                continue
            picture = picture_name(sequence, frame)
            number = file_number(PurePosixPath(picture).stem)
            people.frames.append(
                _Frame(
                    sequence.name, frame.name, picture, frame.frame_index, frame.image_id, number,
                    video if sequence.is_video else -1,
                )
            )  # fmt: skip
            boxes, ours = person_boxes(frame, grow), frame.to_skeleton(skeleton)
            usable = ours.known if occluded else ours.visible
            for row in range(len(frame)):
                if frame.crowd[row] or not np.isfinite(boxes[row]).all():
                    continue
                track = 0 if alone else int(frame.ids[row])
                if track != NO_ID and number is not None and sequence.is_video:
                    people.track[video, number, track] = len(people.frame)
                people.frame.append(len(people.frames) - 1)
                people.row.append(row)
                people.ids.append(track)
                people.boxes.append(boxes[row])
                people.xy.append(ours.xy[row].astype(np.float32))
                people.usable.append(usable[row])
    return people


def _detected(
    frames: Sequence[_Frame], detections: Sequence[Detection], least: float, name: str
) -> tuple[list[Detection], list[int]]:
    """The detections in labelled pictures, and the frame of each."""
    by_id = {f.image_id: at for at, f in enumerate(frames) if f.image_id is not None}
    by_name: dict[tuple[str, ...], int] = {}
    for at, frame in enumerate(frames):
        for parts in (picture_parts(frame.name), picture_parts(frame.picture)):
            # The last two parts, video and file, are what every way of writing shares.
            short = parts[-2:]
            by_name[short] = at if by_name.get(short, at) == at else -1
            by_name[parts] = at
    kept, found = [], []
    for detection in detections:
        if isinstance(detection.image, int):
            place = by_id.get(detection.image, -1)
        else:
            parts = picture_parts(detection.image)
            place = by_name.get(parts, by_name.get(parts[-2:], -1))
        if place >= 0 and detection.score >= least:
            kept.append(detection)
            found.append(place)
    if not found:
        raise FormatError(
            f"None of {len(detections)} detections of a score of at least {least:g} belongs to a "
            f"labelled picture of {name}: the first is of {detections[0].image!r}, the first "
            f"picture is {frames[0].name if frames else 'missing'!r}. Give the boxes of this set."
        )
    return kept, found


def _inside(box: NDArray[np.float64], image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The box cut to the picture; as it is where nothing would be left of it."""
    height, width = image.shape[:2]
    edge = np.array([width - 0.5, height - 0.5] * 2)
    cut = np.clip(box, -0.5, edge)
    return cut if (cut[2:] > cut[:2]).all() else box
