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

from pyvmiscsi.bhyve.configuration.config_path import guest_directories
from pyvmiscsi.bhyve.hypervisor import Hypervisor
from pyvmiscsi.errors import DeadlineError, HostError, NasError, PyvmiscsiError
from pyvmiscsi.model import DatastoreRecord, Inventory, NasSession
from pyvmiscsi.names import Iqn
from pyvmiscsi.operations.attach import DETACH, detach_plan
from pyvmiscsi.operations.known_targets import KnownTarget, known_targets
from pyvmiscsi.operations.logins import Facts, HostFacts, Locks, NasFacts, logins
from pyvmiscsi.site.connections import Connections
from pyvmiscsi.site.datastore import Datastore
from pyvmiscsi.site.guest import Guest
from pyvmiscsi.site.running import Run, new_intent
from pyvmiscsi.steps.lock import NoJournal

T = TypeVar("T")

_AT_ONCE = 8


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
        name, hypervisor.machine().hostname, frozenset(hypervisor.running()), connections.initiator(name).sessions()
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
    owners = [known for nas in facts.nases if (known := nas.find(target)) is not None]
    guests = [guest for known in owners for guest in _guests_of(known, facts, host, connections)]
    locks = {(guest.datastore.config_path, str(guest.name)): guest.lock_on(host) for guest in guests}
    plan = detach_plan(str(target), (target,), initiator, host, locks.values(), force=force)
    run.engine().execute(plan, NoJournal(), replace(new_intent(DETACH, str(target), {}), kept=False))


def _guests_of(known: KnownTarget, facts: Facts, host: str, connections: Connections) -> Iterator[Guest]:
    """The guests that may have this disk and run on this host."""
    places = facts.guests_of(known) or (((known.datastore, known.guest),) if known.guest else ())
    for datastore, guest in places:
        record = connections.record.datastores[datastore]
        if not record.hosts or host in record.hosts:
            yield Datastore(record, connections).guest(guest)
