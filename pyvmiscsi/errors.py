"""Every error pyvmiscsi raises, in one tree.

    PyvmiscsiError                  70  software
    ├── InputError                  64  usage: a word that cannot be what it should be
    │   └── ConfigError             78  config: a mistake in a file, named by file, table and key
    ├── NotFoundError               66  noinput: no such guest, datastore, host, object
    ├── ConflictError               73  cantcreat: something else is in the way
    │   ├── AlreadyExistsError      73  the NAS or the host refused to create what is already there
    │   └── BusyError               75  tempfail: in use by a session, a guest or another operation (retry)
    ├── UnwritableError             73  cantcreat: a file here that cannot be written: disk full, no such directory
    ├── ImageError                  65  dataerr: an image that is damaged, cut short, too large or of another format
    ├── DownloadError               69  unavailable: the image's server refused, or did not answer (retry)
    ├── RuleError                   65  dataerr: a request that would break a rule, such as 512-byte blocks
    ├── PastNoReturnError           65  dataerr: rewind asked for after the point of no return
    ├── UnsupportedError            69  unavailable: this release or dialect cannot do it
    ├── MissingLibraryError         69  unavailable: libiscsi is not installed
    ├── InterruptedOperation        75  tempfail: stopped between two steps, `ops resume` goes on (retry)
    ├── DeadlineError               75  tempfail: it did not become so in time (retry)
    ├── NasError                    69
    │   ├── NasUnreachableError     69  unavailable: no connection (retry)
    │   ├── NasAuthError            77  noperm: the key was refused, or lacks a role
    │   ├── NasRateLimitedError     75  tempfail: too many logins (retry)
    │   ├── NasUnansweredError      75  tempfail: a write was sent and its answer was lost: look again (retry)
    │   ├── NasRefusedError         65  dataerr: the NAS found the request invalid
    │   ├── NasSpaceError           73  cantcreat: no space in the pool
    │   └── NasProtocolError        76  protocol: an answer that cannot be understood
    ├── HostError                   69
    │   ├── HostUnreachableError    68  nohost: no SSH connection (retry)
    │   ├── HostKeyError            77  noperm: the host key is unknown, or not the one expected
    │   ├── HostAuthError           77  noperm: the host refused our key
    │   └── CommandError            71  oserr: a command on the host failed
    ├── IscsiError                  74
    │   ├── LoginError              74  ioerr: the target refused the login
    │   ├── SessionLostError        74  ioerr: the session is gone (retry)
    │   ├── ScsiError               74  ioerr: a command ended with CHECK CONDITION
    │   │   ├── LunReservedError    77  noperm: another initiator has reserved the LUN
    │   │   ├── LunReadOnlyError    77  noperm: the LUN is write protected
    │   │   ├── LunFullError        73  cantcreat: the pool or volume behind a thin LUN is full
    │   │   ├── LunBusyError        75  tempfail: busy, or not ready yet (retry)
    │   │   └── LunMediumError      74  ioerr: what was stored there cannot be read, or written
    │   └── ProofError              74  ioerr: the disk that appeared is not the right one
    └── GuestError                  74  the guest did not do what was asked

Exit statuses are those of sysexits(3). A `code` once released keeps its meaning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

EX_USAGE = 64
EX_DATAERR = 65
EX_NOINPUT = 66
EX_NOHOST = 68
EX_UNAVAILABLE = 69
EX_SOFTWARE = 70
EX_OSERR = 71
EX_CANTCREAT = 73
EX_IOERR = 74
EX_TEMPFAIL = 75
EX_PROTOCOL = 76
EX_NOPERM = 77
EX_CONFIG = 78


@dataclass(frozen=True, slots=True)
class Problem:
    """One of the things that are wrong: where (a key, a file and line), what, and what to do about it."""

    where: str
    what: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class PyvmiscsiError(Exception):
    """What went wrong in one line, and in `hint` what to do about it.

    Where several things of a `subject` were found wrong at once, `problems` has them, and the line tells the first.
    """

    code: ClassVar[str] = "internal"
    exit_status: ClassVar[int] = EX_SOFTWARE
    retry: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.subject = ""
        self.problems: tuple[Problem, ...] = ()

    @classmethod
    def of_all(cls, subject: str, problems: Sequence[Problem]) -> Self:
        """The error that tells these problems of `subject`, at least one."""
        more = f"; and {len(problems) - 1} more" if len(problems) > 1 else ""
        error = cls(f"{subject}: {problems[0]}{more}", hint=problems[0].remedy)
        error.subject, error.problems = subject, tuple(problems)
        return error

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class InputError(PyvmiscsiError, ValueError):
    code = "input"
    exit_status = EX_USAGE


class ConfigError(InputError):
    code = "config"
    exit_status = EX_CONFIG


class NotFoundError(PyvmiscsiError, LookupError):
    code = "not-found"
    exit_status = EX_NOINPUT


class ConflictError(PyvmiscsiError):
    code = "conflict"
    exit_status = EX_CANTCREAT


class AlreadyExistsError(ConflictError):
    code = "already-exists"


class BusyError(ConflictError):
    code = "busy"
    exit_status = EX_TEMPFAIL
    retry = True


class UnwritableError(PyvmiscsiError):
    code = "unwritable"
    exit_status = EX_CANTCREAT


class ImageError(PyvmiscsiError):
    code = "image"
    exit_status = EX_DATAERR


class DownloadError(PyvmiscsiError):
    code = "image-download"
    exit_status = EX_UNAVAILABLE
    retry = True


class RuleError(PyvmiscsiError):
    code = "rule"
    exit_status = EX_DATAERR


class PastNoReturnError(PyvmiscsiError):
    code = "past-no-return"
    exit_status = EX_DATAERR


class UnsupportedError(PyvmiscsiError):
    code = "unsupported"
    exit_status = EX_UNAVAILABLE


class MissingLibraryError(PyvmiscsiError):
    code = "missing-library"
    exit_status = EX_UNAVAILABLE


class InterruptedOperation(PyvmiscsiError):  # noqa: N818 - not a fault: somebody asked for it
    code = "interrupted"
    exit_status = EX_TEMPFAIL
    retry = True


class DeadlineError(PyvmiscsiError, TimeoutError):
    code = "deadline"
    exit_status = EX_TEMPFAIL
    retry = True


class NasError(PyvmiscsiError):
    code = "nas"
    exit_status = EX_UNAVAILABLE


class NasUnreachableError(NasError):
    code = "nas-unreachable"
    retry = True


class NasAuthError(NasError):
    code = "nas-auth"
    exit_status = EX_NOPERM


class NasRateLimitedError(NasError):
    code = "nas-rate-limited"
    exit_status = EX_TEMPFAIL
    retry = True


class NasUnansweredError(NasError):
    code = "nas-unanswered"
    exit_status = EX_TEMPFAIL
    retry = True


class NasRefusedError(NasError):
    code = "nas-refused"
    exit_status = EX_DATAERR


class NasSpaceError(NasError):
    code = "nas-space"
    exit_status = EX_CANTCREAT


class NasProtocolError(NasError):
    code = "nas-protocol"
    exit_status = EX_PROTOCOL


class HostError(PyvmiscsiError):
    code = "host"
    exit_status = EX_UNAVAILABLE


class HostUnreachableError(HostError):
    code = "host-unreachable"
    exit_status = EX_NOHOST
    retry = True


class HostKeyError(HostError):
    code = "host-key"
    exit_status = EX_NOPERM


class HostAuthError(HostError):
    code = "host-auth"
    exit_status = EX_NOPERM


class CommandError(HostError):
    code = "host-command"
    exit_status = EX_OSERR


class IscsiError(PyvmiscsiError):
    code = "iscsi"
    exit_status = EX_IOERR


class LoginError(IscsiError):
    """`reason` says why in iscsid(8)'s own words, such as `Not found`; `permanent` when trying again cannot help."""

    code = "iscsi-login"

    def __init__(self, message: str, *, reason: str = "", permanent: bool = False, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reason = reason
        self.permanent = permanent


class SessionLostError(IscsiError):
    code = "iscsi-session-lost"
    retry = True


class ScsiError(IscsiError):
    """A SCSI status other than GOOD, with its sense data (all zero when it has none)."""

    code = "iscsi-scsi"

    def __init__(self, message: str, *, status: int, key: int = 0, asc: int = 0, ascq: int = 0, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.key = key
        self.asc = asc
        self.ascq = ascq


class LunReservedError(ScsiError):
    code = "iscsi-reserved"
    exit_status = EX_NOPERM


class LunReadOnlyError(ScsiError):
    code = "iscsi-read-only"
    exit_status = EX_NOPERM


class LunFullError(ScsiError):
    code = "iscsi-full"
    exit_status = EX_CANTCREAT


class LunBusyError(ScsiError):
    code = "iscsi-busy"
    exit_status = EX_TEMPFAIL
    retry = True


class LunMediumError(ScsiError):
    code = "iscsi-medium"


class ProofError(IscsiError):
    code = "iscsi-proof"


class GuestError(PyvmiscsiError):
    code = "guest"
    exit_status = EX_IOERR
