"""Labels carried by PoseWarper: windows, reach, the mean of two labels, what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from chronopose.core.skeletons import get_skeleton
from chronopose.core.tracks import VideoPoses
from chronopose.data.datasets.procedural import ProceduralVideo
from chronopose.errors import UsageError, VideoError
from chronopose.io.video import Frame
from chronopose.models._find import build_model
from chronopose.models.posewarper import PoseWarper
from chronopose.pipeline.propagate_warp import propagate_by_warping

COUNT = 7


@pytest.fixture(scope="module")
def model() -> PoseWarper:
    """Untrained: it warps nothing, so a label stays where it is in its window."""
    torch.manual_seed(0)
    found = build_model("posewarper", "lite", crop_size=(64, 96))
    assert isinstance(found, PoseWarper)
    return found.eval()


@pytest.fixture(scope="module")
def clip() -> tuple[list[Frame], VideoPoses]:
    video = ProceduralVideo(3, (96, 96), COUNT, 2, skeleton="lsp14")
    shown, truth = video.clip()
    frames = [
        Frame(int(i), float(t), image)
        for i, t, image in zip(shown.frame_index, shown.time_s, shown.frames, strict=True)
    ]
    return frames, truth


def only(truth: VideoPoses, *frames: int) -> VideoPoses:
    tracks = (t.select(np.isin(t.frame_index, frames)) for t in truth.tracks)
    return replace(truth, tracks=tuple(tracks))


def track(poses: VideoPoses, person: Any) -> dict[int, np.ndarray]:
    found = poses.person(int(person))
    return dict(zip(found.frame_index.tolist(), found.poses.xy, strict=True))


def test_labels_reach_as_far_as_the_model_looks_and_stay_as_they_are(
    model: PoseWarper, clip: tuple[list[Frame], VideoPoses]
) -> None:
    frames, truth = clip
    labels = only(truth, 3)
    poses = propagate_by_warping(labels, frames, model)
    assert poses.frame_index.tolist() == list(range(COUNT))
    for person in truth.ids:
        places = track(poses, person)
        assert sorted(places) == [1, 2, 3, 4, 5]
        label = track(labels, person)[3]
        np.testing.assert_array_equal(places[3], label)
        # A cell of the window is a few pixels; the decoder comes within a fraction of it.
        inside = ((label > 4) & (label < 92)).all(-1)
        assert np.abs(places[4] - label)[inside].max() < 1.0
    assert poses.history[-1].settings == {"method": "posewarper", "reach": 2}


def test_between_two_labels_the_nearer_one_weighs_more(
    model: PoseWarper, clip: tuple[list[Frame], VideoPoses]
) -> None:
    frames, truth = clip
    labels = only(truth, 0, 3)
    poses = propagate_by_warping(labels, frames, model)
    person = truth.ids[0]
    before, after = track(labels, person)[0], track(labels, person)[3]
    got = track(poses, person)[1]
    apart = np.linalg.norm(after - before, axis=-1)
    share = ((got - before) * (after - before)).sum(-1)[apart > 3] / apart[apart > 3] ** 2
    # Frame 1 is one frame from a label and two from the other: weights 2/3 and 1/3.
    assert np.median(share) == pytest.approx(1 / 3, abs=0.1)


def test_joints_of_labels_are_converted_by_name(
    model: PoseWarper, clip: tuple[list[Frame], VideoPoses]
) -> None:
    frames, truth = clip
    other = truth.to_skeleton(get_skeleton("mpii16"))
    poses = propagate_by_warping(only(other, 3), frames, model, reach=1)
    assert poses.skeleton.name == "lsp14"
    # Arms and legs mean the same in both; neck and head do not quite.
    got, want = track(poses, truth.ids[0])[3], track(truth, truth.ids[0])[3]
    np.testing.assert_allclose(got[:12], want[:12], atol=1e-4)


def test_what_cannot_be_warped_is_refused(
    model: PoseWarper, clip: tuple[list[Frame], VideoPoses]
) -> None:
    frames, truth = clip
    with pytest.raises(UsageError, match="needs no model"):
        propagate_by_warping(only(truth, 3), frames, build_model("simple_baseline", "lite"))
    with pytest.raises(UsageError, match="at least one frame"):
        propagate_by_warping(only(truth, 3), frames, model, reach=0)
    with pytest.raises(VideoError, match="no frame 3"):
        propagate_by_warping(only(truth, 3), frames[:2], model)
