"""People filmed in a few rooms: a crop belongs to the empty room beside it and to its pose."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from chronopose.core.skeletons import H36M17
from chronopose.engine.known_people import KnownPeople
from chronopose.engine.people_file import kept_people
from chronopose.engine.room_people import room_people, rooms_made_by_code
from chronopose.errors import UsageError


@pytest.fixture(scope="module")
def found() -> KnownPeople:
    return room_people(
        rooms_made_by_code(2), people=2, videos=3, size=(32, 32), seconds=0.8, fps=5.0
    )


def test_everybody_comes_in_several_videos_of_one_room_after_the_other(found: KnownPeople):
    assert len(found.footage) == len(found.xyz_mm) == len(found.who) == 6
    assert found.who.tolist() == [0, 0, 0, 1, 1, 1]
    for footage, xyz in zip(found.footage, found.xyz_mm, strict=True):
        assert footage.frames.shape == (len(xyz), 32, 32, 3) == footage.background.shape
        assert len(xyz) >= 2
    grey = [f.background.mean((0, 1, 2)) for f in found.footage]
    warm = [bool(red - blue > 20) for red, _, blue in grey]
    assert warm == [False, True, False, True, False, True], "one room is grey, the other one warm"


def test_a_crop_differs_from_the_empty_room_where_the_person_is(found: KnownPeople):
    for footage in found.footage:
        change = np.abs(footage.frames.astype(int) - footage.background.astype(int)).max(-1) > 12
        middle, left = change[:, 4:28, 12:20].mean(), change[:, :4, :4].mean()
        assert middle > 0.3
        assert left < 0.3


def test_poses_are_millimetres_from_the_pelvis_in_camera_axes(found: KnownPeople):
    head, feet = H36M17.index("head"), [H36M17.index(f"{s}_ankle") for s in ("left", "right")]
    for xyz in found.xyz_mm:
        assert np.abs(xyz[:, 0]).max() < 1e-9
        assert (xyz[:, head, 1] < xyz[:, feet, 1].max(1)).all(), "y points down"
        assert 400 < np.abs(xyz).max() < 1500
    lengths = found.traits
    assert lengths is not None
    np.testing.assert_allclose(lengths[0], lengths[1], atol=0.05)
    assert np.abs(lengths[0] - lengths[3]).max() > 0.005


def test_names_are_learnt_from_the_first_videos_and_asked_of_the_last(found: KnownPeople):
    names, told, asked = found.named()
    assert not (told & asked).any()
    assert (told | asked).all()
    assert set(found.videos()[asked].tolist()) == {2, 5}
    assert names.tolist() == found.people().tolist()


def test_the_same_seed_gives_the_same_people_and_test_gives_others(found: KnownPeople):
    rooms = rooms_made_by_code(2)
    some = {"people": 1, "videos": 1, "size": (32, 32), "seconds": 0.8, "fps": 5.0}
    again, others = room_people(rooms, **some), room_people(rooms, split="test", **some)
    np.testing.assert_array_equal(again.footage[0].frames, found.footage[0].frames)
    assert again.traits is not None
    assert others.traits is not None
    assert np.abs(again.traits - others.traits).max() > 0.005


def test_people_are_kept_and_made_again_only_if_they_are_others(found: KnownPeople, tmp_path: Path):
    made: list[int] = []

    def make() -> KnownPeople:
        made.append(1)
        return found

    file = tmp_path / "people.npz"
    for _ in range(2):
        kept = kept_people(file, {"rooms": 2}, make)
        assert kept.fingerprint() == found.fingerprint()
        assert kept.apart
        np.testing.assert_array_equal(kept.footage[3].background, found.footage[3].background)
        np.testing.assert_array_equal(kept.footage[3].frames, found.footage[3].frames)
        np.testing.assert_array_equal(kept.traits, found.traits)
    assert len(made) == 1
    kept_people(file, {"rooms": 3}, make)
    file.write_bytes(file.read_bytes()[:1000])
    kept_people(file, {"rooms": 3}, make)
    assert len(made) == 3


def test_nobody_or_nowhere_is_refused():
    with pytest.raises(UsageError, match="at least one room"):
        room_people([], people=1, videos=1)
