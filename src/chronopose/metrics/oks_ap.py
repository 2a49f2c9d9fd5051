"""OKS AP: average precision and recall of people in pictures, as COCO and CrowdPose score them.

Every step follows the published evaluation, down to ties and to the order of summation, and all
pictures are matched at once: arrays over (size range, threshold, picture, labelled person).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from chronopose.core.labels import LabelledFrame, LabelledSequence
from chronopose.core.skeleton import Skeleton
from chronopose.errors import FormatError, SkeletonMismatch, UsageError
from chronopose.metrics._oks_match import (
    RECALLS,
    THRESHOLDS,
    Flags,
    Floats,
    Ints,
    Pairs,
    People,
    curves,
    match,
)

__all__ = ["OKSAP", "RECALLS", "SIZES", "THRESHOLDS", "OKSResult"]

SIZES: Mapping[str, tuple[float, float]] = {
    "all": (0.0, 1e5**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e5**2),
}  # fmt: skip
"""Ranges of the area of a person, square pixels, both ends included."""
BOX_SHARE = 0.53
"""A person's area as a share of the box, where CrowdPose has no segments."""
NO_SCORE = -9999.0
"""What a prediction without a score counts as: it comes after all others."""
_EPS = float(np.spacing(1))
_PAIRS_AT_ONCE = 1 << 16


@dataclass(frozen=True)
class OKSResult:
    """What :meth:`OKSAP.compute` found. Shares are percent, 0 to 100; NaN where nothing counts."""

    scores: Mapping[str, float]
    """``AP``, ``AP50``, ``AP75``, ``AP_M``, ``AP_L``, ``AR``, ``AR50``, ``AR75``, ``AR_M``,
    ``AR_L`` (medium and large people); for CrowdPose without the sizes, but with ``AP_easy``,
    ``AP_medium``, ``AP_hard`` (pictures by crowd index)."""
    precision: Floats
    """``(10, 101)`` percent: precision at :data:`RECALLS` for each of :data:`THRESHOLDS`, people
    of all sizes."""
    pictures: int
    """Labelled pictures."""
    people: int
    """Labelled people that have to be found."""
    ignored: int
    """Labelled people who may be found or not: crowds, and people without joints."""
    predictions: int
    """Predicted people that were looked at."""
    compat: str
    """``"coco"`` or ``"crowdpose"``."""

    def __str__(self) -> str:
        head = (
            f"OKS AP (compat={self.compat}), {self.people} people in {self.pictures} pictures, "
            f"{self.predictions} predictions"
        )
        return "\n".join([head, *(f"  {n:<12}{v:6.1f}" for n, v in self.scores.items())])


