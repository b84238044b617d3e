"""What a host must run for a switch to be so there, from what it shows of its interfaces. Pure.

The commands are those of vm-bhyve (`lib/vm-switch-standard`, `-vxlan`, `-manual`; freebsd.md 5.4), so that each finds
what the other has made. A bridge gets the group by which it is found last of all: one that was cut short is gone on
with, and never taken for a whole one.

What FreeBSD's `sys/net/if_bridge.c` and `if.c` make of MTUs: the first member gives the bridge its own; later ones must
have it, and from 13.2 on are given it; a member's cannot be changed. So every port and tap gets it before it joins.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from pyvmiscsi.bhyve.networks.interfaces_text import Interface, Interfaces, has_address
from pyvmiscsi.bhyve.networks.switches import LONGEST_INTERFACE_NAME, Switch, group_of
from pyvmiscsi.errors import BusyError, ConfigError, ConflictError, NotFoundError
from pyvmiscsi.quoting import quote

BUSY = 75
"""Exit status of a script that found the bridge made, or with another member, since it was looked at."""

PORTS = "vm-port"
"""vm-bhyve's interface group of guests' taps."""

_IFCONFIG, _ROUTE = "/sbin/ifconfig", "/sbin/route"
_BRIDGE = "$bridge"
"""Stands for the bridge, whose name may be known only once it is made."""

_SWITCHES, _VLANS = "vm-switch", "vm-vlan"
"""vm-bhyve's interface groups of bridges, and of the VLAN and VXLAN interfaces it makes."""

Command = tuple[str, ...]


def find_bridge(switch: Switch, seen: Interfaces) -> Interface | None:
    """The switch's bridge as the host shows it, also one that was not finished; None when it has none."""
    if switch.kind == "manual":
        return seen.get(switch.bridge_name)
    grouped = [one for one in seen.values() if switch.group in one.groups]
    named = [one for one in (*grouped, *seen.values()) if _SWITCHES in one.groups and _is_named_for(switch, one)]
    return next(iter((*named, *grouped)), None)


def is_made(switch: Switch, seen: Interfaces) -> bool:
    """Whether guests can be plugged into it: its bridge is there, and was finished."""
    if not switch.has_bridge:
        return True
    bridge = find_bridge(switch, seen)
    return bridge is not None and (switch.kind == "manual" or switch.group in bridge.groups)


def guests_on(bridge: Interface, seen: Interfaces) -> tuple[str, ...]:
    """The taps of guests in a bridge, each as vm-bhyve describes it: `vmnet/web1/0/public`."""
    ports = (seen.get(name) for name in (*bridge.members, *bridge.spans))
    return tuple(one.description or one.name for one in ports if one is not None and PORTS in one.groups)


def differences(switch: Switch, seen: Interfaces) -> tuple[str, ...]:
    """In what the host's bridge is not as the file says, in a few words each; empty when it is so."""
    if not switch.has_bridge:
        return ()
    bridge = find_bridge(switch, seen)
    if bridge is None:
        return (f"no bridge {switch.bridge_name}",)
    found = [] if switch.group in bridge.groups else ["not finished"]
    found += [f"without {name}" for name in switch.members if name not in bridge.members]
    found += [f"without {address}" for address in _addresses(switch) if not has_address(bridge, address)]
    if switch.mtu and bridge.mtu != switch.mtu:
        found.append(f"MTU {bridge.mtu}")
    return tuple(found)


