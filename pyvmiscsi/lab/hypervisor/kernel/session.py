"""One iSCSI session: its configuration, its thread, and the way its disks' commands take.

The life of a session, as iscsi(4) and iscsid(8) live it (sys/dev/iscsi/iscsi.c, tests/lab/hypervisor/transcripts/):

    Waiting for iscsid(8) -> Disconnected (login phase) -> Connected -> lost -> Waiting for iscsid(8) …
                                     \\-> the reason of a failure, until login_timeout has passed
"""

from __future__ import annotations

import errno
import os
import secrets
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

from pyvmiscsi.errors import DeadlineError, IscsiError, LoginError, PyvmiscsiError, SessionLostError
from pyvmiscsi.initiator.libiscsi import Session as Link
from pyvmiscsi.initiator.libiscsi import discover
from pyvmiscsi.lab.hypervisor.kernel import portals
from pyvmiscsi.lab.hypervisor.kernel.cam import Bus
from pyvmiscsi.lab.hypervisor.kernel.conf import SETTLED, WAITING, Conf, Parameters, Row
from pyvmiscsi.model import Credential
from pyvmiscsi.secrets import Secret

if TYPE_CHECKING:
    from pyvmiscsi.lab.hypervisor.kernel.scan import Scan

T = TypeVar("T")

LOGIN_SECONDS = 60.0  # iscsid -t


class Host(Protocol):
    """What a session needs of the kernel around it."""

    def sysctl_number(self, name: str) -> int: ...

    def iscsid_slot(self, session: Session, seconds: float) -> bool:
        """Wait for iscsid and for one of its children; False when neither came in time, or the session changed."""
        ...

    def iscsid_done(self) -> None: ...

    def resolve(self, host: str) -> str:
        """An address; OSError with the resolver's words."""
        ...

    def warn(self, session: Session, text: str) -> None: ...

    def log(self, tag: str, text: str) -> None:
        """syslog(3)."""
        ...

    def pause(self, name: str) -> None: ...

    def found(self, session: Session, targets: list[str]) -> None:
        """A discovery session has its answer."""
        ...

    def scan(self, session: Session) -> Scan: ...


