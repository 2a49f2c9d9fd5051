"""ASF/AMC (Acclaim): a skeleton of bones with their own axes, and its angles over time.

Conventions
    A bone has a direction and a length in the world of the rest pose, and an axis triple that says
    where its own axes point. With ``C`` the turn of that triple and ``M`` the turn of the bone's
    angles in a frame, the bone adds ``C M C^-1`` to the turn of its parent. Triples are turns
    about the fixed axes x, y, z, in the order that the ASF file names (``XYZ``: about x first).
    The point of a bone is its END; ``root`` is the root's place.
    Files are y-up. Their length unit is such that ``metres = value / length * 0.0254``, ``length``
    from the ``:units`` section (0.45 in the CMU files).
    No file holds a rate.

Source: J. Lander, "Working with Motion Capture File Formats", Game Developer, January 1998; CMU
Graphics Lab Motion Capture Database (mocap.cs.cmu.edu, NSF EIA-0196217) for the unit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from chronopose.errors import FormatError
from chronopose.io._fields import reading

METRES_PER_INCH = 0.0254
ROOT = "root"
_ROOT_DOF = ("tx", "ty", "tz", "rx", "ry", "rz")


@dataclass(frozen=True)
class AsfSkeleton:
    """What an ASF file holds.

    Args:
        bones: Names of the B bones, parents first; the first is ``root``.
        parents: Position in ``bones`` of every bone's parent; -1 for the root.
        ends: ``(B, 3)`` float64, from a bone's beginning to its end at rest, metres; the root's
            place at rest in the first row.
        axes: ``(B, 3, 3)`` float64, turn from the world to the bone's own axes (``C``).
        orders: For every bone the order of its turns, such as ``xyz``: about fixed x first.
        dof: For every bone the values that an AMC file gives it, of ``tx ty tz rx ry rz``.
        metres_per_unit: Length of a file unit.
        degrees: Whether angles are degrees; radians otherwise.
    """

    bones: tuple[str, ...]
    parents: tuple[int, ...]
    ends: NDArray[np.float64]
    axes: NDArray[np.float64]
    orders: tuple[str, ...]
    dof: tuple[tuple[str, ...], ...]
    metres_per_unit: float
    degrees: bool

    def pose(
        self, values: NDArray[np.float64], *, degrees: bool | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Ends and turns of all bones by forward kinematics.

        Args:
            values: ``(T, C)``, the values of all bones' ``dof`` one after the other, file units.
            degrees: Overrides the skeleton's own.

        Returns:
            ``(T, B, 3)`` ends in metres, and ``(T, B, 3, 3)`` turns that carry a vector of the
            rest pose into the posed figure.
        """
        scale = 1.0 if (self.degrees if degrees is None else degrees) else math.degrees(1)
        places = np.empty((len(values), len(self.bones), 3))
        turns = np.empty((len(values), len(self.bones), 3, 3))
        first = 0
        for bone, parent in enumerate(self.parents):
            given = dict(zip(self.dof[bone], values.T[first:], strict=False))
            first += len(self.dof[bone])
            zeros = np.zeros(len(values))
            angles = np.stack([given.get(f"r{a}", zeros) for a in self.orders[bone]], -1) * scale
            turn = Rotation.from_euler(self.orders[bone], angles, degrees=True).as_matrix()
            turn = self.axes[bone] @ turn.reshape(-1, 3, 3) @ self.axes[bone].T
            if parent < 0:
                moved = np.stack([given.get(f"t{a}", zeros) for a in "xyz"], -1)
                places[:, bone] = self.ends[bone] + moved * self.metres_per_unit
                turns[:, bone] = turn
                continue
            turns[:, bone] = turns[:, parent] @ turn
            places[:, bone] = places[:, parent] + turns[:, bone] @ self.ends[bone]
        return places, turns


@dataclass(frozen=True)
class AmcMotion:
    """A skeleton that moves.

    Args:
        skeleton: Names the bones.
        positions: ``(T, B, 3)`` float64, the bones' ends, metres, y up.
        rotations: ``(T, B, 3, 3)`` float64, turns away from the rest pose in the world.
    """

    skeleton: AsfSkeleton
    positions: NDArray[np.float64]
    rotations: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.positions)