def to_make(switch: Switch, seen: Interfaces, host: str) -> tuple[Command, ...]:
    """The commands that make the switch on a host, or finish it; none where it is as it should be.

    Raises NotFoundError for an interface the host lacks, ConflictError for one that serves something else.
    """
    if switch.mistakes:
        raise ConfigError(f"switch {switch.name}: {switch.mistakes[0]}", hint="correct it in system.conf")
    if not differences(switch, seen):
        return ()
    if switch.kind == "manual":
        return _to_adopt(switch, seen, host)
    bridge = find_bridge(switch, seen)
    commands = [] if bridge else [_creation(switch, seen, host), (_IFCONFIG, _BRIDGE, "link", "random")]
    shown = bridge or Interface("")
    commands += [
        (_IFCONFIG, _BRIDGE, "inet6" if ":" in address else "inet", address)
        for address in _addresses(switch)
        if not has_address(shown, address)
    ]
    if switch.mtu and switch.mtu != shown.mtu:
        if shown.members:
            raise ConflictError(
                f"switch {switch.name}: on {host} its MTU is {shown.mtu}, not {switch.mtu}, and nothing may be in it",
                hint=f"stop its guests, then: ifconfig {shown.name} destroy; the next start makes it anew",
            )
        commands.append((_IFCONFIG, _BRIDGE, "mtu", str(switch.mtu)))
    commands += _Joining(switch, shown, seen, host).commands()
    if switch.group not in shown.groups:
        commands.append((_IFCONFIG, _BRIDGE, "group", switch.group))
    return tuple(commands)


def to_change(before: Switch, after: Switch, seen: Interfaces, host: str) -> tuple[Command, ...]:
    """The commands that make the switch `after` of what was `before`; guests' taps stay in it."""
    bridge = find_bridge(after, seen) or Interface("")
    gone = [name for name in before.members if name in bridge.members and name not in after.members]
    gone += [name for name in _made_for(after, seen) if name not in (*after.members, *gone)]
    kept = _addresses(after)
    commands = [_to_leave(name, seen) for name in gone]
    commands += [
        (_IFCONFIG, _BRIDGE, "inet6" if ":" in one else "inet", one.partition("/")[0], "-alias")
        for one in _addresses(before)
        if one not in kept and has_address(bridge, one)
    ]
    left = replace(bridge, members=tuple(name for name in bridge.members if name not in gone))
    others = {name: one for name, one in seen.items() if name != bridge.name}
    return (*commands, *to_make(after, others | ({left.name: left} if left.name else {}), host))


def to_unmake(switch: Switch, seen: Interfaces, host: str) -> tuple[Command, ...]:
    """The commands that take the switch from a host; none where it is not.

    Raises BusyError while guests are on it, or anything else that the file does not name.
    """
    bridge = find_bridge(switch, seen)
    if bridge is not None:
        _refuse_used(switch, bridge, seen, host)
    if switch.kind == "manual":
        if bridge is None or switch.group not in bridge.groups:
            return ()
        is_anothers = any(group.startswith("viid-") and group != switch.group for group in bridge.groups)
        marks = (switch.group,) if is_anothers else (switch.group, _SWITCHES)
        return tuple((_IFCONFIG, _BRIDGE, "-group", group) for group in marks)
    names = dict.fromkeys((*(bridge.members if bridge else ()), *_made_for(switch, seen)))
    commands = [_to_leave(name, seen) for name in names]
    if switch.kind == "vxlan" and commands:
        commands.append((_ROUTE, "-q", "delete", "-net", f"{switch.multicast}/32"))
    if bridge is not None:
        commands.append((_IFCONFIG, _BRIDGE, "destroy"))
    return tuple(commands)


def render(commands: tuple[Command, ...], bridge: Interface | None) -> str:
    """A sh script that runs them until one fails, one such script at a time.

    It does nothing and ends with `BUSY` when a bridge to be made is there by now, or one to go has a new member.
    """
    lines = ["# change the bridge of a switch"]
    if bridge is not None:
        lines.append(f"bridge={quote(bridge.name)}")
        if (_IFCONFIG, _BRIDGE, "destroy") in commands:
            lines += _refusing_newcomers(bridge)
    for command in commands:
        words = " ".join(f'"{word}"' if word == _BRIDGE else quote(word) for word in command)
        if command[1:3] == ("bridge", "create"):
            group = quote(commands[-1][-1])  # the mark of one that is complete
            lines.append(f'[ -z "$({_IFCONFIG} -g {group} 2>/dev/null)" ] || exit {BUSY}')
            lines.append(f"bridge=$({words}) || exit 71")
        elif command[0] == _ROUTE:
            lines.append(f"{words} || :")  # as vm-bhyve: it may be there, or gone, already
        else:
            lines.append(f"{words} >/dev/null || exit 71")
    return "\n".join(lines) + "\n"


