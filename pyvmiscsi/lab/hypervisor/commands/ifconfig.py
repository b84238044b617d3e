"""ifconfig(8): clones, bridges and their members, names, groups, descriptions."""

from __future__ import annotations

import errno
from collections.abc import Callable

from pyvmiscsi.lab.hypervisor.applets import Call
from pyvmiscsi.lab.hypervisor.kernel.interfaces import Interface, Interfaces
from pyvmiscsi.lab.hypervisor.texts import ifconfig_text


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
        try:
            made = interfaces.create(name)
        except OSError as error:
            raise RefusedError(f"SIOCIFCREATE2 ({name}): {error.strerror}") from error
        told = made.name if made.name != name else ""
        name, words = made.name, words[1:]
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
        case "descr" | "description":
            interface.description = _argument(word, words)
        case "-descr" | "-description":
            interface.description = ""
        case "group":
            group = _argument(word, words)
            if group[-1:].isdigit():
                raise RefusedError("setifgroup: group names may not end in a digit")
            if group not in interface.groups:
                interface.groups.append(group)
        case "-group":
            group = _argument(word, words)
            if group not in interface.groups:
                raise RefusedError(" SIOCDIFGROUP: No such file or directory")
            interface.groups.remove(group)
        case "mtu":
            value = _argument(word, words)
            if not value.isdigit() or not 68 <= int(value) <= 65535:
                raise RefusedError("ioctl SIOCSIFMTU (set mtu): Invalid argument")
            if any(name in other.members and other.mtu != int(value) for other in interfaces.all()):
                raise RefusedError("ioctl SIOCSIFMTU (set mtu): Invalid argument")
            interface.mtu = int(value)
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
            _get(interfaces, member)
            interface.spans.append(member)
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
            value = _argument(word, words)
            interface.addresses.append(f"{word} {value}")
        case "vlan" | "vlandev":
            interface.vlan[word] = _argument(word, words)
        case _:
            raise RefusedError(f"{word}: bad value")
    del call


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
