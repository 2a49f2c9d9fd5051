"""The folder of a run, and what must not change when it goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from chronopose.engine.checkpoint import write_checkpoint
from chronopose.engine.plain_run import LAST, device_of, open_run, refuse_changes, refuse_infinite
from chronopose.errors import ChronoposeError, UsageError


def test_a_new_run_gets_its_folder_and_nothing_to_go_on_from(tmp_path: Path):
    folder, state = open_run(tmp_path / "a" / "b", "auto")
    assert folder.is_dir()
    assert state is None


def test_a_run_that_is_there_goes_on_when_asked_and_is_never_overwritten(tmp_path: Path):
    write_checkpoint(tmp_path / LAST, {"step": 7})
    for resume in (True, "auto"):
        _, state = open_run(tmp_path, resume)
        assert state is not None and state["step"] == 7
    with pytest.raises(UsageError, match="already holds a run"):
        open_run(tmp_path, False)


def test_nothing_to_resume_leaves_no_folder(tmp_path: Path):
    with pytest.raises(UsageError, match="holds no run"):
        open_run(tmp_path / "none", True)
    assert not (tmp_path / "none").exists()


def test_changes_are_named_one_by_one_unless_they_are_free():
    old = {"config": {"width": 3}, "settings": {"lr": 1.0, "log_every": 5}, "data": "a"}
    refuse_changes(old, {**old, "settings": {"lr": 1.0, "log_every": 9}}, {"log_every"}, Path("r"))
    new = {"config": {"width": 4}, "settings": {"lr": 1.0, "log_every": 5}, "data": "b"}
    with pytest.raises(UsageError, match=r"another data, width\."):
        refuse_changes(old, new, {"log_every"}, Path("r"))


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_the_run(loss: float):
    refuse_infinite(torch.tensor(3.0), 4)
    with pytest.raises(ChronoposeError, match="at step 4"):
        refuse_infinite(torch.tensor(loss), 4)


def test_auto_is_a_device():
    assert device_of("cpu") == torch.device("cpu")
    assert device_of("auto").type in ("cpu", "cuda")
