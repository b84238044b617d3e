"""A running guest as a step: only on disks with a lasting name, taken back only by the start that made it run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyvmiscsi.bhyve import hypervisor_text
from pyvmiscsi.bhyve.configuration.config_text import parse_guest
from pyvmiscsi.bhyve.hypervisor import START
from pyvmiscsi.bhyve.machine import capabilities
from pyvmiscsi.errors import ProofError
from pyvmiscsi.model import AttachedDisk, DiskProof
from pyvmiscsi.names import GuestName, Iqn, Lun, LunAddress, Portal, Serial
from pyvmiscsi.steps.running import GuestRunning
from pyvmiscsi.units import GIB
from tests.fakes.host import Call, FakeHost, Reply
from tests.model.hypervisor import CAPABILITIES
from tests.operations.scenes import RememberingInitiator

RUNS = "vmm web1\nprocess web1 4201\n"
ANOTHER_START = (
    f"{RUNS}status web1 state=running\nstatus web1 operation=ffff\nstatus web1 supervisor=42\nsupervised web1\n"
)
STILL_LOADING = ANOTHER_START.replace("process web1 4201\n", "")
REFUSED = f"{RUNS}refused web1 operation=0a1b\nrefused web1 reason=a bhyve of this name is running already\n"


def step_on(answer: str) -> tuple[GuestRunning, FakeHost]:
    def reply(call: Call) -> Reply:
        answers = {hypervisor_text.QUESTION: answer.encode(), capabilities.QUESTION: CAPABILITIES}
        return Reply(answers.get(call.script, b""))

    host = FakeHost(answer=reply)
    config = parse_guest(GuestName.parse("web1"), 'loader="uefi"\ncpu="1"\nmemory="512M"\n')
    return GuestRunning(
        host, RememberingInitiator(), config, "/vmconfig/web1", {}, "/vmconfig/.config/system.conf", "0a1b"
    ), host


@pytest.mark.parametrize("shown", [RUNS, ANOTHER_START, STILL_LOADING, REFUSED])
def test_what_another_start_or_vm_bhyve_made_run_is_left_alone(shown: str) -> None:
    step, host = step_on(shown)
    step.undo()
    assert [call.script for call in host.calls] == [hypervisor_text.QUESTION]


def test_what_is_left_of_a_start_that_nothing_came_of_is_swept() -> None:
    step, host = step_on("")
    step.undo()
    titles = [call.script.partition("\n")[0] for call in host.calls]
    assert titles[-2:] == ["# sweep what is left of a guest", "# destroy the taps of a guest"]


class NamelessInitiator(RememberingInitiator):
    """Shows every disk by its number, as a host without labels does."""

    def find(self, proof: DiskProof) -> AttachedDisk | None:
        found = super().find(proof)
        return found and replace(found, device="/dev/da0")


def test_no_guest_is_run_on_a_disk_whose_number_may_be_another_disks_tomorrow() -> None:
    step, host = step_on("")
    address = LunAddress(Portal("10.0.0.10"), Iqn.parse("iqn.2005-10.org.freenas.ctl:web1-disk0"), Lun(1))
    proof = DiskProof(address, Serial.parse("5f0c2d9a1b3e-00"), GIB)
    initiator = NamelessInitiator()
    initiator.attach(proof, None)
    with pytest.raises(ProofError, match="disk0: /dev/da0 has no name of its own") as refused:
        replace(step, initiator=initiator, disks={0: proof}).make()
    assert "sysctl kern.geom.label.disk_ident.enable=1" in refused.value.hint
    assert not any(call.script == START for call in host.calls)
