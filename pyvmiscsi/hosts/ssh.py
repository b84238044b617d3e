"""A host reached by SSH: one verified connection, a channel for each command.

A command is never repeated: when the connection breaks under it, nobody knows how far it came, and the error says so.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence

import paramiko

from pyvmiscsi.errors import DeadlineError, HostUnreachableError
from pyvmiscsi.hosts import shell
from pyvmiscsi.hosts.connection import Connection
from pyvmiscsi.hosts.posix import Ended, PosixHost
from pyvmiscsi.model import HostRecord

MOST_CHANNELS = 8
"""At once on one connection: sshd takes ten (MaxSessions, sshd_config(5)); a console and a copy are left free."""

_PIECE = 1 << 18  # sendall() copies what is left of its argument with every packet


class SshHost(PosixHost):
    """A FreeBSD machine behind sshd. Safe to use from several threads."""

    def __init__(self, record: HostRecord) -> None:
        super().__init__(record)
        self._connection = Connection(record)
        self._channels = threading.BoundedSemaphore(MOST_CHANNELS)

    def _execute(self, text: str, stdin: bytes, deadline: float, what: str) -> Ended:
        line = shell.login_line(text, self._record.become).encode(errors="surrogateescape")
        with self._channels, self._connection.channel() as channel:
            overdue = threading.Event()
            watch = threading.Timer(deadline, _give_up, (channel, overdue))
            watch.daemon = True
            watch.start()
            try:
                return _converse(channel, line, stdin)
            except (paramiko.SSHException, OSError, EOFError) as error:
                where = f"host {self.name}: {what}"
                if overdue.is_set():
                    raise DeadlineError(
                        f"{where}: not ended after {deadline:g} s", hint="it may still be running there"
                    ) from error
                raise HostUnreachableError(
                    f"{where}: the connection broke while it ran", hint="how far it came is not known: look again"
                ) from error
            finally:
                watch.cancel()

    def interact(self, argv: Sequence[str]) -> int:
        """Run a command on this terminal, until it ends; its status."""
        from pyvmiscsi.hosts import terminal

        line = shell.login_line(shell.command_text(argv), self._record.become).encode(errors="surrogateescape")
        with self._connection.channel() as channel:
            try:
                return terminal.run(channel, line)
            except (paramiko.SSHException, OSError, EOFError) as error:
                raise HostUnreachableError(f"host {self.name}: the connection broke") from error

    def close(self) -> None:
        self._connection.close()


def _give_up(channel: paramiko.Channel, overdue: threading.Event) -> None:
    overdue.set()
    channel.close()


def _converse(channel: paramiko.Channel, line: bytes, stdin: bytes) -> Ended:
    """Run the line and talk with it until it ends; OSError when the channel was closed before.

    All three streams move at once: a command that fills one while we wait on another would stop for ever.
    """
    channel.exec_command(line)
    feeder = threading.Thread(target=_feed, args=(channel, stdin), daemon=True)
    errors: list[bytes] = []
    listener = threading.Thread(target=_drain, args=(channel.recv_stderr, errors), daemon=True)
    feeder.start()
    listener.start()
    output: list[bytes] = []
    _drain(channel.recv, output)
    listener.join()
    status = channel.recv_exit_status()
    feeder.join()
    if status < 0:
        raise OSError("closed without an exit status")
    return Ended(status, b"".join(output), b"".join(errors))


def _drain(receive: Callable[[int], bytes], into: list[bytes]) -> None:
    while data := receive(1 << 16):
        into.append(data)


def _feed(channel: paramiko.Channel, stdin: bytes) -> None:
    # a command need not read all its input: that it closed the channel is then no error
    with contextlib.suppress(OSError):
        for start in range(0, len(stdin), _PIECE):
            channel.sendall(stdin[start : start + _PIECE])
        channel.shutdown_write()
