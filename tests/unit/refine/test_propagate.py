"""propagate: labels carried along the flow, blended between labels, doubted where it must be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle

import numpy as np
import pytest
from numpy.typing import NDArray

from chronopose.core.boxes import Boxes
from chronopose.core.poses import Poses
from chronopose.core.skeletons import get_skeleton
from chronopose.core.tracks import PersonTrack, VideoPoses
from chronopose.core.video import VideoInfo
from chronopose.data.datasets.procedural import ProceduralVideo
from chronopose.errors import ShapeError, UsageError, VideoError
from chronopose.io.video import Frame
from chronopose.metrics.pck import PCK
from chronopose.refine._carried import BlendRules, Opinion, Person, blend, straight
from chronopose.refine.crowd_flow import FlowFunction
from chronopose.refine.propagate import PropagateSettings, propagate

SKELETON = get_skeleton("lsp14")
SIZE = (64, 48)
RULES = BlendRules(reach=60, step_px=0.5, bend=0.5, tolerance=0.1)


def still_frames(count: int) -> list[Frame]:
    image = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    return [Frame(i, i / 10, image) for i in range(count)]


def constant_flow(u: float, v: float) -> FlowFunction:
    """Everything moves by (u, v) a frame; there and back are asked for by turns."""
    signs = cycle((1, -1))

    def flow(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.floating]:
        return np.full((*first.shape[:2], 2), (u, v), np.float32) * next(signs)

    return flow


def labels_at(places: dict[int, tuple[float, float]], person: int = 1) -> VideoPoses:
    """All joints of one person at one place in some frames; the box is 20 x 20 around it."""
    xy = np.array([np.tile(p, (14, 1)) for p in places.values()], np.float32)
    boxes = np.array([[x - 10, y - 10, x + 10, y + 10] for x, y in places.values()], np.float32)
    index = np.array(list(places))
    track = PersonTrack(
        person, index, index / 7.0, Boxes(boxes, np.ones(len(places), np.float32)),
        Poses(xy, np.ones(xy.shape[:2], np.float32), SKELETON),
    )  # fmt: skip
    return VideoPoses(VideoInfo("clip", SIZE), SKELETON, (track,))


def places(poses: VideoPoses, person: int = 1) -> dict[int, list[float]]:
    track = poses.person(person)
    return {
        int(f): xy[0].round(3).tolist()
        for f, xy in zip(track.frame_index, track.poses.xy, strict=True)
    }


def test_a_single_label_follows_the_flow_both_ways_as_far_as_it_reaches() -> None:
    poses = propagate(
        labels_at({3: (30.0, 20.0)}), still_frames(8), PropagateSettings(reach=2),
        flow=constant_flow(2.0, 1.0),
    )  # fmt: skip
    assert places(poses) == {1: [26, 18], 2: [28, 19], 3: [30, 20], 4: [32, 21], 5: [34, 22]}
    assert poses.frame_index.tolist() == list(range(8))
    np.testing.assert_allclose(poses.person(1).boxes.xyxy[0], [16, 8, 36, 28], atol=1e-3)
    np.testing.assert_allclose(poses.person(1).time_s, [0.1, 0.2, 0.3, 0.4, 0.5])


def test_labels_stay_as_they_are_and_what_flow_lost_between_them_is_taken_back() -> None:
    # The flow says 2 px a frame, the labels say 3: each frame gives back a third of what is off.
    poses = propagate(
        labels_at({0: (10.0, 20.0), 3: (19.0, 20.0)}), still_frames(4),
        flow=constant_flow(2.0, 0.0),
    )  # fmt: skip
    assert places(poses) == {0: [10, 20], 1: [13, 20], 2: [16, 20], 3: [19, 20]}
    score = poses.person(1).poses.score
    assert (score[[0, 3]] == 1).all()
    assert (score[1:3] < 1).all()


def test_nobody_is_carried_through_a_labelled_frame_without_them() -> None:
    first, second = labels_at({0: (10.0, 20.0)}), labels_at({2: (40.0, 30.0)}, person=2)
    both = replace(first, tracks=(*first.tracks, *second.tracks))
    poses = propagate(both, still_frames(5), flow=constant_flow(0.0, 0.0))
    assert sorted(places(poses)) == [0, 1]
    assert sorted(places(poses, 2)) == [1, 2, 3, 4]


def test_joints_without_a_label_stay_unknown() -> None:
    labels = labels_at({0: (10.0, 20.0), 2: (10.0, 20.0)})
    xy = labels.tracks[0].poses.xy.copy()
    xy[:, 5], xy[1, 6] = np.nan, np.nan
    labels = replace(
        labels,
        tracks=(replace(labels.tracks[0], poses=replace(labels.tracks[0].poses, xy=xy)),),
    )
    poses = propagate(labels, still_frames(3), flow=constant_flow(0.0, 0.0)).person(1).poses
    assert np.isnan(poses.xy[1, 5]).all()
    assert poses.score[1, 5] == 0
    assert np.isfinite(poses.xy[1, 6]).all()
    assert 0 < poses.score[1, 6] < poses.score[1, 7]  # only one label speaks for it


def test_score_falls_with_the_steps_that_do_not_come_back() -> None:
    def astray(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.full((*first.shape[:2], 2), 1.0, np.float32)  # there and back: 2 px off

    one = labels_at({0: (10.0, 10.0)})
    good = propagate(one, still_frames(4), flow=constant_flow(1.0, 1.0)).person(1).poses.score
    bad = propagate(one, still_frames(4), flow=astray).person(1).poses.score
    assert (np.diff(good[:, 0]) < 0).all()
    assert (bad[1:] < 0.8 * good[1:]).all()
    # One step: doubt 0.3² + 2² + 2² in a box of side 20, halved at 1 px.
    np.testing.assert_allclose(bad[1], 1 / (1 + 8.09 / 1.0), rtol=1e-3)


def test_large_frames_are_shrunk_and_places_come_back_in_their_pixels() -> None:
    # Half the size: the flow of 1 px there is 2 px here.
    poses = propagate(
        labels_at({0: (10.0, 20.0)}), still_frames(3), PropagateSettings(max_side_px=32),
        flow=constant_flow(1.0, 0.5),
    )  # fmt: skip
    assert places(poses)[2] == [14, 22]


def test_a_walk_with_both_ends_held_is_surest_at_its_ends() -> None:
    walk = Opinion(np.zeros((5, 1, 2)), np.arange(5.0)[:, None])
    held = walk.bridged(np.zeros((1, 2)), -1)
    # Variance of a Brownian bridge: t (4 - t) / 4.
    np.testing.assert_allclose(held.doubt2[:, 0], [0, 0.75, 1, 0.75, 0])
    far = walk.bridged(np.array([[4.0, 0.0]]), -1)
    np.testing.assert_allclose(far.xy[:, 0, 0], [0, 1, 2, 3, 4])
    np.testing.assert_allclose(far.doubt2, 2 * held.doubt2)  # 16 off, where 2 * 4 was foreseen


def test_the_straight_line_is_doubted_most_in_the_middle() -> None:
    line = straight(np.zeros((1, 2)), np.array([[8.0, 0.0]]), np.linspace(0, 1, 5), RULES)
    np.testing.assert_allclose(line.xy[:, 0, 0], [0, 2, 4, 6, 8])
    # (0.5 * 8)² + 0.5² * 4 = 17 in the middle, three quarters of it halfway there.
    np.testing.assert_allclose(line.doubt2[:, 0], [0, 12.75, 17, 12.75, 0])


def test_the_surer_opinion_weighs_more() -> None:
    person = Person(
        np.zeros((1, 2)), np.ones(1), np.ones(1, bool), np.array([0.0, 0, 10, 10]), 1.0
    )  # fmt: skip
    ahead = Opinion(np.array([[[0.0, 0.0]], [[1.0, 0.0]]]), np.array([[0.0], [1.0]]))
    behind = Opinion(np.array([[[np.nan, 0.0]], [[5.0, 0.0]]]), np.array([[np.inf], [3.0]]))
    unheld = replace(person, xy=np.full((1, 2), np.nan))
    [_, got] = blend(person, unheld, ahead, behind, np.array([0.0, 1.0]), RULES)
    assert got is not None
    # Weights 1 and 1/3: (1 + 5/3) / (4/3) = 2. Left of the doubt: 1 / (4/3) = 0.75, and the two
    # lie (1 + 9/3) / (4/3) = 3 apart; 3.75 px² against the (0.1 * 10 px)² that halve a score.
    assert got.xy[0, 0] == pytest.approx(2.0)
    assert got.score[0] == pytest.approx(1 / 4.75)


def sparse(truth: VideoPoses, step: int) -> VideoPoses:
    return replace(truth, tracks=tuple(t.select(t.frame_index % step == 0) for t in truth.tracks))


def pck_between(poses: VideoPoses, truth: VideoPoses, step: int) -> float:
    metric = PCK(truth.skeleton, threshold=0.1)
    for got, want in zip(poses.tracks, truth.tracks, strict=True):
        assert got.frame_index.tolist() == want.frame_index.tolist()
        between = want.frame_index % step != 0
        metric.update(
            got.poses.xy[between], want.poses.xy[between], np.asarray(want.poses.visible)[between]
        )
    return metric.compute().pooled


def nearest(labels: VideoPoses, truth: VideoPoses) -> VideoPoses:
    """What copying the nearest label would give."""
    tracks: Sequence[PersonTrack] = [
        replace(want, poses=have.poses.select(
            np.abs(want.frame_index[:, None] - have.frame_index).argmin(1)
        ))
        for have, want in zip(labels.tracks, truth.tracks, strict=True)
    ]  # fmt: skip
    return replace(truth, tracks=tuple(tracks))


def test_every_tenth_label_of_a_clip_gives_the_others_far_better_than_copying() -> None:
    video = ProceduralVideo(
        1, (192, 144), 41, 1, skeleton="lsp14", motions=("walk",), obstacles=0
    )  # fmt: skip
    clip, truth = video.clip()
    frames = [
        Frame(int(i), float(t), image)
        for i, t, image in zip(clip.frame_index, clip.time_s, clip.frames, strict=True)
    ]
    labels = sparse(truth, 10)
    poses = propagate(labels, frames)
    ours, copied = pck_between(poses, truth, 10), pck_between(nearest(labels, truth), truth, 10)
    assert ours > copied + 20
    error = np.linalg.norm(poses.tracks[0].poses.xy - truth.tracks[0].poses.xy, axis=-1)
    score = poses.tracks[0].poses.score
    assert error[score > np.median(score)].mean() < 0.7 * error[score <= np.median(score)].mean()
    assert poses.history[-1].step == "propagate"


def test_what_cannot_be_carried_is_refused() -> None:
    with pytest.raises(VideoError, match="no frame 9, which is labelled"):
        propagate(labels_at({9: (1.0, 1.0)}), still_frames(4), flow=constant_flow(0, 0))
    with pytest.raises(VideoError, match="another video"):
        small = [Frame(0, 0.0, np.zeros((32, 32, 3), np.uint8))]
        propagate(labels_at({0: (1.0, 1.0)}), small, flow=constant_flow(0, 0))
    with pytest.raises(UsageError, match="Nothing is labelled"):
        propagate(replace(labels_at({0: (1.0, 1.0)}), tracks=()), still_frames(2))
    with pytest.raises(UsageError, match="reach must be at least one"):
        PropagateSettings(reach=0)
    labels = labels_at({0: (1.0, 1.0)})
    crops = replace(labels.tracks[0], poses=replace(labels.tracks[0].poses, space="crop_px"))
    with pytest.raises(ShapeError, match="image pixels"):
        propagate(replace(labels, tracks=(crops,)), still_frames(2))
