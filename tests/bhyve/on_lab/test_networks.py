"""Taps and bridges, made on a hypervisor of the lab."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyvmiscsi.bhyve.config import GuestConfig
from pyvmiscsi.bhyve.network import Networks, Switch
from pyvmiscsi.errors import NotFoundError, UnsupportedError
from pyvmiscsi.names import GuestName
from pyvmiscsi.ports import Host
from tests.bhyve.guests import web1


@pytest.fixture
def guest(guest_name: GuestName) -> GuestConfig:
    return replace(web1(), name=guest_name)


def interface(host: Host, name: str) -> str:
    return host.run(["/sbin/ifconfig", name], ok=(0, 1)).text


def test_a_tap_is_made_in_the_switch_and_goes_again(host: Host, guest: GuestConfig) -> None:
    networks = Networks(host)
    networks.create_switch("public")
    backends = networks.plug_in(guest)
    tap = backends[0]
    assert f"description: vmnet/{guest.name}/0/public" in interface(host, tap)
    assert "vm-port" in interface(host, tap)
    assert f"member: {tap} " in interface(host, "vm-public")
    networks.unplug(guest.name)
    assert interface(host, tap) == ""
    assert f"member: {tap} " not in interface(host, "vm-public")


def test_plugging_in_again_finds_the_tap_that_is_there(host: Host, guest: GuestConfig) -> None:
    networks = Networks(host)
    networks.create_switch("public")
    first = networks.plug_in(guest)
    assert networks.plug_in(guest) == first
    networks.unplug(guest.name)


def test_unplugging_one_guest_leaves_the_others(host: Host, guest: GuestConfig) -> None:
    networks = Networks(host)
    networks.create_switch("public")
    other = replace(guest, name=GuestName.parse(f"{guest.name}0"))
    kept = networks.plug_in(other)[0]
    networks.plug_in(guest)
    networks.unplug(guest.name)
    assert f"vmnet/{other.name}/0/public" in interface(host, kept)
    networks.unplug(other.name)


def test_a_switch_is_found_by_its_group_whatever_its_name(host: Host, guest: GuestConfig) -> None:
    long = Switch("a-very-long-switch")
    host.script(
        '/sbin/ifconfig $(/sbin/ifconfig bridge create) descr "vm/$1" group vm-switch group "$2" up',
        long.name,
        long.group,
    )
    lan = replace(guest, networks=(replace(guest.networks[0], switch=long.name),))
    networks = Networks(host)
    tap = networks.plug_in(lan)[0]
    bridge = host.run(["/sbin/ifconfig", "-g", long.group]).text.strip()
    assert f"member: {tap} " in interface(host, bridge)
    networks.unplug(lan.name)
    host.run(["/sbin/ifconfig", bridge, "destroy"])


def test_a_host_without_the_switch_is_told_apart(host: Host, guest: GuestConfig) -> None:
    lan = replace(guest, networks=(replace(guest.networks[0], switch="nowhere"),))
    with pytest.raises(NotFoundError, match="hv1 has no switch nowhere") as refused:
        Networks(host).plug_in(lan)
    assert "vm switch create nowhere" in refused.value.hint


def test_a_kind_of_switch_we_cannot_plug_into_is_refused(host: Host, guest: GuestConfig) -> None:
    with pytest.raises(UnsupportedError, match="netgraph"):
        Networks(host, {"public": Switch("public", "netgraph")}).plug_in(guest)
