"""chronopose score, from files to the table that papers print."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from chronopose.cli.main import main
from chronopose.core import (
    Boxes,
    FramePoses,
    LabelledFrame,
    LabelledSequence,
    Poses,
    VideoInfo,
    VideoPoses,
    get_skeleton,
)
from chronopose.io.labels import write_labels
from chronopose.io.motion import Motion3D
from chronopose.io.performances import write_motions
from chronopose.io.poses import write_poses

SLOT = get_skeleton("posetrack17slot")
EARS = [SLOT.index("left_ear"), SLOT.index("right_ear")]


def walk(name: str, frames: int = 4) -> LabelledSequence:
    """Two people walk; ears are never labelled."""
    steps = np.arange(17.0)
    slope = np.stack([10 + steps, 20 + 3 * steps], axis=-1)
    made = []
    for i in range(frames):
        xy = np.stack([slope, np.add(slope, (150, 10))]) + np.array((3 * i, 0))
        xy[:, EARS] = np.nan
        low = np.nanmin(xy, 1)
        made.append(
            LabelledFrame(
                f"images/val/{name}/{i:06d}.jpg", i, SLOT, xy, ids=[0, 1],
                boxes=np.concatenate([low, np.nanmax(xy, 1)], -1), area=[900.0, 900.0],
                head_boxes=np.concatenate([low, low + 20], -1),
                image_id=10_000_000_000 + int(name[:6]) * 10_000 + i, size=(640, 480),
            )
        )  # fmt: skip
    return LabelledSequence(name, SLOT, tuple(made))


def found(labels: LabelledSequence, off_px: float) -> LabelledSequence:
    """What somebody predicted: everybody, with all wrists ``off_px`` to the right."""
    wrists = [SLOT.index("left_wrist"), SLOT.index("right_wrist")]

    def moved(frame: LabelledFrame) -> LabelledFrame:
        xy = frame.xy.copy()
        xy[:, wrists, 0] += off_px
        return replace(frame, xy=xy, score=np.where(frame.known, 0.9, np.nan),
                       person_score=[0.9, 0.9])  # fmt: skip

    return replace(labels, frames=tuple(moved(f) for f in labels.frames))


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """A folder of PoseTrack18 labels and one of predictions whose wrists are 100 px off."""
    labels = [walk("000001_mpii_test"), walk("000002_mpii_test", 3)]
    write_labels(labels, tmp_path / "val", "posetrack18")
    write_labels([found(s, 100.0) for s in labels], tmp_path / "mine", "posetrack_submission")
    return tmp_path / "val", tmp_path / "mine"


def test_a_folder_of_predictions_gets_the_table_of_the_papers(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels, mine = folders
    out = tmp_path / "score.json"
    assert main(["score", str(mine), "--against", str(labels), "--json", str(out)]) == 0
    said = capsys.readouterr().out
    assert "Wrist" in said
    assert "poseval" in said
    result = json.loads(out.read_text())
    groups = result["result"]["groups"]
    assert (groups["Wrist"], groups["Knee"]) == (0.0, 100.0)
    assert groups["Total"] == pytest.approx(100 * 13 / 15)  # 2 of 15 joints are wrong
    assert [r["name"] for r in result["sequences"]] == ["000001_mpii_test", "000002_mpii_test"]


def test_tracking_is_scored_by_the_same_command(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    labels, mine = map(str, folders)
    command = ["score", mine, "--against", labels, "--metric", "posetrack-mota"]
    assert main([*command, "--compat", "fixed"]) == 0
    assert "fixed" in capsys.readouterr().out


def test_options_of_a_metric_are_given_by_name(folders: tuple[Path, Path], tmp_path: Path) -> None:
    labels, mine = map(str, folders)
    pck = ["score", mine, "--against", labels, "--metric", "pck", "--json", str(tmp_path / "j")]
    assert main([*pck, "--option", "normalise=bbox", "threshold=5"]) == 0
    assert json.loads((tmp_path / "j").read_text())["result"]["pooled"] == 100.0
    assert main([*pck, "--option", "treshold=5"]) == 2


def test_a_parquet_of_poses_can_be_scored_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = walk("000001_mpii_test")
    write_labels([labels], tmp_path / "val.json", "posetrack18")
    video = replace(labels, fps=25.0).to_video(VideoInfo("walk.mp4", (640, 480), rate_hz=25.0))
    write_poses(video, tmp_path / "mine.parquet")
    command = ["score", str(tmp_path / "mine.parquet"), "--against", str(tmp_path / "val.json")]
    assert main([*command, "--metric", "pck", "--option", "normalise=bbox"]) == 0
    assert "pooled           100.0" in capsys.readouterr().out


def test_temporal_quality_needs_no_labels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = replace(walk("000001_mpii_test", 12), fps=25.0)
    write_poses(
        video.to_video(VideoInfo("walk.mp4", (640, 480), rate_hz=25.0)), tmp_path / "mine.parquet"
    )
    command = ["score", str(tmp_path / "mine.parquet"), "--metric", "temporal"]
    assert main([*command, "--json", str(tmp_path / "j.json")]) == 0
    assert "jitter" in capsys.readouterr().out
    assert json.loads((tmp_path / "j.json").read_text())["metric"] == "temporal"


@pytest.fixture
def performances(tmp_path: Path) -> tuple[Path, Path]:
    """Two actions of Human3.6M in its published file, and predictions with a head 34 mm off."""
    rng = np.random.default_rng(0)
    truth = {n: rng.normal(0, 0.3, (4, 17, 3)).astype(np.float32) for n in ("Eating 1", "Photo")}
    tree = {"S9": truth, "S1": {"Eating 1": truth["Photo"]}}
    np.savez(tmp_path / "data_3d_h36m.npz", positions_3d=np.array(tree, object))
    found = []
    for name, xyz in truth.items():
        moved = 1000 * xyz
        moved[:, 10, 0] += 34
        found.append(Motion3D("S9", name, moved, get_skeleton("h36m17"), "mm", "world", 50.0))
    write_motions(found, tmp_path / "mine.npz")
    return tmp_path / "data_3d_h36m.npz", tmp_path / "mine.npz"


def test_joints_in_space_get_a_row_for_each_action(
    performances: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels, mine = map(str, performances)
    command = ["score", mine, "--against", labels, "--metric", "mpjpe"]
    assert main([*command, "--option", "subjects=S9", "--json", str(tmp_path / "j")]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[2].split() == ["MPJPE", "P-MPJPE", "N-MPJPE", "MPJVE"]
    assert [line.split()[:2] for line in said[3:6]] == [  # 34 mm of one joint in 17
        ["Eating", "2.00"], ["Photo", "2.00"], ["mean", "2.00"],
    ]  # fmt: skip
    told = json.loads((tmp_path / "j").read_text())
    assert told["result"]["mean"]["MPJPE"] == pytest.approx(2.0, abs=1e-4)
    assert told["options"] == {"subjects": "S9"}
    assert [r["name"] for r in told["sequences"]] == ["S9 Eating 1", "S9 Photo"]
    assert main(command) != 0
    assert "'S1 Eating 1'" in capsys.readouterr().err  # the labels have people without predictions


def test_poses_in_space_of_a_video_are_scored_against_each_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    joints = get_skeleton("mpi_inf_3dhp17")

    def video(name: str, wrist_mm: float) -> str:
        xyz = np.random.default_rng(0).normal(0, 300, (1, 17, 3)).round()
        xyz[:, joints.index("left_wrist"), 0] += wrist_mm
        boxes = Boxes(np.zeros((1, 4)), np.ones(1))
        poses = Poses(xyz, np.ones((1, 17)), joints, "camera_mm")
        frames = [FramePoses(i, i / 25, np.array([1]), boxes, poses) for i in range(3)]
        info = VideoInfo("walk.mp4", (640, 480), rate_hz=25.0)
        write_poses(VideoPoses.from_frames(info, joints, frames), tmp_path / name)
        return str(tmp_path / name)

    command = ["score", video("mine.parquet", 150), "--against", video("truth.parquet", 0)]
    assert main([*command, "--metric", "pck3d"]) == 0
    said = capsys.readouterr().out
    assert "92.9" in said  # one of 14 joints is 150 mm off, and the bound itself is a miss
    assert main([*command, "--metric", "pck3d", "--compat", "fixed"]) == 2
    assert "no option 'compat'" in capsys.readouterr().err


def test_the_metrics_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "--list"]) == 0
    said = capsys.readouterr().out
    assert all(
        name in said
        for name in ("posetrack-ap", "keypoint-hota", "oks", "temporal", "mpjpe", "pck3d")
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["score"], "Which predictions?"),
        (["score", "{mine}"], "needs labels: give their file or folder with --against"),
        (["score", "{mine}", "--against", "{val}", "--metric", "mAP"], "There is no metric 'mAP'"),
        (["score", "{mine}", "--against", "nowhere"], "nowhere"),
        (["score", "{mine}", "--against", "{val}", "--option", "compat"], "NAME=VALUE"),
        (["score", "{mine}", "--against", "{val}", "--compat", "mine"], "compat"),
    ],
)
def test_what_cannot_be_scored_is_told_in_one_sentence(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    val, mine = folders
    assert main([w.format(val=val, mine=mine) for w in words]) != 0
    assert message in capsys.readouterr().err
