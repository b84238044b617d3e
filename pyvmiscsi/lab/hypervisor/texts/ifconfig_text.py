"""What ifconfig(8) prints of an interface. Pure."""

from __future__ import annotations

from pyvmiscsi.lab.hypervisor.kernel.interfaces import Interface

UP, BROADCAST, LOOPBACK, RUNNING, PROMISC, SIMPLEX, MULTICAST = 0x1, 0x2, 0x8, 0x40, 0x100, 0x800, 0x8000
LINK0 = 0x1000
LOWER_UP = 0x1000000
NAMES = (
    (UP, "UP"),
    (BROADCAST, "BROADCAST"),
    (LOOPBACK, "LOOPBACK"),
    (RUNNING, "RUNNING"),
    (PROMISC, "PROMISC"),
    (SIMPLEX, "SIMPLEX"),
    (LINK0, "LINK0"),
    (MULTICAST, "MULTICAST"),
    (LOWER_UP, "LOWER_UP"),
)


def flags(interface: Interface, *, is_member: bool) -> str:
    """`flags=1008843<UP,…>`."""
    if interface.driver == "lo":
        value = UP | LOOPBACK | RUNNING | MULTICAST | LOWER_UP
    else:
        value = BROADCAST | SIMPLEX | MULTICAST | LOWER_UP
        running = interface.driver != "tap" or interface.opened_by
        value |= UP if interface.up else 0
        value |= RUNNING if interface.up and running else 0
        value |= PROMISC if is_member else 0
        value |= LINK0 if interface.link0 else 0
    return f"flags={value:x}<{','.join(name for bit, name in NAMES if value & bit)}>"


def shown(interface: Interface, *, is_member: bool) -> str:
    """The block of one interface."""
    lines = [f"{interface.name}: {flags(interface, is_member=is_member)} metric 0 mtu {interface.mtu}"]
    if interface.description:
        lines.append(f"\tdescription: {interface.description}")
    lines.append(
        {"tap": "\toptions=80000<LINKSTATE>", "bridge": "\toptions=0"}.get(
            interface.driver, "\toptions=80000<LINKSTATE>"
        )
    )
    if interface.mac:
        lines.append(f"\tether {interface.mac}")
    lines += [f"\t{address}" for address in interface.addresses]
    if interface.vlan:
        lines.append(
            f"\tvlan: {interface.vlan.get('vlan', '0')} vlanproto: 802.1q vlanpcp: 0 parent interface: "
            f"{interface.vlan.get('vlandev', '<none>')}"
        )
    if interface.vxlan:
        local, group = interface.vxlan.get("vxlanlocal", "0.0.0.0"), interface.vxlan.get("vxlangroup")  # noqa: S104 - text
        peer = f"group {group}" if group else f"remote {interface.vxlan.get('vxlanremote', '0.0.0.0')}"  # noqa: S104 - text
        lines.append(f"\tvxlan vni {interface.vxlan.get('vxlanid', '-1')} local {local}:4789 {peer}:4789")
    if interface.driver == "bridge":
        lines += _bridge(interface)
    if interface.groups:
        lines.append(f"\tgroups: {' '.join(interface.groups)}")
    if interface.driver in ("tap", "vtnet"):
        active = interface.opened_by or interface.driver != "tap"
        lines.append(
            "\tmedia: Ethernet 1000baseT <full-duplex>"
            if interface.driver == "tap"
            else "\tmedia: Ethernet autoselect (10Gbase-T <full-duplex>)"
        )
        lines.append(f"\tstatus: {'active' if active else 'no carrier'}")
    lines.append("\tnd6 options=29<PERFORMNUD,IFDISABLED,AUTO_LINKLOCAL>")
    if interface.driver == "tap" and interface.opened_by:
        lines.append(f"\tOpened by PID {interface.opened_by}")
    return "".join(f"{line}\n" for line in lines)


def _bridge(interface: Interface) -> list[str]:
    lines = [
        "\tid 00:00:00:00:00:00 priority 32768 hellotime 2 fwddelay 15",
        "\tmaxage 20 holdcnt 6 proto rstp maxaddr 2000 timeout 1200",
        "\troot id 00:00:00:00:00:00 priority 32768 ifcost 0 port 0",
    ]
    for number, member in enumerate(interface.members, 5):
        private = member in interface.private
        value = (
            "943<LEARNING,DISCOVER,AUTOEDGE,AUTOPTP,PRIVATE>" if private else "143<LEARNING,DISCOVER,AUTOEDGE,AUTOPTP>"
        )
        lines += [
            f"\tmember: {member} flags={value}",
            f"\t        ifmaxaddr 0 port {number} priority 128 path cost 2000000",
        ]
    for member in interface.spans:
        lines += [f"\tmember: {member} flags=8<SPAN>", "\t        ifmaxaddr 0 port 0 priority 128 path cost 0"]
    return lines
