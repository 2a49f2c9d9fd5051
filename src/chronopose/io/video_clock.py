"""Times that always rise and frame numbers that stay true: rules for what containers say."""

from __future__ import annotations

import heapq

RESTART_S = 1.0
"""A clock that falls back by more than this has been started anew."""


class FrameClock:
    """Turns the times that a container states into strictly rising ones.

    A stated time later than the one before is kept to the last bit. Otherwise:

    1. A missing time lies one nominal step after the frame before (0 for the first frame).
    2. A time that is not after the frame before, but less than ``RESTART_S`` behind it, becomes
       half a nominal step after it; the following frames return to their own times.
    3. A time further back means that the clock was started anew, as in joined recordings: this
       frame and all later ones are shifted so that it lies one step after the frame before.

    Args:
        step_s: Nominal seconds between frames, above zero.
    """

    def __init__(self, step_s: float) -> None:
        self._step_s = step_s
        self._last_s: float | None = None
        self._shift_s = 0.0

    def next(self, stated_s: float | None) -> float:
        """Presentation time of the next frame, seconds.

        Args:
            stated_s: What the container says, None if it says nothing.
        """
        last_s = self._last_s
        if last_s is None:
            time_s = 0.0 if stated_s is None else stated_s
        elif stated_s is None:
            time_s = last_s + self._step_s
        else:
            time_s = stated_s + self._shift_s
            if time_s < last_s - RESTART_S:
                self._shift_s += last_s + self._step_s - time_s
                time_s = last_s + self._step_s
            elif time_s <= last_s:
                time_s = last_s + self._step_s / 2
        self._last_s = time_s
        return time_s


class FrameCounter:
    """Numbers the frames of a stream from 0 in presentation order.

    Where one packet is one frame (``ranked``), a frame's number is its rank among the packets'
    presentation times: frames that cannot be decoded keep their numbers, and counting can begin
    anywhere in the file. Elsewhere frames are counted as they come out of the decoder.

    Args:
        ranked: Whether one packet of this stream is one frame.
        first: Number of frames that are known to lie before the first packet.
    """

    def __init__(self, ranked: bool, first: int = 0) -> None:
        self._ranked = ranked
        self._next = first
        self._waiting: list[int] = []

    def packet(self, pts: int | None) -> None:
        """Take note of a packet on its way into the decoder."""
        if pts is None:
            self._ranked = False
        elif self._ranked:
            heapq.heappush(self._waiting, pts)

    def lost(self) -> None:
        """Take note of a packet that the decoder refused."""
        if not self._ranked:
            self._next += 1

    def frame(self, pts: int | None) -> int:
        """Number of the frame that came out of the decoder."""
        if self._ranked and pts is not None:
            while self._waiting and self._waiting[0] < pts:
                heapq.heappop(self._waiting)
                self._next += 1
            if self._waiting and self._waiting[0] == pts:
                heapq.heappop(self._waiting)
        self._next += 1
        return self._next - 1
