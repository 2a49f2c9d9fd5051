"""EditLog: what the steps of refinement changed, joint by joint, as CSV or JSON.

A step does not report its own edits: the poses before and after are compared, so the log is whole
by construction. :func:`undo` takes the edits back, which is how the tests prove it.
"""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from chronopose.core.tracks import PersonTrack, VideoPoses
from chronopose.errors import FormatError
from chronopose.io.atomic import writing
from chronopose.refine._tracks import join_tracks

Action = Literal["moved", "filled", "rescored", "removed", "inserted", "relinked"]
WHOLE_PERSON = ""
"""In place of a joint's name: the edit is about the person, not about one joint."""
AXES = "xyz"


@dataclass(frozen=True, kw_only=True)
class Edit:
    """One change of one joint, or of one person.

    Args:
        step: The step that made it, e.g. ``crowd_flow``.
        action: ``moved`` (another place), ``filled`` (a place for a joint that had none),
            ``rescored`` (only the score is another), ``removed`` (no place any more), ``inserted``
            (a joint of a person who was not there in this frame) or ``relinked`` (from
            ``frame_index`` to ``until_frame`` the person has another id).
        reason: Why, in the words of the step; may be empty.
        frame_index: Number of the frame.
        time_s: Its presentation time, seconds.
        person_id: Id of the person afterwards.
        person_id_before: Id before; only ``relinked`` changes it.
        until_frame: Last frame of the edit: ``frame_index`` itself, but for ``relinked``.
        joint: Name of the joint; :data:`WHOLE_PERSON` for ``relinked``.
        before: Place before, pixels (millimetres in 3D); None where unknown.
        after: Place afterwards; None where unknown.
        score_before: Score before; None where nobody was there.
        score_after: Score afterwards; None for ``relinked``.
    """

    step: str
    action: Action
    reason: str
    frame_index: int
    time_s: float
    person_id: int
    person_id_before: int
    until_frame: int
    joint: str
    before: tuple[float, ...] | None = None
    after: tuple[float, ...] | None = None
    score_before: float | None = None
    score_after: float | None = None


@dataclass(frozen=True)
class _Block:
    """Edits of one step and one track in columns: a long video has millions."""

    step: str
    person_id: int
    joints: tuple[str, ...]
    action: NDArray[np.str_]
    reason: NDArray[np.str_]
    frame_index: NDArray[np.int64]
    time_s: NDArray[np.float64]
    joint: NDArray[np.intp]
    before: NDArray[np.float32]
    after: NDArray[np.float32]
    score_before: NDArray[np.float32]
    score_after: NDArray[np.float32]

    def __iter__(self) -> Iterator[Edit]:
        for row in range(len(self.action)):
            yield Edit(
                step=self.step, action=str(self.action[row]),  # type: ignore[arg-type]
                reason=str(self.reason[row]), frame_index=int(self.frame_index[row]),
                time_s=float(self.time_s[row]), person_id=self.person_id,
                person_id_before=self.person_id, until_frame=int(self.frame_index[row]),
                joint=self.joints[self.joint[row]],
                before=_place(self.before[row]), after=_place(self.after[row]),
                score_before=_number(self.score_before[row]),
                score_after=_number(self.score_after[row]),
            )  # fmt: skip


@dataclass
class EditLog:
    """Collects the edits of one or more steps, in the order in which they were made.

    Give one to every step of a chain: ``smooth(stitch(poses, log=log), log=log)``.
    """

    _blocks: list[_Block | list[Edit]] = field(default_factory=list)

    def __len__(self) -> int:
        return sum(len(b.action) if isinstance(b, _Block) else len(b) for b in self._blocks)

    def __iter__(self) -> Iterator[Edit]:
        for block in self._blocks:
            yield from block

    def add(self, edit: Edit) -> None:
        """Append one edit."""
        if not self._blocks or isinstance(self._blocks[-1], _Block):
            self._blocks.append([])
        self._blocks[-1].append(edit)  # type: ignore[union-attr]

    def counts(self) -> dict[tuple[str, str], int]:
        """``(step, action)`` -> number of edits, in the order of the steps."""
        found: Counter[tuple[str, str]] = Counter()
        for block in self._blocks:
            if isinstance(block, _Block):
                actions, many = np.unique(block.action, return_counts=True)
                for action, count in zip(actions.tolist(), many.tolist(), strict=True):
                    found[block.step, action] += count
            else:
                found.update((edit.step, edit.action) for edit in block)
        return dict(found)

    def compare(
        self,
        step: str,
        before: VideoPoses,
        after: VideoPoses,
        reasons: Mapping[int, NDArray[np.str_]] | None = None,
    ) -> None:
        """Append everything in which ``after`` differs from ``before``.

        Args:
            step: Who made ``after``.
            before: Poses whose ids are those of ``after``; rename first, with :meth:`add`.
            after: The same people; rows may have been added, none taken away.
            reasons: Person -> ``(N, K)`` reasons for the rows of the track in ``after``.
        """
        old = {t.track_id: t for t in before.tracks}
        for track in after.tracks:
            why = None if reasons is None else reasons.get(track.track_id)
            block = _difference(step, old.get(track.track_id), track, why)
            if len(block.action):
                self._blocks.append(block)

    def write(self, path: str | Path) -> None:
        """Write the log; the file appears whole or not at all.

        Args:
            path: ``.csv`` (a row an edit) or ``.json`` (counts and edits).

        Raises:
            FormatError: another ending, or the file cannot be written.
        """
        suffix = Path(path).suffix.lower()
        if suffix not in (".csv", ".json"):
            raise FormatError(f"An edit log is a .csv or .json file; got {str(path)!r}.")
        with writing(path) as file:
            (self._write_csv if suffix == ".csv" else self._write_json)(file)

    def _write_csv(self, file: Any) -> None:
        depth = max((b.after.shape[1] for b in self._blocks if isinstance(b, _Block)), default=2)
        rows = csv.writer(file, lineterminator="\n")
        axes = AXES[:depth]
        rows.writerow(
            ["step", "action", "reason", "frame", "until_frame", "time_s", "person_id",
             "person_id_before", "joint", *(f"{a}_before" for a in axes), "score_before",
             *(f"{a}_after" for a in axes), "score_after"]
        )  # fmt: skip
        empty = ("",) * depth
        for e in self:
            rows.writerow(
                [e.step, e.action, e.reason, e.frame_index, e.until_frame, e.time_s, e.person_id,
                 e.person_id_before, e.joint, *(e.before or empty),
                 "" if e.score_before is None else e.score_before, *(e.after or empty),
                 "" if e.score_after is None else e.score_after]
            )  # fmt: skip

    def _write_json(self, file: Any) -> None:
        counts = [{"step": s, "action": a, "edits": n} for (s, a), n in self.counts().items()]
        head = {"format": "chronopose edits", "version": 1, "counts": counts}
        file.write(json.dumps(head)[:-1] + ', "edits": [')
        for number, e in enumerate(self):
            row = {
                "step": e.step, "action": e.action, "reason": e.reason, "frame": e.frame_index,
                "until_frame": e.until_frame, "time_s": e.time_s, "person_id": e.person_id,
                "person_id_before": e.person_id_before, "joint": e.joint, "before": e.before,
                "after": e.after, "score_before": e.score_before, "score_after": e.score_after,
            }  # fmt: skip
            file.write((",\n" if number else "\n") + json.dumps(row, allow_nan=False))
        file.write("\n]}\n")


