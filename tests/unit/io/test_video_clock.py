"""Times always rise and numbers stay true."""

from __future__ import annotations

import pytest

from chronopose.io.video_clock import FrameClock, FrameCounter


@pytest.mark.parametrize(
    ("stated_s", "expected_s"),
    [
        ([0.0, 0.4, 0.5, 2.0], [0.0, 0.4, 0.5, 2.0]),
        ([None, None, None], [0.0, 0.5, 1.0]),  # a missing time: one step on
        ([3.0, None, 4.5], [3.0, 3.5, 4.5]),
        ([0.0, 0.5, 0.5, 1.0], [0.0, 0.5, 0.75, 1.0]),  # a repeated one: half a step on
        ([1.0, 0.5, 1.5], [1.0, 1.25, 1.5]),  # one that falls a little: likewise
        ([9.0, 9.5, 0.0, 0.5], [9.0, 9.5, 10.0, 10.5]),  # a new clock: shifted for good
        ([-0.5, 0.0], [-0.5, 0.0]),
    ],
)
def test_times_rise_and_true_ones_are_untouched(
    stated_s: list[float | None], expected_s: list[float]
) -> None:
    clock = FrameClock(step_s=0.5)
    assert [clock.next(time_s) for time_s in stated_s] == expected_s


def test_a_rank_is_the_place_among_the_packets_times() -> None:
    counter = FrameCounter(ranked=True)
    for pts in (0, 30, 10, 20):  # decoding order of a group with two B-frames
        counter.packet(pts)
    assert [counter.frame(pts) for pts in (0, 10, 20, 30)] == [0, 1, 2, 3]


def test_a_frame_that_never_came_out_keeps_its_number() -> None:
    counter = FrameCounter(ranked=True, first=100)
    for pts in (0, 10, 20):
        counter.packet(pts)
    assert [counter.frame(pts) for pts in (0, 20)] == [100, 102]


def test_two_packets_of_one_time_get_two_numbers() -> None:
    counter = FrameCounter(ranked=True)
    for pts in (0, 10, 10, 20):
        counter.packet(pts)
    assert [counter.frame(pts) for pts in (0, 10, 10, 20)] == [0, 1, 2, 3]


def test_without_ranks_frames_and_refused_packets_are_counted() -> None:
    counter = FrameCounter(ranked=False)
    numbers = [counter.frame(None)]
    counter.lost()
    numbers.append(counter.frame(None))
    assert numbers == [0, 2]


def test_a_packet_without_a_time_ends_the_ranking() -> None:
    counter = FrameCounter(ranked=True)
    counter.packet(0)
    counter.packet(None)
    assert [counter.frame(0), counter.frame(None)] == [0, 1]
