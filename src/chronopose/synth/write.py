"""Written clips: a folder that our PoseTrack reader and any npz reader understand.

::

    FOLDER/images/SPLIT/NAME/000000.jpg                 or FOLDER/videos/SPLIT/NAME.mp4
    FOLDER/posetrack_data/annotations/SPLIT/NAME.json   what people would label
    FOLDER/arrays/SPLIT/NAME.npz                        everything that is known
    FOLDER/arrays/SPLIT/NAME.json                       how it was made; there when all is there

Everything is made under hidden names and renamed when it is whole, the last file last. So a run
that was killed can be started again: what :func:`is_written` is whole, all else is made anew.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from chronopose.core.labels import LabelledSequence
from chronopose.core.skeletons import POSETRACK15
from chronopose.errors import FormatError, ShapeError, UsageError
from chronopose.io._fields import load_json
from chronopose.io.atomic import write_failure, write_json
from chronopose.io.posetrack import write_posetrack
from chronopose.io.video import VideoWriter
from chronopose.synth.camera import Camera
from chronopose.synth.clip_arrays import ClipArrays
from chronopose.synth.labels import FrameLabels

Pictures = Literal["jpg", "png", "mp4"]

FORMAT = "chronopose synth clip"
VERSION = 1
"""Raised when the same seed and settings give other labels than before."""

_QUALITY = 92
_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")


@dataclass(frozen=True, kw_only=True)
class ClipFacts:
    """How a clip was made.

    Args:
        split: ``train``, ``val`` or ``test``.
        name: Of the clip.
        seed: Decided everything random.
        settings: What else decided, plain values.
        version: :data:`VERSION` of the generator.
        frames: How many.
        size: Width and height, pixels.
        people: How many different ones.
        pictures: ``jpg``, ``png`` or ``mp4``.
        labels_sha256: :meth:`ClipArrays.digest`: the same on any machine.
        seen_sha256: :meth:`ClipArrays.seen_digest`: the same for the same renderer.
    """

    split: str
    name: str
    seed: int
    settings: Mapping[str, Any]
    version: int
    frames: int
    size: tuple[int, int]
    people: int
    pictures: Pictures
    labels_sha256: str
    seen_sha256: str


@dataclass(frozen=True)
class ClipPlaces:
    """Where the parts of a clip are.

    Args:
        folder: Root of the set.
        split: Split.
        name: Of the clip.
    """

    folder: Path
    split: str
    name: str

    def __post_init__(self) -> None:
        for word in (self.split, self.name):
            if not _NAME.fullmatch(word):
                raise UsageError(
                    f"{word!r} cannot name a clip or a split: use 1 to 40 letters, digits, - and _."
                )

    @property
    def pictures(self) -> Path:
        """Folder of the pictures."""
        return self.folder / "images" / self.split / self.name

    @property
    def video(self) -> Path:
        """The video, where there are no pictures."""
        return self.folder / "videos" / self.split / f"{self.name}.mp4"

    @property
    def annotations(self) -> Path:
        """Labels as PoseTrack 2018 writes them."""
        return self.folder / "posetrack_data" / "annotations" / self.split / f"{self.name}.json"

    @property
    def arrays(self) -> Path:
        """Labels as arrays."""
        return self.folder / "arrays" / self.split / f"{self.name}.npz"

    @property
    def facts(self) -> Path:
        """How it was made."""
        return self.folder / "arrays" / self.split / f"{self.name}.json"

    def picture(self, number: int, suffix: str) -> str:
        """Name of a picture in the labels."""
        return f"images/{self.split}/{self.name}/{number:06d}.{suffix}"


def write_clip(
    folder: str | Path,
    split: str,
    name: str,
    frames: Iterable[NDArray[np.uint8]],
    labels: Sequence[FrameLabels],
    cameras: Sequence[Camera],
    time_s: Sequence[float] | NDArray[np.float64],
    *,
    seed: int,
    settings: Mapping[str, Any],
    layers: Mapping[str, NDArray[Any] | None] | None = None,
    pictures: Pictures = "jpg",
    quality: int = _QUALITY,
    least_visible: int = 1,
) -> ClipFacts:
    """Write one clip, or nothing that counts as one.

    Args:
        folder: Root of the set; made if needed.
        split: ``train``, ``val`` or ``test``.
        name: Of the clip; letters, digits, - and _.
        frames: T pictures ``(H, W, 3)`` uint8 RGB; taken one by one.
        labels: One a frame.
        cameras: One a frame, all of one size.
        time_s: One a frame, seconds, rising.
        seed: What the clip was made from.
        settings: What else it was made from; plain values.
        layers: ``masks``, ``depth`` and ``flow`` as :meth:`ClipArrays.of` takes them, if wanted.
        pictures: ``jpg``, ``png``, or ``mp4`` for one video with the frames' times.
        quality: Of JPEG pictures, 1 to 95.
        least_visible: People with fewer visible joints (of the 15 of PoseTrack) in a frame are
            not in its annotations, as nobody would have labelled them.

    Raises:
        ShapeError: counts or sizes disagree.
        UsageError: no such kind of pictures, a name that cannot be one, or a setting without a
            JSON form.
        FormatError: the system refused to write.
        VideoError: the video could not be written.
    """
    if pictures not in ("jpg", "png", "mp4"):
        raise UsageError(f"Pictures are 'jpg', 'png' or 'mp4'; got {pictures!r}.")
    places = ClipPlaces(Path(folder), split, name)
    arrays = ClipArrays.of(labels, cameras, time_s, layers)
    size = int(arrays.size[0]), int(arrays.size[1])
    facts = ClipFacts(
        split=split, name=name, seed=seed, settings=dict(settings), version=VERSION,
        frames=len(arrays), size=size, people=len(arrays.ids), pictures=pictures,
        labels_sha256=arrays.digest(), seen_sha256=arrays.seen_digest(),
    )  # fmt: skip
    try:
        json.dumps(asdict(facts), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UsageError(f"The settings of clip {name} must be plain values: {error}.") from error
    suffix = "jpg" if pictures == "mp4" else pictures
    sequence = LabelledSequence(
        name, POSETRACK15,
        tuple(
            frame.to_labelled(
                POSETRACK15, places.picture(number, suffix), number, size=size,
                least_visible=least_visible,
            )
            for number, frame in enumerate(labels)
        ),
    )  # fmt: skip
    try:
        _remove(places)
        if pictures == "mp4":
            _write_video(places.video, frames, arrays, size)
        else:
            _write_pictures(places.pictures, frames, len(arrays), size, pictures, quality)
        arrays.write(places.arrays)
        # A reader takes every .json of the annotations' folder, unfinished ones included.
        waiting = _hidden(places.facts.with_name(name))
        waiting.mkdir()
        write_posetrack([sequence], waiting / places.annotations.name)
        os.replace(waiting / places.annotations.name, places.annotations)
        waiting.rmdir()
    except OSError as error:
        raise write_failure(places.folder, error) from error
    write_json(places.facts, {"format": FORMAT, **asdict(facts)})
    return facts


def is_written(folder: str | Path, split: str, name: str) -> bool:
    """Whether the clip is there as a whole."""
    places = ClipPlaces(Path(folder), split, name)
    try:
        facts = read_facts(folder, split, name)
    except FormatError:
        return False
    if facts.pictures == "mp4":
        shown = places.video.is_file()
    else:
        last = places.picture(facts.frames - 1, facts.pictures)
        shown = (places.folder / last).is_file()
    return shown and places.arrays.is_file() and places.annotations.is_file()


def read_facts(folder: str | Path, split: str, name: str) -> ClipFacts:
    """How a written clip was made.

    Raises:
        FormatError: the clip was not written, or the file of facts is something else.
    """
    path = ClipPlaces(Path(folder), split, name).facts
    content = load_json(path)
    wanted = set(ClipFacts.__dataclass_fields__)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise FormatError(f"{path} does not tell how a clip was made. Generate the clip again.")
    if missing := sorted(wanted - content.keys()):
        raise FormatError(f"{path} lacks {', '.join(missing)}. Generate the clip again.")
    width, height = content["size"]
    return ClipFacts(**{n: content[n] for n in wanted} | {"size": (width, height)})


def list_clips(folder: str | Path, split: str) -> list[str]:
    """Names of the clips of a split that are there as a whole, sorted."""
    files = (Path(folder) / "arrays" / split).glob("*.json")
    names = sorted(f.stem for f in files if _NAME.fullmatch(f.stem))
    return [name for name in names if is_written(folder, split, name)]


def _remove(places: ClipPlaces) -> None:
    """Take away what an earlier run left, what makes the clip count first; make the folders."""
    files = (places.facts, places.annotations, places.arrays, places.video)
    for file in files:
        file.unlink(missing_ok=True)
    for folder in {f.parent for f in files[:3]} | {places.pictures.parent}:
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f".{places.name}.*"):
            if left.is_dir():
                shutil.rmtree(left)
            else:
                left.unlink(missing_ok=True)
    if places.pictures.exists():
        shutil.rmtree(places.pictures)


def _hidden(path: Path) -> Path:
    """A free name beside a path that :func:`_remove` finds again."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")


