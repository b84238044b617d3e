"""Switches of a datastore with two hosts, in memory: changed on all or none, cut short anywhere, one host away."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pyvmiscsi.bhyve.configuration.config import GuestConfig
from pyvmiscsi.bhyve.networks.switches import Switch
from pyvmiscsi.errors import (
    AlreadyExistsError,
    BusyError,
    CommandError,
    ConfigError,
    ConflictError,
    HostUnreachableError,
    NotFoundError,
)
from pyvmiscsi.model import HostRecord
from pyvmiscsi.model import Site as SiteRecord
from pyvmiscsi.plan.engine import Engine
from pyvmiscsi.plan.step import Plan
from pyvmiscsi.site import Site
from pyvmiscsi.site.connections import Connections
from pyvmiscsi.site.running import new_intent
from pyvmiscsi.site.switches import Switches, with_address, with_port, with_private, with_vlan, without_port
from pyvmiscsi.steps.lock import NoJournal
from pyvmiscsi.steps.switches import GuestPluggedIn
from tests.bhyve.guests import CONF, guest_of
from tests.fakes.networks import NetworkHost
from tests.operations.scenes import datastore_in
from tests.plan.worlds import Killed

PATH = "/vmconfig/.config/system.conf"
HAND = b'# by hand\nconsole="tmux"\n'
LAN = Switch("lan", ports=("vtnet1",), vlan=10, address="10.0.0.1/24", mtu=9000)


@dataclass
class World:
    """Two hosts that share a file."""

    shared: dict[str, bytes] = field(default_factory=lambda: {PATH: HAND})
    hosts: dict[str, NetworkHost] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.hosts = {name: NetworkHost(name, shared=self.shared) for name in ("hv1", "hv2")}

    def switches(self) -> Switches:
        """As a process of its own sees them."""
        datastore = datastore_in(Path("/vmconfig"))
        record = SiteRecord(
            source="site.toml",
            nases={},
            hosts={name: HostRecord(name) for name in self.hosts} | {"copier": HostRecord("copier", initiator="linux")},
            datastores={"iscsi1": datastore},
        )
        return Site(Connections(record, connect_host=lambda one: self.hosts[one.name])).switches()

    def hook(self, hear: Callable[[str], None]) -> None:
        for host in self.hosts.values():
            host.hook = hear

    def text(self) -> str:
        return self.shared[PATH].decode()

    def states(self, name: str = "lan") -> list[str]:
        return [on.state for on in self.switches().info(name).hosts]


@pytest.fixture
def world() -> World:
    return World()


@dataclass
class Killer:
    """Kills the process at its nth call, and hears how many there are."""

    at: int = -1
    heard: int = 0

    def __call__(self, what: str) -> None:
        self.heard += 1
        if self.heard == self.at:
            raise Killed(what)


Verb = Callable[[Switches], None]

VERBS: dict[str, tuple[Verb | None, Verb]] = {
    "create": (None, lambda switches: switches.create(LAN)),
    "add": (
        lambda switches: switches.create(Switch("lan")),
        lambda switches: switches.change("lan", lambda one: with_port(one, "vtnet1")),
    ),
    "remove": (
        lambda switches: switches.create(Switch("lan", ports=("vtnet1",))),
        lambda switches: switches.change("lan", lambda one: without_port(one, "vtnet1")),
    ),
    "vlan": (
        lambda switches: switches.create(LAN),
        lambda switches: switches.change("lan", lambda one: with_vlan(one, 20)),
    ),
    "address": (
        lambda switches: switches.create(LAN),
        lambda switches: switches.change("lan", lambda one: with_address(one, "10.0.0.2/24")),
    ),
    "destroy": (lambda switches: switches.create(LAN), lambda switches: switches.destroy("lan")),
}


def after(world: World) -> tuple[str, list[list[tuple[str, int, tuple[str, ...], tuple[str, ...]]]]]:
    """All there is: the file, and each host's interfaces."""
    shown = [
        [(one.name, one.mtu, tuple(one.members), tuple(one.addresses)) for one in host.kernel.interfaces.all()]
        for host in world.hosts.values()
    ]
    return world.text(), shown


def prepared(verb: str) -> World:
    world = World()
    before, _ = VERBS[verb]
    if before is not None:
        before(world.switches())
    return world