class _Lines:
    """Lines of a file with their numbers, without comments and empty ones."""

    def __init__(self, path: str | Path, what: str) -> None:
        self.path, self.what, self.number = path, what, 0
        with reading(path, what):
            self._text = Path(path).read_text(encoding="utf-8-sig").splitlines()

    def __iter__(self) -> Iterator[list[str]]:
        for number, line in enumerate(self._text, 1):
            self.number = number
            words = line.partition("#")[0].split()
            if words:
                yield words

    def wrong(self, what: str) -> FormatError:
        """The error that says what is wrong in the line that was read last."""
        return FormatError(f"{self.path}, line {self.number}: {what}. It is not {self.what}.")

    def numbers(self, words: list[str], count: int, what: str) -> list[float]:
        """``count`` finite numbers."""
        try:
            values = [float(w) for w in words[:count]]
        except ValueError as error:
            raise self.wrong(f"{what} must be {count} numbers ({error})") from error
        if len(values) != count or not all(map(math.isfinite, values)):
            raise self.wrong(f"{what} must be {count} finite numbers; got {' '.join(words)[:60]!r}")
        return values

    def order(self, word: str, what: str) -> str:
        """An order of axes, in small letters."""
        if sorted(word.lower()) != ["x", "y", "z"]:
            raise self.wrong(f"{what} must be an order of X, Y and Z; got {word[:20]!r}")
        return word.lower()


@dataclass
class _Bone:
    """A bone while it is read."""

    name: str = ""
    direction: tuple[float, ...] = (0.0, 0.0, 0.0)
    length: float = math.nan
    axis: tuple[float, ...] = (0.0, 0.0, 0.0)
    order: str = "xyz"
    dof: tuple[str, ...] = ()


class _AsfReader:
    """The state of reading an ASF file."""

    def __init__(self, lines: _Lines) -> None:
        self.lines = lines
        self.length, self.degrees = 1.0, True
        self.root = _Bone(ROOT, dof=_ROOT_DOF, length=1.0)
        self.bones: dict[str, _Bone] = {}
        self.parent: dict[str, str] = {}
        self._open: _Bone | None = None

    def read(self) -> AsfSkeleton:
        """The skeleton of the whole file."""
        section, sections = "", set()
        for words in self.lines:
            if words[0].startswith(":"):
                section = words[0].lower()
                sections.add(section)
            elif section == ":units":
                self._units(words)
            elif section == ":root":
                self._root(words)
            elif section == ":bonedata":
                self._bone(words)
            elif section == ":hierarchy":
                self._hierarchy(words)
        for needed in (":root", ":bonedata", ":hierarchy"):
            if needed not in sections:
                raise self.lines.wrong(f"the file ends without a section {needed}")
        if self._open is not None:
            raise self.lines.wrong(f"the file ends inside the bone {self._open.name!r}")
        return self._skeleton()

    def _units(self, words: list[str]) -> None:
        if words[0] == "length":
            self.length = self.lines.numbers(words[1:], 1, "the unit of length")[0]
            if self.length <= 0:
                raise self.lines.wrong(f"the unit of length is {self.length:g}")
        elif words[0] == "angle":
            kind = words[1].lower() if len(words) > 1 else ""
            if kind not in ("deg", "rad"):
                raise self.lines.wrong(f"angles must be deg or rad; got {kind!r}")
            self.degrees = kind == "deg"

    def _root(self, words: list[str]) -> None:
        match words[0]:
            case "order":
                dof = tuple(w.lower() for w in words[1:])
                if not dof or len(set(dof)) != len(dof) or not set(dof) <= set(_ROOT_DOF):
                    raise self.lines.wrong(f"the root's order is {' '.join(words[1:])!r}")
                self.root.dof = dof
            case "axis":
                self.root.order = self.lines.order(words[-1], "the root's axis")
            case "position":
                self.root.direction = tuple(self.lines.numbers(words[1:], 3, "the root's position"))
            case "orientation":
                self.root.axis = tuple(self.lines.numbers(words[1:], 3, "the root's orientation"))

    def _bone(self, words: list[str]) -> None:
        if words[0] == "begin":
            if self._open is not None:
                raise self.lines.wrong(f"a bone begins inside the bone {self._open.name!r}")
            self._open = _Bone()
            return
        bone = self._open
        if bone is None:
            raise self.lines.wrong(f"'begin' should stand here; got {words[0][:40]!r}")
        match words[0]:
            case "name":
                bone.name = words[1] if len(words) > 1 else ""
            case "direction":
                bone.direction = tuple(self.lines.numbers(words[1:], 3, "a direction"))
            case "length":
                bone.length = self.lines.numbers(words[1:], 1, "a length")[0]
            case "axis":
                bone.axis = tuple(self.lines.numbers(words[1:], 3, "an axis"))
                bone.order = self.lines.order(words[-1], "the order of an axis")
            case "dof":
                bone.dof = tuple(w.lower() for w in words[1:])
                if not set(bone.dof) <= set(_ROOT_DOF[3:]):
                    raise self.lines.wrong(
                        f"{bone.name} moves by {' '.join(words[1:])!r}; only rx ry rz can be read"
                    )
            case "end":
                self._close(bone)

    def _close(self, bone: _Bone) -> None:
        if not bone.name or bone.name == ROOT or bone.name in self.bones:
            raise self.lines.wrong(f"a bone needs a name of its own; got {bone.name!r}")
        if not (math.isfinite(bone.length) and any(bone.direction)):
            raise self.lines.wrong(f"the bone {bone.name!r} has no length or direction")
        self.bones[bone.name] = bone
        self._open = None

    def _hierarchy(self, words: list[str]) -> None:
        if words[0] in ("begin", "end"):
            return
        for child in words[1:]:
            if child not in self.bones:
                raise self.lines.wrong(f"{child!r} is no bone of this file")
            if child in self.parent:
                raise self.lines.wrong(f"{child!r} has two parents")
            if words[0] != ROOT and words[0] not in self.bones:
                raise self.lines.wrong(f"{words[0]!r} is no bone of this file")
            self.parent[child] = words[0]

    def _skeleton(self) -> AsfSkeleton:
        order, below = [ROOT], {name: list[str]() for name in (ROOT, *self.bones)}
        for child, parent in self.parent.items():
            below[parent].append(child)
        for name in order:
            order += below[name]
        loose = sorted(set(self.bones) - set(order))
        if loose:
            raise self.lines.wrong(f"not joined to the root: {', '.join(loose)}")
        scale = METRES_PER_INCH / self.length
        found = [self.root, *(self.bones[n] for n in order[1:])]
        ends = [self._end(bone) * scale for bone in found]
        axes = [
            Rotation.from_euler(b.order, self._turns(b), degrees=self.degrees).as_matrix()
            for b in found
        ]
        return AsfSkeleton(
            tuple(order),
            (-1, *(order.index(self.parent[n]) for n in order[1:])),
            np.array(ends, np.float64),
            np.array(axes, np.float64),
            tuple(b.order for b in found),
            tuple(b.dof for b in found),
            scale,
            self.degrees,
        )

    @staticmethod
    def _end(bone: _Bone) -> NDArray[np.float64]:
        """From beginning to end; directions are made unit vectors, the root's is its place."""
        vector = np.array(bone.direction, np.float64)
        return vector if bone.name == ROOT else vector / np.linalg.norm(vector) * bone.length

    @staticmethod
    def _turns(bone: _Bone) -> list[float]:
        """Angles about x, y and z, in the order in which they are applied."""
        return [bone.axis["xyz".index(letter)] for letter in bone.order]


