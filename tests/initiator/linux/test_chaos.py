"""Attach while everything around it changes between two commands: what holds whatever happens."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from pyvmiscsi.errors import HostUnreachableError, PyvmiscsiError
from pyvmiscsi.initiator.linux import LinuxInitiator
from tests.fakes.clock import FakeClock
from tests.fakes.host import Call, FakeHost, Reply
from tests.initiator.linux.kernel import FakeKernel, Served
from tests.initiator.web1 import PORTAL, PROOF, TARGET


def lose_all(kernel: FakeKernel) -> None:
    for session in kernel.sessions:
        session.lost = True


def come_back(kernel: FakeKernel) -> None:
    for session in kernel.sessions:
        session.lost = False


def forget_all(kernel: FakeKernel) -> None:
    kernel.sessions.clear()


def refuse(kernel: FakeKernel) -> None:
    kernel.served[TARGET].refusals.append(24)


def swap_disk(kernel: FakeKernel) -> None:
    kernel.served[TARGET].serial = "somebody-else"


def wait(kernel: FakeKernel) -> None:
    kernel.clock.push(5)


def stop_iscsid(kernel: FakeKernel) -> None:
    kernel.iscsid_runs = False


def cut_the_line(_kernel: FakeKernel) -> None:
    raise HostUnreachableError("hv1: no SSH connection")


EVENTS: list[Callable[[FakeKernel], None]] = [
    lose_all, come_back, forget_all, refuse, swap_disk, wait, stop_iscsid, cut_the_line,
]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(st.none(), st.none(), st.sampled_from(EVENTS)), max_size=12))
def test_attach_ends_in_time_and_either_proves_the_disk_or_leaves_nothing(
    events: list[Callable[[FakeKernel], None] | None],
) -> None:
    clock = FakeClock()
    kernel = FakeKernel(clock)
    kernel.served[TARGET] = Served()
    coming = iter(events)
    cut = False

    def answer(call: Call) -> Reply:
        nonlocal cut
        event = next(coming, None)
        if event is cut_the_line:
            cut = True
        if event is not None:
            event(kernel)
        return kernel.answer(call)

    begun = clock.now()
    try:
        disk = LinuxInitiator(FakeHost(answer=answer), clock).attach(PROOF, None, deadline=60)
    except PyvmiscsiError:
        assert cut or (kernel.sessions == [] and kernel.records == {})
    else:
        assert disk.serial == PROOF.serial
        assert kernel.served[TARGET].serial == PROOF.serial.text
        assert [(session.target, session.portal) for session in kernel.sessions] == [(TARGET, PORTAL)]
    assert clock.now() - begun < 60 + 5 * len(events) + 10
