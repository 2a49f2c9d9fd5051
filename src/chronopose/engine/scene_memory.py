"""SceneMemory: what a frozen network of whole frames keeps of every frame of a set.

A model of whole frames sees each frame by itself before it looks at a window. If that part is
frozen, its features are computed once, kept on disk in half precision, and only what fuses a window
is trained: in a fraction of the time, with every length of window and every seed learning from the
same numbers.

A memory is a folder: one ``features_N.npy`` for each tensor of the features, frames first, and
``memory.json`` with the names of the pictures, which is written last.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from chronopose.codecs.scene import SceneCodec
from chronopose.data.sampling import place_at
from chronopose.data.scene_augment import SceneBatch
from chronopose.data.scenes import LabelledScenes
from chronopose.engine.predict_scenes import encode_picture
from chronopose.errors import FormatError, ShapeError, UsageError
from chronopose.io._folder import replacing_folder
from chronopose.models._base import Features
from chronopose.models._scene import SceneCriterion, SceneModel
from chronopose.tensors.scene import SceneOutput

FORMAT = 1
_FACTS = "memory.json"


@dataclass(frozen=True)
class SceneMemory:
    """A memory on disk, opened for reading.

    Args:
        folder: Where it lies.
        rows: Name of a picture, as its path ends from the folder of the video on -> its row.
    """

    folder: Path
    rows: Mapping[str, int]

    @classmethod
    def build(
        cls, folder: Path | str, model: SceneModel, scenes: LabelledScenes,
        identity: Mapping[str, Any],
    ) -> SceneMemory:  # fmt: skip
        """Encode every frame of every window once, or open what is there of the same making.

        Args:
            folder: Where it shall lie; appears whole or not at all.
            model: The network; it is put in eval mode.
            scenes: Whose windows tell which pictures there are. They share one size.
            identity: Plain values that say what it is made of.

        Raises:
            FormatError: a picture is missing or damaged, or the disk refused.
            ShapeError: the pictures differ in size.
        """
        place, plain = Path(folder), json.loads(json.dumps(dict(identity), default=str))
        with suppress(OSError, ValueError, KeyError):
            facts = json.loads((place / _FACTS).read_text())
            if facts["format"] == FORMAT and facts["identity"] == plain:
                return cls(place, {name: n for n, name in enumerate(facts["pictures"])})
        with replacing_folder(place) as pending:
            names = _fill(pending, model.eval(), scenes)
            facts = {"format": FORMAT, "identity": plain, "pictures": names}
            (pending / _FACTS).write_text(json.dumps(facts))
        return cls(place, {name: n for n, name in enumerate(names)})

    @cached_property
    def parts(self) -> tuple[NDArray[Any], ...]:
        """One array for each tensor of the features, ``(frames, ...)``, mapped from the disk."""
        files = sorted(self.folder.glob("features_*.npy"))
        return tuple(np.load(file, mmap_mode="r") for file in files)

    def __contains__(self, picture: Path, /) -> bool:
        return _name(picture) in self.rows

    def __getitem__(self, picture: Path, /) -> Features:
        """float32 features of one picture, without the frame axis."""
        row = self.rows[_name(picture)]
        return tuple(torch.from_numpy(np.array(part[row], np.float32)) for part in self.parts)

    def block(self, pictures: list[Path]) -> Tensor:
        """``(T, F)`` float32: all features of some frames, flattened side by side."""
        return torch.stack([torch.cat([p.flatten() for p in self[path]]) for path in pictures])


def _fill(folder: Path, model: SceneModel, scenes: LabelledScenes) -> list[str]:
    """Write the arrays; returns the pictures' names."""
    pictures = dict.fromkeys(p for i in range(len(scenes)) for p in scenes.window(i)[0])
    arrays: list[Any] = []
    for row, picture in enumerate(pictures):
        found = [part.float().cpu().numpy() for part in encode_picture(model, scenes.read(picture))]
        if not arrays:
            # Sizes of the valid part are exact in single precision alone.
            arrays = [
                np.lib.format.open_memmap(
                    folder / f"features_{n}.npy", "w+",
                    np.float16 if part.ndim > 2 else np.float32, (len(pictures), *part.shape),
                )
                for n, part in enumerate(found)
            ]  # fmt: skip
        for array, part in zip(arrays, found, strict=True):
            if part.shape != array.shape[1:]:
                raise ShapeError(
                    f"{picture} gives features {part.shape}, pictures before it "
                    f"{array.shape[1:]}: a memory keeps pictures of one size."
                )
            array[row] = part
    for array in arrays:
        array.flush()
    names = [_name(picture) for picture in pictures]
    if len(set(names)) < len(names):
        raise FormatError(
            "Two pictures share the name of their video and their own, so that a memory could not "
            "tell them apart. Keep one split at a time."
        )
    return names


