"""vm-bhyve's switches, as its `system.conf` has them: read, checked, changed without losing anything else. Pure.

Keys and types are those of vm-bhyve 1.5 to 1.8 (`lib/vm-switch*`; freebsd.md 5.2 and 5.4), so that its `vm switch` and
`pyvmiscsi switch` go on with each other's file.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from pyvmiscsi.bhyve.configuration.conf_text import ConfText, is_true
from pyvmiscsi.errors import InputError, NotFoundError, UnsupportedError

LONGEST_INTERFACE_NAME = 15
"""IFNAMSIZ without its NUL: net/if.h."""

TYPES = ("standard", "manual", "vale", "vxlan", "netgraph")

_KEYS = ("type", "bridge", "ports", "vlan", "addr", "addr6", "private", "mtu", "nat")
_NAME = re.compile(r"[a-z0-9][a-z0-9_]{0,30}[a-z0-9]")
_INTERFACE = re.compile(r"[A-Za-z][A-Za-z0-9._]*")
_LARGEST_VLAN = 4094
_MTUS = range(576, 9001)
_BY_HAND = {
    "manual": "a manual switch is configured in the host's /etc/rc.conf",
    "vale": "a vale switch is configured on the host, with valectl(8)",
    "netgraph": "a netgraph switch is configured on the host, with ngctl(8)",
    "vxlan": "of a vxlan switch it is said when it is created",
}


@dataclass(frozen=True, slots=True)
class Switch:
    """A virtual switch. What the file says of it and cannot be understood is in `mistakes`, one line each."""

    name: str
    kind: str = "standard"
    bridge: str | None = None
    """The bridge that somebody else makes, of a `manual` one."""
    private: bool = False
    """Whether guests on it do not hear each other."""
    ports: tuple[str, ...] = ()
    """The host's interfaces in it."""
    vlan: int | None = None
    """The VLAN of its ports; of a `vxlan` one the VXLAN network identifier."""
    address: str | None = None
    address6: str | None = None
    mtu: int | None = None
    mistakes: tuple[str, ...] = ()

    @property
    def has_bridge(self) -> bool:
        """Whether guests come into it through a tap in a bridge(4)."""
        return self.kind in ("standard", "manual", "vxlan")

    @property
    def group(self) -> str:
        """The interface group by which vm-bhyve finds the switch's bridge, whatever its name."""
        return group_of(self.name)

    @property
    def bridge_name(self) -> str:
        """What its bridge is called; one with too long a name is found by `group` alone."""
        return self.bridge or f"vm-{self.name}"

    @property
    def members(self) -> tuple[str, ...]:
        """The interfaces that its bridge has besides guests'."""
        if self.kind == "vxlan":
            return (f"vxlan{self.vlan}",)
        return tuple(f"{port}.{self.vlan}" if self.vlan else port for port in self.ports)

    @property
    def multicast(self) -> str:
        """The multicast group of a `vxlan` one: 239 and three bytes of the MD5 of its name."""
        octets = hashlib.md5(self.name.encode(), usedforsecurity=False).digest()[:3]
        return ".".join(str(octet) for octet in (239, *octets))


def group_of(name: str) -> str:
    """vm-bhyve's interface group for a switch, or for `em0.10`, the VLAN interface of a port."""
    return f"viid-{digest(name)}@"


def digest(text: str) -> str:
    """The first five hexadecimal digits of the text's MD5, as vm-bhyve shortens names; no secret depends on it."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:5]


def parse_switches(text: str) -> dict[str, Switch]:
    """The switches of a `system.conf` by name, in the order of its `switch_list`."""
    conf = ConfText(text)
    return {name: _parse(name, conf) for name in (conf.get("switch_list") or "").split()}


def checked(switch: Switch) -> Switch:
    """The same switch, if it is one that can be made; InputError naming the first thing that is wrong with it."""
    for problem in _problems(switch):
        raise InputError(f"switch {switch.name}: {problem}")
    return switch


def changes(conf: ConfText, before: Switch | None, after: Switch | None) -> dict[str, str | None]:
    """What `conf` must be told so that it says `after` where it said `before`; None is no such switch."""
    name = (after or before or Switch("")).name
    if _NAME.fullmatch(name) is None:
        raise InputError(f"switch {name}: its name is none that sysrc(8) could write", hint="edit the file by hand")
    old, new = _settings(before), _settings(after)
    told: dict[str, str | None] = {key: None for key in old if key not in new}
    listed = (conf.get("switch_list") or "").split()
    if after is None:
        told = {f"{key}_{name}": None for key in _KEYS}
        told["switch_list"] = " ".join(one for one in listed if one != name) or None
    elif name not in listed:
        told |= {"switch_list": " ".join((*listed, name))}
    return told | {key: value for key, value in new.items() if old.get(key) != value}


# what can be changed of a switch; each answers the switch as it is to be


def with_port(switch: Switch, port: str) -> Switch:
    _refuse_unless_standard(switch, "its ports")
    return checked(replace(switch, ports=(*(one for one in switch.ports if one != port), port)))


def without_port(switch: Switch, port: str) -> Switch:
    """NotFoundError when it has no such port."""
    _refuse_unless_standard(switch, "its ports")
    if port not in switch.ports:
        has = " ".join(switch.ports) or "none"
        raise NotFoundError(f"switch {switch.name}: {port} is none of its ports", hint=f"it has: {has}")
    return replace(switch, ports=tuple(one for one in switch.ports if one != port))


def with_vlan(switch: Switch, vlan: int) -> Switch:
    """Its ports in this VLAN; 0 for none."""
    _refuse_unless_standard(switch, "its VLAN")
    return checked(replace(switch, vlan=vlan or None))


def with_address(switch: Switch, address: str) -> Switch:
    """The host's own address in it, one of IPv4 and one of IPv6, as `10.0.0.1/24`; `none` takes both away."""
    _refuse_unless_standard(switch, "its address")
    if address == "none":
        return replace(switch, address=None, address6=None)
    if ":" in address:
        return checked(replace(switch, address6=address))
    return checked(replace(switch, address=address))


