"""Carries bytes between a login's terminal and the one inside the sandbox (`ssh -t`).

Standard library only: it runs beside `door.py`, outside any package.
"""

from __future__ import annotations

import array
import fcntl
import os
import select
import signal
import socket
import termios
import tty
from types import FrameType


def carry(link: socket.socket) -> tuple[str, int]:
    """Pump until the command inside ends; answers `("exit", status)` or `("signal", number)`."""
    near = socket.socket(fileno=link.detach())
    _, rights, _, _ = near.recvmsg(1, socket.CMSG_SPACE(4))
    if not rights:
        raise OSError("no terminal inside the sandbox")
    inside = array.array("i", rights[0][2])[0]
    saved = termios.tcgetattr(0)
    signal.signal(signal.SIGWINCH, lambda _number, _frame: _resize(inside))
    signal.signal(signal.SIGHUP, _leave)
    _resize(inside)
    tty.setraw(0, termios.TCSANOW)  # not flushing what was typed ahead
    try:
        return _pump(near, inside)
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, saved)


def _resize(inside: int) -> None:
    size = fcntl.ioctl(0, termios.TIOCGWINSZ, b"\0" * 8)
    fcntl.ioctl(inside, termios.TIOCSWINSZ, size)


def _leave(_number: int, _frame: FrameType | None) -> None:
    os._exit(255)


def _pump(near: socket.socket, inside: int) -> tuple[str, int]:
    watched = [0, inside, near.fileno()]
    answer = b""
    while True:
        ready, _, _ = select.select(watched, [], [])
        if inside in ready:
            data = _read(inside)
            if data:
                os.write(1, data)
            else:
                watched.remove(inside)
        if 0 in ready:
            data = _read(0)
            if data:
                os.write(inside, data)
            else:
                watched.remove(0)
        if near.fileno() in ready and inside not in ready:
            piece = near.recv(64)
            answer += piece
            if answer.endswith(b"\n"):
                word, number = answer.decode("ascii").split()
                return word, int(number)
            if not piece:
                raise OSError("the hypervisor is gone")


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, 65536)
    except OSError:  # EIO: the last process on the other side of a terminal has closed it
        return b""
