"""RecurrentRunner: models that carry a state from frame to frame, one state a person.

Where a window of frames is fused anew for every pose, a recurrent model looks at the newest frame
alone and at what it remembers. A state belongs to one track and one crop window: it is dropped when
the window moves or the track ends, and the next frame starts anew. Nothing else is kept, so memory
does not grow with the length of a video.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from chronopose.core.poses import Poses
from chronopose.errors import UsageError
from chronopose.models._base import Features, PoseModel, stack_windows
from chronopose.tensors.colours import normalise


@runtime_checkable
class Recurrent(Protocol):
    """What a model offers beside ``encode`` and ``fuse``; a state is a NamedTuple of tensors."""

    def start(self, frame: Tensor) -> Features:
        """State after a first frame ``(B, 3, H, W)``; it holds ``maps``, the frame's answer."""

    def step(self, frame: Tensor, state: Features) -> tuple[Any, Features]:
        """Output for the next frame ``(B, 3, H, W)``, and the state after it."""


@dataclass(frozen=True, kw_only=True)
class Restart:
    """When a track starts anew, so that errors do not feed on themselves.

    Args:
        every: Steps after a start before the next one; 0 for never.
        below: A frame whose mean score of the joints falls below this is answered by a start.

    Raises:
        UsageError: a number makes no sense.
    """

    every: int = 0
    below: float = 0.0

    def __post_init__(self) -> None:
        if self.every < 0 or not 0 <= self.below <= 1:
            raise UsageError(
                f"A restart needs every of at least 0 frames and below in [0, 1]; got {self}."
            )


@dataclass(frozen=True)
class Visit:
    """One pose to find.

    Args:
        track: Whose.
        window: Serial number of the crop window.
    """

    track: int
    window: int


@dataclass
class _Memory:
    window: int
    state: Features
    age: int
    """Steps since the start."""


class RecurrentRunner:
    """Runs a recurrent model frame by frame, with a state for every track.

    Args:
        model: With ``start`` and ``step``; put into eval mode and onto ``device``.
        device: Where it runs.
        restart: When tracks start anew; by default only when they must.
        half: 16-bit arithmetic: bfloat16 on the CPU, float16 on a GPU.

    Raises:
        UsageError: the model has no ``start`` and ``step``.
    """

    def __init__(
        self,
        model: PoseModel,
        *,
        device: str | torch.device = "cpu",
        restart: Restart | None = None,
        half: bool = False,
    ) -> None:
        if not isinstance(model, Recurrent):
            raise UsageError(
                f"{type(model).__name__} carries nothing from frame to frame: it has no start and "
                f"step. Run it without recurrent, or choose dkd."
            )
        self.device = torch.device(device)
        self.model: Any = model.eval().to(self.device).to(memory_format=torch.channels_last)
        self.restart = restart or Restart()
        self.starts = 0
        """Poses answered by a start so far."""
        self.steps = 0
        """Steps taken so far, also those whose answer a start replaced."""
        self._half = half
        self._memory: dict[int, _Memory] = {}

    def __len__(self) -> int:
        """Tracks that have a state."""
        return len(self._memory)

    def answer(self, visits: Sequence[Visit], crops: Sequence[Tensor]) -> Poses:
        """Poses of the people of one frame, every track at most once.

        Args:
            visits: Whose poses.
            crops: ``(3, h, w)`` of values 0..255, one a visit.

        Returns:
            ``(N, K)`` in crop pixels, in the order of the visits.

        Raises:
            UsageError: a track is asked for twice: frames come one after the other.
        """
        if len({v.track for v in visits}) < len(visits):
            raise UsageError("A track is asked for twice in one frame. Give frames one by one.")
        kind = torch.float16 if self.device.type == "cuda" else torch.bfloat16
        joints = len(self.model.codec.skeleton)
        xy = np.zeros((len(visits), joints, 2), np.float32)
        score = np.zeros((len(visits), joints), np.float32)
        with torch.inference_mode(), torch.autocast(self.device.type, kind, enabled=self._half):
            old = [i for i, v in enumerate(visits) if self._goes_on(v)]
            lost = self._step(old, visits, crops, xy, score)
            new = sorted({*range(len(visits))} - {*old} | {*lost})
            self._start(new, visits, crops, xy, score)
        return Poses(xy, score, self.model.codec.skeleton, "crop_px")

    def keep_only(self, tracks: Iterable[int]) -> None:
        """Forget all other tracks."""
        alive = set(tracks)
        self._memory = {uid: m for uid, m in self._memory.items() if uid in alive}

    def _goes_on(self, visit: Visit) -> bool:
        memory = self._memory.get(visit.track)
        if memory is None or memory.window != visit.window:
            return False
        return not self.restart.every or memory.age < self.restart.every

    def _step(
        self, rows: list[int], visits: Sequence[Visit], crops: Sequence[Tensor],
        xy: np.ndarray, score: np.ndarray,
    ) -> list[int]:  # fmt: skip
        """Step the tracks of some rows; returns those that have got lost."""
        if not rows:
            return []
        memories = [self._memory[visits[i].track] for i in rows]
        together = stack_windows([[m.state] for m in memories])
        state = type(together)(*(part[:, 0] for part in together))
        output, after = self.model.step(self._frames(rows, crops), state)
        self.steps += len(rows)
        found = self.model.codec.decode(output)
        xy[rows], score[rows] = found.xy, found.score
        for at, memory in enumerate(memories):
            memory.state, memory.age = _row(after, at), memory.age + 1
        return [i for i in rows if score[i].mean() < self.restart.below]

    def _start(
        self, rows: list[int], visits: Sequence[Visit], crops: Sequence[Tensor],
        xy: np.ndarray, score: np.ndarray,
    ) -> None:  # fmt: skip
        if not rows:
            return
        state = self.model.start(self._frames(rows, crops))
        self.starts += len(rows)
        found = self.model.codec.decode(state.maps)
        xy[rows], score[rows] = found.xy, found.score
        for at, i in enumerate(rows):
            self._memory[visits[i].track] = _Memory(visits[i].window, _row(state, at), 0)

    def _frames(self, rows: list[int], crops: Sequence[Tensor]) -> Tensor:
        batch = normalise(torch.stack([crops[i] for i in rows]).to(self.device))
        return batch.contiguous(memory_format=torch.channels_last)


def _row(state: Any, at: int) -> Features:
    """The state of one track of a batch, with memory of its own."""
    row: Features = type(state)(*(part[at].clone() for part in state))
    return row
