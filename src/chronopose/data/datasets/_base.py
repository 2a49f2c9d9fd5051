"""What the data sets with files of labels have in common.

A set says where its labels and pictures lie in the layouts that people have on disk, and how the
labels are read; the rest is here: finding them, saying what is missing, and opening them as clips.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from chronopose.core.labels import LabelledFrame, LabelledSequence
from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import get_skeleton
from chronopose.data.clips import ClipSource
from chronopose.data.labelled import EXTENT_GROW, LEAST_SCORE, LabelledClips, Windows
from chronopose.data.neighbours import RULES, NeighbourRule, find_rule
from chronopose.data.pictures import PictureFinder, picture_size
from chronopose.errors import FormatError, UsageError
from chronopose.io.detections import read_detections


@dataclass(frozen=True)
class Problem:
    """Something that a data set on disk lacks.

    Args:
        what: What is wrong or missing.
        looked_for: Where it was looked for.
        remedy: What to do.
    """

    what: str
    looked_for: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}\n  looked for: {self.looked_for}\n  what to do: {self.remedy}"


@dataclass(frozen=True, kw_only=True)
class LabelledSet(ABC):
    """A data set in a folder of the user's.

    Args:
        root: Its folder.
        split: One of ``SPLITS``; empty for the one that papers report.
        labels: File or folder of the labels, if it is at none of the usual places; relative to
            ``root`` or absolute.
        pictures: Folder that the pictures' names start from, likewise.

    Raises:
        UsageError: there is no such split.
    """

    NAME: ClassVar[str]
    """As typed on the command line."""
    TITLE: ClassVar[str]
    """Its full name; what to search for."""
    SPLITS: ClassVar[tuple[str, ...]]
    REPORTED: ClassVar[str]
    """The split that papers report."""
    SKELETON: ClassVar[Skeleton]
    LABELS: ClassVar[tuple[str, ...]]
    """Places of the labels below the root, the official one first; ``{split}`` is filled in."""
    PICTURES: ClassVar[tuple[str, ...]]
    """Folders below the root that the pictures' names may start from, likewise."""
    TERMS: ClassVar[str]
    """Under which terms it may be used."""
    SOURCE: ClassVar[str]
    """How to get it."""
    VIDEO: ClassVar[bool] = True
    OCCLUDED: ClassVar[bool] = True
    """Whether the field trains on and scores occluded joints."""
    GROW: ClassVar[float] = EXTENT_GROW
    """Factor on the extent of the joints where there is no box."""
    CUT: ClassVar[bool] = True
    """Whether boxes are cut to the picture before their centre is taken."""
    RULE: ClassVar[NeighbourRule] = RULES["tdmi"]
    """Frames of a clip where nothing else is asked for."""
    METRIC: ClassVar[str] = "pck"
    """Metric that papers report on it, as ``chronopose score`` names it."""
    METRIC_OPTIONS: ClassVar[Mapping[str, str]] = {}
    """Its options there."""
    SUBMISSION: ClassVar[str] = ""
    """Format in which predictions are handed in, a name of
    :data:`~chronopose.io.labels.LABEL_FORMATS`; empty where nobody has defined one."""

    root: Path
    split: str = ""
    labels: Path | None = None
    pictures: Path | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))
        object.__setattr__(self, "split", self.split or self.REPORTED)
        if self.split not in self.SPLITS:
            near = get_close_matches(self.split, self.SPLITS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise UsageError(
                f"{self.NAME} has no split {self.split!r}.{hint} It has: {', '.join(self.SPLITS)}."
            )

    # ---- what a set says ------------------------------------------------------------------------

    @abstractmethod
    def read(self, path: Path) -> list[LabelledSequence]:
        """Read the labels of the split from the place that was found.

        Raises:
            FormatError: they are damaged or something else.
        """

    def picture_name(self, sequence: LabelledSequence, frame: LabelledFrame) -> str:
        """Path of a frame's picture below one of ``PICTURES``; by default its name in the labels.

        A name without a suffix stands for the picture of that number in its folder.
        """
        return frame.name

    def stratum(self, sequence: str) -> str:
        """Kind of difficulty of a sequence, by its name; empty where the set has no strata."""
        return ""

    # ---- finding it -----------------------------------------------------------------------------

    def label_places(self) -> list[Path]:
        """Where the labels are looked for, in order."""
        if self.labels is not None:
            return [self.root / self.labels]
        return [self.root / place.format(split=self.split) for place in self.LABELS]

    def find_labels(self) -> Path:
        """File or folder of the labels of the split.

        Raises:
            FormatError: it is at none of the known places.
        """
        for place in self.label_places():
            if place.is_file() or (place.is_dir() and any(place.iterdir())):
                return place
        places = ", ".join(str(p) for p in self.label_places())
        raise FormatError(
            f"There are no labels of {self._whose} in {self.root}: looked for {places}. "
            f"'chronopose data check {self.NAME} --root {self.root}' says how to get them."
        )

    @cached_property
    def finder(self) -> PictureFinder:
        """Finds the pictures."""
        if self.pictures is not None:
            bases = [self.root / self.pictures]
        else:
            bases = [self.root / place.format(split=self.split) for place in self.PICTURES]
        return PictureFinder(list(dict.fromkeys(bases)), least=int(self.VIDEO))

    @property
    def _whose(self) -> str:
        return f"{self.NAME} {self.split}"

    def sequences(self) -> list[LabelledSequence]:
        """Labels of the split as read.

        Raises:
            FormatError: they are missing, damaged or something else.
        """
        return list(self._sequences)

    @cached_property
    def _sequences(self) -> list[LabelledSequence]:
        return self.read(self.find_labels())

    # ---- using it -------------------------------------------------------------------------------

    @property
    def skeleton(self) -> Skeleton:
        """Joints of the set."""
        return self.SKELETON

    def clips(
        self,
        *,
        frames: int | None = None,
        neighbours: NeighbourRule | str | None = None,
        training: bool = False,
        skeleton: Skeleton | str | None = None,
        windows: Windows = "key",
        occluded: bool | None = None,
        boxes: Path | str | None = None,
        least_score: float = LEAST_SCORE,
    ) -> ClipSource:
        """Open the split for training or evaluation.

        Args:
            frames: Length of a clip, odd; None for the rule's own, 1 for the key frame alone.
            neighbours: A rule, or the name of one; None for the set's usual one. A rule that is
                given as an object keeps its own length.
            training: Draw neighbours and runs where the rule or the windows do.
            skeleton: Joints of the samples; None for the set's own.
            windows: ``"key"`` or ``"run"``, see
                :class:`~chronopose.data.labelled.LabelledClips`.
            occluded: Whether occluded joints count; None as the field does.
            boxes: File of detected boxes to use instead of the labelled ones.
            least_score: Detections below this are left out.

        Raises:
            UsageError: no such rule, or a length that does not fit.
            FormatError: labels or boxes are missing or damaged.
        """
        if isinstance(neighbours, str):
            rule = find_rule(neighbours, frames)
        elif neighbours is not None:
            rule = neighbours
        else:
            rule = self.RULE if frames is None else self.RULE.of(frames)
        if isinstance(skeleton, str):
            skeleton = get_skeleton(skeleton)
        return LabelledClips(
            self.sequences(), self.finder,
            skeleton=self.SKELETON if skeleton is None else skeleton,
            picture_name=self.picture_name, rule=rule, training=training, windows=windows,
            occluded=self.OCCLUDED if occluded is None else occluded, grow=self.GROW, cut=self.CUT,
            detections=None if boxes is None else read_detections(boxes),
            least_score=least_score, name=self._whose, digest=self.fingerprint(),
        )  # fmt: skip

    def fingerprint(self) -> str:
        """Name, split, and a hash of the files of labels.

        Raises:
            FormatError: the labels are missing.
        """
        found = self.find_labels()
        files = [found] if found.is_file() else sorted(f for f in found.rglob("*") if f.is_file())
        digest = hashlib.sha256()
        for file in files:
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
        return f"{self.NAME}-{self.split}-{digest.hexdigest()[:12]}"

    # ---- checking it ----------------------------------------------------------------------------

    def check(self) -> list[Problem]:
        """What is missing of the split; nothing if it can be used."""
        if not self.root.is_dir():
            return [Problem("the folder of the set is missing", str(self.root), self.SOURCE)]
        try:
            found = self.find_labels()
        except FormatError:
            places = ", ".join(str(p.relative_to(self.root)) if p.is_relative_to(self.root)
                               else str(p) for p in self.label_places())  # fmt: skip
            return [Problem(f"the labels of {self.split} are missing", places, self.SOURCE)]
        try:
            sequences = self.sequences()
        except FormatError as error:
            return [Problem(f"the labels of {self.split} cannot be read", str(found), str(error))]
        if not any(len(f) for s in sequences for f in s):
            return [Problem(f"nobody is labelled in {self.split}", str(found), self.SOURCE)]
        return self._check_pictures(sequences)

    def _check_pictures(self, sequences: Sequence[LabelledSequence]) -> list[Problem]:
        names = list(
            dict.fromkeys(self.picture_name(s, f) for s in sequences for f in s if f.labelled)
        )
        try:
            missing = [n for n in names if self.finder.find(n) is None]
        except FormatError as error:
            return [Problem("pictures cannot be told apart", str(self.root), str(error))]
        if missing:
            what = (
                f"{len(missing)} of {len(names)} labelled pictures of {self.split} are missing: "
                f"{', '.join(missing[:3])}{' ...' if len(missing) > 3 else ''}"
            )
            places = ", ".join(str(p) for p in self.finder.places(missing[0]))
            return [Problem(what, places, self.SOURCE)]
        return self._check_sizes(sequences)

    def _check_sizes(self, sequences: Sequence[LabelledSequence]) -> list[Problem]:
        """The first picture with a labelled size tells whether the copy was scaled."""
        sized = ((s, f) for s in sequences for f in s if f.labelled and f.size is not None)
        for sequence, frame in sized:
            path = self.finder.require(self.picture_name(sequence, frame), self._whose)
            try:
                size = picture_size(path)
            except FormatError as error:
                return [Problem("a picture is damaged", str(path), str(error))]
            if frame.size is not None and size != tuple(frame.size):
                return [
                    Problem(
                        f"pictures have another size than the labels say: {path.name} is "
                        f"{size[0]}x{size[1]}, the labels are for {frame.size[0]}x{frame.size[1]}",
                        str(path),
                        "use the pictures as released, not a scaled copy",
                    )
                ]
            break
        return []
