"""chronopose lift, end to end: from poses and from a video to every format of joints in space."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import chronopose
from chronopose import zoo
from chronopose.cli._demo import write_procedural_video
from chronopose.cli.main import main
from chronopose.core.skeletons import UPPER7
from chronopose.core.tracks import VideoPoses
from chronopose.io.bvh import read_bvh
from chronopose.io.performances import read_motions
from chronopose.io.poses import read_poses, write_poses
from chronopose.io.video import open_video

SIZE = (320, 240)
MODEL = "temporal_cnn:lite@random"
World = tuple[Path, Path, VideoPoses]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A generated video with two people, their true poses as a file, and as they are."""
    folder = tmp_path_factory.mktemp("lift")
    truth = write_procedural_video(folder / "walk.mp4", seconds=0.48, size=SIZE, people=2, seed=4)
    write_poses(truth, folder / "walk.parquet")
    return folder / "walk.mp4", folder / "walk.parquet", truth


def lift(*arguments: object) -> int:
    return main(["lift", *map(str, arguments), "--model", MODEL, "--quiet"])


def test_one_command_writes_every_format_and_says_what_is_assumed(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, poses, truth = world
    names = ("a.parquet", "a.csv", "a.trc", "a.npz", "a.bvh")
    outs = [tmp_path / "new" / n for n in names]
    assert lift(poses, "--out", *outs) == 0
    told = capsys.readouterr().out
    assert "pelvis, spine, thorax, neck_nose, head made from other joints" in told
    assert "a focal length of 366 px, which is assumed" in told  # 1.145 * 320
    found = read_poses(outs[0])
    assert found.skeleton.name == "h36m17"
    assert found.ids.tolist() == truth.ids.tolist()
    assert {t.poses.space for t in found.tracks} == {"camera_mm"}
    assert [h.step for h in found.history][-1] == "lift"
    for track in found.tracks:
        np.testing.assert_array_equal(track.time_s, truth.person(track.track_id).time_s)
        assert np.isfinite(track.poses.xy).all()
        assert (track.poses.xy[:, 0, 2] > 0).all()
    np.testing.assert_allclose(
        read_poses(outs[1]).tracks[1].poses.xy, found.tracks[1].poses.xy, rtol=1e-5
    )
    markers = read_poses(outs[2])
    np.testing.assert_allclose(markers.tracks[0].poses.xy, found.tracks[0].poses.xy, rtol=1e-4)
    arrays = read_motions(outs[3])
    np.testing.assert_array_equal(arrays[1].xyz, found.tracks[1].poses.xy)
    figures = [tmp_path / "new" / f"a_{i}.bvh" for i in truth.ids.tolist()]
    assert [len(read_bvh(f)) for f in figures] == [12, 12]
    assert not outs[4].exists()


def test_a_video_goes_in_and_a_video_of_both_views_comes_out(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video, _, _ = world
    out, overlay = tmp_path / "walk.parquet", tmp_path / "both.mp4"
    assert lift(video, "--out", out, "--overlay", overlay, "--walk", "side") == 0
    assert f"{overlay}: 12 frames" in capsys.readouterr().out
    found = read_poses(out)
    assert [h.step for h in found.history] == ["predict", "lift"]
    with open_video(overlay) as reader:
        pictures = [f.image for f in reader]
    assert len(pictures) == 12
    assert pictures[0].shape == (240, 640, 3)
    # The right half is a dark room in which something moves.
    right = np.stack([p[:, 320:] for p in pictures]).astype(float)
    assert right.mean() < 60
    assert np.abs(np.diff(right, axis=0)).max() > 50


def test_overlay_of_poses_alone_is_drawn_on_a_dark_ground(world: World, tmp_path: Path) -> None:
    _, poses, _ = world
    assert lift(poses, "--overlay", tmp_path / "dark.mp4", "--space", "root") == 0
    with open_video(tmp_path / "dark.mp4") as reader:
        first = next(iter(reader)).image
    assert np.median(first[:, :320]) < 40 and first[:, :320].max() > 150


def test_python_and_command_line_give_the_same(world: World, tmp_path: Path) -> None:
    _, poses, truth = world
    weights = tmp_path / "some.safetensors"
    model = zoo.load_lifter(MODEL)
    said = {
        "name": "temporal_cnn:lite@some", "training_data": "none", "terms": "tests", "command": "-"
    }  # fmt: skip
    zoo.save(model, weights, said)
    out = tmp_path / "a.parquet"
    code = main(
        ["lift", str(poses), "--out", str(out), "--model", "temporal_cnn:lite", "--weights",
         str(weights), "--space", "root", "--quiet", "--no-flip"]
    )  # fmt: skip
    assert code == 0
    found = chronopose.lift(
        truth, model="temporal_cnn:lite", weights=weights, space="root_mm", flip_test=False
    )
    np.testing.assert_allclose(
        read_poses(out).tracks[0].poses.xy, found.tracks[0].poses.xy, atol=1e-2
    )
    assert found.history[-1].settings["weights_sha256"]
    # The pelvis is where everything is measured from.
    np.testing.assert_array_equal(found.tracks[0].poses.xy[:, 0], 0)


@pytest.mark.slow  # the first import of rerun alone takes seconds
@pytest.mark.skipif(importlib.util.find_spec("rerun") is None, reason="rerun-sdk is not installed")
def test_a_recording_for_the_viewer(world: World, tmp_path: Path) -> None:
    assert lift(world[1], "--out", tmp_path / "a.rrd") == 0
    assert (tmp_path / "a.rrd").read_bytes()[:4] == b"RRF2"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "Nothing to write"),
        (["--out", "a.json"], "hold flat poses only. Use one of: .parquet"),
        (["--out", "a.xyz"], "no such format for joints in space"),
        (["--out", "a.trc", "--space", "world"], "camera or root"),
        (["--out", "a.trc", "--walk", "fly"], "turn, side, front"),
        (["--out", "a.trc", "--size", "big"], "WIDTHxHEIGHT"),
        (["--out", "a.trc", "a.trc"], "same name"),
        (["--out", "a.trc", "--focal", "900", "--fov", "50"], "not both"),
        (["--overlay", "a.gif"], "--overlay writes"),
    ],
)
def test_requests_that_cannot_be_are_refused_before_anything_is_read(
    flags: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert lift("missing.parquet", *flags) == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_replaced_unasked(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a.bvh"
    (tmp_path / "a_1.bvh").write_text("mine")
    assert lift(world[1], "--out", out) == 2
    assert "a_1.bvh exists already" in capsys.readouterr().err
    assert (tmp_path / "a_1.bvh").read_text() == "mine"


def test_half_a_body_is_refused_with_its_missing_joints(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arms = world[2].to_skeleton(UPPER7)
    write_poses(arms, tmp_path / "arms.parquet")
    assert lift(tmp_path / "arms.parquet", "--out", tmp_path / "a.trc") == 3
    assert "left_knee, left_ankle" in capsys.readouterr().err


def test_poses_without_a_picture_size_need_it(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = replace(world[2], info=replace(world[2].info, size=(0, 0)))
    write_poses(nowhere, tmp_path / "a.parquet")
    assert lift(tmp_path / "a.parquet", "--out", tmp_path / "b.parquet") == 2
    assert "--size WIDTHxHEIGHT" in capsys.readouterr().err
    given = [tmp_path / "a.parquet", "--size", "320x240", "--out"]
    assert lift(*given, tmp_path / "b.parquet", "--space", "root") == 0
    assert lift(world[1], "--out", tmp_path / "c.parquet", "--space", "root") == 0
