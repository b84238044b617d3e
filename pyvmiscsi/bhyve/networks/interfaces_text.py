"""What ifconfig(8) shows of a host's interfaces. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_HEAD = re.compile(r"(?P<name>\S+): flags=[0-9a-f]+<(?P<flags>[^>]*)>.* mtu (?P<mtu>\d+)")
_MEMBER = re.compile(r"\tmember: (\S+) flags=[0-9a-f]+<([^>]*)>")
_INET = re.compile(r"\tinet (\S+) (?:--> \S+ )?netmask (0x[0-9a-f]{8})")
_INET6 = re.compile(r"\tinet6 (\S+?)(?:%\S+)? prefixlen (\d+)")
_VLAN = re.compile(r"\tvlan: (\d+) .*parent interface: (\S+)")


@dataclass(frozen=True, slots=True)
class Interface:
    """One interface of a host. Addresses are as in `192.0.2.1/24`."""

    name: str
    mtu: int = 1500
    flags: tuple[str, ...] = ()
    """As ifconfig(8) names them, `UP` for example."""
    description: str = ""
    groups: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    """Of a bridge: what it connects."""
    spans: tuple[str, ...] = ()
    """Of a bridge: what it sends a copy of everything to."""
    vlan: int | None = None
    parent: str | None = None
    """Of a VLAN: the interface that carries it."""

    def has(self, *flags: str) -> bool:
        return set(flags) <= set(self.flags)


Interfaces = Mapping[str, Interface]


@dataclass
class _Block:
    name: str
    mtu: int
    flags: tuple[str, ...]
    description: str = ""
    groups: tuple[str, ...] = ()
    addresses: list[str] = field(default_factory=list)
    members: list[str] = field(default_factory=list)
    spans: list[str] = field(default_factory=list)
    vlan: int | None = None
    parent: str | None = None


def parse_interfaces(text: str) -> dict[str, Interface]:
    """Every interface by its name, in the order shown; lines that say nothing of use are passed over."""
    found: list[_Block] = []
    for line in text.splitlines():
        head = _HEAD.match(line)
        if head:
            found.append(_Block(head["name"], int(head["mtu"]), tuple(head["flags"].split(","))))
        elif found:
            _read(found[-1], line)
    return {
        one.name: Interface(
            one.name,
            one.mtu,
            one.flags,
            one.description,
            one.groups,
            tuple(one.addresses),
            tuple(one.members),
            tuple(one.spans),
            one.vlan,
            one.parent,
        )
        for one in found
    }


def _read(block: _Block, line: str) -> None:
    if line.startswith("\tdescription: "):
        block.description = line.removeprefix("\tdescription: ")
    elif line.startswith("\tgroups: "):
        block.groups = tuple(line.split()[1:])
    elif match := _MEMBER.match(line):
        (block.spans if "SPAN" in match[2].split(",") else block.members).append(match[1])
    elif match := _INET.match(line):
        block.addresses += _address(match[1], int(match[2], 16).bit_count())
    elif match := _INET6.match(line):
        block.addresses += _address(match[1], int(match[2]))
    elif match := _VLAN.match(line):
        block.vlan, block.parent = int(match[1]), match[2]


def _address(text: str, prefix: int) -> list[str]:
    """As in `192.0.2.1/24`; none where it is no address."""
    try:
        return [str(ipaddress.ip_interface(f"{text}/{prefix}"))]
    except ValueError:
        return []


def has_address(interface: Interface, address: str) -> bool:
    """Whether it has this address, however either is spelt."""
    wanted = ipaddress.ip_interface(address)
    return any(ipaddress.ip_interface(one) == wanted for one in interface.addresses)
