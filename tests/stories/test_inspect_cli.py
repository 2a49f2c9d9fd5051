"""chronopose inspect, end to end: a real video, a real network, one picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chronopose.cli._demo import write_procedural_video
from chronopose.cli.main import main


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "walk.mp4"
    write_procedural_video(path, seconds=0.4, size=(120, 160), people=1, seed=3)
    return path


def inspect(clip: Path, out: Path, *flags: str) -> int:
    return main(["inspect", str(clip), "--detector", "whole-frame", "--out", str(out), *flags])


def test_the_split_of_tdmi_is_drawn_and_told(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "new" / "inside.png"
    assert inspect(clip, out, "--model", "tdmi:lite@random", "--frames", "2") == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == f"{out}: person 1 in 2 of 10 frames"
    # Gates of random weights are neither open nor shut.
    assert [line.split()[:2] for line in told[1:3]] == [["M_u", "0"], ["M_n", "0"]]
    assert told[4].startswith("  I(M_u; M_n) = 0.") and told[4].endswith("ln 2 = 0.693")
    with Image.open(out) as picture:
        # Bars of 260 px; two rows of 256; four columns of 192 and a gap of 4 between.
        assert picture.size == (4 * 192 + 3 * 4, 260 + 2 * 256 + 4)
        pixels = np.asarray(picture)
    crop, useful = pixels[260:516, :192], pixels[260:516, 196:388]
    assert crop.std() > 5 and useful.std() > 5
    assert [p.name for p in out.parent.iterdir()] == ["inside.png"]


def test_a_network_without_a_split_shows_crop_and_heatmaps(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "inside.png"
    assert inspect(clip, out, "--model", "simple_baseline:lite@random", "--frames", "1") == 0
    assert capsys.readouterr().out == f"{out}: person 1 in 1 of 10 frames\n"
    with Image.open(out) as picture:
        assert picture.size == (2 * 192 + 4, 256)


@pytest.mark.parametrize(
    ("flags", "code", "told"),
    [
        (["--person", "9"], 2, "There is no person 9 in these frames; there are 1."),
        (["--frames", "0"], 2, "at least one frame; got 0"),
        (["--start", "2", "--end", "1"], 2, "--end 1 does not lie after --start 2"),
        (["--out", "inside.jpg"], 2, "written as .png; got inside.jpg"),
    ],
)
def test_what_cannot_be_shown_is_said(
    clip: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    code: int,
    told: str,
):
    words = ["--model", "simple_baseline:lite@random", *flags]
    assert inspect(clip, tmp_path / "inside.png", *words) == code
    assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
