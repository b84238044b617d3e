"""Taps, bridges and what is in them, made on a hypervisor of the lab."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from pyvmiscsi.bhyve.configuration.conf_text import ConfText
from pyvmiscsi.bhyve.configuration.config import GuestConfig
from pyvmiscsi.bhyve.networks.bridges import find_bridge, to_unmake
from pyvmiscsi.bhyve.networks.switches import Switch
from pyvmiscsi.bhyve.networks.taps import Networks
from pyvmiscsi.bhyve.vm_bhyve.system_conf import read_system_conf, replace_system_conf
from pyvmiscsi.errors import BusyError, CommandError, NotFoundError
from pyvmiscsi.names import GuestName
from pyvmiscsi.ports import Host
from tests.bhyve.guests import web1


@pytest.fixture
def guest(guest_name: GuestName) -> GuestConfig:
    return replace(web1(), name=guest_name)


@pytest.fixture
def networks(host: Host) -> Iterator[Networks]:
    """Of a host that has the same interfaces afterwards."""
    before = set(Networks(host).look().interfaces)
    yield Networks(host)
    for name in (*set(Networks(host).look().interfaces) - before,):
        host.run(["/sbin/ifconfig", name, "destroy"], ok=(0, 1))


def interface(host: Host, name: str) -> str:
    return host.run(["/sbin/ifconfig", name], ok=(0, 1)).text


def unmake(networks: Networks, switch: Switch) -> None:
    seen = networks.look().interfaces
    networks.run(to_unmake(switch, seen, "hv1"), find_bridge(switch, seen))


def on(guest: GuestConfig, switch: str, device: str | None = None, name: str | None = None) -> GuestConfig:
    return replace(guest, networks=(replace(guest.networks[0], switch=switch, device=device, name=name),))


def test_a_tap_is_made_in_the_switch_and_goes_again(host: Host, guest: GuestConfig, networks: Networks) -> None:
    networks.create_switch("public")
    backends = networks.plug_in(guest)
    tap = backends[0]
    assert f"description: vmnet/{guest.name}/0/public" in interface(host, tap)
    assert "vm-port" in interface(host, tap)
    assert f"member: {tap} " in interface(host, "vm-public")
    networks.unplug(guest.name)
    assert interface(host, tap) == ""
    assert f"member: {tap} " not in interface(host, "vm-public")


def test_plugging_in_again_finds_the_tap_that_is_there(guest: GuestConfig, networks: Networks) -> None:
    networks.create_switch("public")
    first = networks.plug_in(guest)
    assert networks.plug_in(guest) == first
    networks.unplug(guest.name)


def test_unplugging_one_guest_leaves_the_others(host: Host, guest: GuestConfig, networks: Networks) -> None:
    networks.create_switch("public")
    other = replace(guest, name=GuestName.parse(f"{guest.name}0"))
    kept = networks.plug_in(other)[0]
    networks.plug_in(guest)
    networks.unplug(guest.name)
    assert f"vmnet/{other.name}/0/public" in interface(host, kept)
    networks.unplug(other.name)


def test_a_switch_with_a_long_name_is_found_by_its_group(guest: GuestConfig, networks: Networks) -> None:
    long = Switch("a_very_long_switch")
    networks.make(long, networks.look().interfaces)
    tap = networks.plug_in(on(guest, long.name))[0]
    bridge = find_bridge(long, networks.look().interfaces)
    assert bridge is not None
    assert (bridge.members, bridge.description) == ((tap,), f"vm/{long.name}")


def test_a_host_without_the_switch_is_told_apart(guest: GuestConfig, networks: Networks) -> None:
    with pytest.raises(NotFoundError, match="hv1 has no switch nowhere") as refused:
        networks.plug_in(on(guest, "nowhere"))
    assert "switch create nowhere" in refused.value.hint


def test_a_switch_is_what_its_file_says_and_again_nothing(host: Host, networks: Networks) -> None:
    before = networks.look().interfaces
    lan = Switch("lan", ports=("vtnet1",), vlan=7, address="10.0.0.1/24", address6="2001:db8::1/64", mtu=9000)
    networks.make(lan, before)
    seen = networks.look().interfaces
    bridge = seen["vm-lan"]
    assert (bridge.members, bridge.mtu) == (("vtnet1.7",), 9000)
    assert bridge.addresses == ("10.0.0.1/24", "2001:db8::1/64")
    assert host.run(["/sbin/ifconfig", "-g", lan.group]).text == "vm-lan\n"
    tagged = seen["vtnet1.7"]
    assert (tagged.vlan, tagged.parent, tagged.mtu, tagged.description) == (7, "vtnet1", 9000, "vm-vlan/lan/vtnet1.7")
    unmake(networks, lan)
    assert set(networks.look().interfaces) == set(before)
    host.run(["/sbin/ifconfig", "vtnet1", "mtu", "1500"])


def test_a_switch_in_use_stays(guest: GuestConfig, networks: Networks) -> None:
    networks.make(Switch("used"), networks.look().interfaces)
    early = networks.look().interfaces
    networks.plug_in(on(guest, "used"))
    with pytest.raises(BusyError, match=f"in use by {guest.name}"):
        unmake(networks, Switch("used"))
    with pytest.raises(BusyError, match="somebody has joined vm-used meanwhile"):
        networks.run(to_unmake(Switch("used"), early, "hv1"), early["vm-used"])
    assert "vm-used" in networks.look().interfaces


def test_a_vxlan_switch_tunnels_from_its_ports_address(networks: Networks, host: Host) -> None:
    wide = Switch("wide", "vxlan", ports=("vtnet0",), vlan=42)
    networks.make(wide, networks.look().interfaces)
    seen = networks.look().interfaces
    assert (seen["vm-wide"].members, seen["vm-wide"].mtu) == (("vxlan42",), 1450)
    assert f"vxlan vni 42 local 192.0.2.10:4789 group {wide.multicast}:4789" in interface(host, "vxlan42")
    unmake(networks, wide)
    assert not {"vm-wide", "vxlan42"} & set(networks.look().interfaces)
    assert host.run(["/sbin/route", "delete", "-net", f"{wide.multicast}/32"], ok=(0, 1)).status == 1


def test_a_tap_of_the_hosts_own_joins_the_switch_and_stays(guest: GuestConfig, networks: Networks, host: Host) -> None:
    networks.create_switch("public")
    host.script('/sbin/ifconfig tap create descr "vmnet/$1/0/public" name tap77 group vm-port', str(guest.name))
    own = on(guest, "public", device="tap77")
    assert networks.plug_in(own) == {0: "tap77"}
    assert networks.is_plugged_in(own)
    networks.unplug(guest.name)
    assert networks.look().interfaces["vm-public"].members == ("tap77",)


def test_a_tap_can_have_a_name(guest: GuestConfig, networks: Networks) -> None:
    networks.create_switch("public")
    named = on(guest, "public", name="web1lan")
    assert networks.plug_in(named) == networks.plug_in(named) == {0: "web1lan,type=tap"}
    networks.unplug(guest.name)
    assert "web1lan" not in networks.look().interfaces


def test_guests_are_plugged_into_a_netgraph_bridge_that_is_there(
    guest: GuestConfig, host: Host, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = f"/tmp/{tmp_path_factory.mktemp('ng').name}.conf"
    host.write_file(path, b'switch_list="ngsw"\ntype_ngsw="netgraph"\n')
    networks = Networks(host, path)
    with pytest.raises(NotFoundError, match="no netgraph node ngsw:"):
        networks.plug_in(on(guest, "ngsw"))
    host.script("/usr/sbin/ngctl mkpeer vtnet1: bridge lower link0 && /usr/sbin/ngctl name vtnet1:lower ngsw")
    backend = networks.plug_in(on(guest, "ngsw"))[0]
    assert backend.startswith("netgraph,path=ngsw:,peerhook=link")
    assert int(backend.rpartition("link")[2]) >= 1 << 16
    host.run(["/usr/sbin/ngctl", "shutdown", "ngsw:"])


def test_a_file_is_exchanged_only_while_it_says_what_was_read(host: Host) -> None:
    path = "/tmp/exchanged/.config/system.conf"
    first, second = ConfText('switch_list="a"\n'), ConfText('switch_list="b" # ä\n')
    with pytest.raises(CommandError, match="No such file or directory"):  # a config path that is not mounted
        replace_system_conf(host, path, None, first)
    host.make_directory("/tmp/exchanged")
    assert not replace_system_conf(host, path, first, second)
    assert replace_system_conf(host, path, None, first)
    assert not replace_system_conf(host, path, None, second)
    assert replace_system_conf(host, path, first, second)
    assert read_system_conf(host, path) == second
    assert set(host.list_directory("/tmp/exchanged/.config")) == {"system.conf"}


def test_one_of_many_who_change_a_file_at_once_succeeds(host: Host) -> None:
    path = "/tmp/raced.conf"
    with ThreadPoolExecutor(4) as pool:
        texts = [ConfText(f'switch_list="s{number}"\n') for number in range(4)]
        done = list(pool.map(lambda text: replace_system_conf(host, path, None, text), texts))
    assert done.count(True) == 1
    assert read_system_conf(host, path) == texts[done.index(True)]