def undo(after: VideoPoses, log: EditLog) -> VideoPoses:
    """Take joints, scores and ids back to what they were before the logged edits.

    People who were inserted are removed. Boxes that were there, the visibility of joints, times and
    history stay as they are afterwards.

    Args:
        after: What the logged steps made.
        log: All their edits.
    """
    tracks = {t.track_id: t for t in after.tracks}
    joints = {name: k for k, name in enumerate(after.skeleton.joints)}
    for edits in reversed(list(_by_person(log))):
        person, action = edits[0].person_id, edits[0].action
        if action == "relinked":
            _rename_back(tracks, edits)
            continue
        track = tracks[person]
        inserted = [e.frame_index for e in edits if e.action == "inserted"]
        track = track.select(~np.isin(track.frame_index, inserted))
        xy, score = track.poses.xy.copy(), track.poses.score.copy()
        for edit in edits:
            if edit.action != "inserted":
                at = int(np.searchsorted(track.frame_index, edit.frame_index)), joints[edit.joint]
                xy[at] = np.nan if edit.before is None else edit.before
                score[at] = edit.score_before
        tracks[person] = replace(track, poses=replace(track.poses, xy=xy, score=score))
    return replace(after, tracks=tuple(t for t in tracks.values() if len(t)))


def _by_person(log: EditLog) -> Iterator[list[Edit]]:
    """Neighbouring edits of one step and person, or all new ids of one step."""
    for _, edits in groupby(log, lambda e: (e.step, "" if e.action == "relinked" else e.person_id)):
        yield list(edits)


def _rename_back(tracks: dict[int, PersonTrack], edits: list[Edit]) -> None:
    """Move the frames of ``relinked`` edits back to the ids that they had, all at once."""
    back: dict[int, list[PersonTrack]] = {}
    for edit in edits:
        now = tracks[edit.person_id]
        moved = (now.frame_index >= edit.frame_index) & (now.frame_index <= edit.until_frame)
        tracks[edit.person_id] = now.select(~moved)
        part = replace(now.select(moved), track_id=edit.person_id_before)
        back.setdefault(edit.person_id_before, []).append(part)
    for person, parts in back.items():
        there = [tracks[person]] if person in tracks else []
        tracks[person] = join_tracks([*there, *parts])


def _difference(
    step: str, before: PersonTrack | None, after: PersonTrack, why: NDArray[np.str_] | None
) -> _Block:
    """Edits that lead from one state of a track to the other."""
    shape = after.poses.xy.shape
    xy, score = np.full(shape, np.nan, np.float32), np.full(shape[:2], np.nan, np.float32)
    was_there = np.zeros(shape[:2], bool)
    if before is not None and len(before):
        rows = np.searchsorted(after.frame_index, before.frame_index)
        xy[rows], score[rows], was_there[rows] = before.poses.xy, before.poses.score, True
    now, now_score = after.poses.xy, after.poses.score
    knew, knows = _known(xy), _known(now)
    moved = knew & knows & (xy != now).any(-1)
    action = np.full(shape[:2], "", dtype="<U8")
    action[was_there & (score != now_score)] = "rescored"
    action[moved] = "moved"
    action[was_there & ~knew & knows] = "filled"
    action[knew & ~knows] = "removed"
    action[~was_there] = "inserted"
    frame, joint = np.nonzero(action != "")
    reason = np.full(shape[:2], "", dtype="<U1") if why is None else why
    return _Block(
        step, after.track_id, after.poses.skeleton.joints, action[frame, joint],
        reason[frame, joint], after.frame_index[frame], after.time_s[frame], joint,
        xy[frame, joint], now[frame, joint], score[frame, joint], now_score[frame, joint],
    )  # fmt: skip


def _known(xy: NDArray[np.float32]) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(xy).all(-1))


def _place(xy: NDArray[np.float32]) -> tuple[float, ...] | None:
    return tuple(map(float, xy)) if np.isfinite(xy).all() else None


def _number(value: np.float32) -> float | None:
    return None if math.isnan(value) else float(value)
