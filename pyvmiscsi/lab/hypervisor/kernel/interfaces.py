"""Network interfaces: tap, bridge, vlan and vxlan are made and destroyed, vtnet0, vtnet1 and lo0 are there.

Who may join what, and what becomes of MTUs, is as in FreeBSD's sys/net/if_bridge.c, if.c, if_vlan.c and if_vxlan.c.
"""

from __future__ import annotations

import errno
import os
import threading
from dataclasses import dataclass, field

CLONERS = ("bridge", "epair", "gif", "lo", "tap", "tun", "vlan", "vmnet", "vxlan")
LONGEST = 15  # IFNAMSIZ less the NUL
MTUS = range(72, 65536)  # IF_MINMTU to IF_MAXMTU
SMALLEST_OF_A_BRIDGE = 576
OF_A_TUNNEL = 1450  # 1500 less Ethernet's, IPv4's, UDP's and VXLAN's own headers


@dataclass
class Interface:
    """One interface. `driver` is what it was before it was renamed."""

    name: str
    driver: str
    unit: int
    mac: str = ""
    mtu: int = 1500
    up: bool = False
    link0: bool = False
    """Of a tap: stays up when it is closed (tap(4))."""
    description: str = ""
    groups: list[str] = field(default_factory=list)
    members: list[str] = field(default_factory=list)
    spans: list[str] = field(default_factory=list)
    private: set[str] = field(default_factory=set)
    addresses: list[str] = field(default_factory=list)
    opened_by: int = 0
    vlan: dict[str, str] = field(default_factory=dict)
    vxlan: dict[str, str] = field(default_factory=dict)


