"""crowd_flow: what neighbouring frames say about a joint, carried by optical flow."""

from __future__ import annotations

import csv
import json
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from chronopose.core.boxes import Boxes
from chronopose.core.poses import Poses
from chronopose.core.skeletons import COCO17, LSP14
from chronopose.core.tracks import FramePoses, VideoPoses
from chronopose.core.video import VideoInfo
from chronopose.errors import FormatError, ShapeError, UsageError, VideoError
from chronopose.io.flow_files import FlowFiles, write_flow
from chronopose.refine import CrowdFlowSettings, EditLog, FlowPoseSmoother, crowd_flow, undo
from chronopose.refine._flow_link import FlowPair
from chronopose.refine._flow_merge import Candidate, MergeRules, merge, weighted_median
from chronopose.refine._tracks import oks_matrix
from chronopose.refine.crowd_flow import INSERTED

SIZE = (160, 120)
MOTION = np.array([3.0, 1.5])
"""Pixels a frame, of everything."""
RULES = MergeRules(0.6, 0.5, 0.6, 0.25, 0.9)
LEFT, RIGHT = COCO17.index("left_wrist"), COCO17.index("right_wrist")


@dataclass
class Picture:
    index: int
    image: NDArray[np.uint8]


def texture(frames: int) -> list[Picture]:
    """Waves in all directions that move by exactly MOTION a frame."""
    rng = np.random.default_rng(3)
    waves = [(rng.normal(0, 0.25, 2), rng.uniform(0, 6.28)) for _ in range(60)]
    y, x = np.mgrid[: SIZE[1], : SIZE[0]].astype(float)
    out = []
    for f in range(frames):
        at = x - MOTION[0] * f, y - MOTION[1] * f
        grey = sum(np.sin(k[0] * at[0] + k[1] * at[1] + phase) for k, phase in waves)
        image = np.clip(128 + 14 * grey, 0, 255).astype(np.uint8)
        out.append(Picture(f, np.repeat(image[..., None], 3, axis=-1)))
    return out


def blank(frames: int) -> list[Picture]:
    return [Picture(f, np.zeros((SIZE[1], SIZE[0], 3), np.uint8)) for f in range(frames)]