def with_private(switch: Switch, private: bool) -> Switch:
    """For guests that are started from then on."""
    if switch.kind in ("vale", "netgraph"):
        raise UnsupportedError(f"switch {switch.name}: guests on a {switch.kind} switch cannot be kept apart")
    return replace(switch, private=private)


def _refuse_unless_standard(switch: Switch, what: str) -> None:
    if switch.kind != "standard":
        hint = _BY_HAND.get(switch.kind, "its type is none that is known")
        raise UnsupportedError(f"switch {switch.name}: {what} cannot be changed", hint=hint)


def _parse(name: str, conf: ConfText) -> Switch:
    mistakes: list[str] = []

    def number(key: str) -> int | None:
        text = conf.get(key)
        if text and not text.isdecimal():
            mistakes.append(f"{key}: {text!r} is not a number")
        return int(text) if text and text.isdecimal() else None

    switch = Switch(
        name,
        conf.get(f"type_{name}") or "standard",
        conf.get(f"bridge_{name}") or None,
        is_true(conf.get(f"private_{name}")),
        tuple((conf.get(f"ports_{name}") or "").split()),
        number(f"vlan_{name}") or None,
        conf.get(f"addr_{name}") or None,
        conf.get(f"addr6_{name}") or None,
        number(f"mtu_{name}"),
    )
    return replace(switch, mistakes=(*mistakes, *_problems(switch, named=False)))


def _settings(switch: Switch | None) -> dict[str, str]:
    if switch is None:
        return {}
    values = {
        "type": switch.kind,
        "bridge": switch.bridge,
        "ports": " ".join(switch.ports),
        "vlan": switch.vlan and str(switch.vlan),
        "addr": switch.address,
        "addr6": switch.address6,
        "private": switch.private and "yes",
        "mtu": switch.mtu and str(switch.mtu),
    }
    return {f"{key}_{switch.name}": value for key, value in values.items() if value}


def _problems(switch: Switch, *, named: bool = True) -> Iterator[str]:
    """All that keeps it from being made; `named`: also a name that vm-bhyve, or sysrc(8), would refuse."""
    if named and _NAME.fullmatch(switch.name) is None:
        yield "a name has 2 to 32 lower-case letters, digits and '_'"
    if switch.kind not in TYPES:
        yield f"{switch.kind!r} is not a type: {', '.join(TYPES)}"
    if switch.kind == "manual" and switch.bridge is None:
        yield "a manual switch needs the name of its bridge"
    if switch.kind == "vxlan" and (switch.vlan is None or len(switch.ports) != 1):
        yield "a vxlan switch needs one interface, and a VLAN number"
    if switch.vlan is not None and not 0 < switch.vlan <= _LARGEST_VLAN:
        yield f"{switch.vlan} is not a VLAN number: 1 to {_LARGEST_VLAN}"
    if switch.mtu is not None and switch.mtu not in _MTUS:
        yield f"{switch.mtu} is not an MTU: {_MTUS[0]} to {_MTUS[-1]}"
    yield from _bad_interfaces(switch)
    yield from _bad_addresses(switch)
    yield from _out_of_place(switch)


def _bad_interfaces(switch: Switch) -> Iterator[str]:
    for name in (*((switch.bridge,) if switch.bridge else ()), *switch.ports, *switch.members):
        if _INTERFACE.fullmatch(name) is None:
            yield f"{name!r} is not the name of an interface"
        elif len(name) > LONGEST_INTERFACE_NAME:
            yield f"{name!r} is too long for an interface: {LONGEST_INTERFACE_NAME} characters"


def _bad_addresses(switch: Switch) -> Iterator[str]:
    for address, version in ((switch.address, 4), (switch.address6, 6)):
        if address is not None and not _is_address(address, version):
            example = "192.0.2.1/24" if version == 4 else "2001:db8::1/64"
            yield f"{address!r} is not an IPv{version} address with its prefix length, as in {example}"


def _is_address(text: str, version: int) -> bool:
    try:
        return "/" in text and ipaddress.ip_interface(text).version == version
    except ValueError:
        return False


def _out_of_place(switch: Switch) -> Iterator[str]:
    """What vm-bhyve would take for such a switch, and never look at."""
    unused = {
        "manual": ("ports", "vlan", "address", "address6", "mtu"),
        "vale": ("bridge", "ports", "vlan", "address", "address6", "mtu", "private"),
        "netgraph": ("bridge", "ports", "vlan", "address", "address6", "mtu", "private"),
        "vxlan": ("bridge", "mtu"),
        "standard": ("bridge",),
    }
    for word in unused.get(switch.kind, ()):
        if getattr(switch, word):
            yield f"a {switch.kind} switch has no {word.rstrip('6')}"
