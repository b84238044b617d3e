"""vm-bhyve's switches read, and what a guest is plugged into."""

from __future__ import annotations

import pytest

from pyvmiscsi.bhyve.config import Network
from pyvmiscsi.bhyve.network import Switch, description, own_taps, parse_switches
from pyvmiscsi.names import GuestName
from tests.bhyve.guests import CONF, guest_of
from tests.bhyve.vm_bhyve import GOLDEN

_SYSTEM = (GOLDEN / "vm-bhyve-1.7" / "07-system.conf").read_text()


def test_reads_the_switches_of_a_system_conf() -> None:
    assert parse_switches(_SYSTEM + 'private_public="yes"\ntype_lan="manual"\nbridge_lan="bridge0"\n') == {
        "public": Switch("public", private=True),
        "sdn": Switch("sdn", "vale"),
        "ng0": Switch("ng0", "netgraph"),
    }


def test_no_file_means_no_switch_is_known() -> None:
    assert parse_switches("") == {}


@pytest.mark.parametrize(
    ("switch", "group", "bridge"),
    [
        (Switch("public"), "viid-4c918@", "vm-public"),
        (Switch("lan", "manual", "bridge0"), Switch("lan").group, "bridge0"),
    ],
)
def test_a_switch_is_found_by_vm_bhyves_group_and_name(switch: Switch, group: str, bridge: str) -> None:
    assert (switch.group, switch.bridge_name) == (group, bridge)


def test_a_tap_is_described_as_vm_bhyve_describes_it() -> None:
    assert description(GuestName.parse("g1"), Network(0, "virtio-net", "public")) == "vmnet/g1/0/public"


def test_only_taps_that_were_made_for_the_start_go_with_it() -> None:
    more = 'network1_type="virtio-net"\nnetwork1_device="tap7"\nnetwork2_type="virtio-net"\nnetwork2_switch="sdn"\n'
    guest = guest_of("web1", CONF + more)
    assert own_taps(guest, {0: "tap0", 1: "tap7", 2: "valeb620e:25e44"}) == ("tap0",)
