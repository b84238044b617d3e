"""An iSCSI session in this process, without the kernel: log in, ask LUNs what they are, read and write them.

    with Session.login(portal, target, credential=credential) as session:
        session.settle(lun=1)
        session.capacity(1).size
        session.serial(1)
        session.read(1, sector=0, count=8)

`portal` is a Portal or its text (`10.0.0.10`, `nas1:3260`, `[2001:db8::10]:3260`), or several of them; `target` an
Iqn or its text. Safe to call from several threads: commands go one after the other, `run_all` keeps many in
flight. Errors: LoginError (its `reason` in iscsid's words), ScsiError (`status`, `key`, `asc`, `ascq`),
SessionLostError, and DeadlineError, after which the session is lost as well. Whoever keeps a session without
using it calls `tend`, so that the target's pings are answered.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Self

from pyvmiscsi.errors import InputError, IscsiError, ScsiError
from pyvmiscsi.initiator.libiscsi import cdb, sense, shapes
from pyvmiscsi.initiator.libiscsi.connection import Connection
from pyvmiscsi.initiator.libiscsi.login import Login
from pyvmiscsi.initiator.libiscsi.nouns import NO_DIGESTS, Attention, Buffer, Digests, Found, Task
from pyvmiscsi.model import Credential
from pyvmiscsi.names import Iqn, Portal

_LBA_STATUS = 8 + 16 * 256


def default_initiator() -> str:
    """The name FreeBSD's initiator gives itself: `iqn.1994-09.org.freebsd:<host name>` (iscsictl(8))."""
    return f"iqn.1994-09.org.freebsd:{socket.gethostname().lower()}"


def discover(
    portal: Portal | str, *, initiator: str = "", credential: Credential | None = None, deadline: float = 15.0
) -> tuple[Found, ...]:
    """The targets that a portal tells of, with the portals of each; LoginError when it does not let us in."""
    end = time.monotonic() + deadline
    name = initiator or default_initiator()
    login = Login(None, name, credential=credential, isid=None, digests=NO_DIGESTS, deadline=deadline)
    connection = login.at((portal,))
    try:
        return connection.discover(max(end - time.monotonic(), 0.0))
    finally:
        connection.close()


