"""Files and functions stay short enough to be read in one go."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).resolve().parents[2] / "src" / "chronopose"
FILES = sorted(SRC.rglob("*.py"))
CONTRACT_LINES, MODEL_LINES, FILE_LINES, FUNCTION_LINES = 120, 400, 500, 60


def limit(file: Path) -> int:
    if file == SRC / "models" / "_base.py":
        return CONTRACT_LINES
    return MODEL_LINES if file.parent == SRC / "models" else FILE_LINES


def long_functions(source: str) -> Iterator[tuple[str, int]]:
    """Functions whose body without its docstring is too long."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        body = node.body[1:] if ast.get_docstring(node) is not None else node.body
        if not body:
            continue
        lines = (body[-1].end_lineno or 0) - body[0].lineno + 1
        if lines > FUNCTION_LINES:
            yield node.name, lines


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(SRC)))
def test_file_is_short(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) <= limit(file)


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(SRC)))
def test_functions_are_short(file: Path) -> None:
    assert list(long_functions(file.read_text(encoding="utf-8"))) == []


def test_docstring_does_not_count_but_the_61st_line_does() -> None:
    head = 'def f():\n    """One\n    two.\n    """\n'
    assert list(long_functions(head + "    x = 1\n" * 60)) == []
    assert list(long_functions(head + "    x = 1\n" * 61)) == [("f", 61)]
