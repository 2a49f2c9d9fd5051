"""crowd_flow: poses of neighbouring frames, carried here by optical flow, correct this frame's.

Paper     Chang et al., "Towards Accurate Human Pose Estimation in Videos of Crowded Scenes", ACM MM
          2020, arXiv 2010.10008: past poses pushed forward and future ones pushed backward along
          optical flow. The text says no more; the numbers of the steps below are ours.
Reads     Poses of any estimator (VideoPoses, image pixels) and the frames of their video.
Returns   The same people with better joints, and people who were missed in between.
Idea      3. Who is who: the ids of the poses, or links by flow-shifted boxes or poses.
          4. Flow between neighbouring frames, both ways; a joint is carried up to ``window`` frames
             along the chain and dropped where going there and back ends elsewhere.
          5. Mean over what arrives, weighted by score and nearness in time; outliers are rejected
             by a weighted median (5a), sure joints move little (5b), scores rise to what the
             neighbours say (5c), a person missed between two frames is inserted where both sides
             agree (5d).
Differs   Steps 1, 2 and 6 (detection, heatmap fusion, export) are ``chronopose predict`` and
          ``convert``. Appearance (ReID) is a function that the caller brings, or left out.
Written   from the specification only; no other source was read.
Checked   tests/unit/refine/test_crowd_flow.py.

Frames are read once and flow is estimated once for each pair of neighbours; what is kept does not
grow with the length of the video but for the poses themselves.

Axes: N person, K joint, H row, W column.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from chronopose.core.boxes import Boxes
from chronopose.core.poses import Poses
from chronopose.core.skeleton import Skeleton
from chronopose.core.tracks import FramePoses, VideoPoses
from chronopose.core.video import VideoInfo
from chronopose.errors import ShapeError, UsageError
from chronopose.io.flow_files import FlowFiles
from chronopose.refine._flow_link import FlowPair, TrackletLinker, median_shift
from chronopose.refine._flow_merge import Candidate, Merged, MergeRules, head_joints, merge
from chronopose.refine._frames import TimedImage, check_same_video, together
from chronopose.refine._log import WHOLE_PERSON, Edit, EditLog
from chronopose.refine._tracks import oks_matrix

if TYPE_CHECKING:
    from chronopose.nn.flow import FlowMethod

STEP = "crowd_flow"
Direction = Literal["none", "forward", "backward", "both"]
Identity = Literal["ids", "oks", "link"]
Array = NDArray[np.float64]
Image = NDArray[np.uint8]
FlowFunction = Callable[[Image, Image], NDArray[np.floating]]
"""Two frames ``(H, W, 3)`` -> flow ``(H, W, 2)`` from the first to the second, pixels."""
Embed = Callable[[Image, Boxes], NDArray[np.floating]]
"""A frame and N boxes -> ``(N, E)`` appearance of the people in them."""
_Row = tuple[int, int, Merged, NDArray[np.float32], float]
"""Id, id before, pose, box and box score of one person in a finished frame."""
AGREED_JOINTS = 0.5
"""Somebody is inserted if the past and the future agree on this share of the joints."""
INSERTED = -1
"""In place of the former id of somebody who was not there."""


@dataclass(frozen=True, kw_only=True)
class CrowdFlowSettings:
    """Settings of :func:`crowd_flow`; the defaults are those of the specification.

    A "size" is the length of the head where the skeleton has both its ends, else 0.2 times the
    square root of the box area.

    Args:
        direction: ``both``; ``forward``: only from the past; ``backward``: only from the future;
            ``none``: nothing is carried.
        window: Frames on either side from which poses are carried, 1 to 10.
        identity: ``ids``: those of the poses; ``oks``: the nearest flow-shifted pose of the
            neighbouring frame, ids stay; ``link``: links by flow-shifted boxes (and appearance),
            whose numbers become the ids.
        method: How flow is estimated, see :func:`chronopose.nn.flow.estimate_flow`; ``files`` where
            it comes from files.
        max_side_px: Frames are shrunk to this longer side for the flow.
        consistency_px: Largest distance between a joint and where it comes to after going there and
            back, pixels of the shrunk frame ...
        consistency_share: ... plus this share of the way there.
        decay: Weight of a frame one further away.
        outlier: Candidates farther than this from the weighted median are rejected, sizes.
        sure_score: A joint scored above ...
        sure_shift: ... moves at most this far, sizes.
        carried_score: A score rises to this share of the weighted mean of the candidates' scores.
        insert: Put people in who are found on both sides of a frame, but not in it.
        inserted_score: Scores of inserted people are multiplied by this.
        same_pose: Nobody is inserted who resembles somebody there by at least this OKS.
        gate: Largest cost of a link of ``oks`` and ``link``, in [0, 1].
    """

    direction: Direction = "both"
    window: int = 2
    identity: Identity = "ids"
    method: FlowMethod | Literal["files"] = "dis"
    max_side_px: int = 1024
    consistency_px: float = 1.5
    consistency_share: float = 0.05
    decay: float = 0.6
    outlier: float = 0.5
    sure_score: float = 0.6
    sure_shift: float = 0.25
    carried_score: float = 0.9
    insert: bool = True
    inserted_score: float = 0.7
    same_pose: float = 0.5
    gate: float = 0.7

    def __post_init__(self) -> None:
        for name, offered in (("direction", Direction), ("identity", Identity)):
            if getattr(self, name) not in get_args(offered):
                raise UsageError(
                    f"{name} must be one of {', '.join(get_args(offered))}; got "
                    f"{getattr(self, name)!r}."
                )
        if not 1 <= self.window <= 10:
            raise UsageError(f"window must be 1 to 10 frames; got {self.window}. 2 is usual.")
        if self.max_side_px < 32:
            raise UsageError(f"max_side_px must be at least 32; got {self.max_side_px}.")
        for name in ("consistency_px", "consistency_share", "outlier", "sure_shift"):
            if not getattr(self, name) >= 0:
                raise UsageError(f"{name} must be at least 0; got {getattr(self, name)}.")
        for name in ("decay", "sure_score", "carried_score", "inserted_score", "same_pose", "gate"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} must be within [0, 1]; got {getattr(self, name)}.")


@dataclass(frozen=True)
class SmoothedFrame:
    """A frame that is finished.

    Args:
        people: Who is in it.
        ids_before: ``(N,)`` their ids in what was given; :data:`INSERTED` for new people.
        reasons: ``(N, K)`` why a joint changed: ``merged``, ``outlier`` (the found place was
            rejected), ``held`` (moved only as far as a sure joint may), ``carried`` (score or place
            from the neighbours), ``inserted``; empty where it did not.
    """

    people: FramePoses
    ids_before: NDArray[np.int64]
    reasons: NDArray[np.str_]


@dataclass
class _Carried:
    """The people of one frame on their way through the neighbours."""

    start: int
    keys: NDArray[np.int64]
    people: FramePoses
    xy: Array
    box: Array

    def move(self, carry: Callable[[Array], Array]) -> None:
        """One frame on; whoever loses all joints is lost."""
        xy = carry(self.xy)
        shift = np.array([median_shift(a, b) for a, b in zip(self.xy, xy, strict=True)])
        self.box = self.box + np.tile(shift.reshape(-1, 2), 2)
        self.xy = xy

    def candidates(self, offset: int) -> Iterator[tuple[int, Candidate]]:
        """Key and candidate of everybody who is still known."""
        poses = self.people.poses
        for n, key in enumerate(self.keys.tolist()):
            if offset == 0 or np.isfinite(self.xy[n]).all(-1).any():
                yield key, Candidate(
                    offset, int(self.people.ids[n]), self.xy[n],
                    np.nan_to_num(poses.score[n]).astype(np.float64),
                    np.asarray(poses.visible)[n], self.box[n],
                    float(self.people.boxes.score[n]),
                )  # fmt: skip


@dataclass
class _Slot:
    """A frame that waits for its neighbours."""

    position: int
    people: FramePoses
    keys: NDArray[np.int64]
    found: dict[int, list[Candidate]] = field(default_factory=dict)

    def add(self, carried: _Carried) -> None:
        for key, candidate in carried.candidates(carried.start - self.position):
            self.found.setdefault(key, []).append(candidate)


class FlowPoseSmoother:
    """Refines a stream of frames; the result comes ``window`` frames late.

    Args:
        skeleton: Joints of the poses.
        settings: See :class:`CrowdFlowSettings`.
        flow: Estimates the flow instead of ``settings.method``, or files of it.
        embed: Appearance of people, for ``identity="link"``.
    """

    def __init__(
        self,
        skeleton: Skeleton,
        settings: CrowdFlowSettings | None = None,
        *,
        flow: FlowFunction | FlowFiles | None = None,
        embed: Embed | None = None,
    ) -> None:
        self.settings = settings or CrowdFlowSettings()
        s = self.settings
        self._skeleton, self._embed = skeleton, embed
        self._flow = flow or self._estimate
        self._head = head_joints(skeleton)
        self._rules = MergeRules(s.decay, s.outlier, s.sure_score, s.sure_shift, s.carried_score)
        self._linker = TrackletLinker(s.identity, s.gate, s.window, skeleton.sigmas)
        self._image: Image | None = None
        self._position = 0
        self._forward: deque[_Carried] = deque(maxlen=s.window)
        self._pairs: deque[FlowPair] = deque(maxlen=s.window)
        self._slots: deque[_Slot] = deque()

    def push(self, image: Image, people: FramePoses) -> list[SmoothedFrame]:
        """Take the next frame that was looked at; frames must come in order.

        Returns:
            The frames that are finished by it: none at first, then one.

        Raises:
            ShapeError: frames of different sizes, or poses that are not in image pixels.
        """
        if people.poses.space != "image_px":
            raise ShapeError(
                f"crowd_flow moves joints in the picture; the poses of frame {people.frame_index} "
                f"are in {people.poses.space}. Refine before lifting."
            )
        pair = self._pair(image, people.frame_index)
        embeddings = None
        if self._embed is not None and self.settings.identity == "link":
            embeddings = np.asarray(self._embed(image, people.boxes), np.float64)
        keys = people.ids
        if self.settings.identity != "ids":
            keys = self._linker.link(people, pair.ahead if pair else None, embeddings)
        slot = _Slot(self._position, people, keys)
        slot.add(self._fresh(people, keys))
        self._slots.append(slot)
        if pair is not None:
            self._carry(pair, slot)
        if self.settings.direction in ("forward", "both"):
            self._forward.append(self._fresh(people, keys))
        self._image, self._position = image, self._position + 1
        return [self._finish()] if len(self._slots) > self.settings.window else []

    def finish(self) -> list[SmoothedFrame]:
        """The frames that still wait, when there are no more."""
        return [self._finish() for _ in range(len(self._slots))]

    def _estimate(self, first: Image, second: Image) -> NDArray[np.float32]:
        from chronopose.nn.flow import estimate_flow

        if self.settings.method == "files":
            raise UsageError("Flow from files needs the files: give flow=FlowFiles(FOLDER).")
        return estimate_flow(
            first, second, self.settings.method, max_side_px=self.settings.max_side_px
        )

    def _pair(self, image: Image, frame: int) -> FlowPair | None:
        """Flow between the last frame and this one, if it will be used."""
        s, last = self.settings, self._image
        if last is None or (s.direction == "none" and s.identity == "ids"):
            return None
        if last.shape != image.shape:
            raise ShapeError(f"The frames change size from {last.shape} to {image.shape}.")
        shrink = max(1.0, max(image.shape[:2]) / s.max_side_px)
        if isinstance(self._flow, FlowFiles):
            before, size = self._slots[-1].people.frame_index, (image.shape[1], image.shape[0])
            there = self._flow.between(before, frame, size)
            back = self._flow.between(frame, before, size)
            return FlowPair(there, back, s.consistency_px * shrink, s.consistency_share)
        there, back = self._flow(last, image), self._flow(image, last)  # type: ignore[assignment]
        return FlowPair(there, back, s.consistency_px * shrink, s.consistency_share)

    def _fresh(self, people: FramePoses, keys: NDArray[np.int64]) -> _Carried:
        xy, box = people.poses.xy.astype(np.float64), people.boxes.xyxy.astype(np.float64)
        return _Carried(self._position, keys, people, xy, box)

    def _carry(self, pair: FlowPair, slot: _Slot) -> None:
        """Past people into this frame, this frame's people into the past ones."""
        for past in self._forward:
            past.move(pair.ahead)
            slot.add(past)
        self._pairs.append(pair)
        if self.settings.direction in ("backward", "both"):
            back = self._fresh(slot.people, slot.keys)
            earlier = list(self._slots)[-2::-1]
            for step, there in zip(reversed(self._pairs), earlier, strict=False):
                back.move(step.behind)
                there.add(back)

    def _finish(self) -> SmoothedFrame:
        """Merge what has arrived in the oldest waiting frame."""
        slot = self._slots.popleft()
        kept: list[_Row] = []
        for n, key in enumerate(slot.keys.tolist()):
            person = int(slot.people.ids[n])
            shown = int(key) if self.settings.identity == "link" else person
            area = float(slot.people.boxes.area[n])
            merged = merge(slot.found[key], area, self._head, self._rules)
            box, score = slot.people.boxes.xyxy[n], float(slot.people.boxes.score[n])
            kept.append((shown, person, merged, box, score))
        if self.settings.insert:
            kept += self._missed(slot, kept)
        kept.sort(key=lambda row: row[0])
        count, joints = len(kept), len(self._skeleton)
        poses = Poses(
            np.array([m.xy for _, _, m, _, _ in kept], np.float32).reshape(count, joints, 2),
            np.array([m.score for _, _, m, _, _ in kept], np.float32).reshape(count, joints),
            self._skeleton,
            visible=np.array([m.visible for _, _, m, _, _ in kept], bool).reshape(count, joints),
        )
        boxes = Boxes(np.array([r[3] for r in kept], np.float32), np.array([r[4] for r in kept]))
        people = FramePoses(
            slot.people.frame_index, slot.people.time_s, np.array([r[0] for r in kept], np.int64),
            boxes, poses,
        )  # fmt: skip
        reasons = np.array([m.reason for _, _, m, _, _ in kept], "<U8").reshape(count, joints)
        return SmoothedFrame(people, np.array([r[1] for r in kept], np.int64), reasons)

    def _missed(self, slot: _Slot, there: Sequence[_Row]) -> list[_Row]:
        """People found on both sides of this frame and not in it (5d)."""
        missed: list[_Row] = []
        for key in sorted(set(slot.found) - set(slot.keys.tolist())):
            found = slot.found[key]
            nearest = min(found, key=lambda c: abs(c.offset))
            shown = key if self.settings.identity == "link" else nearest.person
            taken = {row[0] for row in (*there, *missed)}
            if len({c.offset > 0 for c in found}) < 2 or shown in taken:
                continue
            weight = self.settings.decay ** np.abs([c.offset for c in found])
            weight = weight / weight.sum()
            box = (weight[:, None] * np.stack([c.box for c in found])).sum(0)
            area = float(np.prod(box[2:] - box[:2]))
            merged = merge(found, area, self._head, self._rules)
            others = [row[2].xy for row in (*there, *missed)]
            agreed = np.isfinite(merged.xy).all(-1).mean() >= AGREED_JOINTS
            if not agreed or self._stands_there(merged.xy, others, area):
                continue
            lower = self.settings.inserted_score
            score = lower * float((weight * [c.box_score for c in found]).sum())
            merged = replace(merged, score=lower * merged.score)
            missed.append((shown, INSERTED, merged, box.astype(np.float32), score))
        return missed

    def _stands_there(self, xy: Array, others: Sequence[Array], area_px2: float) -> bool:
        if not others:
            return False
        areas, sigmas = np.array([area_px2]), self._skeleton.sigmas
        alike = oks_matrix(xy[None], np.stack(others), areas, sigmas)
        return bool(alike.max() >= self.settings.same_pose)