def _refusing_newcomers(bridge: Interface) -> Iterator[str]:
    """Nobody has joined since it was looked at: a guest that is started in this very second, say."""
    known = " ".join((*bridge.members, *bridge.spans))
    yield f"known={quote(f' {known} ')}"
    yield f'for member in $({_IFCONFIG} "$bridge" | /usr/bin/awk \'$1 == "member:" {{ print $2 }}\'); do'
    yield f'    case $known in *" $member "*) ;; *) exit {BUSY} ;; esac'
    yield "done"


def _is_named_for(switch: Switch, one: Interface) -> bool:
    return one.name == f"vm-{switch.name}" or one.description == f"vm/{switch.name}"


def _addresses(switch: Switch) -> tuple[str, ...]:
    return tuple(one for one in (switch.address, switch.address6) if one)


def _creation(switch: Switch, seen: Interfaces, host: str) -> Command:
    name = f"vm-{switch.name}"
    if len(name) > LONGEST_INTERFACE_NAME:
        return (_IFCONFIG, "bridge", "create", "descr", f"vm/{switch.name}", "group", _SWITCHES, "up")
    if name in seen:
        raise ConflictError(
            f"switch {switch.name}: {host} has an interface {name} that is no switch",
            hint=f"rename it, or use it as it is: pyvmiscsi switch create -t manual -b {name} NAME",
        )
    return (_IFCONFIG, "bridge", "create", "name", name, "group", _SWITCHES, "up")


def _to_adopt(switch: Switch, seen: Interfaces, host: str) -> tuple[Command, ...]:
    if find_bridge(switch, seen) is None:
        raise NotFoundError(
            f"switch {switch.name}: {host} has no bridge {switch.bridge_name}",
            hint="a manual switch uses one that the host itself makes, by its /etc/rc.conf",
        )
    return (
        (_IFCONFIG, _BRIDGE, "group", _SWITCHES, "up"),
        (_IFCONFIG, _BRIDGE, "group", switch.group),
    )


