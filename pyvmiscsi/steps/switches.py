"""Facts about switches: what system.conf says of one, its bridge on a host, a guest plugged into it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pyvmiscsi.bhyve.configuration.conf_text import ConfText
from pyvmiscsi.bhyve.configuration.config import GuestConfig
from pyvmiscsi.bhyve.hypervisor import Hypervisor
from pyvmiscsi.bhyve.networks import bridges
from pyvmiscsi.bhyve.networks.bridges import Command, find_bridge
from pyvmiscsi.bhyve.networks.interfaces_text import Interfaces
from pyvmiscsi.bhyve.networks.switches import Switch, changes, parse_switches
from pyvmiscsi.bhyve.networks.taps import Networks
from pyvmiscsi.bhyve.vm_bhyve.system_conf import read_system_conf, replace_system_conf
from pyvmiscsi.errors import BusyError, ConflictError
from pyvmiscsi.ports import Host

_TRIES = 5
"""How often a change is begun anew because somebody else has changed another switch of the file meanwhile."""


@dataclass(frozen=True, slots=True)
class SwitchSays:
    """The file says `after` of a switch, of which it said `before`; None is no such switch. All else in it stays."""

    host: Host
    path: str
    before: Switch | None
    after: Switch | None
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        if self.after is None:
            return f"{self.path} without switch {self.name}"
        return f"switch {self.name} in {self.path}"

    @property
    def name(self) -> str:
        one = self.after or self.before
        return one.name if one else ""

    def holds(self) -> bool:
        return self._is(self._read(), self.after, instead_of=self.before)

    def make(self) -> None:
        self._change(self.before, self.after)

    def undo(self) -> None:
        self._change(self.after, self.before)

    def _change(self, before: Switch | None, after: Switch | None) -> None:
        for _ in range(_TRIES):
            conf = self._read()
            if self._is(conf, after, instead_of=before):
                return
            said = conf or ConfText()
            if replace_system_conf(self.host, self.path, conf, said.changed(changes(said, before, after))):
                return
        raise BusyError(f"switch {self.name}: {self.path} was changed by others, again and again")

    def _is(self, conf: ConfText | None, wanted: Switch | None, *, instead_of: Switch | None) -> bool:
        found = parse_switches(str(conf or "")).get(self.name)
        if found not in (wanted, instead_of):
            raise ConflictError(
                f"switch {self.name}: {self.path} says something else of it", hint=f"pyvmiscsi switch info {self.name}"
            )
        return found == wanted

    def _read(self) -> ConfText | None:
        return read_system_conf(self.host, self.path)


@dataclass(frozen=True, slots=True)
class SwitchOnHost:
    """A host's bridge is what `after` says, and was what `before` says; None is no such switch."""

    host: Host
    before: Switch | None
    after: Switch | None
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        if self.after is None:
            return f"no switch {self.before.name if self.before else ''} on {self.host.name}"
        return f"switch {self.after.name} on {self.host.name}"

    def holds(self) -> bool:
        """Raises what would keep it from being so: a missing interface, a guest on a switch that is to go."""
        seen = Networks(self.host).look().interfaces
        return not _commands(self.before, self.after, seen, self.host.name)

    def make(self) -> None:
        self._bring(self.before, self.after)

    def undo(self) -> None:
        self._bring(self.after, self.before)

    def _bring(self, before: Switch | None, after: Switch | None) -> None:
        networks = Networks(self.host)
        seen = networks.look().interfaces
        known = after or before
        if known is not None:
            networks.run(_commands(before, after, seen, self.host.name), find_bridge(known, seen))


def _commands(before: Switch | None, after: Switch | None, seen: Interfaces, host: str) -> tuple[Command, ...]:
    if after is None:
        return bridges.to_unmake(before, seen, host) if before else ()
    if before is None and bridges.is_made(after, seen):
        _refuse_another(after, seen, host)
    return bridges.to_change(before or after, after, seen, host)


def _refuse_another(switch: Switch, seen: Interfaces, host: str) -> None:
    """A bridge that is there and that the file does not name is somebody's: it is taken as it is, or not at all."""
    different = [] if switch.kind == "manual" else bridges.differences(switch, seen)
    if different:
        raise ConflictError(
            f"switch {switch.name}: {host} has its bridge already, {', '.join(different)}",
            hint="create the switch as its bridge is, and change it then",
        )


@dataclass(frozen=True, slots=True)
class GuestPluggedIn:
    """Each network of a guest is in its switch on the host, which is made first where the host has it not."""

    host: Host
    config: GuestConfig
    system_conf: str
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        switches = dict.fromkeys(network.switch or network.device or "" for network in self.config.networks)
        return f"guest {self.config.name} plugged into {', '.join(switches)}"

    def holds(self) -> bool:
        return self._networks.is_plugged_in(self.config)

    def make(self) -> None:
        self._networks.plug_in(self.config)

    def undo(self) -> None:
        """The taps go. A switch stays, as it does after vm-bhyve has made it at boot."""
        found = Hypervisor(self.host).guest(self.config.name)
        if found.is_running or found.is_supervised:
            return  # what another start made of it meanwhile, or vm-bhyve
        self._networks.unplug(self.config.name)

    @property
    def _networks(self) -> Networks:
        return Networks(self.host, self.system_conf)
