"""What a command imports that really talks to a nas and hypervisors. Time itself is measured in bench/."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass

from pyvmiscsi.lab import Lab
from pyvmiscsi.names import GuestName
from pyvmiscsi.operations.create import CreateRequest, DiskRequest
from pyvmiscsi.site import Site
from pyvmiscsi.units import MIB, Size

PROBE = """
import json, sys
from pyvmiscsi_cli.__main__ import main
status = main()
json.dump(sorted(sys.modules), sys.stderr)
sys.exit(status)
"""
FOREIGN = {
    "aiohttp", "asyncio", "backports", "cffi", "invoke", "pycdlib", "requests", "rich", "tomlkit", "tooz", "unittest",
    "urllib3", "yaml",
}  # fmt: skip
OURS = ("pyvmiscsi.images", "pyvmiscsi.initiator.libiscsi", "pyvmiscsi.initiator.linux", "pyvmiscsi.lab")


@dataclass(frozen=True)
class Wanted:
    """What a command needs of our own modules: `families` of a guest's verbs, `operations`, and how many in all."""

    families: set[str]
    operations: set[str]
    most: int


USUAL = {"anchors", "guests", "pending", "scene"}
"""Operations' modules that every verb on a guest needs."""
COMMANDS = {
    ("vm", "list"): Wanted(set(), {"image_marks", "lineage"}, 145),
    ("vm", "info", "startup"): Wanted({"looking"}, {"image_marks", "lineage"}, 145),
    ("vm", "start", "startup", "--dry-run"): Wanted({"judging", "life"}, {"pairing", "start", "stop", "switches"}, 165),
}


def test_a_command_imports_its_own_verbs_and_no_others(lab: Lab) -> None:
    with Site.load(lab.site_file) as site:
        disk = DiskRequest(Size(MIB.bytes))
        guest = site.datastore().create(CreateRequest(GuestName.parse("startup"), (disk,)))
        try:
            for words, wanted in COMMANDS.items():
                assert_lean(imported_by(lab, *words), wanted)
        finally:
            guest.destroy()


def imported_by(lab: Lab, *words: str) -> set[str]:
    argv = [sys.executable, "-c", PROBE, "--site", str(lab.site_file), "--quiet", *words]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return set(json.loads(done.stderr))


def assert_lean(loaded: set[str], wanted: Wanted) -> None:
    ours = {name for name in loaded if name.startswith("pyvmiscsi")}
    assert {name.partition(".")[0] for name in loaded} & FOREIGN == set()
    assert [name for name in ours if name.startswith(OURS)] == []
    assert _below("pyvmiscsi.site.guest.", ours) == {"access", *wanted.families}
    assert _below("pyvmiscsi.operations.", ours) == USUAL | wanted.operations
    assert len(ours) <= wanted.most


def _below(package: str, modules: set[str]) -> set[str]:
    return {name.removeprefix(package) for name in modules if name.startswith(package)}
