"""The import graph has no circle and no upward arrow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LINT = (
    "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
)


def test_layers_hold(repo_root: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LINT], cwd=repo_root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
