"""chronopose refine, end to end on generated people and on poses of other tools."""

from __future__ import annotations

import csv
import importlib.util
import json
import re
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from chronopose.cli._demo import write_procedural_video
from chronopose.cli.main import main
from chronopose.core.tracks import PersonTrack, VideoPoses
from chronopose.core.video import VideoInfo
from chronopose.io.poses import read_poses, write_poses
from chronopose.metrics.temporal import TemporalQuality

SIZE = (320, 240)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, VideoPoses]:
    """A generated video, its true poses made worse, and the true poses.

    Joints tremble by 2 px, one frame lacks the person, one joint is unknown for two frames, and
    from frame 15 on, three frames late, the person has another id.
    """
    folder = tmp_path_factory.mktemp("refine")
    truth = write_procedural_video(folder / "walk.mp4", seconds=1.0, size=SIZE, people=1, seed=4)
    rng = np.random.default_rng(0)
    track = truth.tracks[0]
    xy = track.poses.xy + rng.normal(0, 2, track.poses.xy.shape).astype(np.float32)
    xy[[9, 10], 3] = np.nan
    score = np.full(xy.shape[:2], 0.5, np.float32)
    score[[9, 10], 3] = 0.0
    bad = replace(track, poses=replace(track.poses, xy=xy, score=score, visible=None))
    number = bad.frame_index
    first = bad.select((number < 12) & (number != 5))
    second = replace(bad.select(number >= 15), track_id=8)
    poses = replace(truth, tracks=(replace(first, track_id=3), second))
    write_poses(poses, folder / "walk.parquet")
    return folder / "walk.mp4", folder / "walk.parquet", truth


def refine(*arguments: object) -> int:
    return main(["refine", *map(str, arguments), "--quiet"])


def error(found: PersonTrack, truth: PersonTrack) -> float:
    """Root mean square distance from the truth, px, where both are known."""
    _, a, b = np.intersect1d(found.frame_index, truth.frame_index, return_indices=True)
    away = np.linalg.norm(found.poses.xy[a] - truth.poses.xy[b], axis=-1)
    return float(np.sqrt(np.nanmean(away**2)))


def jitter(poses: VideoPoses) -> float:
    metric = TemporalQuality()
    metric.update(poses)
    return metric.compute().jitter


