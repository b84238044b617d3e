"""A small NBD server for one disk, so that a guest's QEMU reads and writes through the session that iscsictl holds.

Fixed newstyle handshake with NBD_OPT_GO, NBD_OPT_EXPORT_NAME, NBD_OPT_LIST and NBD_OPT_ABORT; READ, WRITE (FUA),
FLUSH, TRIM and DISC with simple replies (github.com/NetworkBlockDevice/nbd, doc/proto.md). A request waits as long as
the disk does; when the disk is taken away, requests end with EIO and the connection is closed.
"""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import struct
import threading
from pathlib import Path

from pyvmiscsi.lab.hypervisor import wire
from pyvmiscsi.lab.hypervisor.kernel.disk import Disk

NBDMAGIC = 0x4E42444D41474943
IHAVEOPT = 0x49484156454F5054
REPLY_MAGIC = 0x3E889045565A9
REQUEST_MAGIC, SIMPLE_REPLY_MAGIC = 0x25609513, 0x67446698
FIXED_NEWSTYLE, NO_ZEROES = 1, 2
HAS_FLAGS, READ_ONLY, SEND_FLUSH, SEND_FUA, SEND_TRIM = 1, 2, 4, 8, 32
OPT_EXPORT_NAME, OPT_ABORT, OPT_LIST, OPT_INFO, OPT_GO = 1, 2, 3, 6, 7
REP_ACK, REP_SERVER, REP_INFO, REP_ERR_UNSUP = 1, 2, 3, 0x80000001
INFO_EXPORT, INFO_BLOCK_SIZE = 0, 3
READ, WRITE, DISC, FLUSH, TRIM = 0, 1, 2, 3, 4
CMD_FLAG_FUA = 1
LARGEST = 32 * 2**20


class NbdServer:
    """Serves one disk at a socket until it is closed or the disk ends."""

    def __init__(self, path: Path, disk: Disk, *, writable: bool) -> None:
        self.path = path
        self._disk = disk
        self._writable = writable
        self._links: set[socket.socket] = set()
        self._listener = wire.listen(path)
        threading.Thread(target=self._accept, name=f"nbd-{disk.unit.da}", daemon=True).start()

    def close(self) -> None:
        """Let nobody in any more, and drop who is."""
        self.path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for link in list(self._links):
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            self._links.add(link)
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link: socket.socket) -> None:
        with link, contextlib.suppress(OSError, EOFError):
            if self._negotiate(link):
                while self._request(link):
                    pass
        self._links.discard(link)

    # handshake

    @property
    def _flags(self) -> int:
        flags = HAS_FLAGS | SEND_FLUSH | SEND_FUA
        flags |= 0 if self._writable else READ_ONLY
        return flags | (SEND_TRIM if self._disk.unit.lun.unmap else 0)

    def _negotiate(self, link: socket.socket) -> bool:
        link.sendall(struct.pack(">QQH", NBDMAGIC, IHAVEOPT, FIXED_NEWSTYLE | NO_ZEROES))
        client = struct.unpack(">I", _exactly(link, 4))[0]
        size = self._disk.unit.lun.size
        while True:
            magic, option, length = struct.unpack(">QII", _exactly(link, 16))
            if magic != IHAVEOPT or length > 65536:
                return False
            _exactly(link, length)
            if option == OPT_EXPORT_NAME:
                link.sendall(struct.pack(">QH", size, self._flags) + (b"" if client & NO_ZEROES else bytes(124)))
                return True
            if option == OPT_ABORT:
                _reply(link, option, REP_ACK)
                return False
            if option == OPT_LIST:
                _reply(link, option, REP_SERVER, struct.pack(">I", 0))
                _reply(link, option, REP_ACK)
            elif option in (OPT_INFO, OPT_GO):
                sector = self._disk.unit.lun.sector
                _reply(link, option, REP_INFO, struct.pack(">HQH", INFO_EXPORT, size, self._flags))
                sizes = struct.pack(">HIII", INFO_BLOCK_SIZE, sector, max(4096, sector), LARGEST)
                _reply(link, option, REP_INFO, sizes)
                _reply(link, option, REP_ACK)
                if option == OPT_GO:
                    return True
            else:
                _reply(link, option, REP_ERR_UNSUP)

    # transmission

    def _request(self, link: socket.socket) -> bool:
        magic, flags, kind, handle, offset, length = struct.unpack(">IHHQQI", self._next(link))
        if magic != REQUEST_MAGIC or kind == DISC or length > LARGEST:
            return False
        payload = _exactly(link, length) if kind == WRITE else b""
        data, error = b"", 0
        try:
            data = self._do(kind, flags, offset, length, payload)
        except OSError as failure:
            error = failure.errno or errno.EIO
        link.sendall(struct.pack(">IIQ", SIMPLE_REPLY_MAGIC, error, handle) + data)
        return not self._disk.ended.is_set()

    def _next(self, link: socket.socket) -> bytes:
        """The head of the next request; the connection ends when the disk does, also while nothing is asked."""
        while not select.select([link], [], [], 0.5)[0]:
            if self._disk.ended.is_set():
                raise EOFError
        return _exactly(link, 28)

    def _do(self, kind: int, flags: int, offset: int, length: int, payload: bytes) -> bytes:
        if offset + length > self._disk.unit.lun.size:
            raise OSError(errno.EINVAL, "beyond the end")
        if kind == READ:
            return self._disk.read(offset, length)
        if kind == FLUSH:
            self._disk.flush()
            return b""
        if not self._writable:
            raise OSError(errno.EPERM, "read-only")
        if kind == WRITE:
            self._disk.write(offset, payload)
            if flags & CMD_FLAG_FUA:
                self._disk.flush()
        elif kind == TRIM:
            self._disk.unmap(offset, length)
        else:
            raise OSError(errno.EINVAL, "no such command")
        return b""


def _reply(link: socket.socket, option: int, kind: int, data: bytes = b"") -> None:
    link.sendall(struct.pack(">QIII", REPLY_MAGIC, option, kind, len(data)) + data)


def _exactly(link: socket.socket, count: int) -> bytes:
    data = bytearray(count)
    view = memoryview(data)
    while view:
        got = link.recv_into(view)
        if not got:
            raise EOFError
        view = view[got:]
    return bytes(data)
