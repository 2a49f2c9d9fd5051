"""Shards for training out of written clips: people cut out once, read many times."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from chronopose.core.crop import CropWindow
from chronopose.core.skeletons import COCO17
from chronopose.errors import FormatError, UsageError
from chronopose.io.atomic import write_failure
from chronopose.io.shards import SUFFIX, ShardRow, ShardWriter, encode_crop
from chronopose.io.video import open_video
from chronopose.synth.clip_arrays import ClipArrays, read_arrays
from chronopose.synth.write import ClipPlaces, list_clips, read_facts


@dataclass(frozen=True, kw_only=True)
class CropRule:
    """Which people become rows, and how they are cut out.

    Args:
        side_px: Largest side of the square crops; people who are smaller are not enlarged.
        grow: Side of the crop over the longer side of the person's box: room for augmentation.
        frames: Length of a clip, odd; the key frame in the middle.
        every: A person is cut out of every so manyth frame.
        least_share: Of the person's outline that is seen in the key frame.
        least_height_px: Of the person's box, as far as it is in the picture.
        least_visible: Joints (of COCO's 17) that are visible in the key frame.
        quality: Of the JPEGs.

    Raises:
        UsageError: a number makes no sense.
    """

    side_px: int = 384
    grow: float = 1.8
    frames: int = 1
    every: int = 4
    least_share: float = 0.25
    least_height_px: float = 24.0
    least_visible: int = 4
    quality: int = 90

    def __post_init__(self) -> None:
        if self.frames < 1 or self.frames % 2 == 0:
            raise UsageError(f"A clip has an odd number of frames; got {self.frames}.")
        if self.side_px < 8 or self.grow < 1 or self.every < 1 or not 1 <= self.quality <= 95:
            raise UsageError(
                f"Crops need a side of at least 8 px, grow of at least 1, every of at least 1 and "
                f"a quality of 1 to 95; got {self.side_px}, {self.grow}, {self.every} and "
                f"{self.quality}."
            )


def write_shards(
    folder: str | Path,
    split: str,
    out: str | Path,
    rule: CropRule,
    *,
    rows_a_shard: int = 4096,
    watch: Callable[[Sequence[str]], Iterable[str]] = iter,
) -> int:
    """Cut people out of the clips of a split.

    Clips are taken by name, people by id; the same clips give the same shards. Shards of an earlier
    run in ``out`` are replaced once all new ones are whole; until then, and after any error, they
    stay as they were.

    Args:
        folder: Root of the written clips.
        split: Split.
        out: Folder of the shards; made if needed. Files ``SPLIT-00000.arrow``, ...
        rule: Who, and how.
        rows_a_shard: Most rows of a file.
        watch: Goes through the names of the clips, e.g. with a progress bar around them.

    Returns:
        Rows written.

    Raises:
        FormatError: there is no whole clip, a picture is damaged, nobody fits the rule, or the
            system refused to write.
    """
    names = list_clips(folder, split)
    if not names:
        raise FormatError(f"{folder} holds no whole clip of {split}. Generate some first.")
    rows = (row for name in watch(names) for row in clip_rows(folder, split, name, rule))
    first = read_arrays(ClipPlaces(Path(folder), split, names[0]).arrays)
    count, number, row = 0, 0, next(rows, None)
    if row is None:
        raise FormatError(
            f"Nobody in the {len(names)} clips of {split} in {folder} fits the rule: "
            f"{rule.least_visible} visible joints, {rule.least_height_px:g} px of height and "
            f"{rule.least_share:g} of the outline seen. Ask for less."
        )
    with _together(Path(out), split) as hidden:
        while row is not None:
            facts = {"split": split, "clips": len(names), "rule": asdict(rule), "number": number}
            path = hidden / f"{split}-{number:05d}{SUFFIX}"
            with ShardWriter(path, first.joints, facts) as writer:
                while row is not None and len(writer) < rows_a_shard:
                    writer.add(row)
                    row = next(rows, None)
                count += len(writer)
            number += 1
    return count


@contextmanager
def _together(out: Path, split: str) -> Iterator[Path]:
    """A hidden folder whose shards take the place of the old ones when the block ends well."""
    hidden = out / f".{split}.{secrets.token_hex(4)}.part"
    try:
        out.mkdir(parents=True, exist_ok=True)
        for left in out.glob(f".{split}.*.part"):
            shutil.rmtree(left)
        hidden.mkdir()
    except OSError as error:
        raise write_failure(out, error) from error
    try:
        yield hidden
        for old in out.glob(f"{split}-[0-9]*{SUFFIX}"):
            old.unlink()
        for new in sorted(hidden.iterdir()):
            os.replace(new, out / new.name)
    except OSError as error:
        raise write_failure(out, error) from error
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def clip_rows(folder: str | Path, split: str, name: str, rule: CropRule) -> Iterator[ShardRow]:
    """The people of one written clip, frame by frame.

    Yields:
        Rows in the order of key frames, then ids. Frames beyond the ends of the clip repeat its
        first or last one.

    Raises:
        FormatError: the clip was not written, or is damaged.
    """
    places = ClipPlaces(Path(folder), split, name)
    facts, arrays = read_facts(folder, split, name), read_arrays(places.arrays)
    if facts.pictures == "mp4":
        with open_video(places.video) as video:
            pictures = [frame.image for frame in video]
    else:
        pictures = [
            _picture(places.folder / places.picture(n, facts.pictures)) for n in range(len(arrays))
        ]
    if len(pictures) != len(arrays):
        raise FormatError(
            f"Clip {name} of {split} has {len(pictures)} pictures and labels for {len(arrays)} "
            f"frames. Generate it again."
        )
    coco = arrays.places(COCO17.joints)
    reach = rule.frames // 2
    for key in range(0, len(arrays), rule.every):
        at = np.clip(np.arange(key - reach, key + reach + 1), 0, len(arrays) - 1)
        for person in _chosen(arrays, key, coco, rule):
            yield _row(pictures, arrays, at, person, rule, f"{split}/{name} frame {key}")


def _chosen(arrays: ClipArrays, key: int, joints: NDArray[np.int64], rule: CropRule) -> list[int]:
    box = arrays.cut_boxes[key]
    seen = (arrays.visibility[key][:, joints] == 2).sum(1)
    with np.errstate(invalid="ignore"):
        good = (arrays.share[key] >= rule.least_share) & (seen >= rule.least_visible)
        good &= box[:, 3] - box[:, 1] >= rule.least_height_px
    return [int(p) for p in np.flatnonzero(good)]


def _row(
    pictures: list[NDArray[np.uint8]],
    arrays: ClipArrays,
    at: NDArray[np.int64],
    person: int,
    rule: CropRule,
    where: str,
) -> ShardRow:
    key = len(at) // 2
    box = arrays.cut_boxes[at[key], person]
    side = max(box[2:] - box[:2]) * rule.grow
    pixels = int(np.clip(np.rint(side), 8, rule.side_px))
    window = CropWindow.of_box(box, (pixels, pixels), pad=rule.grow)
    corners = window.apply(box.reshape(2, 2)).ravel()
    shrink = 1 / window.scale
    jpeg: dict[int, bytes] = {}
    for number in at.tolist():
        if number not in jpeg:
            crop = _cut(pictures[number], window, shrink)
            jpeg[number] = encode_crop(crop, rule.quality)
    return ShardRow(
        f"{where} person {arrays.ids[person]}", tuple(jpeg[n] for n in at.tolist()),
        window.apply(arrays.xy[at, person]).astype(np.float32), arrays.visibility[at, person],
        corners.astype(np.float32), key,
    )  # fmt: skip


def _cut(picture: NDArray[np.uint8], window: CropWindow, shrink: float) -> NDArray[np.uint8]:
    """A crop, each pixel the mean of what it covers; the picture's edge repeats beyond it."""
    inverse = window.inverse
    low = np.floor(window.invert(np.array([-0.5, -0.5])) - 2).astype(int)
    high = np.ceil(window.invert(np.array(window.out_size) - 0.5) + 2).astype(int)
    height, width = picture.shape[:2]
    rows = np.clip(np.arange(low[1], high[1] + 1), 0, height - 1)
    columns = np.clip(np.arange(low[0], high[0] + 1), 0, width - 1)
    part = Image.fromarray(picture[rows[:, None], columns])
    # resize takes edges, not centres: the window's corner (-0.5, -0.5) in the part's own pixels.
    corner = inverse[:, :2] @ (-0.5, -0.5) + inverse[:, 2] - low + 0.5
    span = np.array(window.out_size) * shrink
    edges = (corner[0], corner[1], corner[0] + span[0], corner[1] + span[1])
    return np.asarray(part.resize(window.out_size, Image.Resampling.BILINEAR, box=edges))


def _picture(path: Path) -> NDArray[np.uint8]:
    try:
        with Image.open(path) as image:
            return np.array(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        raise FormatError(f"Cannot read {path}: {error}. Generate the clip again.") from error