def test_all_steps_make_one_steady_person_out_of_two_trembling_halves(
    world: tuple[Path, Path, VideoPoses], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video, poses, truth = world
    out, log = tmp_path / "new" / "better.parquet", tmp_path / "new" / "edits.csv"
    steps = "stitch,crowd-flow,fill-gaps,smooth"
    assert refine(poses, "--video", video, "--steps", steps, "--out", out, "--log", log) == 0
    before, after = read_poses(poses), read_poses(out)
    assert before.ids.tolist() == [3, 8]
    assert after.ids.tolist() == [3]
    assert after.person(3).frame_index.tolist() == truth.tracks[0].frame_index.tolist()
    assert np.isfinite(after.person(3).poses.xy).all()
    assert error(after.person(3), truth.tracks[0]) < 0.75 * error(before.person(3), truth.tracks[0])
    assert jitter(after) < 0.4 * jitter(before)
    assert [h.step for h in after.history] == ["stitch", "crowd_flow", "fill_gaps", "smooth"]
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "stitch: 1 relinked; 2 ids became 1"
    assert told[1].startswith("crowd-flow: ")
    with open(log, newline="") as file:
        rows = list(csv.DictReader(file))
    assert told[-1] == f"{log}: {len(rows)} edits"
    assert {r["step"] for r in rows} == {"stitch", "crowd_flow", "fill_gaps", "smooth"}
    # Three frames are too many for the window of two but for the one in the middle.
    inserted = {(r["step"], int(r["frame"])) for r in rows if r["action"] == "inserted"}
    assert inserted == {("crowd_flow", 5), ("crowd_flow", 13), ("fill_gaps", 12), ("fill_gaps", 14)}


@pytest.mark.parametrize("step", ["untangle", "crowd-flow"])
def test_a_step_that_looks_needs_a_video_and_says_so_before_anything_is_read(
    step: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = refine(tmp_path / "none.parquet", "--steps", step, "--out", tmp_path / "a.csv")
    assert code == 2
    assert f"The step {step} looks" in (told := capsys.readouterr().err)
    assert "give the video in which the poses were found with --video" in told


def test_untangle_reads_the_video_and_leaves_one_person_alone(
    world: tuple[Path, Path, VideoPoses], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video, poses, _ = world
    out = tmp_path / "same.parquet"
    assert refine(poses, "--video", video, "--steps", "untangle", "--out", out) == 0
    assert capsys.readouterr().out.startswith("untangle: nothing to change")
    before, after = read_poses(poses), read_poses(out)
    assert after.history[-1].step == "untangle"
    for one, other in zip(before.tracks, after.tracks, strict=True):
        assert np.array_equal(one.poses.xy, other.poses.xy, equal_nan=True)


def test_poses_of_another_video_are_refused(
    world: tuple[Path, Path, VideoPoses], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_procedural_video(tmp_path / "other.mp4", seconds=0.6, size=SIZE, people=1, seed=5)
    out = tmp_path / "a.parquet"
    flags = ("--video", tmp_path / "other.mp4", "--steps", "crowd-flow", "--out", out)
    assert refine(world[1], *flags) == 5
    assert "poses of another video: " in capsys.readouterr().err
    write_poses(replace(read_poses(world[1]), history=()), tmp_path / "bare.csv")
    write_procedural_video(tmp_path / "small.mp4", seconds=1.0, size=(160, 120), people=1, seed=5)
    flags = ("--video", tmp_path / "small.mp4", "--steps", "crowd-flow", "--out", out)
    assert refine(tmp_path / "bare.csv", *flags) == 5
    assert "320x240 pixels" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("name", ["openpose", "alphapose", "mmpose", "deeplabcut", "coco"])
def test_poses_of_other_tools_are_smoothed_and_written_in_any_format(
    name: str, world: tuple[Path, Path, VideoPoses], tmp_path: Path
) -> None:
    source, out = tmp_path / f"from_{name}", tmp_path / "out.csv"
    suffix = {"alphapose": ".alphapose.json", "mmpose": ".mmpose.json", "deeplabcut": ".dlc.csv",
              "coco": ".json"}.get(name, "_openpose")  # fmt: skip
    source = source.with_name(source.name + suffix)
    given = read_poses(world[1])
    one = replace(given, tracks=(given.person(3),))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_poses(one, source, name)
    flags = [] if name in ("mmpose", "coco") else ["--fps", "25"]
    steps = ("--steps", "fill-gaps,smooth", "--smooth", "savitzky-golay")
    assert refine(source, *flags, *steps, "--out", out) == 0
    after = read_poses(out)
    assert [h.step for h in after.history][-2:] == ["fill_gaps", "smooth"]
    assert jitter(after) < 0.8 * jitter(one)


def test_the_log_of_poses_that_need_nothing_is_empty(tmp_path: Path) -> None:
    frames = np.arange(30)
    truth = write_procedural_video(
        tmp_path / "v.mp4", seconds=0.2, size=SIZE, people=1, seed=1
    ).tracks[0]  # fmt: skip
    still = truth.select(slice(0, 1))
    poses = replace(still.poses, xy=np.repeat(still.poses.xy, 30, 0),
                    score=np.repeat(still.poses.score, 30, 0), visible=None)  # fmt: skip
    boxes = replace(still.boxes, xyxy=np.repeat(still.boxes.xyxy, 30, 0),
                    score=np.repeat(still.boxes.score, 30, 0))  # fmt: skip
    track = PersonTrack(1, frames, frames / 25, boxes, poses)
    whole = VideoPoses(VideoInfo("v", SIZE), poses.skeleton, (track,), (), frames, frames / 25)
    write_poses(whole, tmp_path / "still.parquet")
    log = tmp_path / "edits.json"
    out = tmp_path / "out.parquet"
    assert refine(tmp_path / "still.parquet", "--out", out, "--log", log) == 0
    assert json.loads(log.read_text())["edits"] == []
    np.testing.assert_array_equal(read_poses(out).tracks[0].poses.xy, poses.xy)


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--steps", "smoth"], "Did you mean smooth?"),
        (["--steps", ","], "names no step"),
        (["--smooth", "gauss"], "No filter 'gauss'"),
        (["--beta", "0.1"], "--beta means nothing to butterworth; its flags are --cutoff, --order"),
        (["--cutoff", "20"], "needs more than 40 frames a second"),
        (["--cutoff", "-1"], "cutoff_hz must be a number above 0"),
        (["--fill-gap", "0"], "max_gap_s must be a number above 0"),
        (["--log", "edits.txt"], "--log writes .csv or .json"),
        (["--window", "0"], "window must be 1 to 10"),
        (["--steps", "crowd-flow", "--video", "x.mp4", "--flow", "hs"], "No flow 'hs'"),
        (["--steps", "crowd-flow", "--video", "nowhere.mp4"], "nowhere.mp4"),
    ],
)
def test_a_mistake_is_one_sentence_and_nothing_is_written(
    flags: list[str], told: str, world: tuple[Path, Path, VideoPoses], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    out = tmp_path / "a.parquet"
    assert refine(world[1], "--out", out, *flags) != 0
    assert told in capsys.readouterr().err
    assert not out.exists()


def test_times_that_stand_still_are_told(
    world: tuple[Path, Path, VideoPoses], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_poses(read_poses(world[1]), tmp_path / "walk.csv")
    lines = (tmp_path / "walk.csv").read_text().splitlines()
    column = lines[1].replace('"', "").split(",").index("time_s")
    for n in range(2, len(lines) - 1):
        cells = lines[n].split(",")
        cells[column] = "0.04"
        lines[n] = ",".join(cells)
    (tmp_path / "walk.csv").write_text("\n".join(lines) + "\n")
    assert refine(tmp_path / "walk.csv", "--out", tmp_path / "a.csv") == 3
    assert "Frames and times must rise" in capsys.readouterr().err


def test_an_existing_file_is_kept_unless_overwrite_is_said(
    world: tuple[Path, Path, VideoPoses], tmp_path: Path
) -> None:
    out = tmp_path / "a.csv"
    out.write_text("mine")
    assert refine(world[1], "--out", out) == 2
    assert out.read_text() == "mine"
    assert refine(world[1], "--out", out, "--overwrite") == 0
    assert len(read_poses(out).history) == 3


def test_a_file_without_people_comes_out_as_it_went_in(
    world: tuple[Path, Path, VideoPoses], tmp_path: Path
) -> None:
    video, poses, _ = world
    nobody = replace(read_poses(poses), tracks=())
    write_poses(nobody, tmp_path / "nobody.parquet")
    steps = "stitch,crowd-flow,fill-gaps,smooth"
    out = tmp_path / "out.parquet"
    flags = ("--video", video, "--steps", steps, "--out", out, "--log", tmp_path / "e.csv")
    assert refine(tmp_path / "nobody.parquet", *flags) == 0
    assert len(read_poses(out)) == 0
    assert len((tmp_path / "e.csv").read_text().splitlines()) == 1


def test_the_example_prints_that_every_step_brings_the_poses_nearer_to_the_truth(
    repo_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = repo_root / "examples" / "refine_poses.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    example.main(frames=25)
    lines = capsys.readouterr().out.splitlines()
    rows = [[float(n) for n in re.findall(r"[\d.]+", line)] for line in lines[1:4]]
    away, jitter, missing = zip(*rows, strict=True)
    assert away[2] < away[1] < away[0]
    assert jitter[2] < jitter[1] < jitter[0]
    assert (missing[0], missing[2]) == (2, 0)
    assert "crowd_flow inserted" in "\n".join(lines)
