"""What is answered about sessions: rows of `session list`, targets of `session show`, and which disks a word means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pyvmiscsi.errors import InputError, NotFoundError
from pyvmiscsi.model import SessionState
from pyvmiscsi.names import DiskName, GuestName, Iqn
from pyvmiscsi.operations.known_targets import KnownTarget
from pyvmiscsi.operations.logins import Facts, Login, logins
from pyvmiscsi.site.views import View


@dataclass(frozen=True, slots=True)
class HostSessionView(View):
    """A session as its host shows it: FreeBSD's own number of it, and its devices by LUN (`da0`)."""

    number: int | None
    portal: str
    connected: bool
    reason: str
    devices: Mapping[int, str]

    @property
    def text(self) -> str:
        """`Connected da0`, or why it is not."""
        if self.connected:
            return " ".join(("Connected", *self.devices.values()))
        return f"Disconnected: {self.reason}" if self.reason else "Disconnected"


@dataclass(frozen=True, slots=True)
class LoginView(View):
    """One initiator at one target. `verdict` is one of those that docs/sessions.md explains."""

    verdict: str
    host: str | None
    """As the site names it; None for an initiator that is no host of the site, or of one that did not answer."""
    initiator: str
    on_host: tuple[HostSessionView, ...]
    on_nas: tuple[str, ...] | None
    """The addresses that it is logged in from; None when the nas did not answer."""


@dataclass(frozen=True, slots=True)
class SessionView(LoginView):
    """The same, and what the target is; of one that is none of ours only its name is known, if it is an IQN."""

    target: str | None
    owner: str | None
    """`web1:disk0`, `image debian`, or a volume."""
    nas: str | None
    datastore: str | None
    guest: str | None
    disk: str | None


@dataclass(frozen=True, slots=True)
class TargetView(View):
    """One target of ours, whose it is and who is logged in to it. What only its nas knows is None when that is away."""

    target: str
    owner: str
    nas: str
    datastore: str
    guest: str | None
    disk: str | None
    volume: str | None
    size: int | None
    """In bytes."""
    serial: str | None
    portal: str
    lun: int | None
    chap_tag: int | None
    locked_by: tuple[str, ...]
    """The hostname in the guest's `run.lock`; several when hosts that should share it see different ones."""
    sessions: tuple[LoginView, ...]


@dataclass(frozen=True, slots=True)
class Disks:
    """What `web1`, `web1:disk1` or an IQN stands for: all disks of a guest, one of them, or a target."""

    guest: GuestName | None = None
    disk: DiskName | None = None
    target: Iqn | None = None

    @classmethod
    def parse(cls, text: str) -> Disks:
        if text.lower().startswith("iqn."):
            return cls(target=Iqn.parse(text))
        guest, colon, disk = text.partition(":")
        if colon and not disk:
            raise InputError(f"{text!r}: no disk after the colon", hint="write GUEST, GUEST:diskN or an IQN")
        return cls(GuestName.parse(guest), DiskName.parse(disk) if disk else None)

    @property
    def guest_name(self) -> str:
        """InputError for a target: only of a guest's disks it is known how to log in to them."""
        if self.guest is None:
            raise InputError(f"{self.target}: not a guest's name", hint="write GUEST or GUEST:diskN")
        return str(self.guest)

    @property
    def disk_name(self) -> str | None:
        return None if self.disk is None else str(self.disk)

    def has(self, known: KnownTarget | None, target: Iqn | None) -> bool:
        """Whether a target is one of them."""
        if self.target is not None:
            return target == self.target
        if known is None or known.guest != str(self.guest):
            return False
        return self.disk is None or known.disk == str(self.disk)

    def __str__(self) -> str:
        if self.target is not None:
            return str(self.target)
        return f"{self.guest}:{self.disk}" if self.disk is not None else str(self.guest)


def session_views(
    facts: Facts, *, disks: Disks | None = None, host: str | None = None, foreign: bool = False
) -> tuple[SessionView, ...]:
    """Every login, or those to some disks or of one host only; to foreign targets only if asked for, or by their IQN.

    NotFoundError for disks that the site has not, as far as its nases answer.
    """
    found = _chosen(facts, disks)
    shown = foreign or (disks is not None and disks.target is not None)
    return tuple(
        _session_view(login) for login in found if (shown or login.known is not None) and host in (None, login.host)
    )


def target_views(facts: Facts, disks: Disks) -> tuple[TargetView, ...]:
    """Each of these targets with everybody who is logged in to it; NotFoundError when none of them is ours."""
    found = _chosen(facts, disks)
    told = [known for nas in facts.nases for known in nas.targets.values() if disks.has(known, known.iqn)]
    chosen = {(known.nas, known.iqn): known for known in (*(login.known for login in found), *told) if known}
    if not chosen:
        raise NotFoundError(
            f"{disks}: none of ours, or its nas does not answer", hint=f"pyvmiscsi session list {disks}"
        )
    order = sorted(chosen.values(), key=lambda one: (one.datastore, one.guest or "", one.disk or "", str(one.iqn)))
    return tuple(_target_view(one, facts, found) for one in order)


def _chosen(facts: Facts, disks: Disks | None) -> list[Login]:
    """The logins to these disks; NotFoundError when all nases answer and none has such a disk."""
    found = [login for login in logins(facts) if disks is None or disks.has(login.known, login.target)]
    told = (known for nas in facts.nases for known in nas.targets.values())
    answered = all(nas.sessions is not None for nas in facts.nases)
    if disks is not None and not found and answered and not any(disks.has(one, one.iqn) for one in told):
        raise NotFoundError(f"{disks}: no target in any datastore of the site", hint="pyvmiscsi vm list")
    return found


def _target_view(known: KnownTarget, facts: Facts, found: Iterable[Login]) -> TargetView:
    return TargetView(
        target=str(known.iqn),
        owner=known.owner,
        nas=known.nas,
        datastore=known.datastore,
        guest=known.guest,
        disk=known.disk,
        volume=known.volume,
        size=known.size,
        serial=known.serial,
        portal=known.portal,
        lun=known.lun,
        chap_tag=known.chap_tag,
        locked_by=tuple(sorted(facts.holders(known))),
        sessions=tuple(LoginView(**_told(one)) for one in found if (one.nas, one.target) == (known.nas, known.iqn)),
    )


def _session_view(login: Login) -> SessionView:
    known = login.known
    return SessionView(
        **_told(login),
        target=str(login.target) if login.target else None,
        owner=known.owner if known else None,
        nas=login.nas,
        datastore=known.datastore if known else None,
        guest=known.guest if known else None,
        disk=known.disk if known else None,
    )


def _told(login: Login) -> dict[str, Any]:
    """The fields of a `LoginView`."""
    return {
        "verdict": str(login.verdict),
        "host": login.host,
        "initiator": login.initiator,
        "on_host": tuple(_host_session_view(session) for session in login.on_host),
        "on_nas": None if login.on_nas is None else tuple(told.address for told in login.on_nas),
    }


def _host_session_view(session: SessionState) -> HostSessionView:
    return HostSessionView(
        number=session.number,
        portal=session.portal,
        connected=session.connected,
        reason=session.reason,
        devices=dict(session.luns),
    )
