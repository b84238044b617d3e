"""The serial ports of a guest that runs, by the file `console` in its directory (vm-bhyve's, and our supervisor's)."""

from __future__ import annotations

from pyvmiscsi.errors import NotFoundError, UnsupportedError
from pyvmiscsi.names import GuestName


def read_ports(text: str) -> dict[str, str]:
    """`com1` … and where each is: `/dev/nmdm-web1.1B`, `tmux/web1`; the port that comes first is the usual one."""
    pairs = (line.partition("=") for line in text.splitlines())
    return {port: where for port, _, where in pairs if port.startswith("com") and where}


def terminal_argv(guest: GuestName, ports: dict[str, str], port: str | None = None) -> tuple[str, ...]:
    """The command that joins a terminal to a port of the guest, the usual one if none is named.

    NotFoundError for a port that it has not, UnsupportedError for one that is no null-modem line.
    """
    chosen = port or next(iter(ports), None)
    where = ports.get(chosen or "")
    if where is None:
        known = ", ".join(ports) or "none"
        raise NotFoundError(f"guest {guest}: has no serial port {port or 'to look at'}", hint=f"it has {known}")
    kind, _, session = where.partition("/")
    if kind == "tmux":
        raise UnsupportedError(
            f"guest {guest}: {chosen} is in tmux", hint=f"on its host: tmux attach -t {session.replace('.', '~')}"
        )
    if not where.startswith("/dev/"):
        raise UnsupportedError(
            f"guest {guest}: {chosen} is {where}, which cu(1) cannot open", hint="connect to it there"
        )
    return "/usr/bin/cu", "-l", where
