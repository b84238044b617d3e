"""The part of a FreeBSD kernel that the initiator adapter meets, in memory and on a clock of its own.

Written after transcripts of a real one: a login is `Waiting for iscsid(8)`, then plain Disconnected, then either
refused, with the next try a minute later, or Connected with `probe0`; then the disk is listed, then it has a node,
then a label. The scripts ask no disk of a dead session; where somebody else has done so, GEOM does not answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from pyvmiscsi.errors import DeadlineError
from pyvmiscsi.initiator.freebsd import scripts
from tests.fakes.clock import FakeClock
from tests.fakes.host import Call, Reply

LABEL = "/dev/diskid/DISK-5c4ae0d1b2f7-00"


@dataclass
class Served:
    """What a target offers, or how it refuses: `refusals` are used up one a login."""

    serial: str = "5c4ae0d1b2f7-00"
    size: int = 64 * 1024 * 1024
    sector: int = 512
    lun: int = 1
    refusals: list[str] = field(default_factory=list)
    silent: bool = False
    portal_after_redirect: str = ""
    shows_lun: bool = True
    scanned_after: float = 0.3
    node_after: float = 0.5
    label_after: float = 0.8
    """Seconds since the login began until `daN` takes the place of `probe0`, has a node, has a label."""
    shows_label: bool = True
    geom_serial: str = ""
    reservation: str = "No reservations. "
    login: tuple[str, str] | None = None
    growth: int = 0
    growth_after: int = 0
    """It has grown by so much, and says so from that reprobe on."""


@dataclass
class Session:
    number: int
    target: str
    portal: str
    since: float
    refusal: str = ""
    lost: str | None = None
    unit: int = -1
    mode: str = "r0w0e0"
    is_up: bool = False
    """It was Connected, and needs no iscsid as long as it is."""


def label_of(serial: str) -> str:
    """As geom_label makes it of the signs that these tests use."""
    return "diskid/DISK-" + serial.strip().replace("%", "%25").replace(" ", "%20").replace('"', "%22")


class FakeKernel:
    """Answers the adapter's scripts: give `answer` to a FakeHost."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.served: dict[str, Served] = {}
        self.sessions: list[Session] = []
        self.iscsid_runs = True
        self.iscsid_busy_until = 0.0
        """Its children are all held by silent portals until then."""
        self.labels_are_off = False
        self.geom_is_frozen = False
        """Somebody has opened the disk of a dead session."""
        self.conf: set[str] = set()
        """The targets in /etc/iscsi.conf."""
        self.started = 0
        self.secrets_seen: list[bytes] = []
        self.disks_touched: list[str] = []

    def answer(self, call: Call) -> Reply:
        self.clock.push(0.02)  # a command takes its time
        verbs: dict[str, Callable[..., Reply]] = {
            scripts.LOOK: self._sight,
            scripts.ADD: lambda label, nickname: (
                self._add(call.stdin.decode(), nickname) or self._sight_within_a_second(label)
            ),
            scripts.REMOVE: lambda label, target, portal: self._remove(target, portal) or self._sight(label),
            scripts.PROVE: self._prove,
            scripts.REPROBE: self._reprobe,
            scripts.OPEN_COUNTS: self._open_counts,
            scripts.DISKS_OPEN: self._disks_open,
            scripts.PREFLIGHT: self._preflight,
        }
        return verbs[call.script](*call.words)

    # what a session looks like now

    def age(self, session: Session) -> float:
        return self.clock.now() - session.since

    def state(self, session: Session) -> tuple[bool, str]:
        """Connected or not, and the reason shown."""
        if session.lost is not None:
            session.is_up = False
            return False, session.lost
        served = self.served.get(session.target)
        iscsid = self.iscsid_runs and self.clock.now() >= self.iscsid_busy_until
        if self.age(session) < 0.05 or not (session.is_up or iscsid):
            return False, "Waiting for iscsid(8)"
        if self.age(session) < 0.2 or (served and served.silent):
            return False, ""
        if served is None:
            return False, "Not found"
        session.is_up = not session.refusal
        return session.is_up, session.refusal

    def devices(self, session: Session) -> list[dict[str, object]]:
        """A session that died keeps its devices, and lists them."""
        served = self.served.get(session.target)
        if not (self.state(session)[0] or session.lost is not None) or served is None or not served.shows_lun:
            return []
        return [
            {"lun": served.lun, "device": "probe0" if self.age(session) < served.scanned_after else f"da{session.unit}"}
        ]

    def _listing(self) -> str:
        rows = []
        for session in self.sessions:
            connected, reason = self.state(session)
            rows.append(
                {
                    "sessionId": session.number,
                    "initiator": {"name": "iqn.1994-09.org.freebsd:hv1", "portal": "", "alias": ""},
                    "target": {"name": session.target, "portal": session.portal, "alias": ""},
                    "auth": {"user": "u", "secret": "secretsecret1", "mutualUser": "", "mutualSecret": ""},
                    "type": "Normal",
                    "enable": "Yes",
                    "state": "Connected" if connected else "Disconnected",
                    "failureReason": reason,
                    "devices": {"lun": self.devices(session), "scbus": 13, "bus": 0, "target": 0},
                }
            )
        return json.dumps({"iscsictl": {"session": rows}})

    def _sight(self, label: str) -> Reply:
        nodes = [
            f"da{session.unit}"
            for session in self.sessions
            if self.devices(session) and self.age(session) >= self.served[session.target].node_after
        ]
        has_label = any(
            self._has_label(session)
            and label == f"/dev/{label_of(self.served[session.target].serial)}"
            for session in self.sessions if self.devices(session)
        )  # fmt: skip
        state = "label" if has_label else "off" if label and self.labels_are_off else "none"
        shown = f"{self._listing()}\n{' '.join(nodes) or 'da*'}\n{state}\n{''.join(f'{name} ' for name in self.conf)}\n"
        return Reply(shown.encode())

    def _has_label(self, session: Session) -> bool:
        """Of disks with the same serial the first one has it."""
        serial = self.served[session.target].serial
        twins = [other for other in self.sessions if self.devices(other) and self.served[other.target].serial == serial]
        served = self.served[session.target]
        there = served.shows_label and self.age(session) >= served.label_after
        return there and not self.labels_are_off and session is twins[0]

    def _sight_within_a_second(self, label: str) -> Reply:
        for _ in range(10):
            if b"\nlabel\n" in self._sight(label).stdout:
                break
            self.clock.push(0.1)
        return self._sight(label)

    # verbs

    def _add(self, conf: str, nickname: str) -> Reply | None:
        assert conf.startswith(f"{nickname} {{")
        values = dict(re.findall(r'(\w+) = "([^"]*)"', conf))
        self.secrets_seen += [value.encode() for key, value in values.items() if "Secret" in key]
        target, portal = values["TargetName"], values["TargetAddress"]
        if any((session.target, session.portal) == (target, portal) for session in self.sessions):
            return Reply(stderr=b"iscsictl: ISCSISADD: Device busy\n", status=1)
        session = self.start(target, portal)
        known = self.served[target].login if target in self.served else None
        if known and known != (values.get("chapIName"), values.get("chapSecret")):
            session.refusal = "Authentication failure"
        return None

    def start(self, target: str, portal: str, *, age: float = 0.0) -> Session:
        served = self.served.get(target)
        refusal = served.refusals.pop(0) if served and served.refusals else ""
        self.started += 1
        units = {session.unit for session in self.sessions}
        unit = next(number for number in range(100) if number not in units)
        shown = (served and served.portal_after_redirect) or portal
        session = Session(self.started, target, shown, self.clock.now() - age, refusal, unit=unit, is_up=age > 1)
        self.sessions.append(session)
        return session

    def _remove(self, target: str, portal: str) -> Reply | None:
        kept = [session for session in self.sessions if (session.target, session.portal) != (target, portal)]
        if len(kept) == len(self.sessions):
            return Reply(stderr=b"iscsictl: ISCSISREMOVE: No such process\n", status=1)
        self.sessions = kept
        return None

    def _connected(self, target: str, portal: str) -> Session | None:
        return next(
            (s for s in self.sessions if (s.target, s.portal) == (target, portal) and self.state(s)[0]), None
        )  # fmt: skip

    def _prove(self, target: str, portal: str, device: str) -> Reply:
        session = self._connected(target, portal)
        if session is None:
            return Reply(status=scripts.NO_SESSION)
        assert device == f"da{session.unit}"
        self.disks_touched.append(device)
        served = self.served[target]
        if self.age(session) < served.node_after:
            return Reply(stderr=f"diskinfo: {device}: No such file or directory\n".encode(), status=1)
        sectors = served.size // served.sector
        text = f"{served.serial:>36}\n{served.reservation}\n{served.geom_serial or served.serial}\n"
        text += f"{device}\t{served.sector}\t{served.size}\t{sectors}\t4096\t0\t64\t64\t32\n"
        return Reply(f"{text}{self._conftxt()}\0".encode())

    def _conftxt(self) -> str:
        text = ""
        for session in self.sessions:
            if self.devices(session):
                served = self.served[session.target]
                text += f"0 DISK da{session.unit} {served.size} {served.sector} hd 64 sc 32\n"
                if self._has_label(session):
                    text += f"1 LABEL {label_of(served.serial)} {served.size} {served.sector} i 0 o 0\n"
        return text

    def _reprobe(self, target: str, portal: str, device: str) -> Reply:
        if self._connected(target, portal) is not None:
            served = self.served[target]
            if served.growth and served.growth_after <= 0:
                served.size, served.growth = served.size + served.growth, 0
            served.growth_after -= 1
        return self._prove(target, portal, device)

    def _open_counts(self, target: str, portal: str) -> Reply:
        if self._connected(target, portal) is None:
            return Reply(status=scripts.NO_SESSION)
        return self._disks_open()

    def _preflight(self) -> Reply:
        runs = "yes" if self.iscsid_runs else "no"
        told = {"release": "1400063", "driver": "yes", "iscsid": runs, "iscsid_enable": "YES", "hostname": "hv1"}
        return Reply("".join(f"{key}\t{value}\n" for key, value in told.items()).encode())

    def _disks_open(self) -> Reply:
        if self.geom_is_frozen and any(session.lost is not None for session in self.sessions):
            self.clock.push(5)
            raise DeadlineError("hv1: sh script: not ended")
        disks = "".join(
            f"<geom><name>da{s.unit}</name><provider><mode>{s.mode}</mode><name>da{s.unit}</name></provider></geom>"
            for s in self.sessions
        )
        return Reply(f"<mesh><class><name>DISK</name>{disks}</class></mesh>\n".encode() + b"\0")