def read_asf(path: str | Path) -> AsfSkeleton:
    """Read the skeleton of an ASF file.

    Args:
        path: The file.

    Raises:
        FormatError: no such file, or it is malformed; the message names file and line.
    """
    return _AsfReader(_Lines(path, "a whole ASF file")).read()


def read_amc(path: str | Path, skeleton: AsfSkeleton) -> AmcMotion:
    """Read the motion of an AMC file.

    A bone that a frame does not name keeps its rest pose in that frame.

    Args:
        path: The file.
        skeleton: The subject's, from :func:`read_asf`.

    Raises:
        FormatError: no such file, or it is malformed or does not fit the skeleton; the message
            names file and line.
    """
    lines = _Lines(path, "a whole AMC file of this skeleton")
    first, width = {}, 0
    for bone, dof in zip(skeleton.bones, skeleton.dof, strict=True):
        first[bone] = (width, len(dof))
        width += len(dof)
    degrees, rows, seen = skeleton.degrees, list[NDArray[np.float64]](), set[str]()
    for words in lines:
        if words[0].startswith(":"):
            if words[0].upper() in (":DEGREES", ":RADIANS"):
                degrees = words[0].upper() == ":DEGREES"
            continue
        if len(words) == 1 and words[0].isdigit():
            if rows and ROOT not in seen:
                raise lines.wrong("the frame before this one does not say where the root is")
            rows.append(np.zeros(width))
            seen = set()
            continue
        _bone_values(lines, words, first, rows, seen)
    if not rows or ROOT not in seen:
        raise lines.wrong("the file ends before the root of its last frame")
    return AmcMotion(skeleton, *skeleton.pose(np.stack(rows), degrees=degrees))


def _bone_values(
    lines: _Lines,
    words: list[str],
    first: dict[str, tuple[int, int]],
    rows: list[NDArray[np.float64]],
    seen: set[str],
) -> None:
    """Put the values of one line into the last of ``rows``."""
    name = words[0]
    if name not in first:
        raise lines.wrong(f"{name[:40]!r} is neither a frame number nor a bone of the skeleton")
    if not rows:
        raise lines.wrong(f"the bone {name!r} stands before the first frame number")
    if name in seen:
        raise lines.wrong(f"the bone {name!r} is there twice in one frame")
    start, count = first[name]
    if len(words) - 1 != count:
        raise lines.wrong(f"the bone {name!r} has {count} values; got {len(words) - 1}")
    rows[-1][start : start + count] = lines.numbers(words[1:], count, f"the values of {name}")
    seen.add(name)
