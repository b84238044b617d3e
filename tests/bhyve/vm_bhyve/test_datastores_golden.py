"""Whole hosts' files, and what is read from them: `golden/datastores/<host>/`."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyvmiscsi.bhyve.vm_bhyve.datastores_text import VmBhyve, default_datastore, vm_bhyve
from pyvmiscsi.config.rc_conf import read_rc_conf

HOSTS = sorted((Path(__file__).parents[1] / "golden" / "datastores").iterdir())


def told(found: VmBhyve) -> str:
    """A host's vm-bhyve as lines for people to compare."""
    lines = [f"directory {found.directory}", f"knows iscsi: {found.knows_iscsi}"]
    for one in found.datastores:
        lines += [f"{one.name}: {one.kind} {one.path or '?'}", f"    {one.origin}", f"    {one.iscsi or one.spec}"]
    lines += [f"helper {path}" for path in found.helpers]
    lines += [f"mistake {text}" for text in found.mistakes]
    return "".join(f"{line}\n" for line in lines)


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.name)
def test_what_is_read_from_a_host(host: Path) -> None:
    rc = read_rc_conf([("hv:/etc/rc.conf", (host / "rc.conf").read_text())])
    default = default_datastore(rc)
    assert default is not None
    found = vm_bhyve(rc, default, default.path or "/mnt/vms", (host / "system.conf").read_text(), host="hv")
    assert told(found) == (host / "expected.txt").read_text()
