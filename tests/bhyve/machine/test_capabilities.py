"""What a host says it can do."""

from __future__ import annotations

import pytest

from pyvmiscsi.bhyve.machine.capabilities import Capabilities, parse_capabilities
from pyvmiscsi.errors import HostError
from pyvmiscsi.units import Size

ANSWER = """\
release=1403000
machine=amd64
cpus=8
memory=68585259008
max_vcpus=8
module=vmm
module=nmdm
firmware=/usr/local/share/uefi-firmware/BHYVE_UEFI.fd
"""


@pytest.mark.parametrize(("said", "limits"), [("1", True), ("0", False), ("", False)])
def test_without_racct_nothing_limits_a_process(said: str, limits: bool) -> None:
    assert parse_capabilities(f"{ANSWER}racct={said}\n").limits_processes is limits


def test_reads_the_answer() -> None:
    assert parse_capabilities(ANSWER) == Capabilities(
        release=1403000,
        machine="amd64",
        cpus=8,
        memory=Size(68585259008),
        max_vcpus=8,
        modules=frozenset({"vmm", "nmdm"}),
        firmware=frozenset({"/usr/local/share/uefi-firmware/BHYVE_UEFI.fd"}),
    )


def test_before_14_the_limit_is_16() -> None:
    found = parse_capabilities(ANSWER.replace("max_vcpus=8", "max_vcpus=").replace("1403000", "1302001"))
    assert found.max_vcpus == 16
    assert not found.reads_config_files


@pytest.mark.parametrize("key", ["release", "cpus", "memory"])
def test_an_answer_that_lacks_something_names_it(key: str) -> None:
    lines = [line for line in ANSWER.splitlines() if not line.startswith(f"{key}=")]
    with pytest.raises(HostError, match=key):
        parse_capabilities("\n".join(lines))


ASKED = "option=k\noption=o\nemulation=virtio-blk\nemulation=virtio-9p\nlpc=bootrom\nlpc=tpm\n"


def test_what_bhyve_says_of_itself_counts_before_its_release() -> None:
    old = parse_capabilities((ANSWER + ASKED).replace("1403000", "1302001"))
    assert old.reads_config_files
    assert old.has_tpm
    assert old.lacks_emulation("virtio-scsi")
    assert not old.lacks_emulation("virtio-9p")


def test_a_bhyve_that_was_not_asked_lacks_nothing_but_what_its_release_came_before() -> None:
    found = parse_capabilities(ANSWER)
    assert found.has_tpm
    assert not found.lacks_emulation("virtio-scsi")
    assert not parse_capabilities(ANSWER.replace("1403000", "1302001")).has_tpm
