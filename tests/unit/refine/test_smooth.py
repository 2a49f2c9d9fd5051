"""smooth: filters in time against literal loops and numbers by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from chronopose.core.boxes import Boxes
from chronopose.core.poses import Poses
from chronopose.core.skeletons import LSP14
from chronopose.core.tracks import PersonTrack, VideoPoses
from chronopose.core.video import VideoInfo
from chronopose.errors import ShapeError, UsageError
from chronopose.metrics.temporal import TemporalQuality
from chronopose.refine import (
    ButterworthSettings,
    EditLog,
    KalmanSettings,
    OneEuroSettings,
    SavitzkyGolaySettings,
    smooth,
    undo,
)
from chronopose.refine.filters import butterworth, kalman_rts, one_euro, savitzky_golay
from chronopose.refine.smooth import jumps

EVERY = [
    OneEuroSettings(), SavitzkyGolaySettings(), ButterworthSettings(), KalmanSettings(),
]  # fmt: skip
TIME = np.arange(100) / 50
"""Two seconds at 50 frames a second."""


def joint(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """``(T,)`` -> ``(T, 1, 2)``: one joint that moves along x."""
    return np.stack([values, np.zeros_like(values)], axis=-1)[:, None].astype(np.float64)


def sine(hz: float, time_s: NDArray[np.floating] = TIME) -> NDArray[np.float64]:
    return joint(100 * np.sin(2 * np.pi * hz * time_s))


def amplitude(xy: NDArray[np.floating], hz: float, time_s: Any = TIME) -> complex:
    """Complex amplitude of a frequency in the middle half of a signal."""
    mid = slice(len(time_s) // 4, -len(time_s) // 4)
    wave = np.stack([np.sin(2 * np.pi * hz * time_s), np.cos(2 * np.pi * hz * time_s)], -1)[mid]
    a, b = np.linalg.lstsq(wave, xy[mid, 0, 0], rcond=None)[0]
    return complex(a, b)


def literal_one_euro(x: Any, time_s: Any, cutoff: float, beta: float, speed: float) -> list[float]:
    """Algorithm 1 of the paper in one dimension, line by line."""

    def alpha(hz: float, dt: float) -> float:
        tau = 1 / (2 * math.pi * hz)
        return 1 / (1 + tau / dt)

    out = [x[0]]
    dx_hat = 0.0
    for i in range(1, len(x)):
        dt = time_s[i] - time_s[i - 1]
        dx = (x[i] - out[-1]) / dt
        dx_hat = alpha(speed, dt) * dx + (1 - alpha(speed, dt)) * dx_hat
        a = alpha(cutoff + beta * abs(dx_hat), dt)
        out.append(a * x[i] + (1 - a) * out[-1])
    return out


def person(xy: NDArray[np.floating], time_s: NDArray[np.float64]) -> VideoPoses:
    """``(T, 1, 2)`` -> a person all of whose joints move alike, 10 px apart."""
    place = np.asarray(xy, np.float32) + 10 * np.arange(14, dtype=np.float32)[:, None]
    count = len(place)
    boxes = Boxes(
        np.tile(np.array([0, 0, 200, 200], np.float32), (count, 1)), np.ones(count, np.float32)
    )
    poses = Poses(place, np.full((count, 14), 0.8, np.float32), LSP14)
    frames = np.arange(count)
    track = PersonTrack(7, frames, time_s, boxes, poses)
    return VideoPoses(VideoInfo("v", (640, 360)), LSP14, (track,), (), frames, time_s)


def test_one_euro_is_the_algorithm_of_the_paper_at_real_time_steps() -> None:
    rng = np.random.default_rng(0)
    time = np.cumsum(rng.uniform(0.01, 0.06, 40))
    x = rng.normal(0, 20, 40)
    found = one_euro(joint(x), time, min_cutoff_hz=1.5, beta=0.02, speed_cutoff_hz=0.8)
    np.testing.assert_allclose(found[:, 0, 0], literal_one_euro(x, time, 1.5, 0.02, 0.8))


def test_one_euro_does_not_care_how_the_picture_is_turned() -> None:
    rng = np.random.default_rng(0)
    xy = rng.normal(0, 20, (40, 3, 2))
    turn = np.array([[np.cos(1), -np.sin(1)], [np.sin(1), np.cos(1)]])
    np.testing.assert_allclose(
        one_euro(xy @ turn, TIME[:40]), one_euro(xy, TIME[:40]) @ turn, atol=1e-9
    )


def test_one_euro_never_looks_ahead() -> None:
    xy = sine(2.0)
    np.testing.assert_array_equal(one_euro(xy, TIME)[:50], one_euro(xy[:50], TIME[:50]))


def test_butterworth_keeps_a_slow_sine_in_size_and_phase() -> None:
    # Gain after both passes 1 / (1 + (tan(pi/50) / tan(6 pi/50))**4 * (sqrt(2) - 1)) = 0.9998.
    kept = amplitude(butterworth(sine(1.0), TIME, cutoff_hz=6.0), 1.0)
    ratio = (math.tan(math.pi / 50) / math.tan(6 * math.pi / 50)) ** 4
    assert abs(kept) == pytest.approx(100 / (1 + (math.sqrt(2) - 1) * ratio), rel=1e-4)
    assert abs(math.degrees(math.atan2(kept.imag, kept.real))) < 0.01


def test_butterworth_leaves_one_over_root_two_at_the_cutoff() -> None:
    kept = amplitude(butterworth(sine(6.0), TIME, cutoff_hz=6.0), 6.0)
    assert abs(kept) == pytest.approx(100 / math.sqrt(2), rel=1e-3)
    assert abs(math.degrees(math.atan2(kept.imag, kept.real))) < 0.1


def test_butterworth_removes_a_fast_tremble() -> None:
    assert abs(amplitude(butterworth(sine(20.0), TIME, cutoff_hz=6.0), 20.0)) < 0.5


def test_butterworth_resamples_unequal_steps_and_reads_at_the_real_times() -> None:
    keep = np.sort(np.random.default_rng(2).permutation(100)[:80])
    xy = butterworth(sine(1.0)[keep], TIME[keep], cutoff_hz=6.0)
    np.testing.assert_allclose(xy[10:-10], sine(1.0)[keep][10:-10], atol=0.5)
    with pytest.raises(ShapeError, match=r"needs equal steps.*0\.02 to"):
        butterworth(sine(1.0)[keep], TIME[keep], irregular="error")


def test_times_rounded_to_milliseconds_are_equal_steps() -> None:
    butterworth(sine(1.0), np.round(np.arange(100) / 59.94, 3), irregular="error")


def test_somebody_found_in_every_third_frame_is_filtered_at_the_rate_of_the_video() -> None:
    # 16.7 places a second cannot be filtered at 9 Hz; the 50 frames a second of the video can.
    xy, third = sine(1.0), slice(None, None, 3)
    poses = person(xy, TIME)
    sparse = replace(poses, tracks=(poses.tracks[0].select(third),))
    after = smooth(sparse, ButterworthSettings(cutoff_hz=9.0)).tracks[0]
    np.testing.assert_allclose(after.poses.xy[3:-3, 0], xy[third][3:-3, 0], atol=0.5)
    with pytest.raises(UsageError, match="more than 18 frames a second"):
        butterworth(xy[third], TIME[third], cutoff_hz=9.0)


def test_a_cutoff_above_half_the_frame_rate_is_refused() -> None:
    with pytest.raises(UsageError, match=r"more than 12 frames a second; these poses have 10"):
        butterworth(sine(0.5), np.arange(100) / 10, cutoff_hz=6.0)


def test_the_usual_cutoff_falls_with_a_low_frame_rate() -> None:
    for rate, cutoff in ((50, 6.0), (10, 2.5)):
        after = smooth(person(sine(0.5)[:40], np.arange(40) / rate))
        assert after.history[-1].settings["cutoff_hz"] == pytest.approx(cutoff)


def test_savitzky_golay_keeps_a_parabola_and_flattens_a_tremble() -> None:
    parabola = joint(3 + 40 * TIME - 25 * TIME**2)
    tremble = joint(2.0 * (-1.0) ** np.arange(100))
    np.testing.assert_allclose(savitzky_golay(parabola, TIME), parabola, atol=1e-9)
    # Weights of a parabola over 5 frames: (-3, 12, 17, 12, -3) / 35; on +-2: 2 * (17-24-6) / 35.
    found = savitzky_golay(tremble, TIME, window_s=0.1)
    np.testing.assert_allclose(np.abs(found[10:-10, 0, 0]), 2 * 13 / 35)


def test_a_run_too_short_for_the_window_takes_a_shorter_one_or_stays() -> None:
    x = joint(np.array([0.0, 9.0, 0.0, 9.0, 0.0]))
    assert not np.allclose(savitzky_golay(x, TIME[:5]), x)
    np.testing.assert_array_equal(savitzky_golay(x[:4], TIME[:4]), x[:4])
    np.testing.assert_array_equal(butterworth(x[:3], TIME[:3]), x[:3])


def test_rts_recovers_a_line_far_better_than_the_noise() -> None:
    rng = np.random.default_rng(4)
    line = joint(50 * TIME)
    noisy = line + rng.normal(0, 3, line.shape)
    found = kalman_rts(noisy, TIME, noise=3.0, speed_drift=5.0)
    before, after = (np.sqrt(((xy - line) ** 2).mean()) for xy in (noisy, found))
    assert before == pytest.approx(3.0, rel=0.1)
    # A straight line through 100 points errs by about 3 * sqrt(2 / 100) = 0.42.
    assert after < 0.8


def test_rts_of_two_frames_is_the_weighted_mean_by_hand() -> None:
    # Without drift and with a first speed of spread 10 * drift ~ 0: both are the mean of the two.
    found = kalman_rts(joint(np.array([0.0, 8.0])), TIME[:2], noise=3.0, speed_drift=1e-6)
    np.testing.assert_allclose(found[:, 0, 0], [4.0, 4.0], atol=1e-6)
    # Noise 3 / 0.5 is twice as wide: the first place counts four times as much.
    found = kalman_rts(
        joint(np.array([0.0, 8.0])), TIME[:2], noise=3.0, speed_drift=1e-6,
        score=np.array([[1.0], [0.5]]),
    )  # fmt: skip
    np.testing.assert_allclose(found[:, 0, 0], [1.6, 1.6], atol=1e-6)


def test_rts_says_where_a_joint_was_inside_a_gap_and_nowhere_else() -> None:
    xy = joint(50 * TIME)
    xy[[0, 1, 40, 41, 99]] = np.nan
    found = kalman_rts(xy, TIME, noise=0.01)
    np.testing.assert_allclose(found[[40, 41], 0, 0], 50 * TIME[[40, 41]], atol=0.01)
    assert np.isnan(found[[0, 1, 99]]).all()


@pytest.mark.parametrize("settings", EVERY, ids=lambda s: type(s).__name__)
def test_unknown_joints_stay_unknown_and_nothing_crosses_a_long_gap(settings: Any) -> None:
    xy = sine(1.0)
    xy[40:60] = np.nan
    poses = person(xy, TIME)
    found = smooth(poses, settings).tracks[0].poses.xy
    assert np.isnan(found[40:60]).all()
    assert np.isfinite(found[:40]).all()
    assert np.isfinite(found[60:]).all()
    other = xy.copy()
    other[:40] += 500
    alone = smooth(person(other, TIME), settings).tracks[0].poses.xy
    np.testing.assert_array_equal(found[60:], alone[60:])


@pytest.mark.parametrize("settings", EVERY, ids=lambda s: type(s).__name__)
def test_joints_do_not_mix(settings: Any) -> None:
    rng = np.random.default_rng(5)
    poses = person(sine(1.0) + rng.normal(0, 2, (100, 1, 2)), TIME)
    track = poses.tracks[0]
    xy = track.poses.xy.copy()
    xy[20:25, 3] = np.nan
    changed = replace(poses, tracks=(replace(track, poses=replace(track.poses, xy=xy)),))
    one, two = (smooth(p, settings).tracks[0].poses.xy for p in (poses, changed))
    others = [k for k in range(14) if k != 3]
    np.testing.assert_array_equal(one[:, others], two[:, others])


@pytest.mark.parametrize("settings", EVERY, ids=lambda s: type(s).__name__)
def test_somebody_who_stands_still_does_not_move_and_the_log_is_empty(settings: Any) -> None:
    poses, log = person(joint(np.full(100, 33.25)), TIME), EditLog()
    after = smooth(poses, settings, log=log)
    np.testing.assert_array_equal(after.tracks[0].poses.xy, poses.tracks[0].poses.xy)
    assert len(log) == 0


@pytest.mark.parametrize("settings", EVERY, ids=lambda s: type(s).__name__)
def test_jitter_falls_and_everything_else_stays(settings: Any) -> None:
    rng = np.random.default_rng(6)
    place = np.zeros((100, 14, 2))
    place[...] = np.stack(np.divmod(np.arange(14), 4), -1) * 30.0 + sine(0.5)
    poses = person(np.zeros((100, 1, 2)), TIME)
    xy = (place + rng.normal(0, 2, place.shape)).astype(np.float32)
    track = replace(poses.tracks[0], poses=replace(poses.tracks[0].poses, xy=xy))
    poses, log = replace(poses, tracks=(track,)), EditLog()
    after = smooth(poses, settings, log=log)
    quality = []
    for p in (poses, after):
        metric = TemporalQuality()
        metric.update(p)
        quality.append(metric.compute().jitter)
    assert quality[1] < 0.35 * quality[0]
    assert after.ids.tolist() == [7]
    np.testing.assert_array_equal(after.tracks[0].poses.score, track.poses.score)
    np.testing.assert_array_equal(after.tracks[0].boxes.xyxy, track.boxes.xyxy)
    assert after.history[-1].step == "smooth"
    assert log.counts() == {
        ("smooth", "moved"): int((after.tracks[0].poses.xy != xy).any(-1).sum())
    }
    np.testing.assert_array_equal(undo(after, log).tracks[0].poses.xy, xy)


@pytest.mark.parametrize("settings", EVERY, ids=lambda s: type(s).__name__)
def test_a_mistake_is_not_smeared_over_its_neighbours(settings: Any) -> None:
    # Boxes of 200 x 200 px: 16 px at once and 8 px in 0.02 s at 400 px / s.
    for away, smeared in ((25.0, False), (23.0, True)):
        xy = joint(np.full(100, 30.0))
        xy[50, 0, 0] += away
        found = smooth(person(xy, TIME), settings).tracks[0].poses.xy[:, 0, 0]
        others = np.delete(found, 50)
        assert (np.abs(others - 30) > 0.1).any() == smeared
        assert (found[50] == np.float32(30 + away)) != smeared
    never = smooth(person(xy, TIME), replace(settings, jump=0.0)).tracks[0].poses.xy
    np.testing.assert_array_equal(never[:, 0, 0], found)


def test_a_jump_is_measured_from_the_last_known_place_and_in_2d_only() -> None:
    xy = joint(np.full(100, 30.0))
    xy[50:] += 40.0
    xy[45:55] = np.nan  # 0.22 s: 16 + 0.22 * 400 px
    assert not jumps(person(xy, TIME).tracks[0], 0.08).any()
    xy[55:] += 70.0
    found = jumps(person(xy, TIME).tracks[0], 0.08)
    assert np.argwhere(found)[:, 0].tolist() == [55] * 14
    flat = person(xy, TIME).tracks[0]
    deep = Poses(np.pad(flat.poses.xy, ((0, 0), (0, 0), (0, 1))), flat.poses.score, LSP14,
                 "camera_mm")  # fmt: skip
    assert not jumps(replace(flat, poses=deep), 0.08).any()


def test_a_low_frame_rate_is_no_gap() -> None:
    slow = np.arange(40) / 2
    xy = joint(np.where(np.arange(40) % 2, 5.0, 0.0))
    for how in (one_euro, savitzky_golay, kalman_rts):
        found = how(xy, slow, max_gap_s=0.25)
        # A filter that starts anew in every frame gives back the steps of 5 px.
        assert np.abs(np.diff(found[20:, 0, 0])).max() < 4.95, how.__name__


@pytest.mark.parametrize("settings", EVERY, ids=lambda s: type(s).__name__)
def test_nobody_one_frame_and_two_frames_pass(settings: Any) -> None:
    nobody = VideoPoses(VideoInfo("v", (64, 64)), LSP14, ())
    assert len(smooth(nobody, settings)) == 0
    for count in (1, 2):
        found = smooth(person(sine(1.0)[:count], TIME[:count]), settings)
        assert np.isfinite(found.tracks[0].poses.xy).all()


def test_times_that_stand_still_are_refused() -> None:
    time = TIME.copy()
    time[5] = time[4]
    for how in (one_euro, savitzky_golay, butterworth, kalman_rts):
        with pytest.raises(ShapeError, match="stand still"):
            how(sine(1.0), time)


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        (OneEuroSettings, {"beta": -1}),
        (OneEuroSettings, {"min_cutoff_hz": 0}),
        (SavitzkyGolaySettings, {"order": 9}),
        (ButterworthSettings, {"irregular": "guess"}),
        (ButterworthSettings, {"cutoff_hz": math.nan}),
        (KalmanSettings, {"noise_px": -2}),
        (OneEuroSettings, {"jump": -0.1}),
    ],
)
def test_impossible_settings_are_refused(kind: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        kind(**wrong)
