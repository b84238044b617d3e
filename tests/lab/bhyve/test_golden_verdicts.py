"""The judge against what bhyve itself said: every record of golden/verdicts.jsonl, word for word.

The records come from bhyve's own option handling, compiled from FreeBSD 14 source (`__FreeBSD_version` 1400063).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pyvmiscsi.lab.bhyve.facts import Vm
from pyvmiscsi.lab.bhyve.verdict import Accepted, Refused, judge
from tests.lab.bhyve.facts import PaperHost

_RECORDS: list[dict[str, Any]] = [
    json.loads(line) for line in (Path(__file__).parent / "golden" / "verdicts.jsonl").read_text().splitlines()
]
_REMARK = " (accepted by bhyve, but no code ever reads it)"


def _host(said: dict[str, str]) -> PaperHost:
    return PaperHost(
        sector=int(said.get("sectorsize", 512)),
        missing=frozenset({said["missing"]} if "missing" in said else ()),
        state=Vm.ABSENT if "vm" in said else Vm.IDLE,
    )


@pytest.mark.parametrize("record", _RECORDS, ids=[" ".join(record["argv"][1:])[-70:] for record in _RECORDS])
def test_gives_the_verdict_that_bhyve_gave(record: dict[str, Any]) -> None:
    verdict = judge(record["argv"], _host(record.get("host", {})))
    if record["accepted"]:
        assert isinstance(verdict, Accepted), verdict
        assert list(verdict.tree.items()) == list(record["tree"].items())
        assert [f"{key}{_REMARK}" for key in verdict.never_read] == record.get("never_read", [])
    else:
        assert isinstance(verdict, Refused), verdict
        assert list(verdict.message) == record["message"]
        assert verdict.status != 0


def test_the_golden_records_are_all_there() -> None:
    assert len(_RECORDS) == 44
