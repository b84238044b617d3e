"""iscsictl(8) and the disk tools of one host: each method is one round trip. What they mean is decided elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

from pyvmiscsi.errors import CommandError, HostError, SessionLostError
from pyvmiscsi.initiator.freebsd import geom_text, preflight, scripts
from pyvmiscsi.initiator.freebsd.iscsictl_text import NICKNAME, Row
from pyvmiscsi.initiator.freebsd.sight import Sight
from pyvmiscsi.model import Finding
from pyvmiscsi.ports import Completed, Host

_HINTS = (
    ("/dev/iscsi: No such file", "load the initiator: kldload iscsi"),
    ("/dev/iscsi: Permission denied", "iscsictl needs root: log in as root, or set `become` for this host"),
    ("not found", "is this a FreeBSD host?"),
)


@dataclass(frozen=True, slots=True)
class Identity:
    """What a disk says it is, asked through CAM and through GEOM, which can differ after a change at the target."""

    scsi_serial: str
    geom_serial: str
    reservation: str
    """`write_exclusive, key 0x1111`; empty without one."""
    info: geom_text.DiskInfo
    disks_by_label: dict[str, str]
    """Every label of the host, `diskid/DISK-…`, to the disk that it is on."""


class Iscsictl:
    """The commands of the initiator on one host."""

    def __init__(self, host: Host) -> None:
        self._host = host

    @property
    def name(self) -> str:
        return self._host.name

    def look(self, label: str | None = None) -> Sight:
        """All sessions, the disk nodes, and whether this label is there. Never waits for a disk."""
        return Sight.parse(self._checked(self._host.script(scripts.LOOK, label or "", ok=_ANY)).text)

    def add(self, conf: bytes, label: str | None) -> Sight:
        """Ask for the session that `conf` describes, and look. The same one existing already is no error."""
        done = self._host.script(scripts.ADD, label or "", NICKNAME, stdin=conf, ok=_ANY)
        return self.look(label) if b"ISCSISADD: Device busy" in done.stderr else Sight.parse(self._checked(done).text)

    def remove(self, row: Row, label: str | None = None) -> Sight:
        """End this session, exactly as it is listed, and look. None there any more is no error."""
        done = self._host.script(scripts.REMOVE, label or "", row.target, row.portal, ok=_ANY)
        gone = b"ISCSISREMOVE: No such process" in done.stderr
        return self.look(label) if gone else Sight.parse(self._checked(done).text)

    def identify(self, row: Row, device: str) -> Identity:
        """What this disk says it is; SessionLostError, without touching it, when its session is not Connected."""
        return self._identity(scripts.PROVE, row, device)

    def reprobe(self, row: Row, device: str) -> Identity:
        """The same, after the host has asked the disk for its size again."""
        return self._identity(scripts.REPROBE, row, device)

    def _identity(self, script: str, row: Row, device: str) -> Identity:
        done = self._host.script(script, row.target, row.portal, device, ok=_ANY)
        lines = self._connected(done, row).text.split("\n", 4)
        if len(lines) != 5:
            raise HostError(f"{self.name}: {device}: camcontrol and diskinfo said only {lines}")
        inquiry, reservation, ident, info, conftxt = lines
        return Identity(
            scsi_serial=inquiry.strip(),
            geom_serial=ident.strip(),
            reservation=geom_text.parse_reservation(reservation),
            info=geom_text.parse_diskinfo(info),
            disks_by_label=geom_text.disks_by_label(conftxt),
        )

    def open_counts(self, row: Row, deadline: float) -> dict[str, geom_text.OpenCount]:
        """How often each disk is open; SessionLostError when this session is not Connected."""
        done = self._host.script(scripts.OPEN_COUNTS, row.target, row.portal, deadline=deadline, ok=_ANY)
        return geom_text.disk_open_counts(self._connected(done, row).stdout)

    def open_counts_beside_the_dead(self, deadline: float) -> dict[str, geom_text.OpenCount]:
        """How often each disk is open, though a session may be dead: DeadlineError when GEOM stands still already."""
        done = self._host.script(scripts.DISKS_OPEN, deadline=deadline, ok=_ANY)
        return geom_text.disk_open_counts(self._checked(done).stdout)

    def preflight(self) -> tuple[Finding, ...]:
        """What is not as it should be on this host, its sessions aside."""
        return preflight.findings(preflight.parse_answers(self._host.script(scripts.PREFLIGHT).text))

    def _connected(self, done: Completed, row: Row) -> Completed:
        if done.status == scripts.NO_SESSION:
            raise SessionLostError(f"{self.name}: {row.target}: the session is not Connected any more")
        return self._checked(done)

    def _checked(self, done: Completed) -> Completed:
        """The same, unless it failed: CommandError with its complaint, and a hint where one is known.

        Standard output is never repeated: a listing holds CHAP secrets in clear.
        """
        if done.status == 0:
            return done
        complaint = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        hint = next((hint for text, hint in _HINTS if text in complaint), "")
        raise CommandError(f"{self.name}: {complaint or f'exit status {done.status}'}", hint=hint)


_ANY = range(256)
