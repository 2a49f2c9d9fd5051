"""ShardClips: person crops from shards as samples, decoded where they are asked for.

A worker of the loader maps the files it reads and decodes the JPEGs of a sample; nothing is
unpacked ahead, and the operating system keeps what is used often.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import COCO17, get_skeleton
from chronopose.data.clips import Sample
from chronopose.errors import FormatError, UsageError
from chronopose.io.shards import SUFFIX, Shard, decode_crop


class ShardClips:
    """The people of a folder of shards as a :class:`~chronopose.data.clips.ClipSource`.

    A crop was cut wider than the person's box, so that augmentation finds pixels to turn in; the
    box of a sample is the person's own.

    Args:
        folder: With ``*.arrow``; or a list of such files.
        skeleton: Joints of the samples, by name; joints that the shards lack are made from others
            as in :meth:`~chronopose.core.skeleton.Skeleton.map_to`, or stay unknown.
        frames: Length of a clip, odd; the middle of what is stored. None for all of it.
        occluded: Whether hidden joints may be trained on.

    Raises:
        FormatError: there is no shard, one is damaged, or they disagree on their joints.
        UsageError: ``frames`` is even, or more than is stored.
    """

    def __init__(
        self,
        folder: Path | str | Sequence[Path | str],
        *,
        skeleton: Skeleton | str = COCO17,
        frames: int | None = None,
        occluded: bool = True,
    ) -> None:
        if isinstance(folder, Path | str):
            self._files = sorted(Path(folder).glob(f"[!.]*{SUFFIX}"))
            if not self._files:
                raise FormatError(f"There is no shard (*{SUFFIX}) in {folder}. Write some first.")
        else:
            self._files = [Path(f) for f in folder]
        if frames is not None and (frames < 1 or frames % 2 == 0):
            raise UsageError(f"A clip has an odd number of frames; got {frames}.")
        self._frames, self._occluded = frames, occluded
        self._skeleton = get_skeleton(skeleton) if isinstance(skeleton, str) else skeleton
        self._open: dict[int, Shard] = {}
        shards = [self._shard(number) for number in range(len(self._files))]
        different = [s for s in shards if s.joints != shards[0].joints] if shards else []
        if not shards or different:
            raise FormatError(
                f"{different[0].path if different else folder} has other joints than the first "
                f"shard, or there is none. Read shards of one making at a time."
            )
        stored = Skeleton("stored", shards[0].joints)
        self._weights = stored.map_to(self._skeleton).weights
        self._starts = np.cumsum([0, *(len(s) for s in shards)])

    @property
    def skeleton(self) -> Skeleton:
        """As asked for."""
        return self._skeleton

    def __len__(self) -> int:
        return int(self._starts[-1])

    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        """Row ``index`` of all shards; nothing random is in it.

        Raises:
            FormatError: the row is damaged.
            UsageError: it has fewer frames than a clip.
        """
        number = int(np.searchsorted(self._starts, index, side="right")) - 1
        shard = self._shard(number)
        row = shard[index - int(self._starts[number])]
        wanted = len(row.jpeg) if self._frames is None else self._frames
        first, key = (0, row.key) if self._frames is None else (
            row.key - wanted // 2, wanted // 2
        )  # fmt: skip
        if first < 0 or first + wanted > len(row.jpeg):
            raise UsageError(
                f"{shard.path} holds clips of {len(row.jpeg)} frames around frame {row.key}; "
                f"{wanted} are not to be had. Ask for fewer, or write the shards anew."
            )
        span = slice(first, first + wanted)
        images = np.stack([decode_crop(j, f"{shard.path}: {row.name}") for j in row.jpeg[span]])
        joints, usable = self._joints(row.xy[span], row.visibility[span])
        return Sample(images, joints, usable, row.box, self._skeleton, key, name=row.name)

    def fingerprint(self) -> str:
        """Hash of the files' names and sizes, what they tell of their making, and the settings."""
        digest = hashlib.sha256(
            repr((self._skeleton.name, self._frames, self._occluded, len(self))).encode()
        )
        for number, file in enumerate(self._files):
            facts = sorted(self._shard(number).facts.items())
            digest.update(f"{file.name} {file.stat().st_size} {facts}\n".encode())
        return f"shards-{digest.hexdigest()[:12]}"

    def _joints(
        self, xy: NDArray[np.float32], visibility: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Joints of the wanted skeleton ``(F, K, 2)``, and which may be used ``(F, K)``."""
        level = 1 if self._occluded else 2
        known = np.asarray(np.isfinite(xy).all(-1))
        plain = np.where(known[..., None], xy, 0).astype(np.float64)
        found = np.einsum("ks,fsd->fkd", self._weights, plain)
        usable = np.zeros(found.shape[:2], bool)
        for place, used in enumerate(self._weights != 0):
            whole = known[:, used].all(1) & used.any()
            found[~whole, place] = np.nan
            usable[:, place] = whole & (visibility[:, used] >= level).all(1)
        return found.astype(np.float32), usable

    def _shard(self, number: int) -> Shard:
        if number not in self._open:
            self._open[number] = Shard(self._files[number])
        return self._open[number]

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_open": {}}
