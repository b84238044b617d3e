"""A guest on a switch: made by its start where the host has lost it, and nobody's to take away while it runs."""

from __future__ import annotations

import pytest

from pyvmiscsi.bhyve.networks.switches import Switch
from pyvmiscsi.errors import BusyError
from pyvmiscsi.lab import Lab
from pyvmiscsi.names import GuestName
from pyvmiscsi.operations.create import CreateRequest, DiskRequest
from pyvmiscsi.ports import Host
from pyvmiscsi.site import Site
from pyvmiscsi.site.switches import with_vlan
from pyvmiscsi.units import Size

SYSTEM_CONF = "/vmconfig/.config/system.conf"


def shown(host: Host, interface: str) -> str:
    return host.run(["/sbin/ifconfig", interface], ok=(0, 1)).text


def test_a_start_makes_the_switch_that_a_host_has_lost(lab: Lab, guest: str) -> None:
    with Site.load(lab.site_file) as site:
        hv1, hv2 = site.host("hv1"), site.host("hv2")
        before = hv1.read_file(SYSTEM_CONF)
        switches = site.switches()
        switches.create(Switch(guest, ports=("vtnet1",), mtu=9000))
        bridge = f"vm-{guest}"
        assert all("member: vtnet1 " in shown(host, bridge) for host in (hv1, hv2))
        hv1.run(["/sbin/ifconfig", bridge, "destroy"])  # as after a reboot
        assert [on.state for on in switches.info(guest).hosts] == ["not made", "ready"]

        settings = {"network0_type": "virtio-net", "network0_switch": guest}
        made = site.datastore().create(
            CreateRequest(GuestName.parse(guest), (DiskRequest(Size.parse("64M")),), settings)
        )
        assert (f"guest {guest} plugged into {guest}", False) in made.preview_start().steps
        made.start()
        on_hv1, on_hv2 = switches.info(guest).hosts
        assert (on_hv1.state, on_hv1.guests, on_hv2.guests) == ("ready", (f"vmnet/{guest}/0/{guest}",), ())
        (tap,) = set(on_hv1.members) - {"vtnet1"}
        assert " mtu 9000" in shown(hv1, tap)
        with pytest.raises(BusyError, match=f"on hv1 in use by {guest}"):
            switches.destroy(guest)
        assert "member: vtnet1 " in shown(hv2, bridge)

        switches.change(guest, lambda one: with_vlan(one, 12))
        assert set(switches.info(guest).hosts[0].members) == {tap, "vtnet1.12"}

        made.stop(deadline=0, force=True)
        assert shown(hv1, tap) == ""
        switches.destroy(guest)
        assert not any(shown(host, name) for host in (hv1, hv2) for name in (bridge, "vtnet1.12"))
        assert (hv1.read_file(SYSTEM_CONF) or b"") == (before or b"")
        made.destroy()
        for host in (hv1, hv2):
            host.run(["/sbin/ifconfig", "vtnet1", "mtu", "1500"])
