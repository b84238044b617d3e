"""Which guests a hypervisor starts at boot, in which order and how far apart: vm-bhyve's `vm_list` and `vm_delay`.

They stand in the host's own rc.conf(5), so that each host has its list although all share the guests' configurations.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyvmiscsi.bhyve.vm_bhyve.datastores import rc_conf_of
from pyvmiscsi.config.rc_conf import RcConf
from pyvmiscsi.errors import ConfigError
from pyvmiscsi.ports import Host

USUAL_DELAY = 2.0
"""Seconds, where `vm_delay` says nothing (vm-bhyve 1.5 to 1.8, `core::start`)."""


@dataclass(frozen=True, slots=True)
class Autostart:
    """A host's guests in the order of their start, and the seconds between two starts."""

    guests: tuple[str, ...] = ()
    delay: float = USUAL_DELAY

    def number_of(self, guest: str) -> int | None:
        """The guest's place in the order, from 1, as vm-bhyve's `vm list` has it; None when it is not started."""
        return self.guests.index(guest) + 1 if guest in self.guests else None


def read_autostart(rc: RcConf) -> Autostart:
    """What rc.conf says; nothing is started where it has no `vm_list`. ConfigError naming file, line and variable."""
    guests = tuple(dict.fromkeys((rc.get("vm_list") or "").split()))
    return Autostart(guests, _seconds(rc))


def autostart_of(host: Host) -> Autostart:
    """The host's own list, in one call."""
    return read_autostart(rc_conf_of(host))


def _seconds(rc: RcConf) -> float:
    said = rc.get("vm_delay")
    if not said:
        return USUAL_DELAY
    whole, _, part = said.partition(".")
    if not (f"{whole}{part}".isascii() and f"{whole}{part}".isdecimal()):
        raise ConfigError(f"{rc.where('vm_delay')}: {said!r} is no number of seconds", hint="write 2, or 0.5")
    return float(said)
