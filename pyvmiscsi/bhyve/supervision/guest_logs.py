"""Where a hypervisor keeps what was said about a guest, and by it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pyvmiscsi.bhyve.supervision.supervisor import Supervision
from pyvmiscsi.names import GuestName
from pyvmiscsi.ports import Host

# `SECONDS PATH` for each file that is there; date(1) tells by -r when it was written, on other systems too.
_FIND = """# find the logs of a guest
for path do
    [ -f "$path" ] && echo "$(/bin/date -r "$path" +%s) $path"
done
exit 0
"""

_TAIL = "/usr/bin/tail"


@dataclass(frozen=True, slots=True)
class LogFile:
    """A log on a host; `written` is when it was last written to, in seconds since 1970."""

    host: str
    path: str
    written: int


def lifelogs(guest: GuestName, directory: str) -> tuple[str, ...]:
    """What was done with the guest and how it ended: our supervisor's log, vm-bhyve's, and bhyve's own (`debug`)."""
    return _supervision(guest, directory).log, f"{directory}/vm-bhyve.log", f"{directory}/bhyve.log"


def console_logs(guest: GuestName, directory: str) -> tuple[str, ...]:
    """What the guest printed, where that is kept."""
    return (_supervision(guest, directory).console_log,)


def find_logs(host: Host, paths: Iterable[str]) -> tuple[LogFile, ...]:
    """Those of these files that are there, in one call."""
    lines = host.script(_FIND, *paths).text.splitlines()
    found = (line.partition(" ") for line in lines)
    return tuple(LogFile(host.name, path, int(when)) for when, _, path in found)


def last_lines(host: Host, path: str, count: int) -> tuple[str, ...]:
    """The last lines of a log; bytes that are no UTF-8 are replaced."""
    return tuple(host.run([_TAIL, "-n", str(count), path]).text.splitlines())


def follow(host: Host, path: str, count: int) -> int:
    """Its last lines on this terminal, and all that come, until Ctrl-C; the status of tail(1).

    A file that is renamed and begun anew is followed, too.
    """
    return host.interact([_TAIL, "-n", str(count), "-F", path])


def _supervision(guest: GuestName, directory: str) -> Supervision:
    return Supervision(guest, "", directory, ())
