"""Who is looked at, in which frames, and what comes out of the network."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from chronopose.core.boxes import Boxes
from chronopose.core.poses import Poses
from chronopose.core.skeletons import get_skeleton
from chronopose.core.tracks import FramePoses
from chronopose.errors import UsageError
from chronopose.models.simple_baseline import SimpleBaseline
from chronopose.models.tdmi import TDMI
from chronopose.pipeline.dissect import look_inside, most_visible, pick_keys

LSP14 = get_skeleton("lsp14")


def frame(number: int, people: dict[int, tuple[int, float]]) -> FramePoses:
    """A frame of people: id -> number of seen joints and side of the box."""
    count = len(people)
    score = np.zeros((count, 14), np.float32)
    boxes = np.zeros((count, 4), np.float32)
    for row, (seen, side) in enumerate(people.values()):
        score[row, :seen], boxes[row, 2:] = 0.9, side
    poses = Poses(np.zeros((count, 14, 2), np.float32), score, LSP14)
    ids = np.array(list(people), np.int64)
    return FramePoses(number, number / 10, ids, Boxes(boxes, np.ones(count, np.float32)), poses)


def test_the_most_visible_person_has_most_joints_seen_over_all_frames():
    frames = [frame(0, {1: (14, 90.0), 2: (9, 10.0)}), frame(1, {2: (9, 10.0)})]
    assert most_visible(frames) == 2


def test_of_equally_visible_people_it_is_the_larger_one():
    assert most_visible([frame(0, {1: (9, 10.0), 2: (9, 11.0)})]) == 2


def test_key_frames_are_spread_and_their_windows_lie_inside():
    frames = [frame(n, {1: (9, 10.0)}) for n in range(13)]
    assert pick_keys(frames, 1, 3, (-2, -1, 0, 1, 2)) == [2, 6, 10]
    assert pick_keys(frames, 1, 13, (-2, -1, 0, 1, 2)) == list(range(13))
    assert pick_keys(frames[:3], 1, 5, (0,)) == [0, 1, 2]


def test_only_frames_in_which_the_person_is_are_taken():
    frames = [frame(n, {1: (9, 10.0)} if n % 2 else {2: (9, 10.0)}) for n in range(8)]
    assert pick_keys(frames, 1, 9, (0,)) == [1, 3, 5, 7]
    with pytest.raises(UsageError, match=r"no person 7 in these frames; there are 1, 2\."):
        pick_keys(frames, 7, 1, (0,))
    with pytest.raises(UsageError, match="at least one frame; got 0"):
        pick_keys(frames, 1, 0, (0,))
    with pytest.raises(UsageError, match="Nobody was found"):
        most_visible([frame(0, {})])


def test_tdmi_gives_its_parts_and_its_gates_and_forgets_that_it_was_asked():
    torch.manual_seed(0)
    model = TDMI(TDMI.PRESETS["lite"]).eval()
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 255, (5, 60, 50, 3), dtype=np.uint8)
    inside = look_inside(model, [list(pictures)] * 2, np.array([[5, 5, 40, 55.0]] * 2))
    assert inside.crops.shape == (2, 256, 192, 3) and inside.heatmaps.shape == (2, 14, 64, 48)
    np.testing.assert_allclose(inside.heatmaps.sum((2, 3)), 1, rtol=1e-4)
    assert {n: f.shape for n, f in inside.features.items()} == {
        "M_u": (2, 16, 64, 48), "M_n": (2, 16, 64, 48),
    }  # fmt: skip
    gates = inside.gates["M_u"]
    assert np.nanmin(gates) > 0 and np.nanmax(gates) < 1
    with torch.no_grad():
        assert model.gives_features is False and model(torch.zeros(1, 5, 3, 256, 192))[1] is None
    assert inside.state.useful[0] == pytest.approx(np.nanmin(gates), abs=1e-6)


def test_a_network_without_a_split_gives_crop_and_heatmaps():
    model = SimpleBaseline(SimpleBaseline.PRESETS["lite"]).eval()
    still = np.full((60, 50, 3), 99, np.uint8)
    inside = look_inside(model, [[still]], np.array([[5, 5, 40, 55.0]]))
    assert inside.features == {} and inside.gates == {} and inside.state is None
    # A crop of an even picture is that picture.
    assert (inside.crops == 99).all()
