"""`ports.Initiator` for a FreeBSD host: iscsictl(8) to log in and out, and proof of every disk before it is used.

initiator = FreebsdInitiator(host)
disk = initiator.attach(proof, credential)      # disk.device: /dev/diskid/DISK-<serial>
initiator.detach(proof.address.target)
"""

from __future__ import annotations

from pyvmiscsi.initiator.freebsd.attaching import Attachment
from pyvmiscsi.initiator.freebsd.detaching import detach
from pyvmiscsi.initiator.freebsd.iscsictl import Iscsictl
from pyvmiscsi.initiator.freebsd.iscsictl_text import Row, target_name
from pyvmiscsi.initiator.freebsd.preflight import Finding
from pyvmiscsi.model import AttachedDisk, Credential, DiskProof, SessionState
from pyvmiscsi.names import Iqn
from pyvmiscsi.ports import Clock, Host
from pyvmiscsi.waiting import SystemClock


class FreebsdInitiator:
    """The iSCSI initiator of one FreeBSD host."""

    def __init__(self, host: Host, clock: Clock | None = None) -> None:
        self._iscsictl = Iscsictl(host)
        self._clock = clock or SystemClock()

    def sessions(self) -> tuple[SessionState, ...]:
        """Every session of the host, oldest first. Never touches a disk, so it answers also when one is dead."""
        return tuple(_state(row) for row in self._iscsictl.look().rows)

    def find(self, proof: DiskProof) -> AttachedDisk | None:
        """The disk if it is attached and proven; ProofError when it is not what the record says.

        None without a session, and also while the session is not Connected: then there is no disk to ask.
        """
        return Attachment(self._iscsictl, self._clock, proof).find()

    def attach(self, proof: DiskProof, credential: Credential | None, *, deadline: float = 60.0) -> AttachedDisk:
        """Log in and prove the disk.

        LoginError (`reason` in iscsid's words), ProofError, DeadlineError, or SessionLostError when the session
        breaks on the way: after each of them this host is logged out again. A live session that was there before
        is used, and left as it is when it does not prove itself.
        """
        return Attachment(self._iscsictl, self._clock, proof).run(credential, deadline)

    def reprobe(self, proof: DiskProof, *, deadline: float = 30.0) -> AttachedDisk:
        """Have the kernel ask the attached disk for its size again (camcontrol(8)), and prove it.

        SessionLostError without a live session, ProofError when it is another disk, or still has another size.
        """
        return Attachment(self._iscsictl, self._clock, proof).reprobe(deadline)

    def detach(self, target: Iqn, *, deadline: float = 30.0) -> None:
        """Log out of every session to this target and see it gone; BusyError while its disk is open."""
        detach(self._iscsictl, self._clock, target, deadline)

    def preflight(self) -> tuple[Finding, ...]:
        """What is not as it should be on this host, and what to do about it; nothing is changed."""
        return self._iscsictl.preflight()


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
