"""Checkpoints are whole and hold no code."""

from __future__ import annotations

import pickle

import pytest
import torch

from chronopose.engine.checkpoint import read_checkpoint, write_checkpoint
from chronopose.errors import WeightsError


def test_a_checkpoint_comes_back_as_it_was(tmp_path):
    state = {"step": 3, "model": {"w": torch.arange(4.0)}, "meters": {"loss": [1.5, 2.0]}}
    write_checkpoint(tmp_path / "a.ckpt", state)
    back = read_checkpoint(tmp_path / "a.ckpt")
    assert back["step"] == 3
    assert back["meters"] == {"loss": [1.5, 2.0]}
    assert torch.equal(back["model"]["w"], torch.arange(4.0))


def test_nothing_else_is_left_beside_it(tmp_path):
    write_checkpoint(tmp_path / "a.ckpt", {"step": 1})
    assert [p.name for p in tmp_path.iterdir()] == ["a.ckpt"]


def test_a_failed_write_keeps_the_old_checkpoint(tmp_path):
    write_checkpoint(tmp_path / "a.ckpt", {"step": 1})
    with pytest.raises((AttributeError, pickle.PicklingError, TypeError)):
        write_checkpoint(tmp_path / "a.ckpt", {"step": 2, "bad": lambda: None})
    assert read_checkpoint(tmp_path / "a.ckpt")["step"] == 1


class Payload:
    """Unpickling this would run code."""

    def __reduce__(self):
        return (print, ("code ran",))


def test_a_checkpoint_with_code_in_it_is_refused(tmp_path, capsys):
    torch.save({"format": 1, "step": Payload()}, tmp_path / "a.ckpt")
    with pytest.raises(WeightsError):
        read_checkpoint(tmp_path / "a.ckpt")
    assert "code ran" not in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04broken"])
def test_a_damaged_checkpoint_is_a_clear_error(tmp_path, content: bytes):
    (tmp_path / "a.ckpt").write_bytes(content)
    with pytest.raises(WeightsError, match=r"a\.ckpt"):
        read_checkpoint(tmp_path / "a.ckpt")


def test_a_missing_checkpoint_is_a_clear_error(tmp_path):
    with pytest.raises(WeightsError, match="no checkpoint"):
        read_checkpoint(tmp_path / "a.ckpt")
