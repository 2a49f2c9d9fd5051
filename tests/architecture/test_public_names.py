"""Every public name says what it is, and the front page keeps its word."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import chronopose

SRC = Path(__file__).resolve().parents[2] / "src" / "chronopose"
FILES = sorted(SRC.rglob("*.py"))
EXEMPT = {"overload", "override", "setter"}


def undocumented(tree: ast.Module) -> Iterator[str]:
    """Public modules, classes, functions and methods without a docstring."""
    if ast.get_docstring(tree) is None:
        yield "the module"
    for node in tree.body:
        yield from _undocumented(node, "")


def _undocumented(node: ast.stmt, owner: str) -> Iterator[str]:
    if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return
    decorators = {ast.unparse(d).rsplit(".", 1)[-1] for d in node.decorator_list}
    if node.name.startswith("_") or decorators & EXEMPT:
        return
    if ast.get_docstring(node) is None:
        yield owner + node.name
    if isinstance(node, ast.ClassDef):
        for member in node.body:
            yield from _undocumented(member, f"{owner}{node.name}.")


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(SRC)))
def test_public_names_have_docstrings(file: Path) -> None:
    assert list(undocumented(ast.parse(file.read_text(encoding="utf-8")))) == []


def test_a_bare_public_method_is_noticed() -> None:
    source = '"""M."""\nclass A:\n    """A."""\n    def f(self): ...\n    def _g(self): ...\n'
    assert list(undocumented(ast.parse(source))) == ["A.f"]


@pytest.mark.parametrize("name", sorted(chronopose._HOME))
def test_public_name_can_be_had_and_says_what_it_is(name: str) -> None:
    value = getattr(chronopose, name)
    assert value.__name__ == name
    assert value.__module__.startswith("chronopose.")
    assert value.__doc__


def test_type_checkers_see_the_same_names_as_the_interpreter() -> None:
    tree = ast.parse((SRC / "__init__.py").read_text(encoding="utf-8"))
    guarded = next(n for n in tree.body if isinstance(n, ast.If))
    seen = {
        alias.asname: f"{node.module}"
        for node in guarded.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == {name: f"chronopose.{home}" for name, home in chronopose._HOME.items()}


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        chronopose.no_such_name  # noqa: B018


def test_dir_lists_the_public_names() -> None:
    assert set(chronopose.__all__) <= set(dir(chronopose))
