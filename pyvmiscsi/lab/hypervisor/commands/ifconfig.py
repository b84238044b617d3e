"""ifconfig(8): clones, bridges and their members, VLANs, VXLANs, addresses, names, groups, descriptions."""

from __future__ import annotations

import errno
import ipaddress
from collections.abc import Callable

from pyvmiscsi.lab.hypervisor.applets import Call
from pyvmiscsi.lab.hypervisor.kernel.interfaces import Interface, Interfaces
from pyvmiscsi.lab.hypervisor.texts import ifconfig_text

LONGEST_GROUP = 15


class RefusedError(Exception):
    """Ends the command with a message and status 1."""


def ifconfig(call: Call) -> int:
    """The whole command."""
    interfaces: Interfaces = call.kernel.interfaces
    words = list(call.argv[1:])
    group = ""
    flags = ""
    while words and words[0].startswith("-") and len(words[0]) > 1:
        flag = words.pop(0)
        if flag == "-g" and words:
            group = words.pop(0)
        else:
            flags += flag[1:]
    try:
        if group and not words:
            names = [found.name for found in interfaces.all() if group in found.groups]
            call.out("".join(f"{name}\n" for name in names))
        elif "l" in flags:
            call.out(" ".join(found.name for found in interfaces.all()) + "\n")
        elif not words:
            _show(call, interfaces, [found.name for found in interfaces.all()])
        elif len(words) == 1:
            _get(interfaces, words[0])
            _show(call, interfaces, words)
        else:
            _configure(call, interfaces, words[0], words[1:])
    except RefusedError as error:
        return call.fail(str(error))
    return 0


def _show(call: Call, interfaces: Interfaces, names: list[str]) -> None:
    with interfaces.lock:
        members = {member for found in interfaces.all() for member in found.members}
        text = "".join(ifconfig_text.shown(interfaces.get(name), is_member=name in members) for name in names)
    call.out(text)


def _get(interfaces: Interfaces, name: str) -> Interface:
    try:
        return interfaces.get(name)
    except OSError:
        raise RefusedError(f"interface {name} does not exist") from None


def _configure(call: Call, interfaces: Interfaces, name: str, words: list[str]) -> None:
    told = ""
    if words[0] in ("create", "plumb"):
        vlan, words = _tag(name, words[1:])
        try:
            made = interfaces.create(name, vlan=vlan)
        except OSError as error:
            raise RefusedError(f"SIOCIFCREATE2 ({name}): {error.strerror}") from error
        told = made.name if made.name != name else ""
        name = made.name
    _get(interfaces, name)
    while words:
        word = words.pop(0)
        if word in ("destroy", "unplumb"):
            _try(f"SIOCIFDESTROY ({name})", lambda: interfaces.destroy(name))  # noqa: B023 - called at once
            return
        if word == "name":
            new = _argument(word, words)
            _try("ioctl SIOCSIFNAME (set name)", lambda: interfaces.rename(name, new))  # noqa: B023 - called at once
            name = told = new
        else:
            _set(call, interfaces, _get(interfaces, name), word, words)
    if told:
        call.out(f"{told}\n")


