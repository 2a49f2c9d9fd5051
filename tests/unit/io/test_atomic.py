"""The whole file or nothing."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from chronopose.errors import FormatError, VideoError
from chronopose.io.atomic import (
    PendingFile,
    replacing,
    write_failure,
    write_json,
    write_text,
    writing,
)

SRC = Path(__file__).resolve().parents[3] / "src"


def run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a script in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(SRC)}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_target_appears_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    with writing(target) as file:
        file.write("one\ntwo\n")
        file.flush()
        assert not target.exists()
    assert target.read_bytes() == b"one\ntwo\n"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_an_error_in_the_block_keeps_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError, match="stop"), writing(target) as file:
        file.write("new")
        raise RuntimeError("stop")
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_the_temporary_name_lies_beside_the_target_with_its_suffix(tmp_path: Path) -> None:
    with replacing(tmp_path / "clip.mp4") as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".mp4"
        assert temporary.name.startswith(".clip.")


def test_two_writers_of_one_name_do_not_meet(tmp_path: Path) -> None:
    first, second = PendingFile(tmp_path / "a"), PendingFile(tmp_path / "a")
    first.temporary.write_text("first")
    second.temporary.write_text("second")
    second.commit()
    first.commit()
    assert (tmp_path / "a").read_text() == "first"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("real.txt")
    write_text(tmp_path / "link.txt", "new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"


def test_a_folder_is_no_target(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="it is a folder"):
        write_text(tmp_path, "text")


def test_a_missing_folder_is_named_in_the_wanted_kind_of_error(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"a\.mp4: the folder .*gone does not exist"):
        PendingFile(tmp_path / "gone" / "a.mp4", VideoError)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_locked_folder_is_a_clear_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(FormatError, match=r"Cannot write .*a\.txt: Permission denied"):
            write_text(tmp_path / "a.txt", "text")
    finally:
        tmp_path.chmod(0o700)


def test_a_name_that_is_too_long_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"Cannot write .*: File name too long"):
        write_text(tmp_path / ("x" * 300), "text")
    assert os.listdir(tmp_path) == []


def test_a_name_with_a_zero_byte_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"Cannot write .*null byte"):
        write_text(tmp_path / "a\0b", "text")


def test_a_full_disk_says_so() -> None:
    error = write_failure("a.txt", OSError(errno.ENOSPC, "whatever"))
    assert str(error).startswith("Cannot write a.txt: the disk or its quota is full")


FILL_THE_DISK = """
import resource, sys
from chronopose.errors import FormatError
from chronopose.io.atomic import write_text
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    write_text(sys.argv[1], "x" * 100_000)
except FormatError as error:
    print(error)
"""


def test_a_write_that_the_system_cuts_off_leaves_nothing(tmp_path: Path) -> None:
    # A limit on the size of files makes the system refuse in the middle, as a full disk does.
    done = run(FILL_THE_DISK, tmp_path / "big.txt")
    assert done.stdout.startswith(f"Cannot write {tmp_path / 'big.txt'}: the disk or its quota")
    assert os.listdir(tmp_path) == []


DIE_WHILE_WRITING = """
import os, signal, sys
from chronopose.io.atomic import writing
with writing(sys.argv[1]) as file:
    file.write("half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_writer_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    assert run(DIE_WHILE_WRITING, target).returncode == -signal.SIGKILL
    assert target.read_text() == "old"


def test_json_is_written_as_utf8(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"name": "Jörg", "numbers": [1, 2.5]})
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"name": "Jörg", "numbers": [1, 2.5]}
    assert "Jörg" in text


@pytest.mark.parametrize("value", [float("nan"), {"a": {1, 2}}])
def test_what_is_not_json_is_refused(value: object, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"Cannot write .*a\.json"):
        write_json(tmp_path / "a.json", value)
    assert os.listdir(tmp_path) == []
