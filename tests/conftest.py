"""What every test can rely on: few threads, fixed seeds, and the optional real data."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import numpy as np
import pytest

REPO_ROOT = Path(__file__).resolve().parents[1]
MAX_THREADS = 2

# Read by torch and numpy when they start, and inherited by the commands that tests run.
_limit = MAX_THREADS
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    _asked = os.environ.get(_name, "")
    _limit = min(_limit, int(_asked) if _asked.isdigit() else _limit)
    os.environ[_name] = str(_limit)


@pytest.fixture(scope="session")
def repo_root() -> Path:
    """The folder of the checkout."""
    return REPO_ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real clips and labelled images, if this machine has them; skips the test otherwise."""
    folder = REPO_ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs real data: the folder shared/data is not beside the checkout")
    return folder


@pytest.fixture(autouse=True)
def seed() -> int:
    """Start every test from the same random state; the value is there for generators."""
    value = 0
    random.seed(value)
    np.random.seed(value)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(value)
    return value
