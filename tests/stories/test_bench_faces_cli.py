"""chronopose bench faces and chronopose train on faces, end to end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chronopose.cli.main import main


def test_a_study_without_faces_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "faces", "--part", "study"]) != 0
    assert "--data SET:DIR" in capsys.readouterr().err


def test_an_expression_network_is_trained_without_data(tmp_path: Path) -> None:
    command = ["train", "fer_multithreshold_drawn", "--out", str(tmp_path), "--limit-batches", "1"]
    changes = ["per_class=2", "model.crop_size=[24,24]", "model.widths=[8,8,8]",
               "augmentation.flip=0", "held=no"]  # fmt: skip
    assert main([*command, "--quiet", "--device", "cpu", "--set", *changes]) == 0
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["steps"] == 1
    assert record["config"]["widths"] == [8, 8, 8]
    card = json.loads((tmp_path / "weights.json").read_text())
    assert card["codec"]["classes"][0] == "neutral"
