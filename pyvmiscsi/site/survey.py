"""What the hosts of a datastore show: everything is asked at the same time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations

from pyvmiscsi.bhyve.configuration.config_path import GuestDirectory, guest_directories
from pyvmiscsi.bhyve.hypervisor import Hypervisor
from pyvmiscsi.bhyve.supervision.run_lock import Machine
from pyvmiscsi.errors import CommandError, ConflictError, DeadlineError, HostAuthError, HostUnreachableError
from pyvmiscsi.model import DatastoreRecord, SessionState, Site
from pyvmiscsi.site.connections import Connections, SiteScene

_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class HostGlance:
    """A host that answered: who it is, the guests that run on it, its sessions."""

    name: str
    machine: Machine
    running: frozenset[str]
    sessions: tuple[SessionState, ...]

    @property
    def hostname(self) -> str:
        return self.machine.hostname


@dataclass(frozen=True, slots=True)
class HostSurvey:
    """The guests' directories in the config path, and every host that answered."""

    directories: Mapping[str, GuestDirectory]
    hosts: tuple[HostGlance, ...]

    def state_of(self, name: str) -> tuple[str, str | None]:
        """vm-bhyve's word for the guest's state, and the host: as the site names it, or as the lock has it."""
        for host in self.hosts:
            if name in host.running:
                return "Running", host.name
        directory = self.directories.get(name)
        if directory is None or directory.locked_by is None:
            return "Stopped", None
        holder = directory.locked_by
        return "Locked", next((host.name for host in self.hosts if host.hostname == holder), holder)

    def devices(self) -> dict[str, str]:
        """`<host>:<device>` of every session, by its target."""
        return {
            str(session.target): f"{host.name}:{device}"
            for host in self.hosts
            for session in host.sessions
            for device in session.luns.values()
        }


def survey_hosts(datastore: DatastoreRecord, connections: Connections) -> HostSurvey:
    """What the hosts show; one that does not answer is left out, with a warning.

    The first that answers is asked for the directories, which all share. Raises HostError when none answers,
    HostKeyError when any is not who it should be, and ConflictError when two have one hostname.
    """
    names = SiteScene(connections).host_names(datastore)
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="survey") as pool:
        looks = [pool.submit(_look, connections, name, datastore.config_path) for name in names]
        answers, failures = [], []
        for look in looks:
            try:
                answers.append(look.result())
            except (HostUnreachableError, HostAuthError, CommandError, DeadlineError) as error:
                failures.append(error)
    if not answers:
        raise failures[0]
    for failure in failures:
        connections.warn(f"{failure}: guests on it are not seen")
    glances = tuple(glance for glance, _ in answers)
    _refuse_twins(glances)
    return HostSurvey(answers[0][1], glances)


def sharing(datastore: DatastoreRecord, site: Site) -> tuple[str, ...]:
    """The other datastores that have the same config path on a host of it; each shows the others' configurations."""
    hosts = set(datastore.hosts or site.hosts)
    return tuple(
        other.name
        for other in site.datastores.values()
        if other.name != datastore.name
        and other.config_path == datastore.config_path
        and hosts & set(other.hosts or site.hosts)
    )


def _refuse_twins(glances: Sequence[HostGlance]) -> None:
    """Two machines of one name would take each other's locks for their own; one machine may have two names here."""
    for one, other in combinations(glances, 2):
        uuids = {one.machine.uuid, other.machine.uuid}
        if one.hostname == other.hostname and len(uuids) == 2 and "" not in uuids:
            raise ConflictError(
                f"hosts {one.name} and {other.name} are both called {one.hostname}: "
                "run.lock cannot tell which of them runs a guest",
                hint="give one of them another name: hostname(1), and hostname in its rc.conf(5)",
            )


def _look(connections: Connections, name: str, config_path: str) -> tuple[HostGlance, Mapping[str, GuestDirectory]]:
    hypervisor = Hypervisor(connections.host(name))
    running = frozenset(hypervisor.running())
    glance = HostGlance(name, hypervisor.machine(), running, connections.initiator(name).sessions())
    return glance, guest_directories(connections.host(name), config_path)
