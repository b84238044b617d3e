"""A guest's buttons, on hypervisors in memory; tests/e2e presses them on the lab."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from pyvmiscsi.errors import (
    DeadlineError,
    GuestError,
    HostUnreachableError,
    InterruptedOperation,
    NasUnreachableError,
    NotFoundError,
    SessionLostError,
)
from pyvmiscsi.model import NasRecord, SessionState
from pyvmiscsi.ports import Nas
from pyvmiscsi.site import Guest, Site
from pyvmiscsi.site.guest.power import Power
from pyvmiscsi.site.running import Run
from tests.model.initiator import MemoryInitiator
from tests.model.luck import Kind, Luck, Mishap
from tests.model.worlds import MemoryWorld
from tests.plan.worlds import Killed
from tests.site.worlds import web1


@pytest.fixture
def world() -> MemoryWorld:
    return MemoryWorld()


@pytest.fixture
def guest(world: MemoryWorld) -> Guest:
    """It runs on hv2."""
    guest = world.site().datastore().create(web1("1G", "2G"))
    guest.start("hv2")
    return guest


def without_nas(world: MemoryWorld) -> Guest:
    """The guest as seen by somebody to whom the nas does not answer."""
    site = world.site()

    def nas(record: NasRecord, _warn: Callable[[str], None]) -> Nas:
        raise NasUnreachableError(f"nas {record.name}: no answer")

    site._connections.connect_nas = nas
    return site.datastore().guest("web1")


def process(world: MemoryWorld) -> int:
    return world.hosts["hv2"].processes.get("web1", 4201)


@pytest.mark.parametrize("press", [Guest.restart, Guest.reset])
def test_it_runs_anew_with_the_same_sessions_and_lock_and_no_nas_is_asked(
    world: MemoryWorld, guest: Guest, press: Callable[[Guest], str]
) -> None:
    before = world.census(), guest.info().disks
    assert press(without_nas(world)) == "hv2"
    assert process(world) == 4202
    assert (world.census(), guest.info().disks) == before
    assert (guest.info().state, guest.info().host) == ("Running", "hv2")


@pytest.mark.parametrize("press", [Guest.restart, Guest.reset, Guest.preview_restart, Guest.preview_reset])
def test_one_that_does_not_run_has_no_buttons(
    world: MemoryWorld, guest: Guest, press: Callable[[Guest], object]
) -> None:
    guest.stop()
    with pytest.raises(NotFoundError, match="not running"):
        press(guest)
    assert world.census().sessions == 0


@pytest.mark.parametrize("press", [Guest.restart, Guest.reset])
def test_one_that_is_between_two_runs_runs(world: MemoryWorld, guest: Guest, press: Callable[[Guest], str]) -> None:
    world.hosts["hv2"].rebooting.add("web1")
    assert (guest.info().state, guest.info().host) == ("Running", "hv2")
    assert press(guest) == "hv2"
    assert process(world) == 4201


def test_a_restart_is_that_of_the_run_which_was_seen(world: MemoryWorld, guest: Guest) -> None:
    """Two people want it at the same moment: it goes down once."""
    power = Power(guest.name, guest.datastore, guest._connections)
    plans = [power._restart_plan("hv2", 120.0) for _ in range(2)]
    for plan in plans:
        power._carry_out(plan, None)
    assert process(world) == 4202


def test_previews_press_nothing(world: MemoryWorld, guest: Guest) -> None:
    assert guest.preview_restart().steps == (("guest web1 restarted", False),)
    assert guest.preview_reset().steps == (("guest web1 reset", False),)
    assert guest.preview_poweroff().steps[0] == ("guest web1 stopped", False)
    assert (process(world), guest.info().state) == (4201, "Running")


def test_one_that_does_not_hear_its_button_goes_on_and_it_is_said_what_becomes_of_the_wish(
    world: MemoryWorld, guest: Guest
) -> None:
    world.hosts["hv2"].deaf.add("web1")
    with pytest.raises(DeadlineError, match="web1 running again") as caught:
        guest.restart(deadline=0)
    assert "comes back when it powers off" in caught.value.hint
    assert "vm reset web1" in caught.value.hint
    assert guest.info().state == "Running"
    assert guest.reset() == "hv2"


@pytest.mark.parametrize(("press", "hint"), [(Guest.restart, "it comes back when"), (Guest.stop, "it may come yet")])
def test_nobody_needs_to_wait_for_it_to_the_end(
    world: MemoryWorld, guest: Guest, press: Callable[..., object], hint: str
) -> None:
    world.hosts["hv2"].deaf.add("web1")
    asked: list[None] = []

    def interrupted() -> bool:
        """From the third question on: before the step, and once in its middle, nobody has asked to stop."""
        asked.append(None)
        return len(asked) > 2

    with pytest.raises(InterruptedOperation, match="nobody waits") as caught:
        press(guest, deadline=3600.0, run=Run(interrupted=interrupted))
    assert hint in caught.value.hint
    assert guest.info().state == "Running"


@pytest.mark.parametrize("press", [Guest.restart, Guest.reset])
def test_one_that_does_not_come_back_is_told_with_the_reason(
    world: MemoryWorld, guest: Guest, press: Callable[[Guest], str]
) -> None:
    world.hosts["hv2"].comes_back = False
    with pytest.raises(GuestError, match="it did not come back"):
        press(guest)
    assert guest.info().state == "Stopped"


class DeadInitiator(MemoryInitiator):
    """Its sessions have lost their portal."""

    def sessions(self) -> tuple[SessionState, ...]:
        return tuple(replace(one, connected=False, reason="Connection refused") for one in super().sessions())


def test_a_reset_with_a_dead_session_is_refused_for_the_sake_of_all_others(world: MemoryWorld, guest: Guest) -> None:
    alive = world.initiators["hv2"]
    world.initiators["hv2"] = world.hosts["hv2"].initiator = DeadInitiator(world.nas, "hv2", alive.disks)
    with pytest.raises(SessionLostError, match="web1-disk0 is not connected") as caught:
        guest.reset()
    assert "vm poweroff web1" in caught.value.hint
    assert process(world) == 4201


def test_power_off_asks_nobody_and_leaves_nothing(world: MemoryWorld, guest: Guest) -> None:
    world.hosts["hv2"].deaf.add("web1")
    without_nas(world).poweroff()
    assert guest.info().state == "Stopped"
    assert (world.census().sessions, world.census().host_sessions) == (0, 0)
    guest.poweroff()


@pytest.mark.parametrize("press", [Guest.stop, Guest.poweroff])
@pytest.mark.parametrize(("broken", "why"), [(True, "memory"), (False, "no /vmconfig/web1/web1.conf on hv2")])
def test_a_configuration_that_is_broken_or_gone_by_now_keeps_no_guest_running(
    world: MemoryWorld, guest: Guest, press: Callable[[Guest], None], broken: bool, why: str
) -> None:
    conf = "/vmconfig/web1/web1.conf"
    text = world.shared.files.pop(conf)
    if broken:
        world.shared.files[conf] = text.replace(b'memory="', b'memory="lots of ')
    said: list[str] = []
    guest._connections.warn = said.append
    press(guest)
    assert world.hosts["hv2"].running == {}
    assert world.census().sessions == 0
    assert [why in line and "is stopped all the same" in line for line in said] == [True]


# crashes: each call of each verb x what can go wrong there; done again, all is as it should be

VERBS: dict[str, Callable[[Guest], object]] = {
    "restart": lambda guest: guest.restart(),
    "reset": lambda guest: guest.reset(),
    "poweroff": lambda guest: guest.poweroff(),
}


def calls_of(verb: Callable[[Site], object]) -> int:
    world = MemoryWorld()
    world.site().datastore().create(web1("1G", "2G")).start("hv2")
    luck = Luck()
    verb(world.site(luck))
    return luck.calls


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("verb", VERBS)
def test_cut_short_anywhere_it_is_asked_for_again(verb: str, kind: Kind) -> None:
    cases = calls_of(lambda site: VERBS[verb](site.datastore().guest("web1")))
    assert cases >= 6
    for number in range(cases):
        world = MemoryWorld()
        world.site().datastore().create(web1("1G", "2G")).start("hv2")
        before = world.census()
        with suppress(Killed, HostUnreachableError, NasUnreachableError):
            VERBS[verb](world.site(Luck([Mishap(number, kind)])).datastore().guest("web1"))
        site = world.site()
        assert site.operations() == (), number
        guest = site.datastore().guest("web1")
        VERBS[verb](guest)
        if verb == "poweroff":
            assert (guest.info().state, world.census().sessions) == ("Stopped", 0), number
        else:
            assert (guest.info().state, guest.info().host, world.census()) == ("Running", "hv2", before), number
