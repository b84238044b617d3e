"""What the pages claim about the repository is so."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import pyvmiscsi

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_of_the_repository_that_is_named_exists(page: Path) -> None:
    top = "|".join(re.escape(path.name) for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith("."))
    named = set(re.findall(rf"`((?:{top})/[\w./-]*)`", page.read_text()))
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_line_is_longer_than_the_code_s(page: Path) -> None:
    lines = page.read_text().splitlines()
    assert [line for line in lines if len(line) > 120 and not line.startswith("|") and "](http" not in line] == []


def test_the_map_has_every_package() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    packages = [path.parent.relative_to(ROOT) for path in (ROOT / "pyvmiscsi").rglob("__init__.py")]
    assert [str(path) for path in packages if f"`{path}/`" not in text] == []


def test_the_map_gives_a_reason_for_every_dependency() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    lists = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    names = {re.split(r"[\[>=<]", entry)[0] for entries in lists for entry in entries} - {"pyvmiscsi"}
    assert [name for name in sorted(names) if not re.search(rf"^\| `{name}` \| .+ \|$", text, re.MULTILINE)] == []


def test_the_version_is_the_same_everywhere() -> None:
    newest = re.search(r"^## \[(\S+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert PROJECT["version"] == pyvmiscsi.__version__ == newest[1]
