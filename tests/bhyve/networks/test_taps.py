"""How a guest's networks come into their switches."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from pyvmiscsi.bhyve.configuration.config import Network
from pyvmiscsi.bhyve.networks.interfaces_text import Interface
from pyvmiscsi.bhyve.networks.switches import Switch
from pyvmiscsi.bhyve.networks.taps import Sight, description, own_taps, plug, render
from pyvmiscsi.errors import ConflictError, InputError, NotFoundError, UnsupportedError
from pyvmiscsi.names import GuestName
from tests.bhyve.golden_runs import GOLDEN
from tests.bhyve.guests import CONF, guest_of

G1 = GuestName.parse("g1")
PUBLIC = Switch("public")
NETWORK = Network(0, "virtio-net", "public")


def sight(*interfaces: Interface, mtu: int = 1500, members: tuple[str, ...] = (), **switches: Switch) -> Sight:
    bridge = Interface("vm-public", mtu, groups=("bridge", "vm-switch", PUBLIC.group), members=members)
    return Sight({one.name: one for one in (bridge, *interfaces)}, switches)


def commands(seen: Sight, network: Network = NETWORK) -> list[str]:
    made = plug(G1, network, seen, "hv1").commands
    return [" ".join(("ifconfig", *command[1:])).replace("$tap", "tap0") for command in made]


def test_a_tap_is_made_by_the_commands_of_vm_bhyve() -> None:
    """Those of vm-bhyve 1.7, but that it is described at once, so that a start that is killed leaves none that nobody
    finds, and that it stays up while the guest reboots."""
    transcript = (GOLDEN / "vm-bhyve-1.7" / "cmdlines.txt").read_text()
    theirs = re.findall(r"^ifconfig (?!vm-public$|tap0 destroy).*(?=\n)", transcript, re.MULTILINE)[:4]
    create, describe, join, up = theirs
    assert commands(sight()) == [create + describe.removeprefix("ifconfig tap0"), join, up.replace("up", "link0 up")]


def test_it_has_the_mtu_of_the_bridge_before_it_joins_and_is_kept_apart_where_the_switch_says_so() -> None:
    made = commands(sight(mtu=9000, public=Switch("public", private=True)))
    assert made[1:] == [
        "ifconfig tap0 mtu 9000",
        "ifconfig vm-public addm tap0",
        "ifconfig vm-public private tap0",
        "ifconfig tap0 link0 up",
    ]


def test_one_that_is_there_is_used_and_one_that_was_cut_short_is_finished() -> None:
    tap = Interface("tap3", flags=("UP", "LINK0"), description="vmnet/g1/0/public", groups=("tap", "vm-port"))
    assert plug(G1, NETWORK, sight(tap, members=("tap3",)), "hv1").is_in
    tap = replace(tap, flags=())
    assert commands(sight(tap, members=("tap3",))) == ["ifconfig tap3 link0 up"]
    assert commands(sight(tap)) == ["ifconfig vm-public addm tap3", "ifconfig tap3 link0 up"]
    assert plug(G1, NETWORK, sight(tap), "hv1").backend == "tap3"


def test_another_guests_tap_is_none_of_ours() -> None:
    tap = Interface("tap3", description="vmnet/g11/0/public", groups=("tap", "vm-port"))
    assert commands(sight(tap, members=("tap3",)))[0].startswith("ifconfig tap create")


def test_one_that_sees_all_is_no_member() -> None:
    network = Network(0, "virtio-net", "public", span=True)
    assert "ifconfig vm-public span tap0" in commands(sight(), network)


@pytest.mark.parametrize(
    ("kind", "backend"),
    [("vale", "vale4c918:5f586"), ("netgraph", "netgraph,path=public:,peerhook=link6314080")],
)
def test_other_switches_have_ports_of_their_own(kind: str, backend: str) -> None:
    """Of a vale port the name is vm-bhyve's; a netgraph link is far above those that vm-bhyve counts up."""
    found = plug(G1, NETWORK, sight(public=Switch("public", kind)), "hv1")
    assert (found.backend, found.commands) == (backend, ())


def test_what_cannot_be_plugged_in_is_refused() -> None:
    with pytest.raises(NotFoundError, match="names no switch"):
        plug(G1, Network(0, "virtio-net"), sight(), "hv1")
    with pytest.raises(NotFoundError, match="hv1 has no switch lan"):
        plug(G1, Network(0, "virtio-net", "lan"), sight(), "hv1")
    with pytest.raises(UnsupportedError, match="'odd' is not a type of switch"):
        plug(G1, NETWORK, sight(public=Switch("public", "odd")), "hv1")
    with pytest.raises(NotFoundError, match="there is no interface tap9"):
        plug(G1, Network(0, "virtio-net", "public", device="tap9"), sight(), "hv1")
    with pytest.raises(InputError, match="too long for an interface"):
        plug(G1, Network(0, "virtio-net", "public", name="a-tap-with-a-long-name"), sight(), "hv1")
    with pytest.raises(ConflictError, match="another interface em7"):
        plug(G1, Network(0, "virtio-net", "public", name="em7"), sight(Interface("em7")), "hv1")
    tap = Interface("tap3", description="vmnet/g1/0/public", groups=("tap", "vm-port"))
    with pytest.raises(ConflictError, match="tap3 is in bridge7, not in vm-public"):
        plug(G1, NETWORK, sight(tap, Interface("bridge7", members=("tap3",))), "hv1")


def test_the_script_ends_with_the_first_command_that_fails() -> None:
    script = render([plug(G1, NETWORK, sight(), "hv1")])
    assert script.splitlines()[1:] == [
        "tap=$(/sbin/ifconfig tap create descr vmnet/g1/0/public group vm-port) || exit 71",
        'echo "$tap"',
        '/sbin/ifconfig vm-public addm "$tap" >/dev/null || exit 71',
        '/sbin/ifconfig "$tap" link0 up >/dev/null || exit 71',
    ]


def test_a_tap_is_described_as_vm_bhyve_describes_it() -> None:
    assert description(GuestName.parse("g1"), Network(0, "virtio-net", "public")) == "vmnet/g1/0/public"


def test_only_taps_that_were_made_for_the_start_go_with_it() -> None:
    more = 'network1_type="virtio-net"\nnetwork1_device="tap7"\nnetwork2_type="virtio-net"\nnetwork2_switch="sdn"\n'
    guest = guest_of("web1", CONF + more)
    assert own_taps(guest, {0: "tap0", 1: "tap7", 2: "valeb620e:25e44"}) == ("tap0",)
