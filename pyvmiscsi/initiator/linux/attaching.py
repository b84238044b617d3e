"""Logs a host in to one LUN and proves the disk that appears: a story in four steps.

1. What is there already: a live session is used, a dead one taken away unless its disk is in use, two are refused.
2. Log in, by a node record of our own, or by one that is there and is not ours to change. A refusal is tried again,
   because a nas may say that a target is not there for a moment after it made it.
3. Wait for the disk: its node, and its link below /dev/disk/by-path, are udev's work.
4. Proof: one session, and the serial, the size and the sector that the disk tells now are those of the record.

Whatever this log-in brought about is logged out again when it fails, its record too; what was found is left alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from pyvmiscsi.errors import BusyError, DeadlineError, LoginError, ProofError, PyvmiscsiError, SessionLostError
from pyvmiscsi.initiator.linux import disk_text, iscsiadm_text
from pyvmiscsi.initiator.linux.iscsiadm import Iscsiadm
from pyvmiscsi.initiator.linux.iscsiadm_text import Disk, Refusal, Row, Sight
from pyvmiscsi.initiator.trying import log_in, watched
from pyvmiscsi.model import AttachedDisk, Credential, DiskProof
from pyvmiscsi.ports import Clock
from pyvmiscsi.units import Size
from pyvmiscsi.waiting import wait_for

LUN_SECONDS, NODE_SECONDS, LINK_SECONDS = 15.0, 10.0, 10.0
"""From LOGGED_IN to the disk of our LUN, from there to /dev/sdX, and from there to its link."""

T = TypeVar("T")


class Attachment:
    """One disk on one host, from the first look to the proof."""

    def __init__(self, iscsiadm: Iscsiadm, clock: Clock, warn: Callable[[str], None], proof: DiskProof) -> None:
        self._iscsiadm = iscsiadm
        self._clock = clock
        self._warn = warn
        self._proof = proof
        self._address = proof.address
        self._what = f"{iscsiadm.name}: {proof.address}"
        self._sight = Sight()

    def run(self, credential: Credential | None, deadline: float) -> AttachedDisk:
        """The proven disk; LoginError, ProofError, DeadlineError, SessionLostError, ConflictError, BusyError."""
        end = self._clock.now() + deadline
        lines = iscsiadm_text.record_lines(credential)
        self._look()
        found = self._session()
        if found is not None and found.is_usable:
            return self._attached(end)
        if found is not None:
            self._take_away_the_dead(found)
        try:
            self._log_in(lines, end)
            return self._attached(end)
        except BaseException:
            with contextlib.suppress(PyvmiscsiError):
                self._look()
                self._log_out()
            raise

    def find(self) -> AttachedDisk | None:
        """The disk, when it is ready now and proven; None without a live session or before its disk is there."""
        self._look()
        row = self._session()
        disk = row.disk(self._address.lun) if row is not None and row.is_usable else None
        return self._prove(disk) if disk is not None and disk.has_node else None

    def reprobe(self, deadline: float) -> AttachedDisk:
        """The attached disk, once the host sees the size of the record; its session is left alone whatever happens."""
        end = self._clock.now() + deadline
        self._look()
        disk = self._await_disk(end)
        row = self._live_session()

        def proven() -> AttachedDisk | None:
            identity = self._iscsiadm.identify(row, disk.name)
            if identity.size != self._proof.size.bytes and identity.serial == self._proof.serial.text:
                return None
            return self._proven(disk, identity)

        try:
            return wait_for(proven, what=self._what, deadline=self._left(end), clock=self._clock)
        except DeadlineError:
            return self._prove(disk)

    # looking

    def _look(self) -> None:
        self._sight = self._iscsiadm.look(self._address.target)

    def _session(self) -> Row | None:
        """The session to our target, as last seen; ProofError when there are several."""
        rows = self._sight.of(self._address.target)
        if len(rows) > 1:
            raise ProofError(
                f"{self._what}: {len(rows)} sessions to one target, through {', '.join(row.portal for row in rows)}",
                hint="the same disk would appear twice: end all but one with iscsiadm -m session -r ID -u; "
                f"their ids: {', '.join(str(row.number) for row in rows)}",
            )
        return rows[0] if rows else None

    def _live_session(self) -> Row:
        row = self._session()
        if row is None or not row.is_usable:
            raise SessionLostError(f"{self._what}: the session was lost: {row.reason if row else 'it went away'}")
        return row

    def _watch(self, check: Callable[[], T | None], what: str, seconds: float, *, hint: str = "") -> T:
        """What `check` answers of the last sight, or of a later one: the first answer that is not None."""
        return watched(self._look, check, what=f"{self._what}: {what}", seconds=seconds, clock=self._clock, hint=hint)

    def _left(self, end: float) -> float:
        return max(end - self._clock.now(), 0)

    # logging in and out

    def _log_in(self, lines: bytes, end: float) -> None:
        def attempt() -> LoginError | None:
            self._sight = self._iscsiadm.log_in(self._address, lines)
            row = self._session()
            if row is not None and row.is_usable:
                return None
            refusal, is_final = self._refusal()
            self._log_out()
            if is_final:
                raise self._refused(refusal)
            return self._refused(refusal)

        log_in(attempt, what=f"{self._what}: logged in", seconds=self._left(end), clock=self._clock)

    def _refusal(self) -> tuple[Refusal, bool]:
        """Why the last login brought no live session, and whether trying again is in vain."""
        login = self._sight.login
        if login is None or login.status in (iscsiadm_text.SUCCESS, iscsiadm_text.SESSION_EXISTS):
            return Refusal("the session went away"), False
        refusal = iscsiadm_text.refusal_of(login.status)
        if login.status == iscsiadm_text.FATAL:
            shown = self._iscsiadm.targets(self._address.portal)
            if shown is not None and self._address.target.text not in shown:
                refusal = iscsiadm_text.NOT_FOUND
        if not login.is_ours and refusal.permanent:
            record = f"iscsiadm -m node -T {self._address.target} -p {self._address.portal}"
            refusal = replace(
                refusal, hint=f"{refusal.hint}; it was tried by a node record that is not ours: {record} -o delete"
            )
        return refusal, login.status in iscsiadm_text.HOPELESS

    def _refused(self, refusal: Refusal) -> LoginError:
        return LoginError(
            f"{self._what}: {refusal.reason}", reason=refusal.reason, permanent=refusal.permanent, hint=refusal.hint
        )

    def _take_away_the_dead(self, row: Row) -> None:
        """End a session that may come back, or never; BusyError while its disk is in use.

        Whoever uses it would have I/O errors for good, where waiting may yet bring the disk back.
        """
        uses = self._iscsiadm.uses(row)
        if uses:
            raise BusyError(
                f"{self._what}: its session is dead ({row.reason}), and {'; '.join(uses)}",
                hint="it comes back by itself once the nas answers; to give it up, "
                f"iscsiadm -m session -r {row.number} -u, and then stop what uses it",
            )
        self._sight = self._iscsiadm.log_out(self._address.target, (row,))

    def _log_out(self) -> None:
        """End the session last seen through our portal, and forget our record. A twin is somebody else's."""
        rows = [row for row in self._sight.of(self._address.target) if row.portal == str(self._address.portal)]
        self._sight = self._iscsiadm.log_out(self._address.target, rows)

    # the disk

    def _await_disk(self, end: float) -> Disk:
        """The disk of our LUN, once it has a node and, if it gets one in time, its link."""
        lun = self._address.lun
        try:
            name = self._watch(
                lambda: self._live_session().disk(lun), f"LUN {lun} has a disk", min(LUN_SECONDS, self._left(end))
            ).name
        except DeadlineError:
            shown = self._live_session().disks
            if not shown:
                raise
            raise ProofError(
                f"{self._what}: logged in, but this LUN is no disk: "
                f"the host shows {', '.join(f'LUN {number} as {disk.name}' for number, disk in shown.items())}",
                hint="compare the LUN of the target's mapping on the nas with the datastore's key `lun`",
            ) from None

        def ready() -> Disk | None:
            disk = self._live_session().disk(lun)
            return disk if disk is not None and disk.name == name and disk.has_node else None

        disk = self._watch(
            ready, f"/dev/{name} is there", min(NODE_SECONDS, self._left(end)), hint="is udev running on this host?"
        )
        with contextlib.suppress(DeadlineError):
            self._watch(
                lambda: (self._live_session() and self._sight.links.get(name)) or None,
                f"/dev/{name} has a link below /dev/disk/by-path",
                min(LINK_SECONDS, self._left(end)),
            )
        return disk

    def _attached(self, end: float) -> AttachedDisk:
        """The proven disk of the live session; a warning where its name is not a lasting one."""
        disk = self._prove(self._await_disk(end))
        if self._proof.address.target.text not in disk.device:
            self._warn(
                f"{self._what}: used as {disk.device}, a name that lasts as long as this session: "
                "udev makes no link below /dev/disk/by-path"
            )
        return disk

    def _prove(self, disk: Disk) -> AttachedDisk:
        """The disk, when all that it says of itself is what the record says; ProofError otherwise."""
        return self._proven(disk, self._iscsiadm.identify(self._live_session(), disk.name))

    def _proven(self, disk: Disk, identity: disk_text.Identity) -> AttachedDisk:
        wrong = list(disk_text.differences(self._proof, identity))
        if wrong:
            raise ProofError(
                f"{self._what}: {disk.name} is not this disk: {'; '.join(wrong)}",
                hint=disk_text.remedy(self._proof, identity),
            )
        return AttachedDisk(
            address=self._address,
            device=self._sight.links.get(disk.name, f"/dev/{disk.name}"),
            serial=self._proof.serial,
            size=Size(identity.size),
            sector=Size(identity.sector),
            physical=Size(identity.physical),
        )