def _set(call: Call, interfaces: Interfaces, interface: Interface, word: str, words: list[str]) -> None:  # noqa: PLR0912, PLR0915 - a table of words
    name = interface.name
    match word:
        case "up" | "down":
            interface.up = word == "up"
        case "link0" | "-link0":
            interface.link0 = word == "link0"
        case "descr" | "description":
            interface.description = _argument(word, words)
        case "-descr" | "-description":
            interface.description = ""
        case "group":
            group = _argument(word, words)
            if group[-1:].isdigit():
                raise RefusedError("setifgroup: group names may not end in a digit")
            if len(group) > LONGEST_GROUP:
                raise RefusedError("setifgroup: Group name too long")
            if group not in interface.groups:
                interface.groups.append(group)
        case "-group":
            group = _argument(word, words)
            if group not in interface.groups:
                raise RefusedError(" SIOCDIFGROUP: No such file or directory")
            interface.groups.remove(group)
        case "mtu":
            value = _argument(word, words)
            number = int(value) if value.isdigit() else 0
            _try("ioctl SIOCSIFMTU (set mtu)", lambda: interfaces.set_mtu(name, number))
        case "ether" | "link" | "lladdr":
            value = _argument(word, words)
            interface.mac = value if value != "random" else f"58:9c:fc:20:00:{interface.unit & 255:02x}"
        case "addm":
            member = _argument(word, words)
            _try(f"BRDGADD {member}", lambda: interfaces.add_member(name, member))
        case "deletem":
            member = _argument(word, words)
            _try(f"BRDGDEL {member}", lambda: interfaces.delete_member(name, member))
        case "span":
            member = _argument(word, words)
            _try(f"BRDGADDS {member}", lambda: interfaces.add_span(name, member))
        case "-span":
            member = _argument(word, words)
            if member not in interface.spans:
                raise RefusedError(f"BRDGDELS {member}: No such file or directory")
            interface.spans.remove(member)
        case "private" | "-private":
            member = _argument(word, words)
            if member not in interface.members:
                raise RefusedError(f"{member}: No such file or directory")
            (interface.private.add if word == "private" else interface.private.discard)(member)
        case "inet" | "inet6":
            _address(interface, _argument(word, words), words)
        case "vxlanid" | "vxlanlocal" | "vxlangroup" | "vxlanremote" | "vxlandev":
            interface.vxlan[word] = _argument(word, words)
        case "auto_linklocal" | "-auto_linklocal":
            pass
        case _ if "." in word and word.replace(".", "").replace("/", "").isdigit():
            _address(interface, word, words)  # inet is what is meant where no family is named
        case _:
            raise RefusedError(f"{word}: bad value")
    del call


def _tag(name: str, words: list[str]) -> tuple[tuple[str, str] | None, list[str]]:
    """What a vlan is created with, and the other words."""
    if not name.startswith("vlan"):
        return None, words
    found: dict[str, str] = {}
    others: list[str] = []
    while words:
        word = words.pop(0)
        if word in ("vlan", "vlandev"):
            found[word] = _argument(word, words)
        else:
            others.append(word)
    if not found:
        return None, others
    if len(found) == 1:
        raise RefusedError("both vlan and vlandev must be specified")
    if not found["vlan"].isdigit() or not 0 < int(found["vlan"]) < 4095:
        raise RefusedError("invalid vlan number")  # ifvlan.c
    return (found["vlan"], found["vlandev"]), others


def _address(interface: Interface, text: str, words: list[str]) -> None:
    """`inet 10.0.0.1/24`, or with `-alias` behind it."""
    try:
        address = ipaddress.ip_interface(text)
    except ValueError:
        raise RefusedError(f"{text}: bad value") from None
    away = words[:1] in (["-alias"], ["delete"])
    if away:
        words.pop(0)
        start = f"inet{'6' if address.version == 6 else ''} {address.ip} "
        kept = [shown for shown in interface.addresses if not shown.startswith(start)]
        if len(kept) == len(interface.addresses):
            raise RefusedError("ioctl (SIOCDIFADDR): Can't assign requested address")
        interface.addresses = kept
        return
    if words[:1] in (["alias"], ["add"]):
        words.pop(0)
    network = address.network
    if isinstance(network, ipaddress.IPv4Network):
        mask, broadcast = int(network.netmask), network.broadcast_address
        shown = f"inet {address.ip} netmask 0x{mask:08x} broadcast {broadcast}"
    else:
        shown = f"inet6 {address.ip} prefixlen {network.prefixlen}"
    if shown not in interface.addresses:
        interface.addresses.append(shown)


def _argument(word: str, words: list[str]) -> str:
    if not words:
        raise RefusedError(f"'{word}' requires an argument")
    return words.pop(0)


def _try(what: str, action: Callable[[], None]) -> None:
    try:
        action()
    except OSError as error:
        words = "Device not configured" if error.errno == errno.ENXIO else error.strerror
        raise RefusedError(f"{what}: {words}") from error
