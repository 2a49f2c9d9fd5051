"""Bodies, motions and places: from files or by code, and never the same in two splits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_assets import make_assets, write_motion, write_panorama

from chronopose.errors import FormatError, UsageError
from chronopose.synth.assets import REACH_INDOORS_M, REACH_M, Assets, open_assets, reach_m
from chronopose.synth.motion import MOTION_JOINTS, Motion
from chronopose.synth.scenario import SPLITS

PLAIN = Assets()


def drawn_keys(assets: Assets, split: str, draws: int = 40) -> dict[str, set[str]]:
    rng = np.random.default_rng(5)
    found: dict[str, set[str]] = {"motion": set(), "place": set(), "body": set()}
    for number in range(draws):
        found["motion"].add(assets.motion(split, 0.5, rng).key)
        place = assets.environment(split, rng, painted=False)
        found["place"].add(place.key.partition("@")[0])
        if number < 4:
            found["body"].add(assets.body(split, rng).key)
    return found


def joint(motion: Motion, name: str) -> np.ndarray:
    return motion.xyz[:, MOTION_JOINTS.index(name)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_assets(tmp_path)


def test_of_seven_files_five_train_and_one_each_is_for_test_and_val(folder: Path):
    keys = {split: drawn_keys(open_assets(folder), split) for split in SPLITS}
    assert keys["test"]["motion"] == {"actor_00", "actor_06"}
    assert keys["val"]["motion"] == {"actor_01"}
    assert keys["train"]["motion"] == {f"actor_0{n}" for n in (2, 3, 4, 5)}
    assert keys["test"]["place"] == {"place_00_1k", "place_06_1k"}
    assert keys["val"]["place"] == {"place_01_1k"}
    assert keys["train"]["place"] == {f"place_0{n}_1k" for n in (2, 3, 4, 5)}


@pytest.mark.parametrize("made", ["by code", "of files"])
def test_splits_share_no_body_motion_or_place(made: str, folder: Path):
    assets = PLAIN if made == "by code" else open_assets(folder)
    keys = [drawn_keys(assets, split) for split in SPLITS]
    for kind in ("body", "motion", "place"):
        train, val, test = (found[kind] for found in keys)
        assert train and val and test
        assert not (train & val or train & test or val & test)


def test_a_single_file_is_for_train_and_of_two_the_first_is_for_test(tmp_path: Path):
    assets = open_assets(make_assets(tmp_path / "one", 0, 1))
    assert drawn_keys(assets, "train")["motion"] == {"actor_00"}
    for split in ("val", "test"):
        assert all(k.startswith("procedural/") for k in drawn_keys(assets, split)["motion"])
    assets = open_assets(make_assets(tmp_path / "two", 0, 2))
    assert drawn_keys(assets, "test")["motion"] == {"actor_00"}
    assert drawn_keys(assets, "train")["motion"] == {"actor_01"}
    assert all(k.startswith("procedural/") for k in drawn_keys(assets, "val")["motion"])


def test_one_recording_in_two_formats_or_sizes_stays_in_one_split(tmp_path: Path):
    # CMU's trial 2 of subject 5 is called 005_02 for iClone and 05_02 elsewhere.
    for name in ("a/005_02", "a/006_01", "b/05_02", "b/06_01", "b/07_01"):
        write_motion(tmp_path / f"{name}.bvh", 1.0)
    for name in ("hill_1k", "hill_4k", "lake_1k", "sea_2k"):
        write_panorama(tmp_path / f"{name}.hdr")
    assets = open_assets(tmp_path)
    keys = {split: drawn_keys(assets, split) for split in SPLITS}
    assert keys["test"]["motion"] == {"a/005_02", "b/05_02"}
    assert keys["val"]["motion"] == {"a/006_01", "b/06_01"}
    assert keys["train"]["motion"] == {"b/07_01"}
    assert keys["test"]["place"] == {"hill_1k", "hill_4k"}


def test_the_broken_files_of_the_database_are_left_out(tmp_path: Path):
    for name in ("005_05", "005_17", "005_10"):
        write_motion(tmp_path / f"{name}.bvh", 1.0)
    assert [m.key for m in open_assets(tmp_path).motions] == ["005_10"]


def test_a_motion_begins_at_zero_with_what_came_before(folder: Path):
    rng = np.random.default_rng(0)
    motion = open_assets(folder).motion("train", 1.0, rng, 0.5)
    assert motion.time_s[0] == -0.5
    assert motion.time_s[-1] == pytest.approx(1.5, abs=1 / 60)
    # Carried along at one metre a second; where the file ends, the end is held.
    x = joint(motion, "neck")[:, 0]
    inside = (motion.time_s >= 0) & (motion.time_s <= 1)
    np.testing.assert_allclose(np.diff(x[inside]), 1 / 60, atol=1e-5)
    assert (np.diff(x) > -1e-6).all()


def test_a_recording_that_is_too_short_goes_back_and_forth(tmp_path: Path):
    write_motion(tmp_path / "brief_1.bvh", 2.0)
    motion = open_assets(tmp_path).motion("train", 5.0, np.random.default_rng(1))
    x = joint(motion, "neck")[:, 0] - joint(motion, "neck")[0, 0]
    at = [round(60 * second) for second in (1, 2, 3, 4, 5)]
    # The two seconds of the file and a metre each: there, back, there again.
    np.testing.assert_allclose(x[at], [1, 2, 1, 0, 1], atol=0.02)


def test_a_recording_that_is_long_enough_is_preferred(tmp_path: Path):
    for number in range(4):
        write_motion(tmp_path / f"brief_{number}.bvh", 1.0)
    write_motion(tmp_path / "long_9.bvh", 4.0)
    rng, assets = np.random.default_rng(2), open_assets(tmp_path)
    assert {assets.motion("train", 3.0, rng).key for _ in range(8)} == {"long_9"}


def test_a_rig_is_measured_once_and_motion_by_code_has_none(folder: Path):
    assets, rng = open_assets(folder), np.random.default_rng(0)
    known = assets.calibration(assets.motion("train", 1.0, rng))
    assert known is not None
    assert known is assets.calibration(assets.motion("test", 1.0, rng))
    assert PLAIN.calibration(PLAIN.motion("train", 1.0, rng)) is None


def test_rooms_by_code_are_shorter_than_places_outdoors():
    rng = np.random.default_rng(0)
    places = [PLAIN.environment("train", rng, painted=False) for _ in range(20)]
    reaches = {place.key.partition("/")[0]: reach_m(place) for place in places}
    assert reaches == {"indoor": REACH_INDOORS_M, "outdoor": REACH_M}


def test_the_fingerprint_follows_names_and_sizes_but_not_where_the_folder_is(tmp_path: Path):
    prints = [open_assets(make_assets(tmp_path / name, 2, 1)).fingerprint() for name in "ab"]
    assert prints[0] == prints[1] != PLAIN.fingerprint() == "plain"
    (tmp_path / "a" / "hdri" / "place_00_1k.hdr").write_bytes(b"#?RADIANCE")
    assert open_assets(tmp_path / "a").fingerprint() != prints[0]


def test_a_folder_without_assets_and_a_missing_bank_are_refused(tmp_path: Path):
    with pytest.raises(UsageError, match="is no folder"):
        open_assets(tmp_path / "none")
    with pytest.raises(UsageError, match=r"neither \.hdr environment maps nor"):
        open_assets(tmp_path)
    with pytest.raises(FormatError, match="There is no bank"):
        open_assets(None, tmp_path / "bank.npz")
