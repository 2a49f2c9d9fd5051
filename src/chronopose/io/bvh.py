"""BVH (Biovision hierarchy): a skeleton of named joints and the channels that turn it over time.

Conventions
    A joint's matrix is the product of its rotation channels in the order in which the file lists
    them, the first leftmost; a child's offset is turned by the product of all joints above it. A
    joint lies where its bone begins: ``rShin`` is the knee. Angles are degrees.
    Position channels of the root are added to its offset. Position channels of any other joint
    replace its offset, as the files that have them mean it.
    An ``End Site`` has no name of its own: it becomes a joint named after its parent with ``_end``
    behind, without channels.

Source: the description of the format by Biovision, as kept in M. Meredith and S. Maddock, "Motion
Capture File Formats Explained" (University of Sheffield, CS-01-11).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from chronopose.errors import FormatError, ShapeError
from chronopose.io._fields import reading
from chronopose.io.atomic import write_text

CHANNELS = ("Xposition", "Yposition", "Zposition", "Xrotation", "Yrotation", "Zrotation")
"""What a channel can be."""

END = "_end"
"""Behind the parent's name: the name of an end site."""


@dataclass(frozen=True)
class BvhMotion:
    """What a BVH file holds.

    Args:
        joints: Names of the J joints, parents first, end sites included.
        parents: Position in ``joints`` of every joint's parent; -1 for the root.
        offsets: ``(J, 3)`` float64, from the parent, file units.
        channels: For every joint its channels (:data:`CHANNELS`), in the order of the file.
        frame_time_s: Seconds from one frame to the next, as the file states it.
        values: ``(T, C)`` float64, all channels joint after joint: file units and degrees.
    """

    joints: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: NDArray[np.float64]
    channels: tuple[tuple[str, ...], ...]
    frame_time_s: float
    values: NDArray[np.float64]

    def __post_init__(self) -> None:
        count, width = len(self.joints), sum(map(len, self.channels))
        if not len(self.parents) == len(self.channels) == count:
            raise ShapeError(
                f"{count} joints need as many parents and channel lists; got "
                f"{len(self.parents)} and {len(self.channels)}."
            )
        if np.shape(self.offsets) != (count, 3) or np.shape(self.values)[1:] != (width,):
            raise ShapeError(
                f"{count} joints with {width} channels need offsets ({count}, 3) and values "
                f"(T, {width}); got {np.shape(self.offsets)} and {np.shape(self.values)}."
            )
        if any(not p < j for j, p in enumerate(self.parents)):
            raise ShapeError(f"Parents must come before their children; got {self.parents}.")

    def __len__(self) -> int:
        return len(self.values)

    def world(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Positions and rotations of all joints by forward kinematics.

        Returns:
            ``(T, J, 3)`` positions in file units, and ``(T, J, 3, 3)`` rotations that carry a
            vector of the rest pose (all angles zero) into the posed figure.
        """
        frames, count = len(self), len(self.joints)
        places = np.empty((frames, count, 3))
        turns = np.empty((frames, count, 3, 3))
        first = 0
        for joint, parent in enumerate(self.parents):
            names = self.channels[joint]
            mine = self.values[:, first : first + len(names)]
            first += len(names)
            arm = self._arms(joint, names, mine)
            turn = _turn(names, mine)
            if parent < 0:
                places[:, joint], turns[:, joint] = arm, turn
                continue
            above = turns[:, parent]
            places[:, joint] = places[:, parent] + (above @ arm[..., None])[..., 0]
            turns[:, joint] = above @ turn
        return places, turns

    def _arms(
        self, joint: int, names: tuple[str, ...], values: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """``(T, 3)`` from the parent to the joint, in the parent's frame."""
        arm = np.broadcast_to(self.offsets[joint], (len(values), 3)).copy()
        for column, name in enumerate(names):
            if name.endswith("position"):
                start = self.offsets[joint, "XYZ".index(name[0])] if self.parents[joint] < 0 else 0
                arm[:, "XYZ".index(name[0])] = start + values[:, column]
        return arm


def _turn(names: tuple[str, ...], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """``(T, 3, 3)`` product of the rotation channels, the first leftmost."""
    turn = np.broadcast_to(np.eye(3), (len(values), 3, 3))
    for column, name in enumerate(names):
        if name.endswith("rotation"):
            axis = Rotation.from_euler(name[0].lower(), values[:, column, None], degrees=True)
            turn = turn @ axis.as_matrix().reshape(-1, 3, 3)
    return turn


def read_bvh(path: str | Path) -> BvhMotion:
    """Read a BVH file.

    Args:
        path: The file.

    Raises:
        FormatError: no such file, or it is malformed; the message names file and line.
    """
    with reading(path, "a BVH file"):
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    words = _Words(path, lines)
    tree = _tree(words)
    words.want("Frames:")
    frames = words.whole("the number of frames")
    words.want("Frame")
    words.want("Time:")
    frame_time_s = words.number("the frame time")
    if frame_time_s <= 0:
        raise words.wrong(f"the frame time is {frame_time_s:g} s; it must be above 0")
    width = sum(map(len, tree.channels))
    values = _values(path, lines, words.line, frames, width)
    offsets = np.array(tree.offsets, np.float64).reshape(-1, 3)
    return BvhMotion(
        tuple(tree.joints), tuple(tree.parents), offsets, tuple(tree.channels), frame_time_s, values
    )


class _Words:
    """The words of the head of a file, one after the other, with their line numbers."""

    def __init__(self, path: str | Path, lines: list[str]) -> None:
        self.path, self.line = path, 0
        self._words = self._walk(lines)

    def _walk(self, lines: list[str]) -> Iterator[str]:
        for number, line in enumerate(lines, 1):
            for word in line.split():
                self.line = number
                yield word

    def wrong(self, what: str) -> FormatError:
        """The error that says what is wrong in the line that was read last."""
        return FormatError(f"{self.path}, line {self.line}: {what}. It is no whole BVH file.")

    def next(self, what: str) -> str:
        """The next word; ``what`` it should be is for the message."""
        for word in self._words:
            return word
        raise self.wrong(f"the file ends where {what} should stand")

    def want(self, word: str) -> None:
        """Take the next word, which must be this one, whatever its case."""
        got = self.next(word)
        if got.lower() != word.lower():
            raise self.wrong(f"{word} should stand here; got {got[:40]!r}")

    def number(self, what: str) -> float:
        """The next word as a finite number."""
        got = self.next(what)
        try:
            value = float(got)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self.wrong(f"{what} must be a finite number; got {got[:40]!r}")
        return value

    def whole(self, what: str) -> int:
        """The next word as a number without fraction, at least 0."""
        got = self.next(what)
        if not (got.isascii() and got.isdigit() and len(got) < 10):
            raise self.wrong(f"{what} must be a whole number; got {got[:40]!r}")
        return int(got)


class _Tree:
    """The hierarchy while it is read."""

    def __init__(self) -> None:
        self.joints: list[str] = []
        self.parents: list[int] = []
        self.offsets: list[list[float]] = []
        self.channels: list[tuple[str, ...]] = []

    def add(self, words: _Words, name: str, parent: int) -> int:
        """A new joint and its opening brace and offset; returns its position."""
        if name in self.joints:
            raise words.wrong(f"a second joint is called {name!r}")
        words.want("{")
        words.want("OFFSET")
        self.joints.append(name)
        self.parents.append(parent)
        self.offsets.append([words.number(f"the offset of {name}") for _ in range(3)])
        self.channels.append(())
        return len(self.joints) - 1


def _tree(words: _Words) -> _Tree:
    """The hierarchy, up to and including the word MOTION."""
    tree, open_joints = _Tree(), []
    words.want("HIERARCHY")
    words.want("ROOT")
    open_joints.append(tree.add(words, words.next("the name of the root"), -1))
    while open_joints:
        here = open_joints[-1]
        word = words.next("JOINT, End Site, CHANNELS or }")
        match word.upper():
            case "CHANNELS":
                tree.channels[here] = _channels(words, tree.joints[here], tree.channels[here])
            case "JOINT":
                name = words.next("the name of a joint")
                open_joints.append(tree.add(words, name, here))
            case "END":
                words.want("Site")
                tree.add(words, tree.joints[here] + END, here)
                words.want("}")
            case "}":
                open_joints.pop()
            case _:
                raise words.wrong(
                    f"JOINT, End Site, CHANNELS or }} should stand here; got {word[:40]!r}"
                )
    words.want("MOTION")
    return tree


def _channels(words: _Words, joint: str, before: tuple[str, ...]) -> tuple[str, ...]:
    if before:
        raise words.wrong(f"{joint} has a second list of channels")
    known = {name.lower(): name for name in CHANNELS}
    names: list[str] = []
    for _ in range(words.whole(f"the number of channels of {joint}")):
        word = words.next(f"a channel of {joint}")
        if word.lower() not in known:
            raise words.wrong(
                f"{joint} has the channel {word[:40]!r}; known: {', '.join(CHANNELS)}"
            )
        if known[word.lower()] in names:
            raise words.wrong(f"{joint} has the channel {word} twice")
        names.append(known[word.lower()])
    return tuple(names)


def _values(
    path: str | Path, lines: list[str], skip: int, frames: int, width: int
) -> NDArray[np.float64]:
    """``(frames, width)`` numbers of the lines after line ``skip``; empty lines are no frames."""
    rows = [(n, words) for n, line in enumerate(lines[skip:], skip + 1) if (words := line.split())]
    if len(rows) != frames:
        raise FormatError(
            f"{path}, line {len(lines)}: {frames} frames are announced and {len(rows)} are there. "
            f"It was cut short or changed; get it again from its source."
        )
    values = np.empty((frames, width))
    for place, (number, row) in enumerate(rows):
        where = f"{path}, line {number}"
        if len(row) != width:
            raise FormatError(f"{where}: a frame has {width} channels; got {len(row)} numbers.")
        try:
            values[place] = row
        except ValueError as error:
            raise FormatError(f"{where}: a frame must be numbers ({error}).") from error
        if not np.isfinite(values[place]).all():
            raise FormatError(f"{where}: a frame must be finite numbers.")
    return values


def write_bvh(path: str | Path, motion: BvhMotion) -> None:
    """Write a BVH file, all or nothing; numbers with six digits after the point.

    Raises:
        FormatError: the file cannot be written, or an end site has channels or children.
    """
    below: dict[int, list[int]] = {j: [] for j in range(-1, len(motion.joints))}
    for joint, parent in enumerate(motion.parents):
        below[parent].append(joint)
    if len(below[-1]) != 1:
        raise FormatError(f"Cannot write {path}: a BVH file has one root; got {len(below[-1])}.")
    lines = ["HIERARCHY"]
    _write_joint(path, motion, below, 0, lines, "")
    lines += ["MOTION", f"Frames: {len(motion)}", f"Frame Time: {motion.frame_time_s:.8f}"]
    order = _written_order(below)
    first = np.cumsum([0, *map(len, motion.channels)])
    columns = [c for j in order for c in range(first[j], first[j + 1])]
    lines += [" ".join(f"{v:.6f}" for v in row) for row in motion.values[:, columns]]
    write_text(path, "\n".join(lines) + "\n")


def _written_order(below: dict[int, list[int]]) -> list[int]:
    order, waiting = [], [0]
    while waiting:
        order.append(waiting.pop())
        waiting += reversed(below[order[-1]])
    return order


def _write_joint(
    path: str | Path,
    motion: BvhMotion,
    below: dict[int, list[int]],
    joint: int,
    lines: list[str],
    indent: str,
) -> None:
    name, channels = motion.joints[joint], motion.channels[joint]
    parent = motion.parents[joint]
    end = parent >= 0 and name == motion.joints[parent] + END
    if end and (channels or below[joint]):
        raise FormatError(f"Cannot write {path}: the end site {name} has channels or children.")
    head = "End Site" if end else f"{'ROOT' if parent < 0 else 'JOINT'} {name}"
    offset = " ".join(f"{v:.6f}" for v in motion.offsets[joint])
    lines += [f"{indent}{head}", f"{indent}{{", f"{indent}  OFFSET {offset}"]
    if not end:
        lines.append(f"{indent}  CHANNELS {' '.join([str(len(channels)), *channels])}")
        for child in below[joint]:
            _write_joint(path, motion, below, child, lines, indent + "  ")
    lines.append(indent + "}")
