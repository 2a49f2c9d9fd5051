"""A look inside: what a network saw and made of one person in some frames of a video."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chronopose.core.crop import CropWindow
from chronopose.core.tracks import FramePoses
from chronopose.errors import UsageError
from chronopose.losses.split import SplitState, gates_of, split_state
from chronopose.models._base import PoseModel
from chronopose.pipeline.crops import cut
from chronopose.tensors import TDMIOutput
from chronopose.tensors.colours import normalise

SEEN = 0.3
"""Score of a joint that counts as seen."""


@dataclass(frozen=True, kw_only=True)
class Inside:
    """What was found for N key frames.

    Args:
        crops: ``(N, H, W, 3)`` uint8 RGB, of the key frames.
        heatmaps: ``(N, K, h, w)`` probabilities or Gaussians; None for a network without.
        features: ``M_u`` and ``M_n`` as ``(N, C, h, w)``, as far as the network has them.
        gates: The same names -> ``(N, C)`` gates of the channels; NaN where the channel is zero.
        state: Of the split; None for a network without.
    """

    crops: NDArray[np.uint8]
    heatmaps: NDArray[np.float32] | None
    features: dict[str, NDArray[np.float32]]
    gates: dict[str, NDArray[np.float32]]
    state: SplitState | None


def most_visible(found: Sequence[FramePoses]) -> int:
    """The id of whom most joints are seen over all frames; of equals, the larger one.

    Raises:
        UsageError: there is nobody.
    """
    seen: dict[int, tuple[int, float]] = {}
    for frame in found:
        sides = frame.boxes.xyxy[:, 2:] - frame.boxes.xyxy[:, :2]
        for row, person in enumerate(frame.ids.tolist()):
            joints, area = seen.get(person, (0, 0.0))
            joints += int((frame.poses.score[row] >= SEEN).sum())
            seen[person] = joints, area + float(sides[row].prod())
    if not seen:
        raise UsageError(
            "Nobody was found in these frames. Choose others with --start and --end, or say where "
            "people are with --detector boxes:FILE or whole-frame."
        )
    return max(seen, key=lambda person: seen[person])


def pick_keys(
    found: Sequence[FramePoses], person: int, count: int, offsets: Sequence[int]
) -> list[int]:
    """Positions of key frames in which a person is, spread evenly over the frames.

    Args:
        found: Who is in the frames, in time order.
        person: Id.
        count: How many are wanted; fewer are given if the person is in fewer.
        offsets: Frames of a window relative to its key frame. Key frames whose window lies inside
            the frames are preferred.

    Raises:
        UsageError: nobody has this id, or ``count`` is below 1.
    """
    if count < 1:
        raise UsageError(f"A picture needs at least one frame; got {count}.")
    there = [n for n, frame in enumerate(found) if person in frame.ids.tolist()]
    if not there:
        ids = sorted({i for frame in found for i in frame.ids.tolist()})
        raise UsageError(
            f"There is no person {person} in these frames; there are "
            f"{', '.join(map(str, ids)) or 'none'}."
        )
    low, high = min(offsets), max(offsets)
    whole = [n for n in there if n + low >= 0 and n + high < len(found)]
    there = whole if len(whole) >= min(count, len(there)) else there
    places = np.linspace(0, len(there) - 1, min(count, len(there))).round().astype(int)
    return [there[p] for p in places]


def look_inside(
    model: PoseModel,
    windows: Sequence[Sequence[NDArray[np.uint8]]],
    boxes: NDArray[np.floating],
    pad: float = 1.25,
) -> Inside:
    """Show a network the windows of a person and keep what it makes of them.

    Args:
        model: In eval mode.
        windows: For each of N key frames the T pictures of its window, ``(H, W, 3)`` uint8 RGB.
        boxes: ``(N, 4)`` the person's box in the key frames, pixels; it cuts all T pictures.
        pad: Crop over box.
    """
    device = next(model.parameters()).device
    crops = []
    for pictures, box in zip(windows, boxes, strict=True):
        window = CropWindow.of_box(np.asarray(box, np.float64), model.needs.crop_size, pad)
        pixels = [torch.from_numpy(np.array(p)).to(device) for p in pictures]
        crops.append(torch.stack([cut(p, window) for p in pixels]))
    clips = torch.stack(crops)
    with torch.inference_mode(), _with_features(model):
        output: Any = model(normalise(clips))
    maps = getattr(output, "heatmaps", None)
    if maps is not None and hasattr(model.codec, "probability"):
        maps = model.codec.probability(maps.float())
    features, gates, state = _parts(output, model)
    keys = clips[:, model.needs.key].permute(0, 2, 3, 1).round().clamp(0, 255).byte()
    return Inside(
        crops=keys.cpu().numpy(), heatmaps=None if maps is None else _plain(maps),
        features=features, gates=gates, state=state,
    )  # fmt: skip


def _parts(
    output: Any, model: PoseModel
) -> tuple[dict[str, NDArray[np.float32]], dict[str, NDArray[np.float32]], SplitState | None]:
    if not isinstance(output, TDMIOutput) or output.motion is None:
        return {}, {}, None
    parts = {"M_u": output.useful, "M_n": output.noise}
    there = {name: part for name, part in parts.items() if part is not None}
    gates = {name: _plain(gates_of(output.motion, part)) for name, part in there.items()}
    mi = model.config.mi
    state = split_state(output, mi.temperature, mi.standardise)
    return {name: _plain(part) for name, part in there.items()}, gates, state


def _plain(values: Tensor) -> NDArray[np.float32]:
    return values.float().cpu().numpy()


@contextmanager
def _with_features(model: PoseModel) -> Iterator[None]:
    """A model that can put its features out in eval mode does so."""
    willing = hasattr(model, "gives_features")
    if willing:
        setattr(model, "gives_features", True)  # noqa: B010
    try:
        yield
    finally:
        if willing:
            setattr(model, "gives_features", False)  # noqa: B010
