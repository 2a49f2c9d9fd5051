"""The examples run."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
LSPET = ROOT.parent / "shared" / "data" / "lspet"


def load(name: str) -> Any:
    path = ROOT / "examples" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    return example


def test_flow_of_synthetic_people_warps_the_next_frame_onto_this_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    load("synthetic_flow").main(str(tmp_path / "flow.png"))
    share, still, warped = (
        float(n) for n in re.findall(r"[\d.]+(?=%|,|\n)", capsys.readouterr().out)
    )
    assert share > 90
    assert warped < 0.25 * still
    assert (tmp_path / "flow.png").stat().st_size > 50_000


@pytest.mark.data
@pytest.mark.skipif(not LSPET.is_dir(), reason="needs shared/data/lspet beside the checkout")
def test_one_frame_or_five_prints_a_row_for_every_trouble(
    capsys: pytest.CaptureFixture[str],
) -> None:
    example = load("one_frame_or_five")
    example.main(str(LSPET), batches=1)
    rows = capsys.readouterr().out.splitlines()
    assert [r.rsplit(None, 2)[0].strip() for r in rows[1:]] == list(example.TROUBLE)
    assert all(30 < float(v) < 90 for r in rows[1:] for v in r.split()[-2:])


def test_examples_are_short() -> None:
    for path in (ROOT / "examples").glob("*.py"):
        assert len(path.read_text().splitlines()) <= 60, path.name
