"""SynthTrack: frozen plans, labels that need no drawing, and a check that notices changes."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from chronopose.cli import synth as verb
from chronopose.cli.main import main
from chronopose.errors import UsageError
from chronopose.io.synthtrack import STRATA, frozen_clips, stratum_of
from chronopose.synth.assets import Assets
from chronopose.synth.clip_arrays import read_arrays
from chronopose.synth.generate import GenerateSettings, generate
from chronopose.synth.scenario import ClipPlan, make_scenario
from chronopose.synth.synthtrack import (
    FIRST_SEED,
    MOST_TRAIN,
    check_synthtrack,
    expected_digest,
    freeze,
    labels_alone,
    synthtrack_plans,
)
from chronopose.synth.write import ClipPlaces, write_clip

FIRST = synthtrack_plans("val")[0]


def write_undrawn(folder: Path, plan: ClipPlan) -> ClipPlaces:
    """A clip with its right labels and black pictures."""
    scenario = make_scenario(plan, Assets(), painted=False)
    labels, cameras = labels_alone(scenario)
    black = np.zeros((plan.size[1], plan.size[0], 3), np.uint8)
    write_clip(
        folder, plan.split, plan.name, [black] * plan.frames, labels, cameras,
        np.arange(plan.frames) / plan.fps, seed=plan.seed,
        settings={"fingerprint": scenario.fingerprint()},
    )  # fmt: skip
    return ClipPlaces(folder, plan.split, plan.name)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first clip of val."""
    folder = tmp_path_factory.mktemp("synthtrack")
    write_undrawn(folder, FIRST)
    return folder


def of_first(folder: Path) -> list[str]:
    return [p for p in check_synthtrack(folder, "val") if p.startswith(FIRST.name)]


# ---- the plans ------------------------------------------------------------------------------


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_frozen_split_has_eight_clips_of_each_stratum(split):
    found = synthtrack_plans(split)
    assert [p.name for p in found] == list(frozen_clips(split))
    assert {s: sum(p.difficulty == s for p in found) for s in STRATA} == dict.fromkeys(STRATA, 8)
    assert {(p.size, p.frames, p.fps, p.people) for p in found} == {((640, 360), 40, 25.0, (1, 4))}
    assert all(stratum_of(p.name) == p.difficulty and p.split == split for p in found)


def test_no_two_clips_of_the_table_are_the_same_and_crowds_are_crowds():
    clips = [*frozen_clips("val").values(), *frozen_clips("test").values()]
    assert len({c.labels_sha256 for c in clips}) == len({c.decisions_sha256 for c in clips}) == 80
    assert all(len(c.labels_sha256) == 64 for c in clips)
    # Somebody for whom there is no room stays away.
    assert all(3 <= c.people <= 8 for c in clips if c.name.endswith("crowd"))


def test_seeds_of_the_splits_do_not_meet():
    last = FIRST_SEED["train"] + MOST_TRAIN - 1
    val, test = ([p.seed for p in synthtrack_plans(s)] for s in ("val", "test"))
    assert last < min(val) <= max(val) < min(test)


def test_bodies_motions_and_places_of_one_split_are_in_no_other():
    assets, met = Assets(), []
    for split in ("train", "val", "test"):
        rng = np.random.default_rng(0)
        keys = set()
        for _ in range(3):
            keys |= {assets.environment(split, rng, painted=False).key}
            keys |= {assets.body(split, rng).key, assets.motion(split, 1.0, rng).key}
        assert len(keys) == 9
        met.append(keys)
    # The same luck, other things.
    assert len(set.union(*met)) == 27


def test_only_train_has_any_size():
    assert len(synthtrack_plans("train", 7)) == 7
    with pytest.raises(UsageError, match="always has 40 clips"):
        synthtrack_plans("test", 7)
    with pytest.raises(UsageError, match="1 to 500000 clips"):
        synthtrack_plans("train", 500_001)
    with pytest.raises(UsageError, match="not for 'train'"):
        check_synthtrack(Path(), "train")


# ---- the labels -----------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 1, 4])
def test_labels_of_this_machine_are_the_frozen_ones(number: int):
    # A clean clip, one with sub-frame moments, and a crowd.
    plan = synthtrack_plans("val")[number]
    assert freeze(plan) == frozen_clips("val")[plan.name]


def test_a_drawn_clip_has_the_labels_of_the_undrawn_one(tmp_path: Path):
    plan = ClipPlan(seed=11, difficulty="occlusion", people=(2, 2), frames=2, size=(64, 48))
    [(_, facts, _)] = generate([plan], tmp_path, GenerateSettings(renderer="soft"))
    assert facts.labels_sha256 == expected_digest(plan)
    assert facts.settings["fingerprint"] == freeze(plan).decisions_sha256
    assert expected_digest(replace(plan, seed=12)) != facts.labels_sha256


# ---- the check ------------------------------------------------------------------------------


def test_the_check_passes_a_right_clip_and_misses_the_others(whole: Path):
    assert of_first(whole) == []
    assert len(check_synthtrack(whole, "val")) == 39
    assert len(check_synthtrack(whole, "test")) == 40


def test_a_joint_moved_by_a_pixel_is_noticed_in_the_arrays(tmp_path: Path):
    places = write_undrawn(tmp_path, FIRST)
    arrays = read_arrays(places.arrays)
    arrays.xy[3, 0, 0, 0] += 1
    arrays.write(places.arrays)
    [problem] = of_first(tmp_path)
    assert "labels that are not the frozen ones" in problem


def test_a_joint_moved_by_a_pixel_is_noticed_in_the_annotations(tmp_path: Path):
    places = write_undrawn(tmp_path, FIRST)
    content = json.loads(places.annotations.read_text())
    content["annotations"][5]["keypoints"][0] += 1
    places.annotations.write_text(json.dumps(content))
    [problem] = of_first(tmp_path)
    assert "does not say what its arrays say" in problem


def test_another_place_and_a_strange_clip_are_noticed(tmp_path: Path):
    places = write_undrawn(tmp_path, FIRST)
    facts = json.loads(places.facts.read_text())
    facts["settings"]["fingerprint"] = "0" * 64
    places.facts.write_text(json.dumps(facts))
    (places.annotations.parent / "holiday.json").write_text("{}")
    [problem] = of_first(tmp_path)
    assert "another place than frozen" in problem
    assert check_synthtrack(tmp_path, "val")[-1].startswith("holiday: is no clip of SynthTrack")


# ---- the command ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--seed", "3"], "--seed cannot go with --benchmark"),
        (["--size", "320x180", "--fps", "30"], "--size, --fps cannot go with"),
        (["--pictures", "mp4"], "read from pictures"),
        (["--split", "val", "--clips", "6"], "always has 40 clips"),
        (["--benchmark", "posetrack"], "no benchmark 'posetrack'"),
    ],
)
def test_flags_that_would_change_the_benchmark_are_refused(
    flags: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    start = ["synth", "--out", str(tmp_path / "out"), "--benchmark", "synthtrack"]
    assert main([*start, *flags]) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_command_ends_with_four_where_labels_are_not_frozen_ones(
    whole: Path, capsys: pytest.CaptureFixture[str]
):
    assert verb.check_benchmark(Namespace(out=str(whole), split="val")) == 4
    assert "NOT SynthTrack val: 39 problems" in capsys.readouterr().out
