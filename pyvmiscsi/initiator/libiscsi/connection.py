"""A session over its connection: log in, discover, run SCSI tasks, log out."""

from __future__ import annotations

import contextlib
import itertools
import secrets
import time
from collections.abc import Iterable, Iterator
from typing import Any

from pyvmiscsi.errors import (
    DeadlineError,
    IscsiError,
    LoginError,
    ScsiError,
    SessionLostError,
    UnsupportedError,
)
from pyvmiscsi.initiator import reasons
from pyvmiscsi.initiator.libiscsi import cdb, sense
from pyvmiscsi.initiator.libiscsi.library import load
from pyvmiscsi.initiator.libiscsi.login_text import login_reason
from pyvmiscsi.initiator.libiscsi.loop import CallError, Loop
from pyvmiscsi.initiator.libiscsi.nouns import (
    NO_DIGESTS,
    Attention,
    Digests,
    Found,
    MovedError,
    Task,
)
from pyvmiscsi.initiator.libiscsi.refusals import refusal
from pyvmiscsi.initiator.libiscsi.replies import CANCELLED, Reply, expect, forget
from pyvmiscsi.initiator.libiscsi.shapes import lun_field
from pyvmiscsi.model import Credential

DISCOVERY, NORMAL = 1, 2  # enum iscsi_session_type
_NO_DATA, _FROM_TARGET, _TO_TARGET = 0, 1, 2  # enum scsi_xfer_dir
_EXACT, _UNDERFLOW = 0, 1  # enum scsi_residual
_WHOLE = (0x28, 0x2A, 0x88, 0x8A)
"""READ and WRITE: what they move is the data of so many sectors, and nothing else may pass for it."""
_LOGOUT_SECONDS = 2.0
_LATER_WAIT = 0.1
_UNIT_ATTENTIONS = 10  # more than that in a row, and something is broken

_CRC32C = 3  # enum iscsi_header_digest and iscsi_data_digest: no other will do
_MOVED = (reasons.LOGIN_STATUS[0x0101], reasons.LOGIN_STATUS[0x0102])


