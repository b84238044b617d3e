"""Switches made, changed, taken away: what system.conf says of one, and its bridge on every host. Pure.

There is no journal: the file is what counts, and a bridge can be made from it at any time, by the next start at the
latest. A new switch stands in the file first, so that its name is taken; one that changes or goes is in the file as it
was until all hosts have followed. So whoever uses the verb once more goes on with one that was cut short.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyvmiscsi.bhyve.networks.switches import Switch
from pyvmiscsi.model import DatastoreRecord
from pyvmiscsi.operations.scene import Scene
from pyvmiscsi.plan.step import Plan, Step
from pyvmiscsi.steps.switches import SwitchOnHost, SwitchSays


@dataclass(frozen=True, slots=True)
class SwitchRequest:
    """What a switch was, and what it is to be; None is no such switch."""

    name: str
    hosts: tuple[str, ...]
    """The hypervisors that have it; the file is changed through the first."""
    before: Switch | None
    after: Switch | None

    @property
    def verb(self) -> str:
        if self.before is None:
            return "create"
        return "destroy" if self.after is None else "change"


def switch_plan(request: SwitchRequest, datastore: DatastoreRecord, scene: Scene) -> Plan:
    """Every step can be undone."""
    says = SwitchSays(scene.host(request.hosts[0]), system_conf_of(datastore), request.before, request.after)
    known = request.after or request.before
    on_hosts: tuple[Step, ...] = tuple(
        SwitchOnHost(scene.host(name), request.before, request.after)
        for name in request.hosts
        if known and known.has_bridge
    )
    steps = (says, *on_hosts) if request.before is None else (*on_hosts, says)
    return Plan(request.verb, request.name, steps)


def system_conf_of(datastore: DatastoreRecord) -> str:
    """Where the datastore's switches are named, on every host of it."""
    return f"{datastore.config_path}/.config/system.conf"
