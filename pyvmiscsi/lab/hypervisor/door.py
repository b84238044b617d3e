"""The two small programs at the sandbox's doors: what sshd forces every login into, and what a stand-in is.

    door.py gate PATH     on the machine, as sshd's ForceCommand: hands the login's own file descriptors to the
                          hypervisor, which runs the command inside the sandbox, and ends as that command ended
    iscsictl -L           inside the sandbox, where the stand-ins are links to this file: hands arguments and file
                          descriptors to the kernel, which does the work, and ends as it says

It runs as `python -I -S` and imports next to nothing, because its start is the start of every command.
The frame is a length of four bytes and fields that end in NUL: arguments and environments cannot hold one.
"""

from __future__ import annotations

import _socket
import os
import sys

KERNEL = "/libexec/lab/run/kernel.sock"


def frame(fields: list[bytes]) -> bytes:
    """The fields as one frame, ready to send."""
    body = b"".join(field + b"\0" for field in fields)
    return len(body).to_bytes(4, "big") + body


def connect(path: str) -> _socket.socket:
    """A stream connection to the socket `path`, however long its directory's name is (sun_path holds 108 bytes)."""
    directory, _, name = path.rpartition("/")
    handle = os.open(directory or "/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        link = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        try:
            link.connect(path if len(os.fsencode(path)) < 100 else f"/proc/self/fd/{handle}/{name}")
        except OSError:
            link.close()
            raise
    finally:
        os.close(handle)
    return link


def send(link: _socket.socket, fields: list[bytes], fds: list[int]) -> None:
    """Send one frame, its first bytes carrying the file descriptors."""
    data = frame(fields)
    rights = b"".join(fd.to_bytes(4, sys.byteorder) for fd in fds)
    ancillary = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)] if fds else []
    sent = link.sendmsg([data], ancillary)
    while sent < len(data):
        sent += link.send(data[sent:])


def open_descriptors() -> list[int]:
    """0, 1 and 2, where a closed one is /dev/null."""
    found = []
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
            found.append(fd)
        except OSError:
            found.append(os.open("/dev/null", os.O_RDWR))
    return found


def request(kind: bytes, argv: list[bytes]) -> list[bytes]:
    """What the far side is told about this process."""
    environment = [name + b"=" + value for name, value in os.environb.items()]
    try:
        cwd = os.getcwdb()  # noqa: PTH109 - as bytes, and pathlib is a slow import
    except OSError:
        cwd = b"/"
    about = [kind, cwd, b"%d" % os.getpid(), b"%d" % os.getppid(), b"%d" % os.getuid(), b"%d" % len(argv)]
    return about + argv + environment


def end_as(word: str, number: int) -> None:
    """Exit with the status, or die of the signal that the command died of."""
    if word == "signal":
        import signal

        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(number)


def stand_in() -> None:
    """Ask the kernel to do what this stand-in is named for."""
    try:
        link = connect(KERNEL)
        send(link, request(b"call", [os.fsencode(word) for word in sys.argv]), open_descriptors())
        answer = _line(link)
    except OSError as error:
        os.write(2, f"{sys.argv[0]}: the lab's kernel is gone: {error}\n".encode())
        os._exit(70)
    except KeyboardInterrupt:
        end_as("signal", 2)
    end_as(*answer)


def gate(path: str) -> None:
    """Run the login's command, or its shell, inside the sandbox."""
    command = os.environb.get(b"SSH_ORIGINAL_COMMAND", b"")
    try:
        link = connect(path)
        if os.isatty(0):
            _terminal(link, command)
            return
        send(link, request(b"run", [command]), open_descriptors())
        answer = _line(link)
    except OSError as error:
        os.write(2, f"the hypervisor is gone: {error}\n".encode())
        os._exit(255)
    end_as(*answer)


def _terminal(link: _socket.socket, command: bytes) -> None:
    """The same on a terminal: the sandbox has its own, and this end carries the bytes."""
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).resolve().parent))
    import terminal  # type: ignore[import-not-found]

    send(link, request(b"terminal", [command]), [0])
    end_as(*terminal.carry(link))


def _line(link: _socket.socket) -> tuple[str, int]:
    """The answer, `exit N` or `signal N`."""
    answer = b""
    while not answer.endswith(b"\n"):
        piece = link.recv(64)
        if not piece:
            raise OSError("no answer")
        answer += piece
    word, number = answer.decode("ascii").split()
    return word, int(number)


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "gate":
        gate(sys.argv[2])
    else:
        stand_in()
