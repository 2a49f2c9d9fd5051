"""SynthTrack as a data set: read like PoseTrack, told apart by strata, compared with its table."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from chronopose.core.skeletons import POSETRACK15, POSETRACK17SLOT
from chronopose.data.datasets._find import find_dataset
from chronopose.errors import UsageError
from chronopose.synth.assets import Assets
from chronopose.synth.clip_arrays import read_arrays
from chronopose.synth.scenario import make_scenario
from chronopose.synth.synthtrack import labels_alone, synthtrack_plans
from chronopose.synth.write import ClipPlaces, write_clip

PLAN = synthtrack_plans("test")[1]


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """One clip of the test split, its labels right, its pictures black."""
    scenario = make_scenario(PLAN, Assets(), painted=False)
    labels, cameras = labels_alone(scenario)
    black = np.zeros((PLAN.size[1], PLAN.size[0], 3), np.uint8)
    write_clip(
        tmp_path, "test", PLAN.name, [black] * PLAN.frames, labels, cameras,
        np.arange(PLAN.frames) / PLAN.fps, seed=PLAN.seed,
        settings={"fingerprint": scenario.fingerprint()},
    )  # fmt: skip
    return tmp_path


def test_the_test_split_is_read_in_the_slots_of_posetrack(world: Path):
    data = find_dataset("synthtrack", world, "test")
    [sequence] = data.sequences()
    assert (sequence.name, sequence.skeleton, len(sequence)) == (PLAN.name, POSETRACK17SLOT, 40)
    arrays = read_arrays(ClipPlaces(world, "test", PLAN.name).arrays)
    frame = sequence.to_skeleton(POSETRACK15).frames[7]
    row = arrays.ids.tolist().index(frame.ids[0])
    want = arrays.xy[7, row][arrays.places(POSETRACK15.joints)]
    known = frame.known[0]
    assert known.any()
    np.testing.assert_allclose(frame.xy[0][known], want[known], atol=0.01)
    sample = data.clips(frames=5).sample(0, np.random.default_rng(0))
    assert sample.images[0].shape == (360, 640, 3)


def test_clips_are_told_apart_by_the_ends_of_their_names(world: Path):
    data = find_dataset("synthtrack", world, "test")
    assert [data.stratum(s.name) for s in data.sequences()] == ["blur"]
    assert data.stratum("walk") == ""
    assert find_dataset("posetrack18", world, "val").stratum("000001_blur") == ""


def test_every_fourth_frame_can_count_as_labelled_and_its_neighbours_stay(world: Path):
    whole = find_dataset("synthtrack", world, "test")
    some = find_dataset("synthtrack", world, "test", every=4)
    [sequence] = some.sequences()
    assert [f.frame_index for f in sequence if f.labelled] == [
        f.frame_index for f in whole.sequences()[0].frames[::4]
    ]
    assert all(len(f) == 0 for f in sequence if not f.labelled)
    # The first frame's clip is drawn with the second and third, which are not labelled.
    images = some.clips(frames=5).sample(0, np.random.default_rng(0)).images
    assert len(images) == 5
    assert len(some.clips(frames=5)) < len(whole.clips(frames=5)) / 3
    with pytest.raises(UsageError, match="from 1"):
        find_dataset("synthtrack", world, "test", every=0)


def test_a_part_of_a_frozen_split_is_not_the_split(world: Path):
    [problem] = find_dataset("synthtrack", world, "test").check()
    assert problem.what.startswith("39 of the 40 clips of test are missing: 600000_clean")
    assert "chronopose synth --benchmark synthtrack" in problem.remedy


def test_a_clip_with_other_labels_is_named(world: Path):
    facts = ClipPlaces(world, "test", PLAN.name).facts
    content = json.loads(facts.read_text())
    facts.write_text(json.dumps({**content, "labels_sha256": "f" * 64}))
    problems = find_dataset("synthtrack", world, "test").check()
    assert problems[-1].what == f"1 of the 40 clips of test are not as frozen: {PLAN.name}"


def test_train_is_whatever_was_made(world: Path):
    for part in ("images", "posetrack_data/annotations", "arrays"):
        (world / part / "test").rename(world / part / "train")
    labels = world / "posetrack_data" / "annotations" / "train" / f"{PLAN.name}.json"
    labels.write_text(labels.read_text().replace("images/test/", "images/train/"))
    assert find_dataset("synthtrack", world, "train").check() == []
