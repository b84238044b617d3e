"""`ports.Initiator` for a FreeBSD host: iscsictl(8) to log in and out, and proof of every disk before it is used.

initiator = FreebsdInitiator(host)
disk = initiator.attach(proof, credential)      # disk.device: /dev/diskid/DISK-<serial>
initiator.detach(proof.address.target)
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from pyvmiscsi.errors import CommandError, DeadlineError, PyvmiscsiError
from pyvmiscsi.initiator.freebsd.attaching import Attachment
from pyvmiscsi.initiator.freebsd.detaching import detach
from pyvmiscsi.initiator.freebsd.iscsictl import Iscsictl
from pyvmiscsi.initiator.freebsd.iscsictl_text import Row, target_name
from pyvmiscsi.model import AttachedDisk, Credential, DiskProof, Finding, SessionState
from pyvmiscsi.names import Iqn
from pyvmiscsi.ports import Clock, Host
from pyvmiscsi.waiting import SystemClock


class FreebsdInitiator:
    """The iSCSI initiator of one FreeBSD host."""

    def __init__(
        self, host: Host, clock: Clock | None = None, *, warn: Callable[[str], None] = lambda _warning: None
    ) -> None:
        self._iscsictl = Iscsictl(host)
        self._clock = clock or SystemClock()
        self._warn = warn

    def sessions(self) -> tuple[SessionState, ...]:
        """Every session of the host, oldest first. Never touches a disk, so it answers also when one is dead."""
        return tuple(_state(row) for row in self._iscsictl.look().rows)

    def find(self, proof: DiskProof) -> AttachedDisk | None:
        """The disk if it is attached and proven; ProofError when it is not what the record says.

        ConflictError when the session is /etc/iscsi.conf's. None without a session, and also while the session is not
        Connected: then there is no disk to ask.
        """
        return self._attachment(proof).find()

    def attach(self, proof: DiskProof, credential: Credential | None, *, deadline: float = 60.0) -> AttachedDisk:
        """Log in and prove the disk.

        LoginError (`reason` in iscsid's words), ProofError, LunReservedError, DeadlineError, or SessionLostError when
        the session breaks on the way: after each of them this host is logged out again. A live session that was
        there before is used, and left as it is when it does not prove itself. BusyError for a dead one whose disk is
        open, ConflictError when /etc/iscsi.conf of the host has this target: then nothing is done.
        A disk without its label is told by a warning, and so is what keeps the host from logging in at all.
        """
        try:
            return self._attachment(proof).run(credential, deadline)
        except (DeadlineError, CommandError) as error:
            self._add_advice(error)
            raise

    def reprobe(self, proof: DiskProof, *, deadline: float = 30.0) -> AttachedDisk:
        """Have the kernel ask the attached disk for its size again (camcontrol(8)), and prove it.

        SessionLostError without a live session, ProofError when it is another disk, or still has another size.
        """
        return self._attachment(proof).reprobe(deadline)

    def detach(self, target: Iqn, *, deadline: float = 30.0) -> None:
        """Log out of every session to this target and see it gone; BusyError while its disk is open.

        ConflictError when the session is /etc/iscsi.conf's: then it stays.
        """
        detach(self._iscsictl, self._clock, target, deadline)

    def preflight(self) -> tuple[Finding, ...]:
        """What is not as it should be on this host, its sessions included, and what to do; nothing is changed."""
        found = self._iscsictl.preflight()
        if any(finding.fatal for finding in found):
            return found
        return (*found, *self._iscsictl.look().findings())

    def _attachment(self, proof: DiskProof) -> Attachment:
        return Attachment(self._iscsictl, self._clock, self._warn, proof)

    def _add_advice(self, error: PyvmiscsiError) -> None:
        """Say in the error's hint what this host lacks, when that is why."""
        with contextlib.suppress(PyvmiscsiError):
            lacking = [f"{each.text}: {each.hint}" for each in self._iscsictl.preflight() if each.fatal]
            error.hint = "; ".join(lacking) or error.hint


def _state(row: Row) -> SessionState:
    return SessionState(
        target=target_name(row),
        portal=row.portal,
        connected=row.is_usable,
        reason=row.reason,
        luns=dict(row.devices),
        number=row.number,
        initiator=row.initiator,
    )