class Interfaces:
    """All interfaces of the host, in the order they came."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._all: dict[str, Interface] = {}
        self._all["vtnet0"] = Interface(
            "vtnet0", "vtnet", 0, mac="58:9c:fc:00:00:01", up=True, addresses=["inet 192.0.2.10 netmask 0xffffff00"]
        )
        self._all["vtnet1"] = Interface("vtnet1", "vtnet", 1, mac="58:9c:fc:00:00:02", up=True)
        self._all["lo0"] = Interface(
            "lo0", "lo", 0, mtu=16384, up=True, groups=["lo"], addresses=["inet 127.0.0.1 netmask 0xff000000"]
        )

    def all(self) -> list[Interface]:
        with self.lock:
            return list(self._all.values())

    def get(self, name: str) -> Interface:
        """ENXIO when there is none, as SIOCGIFFLAGS answers."""
        with self.lock:
            if name not in self._all:
                raise OSError(errno.ENXIO, "Device not configured", name)
            return self._all[name]

    def create(self, name: str, *, vlan: tuple[str, str] | None = None) -> Interface:
        """`tap` takes the lowest free unit, `tap7` that one; EEXIST, EINVAL for what cannot be cloned.

        `vlan` is the tag and its parent: ENXIO without the parent, EEXIST when that has the tag already.
        """
        driver = name.rstrip("0123456789")
        if driver not in CLONERS:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), name)
        with self.lock:
            if vlan is not None:
                self._refuse_tag(*vlan)
            units = {found.unit for found in self._all.values() if found.driver == driver}
            if name == driver:
                unit = next(number for number in range(32768) if number not in units)
            else:
                unit = int(name[len(driver) :])
                if unit in units:
                    raise OSError(errno.EEXIST, os.strerror(errno.EEXIST), name)
            made = Interface(
                f"{driver}{unit}", driver, unit, mac=f"58:9c:fc:10:{unit >> 8:02x}:{unit & 255:02x}", groups=[driver]
            )
            self._all[made.name] = made
            if vlan is not None:
                made.vlan = {"vlan": vlan[0], "vlandev": vlan[1]}
                made.mtu, made.mac = self._all[vlan[1]].mtu, self._all[vlan[1]].mac
            if driver == "vxlan":
                made.mtu = OF_A_TUNNEL
            return made

    def _refuse_tag(self, tag: str, parent: str) -> None:
        if self.get(parent).driver in ("lo", "tun"):
            raise OSError(errno.EPROTONOSUPPORT, "Protocol not supported", parent)
        if any(found.vlan == {"vlan": tag, "vlandev": parent} for found in self._all.values()):
            raise OSError(errno.EEXIST, os.strerror(errno.EEXIST), parent)

    def destroy(self, name: str) -> None:
        """ENXIO; EINVAL for one that was not cloned."""
        with self.lock:
            interface = self.get(name)
            if interface.driver not in CLONERS or name == "lo0":
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), name)
            del self._all[name]
            for other in self._all.values():
                if name in other.members:
                    other.members.remove(name)
                if name in other.spans:
                    other.spans.remove(name)
                if other.vlan.get("vlandev") == name:
                    other.vlan = {}

    def rename(self, name: str, new: str) -> None:
        """EEXIST, ENAMETOOLONG."""
        with self.lock:
            interface = self.get(name)
            if new in self._all:
                raise OSError(errno.EEXIST, os.strerror(errno.EEXIST), new)
            if len(new) > LONGEST:
                raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), new)
            interface.name = new
            self._all = {(new if key == name else key): value for key, value in self._all.items()}
            for other in self._all.values():
                other.members = [new if member == name else member for member in other.members]
                other.spans = [new if member == name else member for member in other.spans]
                if other.vlan.get("vlandev") == name:
                    other.vlan["vlandev"] = new

    def set_mtu(self, name: str, mtu: int) -> None:
        """EINVAL; EOPNOTSUPP for a member of a bridge, which has the bridge's."""
        with self.lock:
            interface = self.get(name)
            if mtu not in MTUS or (interface.driver == "bridge" and mtu < SMALLEST_OF_A_BRIDGE):
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), name)
            if any(name in other.members for other in self._all.values()):
                raise OSError(errno.EOPNOTSUPP, "Operation not supported", name)
            if any(self._all[member].mtu != mtu for member in interface.members):
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), name)
            parent = self._all.get(interface.vlan.get("vlandev", ""))
            if parent is not None and mtu > parent.mtu:
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), name)
            interface.mtu = mtu

    def add_member(self, bridge: str, member: str) -> None:
        """EEXIST when it is in it, EBUSY when it is in another bridge, ENOENT when there is no such member.

        The first member gives the bridge its MTU, the others are given the bridge's.
        """
        with self.lock:
            found = self.get(bridge)
            if member not in self._all:
                raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), member)
            if member in found.members:
                raise OSError(errno.EEXIST, os.strerror(errno.EEXIST), member)
            if member in found.spans or any(member in other.members for other in self._all.values()):
                raise OSError(errno.EBUSY, "Device busy", member)
            if self._all[member].driver in ("bridge", "lo", "tun"):
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), member)
            if found.members:
                self._all[member].mtu = found.mtu
            else:
                found.mtu = self._all[member].mtu
            found.members.append(member)

    def add_span(self, bridge: str, member: str) -> None:
        """ENOENT, EBUSY when it is in a bridge already, or a span of this one."""
        with self.lock:
            found = self.get(bridge)
            if member not in self._all:
                raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), member)
            if member in found.spans or any(member in other.members for other in self._all.values()):
                raise OSError(errno.EBUSY, "Device busy", member)
            found.spans.append(member)

    def delete_member(self, bridge: str, member: str) -> None:
        with self.lock:
            found = self.get(bridge)
            if member not in found.members:
                raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), member)
            found.members.remove(member)

    def open_tap(self, name: str, pid: int) -> None:
        """ENOENT, EBUSY; an opened tap is up when net.link.tap.up_on_open is set."""
        with self.lock:
            if name not in self._all:
                raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), name)
            interface = self._all[name]
            if interface.opened_by:
                raise OSError(errno.EBUSY, "Device busy", name)
            interface.opened_by = pid

    def close_tap(self, name: str) -> None:
        """It goes down with that, unless it has the flag link0."""
        with self.lock:
            if name in self._all:
                self._all[name].opened_by = 0
                self._all[name].up = self._all[name].up and self._all[name].link0
