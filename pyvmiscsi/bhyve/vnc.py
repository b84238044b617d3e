"""A port for the frame buffer of a guest whose configuration names none."""

from __future__ import annotations

from pyvmiscsi.ports import Host

FIRST = 5900
_TRIED = 200  # as many as vm-bhyve tries (vm::find_available_net_port)

_LISTENING = """# see which ports are taken
/usr/bin/netstat -an -p tcp | /usr/bin/awk '$NF == "LISTEN" { print $4 }'
"""


def free_vnc_port(host: Host) -> int | None:
    """The first port from 5900 on that nobody listens on there; None when 200 of them are taken.

    Whoever else takes it before bhyve does makes that start fail, and the next one find another.
    """
    return first_free(host.script(_LISTENING).text)


def first_free(addresses: str) -> int | None:
    """The same, of the local addresses of netstat(1), one a line: `*.5900`, `127.0.0.1.22`, `::1.5901`."""
    taken = {line.rpartition(".")[2].strip() for line in addresses.splitlines()}
    return next((port for port in range(FIRST, FIRST + _TRIED) if str(port) not in taken), None)
