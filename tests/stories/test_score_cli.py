"""chronopose score, from files to the table that papers print."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from chronopose.cli.main import main
from chronopose.core import LabelledFrame, LabelledSequence, VideoInfo, get_skeleton
from chronopose.io.labels import write_labels
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


def test_the_metrics_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "--list"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in ("posetrack-ap", "keypoint-hota", "oks", "temporal"))


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
