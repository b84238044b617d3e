"""Guests' interfaces on the switches of a host: a tap for each, in the switch's bridge, or a port of another kind.

Names, groups and descriptions are vm-bhyve's (freebsd.md 5.4), so that its own commands show and find ours.

A tap goes down when bhyve closes it, which it does whenever its guest reboots, and nobody takes it up again but the
sysctl net.link.tap.up_on_open, which `vm init` sets for the whole host. Ours have the flag link0: it stays (tap(4)).
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass, field

from pyvmiscsi.bhyve.configuration.config import GuestConfig, Network
from pyvmiscsi.bhyve.networks import bridges
from pyvmiscsi.bhyve.networks.bridges import PORTS, Command, find_bridge, is_made
from pyvmiscsi.bhyve.networks.interfaces_text import Interface, Interfaces, parse_interfaces
from pyvmiscsi.bhyve.networks.switches import LONGEST_INTERFACE_NAME, Switch, checked, digest, parse_switches
from pyvmiscsi.errors import BusyError, ConflictError, InputError, NotFoundError, UnsupportedError
from pyvmiscsi.names import GuestName
from pyvmiscsi.ports import Host
from pyvmiscsi.quoting import quote

_IFCONFIG = "/sbin/ifconfig"
_TAP = "$tap"
"""Stands for a tap whose number is known only once it is made."""

_NETGRAPH_HOOKS = 1 << 16
"""The first link of ours on a netgraph bridge: vm-bhyve counts its own up from 2."""

LOOK = """# look at the networks of a host
# $1 its system.conf
if [ -f "$1" ]; then /usr/bin/awk '{ print "conf " $0 }' "$1"; fi
/sbin/ifconfig | /usr/bin/awk '{ print "if " $0 }'
"""

ONE_AT_A_TIME = """# run a change of a switch
# $1 what to run
exec /usr/bin/lockf -k -s -t 20 /var/run/pyvmiscsi.switches.lock /bin/sh -c "$1"
"""

_TRIES = 3
"""How often a start looks again because another one has made a switch meanwhile."""

DESTROY_TAPS = r"""# destroy the taps of a guest
# $1 beginning of the descriptions
for port in $(/sbin/ifconfig -g vm-port); do
    /sbin/ifconfig "$port" | while read -r key value; do
        case $key$value in "description:$1"*) exit 1 ;; esac
    done || /sbin/ifconfig "$port" destroy
done
"""


@dataclass(frozen=True, slots=True)
class Sight:
    """A host's networks at one moment: what its interfaces are, and what its `system.conf` says."""

    interfaces: Interfaces
    switches: dict[str, Switch] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Sight:
        """The answer to `LOOK`."""
        lines = text.splitlines(keepends=True)
        conf = "".join(line[5:] for line in lines if line.startswith("conf "))
        shown = "".join(line[3:] for line in lines if line.startswith("if "))
        return cls(parse_interfaces(shown), parse_switches(conf))

    def switch(self, name: str) -> Switch:
        """As the file has it; one that it does not name is a standard one, which somebody else has made."""
        return self.switches.get(name, Switch(name))


def description(guest: GuestName, network: Network) -> str:
    """How vm-bhyve describes a guest's tap: `vmnet/<guest>/<number>/<switch>`."""
    return f"vmnet/{guest}/{network.number}/{network.switch}"


def own_taps(guest: GuestConfig, backends: dict[int, str]) -> tuple[str, ...]:
    """The taps among `backends` that were made for this start, and go with it; a named `device` stays."""
    made = (backends[network.number] for network in guest.networks if network.device is None)
    return tuple(backend.partition(",")[0] for backend in made if not backend.startswith(("vale", "netgraph,")))


@dataclass(frozen=True, slots=True)
class Plug:
    """One network of a guest in its switch: what bhyve is told, and what a host must run for it first."""

    backend: str
    """`tap0`, or another backend of bhyve(8); for a tap that is still to be made, without its name."""
    commands: tuple[Command, ...] = ()

    @property
    def is_in(self) -> bool:
        return not self.commands


