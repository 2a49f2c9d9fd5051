"""No machine paths, registry addresses, leftovers or catch-all names in the repository."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = {".py", ".md", ".toml", ".txt", ".yml", ".yaml", ".json", ".cfg", ".cff", ".lock", ""}
PINNED = {".toml", ".txt", ".yml", ".yaml", ".json", ".cfg", ".lock"}

MACHINE_PATH = re.compile(r"(?<![\w.])/(?:work|farm|root|home/\w+|Users/\w+)/")
LEFTOVER = re.compile(r"\b(?:TO" + "DO|FIX" + r"ME)\b")
ADDRESS = re.compile(r"https?:" + "//")
ADDRESS_ALLOWED = re.compile(r"schema|licen[sc]e|doi\.org|arxiv", re.IGNORECASE)
CATCH_ALL = re.compile(r"utils?|misc|common|helpers?|new_.*|.*_v\d+", re.IGNORECASE)


def repository_files() -> list[Path]:
    """Text files that are in the repository or would be with the next commit."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listing.returncode == 0:
        files = [ROOT / name for name in listing.stdout.split("\0") if name]
    else:
        folders = [ROOT / name for name in ("src", "tests", "docs", "examples")]
        files = [f for folder in folders for f in folder.rglob("*")]
        files += [f for f in ROOT.iterdir() if not f.name.startswith(".")]
    return sorted(f for f in files if f.is_file() and f.suffix in TEXT and f.name != "LICENSE")


FILES = repository_files()


def hits(pattern: re.Pattern[str], files: list[Path]) -> list[str]:
    found = []
    for file in files:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        for number, line in enumerate(lines, 1):
            if pattern.search(line):
                found.append(f"{file.relative_to(ROOT)}:{number}: {line.strip()[:120]}")
    return found


def test_there_is_something_to_look_at() -> None:
    assert ROOT / "src" / "chronopose" / "__init__.py" in FILES
    assert ROOT / "constraints.txt" in FILES


def test_no_machine_paths() -> None:
    assert hits(MACHINE_PATH, FILES) == []


def test_no_leftovers() -> None:
    assert hits(LEFTOVER, FILES) == []


def test_no_addresses_in_lock_and_config_files() -> None:
    found = hits(ADDRESS, [f for f in FILES if f.suffix in PINNED])
    assert [line for line in found if not ADDRESS_ALLOWED.search(line)] == []


def test_constraints_pin_versions_that_any_index_has() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line.partition(";")[0].strip() for line in lines if not line.startswith("#")]
    assert "torch" in {pin.partition("==")[0] for pin in pins}
    assert "chronopose" not in {pin.partition("==")[0] for pin in pins}
    assert [pin for pin in pins if not re.fullmatch(r"[\w.-]+==[\w.]+", pin)] == []


def test_no_catch_all_names() -> None:
    names = {
        part
        for file in FILES
        if file.is_relative_to(ROOT / "src")
        for part in file.relative_to(ROOT / "src").with_suffix("").parts
    }
    assert sorted(n for n in names if CATCH_ALL.fullmatch(n)) == []


@pytest.mark.parametrize(
    ("pattern", "text", "seen"),
    [
        (MACHINE_PATH, "open('/" + "work/x.mp4')", True),
        (MACHINE_PATH, "./work/x.mp4", False),
        (LEFTOVER, "# TO" + "DO later", True),
        (LEFTOVER, "# today", False),
        (CATCH_ALL, "utils", True),
        (CATCH_ALL, "skeletons", False),
    ],
)
def test_patterns_see_what_they_are_meant_to_see(
    pattern: re.Pattern[str], text: str, seen: bool
) -> None:
    assert bool(pattern.search(text)) is seen
