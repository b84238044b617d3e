"""What bhyve makes of words that nobody should write: bhyve(8) of FreeBSD 14 (`__FreeBSD_version` 1400063).

Records of golden/oddities.jsonl: `tree` holds what differs from the same command without the words in question,
`printed` what went to standard output.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pyvmiscsi.lab.bhyve.facts import Vm
from pyvmiscsi.lab.bhyve.verdict import Accepted, Refused, judge
from tests.lab.bhyve.facts import PaperHost

PLAIN = ("bhyve", "-c", "1", "-m", "512M", "-A", "-H", "-P", "-s", "0,hostbridge", "-s", "31,lpc")
RECORDS: list[dict[str, Any]] = [
    json.loads(line) for line in (Path(__file__).parent / "golden" / "oddities.jsonl").read_text().splitlines()
]


def _host(said: dict[str, str]) -> PaperHost:
    return PaperHost(
        sector=int(said.get("sectorsize", 512)),
        missing=frozenset({said["missing"]} if "missing" in said else ()),
        state=Vm.ABSENT if "vm" in said else Vm.IDLE,
    )


@pytest.mark.parametrize("record", RECORDS, ids=[" ".join(record["argv"][12:-1]) for record in RECORDS])
def test_odd_words_are_taken_and_refused_as_bhyve_does(record: dict[str, Any]) -> None:
    verdict = judge(record["argv"], _host(record.get("host", {})))
    if record["accepted"]:
        assert isinstance(verdict, Accepted), verdict
        usual = judge((*PLAIN, "vm"), PaperHost())
        assert isinstance(usual, Accepted)
        assert {key: value for key, value in verdict.tree.items() if usual.tree.get(key) != value} == record["tree"]
        assert list(verdict.never_read) == record.get("never_read", [])
        assert list(verdict.warnings) == record.get("warnings", [])
    else:
        assert isinstance(verdict, Refused), verdict
        assert (verdict.status, list(verdict.message)) == (record["status"], record["message"])
        assert verdict.stdout.splitlines() == record.get("printed", [])


def test_all_of_them_are_there() -> None:
    assert len(RECORDS) == 100
    assert tuple(RECORDS[0]["argv"][: len(PLAIN)]) == PLAIN