class OKSAP:
    """Average precision and recall over object keypoint similarity.

    The OKS of a prediction and a labelled person is the mean over the labelled joints of
    ``exp(-d**2 / (2 * area * (2 * sigma)**2))``; a joint that is not predicted adds 0. Against a
    person without labelled joints (who is ignored) d is the distance to the box enlarged by its
    own width and height on each side.

    In each picture predictions come by falling score; each takes the person with the highest OKS
    among those still free, people that count before ignored ones, the later one of two equals.
    Crowds can be taken many times. Pictures without labelled people count: all found there is
    wrong. Of two predictions with the same score the one in the picture with the lower
    ``image_id`` (or, without ids, the earlier one) comes first.

    Args:
        skeleton: Joints of labels and predictions.
        max_people: Best predictions of a picture that are looked at.
        compat: ``"coco"`` divides by the labelled area and reports sizes. ``"crowdpose"`` takes
            0.53 of the person box for the area and reports pictures by crowd index.
        sigmas: ``(K,)`` spreads of the joints; those of the skeleton by default.
        crowd_edges: Crowd index below which a picture is easy, and from which it is hard. The
            evaluation splits at 0.2 and 0.8; the CrowdPose paper names 0.1 and 0.8.
        prediction_area: How large an unmatched prediction is, which decides whether it counts
            among medium and large ones. ``"box"`` takes its box and, without one, the extent of
            its joints, as COCO's loader does; ``"joints"`` always takes the joints. People made
            by chronopose have boxes; result files of other tools mostly have none.

    Raises:
        UsageError: an argument is out of range.

    Source:
        The COCO keypoint evaluation; Li et al., "CrowdPose: Efficient Crowded Scenes Pose
        Estimation and a New Benchmark". Compared with both in tests/parity/test_oks_parity.py.
    """

    def __init__(
        self,
        skeleton: Skeleton,
        *,
        max_people: int = 20,
        compat: Literal["coco", "crowdpose"] = "coco",
        sigmas: Floats | None = None,
        crowd_edges: tuple[float, float] = (0.2, 0.8),
        prediction_area: Literal["box", "joints"] = "box",
    ) -> None:
        if compat not in ("coco", "crowdpose"):
            raise UsageError(f"compat is 'coco' or 'crowdpose'; got {compat!r}.")
        if prediction_area not in ("box", "joints"):
            raise UsageError(f"prediction_area is 'box' or 'joints'; got {prediction_area!r}.")
        if max_people < 1:
            raise UsageError(f"At least one prediction a picture must count; got {max_people}.")
        spreads = np.asarray(skeleton.sigmas if sigmas is None else sigmas, np.float64)
        if spreads.shape != (len(skeleton),) or not (spreads > 0).all():
            raise UsageError(
                f"{skeleton.name!r} needs {len(skeleton)} sigmas above zero; got {spreads.tolist()}"
            )
        self.skeleton = skeleton
        self.max_people = max_people
        self.compat = compat
        self.sigmas = spreads
        self.crowd_edges = crowd_edges
        self.prediction_area = prediction_area
        self._pictures: list[tuple[int | None, float | None]] = []
        self._seen: set[object] = set()
        self._truth: list[LabelledFrame] = []
        self._found: list[LabelledFrame] = []

    def update(self, truth: LabelledSequence, predictions: LabelledSequence) -> None:
        """Add pictures with all their people; a picture must not be added twice.

        Args:
            truth: Labelled pictures; unlabelled ones are left out with their predictions. People
                are ignored if they are a crowd or have no joints; ``num_keypoints`` of
                ``frame.extra["people"]`` counts the joints where the file's own count differs.
                ``frame.extra["crowdIndex"]`` sorts pictures into easy, medium and hard.
            predictions: Found people, ``person_score`` being their score. Pictures are joined by
                ``image_id`` where both sides have it, else by name, else (predictions of a video
                only) by frame number; a picture that is not there has no predictions, and frames
                of a video that have no labels are left out. So are people without any joint.

        Raises:
            SkeletonMismatch: one of the two has other joints.
            FormatError: a picture comes twice, predictions belong to no picture, or a labelled
                person has no area or no box to measure by.
        """
        for side in (truth, predictions):
            if side.skeleton.joints != self.skeleton.joints:
                raise SkeletonMismatch(
                    f"OKS of {self.skeleton.name!r} cannot score {side.name!r}, which has "
                    f"{side.skeleton.name!r} joints. Convert first: to_skeleton."
                )
        found = _by_picture(truth, predictions)
        for frame, prediction in zip(truth.frames, found, strict=True):
            key = frame.image_id if frame.image_id is not None else (truth.name, frame.name)
            if key in self._seen:
                raise FormatError(f"{_called(truth, frame)} was added before; add pictures once.")
            if frame.labelled:
                self._check(truth, frame)
                self._seen.add(key)
                self._pictures.append((frame.image_id, _crowd_index(frame)))
                self._truth.append(frame)
                nobody = frame.select(slice(0, 0))
                self._found.append(nobody if prediction is None else prediction)

    def compute(self) -> OKSResult:
        """Score everything added so far."""
        order = self._order()
        truth = self._labels([self._truth[i] for i in order])
        found = self._predictions([self._found[i] for i in order])
        sizes = ("all",) if self.compat == "crowdpose" else tuple(SIZES)
        bounds = np.array([SIZES[s] for s in sizes])[:, :, None]
        outside = (truth.area < bounds[:, 0]) | (truth.area > bounds[:, 1])
        ignored = truth.ignored | outside
        taken = match(truth, found, ignored, self._similarity(truth, found))
        far = (found.area < bounds[:, 0]) | (found.area > bounds[:, 1])
        false = (taken == 0) & ~far[:, None]
        true = taken == 1
        ranked = np.argsort(-found.score, kind="stable")
        drawn = [
            curves(true[a][:, ranked], false[a][:, ranked], int((~ignored[a]).sum()))
            for a in range(len(sizes))
        ]
        scores = self._summary(dict(zip(sizes, drawn, strict=True)))
        for name, pictures in self._crowd_groups(order):
            mine = ranked[pictures[found.picture[ranked]]]
            count = int((~ignored[0] & pictures[truth.picture]).sum())
            scores[f"AP_{name}"] = _mean(curves(true[0][:, mine], false[0][:, mine], count)[0])
        return OKSResult(
            scores=scores,
            precision=100.0 * drawn[0][0],
            pictures=len(order),
            people=int((~ignored[0]).sum()),
            ignored=int(ignored[0].sum()),
            predictions=len(found.score),
            compat=self.compat,
        )

    def _check(self, truth: LabelledSequence, frame: LabelledFrame) -> None:
        """Refuse people by whom nothing can be measured."""
        boxed = np.isfinite(frame.boxes).all(-1)
        need_box = ~frame.known.any(-1) | (self.compat == "crowdpose")
        need_area = np.isnan(frame.area) & (self.compat == "coco")
        for lacking, what in ((need_area, "area"), (need_box & ~boxed, "box")):
            if lacking.any():
                hint = " or score with compat='crowdpose'" if what == "area" else ""
                raise FormatError(
                    f"{_called(truth, frame)}: person {int(np.argmax(lacking))} has no {what}, by "
                    f"which OKS measures distances. Add it to the labels,{hint} or leave the "
                    f"person out."
                )

    def _order(self) -> list[int]:
        """Pictures as COCO walks through them: by id where everybody has one."""
        ids = [image for image, _ in self._pictures]
        order = list(range(len(ids)))
        if all(i is not None for i in ids):
            order.sort(key=lambda i: ids[i] or 0)
        return order

    def _labels(self, frames: list[LabelledFrame]) -> People:
        joined = _joined(frames, self.skeleton)
        # A file's own count decides where there is one: CrowdPose leaves head and neck out of it.
        counts = joined.known.sum(-1)
        given = np.concatenate([np.zeros(0), *(_given_counts(f) for f in frames)])
        counts = np.where(np.isnan(given), counts, given)
        sides = joined.boxes[:, 2:] - joined.boxes[:, :2]
        area = joined.area if self.compat == "coco" else sides[:, 1] * sides[:, 0] * BOX_SHARE
        crowd = np.concatenate([np.zeros(0, bool), *(f.crowd for f in frames)])
        return People(
            joined.picture, joined.xy, joined.known, area, joined.boxes,
            crowd=crowd, ignored=crowd | (counts == 0),
        )  # fmt: skip

    def _predictions(self, frames: list[LabelledFrame]) -> People:
        everybody = _joined(frames, self.skeleton)
        score = np.concatenate([np.zeros(0), *(f.person_score for f in frames)])
        score = np.where(np.isnan(score), NO_SCORE, score)
        rows = np.flatnonzero(everybody.known.any(-1))
        rows = rows[np.lexsort((-score[rows], everybody.picture[rows]))]
        picture = everybody.picture[rows]
        rank = np.arange(len(rows)) - np.searchsorted(picture, picture)
        rows = rows[rank < self.max_people]
        xy, known = everybody.xy[rows], everybody.known[rows]
        extent = np.where(known[..., None], xy, np.inf).min(1, initial=np.inf)
        far = np.where(known[..., None], xy, -np.inf).max(1, initial=-np.inf)
        area = (far - extent).prod(-1)
        if self.prediction_area == "box":
            box = everybody.boxes[rows]
            own = (box[:, 2:] - box[:, :2]).prod(-1)
            area = np.where(np.isnan(own), area, own)
        return People(
            everybody.picture[rows], xy, known, area, everybody.boxes[rows], score=score[rows]
        )

    def _similarity(self, truth: People, found: People) -> Pairs:
        """OKS of every prediction with every labelled person of its picture."""
        counts = np.bincount(truth.picture, minlength=len(self._pictures))
        first = np.cumsum(counts) - counts
        many = counts[found.picture]
        pred = np.repeat(np.arange(len(found.score)), many)
        nth = np.arange(len(pred)) - np.repeat(np.cumsum(many) - many, many)
        true = first[found.picture[pred]] + nth
        labelled = truth.known.sum(-1)
        oks = np.zeros(len(pred))
        # One number of labelled joints at a time: sums then have the evaluation's own order.
        by_count = labelled[true]
        for joints in np.unique(by_count):
            here = np.flatnonzero(by_count == joints)
            for start in range(0, len(here), _PAIRS_AT_ONCE):
                part = here[start : start + _PAIRS_AT_ONCE]
                oks[part] = self._oks(truth, found, true[part], pred[part], int(joints))
        return Pairs(true, pred, oks)

    def _oks(self, truth: People, found: People, true: Ints, pred: Ints, joints: int) -> Floats:
        """``(P,)`` OKS of pairs whose labels all have ``joints`` joints."""
        spread = (self.sigmas * 2) ** 2
        if joints:
            columns = np.nonzero(truth.known[true])[1].reshape(-1, joints)
            at = np.arange(len(true))[:, None]
            delta = found.xy[pred][at, columns] - truth.xy[true][at, columns]
            spread = spread[columns]
        else:
            box = truth.boxes[true]
            low, side = box[:, None, :2], box[:, None, 2:] - box[:, None, :2]
            xy = found.xy[pred]
            # With xywh boxes the far edge is x + 2 w.
            delta = np.maximum(0, (low - side) - xy) + np.maximum(0, xy - (low + side * 2))
        error = (delta[..., 0] ** 2 + delta[..., 1] ** 2) / spread
        error = error / (truth.area[true][:, None] + _EPS) / 2
        error[np.isnan(error)] = np.inf
        values: Floats = np.exp(-error).sum(-1) / error.shape[1]
        return values

    def _summary(self, drawn: Mapping[str, tuple[Floats, Floats]]) -> dict[str, float]:
        """The numbers of the papers' tables."""
        scores: dict[str, float] = {}
        for at, name in ((0, "AP"), (1, "AR")):
            every = drawn["all"][at]
            scores |= {name: _mean(every), f"{name}50": _mean(every[0])}
            scores[f"{name}75"] = _mean(every[5])
            for size in tuple(drawn)[1:]:
                scores[f"{name}_{size[0].upper()}"] = _mean(drawn[size][at])
        return scores

    def _crowd_groups(self, order: list[int]) -> Iterator[tuple[str, Flags]]:
        """Names and pictures of the groups by crowd index, if the labels tell it."""
        if self.compat != "crowdpose" or not order:
            return
        known = [self._pictures[i][1] for i in order]
        if all(value is None for value in known):
            return
        if any(value is None for value in known):
            raise FormatError(
                f"{sum(v is None for v in known)} of {len(known)} pictures have no crowdIndex; "
                f"groups by crowd need it of all or of none."
            )
        index = np.array(known, np.float64)
        low, high = self.crowd_edges
        yield "easy", index < low
        yield "medium", (index >= low) & (index < high)
        yield "hard", (index >= low) & (index >= high)


