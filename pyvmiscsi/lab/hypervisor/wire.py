"""Frames with file descriptors over UNIX sockets: the hypervisor's end of what `door.py` sends."""

from __future__ import annotations

import array
import os
import socket
from dataclasses import dataclass
from pathlib import Path

from pyvmiscsi.lab.hypervisor import door


@dataclass(frozen=True)
class Request:
    """What a process at one of the doors asks for, with its descriptors 0, 1 and 2 (or its terminal)."""

    kind: str
    cwd: str
    pid: int
    parent: int
    uid: int
    argv: tuple[str, ...]
    environment: dict[str, str]
    fds: tuple[int, ...]


def listen(path: Path) -> socket.socket:
    """A listening stream socket at `path`, however long its directory's name is."""
    path.unlink(missing_ok=True)
    handle = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(f"/proc/self/fd/{handle}/{path.name}")
    finally:
        os.close(handle)
    listener.listen(128)
    return listener


def connect(path: Path) -> socket.socket:
    """A stream connection to the socket at `path`."""
    return socket.socket(fileno=door.connect(str(path)).detach())


def send(link: socket.socket, fields: list[bytes], fds: list[int] | None = None) -> None:
    """Send one frame."""
    door.send(link, fields, fds or [])


def receive(link: socket.socket, most: int = 8) -> tuple[list[bytes], list[int]]:
    """The next frame and the descriptors that came with it; EOFError when the far side is gone."""
    head, rights, _, _ = link.recvmsg(4, socket.CMSG_SPACE(4 * most), socket.MSG_CMSG_CLOEXEC)
    fds: list[int] = []
    for level, kind, data in rights:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.extend(array.array("i", data[: len(data) - len(data) % 4]))
    try:
        head += _exactly(link, 4 - len(head))
        body = _exactly(link, int.from_bytes(head, "big"))
    except (EOFError, OSError):
        for fd in fds:
            os.close(fd)
        raise
    return body.split(b"\0")[:-1], fds


def receive_request(link: socket.socket) -> Request:
    """The request that a door sends first."""
    fields, fds = receive(link)
    kind, cwd, pid, parent, uid, count = fields[:6]
    argv = fields[6 : 6 + int(count)]
    pairs = (os.fsdecode(field).partition("=") for field in fields[6 + int(count) :])
    return Request(
        kind=kind.decode("ascii"),
        cwd=os.fsdecode(cwd),
        pid=int(pid),
        parent=int(parent),
        uid=int(uid),
        argv=tuple(os.fsdecode(word) for word in argv),
        environment={name: value for name, _, value in pairs},
        fds=tuple(fds),
    )


def _exactly(link: socket.socket, count: int) -> bytes:
    pieces = []
    while count:
        piece = link.recv(count)
        if not piece:
            raise EOFError("the far side is gone")
        pieces.append(piece)
        count -= len(piece)
    return b"".join(pieces)
