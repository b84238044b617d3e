"""qcow2 files through QEMU's own tools: qemu-nbd serves one on a local socket, qemu-img makes an empty one.

QEMU wrote the format and keeps its code safe; qemu-nbd gives holes as holes, takes many requests at once, and says what
it could not read, all of which a pipe from `qemu-img` would not. The system's packages have both.
"""

from __future__ import annotations

import json
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pyvmiscsi.errors import ImageError, UnsupportedError
from pyvmiscsi.images.nbd import Served
from pyvmiscsi.waiting import wait_for

_STARTED_WITHIN, _ENDED_WITHIN = 15.0, 30.0


@contextmanager
def served(path: Path, name: str, *, read_only: bool = True) -> Iterator[Served]:
    """The disk in a qcow2 file whose header was looked at: no backing file of it is ever opened.

    ImageError when QEMU cannot open it; UnsupportedError without qemu-nbd. When the block has ended well, the file is
    whole and closed.
    """
    with tempfile.TemporaryDirectory(prefix="pyvmiscsi-") as private, socket.socket(socket.AF_UNIX) as connection:
        place = Path(private, "nbd")
        how = "--read-only" if read_only else "--discard=unmap"
        with _running(["qemu-nbd", how, f"--socket={place}", _node(path, read_only=read_only)], name) as qemu:
            wait_for(lambda: qemu.listens(connection, place), what="qemu-nbd", deadline=_STARTED_WITHIN)
            with Served(connection, name) as export:
                yield export
            qemu.await_end()  # which comes by itself when its client is gone


def create(path: Path, size: int) -> None:
    """Make an empty qcow2 file for a disk of `size` bytes, in place of what is there."""
    argv = ["qemu-img", "create", "-q", "-f", "qcow2", "--", str(path), str(size)]
    with _running(argv, f"image {path}") as qemu:
        qemu.await_end()


class _Qemu:
    """One of QEMU's tools at work; `name` is what it works on, in messages."""

    def __init__(self, process: subprocess.Popen[bytes], complaints: IO[bytes], name: str) -> None:
        self._process = process
        self._complaints = complaints
        self._name = name

    def listens(self, connection: socket.socket, place: Path) -> bool:
        """Whether it could be connected to; ImageError when it has ended."""
        if self._process.poll() is not None:
            raise self._failure()
        try:
            connection.connect(str(place))
        except OSError:
            return False
        return True

    def await_end(self) -> None:
        """ImageError when it fails, or does not end."""
        try:
            if self._process.wait(timeout=_ENDED_WITHIN):
                raise self._failure()
        except subprocess.TimeoutExpired:
            raise ImageError(f"{self._name}: QEMU does not come to an end") from None

    def _failure(self) -> ImageError:
        self._complaints.seek(0)
        lines = self._complaints.read().decode(errors="replace").strip().splitlines()
        return ImageError(f"{self._name}: QEMU cannot use it: {lines[-1] if lines else 'it does not say why'}")


@contextmanager
def _running(argv: list[str], name: str) -> Iterator[_Qemu]:
    """A tool that is gone when the block ends. It gets a session of its own: Ctrl-C is for us to act on."""
    with tempfile.TemporaryFile() as complaints:
        try:
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=complaints, stderr=complaints, start_new_session=True
            )
        except FileNotFoundError as error:
            raise UnsupportedError(
                f"{name}: a qcow2 needs {argv[0]}, which is not installed",
                hint="apt install qemu-utils (Debian), pkg install qemu-tools (FreeBSD)",
            ) from error
        try:
            yield _Qemu(process, complaints, name)
        finally:
            process.kill()
            process.wait()


def _node(path: Path, *, read_only: bool) -> str:
    """The file as QEMU's block layer is told of it: nothing is guessed, and no other file is opened."""
    file = {"driver": "file", "filename": str(path), "read-only": read_only}
    return "json:" + json.dumps({"driver": "qcow2", "read-only": read_only, "backing": None, "file": file})
