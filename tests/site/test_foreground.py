"""A guest started in the foreground, on hypervisors in memory: whoever is at the terminal leaves it at once."""

from __future__ import annotations

import pytest

from pyvmiscsi.errors import BusyError, HostUnreachableError, NotFoundError
from tests.model.worlds import MemoryWorld
from tests.site.worlds import web1


@pytest.fixture
def world() -> MemoryWorld:
    world = MemoryWorld()
    world.site().datastore().create(web1())
    return world


def test_a_terminal_that_is_left_leaves_the_guest_running(world: MemoryWorld) -> None:
    guest = world.site().datastore().guest("web1")
    assert guest.start_in_foreground("hv2") is None
    assert "web1" in world.hosts["hv2"].running
    assert world.hosts["hv2"].interacted == [("/usr/bin/cu", "-l", "/dev/nmdm-web1.1B")]


def test_what_keeps_a_guest_from_starting_is_raised(world: MemoryWorld) -> None:
    guest = world.site().datastore().guest("web1")
    guest.start("hv1")
    with pytest.raises(BusyError):
        guest.start_in_foreground("hv2")


def test_a_connection_that_breaks_tells_that_the_guest_goes_on(
    world: MemoryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object, **__: object) -> int:
        raise HostUnreachableError("host hv1: the connection broke")

    monkeypatch.setattr(world.hosts["hv1"], "interact", breaks)
    with pytest.raises(HostUnreachableError) as caught:
        world.site().datastore().guest("web1").start_in_foreground("hv1")
    assert caught.value.hint == "the guest goes on: pyvmiscsi vm console web1"
    assert "web1" in world.hosts["hv1"].running


def test_without_a_line_to_look_at_nothing_is_started(world: MemoryWorld) -> None:
    conf = "/vmconfig/web1/web1.conf"
    world.shared.files[conf] += b'com1_device="stdio"\n'
    with pytest.raises(NotFoundError):
        world.site().datastore().guest("web1").start_in_foreground("hv1")
    assert world.hosts["hv1"].running == {}
