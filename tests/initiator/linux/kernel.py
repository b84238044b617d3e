"""The part of a Linux host that the initiator adapter meets, in memory and on a clock of its own.

Written from open-iscsi's documentation and source, and the kernel's, never from the adapter: a login is over when
iscsiadm comes back (exit statuses of iscsi_err.h); the disk is scanned after it, then udev makes its node, then its
link; a session without its target is FAILED until somebody ends it. Asking the disk of a session that is not
LOGGED_IN never returns: here that fails the test. `-o new` replaces a record; `-o delete` keeps one that is in use.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from pyvmiscsi.initiator.linux import scripts
from tests.fakes.clock import FakeClock
from tests.fakes.host import Call, Reply

DEFAULTS = {"node.startup": "manual", "node.session.auth.authmethod": "None"}


@dataclass
class Served:
    """What a target offers, or how it refuses: `refusals` are iscsiadm's statuses, used up one a login."""

    serial: str = "5c4ae0d1b2f7-00"
    size: int = 64 * 1024 * 1024
    sector: int = 512
    lun: int = 1
    refusals: list[int] = field(default_factory=list)
    listed: bool = True
    shows_lun: bool = True
    shows_node: bool = True
    shows_link: bool = True
    login: tuple[str, ...] | None = None
    growth: int = 0
    growth_after: int = 0
    """It has grown by so much, and says so from that rescan on."""


@dataclass
class Record:
    """A node record: its fields in the order they stand, and whether its last line is the adapter's mark."""

    fields: dict[str, str]
    is_marked: bool = False


@dataclass
class Session:
    number: int
    target: str
    portal: str
    since: float
    unit: int
    lost: bool = False
    uses: str = ""
    user: str = "qemu-system-x86"
    logout_status: int = 0

    @property
    def disk(self) -> str:
        return f"sd{chr(ord('b') + self.unit)}"


