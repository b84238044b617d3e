"""A guest started and stopped through the SDK, on hypervisors in memory; tests/e2e does it on the lab."""

from __future__ import annotations

import pytest

from pyvmiscsi.errors import HostUnreachableError, InterruptedOperation
from pyvmiscsi.site import Guest
from pyvmiscsi.site.running import Run
from tests.model.luck import Kind, Luck, Mishap
from tests.model.worlds import MemoryWorld
from tests.site.worlds import web1


@pytest.fixture
def world() -> MemoryWorld:
    return MemoryWorld()


@pytest.fixture
def running(world: MemoryWorld) -> Guest:
    guest = world.site().datastore().create(web1())
    guest.start("hv1")
    return guest


def test_a_stop_that_is_cut_short_is_done_again_for_no_journal_keeps_it(world: MemoryWorld, running: Guest) -> None:
    with pytest.raises(InterruptedOperation) as caught:
        running.stop(run=Run(interrupted=lambda: True))
    assert caught.value.hint == "stop it again"
    assert world.site().operations() == ()
    running.stop()
    assert running.info().state == "Stopped"


@pytest.mark.parametrize("calls", range(4, 14))
def test_nor_does_a_stop_point_to_an_operation_when_its_host_is_lost(world: MemoryWorld, calls: int) -> None:
    world.site().datastore().create(web1()).start("hv1")
    with world.site(Luck([Mishap(calls, Kind.UNREACHABLE)])) as site:
        try:
            site.datastore().guest("web1").stop()
        except HostUnreachableError as error:
            assert "ops resume" not in error.hint
    world.site().datastore().guest("web1").stop()
    assert world.census().host_sessions == 0
