"""What is odd about a configuration, held against what vm-bhyve's own reader was seen to pass over."""

from __future__ import annotations

import json

import pytest

from pyvmiscsi.bhyve.configuration.conf_text import ConfText
from pyvmiscsi.bhyve.configuration.oddities import oddities
from tests.bhyve.golden_runs import GOLDEN
from tests.bhyve.guests import CONF

BAD_KEYS = GOLDEN / "vm-bhyve" / "bad_keys"


def told(text: str) -> list[str]:
    return [str(odd) for odd in oddities(ConfText(text))]


def test_tells_what_vm_bhyve_passed_over() -> None:
    text = BAD_KEYS.with_suffix(".conf").read_text()
    seen = json.loads(BAD_KEYS.with_suffix(".json").read_text())
    lines = text.splitlines()
    unread = [line.partition("   <- ")[0] for line in seen["lines_not_read_as_written"]]
    assert told(text) == [
        f"line {lines.index(unread[0]) + 1}: is not read",
        f"line {lines.index(unread[1]) + 1}: is not read",
        f"line {lines.index(unread[2]) + 1}: is read up to its '#', quotes or not",
        "disk0_sectorsize: is read by nobody",
        "foo: is not read: a blank stands before its '='",
        "cpu: stands there 2 times, and the first one counts",
    ]
    assert {key.strip() for key in seen["unknown_keys"]} == {"disk0_sectorsize", "foo"}
    assert seen["duplicate_keys"] == ["cpu"]


def test_an_ordinary_file_has_none() -> None:
    assert told(CONF) == []
    assert told("# loader=uefi\n\n  # indented\ncpu=1 # one\nmemory='1G' # it's\n") == []


@pytest.mark.parametrize(
    ("line", "odd"),
    [
        ("just words", "line 1: has no '='"),
        ("cpu =1", "cpu: is not read: a blank stands before its '='"),
        ("disk0slot=1", "disk0slot: is read by nobody"),
    ],
)
def test_tells_of_a_line(line: str, odd: str) -> None:
    assert told(f"{line}\n") == [odd]