class Session:
    """A login to one target; `close` logs out."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @classmethod
    def login(
        cls,
        portal: Portal | str | Sequence[Portal | str],
        target: Iqn | str,
        *,
        initiator: str = "",
        credential: Credential | None = None,
        isid: int | None = None,
        digests: Digests = NO_DIGESTS,
        deadline: float = 30.0,
    ) -> Self:
        """Log in, with CHAP when there is a credential and with mutual CHAP when that has a peer.

        Several portals, and several addresses of one, are tried in turn; a target that has moved is followed.
        `isid` is 40 bits behind the type byte 0x80 (RFC 7143 section 11.12.5); drawn anew when None. A target
        sees a login with the same initiator name and ISID as the same nexus come back. No command is sent:
        the first one may meet a unit attention, see `settle`. InputError for what is no portal, UnsupportedError for
        data digests when libiscsi has none.
        """
        portals = (portal,) if isinstance(portal, Portal | str) else tuple(portal)
        if not portals:
            raise InputError(f"login to {target}: no portal given")
        name = initiator or default_initiator()
        login = Login(str(target), name, credential=credential, isid=isid, digests=digests, deadline=deadline)
        return cls(login.at(portals))

    @property
    def portal(self) -> str:
        """The address that let us in."""
        return self._connection.portal

    @property
    def target(self) -> str:
        return self._connection.target or ""

    @property
    def is_alive(self) -> bool:
        """False once the session is known to be lost or closed; `tend` finds out."""
        return self._connection.is_alive

    @property
    def loss(self) -> str:
        """Why it is not alive; empty while it is."""
        return self._connection.loss

    def fileno(self) -> int:
        """The socket, to wait on with select or poll."""
        return self._connection.fileno()

    def tend(self, seconds: float = 0.0) -> bool:
        """Answer the target's pings for up to `seconds`, or until something came; whether the session is alive."""
        return self._connection.tend(seconds)

    def close(self, *, log_out: bool = True) -> None:
        """Log out and disconnect; a thread that waits for an answer gets SessionLostError at once."""
        self._connection.close(log_out=log_out)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # any command

    def command(
        self, cdb: bytes, *, lun: int, data_in: int = 0, data_out: Buffer = b"", deadline: float = 30.0
    ) -> bytes:
        """Send a CDB of up to 16 bytes with `data_out`, or receive up to `data_in` bytes; what came.

        Nothing is retried, so a unit attention shows as ScsiError with key 6.
        """
        if not data_in:
            self._connection.run(Task(lun, cdb, data=data_out), deadline)
            return b""
        into = bytearray(data_in)
        moved = self._connection.run(Task(lun, cdb, into=into), deadline)
        return bytes(into[:moved])

    def run_all(
        self,
        tasks: Iterable[Task],
        *,
        depth: int = 8,
        deadline: float = 30.0,
        attention: Attention = lambda _error: None,
    ) -> Iterator[Task]:
        """Run tasks with `depth` of them in flight, and hand back each one in order as it is done.

        What was not executed is sent again: while the LUN is busy or becomes ready, until the deadline of the oldest
        one, and after a unit attention, once `attention` was told of it; what it raises ends the run.
        """
        return self._connection.run_all(tasks, depth, deadline, attention)

    # what is there

    def luns(self) -> tuple[int, ...]:
        """The LUNs that the target reports, in its order (tgtd's LUN 0 is a controller, no disk)."""
        data = self._ask(cdb.report_luns(16 + 8 * 256), 0, 16 + 8 * 256)
        wanted = 8 + int.from_bytes(data[:4], "big")
        return shapes.luns(data if wanted <= len(data) else self._ask(cdb.report_luns(wanted), 0, wanted))

    def settle(self, lun: int, *, deadline: float = 30.0) -> None:
        """TEST UNIT READY until it is answered without a unit attention; ScsiError when the LUN does not become ready.

        A reservation of somebody else does not count as not ready.
        """
        try:
            self._ask(cdb.TEST_UNIT_READY, lun, 0, deadline=deadline)
        except ScsiError as error:
            if error.status != sense.RESERVATION_CONFLICT:
                raise

    def inquiry(self, lun: int) -> shapes.Inquiry:
        """Vendor, product, revision and what kind of device it is."""
        return shapes.Inquiry.parse(self.command(cdb.inquiry(), lun=lun, data_in=252))

    def page(self, lun: int, page: int) -> bytes:
        """A vital product data page with its header; ScsiError (ILLEGAL REQUEST) when there is no such page."""
        data = self.command(cdb.inquiry_page(page), lun=lun, data_in=1024)
        if len(data) < 4 or data[1] != page:
            raise IscsiError(f"{self.target} LUN {lun}: no answer for page {page:#04x}")
        return data

    def pages(self, lun: int) -> tuple[int, ...]:
        """Page 00h: which pages the LUN has."""
        return shapes.supported_pages(self.page(lun, 0x00))

    def serial(self, lun: int) -> str:
        """Page 80h: the serial number, without the blanks around it."""
        return shapes.unit_serial(self.page(lun, 0x80))

    def designators(self, lun: int) -> tuple[shapes.Designator, ...]:
        """Page 83h: the names of the LUN, such as its NAA."""
        return shapes.designators(self.page(lun, 0x83))

    def block_limits(self, lun: int) -> shapes.BlockLimits:
        """Page B0h."""
        return shapes.BlockLimits.parse(self.page(lun, 0xB0))

    def rotation_rate(self, lun: int) -> int:
        """Page B1h: turns per minute, 1 for a disk that does not turn."""
        return shapes.rotation_rate(self.page(lun, 0xB1))

    def provisioning(self, lun: int) -> shapes.Provisioning:
        """Page B2h."""
        return shapes.Provisioning.parse(self.page(lun, 0xB2))

    def capacity(self, lun: int) -> shapes.Capacity:
        """READ CAPACITY(16), or (10) on a LUN that knows no 16: sectors, bytes per logical and per physical sector."""
        try:
            return shapes.Capacity.parse(self._ask(cdb.read_capacity(), lun, 32))
        except ScsiError as error:
            if not _is_unknown(error):
                raise
        return shapes.capacity10(self._ask(cdb.read_capacity10(), lun, 8))

    def lba_status(self, lun: int, sector: int, *, deadline: float = 30.0) -> tuple[shapes.LbaExtent, ...]:
        """GET LBA STATUS: which sectors from `sector` on have data, as far as the LUN tells in one answer.

        Ask again from the end of the last one. ScsiError (ILLEGAL REQUEST) where a target does not know the command.
        """
        return shapes.lba_extents(self._ask(cdb.lba_status(sector, _LBA_STATUS), lun, _LBA_STATUS, deadline=deadline))

    # reading and writing

    def read(self, lun: int, *, sector: int, count: int, sector_size: int = 512, deadline: float = 30.0) -> bytes:
        """READ(16) of `count` sectors in one command, or READ(10) on a LUN that knows no 16."""
        into = bytearray(count * sector_size)
        try:
            self._do(Task(lun, cdb.read(sector, count), into=into), deadline)
        except ScsiError as error:
            if not _is_unknown(error) or not _fits_10(sector, count):
                raise
            self._do(Task(lun, cdb.read10(sector, count), into=into), deadline)
        return bytes(into)

    def write(self, lun: int, data: Buffer, *, sector: int, sector_size: int = 512, deadline: float = 30.0) -> None:
        """WRITE(16) of whole sectors in one command, or WRITE(10) on a LUN that knows no 16."""
        count = len(data) // sector_size
        try:
            self._do(Task(lun, cdb.write(sector, count), data=data), deadline)
        except ScsiError as error:
            if not _is_unknown(error) or not _fits_10(sector, count):
                raise
            self._do(Task(lun, cdb.write10(sector, count), data=data), deadline)

    def compare_and_write(
        self, lun: int, expected: Buffer, data: Buffer, *, sector: int, sector_size: int = 512, deadline: float = 30.0
    ) -> bool:
        """COMPARE AND WRITE: put `data` where `expected` is, at once; False, and nothing written, where it is not.

        Both are as long, whole sectors, at most 255 and what the LUN takes; else InputError. ScsiError (ILLEGAL
        REQUEST) on a LUN that does not know the command, as tgtd.
        """
        count, rest = divmod(len(data), sector_size)
        if rest or len(expected) != len(data) or not 0 < count <= 255:
            raise InputError(f"COMPARE AND WRITE of {len(data)} for {len(expected)} bytes: not as many whole sectors")
        try:
            self._do(Task(lun, cdb.compare_and_write(sector, count), data=bytes(expected) + bytes(data)), deadline)
        except ScsiError as error:
            if error.key != sense.MISCOMPARE:
                raise
            return False
        return True

    def synchronize(self, lun: int, *, deadline: float = 60.0) -> None:
        """SYNCHRONIZE CACHE(10), or (16) on a LUN that knows no 10: what was written is on stable storage."""
        try:
            self._do(Task(lun, cdb.synchronize_cache()), deadline)
        except ScsiError as error:
            if not _is_unknown(error):
                raise
            self._do(Task(lun, cdb.synchronize_cache16()), deadline)

    def unmap(self, lun: int, ranges: Iterable[tuple[int, int]], *, deadline: float = 60.0) -> None:
        """UNMAP pairs of first sector and count; the LUN's `block_limits` say how many and how long they may be."""
        data = cdb.unmap_list(tuple(ranges))
        self._do(Task(lun, cdb.unmap(len(data)), data=data), deadline)

    def write_same(
        self, lun: int, block: Buffer, *, sector: int, count: int, unmap: bool = False, deadline: float = 60.0
    ) -> None:
        """WRITE SAME(16): one block of data to `count` sectors; with `unmap` a block of zeros lets go of them."""
        self._do(Task(lun, cdb.write_same(sector, count, unmap=unmap), data=block), deadline)

    # persistent reservations

    def registrations(self, lun: int) -> shapes.Registrations:
        """The keys that are registered, and how often that changed."""
        return shapes.Registrations.parse(self.command(cdb.persistent_reserve_in(0, 4096), lun=lun, data_in=4096))

    def reservation(self, lun: int) -> shapes.Reservation:
        """Who holds the LUN."""
        return shapes.Reservation.parse(self.command(cdb.persistent_reserve_in(1, 256), lun=lun, data_in=256))

    def reservation_support(self, lun: int) -> shapes.ReservationSupport:
        """Which reservations the LUN knows, and whether they outlive a power loss."""
        return shapes.ReservationSupport.parse(self.command(cdb.persistent_reserve_in(2, 8), lun=lun, data_in=8))

    def registrants(self, lun: int) -> tuple[shapes.Registrant, ...]:
        """Whose keys are registered, by initiator name; ScsiError (ILLEGAL REQUEST) where that is not told, as tgtd."""
        return shapes.registrants(self.command(cdb.persistent_reserve_in(3, 0x8000), lun=lun, data_in=0x8000))

    def persistent_reserve(self, lun: int, action: int, *, key: int, service_key: int = 0, kind: int = 0) -> None:
        """PERSISTENT RESERVE OUT for the whole LUN; actions and kinds are numbered as in `cdb` and `shapes`.

        ScsiError with status 0x18 when another's reservation stands against it.
        """
        data = cdb.persistent_reserve_out_list(key, service_key)
        self.command(cdb.persistent_reserve_out(action, scope=0, kind=kind, length=len(data)), lun=lun, data_out=data)

    def _ask(self, block: bytes, lun: int, length: int, *, deadline: float = 30.0) -> bytes:
        """A command without effect: whatever the LUN has to tell of itself is cleared on the way."""
        into = bytearray(length)
        moved = self._connection.insist(Task(lun, block, into=into if length else None), deadline, lambda _error: None)
        return bytes(into[:moved])

    def _do(self, task: Task, deadline: float) -> None:
        """A command on data: not on a LUN that was changed, or taken away, since it was looked at."""
        self._connection.insist(task, deadline, heed)


def heed(attention: ScsiError) -> None:
    """Raise the unit attentions that a user of the LUN must know of; the others mean no more than `send it again`.

    Nor does a change in the list of LUNs say more, to somebody who did not prove which LUN this is.
    """
    code = (attention.asc, attention.ascq)
    if sense.is_preemption(*code) or (sense.is_change(*code) and code != sense.LUNS_CHANGED):
        raise attention


def _is_unknown(error: ScsiError) -> bool:
    return sense.is_unknown(error.key, error.asc, error.ascq)


def _fits_10(sector: int, count: int) -> bool:
    return sector + count <= 2**32 and count < 2**16
