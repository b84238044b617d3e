"""What the Linux scripts print of sessions, what a node record is given, and what iscsiadm's statuses mean. Pure.

Sources: open-iscsi 2.1.11: include/iscsi_err.h and usr/iscsi_err.c (statuses and their words), usr/initiator.c (which
refusal becomes which status), usr/idbm.c (records), etc/iscsid.conf (what a record may hold). Seen with iscsiadm
2.1.8 of Debian 12 on Linux 6.1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from pyvmiscsi.errors import HostError, InputError
from pyvmiscsi.initiator.linux.scripts import MARK
from pyvmiscsi.model import Credential
from pyvmiscsi.names import Iqn, Lun, Portal

LIVE = "LOGGED_IN"
"""The kernel's word for a session that works; the others are FAILED and FREE (scsi_transport_iscsi.c)."""

LONGEST_VALUE = 255  # VALUE_MAXVAL and AUTH_STR_MAX_LEN are 256, with the NUL byte
LOGIN_SECONDS = 15
"""For each of a login's two parts, connecting and negotiating: open-iscsi's own default."""


@dataclass(frozen=True, slots=True)
class Disk:
    """A block device that a session has brought."""

    name: str
    """`sda`, as in /sys/block and /dev; another disk may bear it once this one has gone."""
    has_node: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One session as the kernel has it."""

    number: int
    """The session id; never given to another session before a reboot."""
    target: str
    state: str
    portal: str
    """Where it was told to log in, before any redirect."""
    initiator: str
    disks: Mapping[int, Disk] = field(default_factory=dict)
    """By LUN."""

    @property
    def is_usable(self) -> bool:
        return self.state == LIVE

    @property
    def reason(self) -> str:
        return "" if self.is_usable else self.state

    def disk(self, lun: Lun) -> Disk | None:
        return self.disks.get(lun.number)


@dataclass(frozen=True, slots=True)
class Login:
    """How a login ended: iscsiadm's status, and whether its record is ours or was there before."""

    status: int
    is_ours: bool


