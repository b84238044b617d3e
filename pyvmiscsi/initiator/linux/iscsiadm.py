"""iscsiadm(8) and sysfs of one host: each method is one round trip. What they mean is decided elsewhere."""

from __future__ import annotations

from collections.abc import Iterable

from pyvmiscsi.errors import CommandError, ConflictError, SessionLostError
from pyvmiscsi.initiator.linux import disk_text, preflight, scripts
from pyvmiscsi.initiator.linux.iscsiadm_text import (
    LOGIN_SECONDS,
    NOTHING_FOUND,
    SUCCESS,
    Row,
    Sight,
    parse_sight,
    parse_targets,
    place_of,
)
from pyvmiscsi.model import Finding
from pyvmiscsi.names import Iqn, LunAddress, Portal
from pyvmiscsi.ports import Completed, Host

_HINTS = (
    ("not found", "is open-iscsi installed there?"),
    ("not root", "iscsiadm needs root: log in as root, or set `become` for this host"),
    ("ermission denied", "iscsiadm needs root: log in as root, or set `become` for this host"),
)

_LOGIN_LIMIT = 2 * LOGIN_SECONDS + 5
_ANSWER_SECONDS = 15.0
"""For sh and the network, beside what a script may itself wait for."""


class Iscsiadm:
    """The commands of the initiator on one host."""

    def __init__(self, host: Host) -> None:
        self._host = host

    @property
    def name(self) -> str:
        return self._host.name

    def look(self, target: Iqn | None = None) -> Sight:
        """The sessions, and the links to the disks of one target."""
        return self._sight(self._host.script(scripts.LOOK, target.text if target else "", ok=_ANY))

    def log_in(self, address: LunAddress, lines: bytes) -> Sight:
        """Make the record, log in, and look; `login` of the answer says how it ended.

        ConflictError when the host has a record of somebody else's, by which it logs in to the target at boot.
        """
        target, portal = address.target.text, str(address.portal)
        done = self._host.script(
            scripts.LOG_IN,
            target,
            portal,
            place_of(address.portal),
            str(_LOGIN_LIMIT),
            stdin=lines,
            deadline=_LOGIN_LIMIT + _ANSWER_SECONDS,
            ok=_ANY,
        )
        if done.status == scripts.AUTOMATIC:
            raise ConflictError(
                f"{self.name}: {address}: this host has a node record that logs in to it at boot, "
                "so its sessions are somebody else's",
                hint=f"iscsiadm -m node -T {target} -p {portal} -o delete, and try again",
            )
        return self._sight(done)

    def log_out(self, target: Iqn, rows: Iterable[Row], seconds: float = 30.0) -> Sight:
        """End these sessions, forget our records of the target that no session uses, and look."""
        ids = " ".join(str(row.number) for row in rows)
        deadline = seconds + _ANSWER_SECONDS
        return self._sight(self._host.script(scripts.LOG_OUT, target.text, ids, deadline=deadline, ok=_ANY))

    def identify(self, row: Row, disk: str) -> disk_text.Identity:
        """What this disk says it is now; SessionLostError, without asking it, when its session is not live."""
        done = self._host.script(scripts.ASK, str(row.number), row.target, disk, ok=_ANY)
        if done.status == scripts.NO_SESSION:
            raise SessionLostError(f"{self.name}: {row.target}: {done.complaint or 'the session is not live any more'}")
        return disk_text.parse_identity(self._checked(done).text)

    def uses(self, row: Row) -> tuple[str, ...]:
        """Who uses the disks of a session, in words."""
        disks = [disk.name for disk in row.disks.values()]
        if not disks:
            return ()
        return disk_text.uses_of(self._checked(self._host.script(scripts.USES, " ".join(disks), ok=_ANY)).text, disks)

    def targets(self, portal: Portal) -> frozenset[str] | None:
        """The names that a portal shows to this host; None when it does not tell."""
        done = self._host.script(scripts.TARGETS, str(portal), deadline=20 + _ANSWER_SECONDS, ok=_ANY)
        return parse_targets(done.text) if done.status in (SUCCESS, NOTHING_FOUND) else None

    def preflight(self) -> tuple[Finding, ...]:
        """What is not as it should be on this host."""
        return preflight.findings(preflight.parse_answers(self._host.script(scripts.PREFLIGHT).text))

    def _sight(self, done: Completed) -> Sight:
        return parse_sight(self._checked(done).text)

    def _checked(self, done: Completed) -> Completed:
        """The same, unless it failed: CommandError with its complaint, and a hint where one is known."""
        if done.status == 0:
            return done
        complaint = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        hint = next((hint for text, hint in _HINTS if text in complaint), "")
        raise CommandError(f"{self.name}: {complaint or f'exit status {done.status}'}", hint=hint)


_ANY = range(256)
