"""chronopose synth, end to end: what it writes is a data set, what it refuses leaves nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from chronopose.cli.main import main
from chronopose.core.skeletons import POSETRACK15
from chronopose.data.datasets.posetrack import PoseTrack18
from chronopose.synth.assets import Assets
from chronopose.synth.clip_arrays import read_arrays
from chronopose.synth.scenario import ClipPlan, make_scenario

SMALL = ["--size", "64x48", "--frames", "3", "--people", "2..2", "--renderer", "soft", "--quiet"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A set of one clip and what the command said."""
    from contextlib import redirect_stdout
    from io import StringIO

    out, told = tmp_path_factory.mktemp("synth") / "set", StringIO()
    with redirect_stdout(told):
        code = main(["synth", "--out", str(out), "--clips", "1", "--seed", "5", *SMALL,
                     "--difficulty", "clean", "--pictures", "png"])  # fmt: skip
    assert code == 0
    return out, told.getvalue()


def test_the_command_says_what_it_made_and_where_it_is(made: tuple[Path, str]):
    out, told = made
    assert told.splitlines() == [
        f"{out}: 1 clips of train, 2 people, 1 made now",
        f"  labels   {out}/posetrack_data/annotations/train",
        f"  arrays   {out}/arrays/train",
    ]
    assert sorted(p.name for p in out.iterdir()) == ["arrays", "images", "posetrack_data"]


def test_data_check_finds_the_set_complete(
    made: tuple[Path, str], capsys: pytest.CaptureFixture[str]
):
    code = main(["data", "check", "posetrack18", "--root", str(made[0]), "--split", "train"])
    told = capsys.readouterr().out
    assert code == 0
    assert told == "posetrack18 train: complete (1 videos, 3 labelled pictures, 6 people)\n"


def test_the_reader_of_evaluate_gives_people_joints_and_pictures(made: tuple[Path, str]):
    data = PoseTrack18(root=made[0], split="train")
    [sequence] = data.sequences()
    assert sequence.name == "000005_clean"
    assert [frame.ids.tolist() for frame in sequence] == [[1, 2]] * 3
    exact = read_arrays(made[0] / "arrays" / "train" / "000005_clean.npz")
    places = exact.places(POSETRACK15.joints)
    for frame, xy, visibility in zip(sequence, exact.xy, exact.visibility, strict=True):
        found = frame.to_skeleton(POSETRACK15)
        seen = visibility[:, places] > 0
        np.testing.assert_array_equal(found.known, seen)
        np.testing.assert_allclose(found.xy[seen], xy[:, places][seen], atol=1e-6)
    sample = data.clips(frames=1, skeleton="posetrack15").sample(0, np.random.default_rng(0))
    assert sample.images.shape[0] == 1 and sample.images.std() > 5


def test_a_place_made_by_code_is_the_one_of_the_plan(made: tuple[Path, str]):
    facts = json.loads((made[0] / "arrays" / "train" / "000005_clean.json").read_text())
    plan = ClipPlan(seed=5, people=(2, 2), frames=3, size=(64, 48))
    scenario = make_scenario(plan, Assets(), painted=False)
    assert facts["settings"]["environment"] == scenario.environment.key
    assert facts["settings"]["fingerprint"] == scenario.fingerprint()


def test_the_same_command_again_makes_nothing(
    made: tuple[Path, str], capsys: pytest.CaptureFixture[str]
):
    again = ["synth", "--out", str(made[0]), "--clips", "1", "--seed", "5", *SMALL,
             "--difficulty", "clean", "--pictures", "png"]  # fmt: skip
    assert main(again) == 0
    assert "1 clips of train, 2 people, 0 made now" in capsys.readouterr().out
    assert main([*again, "--frames", "4"]) == 2
    assert "already holds the clip 000005_clean" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "code", "told"),
    [
        (["--difficulty", "nonsense"], 2, "A clip is one of clean, blur, defocus, occlusion"),
        (["--difficulty", "clean,,blur"], 2, "got ''"),
        (["--size", "33x"], 2, "'33x' is not understood; write --size 640x360"),
        (["--size", "33x48"], 2, "even and at least 32 pixels; got (33, 48)"),
        (["--people", "4..1"], 2, "got people 4..1"),
        (["--people", "many"], 2, "'many' is not understood; write --people 1..4"),
        (["--layers", "foo"], 2, "There is no layer 'foo'. Known: masks, depth, flow"),
        (["--renderer", "cuda"], 2, "There is no renderer 'cuda'"),
        (["--pictures", "gif"], 2, "There is no kind of pictures 'gif'"),
        (["--clips", "0"], 2, "--clips must be at least 1; got 0"),
        (["--workers", "0"], 2, "at least one worker; got 0"),
        (["--fps", "0"], 2, "frames a second"),
        (["--bank", "none.npz"], 4, "There is no bank none.npz"),
        (["--assets", "nowhere"], 2, "nowhere is no folder"),
        (["--split", "dev"], 2, "'dev'"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_left_behind(
    flags: list[str], code: int, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "set"
    assert main(["synth", "--out", str(out), *SMALL, *flags]) == code
    assert told in capsys.readouterr().err
    assert not out.exists()