def plug(guest: GuestName, network: Network, sight: Sight, host: str) -> Plug:
    """How a network comes into its switch.

    NotFoundError when the host has no such switch, UnsupportedError for a type of switch that is unknown.
    """
    if network.switch is None:
        if network.device is None:
            raise NotFoundError(f"guest {guest}: {network.key} names no switch", hint=f'write {network.key}_switch="…"')
        return Plug(network.device)
    switch = sight.switch(network.switch)
    port = str(network.mac or f"{guest}/{network.number}")
    if switch.kind == "vale":
        return Plug(f"vale{digest(switch.name)}:{digest(port)}")
    if switch.kind == "netgraph":
        return Plug(f"netgraph,path={switch.name}:,peerhook=link{_NETGRAPH_HOOKS + int(_number(port), 16)}")
    if not switch.has_bridge:
        raise UnsupportedError(f"guest {guest}: {network.key}: {switch.kind!r} is not a type of switch")
    bridge = find_bridge(switch, sight.interfaces)
    if bridge is None:
        raise NotFoundError(
            f"guest {guest}: {network.key}: {host} has no switch {switch.name} (no {switch.bridge_name})",
            hint=f"pyvmiscsi switch create {switch.name}, or name another switch",
        )
    return _plugged(guest, network, switch, bridge, sight.interfaces)


def render(plugs: list[Plug]) -> str:
    """A sh script that makes what is missing, and prints the name of each tap it makes, in their order."""
    lines = ["# make the taps of a guest"]
    for one in plugs:
        for command in one.commands:
            words = " ".join(f'"{word}"' if word == _TAP else quote(word) for word in command)
            if command[1:3] == ("tap", "create"):
                lines += [f"tap=$({words}) || exit 71", f'echo "{_TAP}"']
            else:
                lines.append(f"{words} >/dev/null || exit 71")
    return "\n".join(lines) + "\n"


class Networks:
    """The network interfaces of one host's guests, and the switches they are on."""

    def __init__(self, host: Host, system_conf: str = "") -> None:
        """`system_conf` is the path of vm-bhyve's file that names the switches; none knows those that are there."""
        self._host = host
        self._system_conf = system_conf

    def look(self) -> Sight:
        """What there is, in one call."""
        answer = self._host.script(LOOK, self._system_conf)
        return Sight.parse(answer.stdout.decode(errors="surrogateescape"))

    def is_plugged_in(self, guest: GuestConfig) -> bool:
        """Whether each network of the guest is in its switch, so that bhyve can be started."""
        sight = self.look()
        named = (sight.switch(network.switch) for network in guest.networks if network.switch)
        if not all(is_made(switch, sight.interfaces) for switch in named):
            return False
        return all(plug(guest.name, network, sight, self._host.name).is_in for network in guest.networks)

    def plug_in(self, guest: GuestConfig) -> dict[int, str]:
        """A backend for each of the guest's networks, by its number; what is there already is used as it is.

        Makes the switches of the file that the host has not, as vm-bhyve does when a host has booted. Raises as `plug`
        does, and as `bridges.to_make`. What was made by then stays, for `unplug`.
        """
        if not guest.networks:
            return {}
        sight = self._with_switches(guest)
        plugs = [plug(guest.name, network, sight, self._host.name) for network in guest.networks]
        self._refuse_missing_nodes(guest, sight)
        made = iter(self._run(plugs))
        return {
            network.number: f"{next(made)}{one.backend}" if _makes(one) else one.backend
            for network, one in zip(guest.networks, plugs, strict=True)
        }

    def unplug(self, guest: GuestName) -> None:
        """Destroy every tap of the guest; no error when it has none."""
        self._host.script(DESTROY_TAPS, f"vmnet/{guest}/")

    def make(self, switch: Switch, seen: Interfaces) -> None:
        """Bring the switch about, as `bridges.to_make` says."""
        self.run(bridges.to_make(switch, seen, self._host.name), find_bridge(switch, seen))

    def run(self, commands: tuple[Command, ...], bridge: Interface | None) -> None:
        """Run commands of `bridges` on the bridge they are for; BusyError when somebody else is using it by now."""
        if not commands:
            return
        done = self._host.script(ONE_AT_A_TIME, bridges.render(commands, bridge), ok=(0, bridges.BUSY))
        if done.status == bridges.BUSY:
            what = f"joined {bridge.name}" if bridge else "made the switch"
            raise BusyError(f"{self._host.name}: somebody has {what} meanwhile", hint="try again")

    def create_switch(self, name: str) -> None:
        """Make the bridge of a standard switch that no file names."""
        self.make(checked(Switch(name)), self.look().interfaces)

    def _with_switches(self, guest: GuestConfig) -> Sight:
        """What there is once the guest's switches are made: by us, or by the start of another guest of this moment."""
        named = {network.switch for network in guest.networks}
        for _ in range(_TRIES):
            sight = self.look()
            known = [switch for switch in sight.switches.values() if switch.name in named]
            missing = [switch for switch in known if not is_made(switch, sight.interfaces)]
            if not missing:
                return sight
            with suppress(BusyError):
                for switch in missing:
                    self.make(switch, sight.interfaces)
        raise BusyError(f"guest {guest.name}: others change its switches on {self._host.name}", hint="try again")

    def _refuse_missing_nodes(self, guest: GuestConfig, sight: Sight) -> None:
        """bhyve would end with a guest that cannot be connected, and the reason in its log."""
        for name in {network.switch for network in guest.networks if network.switch}:
            if sight.switch(name).kind != "netgraph":
                continue
            if self._host.run(["/usr/sbin/ngctl", "show", f"{name}:"], ok=range(256)).status:
                raise NotFoundError(
                    f"guest {guest.name}: {self._host.name} has no netgraph node {name}:",
                    hint=f"make an ng_bridge(4) of that name there: ngctl(8), and `name` for {name}",
                )

    def _run(self, plugs: list[Plug]) -> list[str]:
        if all(one.is_in for one in plugs):
            return []
        return self._host.script(render(plugs)).text.split()