@dataclass(frozen=True, slots=True)
class _Joining:
    """Ports of the host on their way into a bridge."""

    switch: Switch
    bridge: Interface
    """As it is so far: without a name when it is still to be made."""
    seen: Interfaces
    host: str

    def commands(self) -> Iterator[Command]:
        for port in self.switch.ports:
            shown = self.seen.get(port)
            if shown is None:
                raise NotFoundError(
                    f"{self._on_host} has no interface {port}",
                    hint="the file is the same for all hosts: name their interfaces alike, "
                    'as in ifconfig_igb0_name="lan0" of /etc/rc.conf, or use a manual switch',
                )
            if self.switch.kind == "vxlan":
                yield from self._tunnelled(shown)
            elif self.switch.vlan:
                yield from self._tagged(shown)
            elif port not in self.bridge.members:
                self._refuse_taken(port)
                yield from self._fitted(shown)
                yield (_IFCONFIG, _BRIDGE, "addm", port)

    def _tagged(self, port: Interface) -> Iterator[Command]:
        name, vlan = f"{port.name}.{self.switch.vlan}", self.switch.vlan
        if name in self.bridge.members:
            return
        there = self.seen.get(name)
        if there is not None and (there.vlan, there.parent) != (vlan, port.name):
            raise ConflictError(f"{self._on_host} has an interface {name} that is not VLAN {vlan} of {port.name}")
        self._refuse_taken(name)
        yield from self._fitted(port)
        if there is None:
            described = ("descr", f"vm-vlan/{self.switch.name}/{name}", "name", name, "group", _VLANS, "up")
            yield (_IFCONFIG, "vlan", "create", "vlandev", port.name, "vlan", str(vlan), *described)
        else:
            yield from self._fitted(there)
        yield (_IFCONFIG, name, "group", group_of(name))
        yield (_IFCONFIG, _BRIDGE, "addm", name)

    def _tunnelled(self, port: Interface) -> Iterator[Command]:
        (name,) = self.switch.members
        if name in self.bridge.members:
            return
        local = next((one.split("/")[0] for one in port.addresses if ":" not in one), None)
        if local is None:
            raise NotFoundError(f"{self._on_host}: {port.name} has no IPv4 address")
        self._refuse_taken(name)
        multicast, described = self.switch.multicast, f"vm-vxlan/{self.switch.name}"
        if name not in self.seen:
            where = ("vxlanlocal", local, "vxlangroup", multicast, "vxlandev", port.name)
            number = str(self.switch.vlan)
            yield (_IFCONFIG, name, "create", "vxlanid", number, *where, "descr", described, "group", _VLANS, "up")
        elif self.seen[name].description != described:
            raise ConflictError(f"{self._on_host} has a {name} of its own", hint="use another VLAN number")
        yield (_IFCONFIG, _BRIDGE, "addm", name)
        yield (_ROUTE, "-q", "add", "-net", f"{multicast}/32", "-iface", port.name)

    def _fitted(self, port: Interface) -> Iterator[Command]:
        """A port is up, and gets the MTU of its switch; where nobody gave the switch one, it is not changed."""
        if not port.has("UP"):
            yield (_IFCONFIG, port.name, "up")
        wanted = self.bridge.mtu if self.bridge.members else self.switch.mtu
        if wanted is None or port.mtu == wanted:
            return
        if self.switch.mtu != wanted:
            raise ConflictError(
                f"{self._on_host}: {port.name} has an MTU of {port.mtu}, {self.bridge.name} one of {wanted}",
                hint="give the interface the same, or make the switch anew with an MTU",
            )
        yield (_IFCONFIG, port.name, "mtu", str(wanted))

    def _refuse_taken(self, member: str) -> None:
        for other in self.seen.values():
            if member in (*other.members, *other.spans) and other.name != self.bridge.name:
                raise ConflictError(
                    f"{self._on_host}: {member} is in {other.name}", hint="an interface is in one bridge"
                )

    @property
    def _on_host(self) -> str:
        return f"switch {self.switch.name}: {self.host}"


def _to_leave(name: str, seen: Interfaces) -> Command:
    """A VLAN or VXLAN interface that was made for the switch goes with its membership."""
    if _is_made_for_switches(name, seen):
        return (_IFCONFIG, name, "destroy")
    return (_IFCONFIG, _BRIDGE, "deletem", name)


def _made_for(switch: Switch, seen: Interfaces) -> tuple[str, ...]:
    """The VLAN and VXLAN interfaces that were made for it, also those that never came into its bridge."""
    described = (f"vm-vlan/{switch.name}/", f"vm-vxlan/{switch.name}/")
    made = (one for one in seen.values() if _VLANS in one.groups and f"{one.description}/".startswith(described))
    return tuple(one.name for one in made)


def _refuse_used(switch: Switch, bridge: Interface, seen: Interfaces, host: str) -> None:
    guests = sorted({one.split("/")[1] if one.startswith("vmnet/") else one for one in guests_on(bridge, seen)})
    if guests:
        raise BusyError(f"switch {switch.name}: on {host} in use by {', '.join(guests)}", hint="stop them first")
    own = [name for name in bridge.members if name in switch.members or _is_made_for_switches(name, seen)]
    others = [name for name in (*bridge.members, *bridge.spans) if name not in own]
    if others and switch.kind != "manual":
        raise BusyError(
            f"switch {switch.name}: on {host} it has {', '.join(others)}, which system.conf does not name",
            hint=f"take it out first: ifconfig {bridge.name} deletem {others[0]}",
        )


def _is_made_for_switches(name: str, seen: Interfaces) -> bool:
    return name in seen and _VLANS in seen[name].groups
