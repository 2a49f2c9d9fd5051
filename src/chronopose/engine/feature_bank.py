"""FeatureBank: what a frozen single-frame network says about clips, kept on disk.

The multi-frame models of the arena stand on one frozen backbone. What it makes of the augmented
training clips, and of the people of the evaluation set, is computed once and kept in half
precision; then every model and every seed trains its temporal part on exactly the same numbers, at
a fraction of the cost.

A bank is a folder: ``features.npy`` (clips, frames, h, w, channels) float16, the four stages side
by side, then two channels of optical flow from the key frame, in cells; ``joints.npy``,
``visible.npy``, ``matrix.npy``; and ``bank.json``, which is written last.
:meth:`FeatureBank.complete` adds ``clip_joints.npy``, ``clip_visible.npy`` and ``pictures.npy``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chronopose.engine.module import small_pictures
from chronopose.errors import FormatError, ShapeError, UsageError
from chronopose.io._folder import replacing_folder
from chronopose.io.atomic import replacing
from chronopose.nn.backbones import ALL_STAGES
from chronopose.tensors import ClipBatch

FORMAT = 1
FLOW_CHANNELS = 2
_WHOLE = ("clip_joints", "clip_visible", "pictures")
"""Arrays of completed banks; the last one is written last."""
_FACTS = "bank.json"


class Flows(Protocol):
    """Optical flow of crops, as :class:`chronopose.nn.flow.CropFlows` computes it."""

    def __call__(self, images: Tensor, key: int) -> Tensor:
        """``(B, T, 3, H, W) -> (B, T - 1, 2, h, w)`` from the key frame to the others, in cells."""


class Stages(Protocol):
    """A frozen network: a :class:`~chronopose.nn.backbones.Backbone`, or one that pools."""

    channels: Any
    """Of the stages."""

    def eval(self) -> Any:
        """Without dropout, norms as trained."""

    def forward_stages(self, frames: Tensor, stages: Sequence[int]) -> tuple[Tensor, ...]:
        """``(N, 3, H, W)`` -> stages ``(N, C_j, h, w)``."""


@dataclass(frozen=True)
class FeatureBank:
    """A bank on disk, opened for reading.

    Args:
        folder: Where it lies.
        facts: What was kept: ``channels`` of the four stages, ``key`` frame, ``identity`` of what
            made it.
    """

    folder: Path
    facts: Mapping[str, Any]

    @classmethod
    def open(cls, folder: Path | str, identity: Mapping[str, Any] | None = None) -> FeatureBank:
        """Open a bank.

        Args:
            folder: Where it lies.
            identity: What it has to have been made of, some of it or all; None takes any.

        Raises:
            FormatError: there is no whole bank, or one of something else.
        """
        place = Path(folder)
        try:
            facts = json.loads((place / _FACTS).read_text())
        except (OSError, ValueError) as error:
            raise FormatError(
                f"{place} holds no whole feature bank: {_FACTS} is missing or damaged. Build it "
                f"anew with FeatureBank.build."
            ) from error
        made = facts.get("identity") or {}
        wrong = [k for k, v in _plain(identity or {}).items() if k not in made or made[k] != v]
        if facts.get("format") != FORMAT or wrong:
            raise FormatError(
                f"{place} is a feature bank of other data, of another network or of another "
                f"version. Build it anew, or in another folder."
            )
        return cls(place, facts)

    @classmethod
    def build(
        cls,
        folder: Path | str,
        batches: Iterable[ClipBatch],
        count: int,
        backbone: Stages,
        flows: Flows | None,
        identity: Mapping[str, Any],
    ) -> FeatureBank:
        """Compute a bank, or open the one that is there if it is of the same making.

        Args:
            folder: Where it shall lie; appears whole or not at all.
            batches: Clips in order; not touched if the bank is there.
            count: Clips in all.
            backbone: The frozen network; it is put in eval mode.
            flows: Optical flow of crops; None keeps zeros.
            identity: Plain values that say what the bank is made of.

        Raises:
            FormatError: the disk refused.
        """
        place = Path(folder)
        with suppress(FormatError):
            return cls.open(place, identity)
        with replacing_folder(place) as pending:
            key = _fill(pending, batches, count, backbone.eval(), flows)
            facts = {
                "format": FORMAT, "count": count, "key": key,
                "channels": list(backbone.channels), "identity": _plain(identity),
            }  # fmt: skip
            (pending / _FACTS).write_text(json.dumps(facts, indent=2))
        return cls.open(place, identity)

    def __len__(self) -> int:
        return int(self.facts["count"])

    @property
    def key(self) -> int:
        """Position of the key frame in a clip."""
        return int(self.facts["key"])

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of the four stages."""
        return tuple(self.facts["channels"])

    @cached_property
    def features(self) -> NDArray[np.float16]:
        """``(clips, T, h, w, C + 2)``, mapped from the disk."""
        return self._map("features")

    @cached_property
    def joints(self) -> NDArray[np.float32]:
        """``(clips, K, 2)`` joints of the key frame, crop pixels."""
        return self._map("joints")

    @cached_property
    def visible(self) -> NDArray[np.bool_]:
        """``(clips, K)`` whether they may be used."""
        return self._map("visible")

    @cached_property
    def matrix(self) -> NDArray[np.float32]:
        """``(clips, 2, 3)`` image pixels -> crop pixels."""
        return self._map("matrix")

    def frames(self, rows: NDArray[np.intp] | slice, offsets: tuple[int, ...]) -> Tensor:
        """What :class:`~chronopose.engine.kept.KeptBackbone` reads in place of pictures.

        Args:
            rows: Clips.
            offsets: Frames relative to the key frame.

        Returns:
            ``(B, T, C + 2, h, w)`` float32, channels last in memory.

        Raises:
            ShapeError: the bank does not reach that far.
        """
        at = [self.key + o for o in offsets]
        if min(at) < 0 or max(at) >= self.features.shape[1]:
            raise ShapeError(
                f"The bank keeps {self.features.shape[1]} frames around frame {self.key}; offsets "
                f"{offsets} lie outside. Build a bank of longer clips."
            )
        block = torch.from_numpy(np.ascontiguousarray(self.features[rows][:, at])).float()
        return block.permute(0, 1, 4, 2, 3)

    def batch(
        self, rows: NDArray[np.intp], offsets: tuple[int, ...], *, whole_clip: bool = False
    ) -> ClipBatch:
        """Clips for training, with joints for their key frame alone.

        Args:
            rows: Clips.
            offsets: Frames relative to the key frame.
            whole_clip: With joints for all frames, and with pictures.

        Raises:
            ShapeError: the bank does not reach that far.
            UsageError: the whole clip is wanted of a bank that was not completed.
        """
        frames, matrix = self.frames(rows, offsets), torch.from_numpy(self.matrix[rows])
        if not whole_clip:
            joints = torch.from_numpy(self.joints[rows])[:, None]
            return ClipBatch(
                frames, joints, torch.from_numpy(self.visible[rows])[:, None], 0, matrix
            )
        if not self.is_complete:
            raise UsageError(
                f"{self.folder} keeps the joints of the key frames alone, and this model is "
                f"trained on whole clips. Call complete(batches) with the batches that the bank "
                f"was built from; its features stay as they are."
            )
        at = [self.key + o for o in offsets]
        joints, visible, pictures = (
            torch.from_numpy(np.ascontiguousarray(self._map(name)[rows][:, at])) for name in _WHOLE
        )
        return ClipBatch(frames, joints, visible, offsets.index(0), matrix, pictures.float())

    @property
    def is_complete(self) -> bool:
        """Whether joints and small pictures of all frames are kept too."""
        return (self.folder / f"{_WHOLE[-1]}.npy").is_file()

    def complete(self, batches: Iterable[ClipBatch]) -> None:
        """Keep joints and small pictures of all frames as well, unless they are there.

        Args:
            batches: Those that the bank was built from, in the same order.

        Raises:
            FormatError: they are other ones, or the disk refused.
        """
        if self.is_complete:
            return
        found: dict[str, list[NDArray[Any]]] = {name: [] for name in _WHOLE}
        height, width = self.features.shape[2:4]
        done = 0
        for batch in batches:
            joints, rows = batch.joints.numpy(), slice(done, done + len(batch.joints))
            if not np.array_equal(joints[:, batch.key], self.joints[rows], equal_nan=True):
                raise FormatError(
                    f"Clips {rows.start} to {rows.stop - 1} are not those that {self.folder} was "
                    f"built from. Use the same data, augmentation and seed, or build a new bank."
                )
            pictures = small_pictures(batch.frames, (height, width)).half().numpy()
            for name, part in zip(_WHOLE, (joints, batch.visible.numpy(), pictures), strict=True):
                found[name].append(part)
            done = rows.stop
        if done != len(self):
            raise FormatError(f"{self.folder} keeps {len(self)} clips, and {done} came.")
        for name, parts in found.items():
            target = self.folder / f"{name}.npy"
            with replacing(target, FormatError) as temporary, temporary.open("wb") as file:
                np.save(file, np.concatenate(parts))

    def _map(self, name: str) -> Any:
        try:
            return np.load(self.folder / f"{name}.npy", mmap_mode="r")
        except (OSError, ValueError) as error:
            raise FormatError(
                f"{self.folder / name}.npy is missing or damaged. Delete the folder and build the "
                f"bank again."
            ) from error


