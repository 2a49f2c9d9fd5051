"""The command line end to end, with real videos, real decoders and real files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from chronopose.cli._demo import write_procedural_video
from chronopose.cli.main import commands, main
from chronopose.io.poses import read_poses

UNTRAINED = "simple_baseline:lite@random"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "walk.mp4"
    write_procedural_video(path, seconds=0.6, size=(160, 120), people=1, seed=3)
    return path


def predict(*arguments: str) -> int:
    return main(["predict", *arguments, "--model", UNTRAINED, "--detector", "whole-frame",
                 "--quiet"])  # fmt: skip


@pytest.mark.parametrize("verb", sorted(commands()))
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([verb, "--help"])
    assert stop.value.code == 0
    told = capsys.readouterr().out
    assert (commands()[verb].__doc__ or "").split()[0] in told


def test_one_pass_writes_every_format_and_the_overlay(clip: Path, tmp_path: Path) -> None:
    code = predict(str(clip), "--out", str(tmp_path), "--format", "parquet", "coco", "csv",
                   "--save-video")  # fmt: skip
    assert code == 0
    names = sorted(p.name for p in tmp_path.iterdir())
    assert names == ["walk.csv", "walk.json", "walk.parquet", "walk_overlay.mp4"]
    table, listing = read_poses(tmp_path / "walk.parquet"), read_poses(tmp_path / "walk.csv")
    assert table.complete
    assert len(table.frame_index) == 15
    np.testing.assert_array_equal(table.time_s, listing.time_s)
    assert json.loads((tmp_path / "walk.json").read_text())["images"][0]["width"] == 160


def test_the_overlay_keeps_the_times_of_the_video(clip: Path, tmp_path: Path) -> None:
    assert predict(str(clip), "--out", str(tmp_path), "--save-video") == 0
    times = []
    for path in (clip, tmp_path / "walk_overlay.mp4"):
        with av.open(str(path)) as box:
            times.append([frame.time for frame in box.decode(video=0)])
    np.testing.assert_allclose(times[0], times[1], atol=1e-3)


def test_history_says_which_model_and_settings_made_the_file(clip: Path, tmp_path: Path) -> None:
    assert predict(str(clip), "--out", str(tmp_path / "poses.parquet"), "--stride", "5") == 0
    poses = read_poses(tmp_path / "poses.parquet")
    assert poses.history[0].step == "predict"
    assert poses.history[0].settings["model"] == UNTRAINED
    assert poses.frame_index.tolist() == [0, 5, 10]


def test_a_range_in_seconds_picks_frames_by_their_times(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "part.parquet"
    assert predict(str(clip), "--out", str(out), "--start", "0.2", "--end", "0.4") == 0
    np.testing.assert_allclose(read_poses(out).time_s, [0.2, 0.24, 0.28, 0.32, 0.36], atol=1e-6)


def test_existing_results_are_kept_unless_overwrite_is_said(clip: Path, tmp_path: Path) -> None:
    assert predict(str(clip), "--out", str(tmp_path)) == 0
    before = (tmp_path / "walk.parquet").stat().st_mtime_ns
    assert predict(str(clip), "--out", str(tmp_path)) == 2
    assert (tmp_path / "walk.parquet").stat().st_mtime_ns == before
    assert predict(str(clip), "--out", str(tmp_path), "--overwrite") == 0


def test_a_damaged_video_gives_its_readable_part_and_exit_code_6(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = tmp_path / "front.mp4"  # its index is at the front, so the rest can be cut off
    data = clip.read_bytes()
    whole.write_bytes(data[: int(len(data) * 0.6)])
    assert predict(str(whole), "--out", str(tmp_path / "out")) == 6
    told = capsys.readouterr().err
    assert "front.mp4" in told
    poses = read_poses(tmp_path / "out" / "front.parquet")
    assert not poses.complete
    assert 1 <= len(poses.frame_index) < 15


def test_one_bad_video_does_not_stop_the_good_ones(clip: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_text("no video")
    assert predict(str(bad), str(clip), "--out", str(tmp_path / "out")) == 5
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["walk.parquet"]


def test_a_config_file_sets_flags_and_the_command_line_wins(clip: Path, tmp_path: Path) -> None:
    config = tmp_path / "run.yaml"
    config.write_text(f"out: {tmp_path / 'from_config'}\nstride: 5\n")
    assert predict(str(clip), "--config", str(config), "--stride", "7") == 0
    poses = read_poses(tmp_path / "from_config" / "walk.parquet")
    assert poses.frame_index.tolist() == [0, 7, 14]


def test_evaluate_prints_every_joint_and_writes_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["evaluate", "--model", UNTRAINED, "--limit-batches", "1", "--batch", "4",
                 "--cache", str(tmp_path), "--json", str(tmp_path / "r.json")])  # fmt: skip
    assert code == 0
    assert "left_wrist" in capsys.readouterr().out
    assert json.loads((tmp_path / "r.json").read_text())["limbs"]["people"] == 4


def test_changes_with_set_reach_settings_phases_and_model(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = main(["train", "tdmi_lite", "--print-recipe", "--set", "seed=9", "phases.0.steps=12",
                 "model.mi.mode=none"])  # fmt: skip
    assert code == 0
    told = capsys.readouterr().out
    assert "seed: 9" in told
    assert "steps: 12" in told
    assert "mi.mode: none" in told


def test_an_unknown_setting_is_an_error_with_a_suggestion(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["train", "tdmi_lite", "--print-recipe", "--set", "wieght_decay=1"]) == 2
    assert "weight_decay" in capsys.readouterr().err


def test_demo_runs_and_says_where_to_look(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--out", str(tmp_path), "--seconds", "0.4"]) == 0
    told = capsys.readouterr().out
    assert f"{tmp_path}/two_overlay.mp4" in told
    assert (tmp_path / "two_overlay.mp4").stat().st_size > 0
    assert len(read_poses(tmp_path / "two.parquet").tracks) >= 1


def test_doctor_finds_everything_the_main_job_needs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    assert "BROKEN" not in capsys.readouterr().out


def test_models_lists_presets_and_the_shipped_cards(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    told = capsys.readouterr().out
    assert "hrnet_w48" in told
    assert "simple_baseline:lite@real" in told
    assert "tdmi:lite@real" in told
    assert main(["models", "simple_baseline:lite"]) == 0
    assert "terms" in capsys.readouterr().out


def test_the_installed_program_answers_help_without_starting_torch() -> None:
    code = "import sys; from chronopose.cli.main import main\ntry: main(['predict', '--help'])\n" \
           "except SystemExit: print('torch' in sys.modules)"  # fmt: skip
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip().endswith("False")


def test_settings_of_a_recipe_are_changed_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", "simple_baseline_lite", "--print-recipe", "--set"]
    assert main([*command, "phases.0.lr=[7e-4, 0]", "model.decoder=dark", "seed=5"]) == 0
    told = capsys.readouterr().out
    assert "- 0.0007\n" in told
    assert "decoder: dark" in told
    assert "seed: 5" in told


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("phases.0.lr=fast", "cannot take lr = 'fast'"),
        ("phases.9.lr=[1, 0]", "no phase '9'"),
        ("sede=3", "Did you mean 'seed'"),
        ("seed", "NAME=VALUE"),
    ],
)
def test_a_setting_that_cannot_be_is_one_sentence(
    capsys: pytest.CaptureFixture[str], change: str, message: str
) -> None:
    assert main(["train", "simple_baseline_lite", "--print-recipe", "--set", change]) == 2
    assert message in capsys.readouterr().err