def crowd_flow(
    poses: VideoPoses,
    frames: Iterable[TimedImage],
    settings: CrowdFlowSettings | None = None,
    *,
    flow: FlowFunction | FlowFiles | None = None,
    embed: Embed | None = None,
    log: EditLog | None = None,
) -> VideoPoses:
    """Refine the poses of a video with its frames.

    Args:
        poses: 2D poses in image pixels, of any tool.
        frames: Frames of the same video in order, read once: an open
            :class:`~chronopose.io.video.VideoReader`, or anything that yields ``index`` and
            ``image``. Frames for which ``poses`` were not looked at are passed over.
        settings: Numbers.
        flow: Estimates the flow instead of ``settings.method``, or files of it.
        embed: Appearance of people, for ``identity="link"``.
        log: Takes an edit for everything that changed.

    Returns:
        The same people, those who were missed among them, one more line of history. Ids stay,
        unless ``identity="link"`` asks for new ones. Boxes stay.

    Raises:
        VideoError: these are not the frames of the video of ``poses``: another size, another
            number of frames, or an end before that of the poses.
        ShapeError: the poses are not in image pixels.
        MissingExtra: the flow needs a package that is not there.
        FormatError: a file of flow is missing, damaged or of another size.
    """
    from chronopose import __version__

    chosen = settings or CrowdFlowSettings()
    info = getattr(frames, "info", None)
    if isinstance(info, VideoInfo):
        check_same_video(poses.info, info)
    smoother = FlowPoseSmoother(poses.skeleton, chosen, flow=flow, embed=embed)
    done: list[SmoothedFrame] = []
    for image, people in together(poses, frames):
        done += smoother.push(image, people)
    done += smoother.finish()
    found = VideoPoses.from_frames(poses.info, poses.skeleton, (f.people for f in done))
    after = replace(poses, tracks=found.tracks)
    if log is not None:
        log.compare(STEP, _renamed(poses, done, log), after, _reasons(done))
    return after.with_step(STEP, asdict(chosen), __version__)


