"""Which of our errors a refusal is: one table, first match wins.

Duplicates, missing objects and bad input all come as "Invalid params", and errnos are coarse ("already exists" texts
carry EINVAL), so texts are matched too, by the words that every release has in common (nas-wire.md 1.9 and 2).
"""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass, field

from pyvmiscsi.errors import (
    AlreadyExistsError,
    BusyError,
    ConflictError,
    NasAuthError,
    NasRateLimitedError,
    NasRefusedError,
    NasSpaceError,
    NotFoundError,
    PyvmiscsiError,
    UnsupportedError,
)
from pyvmiscsi.nas.truenas.rpc import Refused, Request

_NOT_AUTHENTICATED = 207
_NO_SUCH_METHOD = 201
_FREEBSD_ENOTEMPTY = 66

_ROLES = {
    "pool.dataset": {"query": "DATASET_READ", "delete": "DATASET_DELETE"},
    "pool.snapshot": {"query": "SNAPSHOT_READ", "delete": "SNAPSHOT_DELETE"},
    "zfs.snapshot": {"query": "SNAPSHOT_READ", "delete": "SNAPSHOT_DELETE", "rollback": "", "clone": ""},
    "zfs.resource.snapshot": {"query": "SNAPSHOT_READ"},
}
"""The least role for a method, where it is not its service's `*_WRITE`; none but FULL_ADMIN where it is empty."""

RATE_LIMIT_HINT = (
    "a TrueNAS takes 20 logins a minute from one address: wait a minute, and let one process make many calls"
)


@dataclass(frozen=True)
class Rule:
    """A refusal with one of these errnos, or with one of these words in its text, is this error."""

    error: type[PyvmiscsiError]
    words: str
    errnos: frozenset[int] = field(default_factory=frozenset)
    hint: str = ""

    def matches(self, refused: Refused, text: str) -> bool:
        return bool(self.errnos & refused.errnos) or re.search(self.words, text, re.IGNORECASE) is not None


RULES = (
    Rule(NasRateLimitedError, "rate limit exceeded|maximum number of concurrent calls", hint=RATE_LIMIT_HINT),
    Rule(NasAuthError, "not authorized|not authenticated", frozenset({errno.EACCES, _NOT_AUTHENTICATED})),
    Rule(
        NasRefusedError,
        "not found in database",
        hint="portal_group and initiator_group of the datastore are the ids that the appliance shows",
    ),
    Rule(NasRefusedError, "^(disk: )?device .* does not exist"),
    Rule(
        ConflictError,
        "more recent snapshots|failed to rollback.*file exists|cannot shrink|not a cloned|only clone"
        "|from origin conflicts",
    ),
    Rule(
        AlreadyExistsError,
        "already exists|must be unique|already being used|already in (use|this target)",
        frozenset({errno.EEXIST}),
    ),
    Rule(ConflictError, "currently in use by (extent|nvme)"),
    Rule(
        BusyError,
        "in use|is busy|has children|dependent clones|has the following (clones|holds)|being held|has snapshots",
        frozenset({errno.EBUSY, errno.ENOTEMPTY, _FREEBSD_ENOTEMPTY}),
    ),
    Rule(
        NasSpaceError,
        "80%|out of space|no space|insufficient space|quota exceeded",
        frozenset({errno.ENOSPC, errno.EDQUOT}),
        hint="free some space in the pool, or make the disk smaller or sparse",
    ),
    Rule(NotFoundError, "does not exist|(dataset|snapshot) .* not found|'[^']+' not found", frozenset({errno.ENOENT})),
    Rule(UnsupportedError, "method does not exist", frozenset({_NO_SUCH_METHOD})),
)


def error_of(refused: Refused) -> PyvmiscsiError:
    """The error that says what this refusal means to the caller."""
    text = refused.text
    message = f"{refused.method}: {text}"
    if refused.no_such_method:
        return UnsupportedError(f"{refused.method}: this release of TrueNAS does not have it")
    for rule in RULES:
        if rule.matches(refused, text):
            hint = _role_hint(refused.method) if rule.error is NasAuthError else rule.hint
            return rule.error(message, hint=hint)
    return NasRefusedError(message)


def _role_hint(method: str) -> str:
    """The least role for a method (nas-wire.md 1.4), where it is known."""
    service, _, word = method.rpartition(".")
    if service in _ROLES:
        least = _ROLES[service].get(word, "DATASET_WRITE" if service == "pool.dataset" else "SNAPSHOT_WRITE")
        return f"give the account of this key the role {least or 'FULL_ADMIN, as before 25.10 no lesser one will do'}"
    if service.startswith("iscsi."):
        kind = "READ" if Request(method).is_read else "WRITE"
        return f"give the account of this key the role SHARING_ISCSI_{service.partition('.')[2].upper()}_{kind}"
    return "give the account of this key a role that allows this call"


def is_device_missing(refused: Refused) -> bool:
    """The volume is there but its device node is not, or not yet (nas-wire.md 3, rule 8)."""
    return re.search("device .* does not exist", refused.text, re.IGNORECASE) is not None


def is_device_busy(refused: Refused) -> bool:
    """The target lets go of a volume's device some seconds after its LUN is gone (nas-wire.md 5, pitfall 1)."""
    return errno.EBUSY in refused.errnos or "is busy" in refused.text
