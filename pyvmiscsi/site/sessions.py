"""Who is logged in to what: every host and every nas of the site asked at the same time, and put side by side.

A nas is asked for its sessions once, and for an inventory of each datastore; a host for its sessions and its guests,
and for the config paths. What is seen is of about one moment: a login or logout that happens right then may be seen
by one side only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

from pyvmiscsi.bhyve.config_path import guest_directories
from pyvmiscsi.bhyve.hypervisor import Hypervisor
from pyvmiscsi.errors import DeadlineError, HostError, InputError, NasError, NotFoundError, PyvmiscsiError
from pyvmiscsi.model import DatastoreRecord, Inventory, NasSession, SessionState
from pyvmiscsi.names import DiskName, GuestName, Iqn
from pyvmiscsi.operations.attach import DETACH, detach_plan
from pyvmiscsi.operations.known_targets import KnownTarget, known_targets
from pyvmiscsi.operations.logins import Facts, HostFacts, Locks, Login, NasFacts, logins
from pyvmiscsi.site.connections import Connections
from pyvmiscsi.site.datastore import Datastore
from pyvmiscsi.site.guest import Guest
from pyvmiscsi.site.running import Run, new_intent
from pyvmiscsi.site.views import View
from pyvmiscsi.steps.lock import NoJournal

T = TypeVar("T")

_AT_ONCE = 8


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
class SessionView(View):
    """What one initiator has of one target. `verdict` is one of those that docs/sessions.md explains."""

    verdict: str
    target: str | None
    """None for a discovery session, and for a name that is no IQN."""
    nas: str | None
    datastore: str | None
    guest: str | None
    disk: str | None
    owner: str | None
    """`web1:disk0`, `image debian`, or a volume; None when the target is none of ours."""
    host: str | None
    """As the site names it; None for an initiator that is no host of the site, or of one that did not answer."""
    initiator: str
    on_host: tuple[HostSessionView, ...]
    on_nas: tuple[str, ...] | None
    """The addresses that it is logged in from; None when the nas did not answer."""


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
    sessions: tuple[SessionView, ...]


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


def look(connections: Connections) -> Facts:
    """What hosts, nases and config paths tell. A host or nas that does not answer is left out, with a warning.

    Raises what the first of them said when nobody answers at all.
    """
    site = connections.record
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="sessions") as pool:
        hosts = {name: pool.submit(_look_at_host, name, connections) for name in site.hosts}
        nases = {name: pool.submit(_look_at_nas, name, connections) for name in site.nases}
    seen, silent_hosts = _answers(hosts)
    told, silent_nases = _answers(nases)
    if not seen and not told:
        raise next(iter({**silent_hosts, **silent_nases}.values()))
    for error in silent_hosts.values():
        connections.warn(f"{error}: its sessions are told by the nases alone")
    for error in silent_nases.values():
        connections.warn(f"{error}: sessions with it are told by the hosts alone")
    return Facts(
        hosts=tuple(facts for facts, _ in seen.values()),
        nases=_nas_facts(connections, told),
        locks=_merged(locks for _, locks in seen.values()),
        silent_hosts=tuple(silent_hosts),
    )


@dataclass(frozen=True, slots=True)
class _NasAnswer:
    sessions: tuple[NasSession, ...]
    inventories: Mapping[str, Inventory]
    """By datastore."""


def _look_at_host(name: str, connections: Connections) -> tuple[HostFacts, Mapping[tuple[str, str], str]]:
    """What a host tells of itself, and the hostname in each guest's lock that it sees, by (datastore, guest)."""
    host = connections.host(name)
    hypervisor = Hypervisor(host)
    facts = HostFacts(
        name, hypervisor.hostname(), frozenset(hypervisor.running()), connections.initiator(name).sessions()
    )
    mine = [one for one in connections.record.datastores.values() if not one.hosts or name in one.hosts]
    directories = {path: guest_directories(host, path) for path in sorted({one.config_path for one in mine})}
    return facts, {
        (datastore.name, guest): directory.locked_by
        for datastore in mine
        for guest, directory in directories[datastore.config_path].items()
        if directory.locked_by is not None
    }


def _look_at_nas(name: str, connections: Connections) -> _NasAnswer:
    nas = connections.nas(name)
    inventories = {one.name: nas.inventory(one.parent) for one in _datastores_on(name, connections)}
    return _NasAnswer(nas.sessions(), inventories)


def _answers(asked: Mapping[str, Future[T]]) -> tuple[dict[str, T], dict[str, PyvmiscsiError]]:
    """The answers, and what those failed with who gave none; any other error is raised."""
    answers: dict[str, T] = {}
    failures: dict[str, PyvmiscsiError] = {}
    for name, one in asked.items():
        try:
            answers[name] = one.result()
        except (HostError, NasError, DeadlineError) as error:
            failures[name] = error
    return answers, failures