def _reasons(done: Sequence[SmoothedFrame]) -> dict[int, NDArray[np.str_]]:
    rows: dict[int, list[NDArray[np.str_]]] = {}
    for frame in done:
        for person, reasons in zip(frame.people.ids.tolist(), frame.reasons, strict=True):
            rows.setdefault(person, []).append(reasons)
    return {person: np.stack(found) for person, found in rows.items()}


def _renamed(poses: VideoPoses, done: Sequence[SmoothedFrame], log: EditLog) -> VideoPoses:
    """The poses as given under their new ids; every change of an id is logged."""
    names = [
        (int(before), int(now), f.people.frame_index, f.people.time_s)
        for f in done
        for before, now in zip(f.ids_before, f.people.ids, strict=True)
        if before != INSERTED
    ]
    if all(before == now for before, now, _, _ in names):
        return poses
    new = {(before, frame): now for before, now, frame, _ in names}
    names.sort(key=lambda n: n[1:3])
    for (before, now), run in groupby(names, key=lambda n: n[:2]):
        part = list(run)
        if before != now:
            log.add(Edit(
                step=STEP, action="relinked", reason="linked by flow", frame_index=part[0][2],
                until_frame=part[-1][2], time_s=part[0][3], person_id=now,
                person_id_before=before, joint=WHOLE_PERSON,
            ))  # fmt: skip
    frames = [
        replace(f, ids=np.array([new[i, f.frame_index] for i in f.ids.tolist()], np.int64))
        for f in poses.frames()
    ]
    return replace(poses, tracks=VideoPoses.from_frames(poses.info, poses.skeleton, frames).tracks)
