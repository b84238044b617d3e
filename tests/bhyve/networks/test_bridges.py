"""What a host runs for its switches: vm-bhyve's commands, and refusals before any of them."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.bhyve.networks.bridges import differences, is_made, render, to_change, to_make, to_unmake
from pyvmiscsi.bhyve.networks.interfaces_text import Interface, has_address, parse_interfaces
from pyvmiscsi.bhyve.networks.switches import Switch
from pyvmiscsi.errors import BusyError, ConfigError, ConflictError, NotFoundError

EM0, EM1 = Interface("em0", flags=("UP",), addresses=("192.0.2.10/24",)), Interface("em1")
LAN = Switch("lan", ports=("em0",))


def seen(*interfaces: Interface) -> dict[str, Interface]:
    return {one.name: one for one in (EM0, EM1, *interfaces)}


def bridge(switch: Switch, **more: Any) -> Interface:
    return replace(Interface(f"vm-{switch.name}", groups=("bridge", "vm-switch", switch.group)), **more)


def words(commands: tuple[tuple[str, ...], ...]) -> list[str]:
    return [" ".join((command[0].rpartition("/")[2], *command[1:])) for command in commands]


def test_a_standard_switch_is_made_as_vm_bhyve_makes_it() -> None:
    """The group comes last: what lacks it was not finished."""
    full = replace(LAN, vlan=10, address="10.0.0.1/24", address6="2001:db8::1/64", mtu=9000)
    assert words(to_make(full, seen(), "hv1")) == [
        "ifconfig bridge create name vm-lan group vm-switch up",
        "ifconfig $bridge link random",
        "ifconfig $bridge inet 10.0.0.1/24",
        "ifconfig $bridge inet6 2001:db8::1/64",
        "ifconfig $bridge mtu 9000",
        "ifconfig em0 mtu 9000",
        "ifconfig vlan create vlandev em0 vlan 10 descr vm-vlan/lan/em0.10 name em0.10 group vm-vlan up",
        "ifconfig em0.10 group viid-3e722@",
        "ifconfig $bridge addm em0.10",
        f"ifconfig $bridge group {LAN.group}",
    ]


def test_a_long_name_becomes_a_description() -> None:
    made = words(to_make(Switch("a_very_long_name"), seen(), "hv1"))
    assert made[0] == "ifconfig bridge create descr vm/a_very_long_name group vm-switch up"


def test_a_vxlan_switch_is_made_as_vm_bhyve_makes_it() -> None:
    wide = Switch("wide", "vxlan", ports=("em0",), vlan=42)
    group = wide.multicast
    assert words(to_make(wide, seen(), "hv1"))[2:] == [
        f"ifconfig vxlan42 create vxlanid 42 vxlanlocal 192.0.2.10 vxlangroup {group} vxlandev em0 "
        "descr vm-vxlan/wide group vm-vlan up",
        "ifconfig $bridge addm vxlan42",
        f"route -q add -net {group}/32 -iface em0",
        f"ifconfig $bridge group {wide.group}",
    ]


def test_a_manual_switch_is_only_marked() -> None:
    manual = Switch("lan", "manual", "bridge0")
    assert words(to_make(manual, seen(Interface("bridge0", members=("em1",))), "hv1")) == [
        "ifconfig $bridge group vm-switch up",
        f"ifconfig $bridge group {manual.group}",
    ]
    there = Interface("bridge0", groups=("vm-switch", manual.group), members=("em1",))
    assert words(to_unmake(manual, seen(there), "hv1")) == [
        f"ifconfig $bridge -group {manual.group}",
        "ifconfig $bridge -group vm-switch",
    ]


def test_a_bridge_that_another_switch_uses_stays_a_switch() -> None:
    manual = Switch("mine", "manual", "vm-lan")
    there = bridge(LAN, groups=("vm-switch", LAN.group, manual.group), members=("em0",))
    assert words(to_unmake(manual, seen(there), "hv1")) == [f"ifconfig $bridge -group {manual.group}"]


def test_what_is_as_it_should_be_is_left_alone() -> None:
    assert to_make(LAN, seen(bridge(LAN, members=("em0",))), "hv1") == ()
    assert to_make(Switch("sdn", "vale"), seen(), "hv1") == ()


def test_one_that_was_cut_short_is_finished() -> None:
    half = bridge(LAN, groups=("bridge", "vm-switch"))
    assert not is_made(LAN, seen(half))
    assert differences(LAN, seen(half)) == ("not finished", "without em0")
    assert words(to_make(LAN, seen(half), "hv1")) == [
        "ifconfig $bridge addm em0",
        f"ifconfig $bridge group {LAN.group}",
    ]


def test_a_port_that_is_down_is_taken_up() -> None:
    made = words(to_make(replace(LAN, ports=("em1",)), seen(bridge(LAN)), "hv1"))
    assert made == ["ifconfig em1 up", "ifconfig $bridge addm em1"]


def test_a_changed_vlan_moves_the_ports() -> None:
    tagged = Interface("em0.10", vlan=10, parent="em0", groups=("vlan", "vm-vlan"))
    before, after = replace(LAN, vlan=10), replace(LAN, vlan=20)
    there = seen(tagged, bridge(LAN, members=("em0.10", "tap0")))
    assert words(to_change(before, after, there, "hv1")) == [
        "ifconfig em0.10 destroy",
        "ifconfig vlan create vlandev em0 vlan 20 descr vm-vlan/lan/em0.20 name em0.20 group vm-vlan up",
        "ifconfig em0.20 group viid-867c3@",
        "ifconfig $bridge addm em0.20",
    ]


def test_a_changed_address_takes_the_old_one_away() -> None:
    before, after = replace(LAN, address="10.0.0.1/24"), replace(LAN, address="10.0.0.2/24")
    there = seen(bridge(LAN, members=("em0",), addresses=("10.0.0.1/24",)))
    assert words(to_change(before, after, there, "hv1")) == [
        "ifconfig $bridge inet 10.0.0.1 -alias",
        "ifconfig $bridge inet 10.0.0.2/24",
    ]


@pytest.mark.parametrize(
    ("switch", "there", "error", "message"),
    [
        (replace(LAN, ports=("em7",)), (), NotFoundError, "hv1 has no interface em7"),
        (LAN, (Interface("bridge3", members=("em0",)),), ConflictError, "em0 is in bridge3"),
        (LAN, (Interface("vm-lan"),), ConflictError, "an interface vm-lan that is no switch"),
        (replace(LAN, vlan=10), (Interface("em0.10"),), ConflictError, "em0.10 that is not VLAN 10 of em0"),
        (Switch("lan", "manual", "bridge0"), (), NotFoundError, "hv1 has no bridge bridge0"),
        (Switch("lan", "vxlan", ports=("em1",), vlan=4), (), NotFoundError, "em1 has no IPv4 address"),
        (Switch("lan", "vxlan", ports=("em0",), vlan=4), (Interface("vxlan4"),), ConflictError, "a vxlan4 of its own"),
        (replace(LAN, mistakes=("vlan_lan: 'x' is not a number",)), (), ConfigError, "vlan_lan"),
    ],
)
def test_what_stands_in_the_way_is_told_before_anything_is_run(
    switch: Switch, there: tuple[Interface, ...], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        to_make(switch, seen(*there), "hv1")


def test_a_port_with_another_mtu_is_refused_where_nobody_gave_the_switch_one() -> None:
    there = seen(bridge(LAN, members=("tap0",)), replace(EM0, mtu=9000))
    with pytest.raises(ConflictError, match="em0 has an MTU of 9000, vm-lan one of 1500"):
        to_make(LAN, there, "hv1")


def test_the_mtu_of_a_bridge_in_use_is_not_changed() -> None:
    with pytest.raises(ConflictError, match="its MTU is 1500, not 9000"):
        to_make(replace(LAN, mtu=9000), seen(bridge(LAN, members=("em0", "tap0"))), "hv1")


def test_a_switch_is_taken_away_with_what_was_made_for_it() -> None:
    tagged = Interface("em0.10", vlan=10, parent="em0", groups=("vlan", "vm-vlan"))
    tagged_lan = replace(LAN, vlan=10)
    assert words(to_unmake(tagged_lan, seen(tagged, bridge(LAN, members=("em0.10",))), "hv1")) == [
        "ifconfig em0.10 destroy",
        "ifconfig $bridge destroy",
    ]
    assert words(to_unmake(LAN, seen(bridge(LAN, members=("em0",))), "hv1")) == [
        "ifconfig $bridge deletem em0",
        "ifconfig $bridge destroy",
    ]
    assert to_unmake(LAN, seen(), "hv1") == ()


def test_a_vlan_that_never_came_into_its_bridge_goes_too() -> None:
    lost = Interface("em0.10", description="vm-vlan/lan/em0.10", vlan=10, parent="em0", groups=("vlan", "vm-vlan"))
    assert words(to_unmake(replace(LAN, vlan=10), seen(lost), "hv1")) == ["ifconfig em0.10 destroy"]
    other = replace(lost, description="vm-vlan/lan2/em0.10")
    assert to_unmake(replace(LAN, vlan=10), seen(other), "hv1") == ()


def test_a_switch_in_use_is_not_taken_away() -> None:
    tap = Interface("tap0", description="vmnet/web1/0/lan", groups=("tap", "vm-port"))
    with pytest.raises(BusyError, match="on hv1 in use by web1"):
        to_unmake(LAN, seen(tap, bridge(LAN, members=("em0", "tap0"))), "hv1")
    with pytest.raises(BusyError, match="it has epair0a, which"):
        to_unmake(LAN, seen(bridge(LAN, members=("em0", "epair0a"))), "hv1")


def test_a_script_is_one_that_a_shell_reads() -> None:
    made = render(to_make(replace(LAN, vlan=7), seen(), "hv1"), None)
    gone = render(to_unmake(LAN, seen(bridge(LAN, members=("em0",))), "hv1"), bridge(LAN, members=("em0",)))
    shellcheck = shutil.which("shellcheck")
    assert shellcheck, "install shellcheck"
    for script in (made, gone):
        subprocess.run([shellcheck, "-s", "sh", "-"], input=script.encode(), check=True)
    assert "bridge=$(/sbin/ifconfig bridge create name vm-lan group vm-switch up) || exit 71" in made
    assert gone.splitlines()[1] == "bridge=vm-lan"


PIECES = (
    *("em0: flags=8<UP> metric 0 mtu 1500", "\tinet ", "\tinet6 ", "1.2.3.4", "::1", " netmask 0x", "ffffff00", "%em0"),
    *(" prefixlen ", "64", "\tmember: ", " flags=8<SPAN>", "\tgroups:", "\tvlan: ", " parent interface: ", "\n"),
)


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=8)).map("".join))
def test_reads_anything_and_compares_its_addresses(text: str) -> None:
    for one in parse_interfaces(text).values():
        assert one.name
        assert all(has_address(one, address) for address in one.addresses)


def test_reads_what_ifconfig_shows() -> None:
    text = (
        "em0: flags=1008943<UP,BROADCAST,RUNNING,PROMISC,SIMPLEX,MULTICAST,LOWER_UP> metric 0 mtu 9000\n"
        "\toptions=4e504bb<RXCSUM,TXCSUM>\n"
        "\tether 58:9c:fc:00:00:01\n"
        "\tinet 192.0.2.10 netmask 0xffffff00 broadcast 192.0.2.255\n"
        "\tinet6 fe80::1%em0 prefixlen 64 scopeid 0x1\n"
        "em0.10: flags=1008843<UP,BROADCAST,RUNNING,SIMPLEX,MULTICAST,LOWER_UP> metric 0 mtu 9000\n"
        "\tdescription: vm-vlan/lan/em0.10\n"
        "\tgroups: vlan vm-vlan viid-3e722@\n"
        "\tvlan: 10 vlanproto: 802.1q vlanpcp: 0 parent interface: em0\n"
        "vm-lan: flags=1008843<UP,BROADCAST,RUNNING,SIMPLEX,MULTICAST,LOWER_UP> metric 0 mtu 9000\n"
        "\tid 00:00:00:00:00:00 priority 32768 hellotime 2 fwddelay 15\n"
        "\tmember: tap1 flags=8<SPAN>\n"
        "\t        ifmaxaddr 0 port 0 priority 128 path cost 0\n"
        "\tmember: em0.10 flags=143<LEARNING,DISCOVER,AUTOEDGE,AUTOPTP>\n"
        "\tgroups: bridge vm-switch\n"
    )
    found = parse_interfaces(text)
    assert found["em0"].has("UP", "PROMISC")
    assert {name: replace(one, flags=()) for name, one in found.items()} == {
        "em0": Interface("em0", 9000, addresses=("192.0.2.10/24", "fe80::1/64")),
        "em0.10": Interface(
            "em0.10",
            9000,
            description="vm-vlan/lan/em0.10",
            groups=("vlan", "vm-vlan", "viid-3e722@"),
            vlan=10,
            parent="em0",
        ),
        "vm-lan": Interface("vm-lan", 9000, groups=("bridge", "vm-switch"), members=("em0.10",), spans=("tap1",)),
    }