def _nas_facts(connections: Connections, told: Mapping[str, _NasAnswer]) -> tuple[NasFacts, ...]:
    site = connections.record
    inventories = {name: found for answer in told.values() for name, found in answer.inventories.items()}
    targets = known_targets(site.datastores, inventories)
    return tuple(
        NasFacts(
            name=name,
            datastores=_datastores_on(name, connections),
            targets={iqn: known for (nas, iqn), known in targets.items() if nas == name},
            sessions=told[name].sessions if name in told else None,
        )
        for name in site.nases
    )


def _datastores_on(nas: str, connections: Connections) -> tuple[DatastoreRecord, ...]:
    return tuple(one for one in connections.record.datastores.values() if one.nas == nas)


def _merged(seen: Iterable[Mapping[tuple[str, str], str]]) -> Locks:
    """The locks as all hosts see them together: they differ where a config path is not really shared."""
    merged: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for locks in seen:
        for guest, hostname in locks.items():
            merged[guest].add(hostname)
    return {guest: frozenset(hostnames) for guest, hostnames in merged.items()}


def detach_target(target: Iqn, host: str, connections: Connections, *, force: bool, run: Run) -> None:
    """Log a host out of a target, whosever it is; BusyError as `Guest.detach` when it is a guest's disk."""
    initiator = connections.initiator(host)
    facts = look(connections)
    for login in logins(facts):
        if login.known is not None and (login.target, login.host) == (target, host):
            for guest in _guests_of(login.known, facts, host, connections):
                guest.refuse_in_use(host, (target,), force=force)
    intent = replace(new_intent(DETACH, str(target), {}), kept=False)
    run.engine().execute(detach_plan(str(target), (target,), initiator, host), NoJournal(), intent)


def _guests_of(known: KnownTarget, facts: Facts, host: str, connections: Connections) -> Iterator[Guest]:
    """The guests that may have this disk and run on this host."""
    places = facts.guests_of(known) or (((known.datastore, known.guest),) if known.guest else ())
    for datastore, guest in places:
        record = connections.record.datastores[datastore]
        if not record.hosts or host in record.hosts:
            yield Datastore(record, connections).guest(guest)


def session_views(
    facts: Facts, *, disks: Disks | None = None, host: str | None = None, foreign: bool = False
) -> tuple[SessionView, ...]:
    """Every login, or those to some disks or of one host only; to targets that are not ours only if asked for."""
    return tuple(
        _session_view(login)
        for login in logins(facts)
        if (foreign or login.known is not None)
        and (disks is None or disks.has(login.known, login.target))
        and host in (None, login.host)
    )


def target_views(facts: Facts, disks: Disks) -> tuple[TargetView, ...]:
    """Each of these targets with everybody who is logged in to it; NotFoundError when the site has none of them."""
    nases = {nas.name: nas for nas in facts.nases}
    told = [known for nas in facts.nases for known in nas.targets.values()]
    found = [login for login in logins(facts) if disks.has(login.known, login.target)]
    guessed = [login.known for login in found if login.known and nases[login.known.nas].sessions is None]
    chosen = {(one.nas, one.iqn): one for one in (*guessed, *told) if disks.has(one, one.iqn)}
    if not chosen:
        raise NotFoundError(f"{disks}: no target in any datastore of the site", hint="pyvmiscsi session list --all")
    order = sorted(chosen.values(), key=lambda one: (one.datastore, one.guest or "", one.disk or "", str(one.iqn)))
    return tuple(_target_view(one, facts, found) for one in order)


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
        sessions=tuple(_session_view(one) for one in found if (one.nas, one.target) == (known.nas, known.iqn)),
    )


def _session_view(login: Login) -> SessionView:
    known = login.known
    return SessionView(
        verdict=str(login.verdict),
        target=str(login.target) if login.target else None,
        nas=login.nas,
        datastore=known.datastore if known else None,
        guest=known.guest if known else None,
        disk=known.disk if known else None,
        owner=known.owner if known else None,
        host=login.host,
        initiator=login.initiator,
        on_host=tuple(_host_session_view(session) for session in login.on_host),
        on_nas=None if login.on_nas is None else tuple(told.address for told in login.on_nas),
    )


def _host_session_view(session: SessionState) -> HostSessionView:
    return HostSessionView(
        number=session.number,
        portal=session.portal,
        connected=session.connected,
        reason=session.reason,
        devices=dict(session.luns),
    )
