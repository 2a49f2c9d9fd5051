"""chronopose convert, from every format into every other, end to end."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from chronopose.cli._demo import write_procedural_video
from chronopose.cli.main import main
from chronopose.core.boxes import Boxes
from chronopose.core.poses import Poses
from chronopose.core.skeletons import COCO17
from chronopose.core.tracks import FramePoses, HistoryStep, VideoPoses
from chronopose.core.video import VideoInfo
from chronopose.io.poses import FORMATS, read_poses, write_poses


@pytest.fixture
def walk(tmp_path: Path) -> Path:
    """Persons 3 and 8 walk to the right through six frames at 25 a second."""
    frames = []
    for f in range(6):
        xy = np.zeros((2, 17, 2), np.float32)
        xy[..., 0] = np.array([[100.0], [400.0]]) + 10 * np.arange(17) + 4 * f
        xy[..., 1] = 50 + 8 * np.arange(17)
        boxes = Boxes(np.array([[95, 45, 300, 190], [395, 45, 600, 190]]), np.array([0.9, 0.8]))
        poses = Poses(xy, np.full((2, 17), 0.75), COCO17)
        frames.append(FramePoses(f, f / 25, np.array([3, 8]), boxes, poses))
    info = VideoInfo("walk.mp4", (640, 360), rate_hz=25.0)
    path = tmp_path / "walk.parquet"
    history = (HistoryStep("predict", {"model": "tdmi:lite"}, "0.1.0"),)
    write_poses(VideoPoses.from_frames(info, COCO17, frames, history), path)
    return path


def convert(*arguments: object) -> int:
    return main(["convert", *map(str, arguments)])


@pytest.mark.parametrize("name", [n for n, f in FORMATS.items() if f.reader])
def test_poses_go_into_every_format_and_come_back(walk: Path, tmp_path: Path, name: str) -> None:
    there, back = tmp_path / f"there{FORMATS[name].suffix}", tmp_path / "back.parquet"
    assert convert(walk, there, "--to", name) == 0
    fps = ["--fps", "25"] if "fps" in FORMATS[name].reads else []
    own_times = name in ("mmpose", "sleap", "movement")
    assert convert(there, back, "--skeleton", "coco17", *([] if own_times else fps)) == 0
    before, after = read_poses(walk), read_poses(back)
    assert after.ids.tolist() == [3, 8]
    np.testing.assert_allclose(after.time_s, before.time_s, atol=1e-9)
    for was, now in zip(before.tracks, after.tracks, strict=True):
        np.testing.assert_allclose(now.poses.xy, was.poses.xy, atol=0.001)


def test_what_is_lost_is_said_and_what_was_done_is_printed(
    walk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert convert(walk, tmp_path / "walk.trc") == 0
    told = capsys.readouterr()
    assert "walk.trc: 6 frames, 2 people, trc" in told.out
    assert "TRC files cannot hold boxes; joint scores; history." in told.err


def test_a_source_without_times_asks_for_the_rate(
    walk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert convert(walk, tmp_path / "walk.dlc.csv") == 0
    assert convert(tmp_path / "walk.dlc.csv", tmp_path / "back.csv") == 4
    assert "DeepLabCut files hold no times" in capsys.readouterr().err
    assert not (tmp_path / "back.csv").exists()


def test_a_source_without_names_asks_for_its_joints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    instance = {"keypoints": [[10.0, 20.0 + k] for k in range(17)], "keypoint_scores": [0.5] * 17}
    bare = tmp_path / "bare.json"
    bare.write_text(json.dumps([{"frame_id": 0, "instances": [instance]}]))
    assert convert(bare, tmp_path / "a.parquet", "--fps", "30") == 4
    assert "--joints coco17" in capsys.readouterr().err
    assert convert(bare, tmp_path / "a.parquet", "--fps", "30", "--joints", "coco17") == 0
    assert read_poses(tmp_path / "a.parquet").skeleton.name == "coco17"


def test_joints_are_converted_by_name_and_what_cannot_be_had_is_said(
    walk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert convert(walk, tmp_path / "a.parquet", "--skeleton", "posetrack15") == 0
    told = capsys.readouterr().err
    assert "left_eye, right_eye, left_ear, right_ear have no place there" in told
    after = read_poses(tmp_path / "a.parquet")
    assert after.skeleton.name == "posetrack15"
    assert after.history[-1].step == "to_skeleton"


def test_one_person_can_be_picked(walk: Path, tmp_path: Path) -> None:
    assert convert(walk, tmp_path / "a.trc", "--person", "8") == 0
    assert "8:" not in (tmp_path / "a.trc").read_text().splitlines()[3]
    assert convert(walk, tmp_path / "b.trc", "--person", "9") == 3


def test_boxes_can_be_written_and_used(walk: Path, tmp_path: Path) -> None:
    assert convert(walk, tmp_path / "boxes.mot.txt") == 0
    first = (tmp_path / "boxes.mot.txt").read_text().splitlines()[0]
    assert first == "1,3,95,45,205,145,0.9000,-1,-1,-1"


def test_an_existing_file_is_kept_unless_overwrite_is_said(walk: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.csv"
    out.write_text("mine")
    assert convert(walk, out) == 2
    assert out.read_text() == "mine"
    assert convert(walk, out, "--overwrite") == 0
    assert read_poses(out).ids.tolist() == [3, 8]


def test_labels_become_poses_and_poses_become_labels(
    walk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = tmp_path / "labels.json"
    joints = ("--skeleton", "posetrack17slot")
    assert convert(walk, labels, "--to", "posetrack_submission", *joints) == 0
    assert {"images", "annotations"} <= set(json.loads(labels.read_text()))
    assert convert(labels, tmp_path / "a.parquet") == 2
    assert "Give the frames a second with --fps" in capsys.readouterr().err
    assert convert(labels, tmp_path / "a.parquet", "--fps", "25") == 0
    after = read_poses(tmp_path / "a.parquet")
    place = after.skeleton.index("left_wrist")
    np.testing.assert_allclose(
        after.tracks[0].poses.xy[:, place],
        read_poses(walk).person(3).poses.xy[:, COCO17.index("left_wrist")],
        atol=0.01,
    )


def test_labels_go_from_one_set_to_another(walk: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "coco.json", tmp_path / "pt.json"
    assert convert(walk, first, "--to", "labels:coco") == 0
    assert convert(first, second, "--from", "labels:coco", "--to", "posetrack18",
                   "--skeleton", "posetrack17slot") == 0  # fmt: skip
    assert len(json.loads(second.read_text())["annotations"]) == 12


def test_predict_writes_the_formats_of_other_tools_in_the_same_pass(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = tmp_path / "clip.mp4"
    write_procedural_video(clip, seconds=0.2, size=(96, 64), people=1, seed=3)
    asked = ("parquet", "mmpose", "alphapose", "openpose", "trc", "deeplabcut")
    code = main(["predict", str(clip), "--out", str(tmp_path / "out"), "--format", *asked,
                 "--model", "simple_baseline:lite@random", "--detector", "whole-frame",
                 "--quiet"])  # fmt: skip
    assert code == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "clip.alphapose.json", "clip.dlc.csv", "clip.mmpose.json", "clip.parquet", "clip.trc",
        "clip_openpose",
    ]  # fmt: skip
    assert "clip.trc: TRC files cannot hold" in capsys.readouterr().err
    times = read_poses(tmp_path / "out" / "clip.parquet").time_s
    np.testing.assert_array_equal(read_poses(tmp_path / "out" / "clip.trc").time_s, times)


def test_predict_takes_a_single_file_of_an_asked_format(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    write_procedural_video(clip, seconds=0.1, size=(96, 64), people=1, seed=3)
    common = ["predict", str(clip), "--model", "simple_baseline:lite@random", "--detector",
              "whole-frame", "--quiet"]  # fmt: skip
    assert main([*common, "--out", str(tmp_path / "p.h5")]) == 2
    assert main([*common, "--out", str(tmp_path / "p.json"), "--format", "mmpose"]) == 0
    assert "instance_info" in json.loads((tmp_path / "p.json").read_text())


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["gone.parquet", "a.csv"], 4, "there is no such file"),
        (["walk.parquet", "a.xlsx"], 2, "stands for no format"),
        (["walk.parquet", "a.h5"], 2, "stands for deeplabcut and sleap"),
        (["walk.parquet", "a.csv", "--to", "xlsx"], 2, "There is no format 'xlsx'"),
        (["walk.parquet", "a.csv", "--from", "mot"], 4, "boxes and no joints"),
        (["walk.parquet", "a.csv", "--skeleton", "alien"], 3, "There is no skeleton 'alien'"),
        (["walk.parquet", "a.csv", "--skeleton", "jhmdb99"], 3, "The skeletons are"),
        (["walk.parquet", "a.csv", "--fps", "30"], 4, "Leave it out"),
        (["walk.parquet", "walk.parquet/a.csv"], 2, "Cannot make the output folder"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_said_and_nothing_is_left(
    walk: Path, arguments: list[str], code: int, message: str,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(walk.parent)
    assert convert(*arguments) == code
    assert message in capsys.readouterr().err
    assert [p.name for p in walk.parent.iterdir()] == ["walk.parquet"]
