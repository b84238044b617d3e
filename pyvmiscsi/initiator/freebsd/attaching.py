"""Logs a host in to one LUN and proves the disk that appears: a story in four steps.

1. What is there already: a live session is used, a dead one taken away unless its disk is open; two are refused, and
   so is a target that the host's own /etc/iscsi.conf has.
2. Log in. A refusal is tried again, because a nas may answer "Not found" for a moment after it made a target; and
   tried by removing and adding, because the kernel itself waits a minute after each refusal.
3. Wait for the disk: the session is Connected long before its disk can be used.
4. Proof: one session, both serials, the size and the sector are those of the record.

Whatever this log-in brought about is logged out again when it fails; what was found alive is left alone.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from typing import TypeVar

from pyvmiscsi.errors import (
    BusyError,
    DeadlineError,
    LoginError,
    LunReservedError,
    ProofError,
    PyvmiscsiError,
    SessionLostError,
)
from pyvmiscsi.initiator import reasons
from pyvmiscsi.initiator.freebsd.geom_text import label_of
from pyvmiscsi.initiator.freebsd.iscsictl import Iscsictl
from pyvmiscsi.initiator.freebsd.iscsictl_text import WAITING, Row, render_conf
from pyvmiscsi.initiator.freebsd.proof import CLEARING, RESERVATION_CONFLICT, lack_of_label, proven, reserved
from pyvmiscsi.initiator.freebsd.sight import Sight
from pyvmiscsi.initiator.trying import log_in, watched
from pyvmiscsi.model import AttachedDisk, Credential, DiskProof
from pyvmiscsi.ports import Clock
from pyvmiscsi.waiting import wait_for

ISCSID_SECONDS = 3.0
"""How long iscsid may leave a login waiting before it is asked for: a running one takes it up in milliseconds."""

GEOM_SECONDS = 5.0
"""How long GEOM may take to say which disks are open; when it stands still it never answers."""

LUN_SECONDS, NODE_SECONDS, LABEL_SECONDS = 15.0, 10.0, 5.0
"""From Connected to `daN`, from there to /dev/daN, and from there to its label: three seconds have been seen."""

T = TypeVar("T")


class Attachment:
    """One disk on one host, from the first look to the proof."""

    def __init__(self, iscsictl: Iscsictl, clock: Clock, warn: Callable[[str], None], proof: DiskProof) -> None:
        self._iscsictl = iscsictl
        self._clock = clock
        self._warn = warn
        self._proof = proof
        self._address = proof.address
        self._label = label_of(proof.serial.text)
        self._what = f"{iscsictl.name}: {proof.address}"
        self._sight = Sight((), frozenset(), False)

    def run(self, credential: Credential | None, deadline: float) -> AttachedDisk:
        """The proven disk; LoginError, ProofError, LunReservedError, DeadlineError, SessionLostError, ConflictError."""
        end = self._clock.now() + deadline
        conf = render_conf(self._address.target.text, str(self._address.portal), credential)
        self._look()
        self._sight.refuse_configured(self._address.target, self._what)
        found = self._session()
        if found is not None and found.is_usable:
            return self._attached(end, found=True)
        if found is not None:
            self._take_away_the_dead(found)
        try:
            self._log_in(conf, end)
            return self._attached(end, found=False)
        except BaseException:
            with contextlib.suppress(PyvmiscsiError):
                self._look()
                self._log_out()
            raise

    def find(self) -> AttachedDisk | None:
        """The disk, when it is ready now and proven; None without a live session or before its disk is there."""
        self._look()
        self._sight.refuse_configured(self._address.target, self._what)
        row = self._session()
        device = row.disk(self._address.lun) if row is not None and row.is_usable else None
        return self._prove(device) if device in self._sight.nodes else None

    def reprobe(self, deadline: float) -> AttachedDisk:
        """The attached disk, once the host sees the size of the record; its session is left alone whatever happens."""
        end = self._clock.now() + deadline
        self._look()
        device = self._await_disk(end)
        row = self._live_session()
        seen = [self._iscsictl.reprobe(row, device)]

        def is_grown() -> bool:
            identity = seen[-1]
            if identity.info.size == self._proof.size.bytes or identity.scsi_serial != self._proof.serial.text:
                return True
            seen.append(self._iscsictl.reprobe(row, device))
            return False

        with contextlib.suppress(DeadlineError):
            wait_for(is_grown, what=self._what, deadline=self._left(end), clock=self._clock)
        return proven(self._proof, device, seen[-1], self._what)

    # looking

    def _look(self) -> None:
        self._sight = self._iscsictl.look(self._label)

    def _session(self) -> Row | None:
        """The session to our target, as last seen; ProofError when there are several."""
        rows = self._sight.of(self._address.target)
        if len(rows) > 1:
            raise ProofError(
                f"{self._what}: {len(rows)} sessions to one target, through {', '.join(row.portal for row in rows)}",
                hint="the same disk would appear twice: end all but one with iscsictl -R -p PORTAL -t TARGET",
            )
        return rows[0] if rows else None

    def _live_session(self) -> Row:
        row = self._session()
        if row is None or not row.is_usable:
            raise SessionLostError(f"{self._what}: the session was lost: {(row and row.reason) or 'it went away'}")
        return row

    def _watch(self, check: Callable[[], T | None], what: str, seconds: float, *, hint: str = "") -> T:
        """What `check` answers of the last sight, or of a later one: the first answer that is not None."""
        return watched(self._look, check, what=f"{self._what}: {what}", seconds=seconds, clock=self._clock, hint=hint)

    def _left(self, end: float) -> float:
        return max(end - self._clock.now(), 0)

    # logging in and out

    def _log_in(self, conf: bytes, end: float) -> None:
        def attempt() -> LoginError | None:
            self._sight = self._iscsictl.add(conf, self._label)
            refusal = self._await_login(end)
            if not refusal:
                return None
            self._log_out()
            return self._refused(refusal)

        log_in(attempt, what=f"{self._what}: logged in", seconds=self._left(end), clock=self._clock)

    def _await_login(self, end: float) -> str:
        """Empty once the session is Connected, or why it was refused."""
        ask_at = self._clock.now() + ISCSID_SECONDS

        def outcome() -> str | None:
            nonlocal ask_at
            row = self._session()
            if row is None:
                return "the session went away"
            if row.is_usable:
                return ""
            if row.reason != WAITING:
                return row.reason or None
            if self._clock.now() > ask_at:
                ask_at = math.inf
                self._refuse_without_iscsid()
            return None

        try:
            return self._watch(
                outcome,
                "Connected",
                self._left(end),
                hint="the portal gave no answer: check the network between this host and the nas",
            )
        except DeadlineError:
            row = self._session()
            if row is None or row.reason != WAITING:
                raise
            self._refuse_without_iscsid()
            raise LoginError(
                f"{self._what}: iscsid runs, but did not take up the login",
                reason=WAITING,
                hint=self._sight.busy_iscsid_hint(),
            ) from None

    def _refuse_without_iscsid(self) -> None:
        """LoginError when this host cannot log in to anything; a running iscsid may merely be busy for a minute."""
        lacking = [finding for finding in self._iscsictl.preflight() if finding.fatal]
        if lacking:
            raise LoginError(
                f"{self._what}: {'; '.join(finding.text for finding in lacking)}",
                reason=WAITING,
                hint="; ".join(finding.hint for finding in lacking),
            )

    def _refused(self, reason: str) -> LoginError:
        return LoginError(
            f"{self._what}: {reason}",
            reason=reason,
            permanent=reasons.is_permanent(reason),
            hint=reasons.hint_for(reason),
        )

    def _take_away_the_dead(self, row: Row) -> None:
        """End a session that would come back by itself a minute later, or never; BusyError while its disk is open.

        Whoever has it open would have I/O errors for good, where waiting may yet bring the disk back. When GEOM does
        not answer, a dead disk was touched and the whole host stands still: then taking it away is what helps.
        """
        with contextlib.suppress(DeadlineError):
            counts = self._iscsictl.open_counts_beside_the_dead(GEOM_SECONDS)
            for device in row.devices.values():
                if device in counts and counts[device].is_open:
                    raise BusyError(
                        f"{self._what}: its session is dead ({row.reason or 'no answer'}), and {device} is open "
                        f"({counts[device]})",
                        hint="it comes back by itself once the nas answers; to give it up, "
                        f"iscsictl -R -p {row.portal} -t {row.target}, and then stop what uses it",
                    )
        self._log_out()
        if row.portal != str(self._address.portal):
            self._warn(
                f"{self._what}: took away a dead session, made through {row.portal}: {row.reason or 'no answer'}"
            )

    def _log_out(self) -> None:
        """End the session last seen through our portal, or the only one: a redirect may have rewritten its portal.

        A twin through another portal is somebody else's.
        """
        rows = self._sight.of(self._address.target)
        for row in rows:
            if row.portal == str(self._address.portal) or len(rows) == 1:
                self._sight = self._iscsictl.remove(row, self._label)

    # the disk

    def _await_disk(self, end: float) -> str:
        """`daN` of our LUN, once it has a node and, if it gets one in time, its label."""
        lun = self._address.lun
        try:
            device = self._watch(
                lambda: self._live_session().disk(lun), f"LUN {lun} has a disk", min(LUN_SECONDS, self._left(end))
            )
        except DeadlineError:
            shown = self._live_session().devices
            if not shown:
                raise
            raise ProofError(
                f"{self._what}: Connected, but this LUN is no disk: "
                f"the host shows {', '.join(f'LUN {number} as {device}' for number, device in shown.items())}",
                hint="compare the LUN of the target's mapping on the nas with the datastore's key `lun`",
            ) from None
        try:
            self._watch(
                lambda: self._live_session().disk(lun) == device and device in self._sight.nodes,
                f"/dev/{device} is there",
                min(NODE_SECONDS, self._left(end)),
            )
        except DeadlineError as error:
            raise DeadlineError(error.message, hint=self._sight.frozen_hint()) from None
        if self._label:
            with contextlib.suppress(DeadlineError):
                self._watch(
                    lambda: bool(self._live_session()) and (self._sight.has_label or self._sight.labels_are_off),
                    f"{self._label} is there",
                    min(LABEL_SECONDS, self._left(end)),
                )
        return device

    def _attached(self, end: float, *, found: bool) -> AttachedDisk:
        """The proven disk of the live session; a warning where its name is not a lasting one.

        A reservation is never that of a session just made, for each is a new initiator port: what the guest wrote
        would come back as an ordinary I/O error, so LunReservedError. A session found may hold it: a warning.
        """
        device = self._await_disk(end)
        identity = self._iscsictl.identify(self._live_session(), device)
        disk = proven(self._proof, device, identity, self._what)
        if identity.reservation and not found:
            raise LunReservedError(f"{self._what}: {reserved(identity)}", status=RESERVATION_CONFLICT, hint=CLEARING)
        if identity.reservation:
            self._warn(f"{self._what}: {reserved(identity)}, unless it is by this very session")
        lack = lack_of_label(self._proof, device, identity, labels_are_off=self._sight.labels_are_off)
        if lack:
            self._warn(f"{self._what}: used as {disk.device}, a name that lasts as long as this session: {lack}")
        return disk

    def _prove(self, device: str) -> AttachedDisk:
        """The disk, when all that it says of itself is what the record says; ProofError otherwise."""
        return proven(self._proof, device, self._iscsictl.identify(self._live_session(), device), self._what)