@dataclass(frozen=True, slots=True)
class Sight:
    """What LOOK, LOG_IN and LOG_OUT of `scripts` print, at one moment."""

    rows: tuple[Row, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    """`sda` to its link below /dev/disk/by-path, of the target that was asked for."""
    login: Login | None = None
    logout_failures: Mapping[int, int] = field(default_factory=dict)
    """Session id to iscsiadm's status, where logging out failed."""

    def of(self, target: Iqn) -> tuple[Row, ...]:
        """The sessions to this target, through whatever portal."""
        return tuple(row for row in self.rows if row.target == target.text)


def parse_sight(text: str) -> Sight:
    """The lines of a look, oldest session first; HostError when they are none, or were cut short."""
    lines = [line.split("\t") for line in text.splitlines()]
    if not lines or lines[-1] != ["end"]:
        raise HostError("the list of iSCSI sessions was cut short")
    sessions: list[Row] = []
    disks: dict[int, dict[int, Disk]] = {}
    links: dict[str, str] = {}
    failures: dict[int, int] = {}
    login = None
    for line in lines[:-1]:
        match line:
            case ["session", number, target, state, address, port, initiator]:
                portal = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
                below = disks.setdefault(_number(number), {})
                sessions.append(Row(_number(number), target, state, portal, initiator, below))
            case ["disk", number, unit, name, node]:
                disks.setdefault(_number(number), {})[lun_of(_number(unit))] = Disk(name, node == "yes")
            case ["link", disk, path]:
                links.setdefault(disk, path)
            case ["login", status, whose]:
                login = Login(_number(status), whose == "ours")
            case ["logout", number, status]:
                failures[_number(number)] = _number(status)
            case _:
                raise HostError(f"the list of iSCSI sessions has a line that means nothing: {line}")
    return Sight(tuple(sorted(sessions, key=lambda row: row.number)), links, login, failures)


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise HostError(f"the list of iSCSI sessions has {text!r} where a number should be")
    return int(text)


def lun_of(unit: int) -> int:
    """The LUN behind the last part of a SCSI address `H:C:T:L`.

    Linux keeps the way in which it was addressed: LUN 300, sent by flat space addressing, is 0x4000 + 300 (SAM-5
    section 4.7.7; scsilun_to_int of scsi_common.c). Targets send up to 255 plainly.
    """
    return unit & 0x3FFF if unit >> 14 == 1 else unit


def place_of(portal: Portal) -> str:
    """`<address>,<port>`: what a record is called below its target's directory."""
    return f"{portal.host},{portal.port}"


def record_lines(credential: Credential | None) -> bytes:
    """What a node record that iscsiadm has just made gets as well; InputError for what no record can hold.

    Nothing of it is left to the host's iscsid.conf: the host never logs in by itself, one login makes one session and
    scans it, and a refusal is told at once instead of after `initial_login_retry_max` tries of a quarter of a minute.
    """
    fields = {
        "node.startup": "manual",
        "node.conn[0].startup": "manual",
        "node.leading_login": "No",
        "node.session.nr_sessions": "1",
        "node.session.scan": "auto",
        "node.session.initial_login_retry_max": "0",
        "node.conn[0].timeo.login_timeout": str(LOGIN_SECONDS),
        "node.session.auth.authmethod": "CHAP" if credential else "None",
    }
    if credential is not None:
        fields["node.session.auth.username"] = credential.user
        fields["node.session.auth.password"] = credential.secret.reveal()
        if credential.is_mutual:
            fields["node.session.auth.username_in"] = credential.peer_user
            fields["node.session.auth.password_in"] = credential.peer_secret.reveal()
    for name, value in fields.items():
        if re.fullmatch(r"[^\s\x00-\x1f\x7f]([^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f])?", value) is None:
            raise InputError(f"node record: {name} is empty, or has blanks around it or control characters in it")
        if len(value.encode()) > LONGEST_VALUE:
            raise InputError(f"node record: {name} has {len(value.encode())} bytes, open-iscsi keeps {LONGEST_VALUE}")
    return "".join([*(f"{name} = {value}\n" for name, value in fields.items()), MARK, "\n"]).encode()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why iscsid did not log in; `permanent` when the same login would fail again."""

    reason: str
    permanent: bool = False
    hint: str = ""


SUCCESS, SESSION_EXISTS, FATAL, NOTHING_FOUND, AUTHORIZATION, IN_USE, OVERDUE = 0, 15, 19, 21, 24, 28, 124
"""iscsiadm's statuses that are looked at by name; 124 is timeout(1)'s."""

_NETWORK = "the portal does not answer: check the network between this host and the nas, and the nas's iSCSI service"
_ISCSID = "is iscsid running? systemctl enable --now iscsid.socket (Debian: of the package open-iscsi)"

_REFUSALS = {
    4: Refusal("encountered connection failure", hint=_NETWORK),
    5: Refusal("encountered iSCSI login failure"),
    6: Refusal("encountered iSCSI database failure", hint="are /etc/iscsi and /var/lib/iscsi writable, and not full?"),
    8: Refusal("connection timed out", hint=_NETWORK),
    9: Refusal("internal error", hint="journalctl -u iscsid tells more"),
    10: Refusal("encountered iSCSI logout failure", hint="journalctl -u iscsid tells more"),
    11: Refusal("iSCSI PDU timed out", hint=_NETWORK),
    12: Refusal("iSCSI driver not found", permanent=True, hint="modprobe iscsi_tcp"),
    13: Refusal("daemon access denied", permanent=True, hint="log in as root, or set `become` for this host"),
    18: Refusal("could not communicate to iscsid", hint=_ISCSID),
    FATAL: Refusal(
        "encountered non-retryable iSCSI login failure",
        permanent=True,
        hint="journalctl -u iscsid tells what the nas said; compare the CHAP users and secrets of both sides",
    ),
    20: Refusal("could not connect to iscsid", permanent=True, hint=_ISCSID),
    NOTHING_FOUND: Refusal("no objects found"),
    AUTHORIZATION: Refusal(
        "Authentication failure",
        permanent=True,
        hint="compare the CHAP user and secret of the target on the nas with those of the guest, and see that the "
        "target's initiator group has this host's name",
    ),
    33: Refusal("iscsid request timed out", hint=_ISCSID),
    OVERDUE: Refusal("iscsid gave no answer in time", hint=_NETWORK),
}

NOT_FOUND = Refusal(
    "Not found", permanent=True, hint="the nas has no such target, or does not show it to this initiator"
)
"""iscsiadm does not tell it from other lasting refusals: the portal's list of targets does."""

HOPELESS = frozenset({12, 13, 20})
"""Statuses of this host's own making: trying again within one attach cannot help."""


def refusal_of(status: int) -> Refusal:
    """What a login that ended with this status means.

    24 is both a wrong secret and an initiator that the target does not let in: initiator.c makes one of them.
    """
    return _REFUSALS.get(status, Refusal(f"iscsiadm ended with status {status}"))


def parse_targets(text: str) -> frozenset[str]:
    """The names in a SendTargets answer, `10.0.0.10:3260,1 iqn.…` a line."""
    return frozenset(words[1] for words in map(str.split, text.splitlines()) if len(words) == 2)
