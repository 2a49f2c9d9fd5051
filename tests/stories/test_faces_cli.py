"""Expressions on the command line: a network judged on a set, and the faces of a video."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from chronopose.cli._demo import write_procedural_video
from chronopose.cli.main import main
from chronopose.io.faces import read_faces
from chronopose.io.poses import read_poses

FACES = "fer_multithreshold:lite@random"
WORDS = ("neutral", "happiness", "contempt")


@pytest.fixture(scope="module")
def portraits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve persons with three pictures of noise each; one of the three shows contempt."""
    root = tmp_path_factory.mktemp("portraits")
    (root / "images").mkdir()
    rng, rows = np.random.default_rng(0), ["image,expression,person"]
    for n in range(36):
        Image.fromarray(rng.integers(0, 255, (40, 40), np.uint8)).save(root / f"images/{n}.png")
        rows.append(f"{n}.png,{WORDS[n % 3]},p{n // 3}")
    (root / "labels.csv").write_text("\n".join(rows))
    return root


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "walk.mp4"
    write_procedural_video(path, seconds=0.3, size=(320, 240), people=1, seed=3)
    return path


def predict(*arguments: str) -> int:
    return main(["predict", *arguments, "--detector", "whole-frame", "--quiet", "--faces"])


def test_a_network_is_judged_printed_drawn_and_written(
    portraits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture, table = tmp_path / "out.png", tmp_path / "out.json"
    code = main(["evaluate", FACES, "--data", f"fer_portraits:{portraits}", "--picture",
                 str(picture), "--json", str(table)])  # fmt: skip
    assert code == 0
    told = capsys.readouterr().out
    assert "fer_portraits all, 24 pictures" in told
    assert "12 more are contempt, which it cannot name" in told
    for part in ("mean of classes", "nearest mean in each slice", "recall@1", "verification"):
        assert part in told
    found = json.loads(table.read_text())
    confusion = np.array(found["confusion"])
    assert confusion.sum() == 24 and found["left_out"] == 12 and found["split"] == "all"
    assert found["accuracy"] == pytest.approx(100 * np.trace(confusion) / 24)
    assert len(found["classes"]) == len(confusion) and found["per_class"]["fear"] is None
    assert {f"slice_{n}" for n in range(1, 9)} <= set(found)
    assert np.asarray(Image.open(picture)).shape[1] > 1000


def test_one_fold_is_judged_alone(portraits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ["--data", f"fer_portraits:{portraits}", "--split", "test:2"]
    assert main(["evaluate", "--model", FACES, *data]) == 0
    # Twelve persons in five folds: the first two have three, with two pictures each that count.
    assert "fer_portraits test:2, 6 pictures" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "code", "told"),
    [
        ([], 2, "--data NAME:DIR. Known: affectnet"),
        (["--data", "rafdb:gone"], 4, "Shan Li and Weihong Deng"),
        (["--data", "rafbd:gone"], 2, "Did you mean 'rafdb'"),
        (["--data", "jaffe:.", "--boxes", "b.json"], 2, "--boxes is for poses"),
    ],
)
def test_what_cannot_be_judged_says_why(flags, code, told, capsys) -> None:
    assert main(["evaluate", FACES, *flags]) == code
    assert told in capsys.readouterr().err


def test_faces_of_a_video_stand_beside_its_poses(clip: Path, tmp_path: Path) -> None:
    code = predict(str(clip), "--out", str(tmp_path), "--format", "parquet", "coco",
                   "--face-model", FACES, "--save-video", "--kpt-thr", "0.1")  # fmt: skip
    assert code == 0
    names = sorted(p.name for p in tmp_path.iterdir())
    assert names == ["walk.json", "walk.parquet", "walk_expressions.parquet", "walk_overlay.mp4"]
    poses, faces = (
        read_poses(tmp_path / "walk.parquet"),
        read_faces(tmp_path / "walk_expressions.parquet"),
    )
    rows = {(f.frame_index, i): f.time_s for f in faces.frames for i in f.ids.tolist()}
    wanted = {
        (f, t.track_id): s
        for t in poses.tracks
        for f, s in zip(t.frame_index.tolist(), t.time_s.tolist(), strict=True)
    }
    assert rows == wanted and rows and faces.complete
    assert [h.step for h in faces.history] == ["predict", "faces"]
    assert faces.history[1].settings["model"] == FACES
    judged = [f for f in faces.frames if "yes" in f.judged]
    for frame in judged:
        row = frame.judged.index("yes")
        assert frame.probability[row].sum() == pytest.approx(1, abs=1e-5)
    with av.open(str(tmp_path / "walk_overlay.mp4")) as box:
        assert sum(1 for _ in box.decode(video=0)) == len(poses.frame_index)


def test_names_of_single_files_keep_their_stem(clip: Path, tmp_path: Path) -> None:
    small = ["--end", "0.05", "--face-model", FACES]
    assert predict(str(clip), "--out", str(tmp_path / "a.mmpose.json"), *small) == 0
    assert predict(str(clip), "--out", str(tmp_path / "b.mp4"), *small) == 0
    found = {p.name for p in tmp_path.iterdir()}
    assert {"a_expressions.parquet", "b_expressions.parquet"} <= found
    # A second run does not write over the table, even where everything else is gone.
    (tmp_path / "b.mp4").unlink()
    assert predict(str(clip), "--out", str(tmp_path / "b.mp4"), *small) == 2


def test_a_pose_network_or_weights_that_are_not_there_leave_nothing_behind(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", str(tmp_path / "out")]
    assert predict(str(clip), *out, "--face-model", "simple_baseline:lite") == 2
    assert "simple_baseline:lite reads no faces" in capsys.readouterr().err
    assert predict(str(clip), *out, "--face-smooth", "-1") == 2
    assert "--face-smooth is at least 0" in capsys.readouterr().err
    assert predict(str(clip), *out, "--face-model", "fer_multithreshold:lite@nobody") == 7
    assert "There are no weights for" in capsys.readouterr().err
    assert not any((tmp_path / "out").glob("*"))
