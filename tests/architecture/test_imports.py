"""Importing is cheap and changes nothing; torch starts only where it is needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "torchvision", "timm", "lightning")


def run(code: str, folder: Path) -> str:
    """Standard output of ``code`` in a fresh interpreter that stands in ``folder``."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def loaded(code: str, folder: Path) -> set[str]:
    """Names of the heavy packages that are loaded after ``code`` ran."""
    tail = f"\nimport json, sys\nprint(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    return set(json.loads(run(code + tail, folder).splitlines()[-1]))


def test_import_loads_only_the_standard_library(tmp_path: Path) -> None:
    code = """
import sys
before = set(sys.modules)
import chronopose
new = {name.split(".")[0] for name in set(sys.modules) - before}
print(sorted(new - set(sys.stdlib_module_names)))
"""
    assert run(code, tmp_path).strip() == "['chronopose']"


def test_import_has_no_side_effects(tmp_path: Path) -> None:
    code = """
import logging, os, random, signal, sys, threading, warnings

def world():
    return (
        dict(os.environ), os.getcwd(), os.listdir("."), list(sys.path), list(warnings.filters),
        list(logging.root.handlers), threading.active_count(), random.getstate(),
        signal.getsignal(signal.SIGINT), sys.excepthook, sys.stdout, sys.stderr,
    )

before = world()
import chronopose
assert world() == before
"""
    assert run(code, tmp_path) == ""


@pytest.mark.parametrize("package", ["core", "errors", "io", "metrics", "viz"])
def test_package_does_without_torch(package: str, tmp_path: Path) -> None:
    code = f"""
import importlib, pkgutil
root = importlib.import_module("chronopose.{package}")
for found in pkgutil.walk_packages(getattr(root, "__path__", []), root.__name__ + "."):
    importlib.import_module(found.name)
"""
    assert loaded(code, tmp_path) == set()


def test_command_line_help_does_not_start_torch(tmp_path: Path) -> None:
    code = """
import sys
sys.argv = ["chronopose", "--help"]
from chronopose.cli.main import main
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
"""
    assert loaded(code, tmp_path) == set()


def test_installed_command_prints_help(tmp_path: Path) -> None:
    command = Path(sys.executable).parent / ("chronopose.exe" if os.name == "nt" else "chronopose")
    done = subprocess.run(
        [command, "--help"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "predict" in done.stdout
