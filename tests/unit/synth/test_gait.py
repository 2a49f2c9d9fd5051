"""Motion made by rule: constant bones, planted feet, knees that bend backwards, two splits."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from chronopose.errors import UsageError
from chronopose.synth.gait import KINDS, Dice, Split, procedural_motion
from chronopose.synth.motion import MOTION_JOINTS, PROCEDURAL, Motion

BONES = [
    ("hip", "knee"), ("knee", "ankle"), ("ankle", "toe"),
    ("shoulder", "elbow"), ("elbow", "wrist"), ("wrist", "hand"),
]  # fmt: skip


def joint(motion: Motion, name: str) -> np.ndarray:
    return motion.xyz[:, MOTION_JOINTS.index(name)].astype(np.float64)


@pytest.fixture(scope="module", params=KINDS)
def motion(request: pytest.FixtureRequest) -> Motion:
    return procedural_motion(request.param, 3, 4.0)


def test_bones_keep_their_lengths(motion: Motion) -> None:
    for side in ("left", "right"):
        for start, end in BONES:
            lengths = np.linalg.norm(
                joint(motion, f"{side}_{start}") - joint(motion, f"{side}_{end}"), axis=-1
            )
            assert np.ptp(lengths) < 1e-4, (side, start, end)


def test_nobody_sinks_into_the_ground_or_moves_faster_than_people(motion: Motion) -> None:
    assert np.isfinite(motion.xyz).all()
    assert motion.xyz[..., 2].min() > -0.01
    steps = np.linalg.norm(np.diff(motion.xyz, axis=0), axis=-1)
    assert steps.max() * 30 < 16


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(6))
def test_knees_bend_backwards(kind: str, seed: int) -> None:
    motion = procedural_motion(kind, seed, 4.0)
    across = joint(motion, "left_hip") - joint(motion, "right_hip")
    for side in ("left", "right"):
        thigh = joint(motion, f"{side}_knee") - joint(motion, f"{side}_hip")
        shin = joint(motion, f"{side}_ankle") - joint(motion, f"{side}_knee")
        bend = np.cross(thigh, shin)
        size = np.linalg.norm(thigh, axis=-1) * np.linalg.norm(shin, axis=-1)
        backwards = (bend * across).sum(-1) / size / np.linalg.norm(across, axis=-1)
        assert backwards.min() > -0.02


@pytest.mark.parametrize("kind", ["walk", "run", "crouch", "turn"])
def test_a_foot_on_the_ground_does_not_slide(kind: str) -> None:
    motion = procedural_motion(kind, 1, 4.0, fps=120)
    for side in ("left", "right"):
        toe = joint(motion, f"{side}_toe")
        down = (toe[1:, 2] < 0.0205) & (toe[:-1, 2] < 0.0205)
        assert down.mean() > 0.15
        slip = np.linalg.norm(np.diff(toe[:, :2], axis=0), axis=-1)[down]
        assert np.quantile(slip, 0.95) * 120 < 0.02


def test_someone_who_walks_faces_where_they_go() -> None:
    motion = procedural_motion("walk", 5, 3.0)
    way = np.diff(joint(motion, "pelvis"), axis=0)[:, :2]
    ahead = (joint(motion, "nose") - joint(motion, "head"))[:-1, :2]
    cosine = (way * ahead).sum(-1) / np.linalg.norm(way, axis=-1) / np.linalg.norm(ahead, axis=-1)
    assert np.median(cosine) > 0.8
    speed = np.linalg.norm(way.sum(0)) / 3
    assert 0.6 < speed < 1.8


def test_someone_who_sits_down_has_the_hips_at_the_height_of_the_knees() -> None:
    motion = procedural_motion("sit", 2, 6.0)
    hips = (joint(motion, "left_hip") + joint(motion, "right_hip"))[:, 2] / 2
    knees = (joint(motion, "left_knee") + joint(motion, "right_knee"))[:, 2] / 2
    gap = hips - knees
    assert gap[0] > 0.3
    assert abs(gap.min()) < 0.1


def test_hands_of_a_jumping_jack_go_over_the_head() -> None:
    motion = procedural_motion("jumping_jack", 2, 4.0)
    over = joint(motion, "left_wrist")[:, 2] - joint(motion, "head_top")[:, 2]
    assert over.max() > 0.1
    assert over.min() < -0.5


def test_the_same_seed_gives_the_same_numbers_and_another_one_others() -> None:
    first, again, other = (procedural_motion("dance", seed, 1.0).xyz for seed in (1, 1, 2))
    assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.01


def test_splits_throw_values_that_do_not_overlap() -> None:
    thrown: dict[Split, list[float]] = {
        split: [dice(10, 20) for _ in range(500)]
        for split, dice in (
            ("train", Dice(np.random.default_rng(0), "train")),
            ("test", Dice(np.random.default_rng(0), "test")),
        )
    }
    assert min(thrown["train"]) >= 10 and max(thrown["train"]) <= 17
    assert min(thrown["test"]) >= 17.8 and max(thrown["test"]) <= 20


def test_times_names_and_subject() -> None:
    motion = procedural_motion("wave", 7, 2.0, fps=25, split="test")
    assert_allclose(motion.time_s, np.arange(50) / 25)
    assert (motion.key, motion.subject) == ("procedural/wave-7-test", PROCEDURAL)


@pytest.mark.parametrize(
    ("kind", "seconds", "fps", "says"),
    [("swim", 1, 30, "Kinds: walk, run"), ("walk", 0, 30, "above 0"), ("walk", 1, -1, "above 0")],
)
def test_what_cannot_be_made_is_refused(kind: str, seconds: float, fps: float, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        procedural_motion(kind, 0, seconds, fps)