class Session:
    """A session from -A to -R. All state changes happen under `changed`."""

    def __init__(self, host: Host, number: int, conf: Conf) -> None:
        self._host = host
        self.number = number
        self.conf = conf.cut()
        self.isid = secrets.randbits(40)
        self.changed = threading.Condition()
        self.reason = WAITING if conf.is_active else ""
        self.connected = False
        self.removed = False
        self.parameters = Parameters()
        self.bus: Bus | None = None
        self._scan: Scan | None = None
        self._link: Link | None = None
        self._generation = 0
        self._used = 0.0
        self._waiting = 0  # commands
        self._thread = threading.Thread(target=self._live, name=f"iscsimt{number}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def row(self) -> Row:
        with self.changed:
            devices, scbus = self._scan.devices() if self._scan else ((), -1)
            return Row(
                self.number, self.conf, self.reason, self.connected, self.parameters, devices, scbus if devices else -1
            )

    @property
    def is_under_way(self) -> bool:
        """Whether it logs in, or finds its disks, just now: what it shows will be another thing in a moment."""
        with self.changed:
            if self.removed or not self.conf.is_active:
                return False
            if self.connected:
                return self._scan is None or self._scan.is_under_way
            return self.reason in ("", WAITING)

    @property
    def holds_somebody_up(self) -> bool:
        """Whether a command waits for it to be connected again."""
        with self.changed:
            return self._waiting > 0

    # changes from outside

    def remove(self) -> None:
        """Take it away: disks and row are gone at once, and then commands that wait end with an error.

        In this order, so that whoever a dead disk kept waiting finds it gone already.
        """
        with self.changed:
            scan, self._scan = self._scan, None
            self._generation += 1
        if scan is not None:
            scan.detach()
        with self.changed:
            self.removed = True
            self.connected = False
            self.changed.notify_all()
        self._drop_link(log_out=True)
        if scan is not None:
            scan.settle()

    def modify(self, conf: Conf) -> None:
        """Another configuration; always reconnects."""
        with self.changed:
            self.conf = conf.cut()
            self._generation += 1
            self.connected = False
            self.reason = WAITING if conf.is_active else ""
            self.changed.notify_all()
        self._drop_link(log_out=True)

    def rescan(self) -> None:
        """Look again at what is on the bus (camcontrol rescan)."""
        if self._scan is not None:
            self._scan.run(again=True)

    # commands of disks

    def run(self, command: Callable[[Link], T]) -> T:
        """Run a command on the link, waiting while it is down; OSError ENXIO when the session is removed.

        A command that was cut off is sent again: it is the caller's to be repeatable, as CAM requeues it.
        """
        while True:
            link = self._await_link()
            try:
                return command(link)
            except (SessionLostError, DeadlineError) as error:
                self._lost(link, hung=isinstance(error, DeadlineError))
            finally:
                self._used = time.monotonic()

    def _await_link(self) -> Link:
        with self.changed:
            while True:
                if self.removed or self._scan is None:
                    raise OSError(errno.ENXIO, os.strerror(errno.ENXIO))
                if self.connected and self._link is not None:
                    return self._link
                self._waiting += 1
                self.changed.wait()
                self._waiting -= 1

    # the thread

    def _live(self) -> None:
        while not self.removed:
            with self.changed:
                while not self.conf.is_active and not self.removed:
                    self.changed.wait()
                generation, conf = self._generation, self.conf
                self.reason = WAITING
            if not self.removed:
                self._connect(generation, conf)

    def _connect(self, generation: int, conf: Conf) -> None:
        patience = self._host.sysctl_number("kern.iscsi.iscsid_timeout")
        if not self._host.iscsid_slot(self, patience + 1):
            if self._is_current(generation):
                self._host.warn(self, f"timed out waiting for iscsid(8) for {patience + 1} seconds; reconnecting")
            return
        threading.Thread(target=self._login, args=(generation, conf), daemon=True).start()
        started = time.monotonic()
        with self.changed:
            while self._is_current(generation) and not self.connected:
                patience = self._host.sysctl_number("kern.iscsi.login_timeout") + 1
                left = started + patience - time.monotonic()
                if left <= 0:
                    break
                self.changed.wait(min(left, 0.5))  # the sysctl takes effect at once on what waits already
            connected, link = self.connected, self._link
        if not self._is_current(generation):
            return
        if not connected or link is None:
            self._bump()
            self._host.warn(self, f"login timed out after {patience} seconds; reconnecting")
            return
        self._attach(generation)
        self._tend(generation, link)

    def _login(self, generation: int, conf: Conf) -> None:
        """What an iscsid child does; it goes on even when the session is gone, and keeps its slot until then."""
        try:
            self._host.pause("iscsid")
            with self.changed:
                if self._is_current(generation):
                    self.reason = ""
            self._host.pause("login")
            link = self._try_login(generation, conf)
            if link is None:
                return
            with self.changed:
                if self._is_current(generation):
                    self._link, self.connected, self.parameters = link, True, SETTLED
                    self.changed.notify_all()
                    return
            link.close()
        finally:
            self._host.iscsid_done()

    def _try_login(self, generation: int, conf: Conf) -> Link | None:
        where = f"{conf.portal} ({conf.target})" if conf.target else conf.portal
        try:
            portal = portals.numeric(conf.portal, self._host.resolve)
            if conf.discovery:
                found = discover(portal, initiator=conf.initiator, credential=_credential(conf), deadline=LOGIN_SECONDS)
                self._host.found(self, [entry.target for entry in found])
                return None
            return Link.login(
                portal,
                conf.target,
                initiator=conf.initiator,
                credential=_credential(conf),
                isid=self.isid,
                deadline=LOGIN_SECONDS,
            )
        except LoginError as error:
            text, reason = f"target returned error: {error.reason}", error.reason
            if reason in NETWORK:
                text = f"failed to connect to {conf.portal}: {reason}"
        except OSError as error:
            reason = error.strerror or str(error)
            text = f"getaddrinfo for {conf.portal} failed: {reason}"
        except PyvmiscsiError as error:
            text, reason = str(error), "connection lost"
        with self.changed:
            if self._is_current(generation):
                self.reason = reason[:63]
                self.changed.notify_all()
        self._host.log("iscsid", f"{where}: {text}")
        return None

    def _attach(self, generation: int) -> None:
        """Let CAM look at a new bus; after a reconnect the disks are still there, and nobody looks."""
        if self._scan is None:
            scan = self._host.scan(self)
            with self.changed:
                if not self._is_current(generation):
                    return
                self._scan = scan
            threading.Thread(target=scan.run, name=f"scan{self.number}", daemon=True).start()

    def _tend(self, generation: int, link: Link) -> None:
        while self._is_current(generation) and link.is_alive:
            link.tend(1.0)
            patience = self._host.sysctl_number("kern.iscsi.ping_timeout")
            if link.is_alive and time.monotonic() - self._used > 1.0 and patience > 0:
                try:
                    link.command(_PING, lun=0, data_in=36, deadline=patience)
                except DeadlineError:
                    self._lost(link, hung=True)
                    return
                except IscsiError:
                    pass  # any answer is an answer; a lost link ends the loop
        if self._is_current(generation):
            self._lost(link, hung=False)

    def _lost(self, link: Link, *, hung: bool) -> None:
        with self.changed:
            if self._link is not link or self.removed:
                return
            self._link, self.connected = None, False
            self._generation += 1
            self.reason = WAITING
            self.changed.notify_all()
        link.close(log_out=False)
        patience = self._host.sysctl_number("kern.iscsi.ping_timeout")
        what = f"no ping reply (NOP-In) after {patience} seconds" if hung else "connection error"
        self._host.warn(self, f"{what}; reconnecting")
        if self._host.sysctl_number("kern.iscsi.fail_on_disconnection") and self._scan is not None:
            scan, self._scan = self._scan, None
            scan.detach()
            scan.settle()

    def _drop_link(self, *, log_out: bool) -> None:
        with self.changed:
            link, self._link = self._link, None
        if link is not None:
            link.close(log_out=log_out)

    def _is_current(self, generation: int) -> bool:
        return generation == self._generation and not self.removed

    def _bump(self) -> None:
        with self.changed:
            self._generation += 1


NETWORK = frozenset(
    {"Connection refused", "No route to host", "Network is unreachable", "Operation timed out", "Host is down"}
)
_PING = bytes((0x12, 0, 0, 0, 36, 0))  # INQUIRY: answered by every LUN, and takes no unit attention away


def _credential(conf: Conf) -> Credential | None:
    if not conf.user:
        return None
    return Credential(
        tag=0,
        user=conf.user,
        secret=Secret(conf.secret),
        peer_user=conf.mutual_user,
        peer_secret=Secret(conf.mutual_secret),
    )