def _name(picture: Path) -> str:
    return "/".join(picture.parts[-2:])


class MemoryBatches(Dataset[SceneBatch]):
    """Batch ``n`` of an endless training on a memory, a pure function of the seed and n.

    ``frames`` of a batch are blocks ``(B, T, F)`` of the memory: see :class:`OnMemory`.

    Args:
        memory: Of the pictures of the scenes.
        scenes: What is learnt.
        codec: Of the network.
        batches: How many batches there are.
        frames: Length of a window.
        batch_size: Scenes of a batch.
        seed: Decides the order.
    """

    def __init__(
        self, memory: SceneMemory, scenes: LabelledScenes, codec: SceneCodec, batches: int, *,
        frames: int, batch_size: int, seed: int = 0,
    ) -> None:  # fmt: skip
        self._memory, self._scenes, self._codec = memory, scenes, codec
        self._frames, self._size, self._batches = frames, batch_size, batches
        self._seed = seed

    def __len__(self) -> int:
        return self._batches

    def __getitem__(self, number: int) -> SceneBatch:
        blocks, valid, joints, visible, areas = [], [], [], [], []
        for i in range(self._size):
            index = place_at(self._seed, number * self._size + i, len(self._scenes)).index
            paths, _ = self._scenes.window(index)
            blocks.append(self._memory.block(paths))
            people = self._scenes.people(index)
            window = self._codec.window(people.size)
            joints.append(torch.from_numpy(window.apply(people.joints)).float())
            visible.append(torch.from_numpy(people.visible))
            area = people.area * abs(np.linalg.det(window.matrix[:, :2]))
            areas.append(torch.from_numpy(area).float())
            valid.append(torch.tensor(window.out_size, dtype=torch.float32).expand(self._frames, 2))
        target = self._codec.encode(joints, visible, areas)
        return SceneBatch(torch.stack(blocks), torch.stack(valid), target)


class OnMemory(SceneModel):
    """A model whose frames are blocks of a memory; what it encodes with stays as it is.

    Args:
        model: The network.
        memory: Where the blocks come from.
        still: Show the key frame in the place of all frames, also where whole features are fused.
    """

    PRESETS: Mapping[str, Any] = {}  # type: ignore[misc]

    def __init__(self, model: SceneModel, memory: SceneMemory, *, still: bool = False) -> None:
        super().__init__()
        self.model, self.still = model, still
        self.config, self.needs, self.codec = model.config, model.needs, model.codec
        self._shapes = [part.shape[1:] for part in memory.parts]
        if not self._shapes:
            raise UsageError(f"{memory.folder} keeps nothing.")

    def encode(self, frames: Tensor, valid: Tensor | None = None) -> Features:
        """``(N, F)`` blocks -> the features that the network would have computed."""
        counts = [int(np.prod(shape)) for shape in self._shapes]
        parts = frames.split(counts, dim=-1)
        return tuple(p.unflatten(-1, s) for p, s in zip(parts, self._shapes, strict=True))

    def fuse(self, features: Features) -> SceneOutput:
        """As the network does."""
        if self.still:
            key = self.needs.key
            features = tuple(f[:, key : key + 1].expand_as(f) for f in features)
        return self.model.fuse(features)

    def criterion(self) -> SceneCriterion:
        """That of the network."""
        return self.model.criterion()

    def weights_of_terms(self) -> dict[str, float]:
        """Those of the network."""
        return self.model.weights_of_terms()
