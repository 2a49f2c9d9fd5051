"""predict_scenes: everybody in the labelled frames of a set, found from whole frames.

The counterpart of :mod:`chronopose.engine.predict_set` for networks without detector and crops. A
frame that stands in several windows is encoded once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from chronopose.core.labels import LabelledFrame, LabelledSequence
from chronopose.core.poses import Poses
from chronopose.core.skeleton import Skeleton
from chronopose.data.datasets._base import LabelledSet
from chronopose.data.scene_augment import through
from chronopose.data.scenes import LabelledScenes, check_size
from chronopose.engine.score import Score, score
from chronopose.errors import UsageError
from chronopose.models._base import Features, stack_windows
from chronopose.models._scene import SceneModel
from chronopose.tensors.colours import normalise


def predict_scenes(
    model: SceneModel,
    data: LabelledSet,
    *,
    min_score: float = 0.0,
    kept: KeptFeatures | None = None,
) -> list[LabelledSequence]:
    """Predict everybody in a labelled set, frame by frame as its labels list them.

    Args:
        model: A model of whole frames, on any device; it is put in eval mode and stays there.
        data: The set, with its split.
        min_score: People scored lower are left out; a mean precision wants them all.
        kept: Features of pictures that need not be computed.

    Returns:
        One sequence for each of the labels, with the same frames, in the joints of the set, which
        are found by name. Frames that nobody labelled are empty. People have no ids; their boxes
        are the extents of their joints.

    Raises:
        FormatError: labels or pictures are missing or damaged.
        UsageError: the model's window is not centred on its key frame.
    """
    offsets = model.needs.offsets
    if offsets != tuple(range(-(len(offsets) // 2), len(offsets) // 2 + 1)):
        raise UsageError(f"Windows of labelled sets are centred; this model reads {offsets}.")
    scenes = LabelledScenes(
        data, frames=len(offsets), skeleton=model.codec.skeleton, empty=True
    )  # fmt: skip
    found: dict[tuple[int, int], tuple[Poses, NDArray[np.float32]]] = {}
    encoded: dict[Path, Features] = {}
    known: KeptFeatures = {} if kept is None else kept
    model.eval()
    for index in range(len(scenes)):
        paths, key = scenes.window(index)
        images = {path: scenes.read(path) for path in paths}
        for path, image in images.items():
            check_size(path, image, paths[key], images[paths[key]])
        before = encoded
        encoded = {}
        for path, image in images.items():
            source = before if path in before else known
            encoded[path] = source[path] if path in source else encode_picture(model, image)
        row = [encoded[path] for path in paths] * (len(offsets) if len(paths) == 1 else 1)
        image = images[paths[key]]
        window = model.codec.window((image.shape[1], image.shape[0]))
        with torch.inference_mode():
            output = model.fuse(stack_windows([row]))
        boxes, poses = model.codec.decode(output, [window], min_score)[0]
        found[scenes.place(index)] = poses, boxes.score
    return [
        replace(
            sequence,
            frames=tuple(
                _frame(labels, found.get((s, f)), model.codec.skeleton)
                for f, labels in enumerate(sequence.frames)
            ),
        )
        for s, sequence in enumerate(scenes.sequences)
    ]


class KeptFeatures(Protocol):
    """Features of pictures, as :func:`encode_picture` computes them."""

    def __contains__(self, picture: Path, /) -> bool: ...

    def __getitem__(self, picture: Path, /) -> Features: ...


@torch.inference_mode()
def encode_picture(model: SceneModel, image: NDArray[np.uint8]) -> Features:
    """Features of one whole picture, without the frame axis.

    Args:
        model: In eval mode.
        image: ``(H, W, 3)`` RGB.
    """
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    window = model.codec.window((image.shape[1], image.shape[0]))
    pixels = torch.from_numpy(image).to(device).permute(2, 0, 1)[None].to(torch.float32)
    frame = normalise(through(pixels, window))
    width, height = window.out_size
    step = model.needs.divisor
    frame = F.pad(frame, (0, -width % step, 0, -height % step))
    valid = torch.tensor([[width, height]], device=device)
    features = model.encode(frame, valid)
    make: Any = getattr(features, "_make", tuple)
    parts: Sequence[Tensor] = features
    out: Features = make([part[0] for part in parts])
    return out


def _frame(
    labels: LabelledFrame, found: tuple[Poses, NDArray[np.float32]] | None, joints: Skeleton
) -> LabelledFrame:
    count = 0 if found is None else len(found[1])
    xy = np.zeros((count, len(joints), 2))
    each, person = np.zeros(xy.shape[:2]), np.zeros(count)
    if found is not None:
        xy, each, person = found[0].xy.astype(float), found[0].score, found[1].astype(float)
    predicted = LabelledFrame(
        labels.name, labels.frame_index, joints, xy, score=each, person_score=person,
        image_id=labels.image_id, size=labels.size, time_s=labels.time_s, labelled=True,
    ).to_skeleton(labels.skeleton)  # fmt: skip
    return replace(predicted, boxes=predicted.extent())


def score_scenes(model: SceneModel, data: LabelledSet) -> Score:
    """Predict a set and score it as papers on it do.

    Raises:
        FormatError: labels or pictures are missing or damaged.
    """
    found = predict_scenes(model, data)
    return score(found, data.sequences(), data.METRIC, **dict(data.METRIC_OPTIONS))


def headline(values: Mapping[str, Any]) -> dict[str, float]:
    """The number of a score that papers print first, as ``ap``; nothing where there is none.

    Args:
        values: ``values`` of a :class:`~chronopose.engine.score.Score`.
    """
    for part, name in (("groups", "Total"), ("scores", "AP")):
        value = (values.get(part) or {}).get(name)
        if value is not None:
            return {"ap": float(value)}
    return {}