def _write_pictures(
    folder: Path,
    frames: Iterable[NDArray[np.uint8]],
    count: int,
    size: tuple[int, int],
    kind: str,
    quality: int,
) -> None:
    unfinished = _hidden(folder)
    unfinished.mkdir()
    options: dict[str, Any] = {"quality": quality, "subsampling": 0} if kind == "jpg" else {}
    try:
        written = 0
        for number, frame in enumerate(frames):
            _check_frame(frame, size, number, count)
            Image.fromarray(frame).save(unfinished / f"{number:06d}.{kind}", **options)
            written += 1
        _check_count(written, count)
        os.replace(unfinished, folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def _write_video(
    path: Path, frames: Iterable[NDArray[np.uint8]], arrays: ClipArrays, size: tuple[int, int]
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, size) as writer:
        written = 0
        for number, frame in enumerate(frames):
            _check_frame(frame, size, number, len(arrays))
            writer.write(frame, float(arrays.time_s[number]))
            written += 1
        _check_count(written, len(arrays))


def _check_frame(frame: NDArray[np.uint8], size: tuple[int, int], number: int, count: int) -> None:
    width, height = size
    if frame.shape != (height, width, 3) or frame.dtype != np.uint8:
        raise ShapeError(
            f"Frame {number} must be ({height}, {width}, 3) uint8; got {frame.shape} {frame.dtype}."
        )
    if number >= count:
        _check_count(number + 1, count)


def _check_count(found: int, count: int) -> None:
    if found != count:
        raise ShapeError(f"{count} labelled frames need as many pictures; got {found}.")
