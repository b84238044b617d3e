"""Guests' interfaces on the switches that vm-bhyve keeps: a tap for each, in the switch's bridge.

Names, groups and descriptions are vm-bhyve's (freebsd.md 5.4), so that its own commands show and find ours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from pyvmiscsi.bhyve.conf_text import ConfText, is_true
from pyvmiscsi.bhyve.config import GuestConfig, Network
from pyvmiscsi.errors import NotFoundError, UnsupportedError
from pyvmiscsi.names import GuestName
from pyvmiscsi.ports import Host

_EX_NOINPUT = 66
_LONGEST_BRIDGE_NAME = 15  # IFNAMSIZ without its NUL: net/if.h
_BRIDGED = ("standard", "vxlan")

CREATE_TAP = r"""# make a tap in a switch
# $1 description  $2 group of the switch  $3 name of its bridge  $4 addm or span  $5 yes: private
ifconfig=/sbin/ifconfig
bridge=$($ifconfig -g "$2" 2>/dev/null)
bridge=${bridge:-$3}
shape=$($ifconfig "$bridge" 2>/dev/null) || { echo "$bridge"; exit 66; }
tap=
for port in $($ifconfig -g vm-port); do
    $ifconfig "$port" | while read -r key value; do
        if [ "$key" = description: ] && [ "$value" = "$1" ]; then exit 1; fi
    done || tap=$port
done
if [ -z "$tap" ]; then
    tap=$($ifconfig tap create) || exit 71
    undo() { $ifconfig "$tap" destroy; exit 71; }
    $ifconfig "$tap" descr "$1" group vm-port || undo
else
    undo() { exit 71; }
fi
mtu=${shape#* mtu }
mtu=${mtu%%[!0-9]*}
if [ "${mtu:-1500}" != 1500 ]; then $ifconfig "$tap" mtu "$mtu" || undo; fi
case $shape in
*": $tap "*) ;;
*) $ifconfig "$bridge" "$4" "$tap" || undo ;;
esac
if [ "$5" = yes ]; then $ifconfig "$bridge" private "$tap" || undo; fi
$ifconfig "$tap" up || undo
echo "$tap"
"""

DESTROY_TAPS = r"""# destroy the taps of a guest
# $1 beginning of the descriptions
for port in $(/sbin/ifconfig -g vm-port); do
    /sbin/ifconfig "$port" | while read -r key value; do
        case $key$value in "description:$1"*) exit 1 ;; esac
    done || /sbin/ifconfig "$port" destroy
done
"""

CREATE_SWITCH = r"""# make the bridge of a switch
# $1 name of the bridge  $2 group of the switch
if /sbin/ifconfig "$1" >/dev/null 2>&1; then exit 0; fi
/sbin/ifconfig bridge create name "$1" group vm-switch up >/dev/null && /sbin/ifconfig "$1" group "$2"
"""


@dataclass(frozen=True, slots=True)
class Switch:
    """A virtual switch of vm-bhyve's `system.conf`."""

    name: str
    kind: str = "standard"
    bridge: str | None = None
    """The bridge somebody else made, for a `manual` one."""
    private: bool = False

    @property
    def group(self) -> str:
        """The interface group by which vm-bhyve finds the switch's bridge, whatever its name."""
        return f"viid-{_digest(self.name)}@"

    @property
    def bridge_name(self) -> str:
        return self.bridge or f"vm-{self.name}"


def parse_switches(text: str) -> dict[str, Switch]:
    """The switches of a `system.conf` (the directory `.config` beside vm-bhyve's guests)."""
    conf = ConfText(text)
    return {
        name: Switch(
            name,
            conf.get(f"type_{name}") or "standard",
            conf.get(f"bridge_{name}") or None,
            is_true(conf.get(f"private_{name}")),
        )
        for name in (conf.get("switch_list") or "").split()
    }


def description(guest: GuestName, network: Network) -> str:
    """How vm-bhyve describes a guest's tap: `vmnet/<guest>/<number>/<switch>`."""
    return f"vmnet/{guest}/{network.number}/{network.switch}"


def own_taps(guest: GuestConfig, backends: Mapping[int, str]) -> tuple[str, ...]:
    """The taps among `backends` that were made for this start, and go with it; a named `device` stays."""
    made = (backends[network.number] for network in guest.networks if network.device is None)
    return tuple(backend for backend in made if backend.startswith("tap"))


class Networks:
    """The network interfaces of one host's guests."""

    def __init__(self, host: Host, switches: Mapping[str, Switch] | None = None) -> None:
        self._host = host
        self._switches = switches or {}

    def plug_in(self, guest: GuestConfig) -> dict[int, str]:
        """A backend for each of the guest's networks, by its number; taps are made unless they are there already.

        Raises NotFoundError when the host has no such switch, UnsupportedError for a kind we cannot plug into. What
        was made by then stays, for `unplug`.
        """
        return {network.number: self._backend(guest.name, network) for network in guest.networks}

    def unplug(self, guest: GuestName) -> None:
        """Destroy every tap of the guest; no error when it has none."""
        self._host.script(DESTROY_TAPS, f"vmnet/{guest}/")

    def create_switch(self, name: str) -> None:
        """Make the bridge of a standard switch, as `vm switch create` does but for good only until the next boot."""
        switch = Switch(name)
        if len(switch.bridge_name) > _LONGEST_BRIDGE_NAME:
            raise UnsupportedError(
                f"switch {name}: its name is too long for a bridge", hint="use at most 12 characters"
            )
        self._host.script(CREATE_SWITCH, switch.bridge_name, switch.group)

    def _backend(self, guest: GuestName, network: Network) -> str:
        if network.device:
            return network.device
        if network.switch is None:
            raise NotFoundError(f"guest {guest}: {network.key} names no switch", hint=f'write {network.key}_switch="…"')
        switch = self._switches.get(network.switch, Switch(network.switch))
        if switch.kind == "vale":
            return f"vale{_digest(switch.name)}:{_digest(str(network.mac))}"
        if switch.kind not in (*_BRIDGED, "manual"):
            raise UnsupportedError(
                f"guest {guest}: {network.key}: switches of type {switch.kind} are not supported",
                hint="use a switch of type standard, vxlan, manual or vale",
            )
        return self._tap(guest, network, switch)

    def _tap(self, guest: GuestName, network: Network, switch: Switch) -> str:
        group = switch.group if switch.kind in _BRIDGED else "viid-none@"
        private = "yes" if switch.private else ""
        made = self._host.script(
            *(CREATE_TAP, description(guest, network), group, switch.bridge_name, "addm", private),
            ok=(0, _EX_NOINPUT),
        )
        if made.status == _EX_NOINPUT:
            raise NotFoundError(
                f"guest {guest}: {network.key}: {self._host.name} has no switch {switch.name} (no {made.text.strip()})",
                hint=f"`vm switch create {switch.name}` there, or name another switch",
            )
        return made.text.strip()


def _digest(text: str) -> str:
    """The first five hexadecimal digits of the text's MD5, as vm-bhyve shortens names; no secret depends on it."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:5]