def _called(sequence: LabelledSequence, frame: LabelledFrame) -> str:
    return f"{sequence.name!r}, picture {frame.image_id or frame.frame_index} ({frame.name})"


def _crowd_index(frame: LabelledFrame) -> float | None:
    value = frame.extra.get("crowdIndex")
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise FormatError(
            f"Picture {frame.image_id or frame.frame_index} ({frame.name}) has the crowdIndex "
            f"{value!r}, which is no number."
        )
    return None if value is None else float(value)


def _given_counts(frame: LabelledFrame) -> Floats:
    """``(N,)`` the file's own counts of labelled joints; NaN where there is none."""
    told: Any = frame.extra.get("people")
    if not isinstance(told, list) or len(told) != len(frame):
        return np.full(len(frame), np.nan)
    return np.array([t.get("num_keypoints", np.nan) for t in told], np.float64)


_KEYS: tuple[tuple[str, Callable[[LabelledFrame], Hashable]], ...] = (
    ("image_id", lambda f: f.image_id),
    ("name", lambda f: f.name or None),
    ("frame_index", lambda f: f.frame_index),
)


def _by_picture(
    truth: LabelledSequence, predictions: LabelledSequence
) -> list[LabelledFrame | None]:
    """The predictions of each labelled picture, None where there are none."""
    for what, key in _KEYS[: 3 if predictions.is_video else 2]:
        places = {key(f): f for f in predictions.frames}
        wanted = [key(f) for f in truth.frames]
        known = set(wanted)
        if None in places or None in known or len(known) != len(wanted):
            continue
        strange = [k for k in places if k not in known]
        if len(places) != len(predictions) or (places and len(strange) == len(places)):
            continue
        if strange and not predictions.is_video:
            raise FormatError(
                f"The predictions {predictions.name!r} have {len(strange)} pictures that the "
                f"labels {truth.name!r} do not have, the first is the {what} {strange[0]!r}. Score "
                f"predictions with the labels they were made for."
            )
        return [places.get(k) for k in wanted]
    raise FormatError(
        f"The {len(predictions)} pictures of the predictions {predictions.name!r} cannot be found "
        f"among the {len(truth)} of the labels {truth.name!r}: they share neither image ids nor "
        f"names, or these stand for several pictures. Give each picture an image_id."
    )


def _joined(frames: list[LabelledFrame], skeleton: Skeleton) -> People:
    joints = len(skeleton)
    counts = [len(f) for f in frames]
    xy = np.concatenate([np.zeros((0, joints, 2)), *(f.xy for f in frames)])
    return People(
        picture=np.repeat(np.arange(len(frames)), counts),
        xy=xy,
        known=np.isfinite(xy).all(-1),
        area=np.concatenate([np.zeros(0), *(f.area for f in frames)]),
        boxes=np.concatenate([np.zeros((0, 4)), *(f.boxes for f in frames)]),
    )


def _mean(values: Floats) -> float:
    return float(100.0 * np.mean(values))
