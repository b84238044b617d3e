"""From a host's record to its `Initiator`: which system the host runs, and the adapter for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pyvmiscsi.errors import ConfigError
from pyvmiscsi.model import HostRecord
from pyvmiscsi.ports import Host, Initiator

Warn = Callable[[str], None]
Connect = Callable[[Host, Warn], Initiator]


def _freebsd(host: Host, warn: Warn) -> Initiator:
    from pyvmiscsi.initiator.freebsd import FreebsdInitiator

    return FreebsdInitiator(host, warn=warn)


def _linux(host: Host, warn: Warn) -> Initiator:
    from pyvmiscsi.initiator.linux import LinuxInitiator

    return LinuxInitiator(host, warn=warn)


SHIPPED: Mapping[str, Connect] = {"freebsd": _freebsd, "linux": _linux}
"""The values of `initiator` in the site file that need no other package."""

STRANGERS = "pyvmiscsi.initiator"
"""The entry-point group in which other packages offer such values: each a callable `(host, warn) -> Initiator`."""


def connect(record: HostRecord, host: Host, *, warn: Warn) -> Initiator:
    """The initiator of this host; nothing is sent before it is first used. ConfigError for one that nobody offers.

    It is what the site file says: to ask the host would cost every command a round trip. A host that runs another
    system is told by the first thing that it is asked, and by `preflight()`.
    """
    if record.initiator in SHIPPED:
        return SHIPPED[record.initiator](host, warn)
    from importlib.metadata import entry_points

    offered = {point.name: point for point in entry_points(group=STRANGERS)}
    if record.initiator not in offered:
        known = ", ".join([*SHIPPED, *sorted(offered)])
        raise ConfigError(
            f"host {record.name}: initiator {record.initiator!r}: nobody offers it", hint=f"one of {known}"
        )
    stranger: Connect = offered[record.initiator].load()
    return stranger(host, warn)
