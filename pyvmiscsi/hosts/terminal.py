"""This terminal as the terminal of a command on a host."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import sys
import termios
import threading
import tty
from collections.abc import Callable, Iterator
from types import FrameType

import paramiko

_LOOK_EVERY = 500  # milliseconds between two questions whether to go on


def run(channel: paramiko.Channel, line: bytes, until: Callable[[], bool] | None = None) -> int:
    """Run the line with a terminal of its own, joined to ours until it ends; its exit status. 0 once `until` is true.

    Every key goes to the command, Ctrl-C too: how to leave is the command's affair (`~.` in cu(1)).
    Raises OSError when the channel is closed without a status.
    """
    columns, rows = shutil.get_terminal_size()
    channel.get_pty(os.environ.get("TERM", "dumb"), columns, rows)
    channel.exec_command(line)
    with _raw(sys.stdin.fileno()), _following_size(channel):
        if not _join(channel, sys.stdin.fileno(), sys.stdout.fileno(), until):
            return 0
    status = channel.recv_exit_status()
    if status < 0:
        raise OSError("closed without an exit status")
    return status


def _join(channel: paramiko.Channel, keyboard: int, screen: int, until: Callable[[], bool] | None) -> bool:
    """Carry what is typed and printed; whether the command has ended."""
    waiting = select.poll()
    waiting.register(channel.fileno(), select.POLLIN)
    waiting.register(keyboard, select.POLLIN)
    while True:
        ready = dict(waiting.poll(_LOOK_EVERY))
        if not ready and until is not None and until():
            return False
        if channel.fileno() in ready:
            data = channel.recv(1 << 16)
            if not data:
                return True
            _write_all(screen, data)
        if keyboard in ready:
            typed = os.read(keyboard, 1 << 12)
            if typed:
                channel.sendall(typed)
            else:  # the end of a file or a pipe; a terminal's Ctrl-D is a byte like any other
                waiting.unregister(keyboard)


def _write_all(screen: int, data: bytes) -> None:
    while data:
        data = data[os.write(screen, data) :]


@contextlib.contextmanager
def _raw(keyboard: int) -> Iterator[None]:
    """The keyboard without line editing and signals, and afterwards as it was."""
    if not os.isatty(keyboard):
        yield
        return
    before = termios.tcgetattr(keyboard)
    try:
        tty.setraw(keyboard, termios.TCSADRAIN)  # what was typed ahead is kept
        yield
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


@contextlib.contextmanager
def _following_size(channel: paramiko.Channel) -> Iterator[None]:
    """Tell the command when our window changes its size."""

    def tell(_number: int, _frame: FrameType | None) -> None:
        channel.resize_pty(*shutil.get_terminal_size())

    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread is told of signals: the window keeps the size it had
        return
    before = signal.signal(signal.SIGWINCH, tell)
    try:
        yield
    finally:
        signal.signal(signal.SIGWINCH, before)