def _fill(
    folder: Path, batches: Iterable[ClipBatch], count: int, backbone: Stages, flows: Flows | None
) -> int:
    """Write the arrays; returns the position of the key frame."""
    arrays: dict[str, Any] = {}
    done, key = 0, 0
    for batch in batches:
        kept = _keep(batch, backbone, flows)
        parts: dict[str, NDArray[Any]] = {
            "features": kept.numpy(),
            "joints": batch.joints[:, batch.key].numpy(),
            "visible": batch.visible[:, batch.key].numpy(),
            "matrix": batch.matrix.numpy(),
        }
        key = batch.key
        for name, part in parts.items():
            if name not in arrays:
                arrays[name] = np.lib.format.open_memmap(
                    folder / f"{name}.npy", "w+", part.dtype, (count, *part.shape[1:])
                )
            arrays[name][done : done + len(part)] = part
        done += len(kept)
    if done != count:
        raise ShapeError(f"The bank was to keep {count} clips, and {done} came. Say their number.")
    for array in arrays.values():
        array.flush()
    return key


@torch.inference_mode()
def _keep(batch: ClipBatch, backbone: Stages, flows: Flows | None) -> Tensor:
    """``(B, T, h, w, C + 2)`` float16."""
    clips, count = batch.frames.shape[:2]
    stages = torch.cat(backbone.forward_stages(batch.frames.flatten(0, 1), ALL_STAGES), 1)
    features = stages.unflatten(0, (clips, count))
    flow = features.new_zeros(clips, count, FLOW_CHANNELS, *features.shape[-2:])
    if flows is not None and count > 1:
        others = [t for t in range(count) if t != batch.key]
        flow[:, others] = flows(batch.frames, batch.key)
    # Beyond the range of half precision a feature would become infinite.
    limit = torch.finfo(torch.float16).max
    whole = torch.cat([features, flow], 2).clamp(-limit, limit)
    return whole.permute(0, 1, 3, 4, 2).half().contiguous()


def _plain(value: Mapping[str, Any]) -> Any:
    """The value as it comes back from JSON."""
    return json.loads(json.dumps(value, default=str))
