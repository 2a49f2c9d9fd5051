"""chronopose propagate, end to end: labels of a few frames become poses of all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from chronopose.cli._demo import compare, write_procedural_video
from chronopose.cli.main import main
from chronopose.core.labels import LabelledSequence
from chronopose.core.skeletons import POSETRACK15
from chronopose.core.tracks import VideoPoses
from chronopose.io.labels import write_labels
from chronopose.io.poses import read_poses, write_poses
from chronopose.models._find import build_model
from chronopose.zoo import save

FRAMES = 25
STEP = 8


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, VideoPoses, VideoPoses]:
    """A video of two people, the truth, and every eighth frame of it."""
    video = tmp_path_factory.mktemp("clip") / "walk.mp4"
    truth = write_procedural_video(video, seconds=FRAMES / 25.0, size=(160, 128), people=2, seed=4)
    kept = (t.select(t.frame_index % STEP == 0) for t in truth.tracks)
    return video, truth, replace(truth, tracks=tuple(kept))


def test_sparse_poses_become_poses_of_every_frame(
    clip: tuple[Path, VideoPoses, VideoPoses], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video, truth, labels = clip
    write_poses(labels, tmp_path / "some.parquet")
    out = tmp_path / "all.csv"
    code = main(
        ["propagate", str(video), "--labels", str(tmp_path / "some.parquet"), "--out", str(out)]
    )
    assert code == 0
    assert capsys.readouterr().out == (
        f"{out}: 2 people in {FRAMES} of {FRAMES} frames, 4 labelled\n"
    )
    found = read_poses(out)
    assert found.ids.tolist() == truth.ids.tolist()
    agreement = compare(found, truth)
    assert agreement.pck > 85
    assert agreement.switches == 0
    first = found.tracks[0]
    labelled = first.frame_index % STEP == 0
    score = first.poses.score[~labelled]
    known = np.isfinite(truth.tracks[0].poses.xy[~labelled]).all(-1)
    assert (score[known] < 1).all() and (score[known] > 0).all()


def test_labels_of_a_data_set_format_are_read_too(
    clip: tuple[Path, VideoPoses, VideoPoses], tmp_path: Path
) -> None:
    video, _, labels = clip
    sequence = LabelledSequence.from_video(labels.to_skeleton(POSETRACK15))
    labelled = tuple(f for f in sequence if f.frame_index % STEP == 0)
    write_labels([replace(sequence, name="walk", frames=labelled)], tmp_path / "l", "posetrack18")
    [file] = (tmp_path / "l").glob("*.json")
    out = tmp_path / "all.parquet"
    arguments = ["propagate", str(video), "--labels", str(file), "--out", str(out)]
    assert main([*arguments, "--reach", "2"]) == 0
    # Two frames on either side of frames 0, 8, 16 and 24; the last frame is 24.
    reached = sorted({int(i) for t in read_poses(out).tracks for i in t.frame_index})
    assert reached == [0, 1, 2, 6, 7, 8, 9, 10, 14, 15, 16, 17, 18, 22, 23, 24]


def test_a_posewarper_carries_labels_a_few_frames(
    clip: tuple[Path, VideoPoses, VideoPoses], tmp_path: Path
) -> None:
    video, _, labels = clip
    write_poses(labels, tmp_path / "some.parquet")
    model = build_model("posewarper", "lite", crop_size=(64, 96))
    save(
        model, tmp_path / "w.safetensors",
        {"name": "posewarper:lite", "training_data": "none", "terms": "any", "command": "none"},
    )  # fmt: skip
    out = tmp_path / "all.parquet"
    code = main(
        ["propagate", str(video), "--labels", str(tmp_path / "some.parquet"), "--out", str(out),
         "--method", "posewarper", "--weights", str(tmp_path / "w.safetensors"), "--device", "cpu"]
    )  # fmt: skip
    assert code == 0
    found = read_poses(out)
    assert found.person(int(found.ids[0])).frame_index.tolist()[:6] == [0, 1, 2, 6, 7, 8]
    assert found.history[-1].settings["method"] == "posewarper"


def test_what_exists_is_kept_and_what_is_missing_is_said(
    clip: tuple[Path, VideoPoses, VideoPoses], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video, _, labels = clip
    some = tmp_path / "some.parquet"
    write_poses(labels, some)
    assert main(["propagate", str(video), "--labels", str(some), "--out", str(some)]) == 2
    assert "exists already" in capsys.readouterr().err
    other = ["propagate", str(video), "--labels", str(tmp_path / "no.parquet")]
    assert main([*other, "--out", str(tmp_path / "a.parquet")]) == 4
    assert main([*other, "--out", str(tmp_path / "a.xyz")]) == 4
    assert not (tmp_path / "a.parquet").exists()