def _plugged(guest: GuestName, network: Network, switch: Switch, bridge: Interface, seen: Interfaces) -> Plug:
    tap = _find_tap(guest, network, seen)
    commands: list[Command] = []
    if tap is None and network.device is not None:
        raise NotFoundError(f"guest {guest}: {network.key}: there is no interface {network.device}")
    if tap is None:
        commands.append(_creation(guest, network, seen))
    elif network.device is not None and PORTS in tap.groups:
        commands.append((_IFCONFIG, tap.name, "-group", PORTS))  # else it would be destroyed as one of ours
    name = tap.name if tap else _TAP
    if bridge.mtu != (tap.mtu if tap else 1500) and (tap is None or tap.name not in (*bridge.members, *bridge.spans)):
        commands.append((_IFCONFIG, name, "mtu", str(bridge.mtu)))
    if tap is None or tap.name not in (bridge.spans if network.span else bridge.members):
        _refuse_taken(guest, network, tap, bridge, seen)
        commands.append((_IFCONFIG, bridge.name, "span" if network.span else "addm", name))
        if switch.private and not network.span:
            commands.append((_IFCONFIG, bridge.name, "private", name))
    if tap is None or not tap.has("UP", "LINK0"):
        commands.append((_IFCONFIG, name, "link0", "up"))
    kind = ",type=tap" if network.name and not network.name.startswith(("tap", "vmnet")) else ""
    return Plug(f"{tap.name}{kind}" if tap else kind, tuple(commands))


def _makes(one: Plug) -> bool:
    return any(command[1:3] == ("tap", "create") for command in one.commands)


def _creation(guest: GuestName, network: Network, seen: Interfaces) -> Command:
    """Described from the first moment on: by that it is found, and taken away again."""
    described = ("descr", description(guest, network), "group", PORTS)
    if network.name is None:
        return (_IFCONFIG, "tap", "create", *described)
    if len(network.name) > LONGEST_INTERFACE_NAME:
        raise InputError(
            f"guest {guest}: {network.key}_name: {network.name!r} is too long for an interface",
            hint=f"it has at most {LONGEST_INTERFACE_NAME} characters",
        )
    if network.name in seen:
        raise ConflictError(f"guest {guest}: {network.key}_name: there is another interface {network.name}")
    return (_IFCONFIG, "tap", "create", "name", network.name, *described)


def _find_tap(guest: GuestName, network: Network, seen: Interfaces) -> Interface | None:
    if network.device is not None:
        return seen.get(network.device)
    wanted = description(guest, network)
    return next((one for one in seen.values() if PORTS in one.groups and one.description == wanted), None)


def _refuse_taken(
    guest: GuestName, network: Network, tap: Interface | None, bridge: Interface, seen: Interfaces
) -> None:
    for other in seen.values():
        if tap is not None and other.name != bridge.name and tap.name in (*other.members, *other.spans):
            raise ConflictError(
                f"guest {guest}: {network.key}: {tap.name} is in {other.name}, not in {bridge.name}",
                hint=f"take it out there: ifconfig {other.name} deletem {tap.name}",
            )


def _number(port: str) -> str:
    return hashlib.md5(port.encode(), usedforsecurity=False).hexdigest()[:6]
