"""`ports.Initiator` for a Linux host: iscsiadm(8) to log in and out, and proof of every disk before it is used.

initiator = LinuxInitiator(host)
disk = initiator.attach(proof, credential)      # disk.device: /dev/disk/by-path/ip-<portal>-iscsi-<iqn>-lun-<n>
initiator.detach(proof.address.target)
"""

from __future__ import annotations

from collections.abc import Callable

from pyvmiscsi.errors import InputError
from pyvmiscsi.initiator.linux.attaching import Attachment
from pyvmiscsi.initiator.linux.detaching import detach
from pyvmiscsi.initiator.linux.iscsiadm import Iscsiadm
from pyvmiscsi.initiator.linux.iscsiadm_text import Row
from pyvmiscsi.model import AttachedDisk, Credential, DiskProof, Finding, SessionState
from pyvmiscsi.names import Iqn
from pyvmiscsi.ports import Clock, Host
from pyvmiscsi.waiting import SystemClock


class LinuxInitiator:
    """The iSCSI initiator of one Linux host."""

    def __init__(
        self, host: Host, clock: Clock | None = None, *, warn: Callable[[str], None] = lambda _warning: None
    ) -> None:
        """`warn` is told what is used although it is less than it should be, such as a name that does not last."""
        self._iscsiadm = Iscsiadm(host)
        self._clock = clock or SystemClock()
        self._warn = warn

    def sessions(self) -> tuple[SessionState, ...]:
        """Every session of the host, oldest first. Reads sysfs alone, so it answers also when a disk is dead."""
        return tuple(_state(row) for row in self._iscsiadm.look().rows)

    def find(self, proof: DiskProof) -> AttachedDisk | None:
        """The disk if it is attached and proven; ProofError when it is not what the record says.

        None without a session, and also while the session is not LOGGED_IN: then there is no disk to ask.
        """
        return Attachment(self._iscsiadm, self._clock, self._warn, proof).find()

    def attach(self, proof: DiskProof, credential: Credential | None, *, deadline: float = 60.0) -> AttachedDisk:
        """Log in and prove the disk.

        LoginError (`reason` in iscsid's words), ProofError, DeadlineError, or SessionLostError when the session
        breaks on the way: after each of them this host is logged out again. ConflictError when the host logs in to
        that target at boot, BusyError when a dead session's disk is in use. A live session that was there before is
        used, and left as it is when it does not prove itself. A login that is under way when the deadline passes is
        waited for, up to half a minute: iscsid would finish it by itself later, and nobody would know.
        """
        return Attachment(self._iscsiadm, self._clock, self._warn, proof).run(credential, deadline)

    def reprobe(self, proof: DiskProof, *, deadline: float = 30.0) -> AttachedDisk:
        """Have the kernel ask the attached disk for its size again, and prove it.

        SessionLostError without a live session, ProofError when it is another disk, or still has another size.
        """
        return Attachment(self._iscsiadm, self._clock, self._warn, proof).reprobe(deadline)

    def detach(self, target: Iqn, *, deadline: float = 30.0) -> None:
        """Log out of every session to this target and see it gone; BusyError while its disk is open."""
        detach(self._iscsiadm, self._clock, target, deadline)

    def preflight(self) -> tuple[Finding, ...]:
        """What is not as it should be on this host, and what to do about it; nothing is changed."""
        return self._iscsiadm.preflight()


def _state(row: Row) -> SessionState:
    return SessionState(
        target=_target_name(row),
        portal=row.portal,
        connected=row.is_usable,
        reason=row.reason,
        luns={lun: disk.name for lun, disk in row.disks.items()},
        number=row.number,
        initiator=row.initiator,
    )


def _target_name(row: Row) -> Iqn | None:
    """The target as a name of ours; None for names that are no canonical IQN."""
    try:
        name = Iqn.parse(row.target)
    except InputError:
        return None
    return name if name.text == row.target else None
