"""The record and the log of a run."""

from __future__ import annotations

import csv
import getpass
import json
import platform

from chronopose.engine.record import RunLog, write_record
from chronopose.engine.settings import Phase, TrainSettings


def rows(path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_rows_are_appended_under_one_header(tmp_path):
    log = RunLog(tmp_path)
    log.write("train", 10, {"loss": 2.5, "lr": 0.1})
    log.write("train", 20, {"loss": 1.5, "lr": 0.1})
    log.close()
    assert [r["loss"] for r in rows(tmp_path / "train.csv")] == ["2.5", "1.5"]


def test_a_resumed_log_forgets_what_came_after_the_checkpoint(tmp_path):
    log = RunLog(tmp_path)
    for step in (10, 20, 30):
        log.write("train", step, {"loss": float(step)})
    log.close()
    RunLog(tmp_path, first_step=20).close()
    assert [r["step"] for r in rows(tmp_path / "train.csv")] == ["10", "20"]


def test_a_half_written_last_row_is_dropped(tmp_path):
    (tmp_path / "train.csv").write_text("step,loss,lr\n10,1.0,0.1\n20,0.")
    RunLog(tmp_path, first_step=30).close()
    assert [r["step"] for r in rows(tmp_path / "train.csv")] == ["10"]


def test_the_record_says_what_is_needed_and_not_whose_machine_it_was(tmp_path):
    settings = TrainSettings(phases=(Phase(steps=3, crop_size=(32, 64)),))
    write_record(tmp_path, {"name": "x", "settings": settings})
    text = (tmp_path / "run.json").read_text()
    record = json.loads(text)
    assert record["settings"]["phases"][0]["crop_size"] == [32, 64]
    assert {"torch", "numpy", "python"} <= set(record["versions"])
    assert record["hardware"]["cores"] >= 1
    assert "git_revision" in record
    assert str(tmp_path) not in text
    assert platform.node() == "" or f'"{platform.node()}"' not in text
    assert f'"{getpass.getuser()}"' not in text