def exact(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The flow of everything that stands still; see `moving`."""
    return np.zeros((*first.shape[:2], 2))


class Moving:
    """Exact flow of blank frames in which everything moves by MOTION; pairs come there and back."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, first: Any, second: Any) -> NDArray[np.float64]:
        self.calls += 1
        sign = 1 if self.calls % 2 else -1
        return np.broadcast_to(sign * MOTION, (*first.shape[:2], 2))


def person(frame: int, start: Sequence[float] = (40.0, 30.0)) -> NDArray[np.float64]:
    """17 joints in a block of 32 x 48 px that moves with the texture."""
    grid = np.stack(np.divmod(np.arange(17), 4), axis=-1)[:, ::-1] * [10.0, 12.0]
    return grid + start + MOTION * frame


def video(
    rows: dict[int, dict[int, NDArray[np.float64]]], frames: int, score: float = 0.5
) -> VideoPoses:
    """Person -> frame -> joints; boxes with a margin of 5 px."""
    found = []
    for f in range(frames):
        here = [(p, xy[f]) for p, xy in sorted(rows.items()) if f in xy]
        xy = np.array([j for _, j in here], np.float32).reshape(len(here), 17, 2)
        low, high = np.nanmin(xy, axis=1) - 5, np.nanmax(xy, axis=1) + 5
        boxes = Boxes(np.concatenate([low, high], -1), np.full(len(here), 0.8))
        poses = Poses(xy, np.full((len(here), 17), score), COCO17)
        ids = np.array([p for p, _ in here], np.int64)
        found.append(FramePoses(f, f / 25, ids, boxes, poses))
    info = VideoInfo("clip.mp4", SIZE, rate_hz=25.0, num_frames=frames)
    return VideoPoses.from_frames(info, COCO17, found)


def walk(frames: int = 7, without: Sequence[int] = ()) -> dict[int, NDArray[np.float64]]:
    return {f: person(f) for f in range(frames) if f not in without}


def same(one: VideoPoses, other: VideoPoses) -> None:
    assert one.ids.tolist() == other.ids.tolist()
    for a, b in zip(one.tracks, other.tracks, strict=True):
        np.testing.assert_array_equal(a.frame_index, b.frame_index)
        np.testing.assert_array_equal(a.poses.xy, b.poses.xy)
        np.testing.assert_array_equal(a.poses.score, b.poses.score)


# The merge, by hand.


def candidate(offset: int, x: float, score: float) -> Candidate:
    return Candidate(
        offset, 1, np.array([[x, 0.0]]), np.array([score]), np.array([True]),
        np.array([0, 0, 100, 100.0]), 0.9,
    )  # fmt: skip


def test_the_mean_is_weighted_by_score_and_nearness() -> None:
    found = [candidate(0, 3, 0.2), candidate(-1, 0, 0.5), candidate(1, 0, 0.5)]
    # (1 * 0.2 * 3 + 0.6 * 0.5 * 0 * 2) / (0.2 + 0.3 + 0.3) = 0.6 / 0.8
    merged = merge(found, 10_000.0, None, RULES)
    np.testing.assert_allclose(merged.xy, [[0.75, 0.0]])
    # 0.9 * (1 * 0.2 + 0.6 * 0.5 * 2) / (1 + 0.6 + 0.6)
    np.testing.assert_allclose(merged.score, [0.9 * 0.8 / 2.2])
    assert merged.reason.tolist() == ["merged"]


def test_scores_never_fall() -> None:
    found = [candidate(0, 0, 0.5), candidate(-1, 0, 0.1), candidate(1, 0, 0.1)]
    assert merge(found, 10_000.0, None, RULES).score.tolist() == [0.5]


def test_what_lies_far_from_the_weighted_median_is_rejected() -> None:
    # A size is 0.2 * sqrt(10000) = 20 px, so 10 px away is still in and 11 px away is out.
    for x, expected in ((10.0, 0.2 * 10 / 0.8), (11.0, 0.0)):
        found = [candidate(0, x, 0.2), candidate(-1, 0, 0.5), candidate(1, 0, 0.5)]
        np.testing.assert_allclose(merge(found, 10_000.0, None, RULES).xy, [[expected, 0.0]])
    assert merge(found, 10_000.0, None, RULES).reason.tolist() == ["outlier"]


def test_a_sure_joint_moves_at_most_a_quarter_of_the_size() -> None:
    found = [candidate(0, 30, 0.7), *(candidate(s, 0, 0.9) for s in (-2, -1, 1, 2))]
    merged = merge(found, 10_000.0, None, RULES)
    np.testing.assert_allclose(merged.xy, [[30 - 0.25 * 20, 0.0]])
    assert merged.reason.tolist() == ["held"]


def test_the_head_is_the_size_where_the_skeleton_has_one() -> None:
    head = LSP14.index("head_top"), LSP14.index("neck")
    xy = np.zeros((14, 2))
    xy[head[1]] = 0.0, 8.0
    away = xy + np.array([5.0, 0.0])  # half a head is 4 px
    box, score, seen = np.array([0, 0, 100, 100.0]), np.full(14, 0.5), np.ones(14, bool)
    found = [Candidate(s, 1, p, score, seen, box, 0.9) for s, p in ((0, away), (-1, xy), (1, xy))]
    np.testing.assert_allclose(merge(found, 10_000.0, head, RULES).xy, xy)


def test_an_unknown_joint_comes_from_the_neighbours() -> None:
    found = [candidate(0, np.nan, 0.0), candidate(-1, 4, 0.5), candidate(1, 6, 0.5)]
    merged = merge(found, 10_000.0, None, RULES)
    np.testing.assert_allclose(merged.xy, [[5.0, 0.0]])
    np.testing.assert_allclose(merged.score, [0.45])


def test_a_weighted_median_is_the_least_value_with_half_of_the_weight() -> None:
    values = np.array([[5.0, 1.0], [1.0, 2.0], [9.0, 7.0]])
    weight = np.array([[1.0, 0.0], [1.0, 0.0], [3.0, 0.0]])
    middle = weighted_median(values, weight)
    assert middle[0] == 9.0
    assert np.isnan(middle[1])


# The flow.


def test_a_place_that_does_not_come_back_is_dropped() -> None:
    there, back = np.zeros((20, 20, 2)), np.zeros((20, 20, 2))
    there[..., 0] = 4.0
    back[..., 0] = -4.0
    back[10:, :, 0] = -2.2  # 1.8 px off: above 1.5 + 0.05 * 4 = 1.7
    pair = FlowPair(there, back, 1.5, 0.05)
    moved = pair.ahead(np.array([[5.0, 5.0], [5.0, 15.0], [17.0, 5.0], [np.nan, 5.0]]))
    np.testing.assert_allclose(moved[0], [9.0, 5.0])
    assert np.isnan(moved[1:]).all()  # inconsistent, outside, unknown


def test_chains_of_flow_carry_a_joint_forward_and_backward() -> None:
    rows = walk(5)
    rows[2] = person(2) + np.array([9.0, 0.0])  # a size is 0.2 * sqrt(42 * 58) = 9.87 px
    after = crowd_flow(video({1: rows}, 5), blank(5), flow=Moving())
    np.testing.assert_allclose(after.tracks[0].poses.xy[2], person(2), atol=1e-4)


def test_flow_of_another_program_is_read_from_files(tmp_path: Path) -> None:
    rows = walk(5)
    rows[2] = person(2) + np.array([9.0, 0.0])
    poses, moving = video({1: rows}, 5), Moving()
    wanted = crowd_flow(poses, blank(5), flow=moving)
    images = [p.image for p in blank(5)]
    for one, other in ((f, f + step) for f in range(5) for step in (-1, 1) if 0 <= f + step < 5):
        sign = 1 if other > one else -1
        there = np.broadcast_to(sign * MOTION, (*images[0].shape[:2], 2))
        write_flow(there, tmp_path / f"{one:06d}_{other:06d}.flo")
    settings = CrowdFlowSettings(method="files")
    after = crowd_flow(poses, blank(5), settings, flow=FlowFiles(tmp_path))
    np.testing.assert_allclose(after.tracks[0].poses.xy[2], person(2), atol=1e-4)
    same(after, wanted)
    assert after.history[-1].settings["method"] == "files"
    (tmp_path / "000003_000002.flo").unlink()
    with pytest.raises(FormatError, match="from frame 3 to frame 2"):
        crowd_flow(poses, blank(5), settings, flow=FlowFiles(tmp_path))
    with pytest.raises(UsageError, match="needs the files"):
        crowd_flow(poses, blank(5), settings)


@pytest.mark.parametrize(("direction", "share"), [("forward", 0.96), ("backward", 0.96)])
def test_one_direction_uses_one_side_alone(direction: Any, share: float) -> None:
    rows = walk(5)
    rows[2] = person(2) + np.array([4.0, 0.0])
    settings = CrowdFlowSettings(direction=direction)
    after = crowd_flow(video({1: rows}, 5), blank(5), settings, flow=Moving())
    # Weights 1, 0.6 and 0.36 of one side: 4 / 1.96 px are left.
    left = after.tracks[0].poses.xy[2] - person(2)
    np.testing.assert_allclose(left, np.tile([4 / (1 + share), 0.0], (17, 1)), atol=1e-4)


def test_without_direction_no_flow_is_asked_for() -> None:
    flow = Moving()
    poses = video({1: walk(4, without=[2])}, 4)
    same(crowd_flow(poses, blank(4), CrowdFlowSettings(direction="none"), flow=flow), poses)
    assert flow.calls == 0


def test_perfect_poses_stay_as_they_are_and_the_log_is_empty() -> None:
    poses, log = video({1: walk()}, 7), EditLog()
    after = crowd_flow(poses, blank(7), flow=Moving(), log=log)
    same(after, poses)
    assert len(log) == 0
    assert [h.step for h in after.history] == ["crowd_flow"]
    assert after.history[0].settings["decay"] == 0.6


def test_flow_is_estimated_once_a_pair_and_kept_for_the_window_only() -> None:
    alive: list[weakref.ref[Any]] = []
    most = 0

    class Watched(np.ndarray):
        pass

    def flow(first: Any, second: Any) -> Any:
        nonlocal most
        value = np.zeros((*first.shape[:2], 2)).view(Watched)
        alive.append(weakref.ref(value))
        most = max(most, sum(r() is not None for r in alive))
        return value

    crowd_flow(video({1: {f: person(0) for f in range(30)}}, 30), blank(30), flow=flow)
    assert len(alive) == 2 * 29
    assert most <= 2 * 4  # two of the window, the new one, and one that is on its way out


def test_the_smoother_is_two_frames_late() -> None:
    smoother = FlowPoseSmoother(COCO17, flow=Moving())
    frames = list(video({1: walk(4)}, 4).frames())
    image = blank(1)[0].image
    late = [[f.people.frame_index for f in smoother.push(image, people)] for people in frames]
    assert late == [[], [], [0], [1]]
    assert [f.people.frame_index for f in smoother.finish()] == [2, 3]


# On a real estimate of the flow of a moving texture.


def test_exchanged_wrists_are_repaired_by_flow() -> None:
    rows = walk(7)
    rows[3] = person(3)
    rows[3][[LEFT, RIGHT]] = rows[3][[RIGHT, LEFT]]
    log = EditLog()
    after = crowd_flow(video({4: rows}, 7, score=0.4), texture(7), log=log)
    assert np.abs(after.tracks[0].poses.xy[3, [LEFT, RIGHT]] - person(3)[[LEFT, RIGHT]]).max() < 1
    told = {e.joint for e in log if e.frame_index == 3 and e.reason == "outlier"}
    assert told == {"left_wrist", "right_wrist"}
    assert after.ids.tolist() == [4]


def test_a_person_missed_in_the_middle_is_inserted_in_the_right_place() -> None:
    log = EditLog()
    before = video({4: walk(7, without=[3])}, 7)
    after = crowd_flow(before, texture(7), log=log)
    track = after.person(4)
    assert track.frame_index.tolist() == list(range(7))
    assert np.linalg.norm(track.poses.xy[3] - person(3), axis=-1).max() < 2
    np.testing.assert_allclose(track.boxes.xyxy[3], [*person(3)[0] - 5, *person(3)[15] + [5, 17]],
                               atol=2)  # fmt: skip
    np.testing.assert_allclose(track.poses.score[3], 0.7 * 0.5, atol=1e-6)
    np.testing.assert_allclose(track.boxes.score[3], 0.7 * 0.8, atol=1e-6)
    inserted = [e for e in log if e.action == "inserted"]
    assert len(inserted) == 17
    assert {(e.frame_index, e.person_id) for e in inserted} == {(3, 4)}
    same(undo(after, log), before)


def test_nobody_is_inserted_when_it_is_switched_off_or_at_the_ends() -> None:
    off = CrowdFlowSettings(insert=False)
    after = crowd_flow(video({1: walk(5, without=[2])}, 5), blank(5), off, flow=Moving())
    assert after.tracks[0].frame_index.tolist() == [0, 1, 3, 4]
    after = crowd_flow(video({1: walk(5, without=[0, 4])}, 5), blank(5), flow=Moving())
    assert after.tracks[0].frame_index.tolist() == [1, 2, 3]


def test_nobody_is_inserted_where_somebody_stands_under_another_id() -> None:
    rows = {1: walk(5, without=[2]), 2: {2: person(2)}}
    after = crowd_flow(video(rows, 5), blank(5), flow=Moving())
    assert after.person(1).frame_index.tolist() == [0, 1, 3, 4]


def test_nobody_is_inserted_where_past_and_future_disagree() -> None:
    # Every second joint is 20 px off in the future; then one more is, and half is not reached.
    for wrong, frames in ((8, [0, 1, 2, 3]), (9, [0, 1, 3])):
        rows = walk(4, without=[2])
        rows[3][:wrong] += np.array([20.0, 0.0])
        after = crowd_flow(video({1: rows}, 4), blank(4), flow=Moving()).person(1)
        assert after.frame_index.tolist() == frames
    rows = walk(4, without=[2])
    rows[3][:8] += np.array([20.0, 0.0])
    known = np.isfinite(crowd_flow(video({1: rows}, 4), blank(4), flow=Moving()).tracks[0].poses.xy)
    assert known[2].all(-1).tolist() == [False] * 8 + [True] * 9


# Identity.


def numbered_anew() -> tuple[VideoPoses, VideoPoses]:
    """Two people with steady ids, and the same with ids exchanged in every other frame."""
    far = {f: person(f, (100.0, 30.0)) for f in range(5)}
    steady = video({1: walk(5), 2: far}, 5)
    rows: dict[int, dict[int, NDArray[np.float64]]] = {1: {}, 2: {}}
    for f in range(5):
        rows[1 + f % 2][f], rows[2 - f % 2][f] = person(f), far[f]
    return steady, video(rows, 5)


def test_links_by_flow_give_people_new_ids_and_the_log_says_so() -> None:
    steady, shaken = numbered_anew()
    log = EditLog()
    settings = CrowdFlowSettings(identity="link")
    after = crowd_flow(shaken, blank(5), settings, flow=Moving(), log=log)
    same(after, steady)
    assert log.counts() == {("crowd_flow", "relinked"): 4}  # both people, in frames 1 and 3
    same(undo(after, log), shaken)


def test_nearest_poses_link_people_for_the_merge_and_ids_stay() -> None:
    _, shaken = numbered_anew()
    shifted = shaken.person(1).poses.xy.copy()
    shifted[2] += np.array([4.0, 0.0])
    track = replace(shaken.person(1), poses=replace(shaken.person(1).poses, xy=shifted))
    poses = replace(shaken, tracks=(track, shaken.person(2)))
    settings = CrowdFlowSettings(identity="oks")
    after = crowd_flow(poses, blank(5), settings, flow=Moving())
    # Weights 1, 2 * 0.6, 2 * 0.36: 4 / 2.92 px are left, and only if the right people are joined.
    left = after.person(1).poses.xy[2] - person(2)
    np.testing.assert_allclose(left, np.tile([4 / 2.92, 0.0], (17, 1)), atol=1e-4)
    assert after.ids.tolist() == [1, 2]


def test_appearance_decides_between_two_boxes_that_overlap_alike() -> None:
    # Two people change places within a frame: boxes say stay, looks say exchange.
    left, right = person(0), person(0, (44.0, 30.0))
    poses = video({1: {0: left, 1: right}, 2: {0: right, 1: left}}, 2)
    looks = {0: np.eye(2), 1: np.eye(2)}
    order = iter(looks.values())
    settings = CrowdFlowSettings(identity="link")
    after = crowd_flow(poses, blank(2), settings, flow=exact, embed=lambda *_: next(order))
    np.testing.assert_allclose(after.person(1).boxes.xyxy[:, 0], [35, 39])
    after = crowd_flow(poses, blank(2), settings, flow=exact)
    np.testing.assert_allclose(after.person(1).boxes.xyxy[:, 0], [35, 35])


def test_oks_of_a_pose_one_spread_away_is_exp_minus_one() -> None:
    # 2 * sigma * sqrt(2 * area) = 0.1 * sqrt(800) px makes the exponent -1.
    a = np.zeros((1, 3, 2))
    b = np.stack([a[0] + [0.1 * np.sqrt(800), 0.0], np.full((3, 2), np.nan)])
    found = oks_matrix(a, b, np.array([400.0]), np.full(3, 0.05))
    np.testing.assert_allclose(found, [[np.exp(-1), 0.0]])


# The log.


def test_the_log_says_everything_that_changed(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    rows = {f: xy + rng.normal(0, 1, (17, 2)) for f, xy in walk(7, without=[3]).items()}
    rows[5][4] = np.nan
    before, log = video({1: rows, 9: {f: person(f, (90, 20)) for f in range(7)}}, 7), EditLog()
    after = crowd_flow(before, blank(7), flow=Moving(), log=log)
    same(undo(after, log), before)
    log.write(tmp_path / "edits.csv")
    log.write(tmp_path / "edits.json")
    with open(tmp_path / "edits.csv", newline="") as file:
        table = list(csv.DictReader(file))
    content = json.loads((tmp_path / "edits.json").read_text())
    assert len(table) == len(content["edits"]) == len(log)
    assert sum(c["edits"] for c in content["counts"]) == len(log)
    first, row = next(iter(log)), table[0]
    assert (row["joint"], int(row["frame"])) == (first.joint, first.frame_index)
    assert float(row["x_after"]) == first.after[0]  # type: ignore[index]
    found = next(e for e in log if e.action == "filled")
    assert (found.frame_index, found.joint, found.before) == (5, COCO17.joints[4], None)


def test_a_log_is_csv_or_json(tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"\.csv or \.json"):
        EditLog().write(tmp_path / "log.txt")


# Hostile input.


def test_a_video_without_people_and_one_of_one_frame_pass_through() -> None:
    nobody = video({}, 3)
    assert len(crowd_flow(nobody, blank(3), flow=Moving())) == 0
    alone = video({1: walk(1)}, 1)
    same(crowd_flow(alone, blank(1), flow=Moving()), alone)
    nothing = replace(nobody, frame_index=np.zeros(0, np.int64), time_s=np.zeros(0))
    assert len(crowd_flow(nothing, blank(0), flow=Moving())) == 0


def test_frames_that_were_not_looked_at_are_passed_over() -> None:
    poses = video({1: walk(8)}, 8)
    track = poses.tracks[0].select(slice(None, None, 2))
    every = slice(None, None, 2)
    half = replace(
        poses, tracks=(track,), frame_index=poses.frame_index[every], time_s=poses.time_s[every]
    )
    seen: list[int] = []
    frames = blank(8)

    def flow(first: Any, second: Any) -> Any:
        seen.extend(n for n, f in enumerate(frames) if f.image is second or f.image is first)
        return exact(first, second)

    crowd_flow(half, frames, flow=flow)
    assert set(seen) == {0, 2, 4, 6}


def test_poses_of_another_video_are_refused() -> None:
    poses = video({1: walk(7)}, 7)
    with pytest.raises(VideoError, match="go on in frame 5, and the video ends after frame 4"):
        crowd_flow(poses, blank(5), flow=Moving())
    with pytest.raises(VideoError, match="160x120 pixels, the video has frames of 80x60"):
        small = [Picture(f, np.zeros((60, 80, 3), np.uint8)) for f in range(7)]
        crowd_flow(poses, small, flow=Moving())
    with pytest.raises(VideoError, match="goes from before it to frame 4"):
        crowd_flow(poses, [f for f in blank(7) if f.index != 3], flow=Moving())


class Unreadable:
    """A video that says how many frames it has, and must not be read."""

    info = VideoInfo("other.mp4", SIZE, num_frames=9)

    def __iter__(self) -> Iterator[Picture]:
        raise AssertionError("a frame was read")


def test_another_number_of_frames_is_refused_before_any_is_read() -> None:
    with pytest.raises(VideoError, match=r"clip.mp4 had 7 frames, other.mp4 has 9 frames"):
        crowd_flow(video({1: walk(7)}, 7), Unreadable(), flow=Moving())


def test_poses_in_space_are_refused() -> None:
    flat = video({1: walk(2)}, 2)
    xyz, score = np.zeros((2, 17, 3), np.float32), np.ones((2, 17), np.float32)
    deep = Poses(xyz, score, COCO17, "camera_mm")
    poses = replace(flat, tracks=(replace(flat.tracks[0], poses=deep),))
    with pytest.raises(ShapeError, match="Refine before lifting"):
        crowd_flow(poses, blank(2), flow=Moving())


@pytest.mark.parametrize(
    "wrong",
    [{"window": 0}, {"direction": "up"}, {"identity": "face"}, {"decay": 1.5}, {"outlier": -1}],
)
def test_impossible_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        CrowdFlowSettings(**wrong)


def test_new_people_have_no_former_id() -> None:
    smoother = FlowPoseSmoother(COCO17, flow=Moving())
    done = []
    for people in video({1: walk(5, without=[2])}, 5).frames():
        done += smoother.push(blank(1)[0].image, people)
    done += smoother.finish()
    assert [f.ids_before.tolist() for f in done] == [[1], [1], [INSERTED], [1], [1]]
