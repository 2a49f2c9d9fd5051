"""The documentation's examples run, its pages are reachable and its links lead somewhere."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
FRONT = sorted(ROOT.glob("*.md"))
FENCE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
NOTHING_PINNED = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def sessions(page: Path) -> str:
    """The interactive examples of a page, joined: later ones see the names of earlier ones."""
    blocks = FENCE.findall(page.read_text(encoding="utf-8"))
    return "\n".join(b for b in blocks if b.startswith(">>> "))


WITH_EXAMPLES = [p for p in PAGES if sessions(p)]


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=name)
def test_examples_print_what_the_page_says(page: Path) -> None:
    test = doctest.DocTestParser().get_doctest(sessions(page), {}, name(page), str(page), 0)
    report: list[str] = []
    result = doctest.DocTestRunner(optionflags=NOTHING_PINNED).run(test, out=report.append)
    assert result.failed == 0, "".join(report)


def test_every_concept_is_shown_by_a_running_example() -> None:
    shown = {p.stem for p in WITH_EXAMPLES if p.parent.name == "concepts"}
    assert shown == {p.stem for p in PAGES if p.parent.name == "concepts"}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_page_is_in_the_table_of_contents(page: Path) -> None:
    contents = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert f" {page.relative_to(ROOT / 'docs').as_posix()}\n" in contents


@pytest.mark.parametrize("page", [*PAGES, *FRONT], ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    links = LINK.findall(page.read_text(encoding="utf-8"))
    files = [link.partition("#")[0] for link in links if "://" not in link]
    assert [f for f in files if f and not (page.parent / f).exists()] == []


def test_readme_names_the_two_commands() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert {"make demo", "make test"} <= set(re.findall(r"^make \w+$", readme, re.MULTILINE))


def test_continuous_integration_runs_the_test_command_of_the_readme() -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert lines[-1] == "make test"
