"""Stop: the guest off, its disks logged out, nothing of it left on the host. Pure; every step can be taken again."""

from __future__ import annotations

from collections.abc import Iterable

from pyvmiscsi.bhyve.hypervisor import Hypervisor
from pyvmiscsi.model import DatastoreRecord
from pyvmiscsi.names import GuestName, Iqn
from pyvmiscsi.operations.scene import Scene
from pyvmiscsi.plan.step import Plan
from pyvmiscsi.steps.running import GuestStopped, NothingLeft
from pyvmiscsi.steps.sessions import AllDetached

VERB = "stop"


def stop_plan(
    guest: GuestName,
    targets: Iterable[Iqn],
    datastore: DatastoreRecord,
    scene: Scene,
    *,
    operation: str,
    host: str,
    deadline: float | None,
    force: bool,
) -> Plan:
    """The supervisor does all of it when it lives; what it could not do is done here.

    The guest has `deadline` seconds to power off by itself, or is not asked to at all without one.
    """
    hypervisor = Hypervisor(scene.host(host))
    stopped = GuestStopped(hypervisor, guest, deadline, force)
    logout = AllDetached(scene.initiator(host), host, tuple(targets))
    lock = hypervisor.run_lock(guest, f"{datastore.config_path}/{guest}")
    return Plan(VERB, str(guest), (stopped, NothingLeft(stopped, logout, scene.host(host), lock, operation)))
