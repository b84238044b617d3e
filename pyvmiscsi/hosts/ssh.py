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
        line = self._line(text, has_input=bool(stdin))
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

    def _line(self, text: str, *, has_input: bool) -> bytes:
        """What to send for this text.

        We must send nothing on a channel that sshd has closed: it would end the whole connection, under all its other
        commands, and paramiko cannot promise that (it builds a packet under its lock and sends it later). So sshd
        must not close first while we have input to send: without input nothing is sent, and input is read to its end.
        """
        become = self._record.become
        if has_input:
            line = shell.login_line(shell.reading_all_input(text), become)
        else:
            line = shell.without_input(shell.login_line(text, become))
        return line.encode(errors="surrogateescape")

    def interact(self, argv: Sequence[str], *, until: Callable[[], bool] | None = None) -> int:
        """Run a command on this terminal, until it ends, or `until` is true: then its terminal hangs up."""
        from pyvmiscsi.hosts import terminal

        line = shell.login_line(shell.command_text(argv), self._record.become).encode(errors="surrogateescape")
        with self._connection.channel() as channel:
            try:
                return terminal.run(channel, line, until)
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
    output: list[bytes] = []
    errors: list[bytes] = []
    threads = [threading.Thread(target=_drain, args=(channel.recv_stderr, errors), daemon=True)]
    if stdin:
        threads.append(threading.Thread(target=_feed, args=(channel, stdin), daemon=True))
    for thread in threads:
        thread.start()
    _drain(channel.recv, output)
    for thread in threads:
        thread.join()
    status = channel.recv_exit_status()
    if status < 0:
        raise OSError("closed without an exit status")
    return Ended(status, b"".join(output), b"".join(errors))


def _drain(receive: Callable[[int], bytes], into: list[bytes]) -> None:
    while data := receive(1 << 16):
        into.append(data)


def _feed(channel: paramiko.Channel, stdin: bytes) -> None:
    # a connection that breaks is met by who listens for the end of the command
    with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
        for start in range(0, len(stdin), _PIECE):
            channel.sendall(stdin[start : start + _PIECE])
        channel.shutdown_write()
