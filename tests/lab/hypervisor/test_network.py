"""ifconfig(8), route(8), ngctl(8): what makes, joins, names and removes the interfaces of guests and switches."""

from __future__ import annotations

import pytest

from tests.lab.hypervisor.stage import Stage


def test_a_tap_is_made_named_described_and_destroyed(shared_host: Stage) -> None:
    assert shared_host.ok("ifconfig tap create") == "tap0\n"
    shared_host.ok("ifconfig tap0 descr vmnet/web1/0/public group vm-port up")
    shown = shared_host.ok("ifconfig tap0")
    assert shown.splitlines()[1] == "\tdescription: vmnet/web1/0/public"
    assert "\tgroups: tap vm-port\n" in shown
    assert shared_host.ok("ifconfig -g vm-port") == "tap0\n"
    shared_host.ok("ifconfig tap0 destroy")
    gone = shared_host.run("ifconfig tap0")
    assert (gone.text, gone.status) == ("ifconfig: interface tap0 does not exist\n", 1)


def test_the_lowest_free_number_is_taken(shared_host: Stage) -> None:
    shared_host.ok("ifconfig tap create; ifconfig tap create; ifconfig tap0 destroy")
    assert shared_host.ok("ifconfig tap create") == "tap0\n"
    shared_host.ok("ifconfig tap0 destroy; ifconfig tap1 destroy")


def test_a_bridge_has_members_until_they_are_destroyed(shared_host: Stage) -> None:
    assert shared_host.ok("ifconfig bridge create name vm-lan group vm-switch up") == "vm-lan\n"
    shared_host.ok("ifconfig tap create; ifconfig vm-lan addm tap0")
    assert "\tmember: tap0 flags=143<LEARNING,DISCOVER,AUTOEDGE,AUTOPTP>\n" in shared_host.ok("ifconfig vm-lan")
    assert shared_host.run("ifconfig vm-lan addm tap0").text == "ifconfig: BRDGADD tap0: File exists\n"
    assert shared_host.run("ifconfig vm-lan addm tap7").text == "ifconfig: BRDGADD tap7: No such file or directory\n"
    shared_host.ok("ifconfig tap0 destroy")
    assert "member" not in shared_host.ok("ifconfig vm-lan")
    shared_host.ok("ifconfig vm-lan destroy")


@pytest.mark.parametrize(("flag", "afterwards"), [("-link0", False), ("link0", True)])
def test_an_opened_tap_tells_by_whom_and_is_down_when_that_process_is_gone(
    host: Stage, flag: str, afterwards: bool
) -> None:
    """It comes up when it is opened only where the sysctl says so, and goes down again but for link0: tap(4)."""
    script = (
        "import sys; sys.path.insert(0, '/libexec/lab/site'); "
        "from pyvmiscsi.lab.hypervisor.proxy import KernelProxy; k = KernelProxy(); k.tap_open('tap0'); "
        "print('opened', flush=True); sys.stdin.read()"
    )
    host.ok(f"ifconfig tap create {flag} up; sysctl net.link.tap.up_on_open=1")
    with host.login.begin(f'/libexec/lab/bin/python3 -IB -c "{script}"') as channel:
        channel.settimeout(60)
        assert channel.recv(100) == b"opened\n"
        assert "\tOpened by PID " in host.ok("ifconfig tap0")
        assert "UP," in host.ok("ifconfig tap0")
    host.wait("! ifconfig tap0 | grep -q Opened")
    assert ("UP," in host.ok("ifconfig tap0")) is afterwards


def test_a_vlan_has_its_parents_address_and_mtu(shared_host: Stage) -> None:
    shared_host.ok("ifconfig vtnet1 mtu 9000")
    made = shared_host.ok("ifconfig vlan create vlandev vtnet1 vlan 10 descr of-lan name vtnet1.10 group vm-vlan up")
    assert made == "vtnet1.10\n"
    shown = shared_host.ok("ifconfig vtnet1.10")
    assert " mtu 9000\n" in shown
    assert "\tvlan: 10 vlanproto: 802.1q vlanpcp: 0 parent interface: vtnet1\n" in shown
    assert "\tgroups: vlan vm-vlan\n" in shown
    for words, why in (
        ("vlandev vtnet1 vlan 10", "SIOCIFCREATE2 (vlan): File exists"),
        ("vlandev em9 vlan 10", "SIOCIFCREATE2 (vlan): Device not configured"),
        ("vlan 10", "both vlan and vlandev must be specified"),
    ):
        assert shared_host.run(f"ifconfig vlan create {words}").text == f"ifconfig: {why}\n"
    shared_host.ok("ifconfig vtnet1.10 destroy; ifconfig vtnet1 mtu 1500")


