"""The examples run."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LSPET = ROOT.parent / "shared" / "data" / "lspet"


@pytest.mark.data
@pytest.mark.skipif(not LSPET.is_dir(), reason="needs shared/data/lspet beside the checkout")
def test_one_frame_or_five_prints_a_row_for_every_trouble(
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = ROOT / "examples" / "one_frame_or_five.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    example.main(str(LSPET), batches=1)
    rows = capsys.readouterr().out.splitlines()
    assert [r.rsplit(None, 2)[0].strip() for r in rows[1:]] == list(example.TROUBLE)
    assert all(30 < float(v) < 90 for r in rows[1:] for v in r.split()[-2:])


def test_examples_are_short() -> None:
    for path in (ROOT / "examples").glob("*.py"):
        assert len(path.read_text().splitlines()) <= 60, path.name
