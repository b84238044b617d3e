"""Who is logged in to what, as the hosts tell it and as the nases do, and whether it is as it should be. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from pyvmiscsi.errors import InputError
from pyvmiscsi.model import DatastoreRecord, NasSession, SessionState
from pyvmiscsi.names import Iqn, Portal
from pyvmiscsi.operations.known_targets import KnownTarget, known_by_name

Locks = Mapping[tuple[str, str], frozenset[str]]
"""(datastore, guest) -> the hostnames that its `run.lock` names, as the hosts that answered see it."""


class Verdict(StrEnum):
    """What is to be thought of a login; docs/sessions.md says what to do about each."""

    IN_USE = "in use"
    IDLE = "idle"
    DEAD = "dead"
    TWIN = "twin"
    TWO_HOSTS = "two hosts"
    UNSEEN = "unseen"
    MISSING = "missing"
    GHOST = "ghost"
    STRANGER = "stranger"
    UNCLEAR = "unclear"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class HostFacts:
    """A host that answered: its name in the site, its hostname(1), the guests that run on it, its sessions."""

    name: str
    hostname: str
    running: frozenset[str] = frozenset()
    sessions: tuple[SessionState, ...] = ()

    @property
    def initiators(self) -> frozenset[str]:
        """The names that a nas may know it by."""
        own = {session.initiator.lower() for session in self.sessions if session.initiator}
        return frozenset(own | {default_initiator(self.hostname)})


@dataclass(frozen=True, slots=True)
class NasFacts:
    """A nas of the site and the datastores on it; `sessions` is None when it did not answer."""

    name: str
    datastores: tuple[DatastoreRecord, ...]
    targets: Mapping[Iqn, KnownTarget] = field(default_factory=dict)
    sessions: tuple[NasSession, ...] | None = ()

    def find(self, target: Iqn) -> KnownTarget | None:
        """Whose a target is; told by its name alone when the nas did not answer."""
        return known_by_name(target, self.datastores) if self.sessions is None else self.targets.get(target)

    def has(self, target: Iqn) -> bool:
        return self.find(target) is not None or any(session.target == target for session in self.sessions or ())

    def listens_at(self, portal: str) -> bool:
        try:
            host = Portal.parse(portal).host
        except InputError:
            return False
        return any(datastore.portal.host == host for datastore in self.datastores)


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that was seen of a site at about one moment."""

    hosts: tuple[HostFacts, ...]
    nases: tuple[NasFacts, ...]
    locks: Locks = field(default_factory=dict)
    silent_hosts: tuple[str, ...] = ()

    def guests_of(self, known: KnownTarget) -> tuple[tuple[str, str], ...]:
        """(datastore, guest) of the guest whose disk a target is, if it is locked.

        A target known by its name alone may be a disk whose guest lives in another datastore: any guest of the name
        counts then.
        """
        if known.is_guessed:
            return tuple(sorted(one for one in self.locks if one[1] == known.guest))
        whose = (known.datastore, known.guest or "")
        return (whose,) if whose in self.locks else ()

    def holders(self, known: KnownTarget) -> frozenset[str]:
        """The hostnames in the `run.lock` of the guest whose disk a target is."""
        return frozenset().union(*(self.locks[one] for one in self.guests_of(known)))


@dataclass(frozen=True, slots=True)
class Login:
    """What one initiator has of one target: its sessions as the host tells them, and as the nas does."""

    target: Iqn | None
    """None for a discovery session, and for a name that is no IQN."""
    nas: str | None
    known: KnownTarget | None
    host: str | None
    initiator: str
    on_host: tuple[SessionState, ...]
    on_nas: tuple[NasSession, ...] | None
    """None when the nas did not answer, or nobody knows which one it is."""
    verdict: Verdict


def default_initiator(hostname: str) -> str:
    """The name that FreeBSD's initiator gives itself (iscsi.conf(5))."""
    return f"iqn.1994-09.org.freebsd:{hostname.lower()}"


def logins(facts: Facts) -> tuple[Login, ...]:
    """Every session that anybody tells of, in one login each, and those that should be there and are not."""
    found = [login for place in _places(facts) for login in place.logins()]
    return tuple(sorted(found, key=_order))


def _order(login: Login) -> tuple[object, ...]:
    known = login.known
    whose = (known.datastore, known.guest or "~", known.disk or "") if known else ("", "", "")
    return (known is None, *whose, str(login.target), login.nas or "", login.host or "~", login.initiator)


def _places(facts: Facts) -> Iterator[_Place]:
    """Each target on its nas, with the sessions to it: targets of one name may be on several nases."""
    nases = {nas.name: nas for nas in facts.nases}
    shown: defaultdict[_Key, list[_Shown]] = defaultdict(list)
    for host in facts.hosts:
        own: defaultdict[_Key, list[SessionState]] = defaultdict(list)
        for session in host.sessions:
            nas = _nas_of(session, facts.nases)
            own[nas.name if nas else None, session.target].append(session)
        for key, sessions in own.items():
            shown[key].append(_Shown(host, tuple(sessions)))
    told: defaultdict[_Key, list[NasSession]] = defaultdict(list)
    for nas in facts.nases:
        for login in nas.sessions or ():
            told[nas.name, login.target].append(login)
    started = {(nas.name, known.iqn) for nas in facts.nases for known in nas.targets.values() if facts.holders(known)}
    keys: set[_Key] = {*shown, *told, *started}
    for name, target in keys:
        yield _Place(facts, nases.get(name or ""), target, tuple(shown[name, target]), tuple(told[name, target]))