def test_the_first_member_gives_a_bridge_its_mtu_and_the_others_are_given_it(shared_host: Stage) -> None:
    shared_host.ok("ifconfig bridge create name vm-mtu; ifconfig tap create name tapa; ifconfig tap create name tapb")
    shared_host.ok("ifconfig vm-mtu mtu 4000; ifconfig tapa mtu 9000; ifconfig vm-mtu addm tapa addm tapb")
    shown = shared_host.ok("ifconfig vm-mtu; ifconfig tapb")
    assert shown.count(" mtu 9000\n") == 2
    refused = "ifconfig: ioctl SIOCSIFMTU (set mtu): {}\n"
    assert shared_host.run("ifconfig tapb mtu 1500").text == refused.format("Operation not supported")
    assert shared_host.run("ifconfig vm-mtu mtu 1500").text == refused.format("Invalid argument")
    shared_host.ok("for one in vm-mtu tapa tapb; do ifconfig $one destroy; done")


def test_a_member_of_one_bridge_is_refused_by_another_and_so_is_a_bridge(shared_host: Stage) -> None:
    shared_host.ok("ifconfig bridge create name vm-a addm vtnet1; ifconfig bridge create name vm-b")
    assert shared_host.run("ifconfig vm-b addm vtnet1").text == "ifconfig: BRDGADD vtnet1: Device busy\n"
    assert shared_host.run("ifconfig vm-b span vtnet1").text == "ifconfig: BRDGADDS vtnet1: Device busy\n"
    assert shared_host.run("ifconfig vm-b addm vm-a").text == "ifconfig: BRDGADD vm-a: Invalid argument\n"
    shared_host.ok("ifconfig vm-a destroy; ifconfig vm-b destroy")


def test_addresses_come_and_go(shared_host: Stage) -> None:
    shared_host.ok("ifconfig bridge create name vm-ip inet 10.0.0.1/24; ifconfig vm-ip inet6 2001:db8::1/64")
    shown = shared_host.ok("ifconfig vm-ip")
    assert "\tinet 10.0.0.1 netmask 0xffffff00 broadcast 10.0.0.255\n\tinet6 2001:db8::1 prefixlen 64\n" in shown
    shared_host.ok("ifconfig vm-ip inet 10.0.0.1 -alias; ifconfig vm-ip inet6 2001:db8::1 delete")
    assert "inet" not in shared_host.ok("ifconfig vm-ip")
    gone = shared_host.run("ifconfig vm-ip inet 10.0.0.1 -alias")
    assert gone.text == "ifconfig: ioctl (SIOCDIFADDR): Can't assign requested address\n"
    shared_host.ok("ifconfig vm-ip destroy")


def test_a_vxlan_leaves_room_for_its_headers(shared_host: Stage) -> None:
    shared_host.ok("ifconfig vxlan42 create vxlanid 42 vxlanlocal 192.0.2.10 vxlangroup 239.1.2.3 vxlandev vtnet0")
    shown = shared_host.ok("ifconfig vxlan42")
    assert " mtu 1450\n" in shown
    assert "\tvxlan vni 42 local 192.0.2.10:4789 group 239.1.2.3:4789\n" in shown
    assert shared_host.ok("route add -net 239.1.2.3/32 -iface vtnet0") == "add net 239.1.2.3/32\n"
    assert "route already in table" in shared_host.run("route add -net 239.1.2.3/32 -iface vtnet0").text
    assert shared_host.ok("route delete -net 239.1.2.3/32") == "delete net 239.1.2.3/32\n"
    shared_host.ok("ifconfig vxlan42 destroy")


def test_a_netgraph_bridge_hangs_on_an_interface(shared_host: Stage) -> None:
    shared_host.ok("ngctl mkpeer vtnet1: bridge lower link0 && ngctl name vtnet1:lower lan")
    shown = shared_host.ok("ngctl show lan:").splitlines()
    assert shown[0].split() == ["Name:", "lan", "Type:", "bridge", "ID:", "00000003", "Num", "hooks:", "1"]
    assert shown[-1].split() == ["link0", "vtnet1", "ether", "00000001", "lower"]
    assert shared_host.run("ngctl msg lan: getstats 0").status == 0
    assert shared_host.run("ngctl msg lan: getstats 2").status == 71
    shared_host.ok("ngctl shutdown lan:")
    assert shared_host.run("ngctl show lan:").text == "ngctl: send msg: No such file or directory\n"


def test_one_at_a_time_holds_a_lock(shared_host: Stage) -> None:
    assert shared_host.ok("lockf -k /tmp/lock echo held") == "held\n"
    held = shared_host.run("lockf -k /tmp/lock lockf -t 0 /tmp/lock echo twice")
    assert (held.text, held.status) == ("lockf: /tmp/lock: already locked\n", 75)
    assert shared_host.run("lockf -s /tmp/lock sh -c 'exit 3'").status == 3
    assert shared_host.run("test -e /tmp/lock").status == 1
