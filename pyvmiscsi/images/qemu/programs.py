"""Images through QEMU's own tools: qemu-img tells where everything lies, qemu-nbd reads what is packed.

QEMU wrote qcow2, knows the formats of others, and keeps its code safe. qemu-nbd takes many requests at once and says
what it could not read, which a pipe from `qemu-img` would not. The system's packages have both. Only images whose
header was looked at come here: see `images.headers`.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from pyvmiscsi.errors import ImageError, UnsupportedError
from pyvmiscsi.images.qemu.nbd import SILENCE_SECONDS, Served
from pyvmiscsi.waiting import wait_for

_STARTED_WITHIN, _ENDED_WITHIN = 15.0, 30.0
_LONGEST_LINE = 64 * 1024


@contextmanager
def served(image: int | Path, name: str, node: Mapping[str, Any]) -> Iterator[Served]:
    """The disk in a file that QEMU's block layer opens as `node` says, without the file.

    `image` is an open file to read: that very one, whatever bears its name by now. Or it is where a file stands that
    is written. ImageError when QEMU cannot open it; UnsupportedError without qemu-nbd. When the block has ended well,
    the file is whole and closed.
    """
    with tempfile.TemporaryDirectory(prefix="pyvmiscsi-") as private, socket.socket(socket.AF_UNIX) as connection:
        place = Path(private, "nbd")
        how = "--read-only" if isinstance(image, int) else "--discard=unmap"
        with _running(["qemu-nbd", how, f"--socket={place}", _spec(image, node)], name, image=image) as qemu:
            wait_for(lambda: qemu.listens(connection, place), what="qemu-nbd", deadline=_STARTED_WITHIN)
            with Served(connection, name) as export:
                yield export
            qemu.await_end()  # which comes by itself when its client is gone


@contextmanager
def mapped(image: int, name: str, node: Mapping[str, Any]) -> Iterator[Iterator[bytes]]:
    """The lines of `qemu-img map --output=json` of an open file, as they come: nobody keeps more of them than one.

    They raise ImageError when QEMU cannot read the file, or says nothing for `SILENCE_SECONDS`; UnsupportedError is
    raised without qemu-img.
    """
    argv = ["qemu-img", "map", "--output=json", _spec(image, node)]
    with _running(argv, name, image=image, out=subprocess.PIPE) as qemu:
        yield qemu.lines()


class Reader:
    """A qemu-nbd that is started once it is needed, in whatever thread, and is gone when the context ends."""

    def __init__(self, image: int, name: str, node: Mapping[str, Any]) -> None:
        self._what = image, name, node
        self._lock = threading.Lock()
        self._stack = ExitStack()
        self._export: Served | None = None
        self._over = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._over = True
            self._stack.__exit__(kind, error, trace)

    def export(self) -> Served:
        """What `served` answers, the same at every call."""
        with self._lock:
            if self._over:
                raise ImageError(f"{self._what[1]}: nobody reads it any more")
            if self._export is None:
                self._export = self._stack.enter_context(served(*self._what))
            return self._export


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

    def lines(self) -> Iterator[bytes]:
        """What it prints; ImageError when it fails in the end, is silent for long, or prints what has no lines."""
        out, rest = self._process.stdout, b""
        if out is None:
            return
        with selectors.DefaultSelector() as selector:
            selector.register(out, selectors.EVENT_READ)
            while True:
                if not selector.select(SILENCE_SECONDS):
                    raise ImageError(f"{self._name}: QEMU has been looking at it for too long")
                chunk = os.read(out.fileno(), _LONGEST_LINE)
                *lines, rest = (rest + chunk).split(b"\n")
                yield from lines
                if not chunk or len(rest) > _LONGEST_LINE:
                    break
        if rest:
            yield rest
        self.await_end()

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
def _running(argv: list[str], name: str, *, image: int | Path | None = None, out: int | None = None) -> Iterator[_Qemu]:
    """A tool that is gone when the block ends; an open file of ours is its standard input.

    It gets a session of its own: Ctrl-C is for us to act on.
    """
    with tempfile.TemporaryFile() as complaints:
        try:
            process = subprocess.Popen(
                argv,
                stdin=image if isinstance(image, int) else subprocess.DEVNULL,
                stdout=complaints if out is None else out,
                stderr=complaints,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise UnsupportedError(
                f"{name}: it takes {argv[0]}, which is not installed",
                hint="apt install qemu-utils (Debian), pkg install qemu-tools (FreeBSD)",
            ) from error
        try:
            yield _Qemu(process, complaints, name)
        finally:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def _spec(image: int | Path, node: Mapping[str, Any]) -> str:
    """The file as QEMU's block layer is told of it: nothing is guessed.

    An open file is its standard input: /dev/stdin is there on every system, without fdescfs(5) too.
    """
    read_only = isinstance(image, int)
    file = {"driver": "file", "filename": "/dev/stdin" if read_only else str(image), "read-only": read_only}
    return "json:" + json.dumps({**node, "read-only": read_only, "file": file})
