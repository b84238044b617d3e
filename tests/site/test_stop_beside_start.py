"""A stop and a start of one guest at the same moment, from two control hosts, on hypervisors in memory.

Whichever comes first at any call of the other: a guest that runs has its lock and its sessions, and one that does not
has neither.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import pytest

from pyvmiscsi.errors import PyvmiscsiError
from pyvmiscsi.site import Guest
from pyvmiscsi.waiting import SystemClock
from tests.fakes.clock import FakeClock
from tests.model.luck import Kind, Luck
from tests.model.worlds import MemoryWorld
from tests.site.worlds import web1

Act = Callable[[Guest], object]


@pytest.fixture(autouse=True)
def _time_flies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else does anything while one of the two waits."""
    clock = FakeClock()
    monkeypatch.setattr(SystemClock, "now", lambda _self: clock.now())
    monkeypatch.setattr(SystemClock, "sleep", lambda _self, seconds: clock.sleep(seconds))


@dataclass
class Meanwhile(Luck):
    """Just before one of the calls somebody else does something, from its beginning to its end."""

    number: int = 0
    act: Callable[[], object] = list

    def at_call(self) -> Kind | None:
        kind = super().at_call()
        if self.calls == self.number:
            with suppress(PyvmiscsiError):
                self.act()
        return kind


def start_on(host: str) -> Act:
    return lambda guest: guest.start(host)


def stop(guest: Guest) -> None:
    guest.stop(deadline=5.0, force=True)


def stop_on_hv1(guest: Guest) -> None:
    guest.stop_on("hv1", deadline=5.0, force=True)


def a_world(*, runs_on: str | None = None) -> MemoryWorld:
    world = MemoryWorld()
    guest = world.site().datastore().create(web1("1G", "2G"))
    if runs_on:
        guest.start(runs_on)
    return world


def is_sound(world: MemoryWorld) -> bool:
    """Nothing runs without its lock and all of its sessions, and nothing has any that does not run."""
    lock = world.shared.files.get("/vmconfig/web1/run.lock")
    operation = world.shared.files.get("/vmconfig/web1/run.lock.op", b"").decode().partition("\n")[0]
    runs = [(host, one) for host, each in world.hosts.items() for one in each.running.values()]
    if not runs:
        return lock is None and world.census().host_sessions == 0
    ((host, running),) = runs
    has_all = set(world.initiators[host].disks) == set(running.targets)
    return (lock, operation) == (f"{host}\n".encode(), running.operation) and has_all and world.census().sessions == 2


def of(world: MemoryWorld, luck: Luck | None = None) -> Guest:
    return world.site(luck).datastore().guest("web1")


def calls_of(act: Act, *, runs_on: str | None) -> int:
    luck = Luck()
    act(of(a_world(runs_on=runs_on), luck))
    return luck.calls


BESIDE = [
    (stop, start_on("hv1"), None),
    (stop, start_on("hv2"), None),
    (stop, start_on("hv1"), "hv1"),
    (stop, start_on("hv2"), "hv1"),
    (stop_on_hv1, start_on("hv2"), None),
    (stop_on_hv1, start_on("hv1"), None),
    (start_on("hv1"), stop, None),
    (start_on("hv1"), stop_on_hv1, None),
    (start_on("hv2"), stop_on_hv1, None),
    (stop, stop, "hv1"),
]


@pytest.mark.parametrize(("act", "other", "runs_on"), BESIDE)
def test_neither_leaves_a_guest_that_runs_without_its_disks_nor_disks_without_a_guest(
    act: Act, other: Act, runs_on: str | None
) -> None:
    calls = calls_of(act, runs_on=runs_on)
    assert calls > 3
    unsound = []
    for number in range(1, calls + 1):
        world = a_world(runs_on=runs_on)
        with suppress(PyvmiscsiError):
            act(of(world, Meanwhile(number=number, act=partial(other, of(world)))))
        if not is_sound(world):
            unsound.append(number)
    assert unsound == []