class Connection(Loop):
    """A session with one target (or a discovery session, without any), from connect to close."""

    def __init__(self, portal: str, target: str | None, initiator: str, digests: Digests = NO_DIGESTS) -> None:
        library = load()
        if digests.header and not library.has_header_digest:
            raise UnsupportedError(f"header digests: {library.words} has none that work", hint="libiscsi 1.19 has them")
        if digests.data and not library.has_data_digest:
            raise UnsupportedError(f"data digests: {library.words} has none that work", hint="libiscsi 1.20.3 has them")
        self.portal = portal
        self.target = target
        self._library = library
        super().__init__(library, initiator, target or portal)
        self._lib.iscsi_set_header_digest(self._context, _CRC32C if digests.header else 0)
        if digests.data:
            self._lib.iscsi_set_data_digest(self._context, _CRC32C)

    # life

    def log_in(self, credential: Credential | None, isid: int | None, deadline: float) -> None:
        """Connect and log in; LoginError with the target's or the network's reason, and the connection is closed.

        MovedError when the target says where it is now. No deadline covers the look-up of a host name.
        """
        lib, context = self._lib, self._context
        end = time.monotonic() + deadline
        if credential is not None and credential.is_mutual and not self._library.has_mutual_chap:
            raise UnsupportedError(f"mutual CHAP: {self._library.words} gets it wrong", hint="libiscsi 1.20.3 does not")
        with self._lock:
            number = secrets.randbits(40) if isid is None else isid
            lib.iscsi_set_isid_random(context, number >> 16, number & 0xFFFF)
            lib.iscsi_set_session_type(context, NORMAL if self.target else DISCOVERY)
            if self.target:
                lib.iscsi_set_targetname(context, self.target.encode())
            if credential is not None:
                lib.iscsi_set_initiator_username_pwd(
                    context, credential.user.encode(), credential.secret.reveal().encode()
                )
                if credential.is_mutual:
                    lib.iscsi_set_target_username_pwd(
                        context, credential.peer_user.encode(), credential.peer_secret.reveal().encode()
                    )
            try:
                self._call(lambda *tail: lib.iscsi_connect_async(context, self.portal.encode(), *tail), end)
                self._call(lambda *tail: lib.iscsi_login_async(context, *tail), end)
            except DeadlineError:
                self._destroy("login timed out")
                raise self._login_error("Operation timed out") from None
            except (SessionLostError, CallError) as error:
                reason = login_reason(str(error.args[0]))
                moved_to = self._moved_to() if reason in _MOVED else ""
                self._destroy("login failed")
                if moved_to:
                    raise MovedError(f"{self._where}: {reason} to {moved_to}", reason=reason, portal=moved_to) from None
                raise self._login_error(reason) from None

    def discover(self, deadline: float) -> tuple[Found, ...]:
        """All targets that the portal tells of (SendTargets=All)."""
        end = time.monotonic() + deadline
        with self._lock:
            self._check()
            try:
                found = self._call(
                    lambda *tail: self._lib.iscsi_discovery_async(self._context, *tail), end, read=self._found
                )
            except CallError as error:
                raise IscsiError(f"discovery at {self.portal}: {error}") from None
            return tuple(found)

    def close(self, *, log_out: bool = True) -> None:
        """Log out (two seconds at most) and disconnect; a thread that waits for an answer gets SessionLostError."""
        if not self._lock.acquire(blocking=False):
            self._closing = True
            with contextlib.suppress(OSError):
                self._wake_in.send(b"!")
            self._lock.acquire()
        try:
            # A discovery session is never logged out: libiscsi would wait for ever for istgt's answer.
            if log_out and self.target and self._context is not None and not self._closing:
                with contextlib.suppress(IscsiError, DeadlineError, CallError):
                    end = time.monotonic() + _LOGOUT_SECONDS
                    self._call(lambda *tail: self._lib.iscsi_logout_async(self._context, *tail), end)
            self._closing = True
            self._destroy("closed")
            self._wake_in.close()
            self._wake_out.close()
        finally:
            self._lock.release()

    # tasks

    def run(self, task: Task, deadline: float) -> int:
        """Run one task; how many bytes it moved. ScsiError, SessionLostError, DeadlineError."""
        end = time.monotonic() + deadline
        with self._lock:
            reply = self._submit(task)
            self._await([reply], end, lambda: self._what(task))
            return self._finish(task, reply)

    def insist(self, task: Task, deadline: float, attention: Attention) -> int:
        """Run one task, again while the target says that it did not execute it; how many bytes it moved.

        That is so after a unit attention, of which `attention` is told first and may raise, while the target is busy,
        and while the LUN becomes ready.
        """
        with self._lock:
            return self._complete(task, self._submit(task), deadline, attention)

    def run_all(self, tasks: Iterable[Task], depth: int, deadline: float, attention: Attention) -> Iterator[Task]:
        """Run tasks with up to `depth` of them in flight; each is handed back when done, in the order given.

        `deadline` is how long the oldest one may take. What the target did not execute is sent again, as `insist` does;
        any other error ends the run, after what is in flight has ended. The lock is released while the caller has a
        task in hand.
        """
        flight: list[tuple[Task, Reply]] = []
        source = iter(tasks)
        try:
            while True:
                with self._lock:
                    for task in itertools.islice(source, depth - len(flight)):
                        flight.append((task, self._submit(task)))
                    if not flight:
                        return
                    task, reply = flight.pop(0)
                    self._complete(task, reply, deadline, attention)
                yield task
        finally:
            with self._lock:
                self._drain(flight, deadline)

    def _complete(self, task: Task, reply: Reply, deadline: float, attention: Attention) -> int:
        """Wait for this task, and send it again while the target says that it did not execute it."""
        end = time.monotonic() + deadline
        attentions = 0
        while True:
            self._await([reply], end, lambda: self._what(task))
            try:
                return self._finish(task, reply)
            except ScsiError as error:
                later = sense.is_later(error.status, error.key, error.asc, error.ascq)
                if error.key == sense.UNIT_ATTENTION and attentions < _UNIT_ATTENTIONS:
                    attentions += 1
                    attention(error)
                elif later and time.monotonic() + _LATER_WAIT < end:
                    self._service(_LATER_WAIT, lambda: False)
                else:
                    raise
            reply = self._submit(task)

    def _drain(self, flight: list[tuple[Task, Reply]], deadline: float) -> None:
        """Wait for what nobody will ask for any more, so that its buffers are free again."""
        if not flight:
            return
        with contextlib.suppress(IscsiError, DeadlineError):
            end = time.monotonic() + deadline
            self._await([reply for _, reply in flight], end, lambda: f"{self.target}: SCSI commands")
        for task, reply in flight:
            if reply.task is not None:
                with contextlib.suppress(IscsiError):
                    self._finish(task, reply)

    def _submit(self, task: Task) -> Reply:
        self._check()
        ffi, lib = self._ffi, self._lib
        if task.into is not None:
            direction, buffer = _FROM_TARGET, ffi.from_buffer("unsigned char[]", task.into, require_writable=True)
        elif len(task.data):
            direction, buffer = _TO_TARGET, ffi.from_buffer("unsigned char[]", task.data)
        else:
            direction, buffer = _NO_DATA, b""
        length = len(buffer)
        made = lib.scsi_create_task(len(task.cdb), ffi.from_buffer(task.cdb), direction, length)
        if made == ffi.NULL:
            raise IscsiError(f"a CDB of {len(task.cdb)} bytes: libiscsi takes at most 16")
        if direction == _FROM_TARGET:
            lib.scsi_task_add_data_in_buffer(made, length, buffer)
        elif direction == _TO_TARGET:
            lib.scsi_task_add_data_out_buffer(made, length, buffer)
        reply = Reply(self)
        reply.task, reply.buffer = made, buffer
        expect(reply)
        token = ffi.cast("void *", reply.token)
        if lib.iscsi_scsi_command_async(self._context, lun_field(task.lun), made, self._done, ffi.NULL, token) != 0:
            forget(reply)
            lib.scsi_free_scsi_task(made)
            raise self._lose(self._error_text())
        return reply

    def _finish(self, task: Task, reply: Reply) -> int:
        made, reply.task, reply.buffer = reply.task, None, None
        try:
            if reply.status >= CANCELLED:
                raise self._lose(reply.error or "the target closed the connection")
            if reply.status != sense.GOOD:
                key, code = (made.sense.key, made.sense.ascq) if reply.status == sense.CHECK_CONDITION else (0, 0)
                asc, ascq = code >> 8 & 0xFF, code & 0xFF
                raise refusal(self._what(task), status=reply.status, key=key, asc=asc, ascq=ascq)
            wanted, residual = int(made.expxferlen), int(made.residual)
            if made.residual_status == _EXACT:
                return wanted
            if task.cdb[0] in _WHOLE:
                raise IscsiError(f"{self._what(task)}: {residual} of {wanted} bytes too few or too many were moved")
            return max(wanted - residual, 0) if made.residual_status == _UNDERFLOW else wanted
        finally:
            self._lib.scsi_free_scsi_task(made)

    def _what(self, task: Task) -> str:
        return f"{self.target} LUN {task.lun}: {cdb.words(task.cdb)}"

    def _moved_to(self) -> str:
        if self._context is None:
            return ""
        return bytes(self._ffi.string(self._lib.iscsi_get_target_address(self._context))).decode(errors="replace")

    @property
    def _where(self) -> str:
        return f"login to {self.target} at {self.portal}" if self.target else f"login to {self.portal}"

    def _login_error(self, reason: str) -> LoginError:
        return LoginError(
            f"{self._where}: {reason}",
            reason=reason,
            permanent=reasons.is_permanent(reason),
            hint=reasons.hint_for(reason),
        )

    def _found(self, address: Any) -> list[Found]:
        ffi, found = self._ffi, []
        address = ffi.cast("struct iscsi_discovery_address *", address)
        while address != ffi.NULL:
            portals, portal = [], address.portals
            while portal != ffi.NULL:
                portals.append(ffi.string(portal.portal).decode())
                portal = portal.next
            found.append(Found(ffi.string(address.target_name).decode(), tuple(reversed(portals))))
            address = address.next
        return found[::-1]  # libiscsi puts each new one in front