@pytest.mark.parametrize("verb", VERBS)
def test_one_that_was_killed_anywhere_is_finished_by_the_same_words(verb: str) -> None:
    whole = prepared(verb)
    killer = Killer()
    whole.hook(killer)
    VERBS[verb][1](whole.switches())
    whole.hook(lambda _: None)
    for place in range(1, killer.heard + 1):
        world = prepared(verb)
        world.hook(Killer(place))
        with pytest.raises(Killed):
            VERBS[verb][1](world.switches())
        world.hook(lambda _: None)
        assert world.text().startswith(HAND.decode())
        try:
            VERBS[verb][1](world.switches())
        except NotFoundError:
            assert verb in ("destroy", "remove")  # all of it was done, and there was only nobody to tell
        assert after(world) == after(whole), f"killed at call {place}"


@pytest.mark.parametrize(
    ("verb", "method"),
    [("create", "add_member"), ("add", "add_member"), ("vlan", "add_member"), ("destroy", "destroy")],
)
def test_what_fails_on_one_host_is_taken_back_on_the_others(
    verb: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = prepared(verb)
    text, shown = after(world)
    kernel = world.hosts["hv2"].kernel.interfaces

    def busy_once(*_: str) -> None:
        monkeypatch.undo()
        raise OSError(errno.EBUSY, "Device busy")

    monkeypatch.setattr(kernel, method, busy_once)
    with pytest.raises(CommandError, match="Device busy"):
        VERBS[verb][1](world.switches())
    assert world.text() == text
    left = [[(name, members) for name, _, members, _ in one] for one in after(world)[1]]  # a port keeps its new MTU
    assert left == [[(name, members) for name, _, members, _ in one] for one in shown]


def test_a_host_that_is_away_is_told_and_keeps_nobody_waiting(world: World) -> None:
    world.switches().create(Switch("lan"))
    world.hosts["hv2"].hook = _away
    assert world.states() == ["ready", "no answer"]
    with pytest.raises(HostUnreachableError):
        world.switches().change("lan", lambda one: with_port(one, "vtnet1"))
    assert "vtnet1" not in world.text()
    world.hosts["hv1"].hook = _away
    with pytest.raises(HostUnreachableError):
        world.switches().list()


def _away(_what: str) -> None:
    raise HostUnreachableError("hv2: no route to host")


def test_a_linux_host_is_not_asked(world: World) -> None:
    world.switches().create(Switch("lan"))
    assert [on.host for on in world.switches().info("lan").hosts] == ["hv1", "hv2"]


def test_each_host_is_shown_beside_the_others(world: World) -> None:
    world.switches().create(LAN)
    world.hosts["hv1"].ifconfig("vm-lan", "deletem", "vtnet1.10")
    world.hosts["hv1"].ifconfig("vm-lan", "inet", "10.0.0.1/24", "-alias")
    world.hosts["hv2"].ifconfig("vm-lan", "destroy")
    assert world.states() == ["without vtnet1.10, without 10.0.0.1/24", "not made"]
    world.switches().create(LAN)
    assert world.states() == ["ready", "ready"]


def test_a_host_that_does_not_share_the_file_is_told(world: World) -> None:
    world.switches().create(Switch("lan"))
    world.hosts["hv2"].files = {PATH: HAND}
    assert world.states() == ["ready", "its system.conf is another"]


def test_a_file_with_a_mistake_is_told_and_not_changed(world: World) -> None:
    world.shared[PATH] += b'switch_list="lan sdn"\nvlan_lan="ten"\ntype_sdn="vale"\n'
    lan, sdn = world.switches().list()
    assert lan.mistakes == ("vlan_lan: 'ten' is not a number",)
    assert [on.state for on in sdn.hosts] == ["ready", "ready"]
    with pytest.raises(ConfigError, match="vlan_lan"):
        world.switches().change("lan", lambda one: with_port(one, "vtnet1"))


def test_another_of_the_same_name_is_refused_and_the_same_again_is_not(world: World) -> None:
    world.switches().create(LAN)
    before = after(world)
    world.switches().create(LAN)
    with pytest.raises(AlreadyExistsError):
        world.switches().create(Switch("lan"))
    assert after(world) == before


def test_a_bridge_that_somebody_has_made_is_taken_as_it_is_or_not_at_all(world: World) -> None:
    words = ("bridge", "create", "name", "vm-lan", "group", "vm-switch", "up")
    world.hosts["hv2"].ifconfig(*words)
    world.hosts["hv2"].ifconfig("vm-lan", "group", Switch("lan").group)
    before = after(world)
    with pytest.raises(ConflictError, match="hv2 has its bridge already, without vtnet1"):
        world.switches().create(Switch("lan", ports=("vtnet1",)))
    assert after(world) == before
    world.switches().create(Switch("lan"))
    assert world.states() == ["ready", "ready"]


def test_a_switch_that_cannot_be_mended_everywhere_is_not_taken_away(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.switches().create(LAN)
    for host in world.hosts.values():
        host.ifconfig("vm-lan", "deletem", "vtnet1.10")

    def busy(*_: str) -> None:
        raise OSError(errno.EBUSY, "Device busy")

    monkeypatch.setattr(world.hosts["hv2"].kernel.interfaces, "add_member", busy)
    with pytest.raises(CommandError, match="Device busy"):
        world.switches().create(LAN)
    assert world.states() == ["ready", "without vtnet1.10"]


def test_two_who_change_one_file_at_once_lose_nothing(world: World) -> None:
    """Somebody else's switch is written between the look at the file and its exchange."""
    told: list[str] = []

    def meanwhile(what: str) -> None:
        if what == "before: exchange a file" and not told:
            told.append(what)
            world.shared[PATH] += b'switch_list="sdn"\ntype_sdn="vale"\n'

    world.hosts["hv1"].hook = meanwhile
    world.switches().create(LAN)
    assert [one.name for one in world.switches().list()] == ["sdn", "lan"]


def test_a_switch_that_somebody_else_has_changed_meanwhile_is_left_to_him(world: World) -> None:
    world.switches().create(Switch("lan"))

    def meanwhile(what: str) -> None:
        if what == "before: exchange a file":
            world.shared[PATH] = world.shared[PATH].replace(b'"standard"', b'"standard"\nmtu_lan="1400"')

    world.hosts["hv1"].hook = meanwhile
    with pytest.raises(ConflictError, match="says something else of it"):
        world.switches().change("lan", lambda one: with_private(one, True))
    assert "private_lan" not in world.text()


def test_a_switch_with_a_guest_on_any_host_stays_on_all(world: World) -> None:
    world.switches().create(Switch("lan"))
    world.hosts["hv2"].ifconfig("tap", "create", "descr", "vmnet/web1/0/lan", "group", "vm-port")
    world.hosts["hv2"].ifconfig("vm-lan", "addm", "tap0")
    before = after(world)
    with pytest.raises(BusyError, match="on hv2 in use by web1"):
        world.switches().destroy("lan")
    assert after(world) == before


NETWORKS = """network1_type="virtio-net"
network1_switch="lan"
network2_type="virtio-net"
network2_switch="wide"
"""


def guest() -> GuestConfig:
    return guest_of("web1", CONF.replace("public", "lan") + NETWORKS)


def starting(world: World) -> Plan:
    """The part of a start that is about networks."""
    return Plan("start", "web1", (GuestPluggedIn(world.hosts["hv1"], guest(), PATH),))


def test_a_start_that_was_killed_anywhere_is_resumed_or_taken_back() -> None:
    def world() -> World:
        world = World()
        world.switches().create(Switch("lan"))
        world.switches().create(Switch("wide", "vxlan", ports=("vtnet0",), vlan=42))
        world.hosts["hv1"].ifconfig("vm-lan", "destroy")
        world.hosts["hv1"].ifconfig("vm-wide", "destroy")
        world.hosts["hv1"].ifconfig("vxlan42", "destroy")
        return world

    intent = new_intent("start", "web1", {})
    whole, killer = world(), Killer()
    whole.hook(killer)
    Engine().execute(starting(whole), NoJournal(), intent)
    whole.hook(lambda _: None)
    assert len([name for name in whole.hosts["hv1"].interfaces() if name.startswith("tap")]) == 3
    for place in range(1, killer.heard + 1):
        for way in (Engine().resume, Engine().rewind):
            cut = world()
            cut.hook(Killer(place))
            with pytest.raises(Killed):
                Engine().execute(starting(cut), NoJournal(), intent)
            cut.hook(lambda _: None)
            way(starting(cut), NoJournal(), intent)
            if way.__name__ == "resume":
                assert after(cut) == after(whole), f"killed at call {place}"
            else:
                assert not [name for name in cut.hosts["hv1"].interfaces() if name.startswith("tap")]


def test_two_guests_that_are_started_at_once_make_one_bridge(world: World) -> None:
    world.switches().create(Switch("lan"))
    hv1 = world.hosts["hv1"]
    hv1.ifconfig("vm-lan", "destroy")
    other = guest_of("web2", CONF.replace("public", "lan"))
    begun: list[str] = []

    def meanwhile(what: str) -> None:
        if what == "before: run a change of a switch" and not begun:
            begun.append(what)
            GuestPluggedIn(hv1, other, PATH).make()

    hv1.hook = meanwhile
    GuestPluggedIn(hv1, guest_of("web1", CONF.replace("public", "lan")), PATH).make()
    assert begun
    assert [name for name in hv1.interfaces() if "bridge" in name or name.startswith("vm-")] == ["vm-lan"]
    assert hv1.kernel.interfaces.get("vm-lan").members == ["tap0", "tap1"]