def _nas_of(session: SessionState, nases: Iterable[NasFacts]) -> NasFacts | None:
    """The nas that a host's session is with: one that has the target, and if several have, by the portal."""
    target = session.target
    having = [nas for nas in nases if target is not None and nas.has(target)]
    listening = [nas for nas in having or nases if nas.listens_at(session.portal)]
    return next(iter(listening or having), None)


_Key = tuple[str | None, Iqn | None]
"""A nas and a target of it, as far as they are known."""


@dataclass(frozen=True, slots=True)
class _Shown:
    """What a host shows of one target, and which of the nas's sessions these are."""

    host: HostFacts
    sessions: tuple[SessionState, ...]
    told: tuple[NasSession, ...] = ()

    @property
    def living(self) -> int:
        return sum(session.connected for session in self.sessions)

    @property
    def names(self) -> frozenset[str]:
        """The initiator names of these sessions."""
        own = frozenset(session.initiator.lower() for session in self.sessions if session.initiator)
        return own or frozenset({default_initiator(self.host.hostname)})


def _matched(shown: Iterable[_Shown], told: Iterable[NasSession]) -> tuple[list[_Shown], list[NasSession]]:
    """Each host's sessions with those of the nas that bear its name, as many as it has; and those that are left.

    Hosts with living sessions choose first: two may go by one name.
    """
    left, matched = list(told), []
    for one in sorted(shown, key=lambda one: (one.living == 0, one.host.name)):
        own = [login for login in left if login.initiator.lower() in one.names][: len(one.sessions)]
        for login in own:
            left.remove(login)
        matched.append(replace(one, told=tuple(own)))
    return matched, left


@dataclass(frozen=True, slots=True)
class _Place:
    """One target, and everybody who is logged in to it."""

    facts: Facts
    nas: NasFacts | None
    target: Iqn | None
    shown: tuple[_Shown, ...]
    told: tuple[NasSession, ...]

    @property
    def known(self) -> KnownTarget | None:
        return self.nas.find(self.target) if self.nas and self.target else None

    @property
    def nas_answers(self) -> bool:
        return self.nas is not None and self.nas.sessions is not None

    def logins(self) -> Iterator[Login]:
        matched, left = _matched(self.shown, self.told)
        rows = [*map(self._of_host, matched), *self._of_nobody(left), *self._missing()]
        rivals = [row for row in rows if row.verdict not in _NOBODYS]
        for row in rows:
            contested = len(rivals) > 1 and row in rivals and row.verdict not in (Verdict.DEAD, Verdict.FOREIGN)
            yield replace(row, verdict=Verdict.TWO_HOSTS) if contested else row

    def _of_host(self, shown: _Shown) -> Login:
        return self._login(shown.host.name, min(shown.names), self._of_sessions(shown), shown.sessions, shown.told)

    def _of_sessions(self, shown: _Shown) -> Verdict:
        if self.known is None:
            return Verdict.FOREIGN
        if not shown.living:
            return Verdict.DEAD
        if len(shown.sessions) > 1:
            return Verdict.TWIN
        if self.nas_answers and not shown.told:
            return Verdict.UNSEEN
        return Verdict.IN_USE if shown.host.hostname in self.facts.holders(self.known) else Verdict.IDLE

    def _of_nobody(self, told: Iterable[NasSession]) -> Iterator[Login]:
        """A login for each initiator whose sessions no host shows."""
        by_initiator: defaultdict[str, list[NasSession]] = defaultdict(list)
        for login in told:
            by_initiator[login.initiator.lower()].append(login)
        for initiator, logins_ in by_initiator.items():
            host = min((one.name for one in self.facts.hosts if initiator in one.initiators), default=None)
            yield self._login(host, initiator, self._of_initiator(initiator, host), told=tuple(logins_))

    def _of_initiator(self, initiator: str, host: str | None) -> Verdict:
        if self.known is None:
            return Verdict.FOREIGN
        if host is not None:
            return Verdict.GHOST
        if not self.facts.silent_hosts:
            return Verdict.STRANGER
        starters = {default_initiator(holder) for holder in self.facts.holders(self.known)}
        return Verdict.IN_USE if initiator in starters else Verdict.UNCLEAR

    def _missing(self) -> Iterator[Login]:
        """A login for each host that runs the guest, and by its lock should, without a session."""
        known, there = self.known, {one.host.name for one in self.shown}
        for host in self.facts.hosts:
            runs = known is not None and known.guest in host.running and host.hostname in self.facts.holders(known)
            if runs and host.name not in there:
                yield self._login(host.name, default_initiator(host.hostname), Verdict.MISSING)

    def _login(
        self,
        host: str | None,
        initiator: str,
        verdict: Verdict,
        shown: tuple[SessionState, ...] = (),
        told: tuple[NasSession, ...] = (),
    ) -> Login:
        nas = self.nas.name if self.nas else None
        return Login(self.target, nas, self.known, host, initiator, shown, told if self.nas_answers else None, verdict)


_NOBODYS = (Verdict.GHOST, Verdict.MISSING)
"""Logins behind which nobody reads or writes."""
