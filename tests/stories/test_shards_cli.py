"""chronopose shards, end to end: clips become shards that training reads, all of them or none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from chronopose.cli import shards as verb
from chronopose.cli.main import main
from chronopose.data.shards import ShardClips
from chronopose.io.shards import Shard
from chronopose.synth.shards import CropRule

EVERYBODY = ["--least-share", "0", "--least-height", "4", "--least-visible", "1", "--quiet"]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One clip of three frames with two people, as ``chronopose synth`` writes it."""
    out = tmp_path_factory.mktemp("clips") / "set"
    code = main(["synth", "--out", str(out), "--clips", "1", "--seed", "5", "--size", "96x64",
                 "--frames", "3", "--people", "2..2", "--difficulty", "clean", "--renderer",
                 "soft", "--quiet"])  # fmt: skip
    assert code == 0
    return out


def test_clips_become_shards_that_training_reads(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "crops"
    code = main(["shards", str(clips), "--out", str(out), "--frames", "3", "--every", "1",
                 "--side", "48", *EVERYBODY])  # fmt: skip
    told = capsys.readouterr().out
    assert code == 0
    # Two people in three frames.
    assert told.startswith(f"{out}: 6 clips of one person, 3 frames each, in 1 shards of train (")
    assert [p.name for p in out.iterdir()] == ["train-00000.arrow"]
    data = ShardClips(out, skeleton="lsp14")
    assert len(data) == 6
    sample = data.sample(0, np.random.default_rng(0))
    assert sample.images.shape[0] == 3 and max(sample.images.shape[1:3]) <= 48
    assert sample.key == 1 and np.isfinite(sample.joints[1]).all()


def test_every_decides_how_often_a_person_is_taken(clips: Path, tmp_path: Path):
    # Frames 0 and 2 of three.
    assert main(["shards", str(clips), "--out", str(tmp_path), "--every", "2", *EVERYBODY]) == 0
    shard = Shard(tmp_path / "train-00000.arrow")
    names = [shard[n].name for n in range(len(shard))]
    assert [n.split(" frame ")[1] for n in names] == [
        "0 person 1", "0 person 2", "2 person 1", "2 person 2",
    ]  # fmt: skip


def test_the_same_command_gives_the_same_bytes(clips: Path, tmp_path: Path):
    words = ["shards", str(clips), "--out", str(tmp_path), *EVERYBODY]
    assert main(words) == 0
    before = (tmp_path / "train-00000.arrow").read_bytes()
    assert main(words) == 0
    assert (tmp_path / "train-00000.arrow").read_bytes() == before


@pytest.mark.parametrize(
    ("flags", "code", "told"),
    [
        (["--split", "val"], 4, "holds no whole clip of val. Generate some first"),
        (["--frames", "4"], 2, "odd number of frames; got 4"),
        (["--every", "0"], 2, "every of at least 1"),
        (["--side", "4"], 2, "side of at least 8 px"),
        (["--least-height", "500"], 4, "Nobody in the 1 clips of train"),
        (["--frame", "5"], 2, "Did you mean --frames?"),
    ],
)
def test_what_cannot_be_done_is_said_and_older_shards_stay(
    clips: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    code: int,
    told: str,
):
    old = tmp_path / "train-00000.arrow"
    old.write_bytes(b"older")
    words = ["shards", str(clips), "--out", str(tmp_path), "--quiet", *flags]
    try:
        found = main(words)
    except SystemExit as stop:
        found = stop.code
    assert found == code
    assert told in " ".join(capsys.readouterr().err.split())
    assert [p.name for p in tmp_path.iterdir()] == [old.name] and old.read_bytes() == b"older"


def test_clips_are_taken_by_their_numbers(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    taken = ["shards", str(clips), "--out", str(tmp_path), *EVERYBODY, "--clips"]
    # The only clip is number 5.
    assert main([*taken, "5..9"]) == 0
    assert main([*taken, "6..9"]) == 4
    assert "Nobody" in capsys.readouterr().err
    assert main([*taken, "9..5"]) == 2
    assert "60..299" in capsys.readouterr().err


def test_a_damaged_clip_leaves_the_older_shards_and_nothing_hidden(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    import shutil

    broken, out = tmp_path / "set", tmp_path / "crops"
    shutil.copytree(clips, broken)
    assert main(["shards", str(broken), "--out", str(out), *EVERYBODY]) == 0
    before = (out / "train-00000.arrow").read_bytes()
    for kind in ("arrays/train", "images/train", "posetrack_data/annotations/train"):
        for found in sorted((broken / kind).iterdir()):
            second = found.with_name(found.name.replace("000005_clean", "000006_clean"))
            if found.is_dir():
                shutil.copytree(found, second)
                sorted(second.iterdir())[0].write_bytes(b"broken")
            else:
                shutil.copy(found, second)
    assert main(["shards", str(broken), "--out", str(out), *EVERYBODY]) == 4
    assert "000006_clean" in capsys.readouterr().err
    assert [p.name for p in out.iterdir()] == ["train-00000.arrow"]
    assert (out / "train-00000.arrow").read_bytes() == before


def test_the_defaults_are_those_of_the_rule():
    flags: dict[str, object] = {}

    class Recorder:
        """Notes the defaults that a verb gives its flags."""

        def add_argument(self, name: str, *_: str, default: object = None, **__: object) -> None:
            flags[name.removeprefix("--")] = default

    verb.add_arguments(Recorder())
    usual = CropRule()
    pairs = {
        "frames": usual.frames, "every": usual.every, "side": usual.side_px, "grow": usual.grow,
        "least-share": usual.least_share, "least-height": usual.least_height_px,
        "least-visible": usual.least_visible, "quality": usual.quality,
    }  # fmt: skip
    assert {name: flags[name] for name in pairs} == pairs
