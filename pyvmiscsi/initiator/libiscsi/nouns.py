"""What is said about sessions: tasks, digests, what a portal tells of, and two ways to end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pyvmiscsi.errors import LoginError, ScsiError, SessionLostError

Buffer = bytes | bytearray | memoryview
Attention = Callable[[ScsiError], None]
"""What is told of a unit attention before its command is sent again; what it raises ends that command."""


class LibraryFaultError(SessionLostError):
    """libiscsi ended a session that was well: up to 1.19 it does so when a target's ping meets queued data of a write.

    Its answer to the ping gets the number of a command that was sent before (github.com/sahlberg/libiscsi, pull request
    328, in 1.20). To the target nothing happened but a closed connection.
    """


class MovedError(LoginError):
    """The target is to be found at another portal, for now or for good (RFC 7143 section 11.13.5)."""

    def __init__(self, message: str, *, reason: str, portal: str) -> None:
        super().__init__(message, reason=reason)
        self.portal = portal


@dataclass(frozen=True, slots=True)
class Digests:
    """Which parts of each PDU carry a CRC32C: asked for of the target, whose answer libiscsi does not tell."""

    header: bool = False
    data: bool = False


NO_DIGESTS = Digests()
"""TCP's checksum alone, as FreeBSD's initiator does by default."""


@dataclass(frozen=True, slots=True)
class Task:
    """A SCSI command for one LUN: its CDB, and the buffer that it fills (`into`) or sends (`data`)."""

    lun: int
    cdb: bytes
    into: bytearray | memoryview | None = None
    data: Buffer = b""
    again: Callable[[], Buffer] | None = None
    """Gives `data` once more, so that nobody has to keep it once it was answered."""


@dataclass(frozen=True, slots=True)
class Found:
    """A target that a portal told of, and the portals where it says it listens (`10.0.0.10:3260,1`)."""

    target: str
    portals: tuple[str, ...]
