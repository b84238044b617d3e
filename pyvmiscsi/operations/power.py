"""Restart and reset: a guest that runs is run anew. Pure.

Both keep the lock and the sessions. Whoever keeps the guest on its host starts it again, so no other host can get in
between, and the nas is not asked. Neither has an intent: cut short, it is asked for again.
"""

from __future__ import annotations

from collections.abc import Iterable

from pyvmiscsi.bhyve.hypervisor import Hypervisor
from pyvmiscsi.bhyve.hypervisor_text import GuestOnHost
from pyvmiscsi.model import DatastoreRecord
from pyvmiscsi.names import GuestName, Iqn
from pyvmiscsi.operations.scene import Scene
from pyvmiscsi.plan.step import Plan
from pyvmiscsi.steps.power import GuestReset, GuestRestarted, NextRun

RESTART = "restart"
RESET = "reset"


def restart_plan(
    guest: GuestName, before: GuestOnHost, datastore: DatastoreRecord, scene: Scene, *, host: str, deadline: float
) -> Plan:
    """It powers off by itself and runs again, with `deadline` seconds for both."""
    run = NextRun(Hypervisor(scene.host(host)), guest, before)
    return Plan(RESTART, str(guest), (GuestRestarted(run, f"{datastore.config_path}/{guest}", deadline),))


def reset_plan(
    guest: GuestName,
    before: GuestOnHost,
    targets: Iterable[Iqn],
    datastore: DatastoreRecord,
    scene: Scene,
    *,
    host: str,
) -> Plan:
    """Its machine ends at once, and runs again."""
    run = NextRun(Hypervisor(scene.host(host)), guest, before)
    directory = f"{datastore.config_path}/{guest}"
    return Plan(RESET, str(guest), (GuestReset(run, directory, scene.initiator(host), tuple(targets)),))
