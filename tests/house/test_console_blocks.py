"""Every command that a page of the documentation shows is typed, and works."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pyvmiscsi.lab import Lab
from tests.house.person import ROOT, Person, commands_of


def test_no_page_shows_commands_that_nobody_tries() -> None:
    showing = {path.name for path in (ROOT / "docs").glob("*.md") if commands_of(f"docs/{path.name}")}
    assert showing == {"lab.md", "operations.md", "site-file.md"}


def test_the_page_of_the_lab(tmp_path: Path) -> None:
    up, status, down = commands_of("docs/lab.md")
    person = Person(tmp_path)
    try:
        person.types(up)
        assert "127.0.0.1" in person.types(status)
    finally:
        person.types(down)
    assert not (tmp_path / ".lab").exists()


def test_the_page_of_the_site_file(lab: Lab, tmp_path: Path) -> None:
    (show,) = commands_of("docs/site-file.md")
    said = Person(tmp_path, PYVMISCSI_SITE=str(lab.site_file)).types(show)
    assert "site.toml" in said
    assert Path(lab.info.api_key_file).read_text().strip() not in said


@pytest.mark.parametrize("way", ["resume", "rewind"])
def test_the_page_of_operations(lab: Lab, tmp_path: Path, way: str) -> None:
    dry_run, listing, *ways = commands_of("docs/operations.md")
    person = Person(tmp_path, PYVMISCSI_SITE=str(lab.site_file))
    assert "volume" in person.types(dry_run)

    guest = f"page-{way}"
    fault = lab.control.fault("iscsi.target.create", action="hang")
    try:
        create = f"pyvmiscsi --quiet vm create {guest} --size 64M"
        person.is_killed(create, lambda: lab.control.wait_for_fault(fault, 60.0))
    finally:
        lab.control.clear()

    assert guest in person.types(listing)
    (pending,) = [one for one in json.loads(person.types(f"{listing} --json")) if one["guest"] == guest]
    (command,) = [one for one in ways if f" {way} " in one]
    person.types(command.replace("ID", pending["id"]))

    assert guest not in person.types(listing)
    assert (guest in person.types("pyvmiscsi vm list")) is (way == "resume")
    if way == "resume":
        person.types(f"pyvmiscsi vm destroy {guest} --yes")
