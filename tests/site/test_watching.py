"""A guest's console and logs, on hypervisors in memory."""

from __future__ import annotations

import pytest

from pyvmiscsi.errors import DeadlineError, NotFoundError, UnsupportedError
from pyvmiscsi.site import Guest
from tests.model.worlds import MemoryWorld
from tests.site.worlds import web1

LOG = "/var/log/pyvmiscsi/web1.log"


@pytest.fixture
def world() -> MemoryWorld:
    return MemoryWorld()


@pytest.fixture
def guest(world: MemoryWorld) -> Guest:
    guest = world.site().datastore().create(web1())
    guest.start("hv2")
    return guest


def says(world: MemoryWorld, text: str) -> None:
    """What stands in the guest's `console` file."""
    world.shared.files["/vmconfig/web1/console"] = text.encode()


@pytest.mark.parametrize(
    ("port", "line"), [(None, "/dev/nmdm-web1.2B"), ("com1", "/dev/nmdm-web1.1B"), ("com2", "/dev/nmdm-web1.2B")]
)
def test_the_usual_port_is_the_first_that_the_guest_was_started_with(
    world: MemoryWorld, guest: Guest, port: str | None, line: str
) -> None:
    says(world, "com2=/dev/nmdm-web1.2B\ncom1=/dev/nmdm-web1.1B\nvnc=0.0.0.0:5900\n")
    assert guest.console(port) == 0
    assert world.hosts["hv2"].interacted == [("/usr/bin/cu", "-l", line)]


def test_without_that_file_it_is_the_line_that_its_configuration_means(world: MemoryWorld, guest: Guest) -> None:
    guest.console()
    assert world.hosts["hv2"].interacted == [("/usr/bin/cu", "-l", "/dev/nmdm-web1.1B")]


def test_a_port_that_it_has_not_is_told_with_those_it_has(world: MemoryWorld, guest: Guest) -> None:
    says(world, "com1=/dev/nmdm-web1.1B\n")
    with pytest.raises(NotFoundError, match="has no serial port com3") as caught:
        guest.console("com3")
    assert caught.value.hint == "it has com1"


@pytest.mark.parametrize(("text", "hint"), [("com1=tmux/web.1\n", "tmux attach -t web~1"), ("com1=stdio\n", "there")])
def test_one_that_is_no_null_modem_is_told_with_where_it_is(
    world: MemoryWorld, guest: Guest, text: str, hint: str
) -> None:
    says(world, text)
    with pytest.raises(UnsupportedError) as caught:
        guest.console()
    assert hint in caught.value.hint


def test_a_stopped_guest_has_no_console_and_is_waited_for_if_asked(world: MemoryWorld, guest: Guest) -> None:
    guest.stop()
    with pytest.raises(NotFoundError, match="not running"):
        guest.console()
    with pytest.raises(DeadlineError, match="web1 running"):
        guest.console(wait=0)
    guest.start("hv1")
    assert guest.console(wait=0) == 0
    assert len(world.hosts["hv1"].interacted) == 1


def test_the_log_is_that_of_the_host_where_it_runs(world: MemoryWorld, guest: Guest) -> None:
    world.hosts["hv1"].files[LOG] = b"long ago, and much more of it\n"
    world.hosts["hv2"].files[LOG] = b"one\ntwo\nthree\n"
    found = guest.log(2)
    assert (found.host, found.path, found.lines) == ("hv2", LOG, ("two", "three"))
    assert guest.log(host="hv1").lines == ("long ago, and much more of it",)


def test_once_it_has_ended_it_is_whatever_was_written_last(world: MemoryWorld, guest: Guest) -> None:
    guest.stop()
    world.hosts["hv1"].files[LOG] = b"longer\n"
    world.hosts["hv2"].files[LOG] = b"long\n"
    assert guest.log().host == "hv1"
    world.shared.files["/vmconfig/web1/vm-bhyve.log"] = b"the longest\n"
    assert guest.log().path == "/vmconfig/web1/vm-bhyve.log"


def test_what_the_guest_printed_is_another_log(world: MemoryWorld, guest: Guest) -> None:
    world.hosts["hv2"].files |= {LOG: b"started\n", "/var/log/pyvmiscsi/web1.console.log": b"login:\n"}
    assert guest.log(printed=True).lines == ("login:",)


def test_a_log_that_is_nowhere_is_told(guest: Guest) -> None:
    with pytest.raises(NotFoundError, match="has no log of this kind on any host"):
        guest.log()


def test_following_it_joins_tail_to_the_terminal(world: MemoryWorld, guest: Guest) -> None:
    world.hosts["hv2"].files[LOG] = b"started\n"
    assert guest.follow_log(7) == 0
    assert world.hosts["hv2"].interacted == [("/usr/bin/tail", "-n", "7", "-F", LOG)]