class FakeKernel:
    """Answers the adapter's scripts: give `answer` to a FakeHost."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.served: dict[str, Served] = {}
        self.sessions: list[Session] = []
        self.records: dict[tuple[str, str], Record] = {}
        """By target and `<address>,<port>`."""
        self.iscsid_runs = True
        self.discovery_status = 0
        self.started = 0
        self.secrets_seen: list[str] = []
        self.disks_asked: list[str] = []

    def answer(self, call: Call) -> Reply:
        self.clock.push(0.02)  # a command takes its time
        match call.script, call.words:
            case (scripts.LOOK, (target,)):
                return self._sight(target)
            case (scripts.LOG_IN, (target, portal, place, seconds)):
                return self._log_in(target, portal, place, float(seconds), call.stdin.decode())
            case (scripts.LOG_OUT, (target, ids)):
                return self._log_out(target, [int(number) for number in ids.split()])
            case (scripts.ASK, (number, target, disk)):
                return self._ask(int(number), target, disk)
            case (scripts.USES, (disks,)):
                return self._uses(disks.split())
            case (scripts.TARGETS, (portal,)):
                return self._targets(portal)
        raise AssertionError(f"a command that the kernel does not know: {call}")

    # what is there now

    def age(self, session: Session) -> float:
        return self.clock.now() - session.since

    def is_live(self, session: Session) -> bool:
        return not session.lost and session.target in self.served

    def _disk(self, session: Session) -> Served | None:
        """Its disk stays while a session is FAILED: the kernel waits for it to come back."""
        served = self.served.get(session.target)
        return served if served and served.shows_lun and self.age(session) >= 0.3 else None

    def _sight(self, target: str, first: str = "") -> Reply:
        lines = [first] if first else []
        for session in self.sessions:
            address, _, port = session.portal.rpartition(":")
            state = "LOGGED_IN" if self.is_live(session) else "FAILED"
            initiator = "iqn.1993-08.org.debian:01:hv1"
            words = ["session", str(session.number), session.target, state, address.strip("[]"), port, initiator]
            lines.append("\t".join(words))
            served = self._disk(session)
            if served:
                node = "yes" if served.shows_node and self.age(session) >= 0.5 else "no"
                lines.append(f"disk\t{session.number}\t{served.lun}\t{session.disk}\t{node}")
                if served.shows_link and self.age(session) >= 0.8 and session.target == target:
                    link = f"/dev/disk/by-path/ip-{session.portal}-iscsi-{target}-lun-{served.lun}"
                    lines.append(f"link\t{session.disk}\t{link}")
        return Reply("\n".join([*lines, "end", ""]).encode())

    # verbs

    def _log_in(self, target: str, portal: str, place: str, seconds: float, added: str) -> Reply:
        fields = dict(re.findall(r"^(\S+) = (.*)$", added, re.MULTILINE))
        self.secrets_seen += [value for key, value in fields.items() if "password" in key]
        assert added.endswith(f"{scripts.MARK}\n")
        record = self.records.get((target, place))
        if record is None or record.is_marked:
            record = Record(DEFAULTS | fields, is_marked=True)
            self.records[target, place] = record
        elif record.fields["node.startup"] != "manual":
            return Reply(status=scripts.AUTOMATIC)
        status = self._login_status(target, portal, record.fields)
        if status == 8:
            self.clock.push(min(seconds, 15))
        if status == 0:
            self.start(target, portal)
        return self._sight(target, f"login\t{status}\t{'ours' if record.is_marked else 'theirs'}")

    def _login_status(self, target: str, portal: str, fields: dict[str, str]) -> int:
        if not self.iscsid_runs:
            return 20
        if any((session.target, session.portal) == (target, portal) for session in self.sessions):
            return 15
        served = self.served.get(target)
        if served is None:
            return 19
        if served.refusals:
            return served.refusals.pop(0)
        names = ("username", "password", "username_in", "password_in")
        given = tuple(fields[f"node.session.auth.{name}"] for name in names if f"node.session.auth.{name}" in fields)
        if served.login and (fields["node.session.auth.authmethod"] != "CHAP" or given != served.login):
            return 24
        return 0

    def start(self, target: str, portal: str, *, age: float = 0.0) -> Session:
        self.started += 1
        units = {session.unit for session in self.sessions}
        unit = next(number for number in range(20) if number not in units)
        session = Session(self.started, target, portal, self.clock.now() - age, unit)
        self.sessions.append(session)
        return session

    def _log_out(self, target: str, ids: list[int]) -> Reply:
        lines = []
        for session in [session for session in self.sessions if session.target == target and session.number in ids]:
            if session.logout_status:
                lines.append(f"logout\t{session.number}\t{session.logout_status}")
            else:
                self.sessions.remove(session)
        used = {(session.target, session.portal.replace(":", ",")) for session in self.sessions}
        for key, record in list(self.records.items()):
            if key[0] == target and record.is_marked and key not in used:
                del self.records[key]
        return self._sight(target, "\n".join(lines))

    def _ask(self, number: int, target: str, disk: str) -> Reply:
        session = next((each for each in self.sessions if (each.number, each.target) == (number, target)), None)
        if session is None or not self.is_live(session) or session.disk != disk:
            return Reply(status=scripts.NO_SESSION)
        self.disks_asked.append(disk)
        served = self.served[target]
        if served.growth and served.growth_after <= 0:
            served.size, served.growth = served.size + served.growth, 0
        served.growth_after -= 1
        serial = served.serial.encode()
        page = b"\0\x80" + len(serial).to_bytes(2) + serial
        text = f"size\t{served.size // 512}\nlogical_block_size\t{served.sector}\nphysical_block_size\t4096\n"
        return Reply(f"{text}serial\t{page.hex()}\n".encode())

    def _uses(self, disks: list[str]) -> Reply:
        files = "".join(
            f"/proc/{700 + session.number}/fd:\nlrwx------ 1 root root 64 Nov 22 21:00 9 -> {session.uses}\n"
            for session in self.sessions if session.uses
        )  # fmt: skip
        numbers = "".join(f"number\t{disk}\t8:{16 * (ord(disk[2]) - ord('a'))}\n" for disk in disks)
        processes = "".join(f"{700 + session.number} ({session.user}) S 1 0\n" for session in self.sessions)
        return Reply(f"{numbers}mounts\nswaps\nprocesses\n{processes}files\n{files}".encode())

    def _targets(self, portal: str) -> Reply:
        listed = "".join(f"{portal},1 {name}\n" for name, served in self.served.items() if served.listed)
        return Reply(listed.encode(), status=self.discovery_status)
