"""The switches of a datastore: one text for all its hosts, a bridge on each of them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from pyvmiscsi.bhyve.networks import switches as edits
from pyvmiscsi.bhyve.networks.bridges import differences, find_bridge, guests_on
from pyvmiscsi.bhyve.networks.switches import Switch, checked, digest, parse_switches
from pyvmiscsi.bhyve.networks.taps import Networks, Sight
from pyvmiscsi.bhyve.vm_bhyve.system_conf import read_system_conf
from pyvmiscsi.errors import AlreadyExistsError, ConfigError, DeadlineError, HostError, NotFoundError
from pyvmiscsi.model import DatastoreRecord
from pyvmiscsi.operations.switches import SwitchRequest, switch_plan, system_conf_of
from pyvmiscsi.plan.engine import Preview
from pyvmiscsi.site.connections import Connections, SiteScene
from pyvmiscsi.site.running import Run, new_intent
from pyvmiscsi.site.views import View
from pyvmiscsi.steps.lock import NoJournal

_AT_ONCE = 8

Edit = Callable[[Switch], Switch]


@dataclass(frozen=True, slots=True)
class SwitchOnHostView(View):
    """A switch on one host. `state` is `ready`, `not made`, `no answer`, or says in what it is not as it should be.

    `its system.conf is another` where the host does not share the config path.
    """

    host: str
    state: str
    bridge: str | None = None
    members: tuple[str, ...] = ()
    guests: tuple[str, ...] = ()
    """As vm-bhyve describes their taps: `vmnet/<guest>/<number>/<switch>`."""

    @property
    def text(self) -> str:
        return f"{self.host}: {self.state}" if self.state != "ready" else f"{self.host}: {self.bridge or self.state}"


@dataclass(frozen=True, slots=True)
class SwitchView(View):
    """A switch as its system.conf has it, and what each host makes of it."""

    name: str
    type: str
    bridge: str | None
    address: str | None
    address6: str | None
    private: bool
    mtu: int | None
    vlan: int | None
    ports: tuple[str, ...]
    hosts: tuple[SwitchOnHostView, ...]
    mistakes: tuple[str, ...] = ()


class Switches:
    """The switches of one datastore. Each verb changes the file and the bridges of every host, or nothing."""

    def __init__(self, datastore: DatastoreRecord, connections: Connections) -> None:
        self._datastore = datastore
        self._connections = connections

    def list(self) -> tuple[SwitchView, ...]:
        """Every switch, in the order of the file. A host that does not answer is said to, and keeps nobody waiting.

        HostError when none of them answers.
        """
        names = self._host_names()
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="switches") as pool:
            seen = dict(zip(names, pool.map(self._look, names), strict=True))
        sights = [sight for sight in seen.values() if isinstance(sight, Sight)]
        for error in seen.values():
            if not sights and isinstance(error, HostError | DeadlineError):
                raise error
        return tuple(_view(switch, seen) for switch in sights[0].switches.values())

    def info(self, name: str) -> SwitchView:
        """One switch; NotFoundError when the file has none of this name."""
        found = next((one for one in self.list() if one.name == name), None)
        if found is None:
            raise self._not_found(name)
        return found

    def create(self, switch: Switch, run: Run | None = None) -> None:
        """Make a switch; the same one again mends it where it is not as it should be.

        AlreadyExistsError when there is another of its name, ConflictError when a host has such a bridge already.
        """
        self._carry_out(self._to_create(switch), run)

    def preview_create(self, switch: Switch) -> Preview:
        """The steps that `create` would take; nothing is changed."""
        return self._preview(self._to_create(switch))

    def change(self, name: str, edit: Edit, run: Run | None = None) -> None:
        """Make another of a switch: `edit` is one of `with_port`, `without_port`, `with_vlan`, … of this module."""
        self._carry_out(self._to_change(name, edit), run)

    def preview_change(self, name: str, edit: Edit) -> Preview:
        """The steps that `change` would take; nothing is changed."""
        return self._preview(self._to_change(name, edit))

    def destroy(self, name: str, run: Run | None = None) -> None:
        """Take a switch away from file and hosts; BusyError while guests, or strangers, are on it on any of them."""
        self._carry_out(SwitchRequest(name, self._host_names(), self._get(name), None), run)

    def preview_destroy(self, name: str) -> Preview:
        """The steps that `destroy` would take; nothing is changed."""
        return self._preview(SwitchRequest(name, self._host_names(), self._get(name), None))

    def _to_create(self, switch: Switch) -> SwitchRequest:
        found = self._read().get(checked(switch).name)
        if found not in (None, switch):
            raise AlreadyExistsError(
                f"switch {switch.name}: exists already, and is another", hint=f"pyvmiscsi switch info {switch.name}"
            )
        return SwitchRequest(switch.name, self._host_names(), found, switch)

    def _to_change(self, name: str, edit: Edit) -> SwitchRequest:
        before = self._get(name)
        if before.mistakes:
            raise ConfigError(f"{self._path}: switch {name}: {before.mistakes[0]}", hint="correct it there")
        return SwitchRequest(name, self._host_names(), before, edit(before))

    def _preview(self, request: SwitchRequest) -> Preview:
        return Run().engine().preview(switch_plan(request, self._datastore, SiteScene(self._connections)))

    def _carry_out(self, request: SwitchRequest, run: Run | None) -> None:
        plan = switch_plan(request, self._datastore, SiteScene(self._connections))
        intent = replace(new_intent(plan.verb, request.name, {}), kept=False)
        (run or Run()).engine().execute(plan, NoJournal(), intent)

    def _get(self, name: str) -> Switch:
        found = self._read().get(name)
        if found is None:
            raise self._not_found(name)
        return found

    def _not_found(self, name: str) -> NotFoundError:
        return NotFoundError(f"switch {name}: not in {self._path}", hint="pyvmiscsi switch list")

    def _read(self) -> dict[str, Switch]:
        host = self._connections.host(self._host_names()[0])
        return parse_switches(str(read_system_conf(host, self._path) or ""))

    def _look(self, name: str) -> Sight | HostError | DeadlineError:
        try:
            return Networks(self._connections.host(name), self._path).look()
        except (HostError, DeadlineError) as error:
            return error

    def _host_names(self) -> tuple[str, ...]:
        """Those on which guests can run."""
        hosts = self._connections.record.hosts
        names = SiteScene(self._connections).host_names(self._datastore)
        found = tuple(name for name in names if hosts[name].initiator != "linux")
        if not found:
            raise NotFoundError(f"datastore {self._datastore.name}: none of its hosts runs FreeBSD")
        return found

    @property
    def _path(self) -> str:
        return system_conf_of(self._datastore)


with_port, without_port, with_vlan = edits.with_port, edits.without_port, edits.with_vlan
with_address, with_private = edits.with_address, edits.with_private


def _view(switch: Switch, seen: dict[str, Sight | HostError | DeadlineError]) -> SwitchView:
    return SwitchView(
        name=switch.name,
        type=switch.kind,
        bridge=switch.bridge,
        address=switch.address,
        address6=switch.address6,
        private=switch.private,
        mtu=switch.mtu,
        vlan=switch.vlan,
        ports=switch.ports,
        hosts=tuple(_on_host(switch, host, sight) for host, sight in seen.items()),
        mistakes=switch.mistakes,
    )


def _on_host(switch: Switch, host: str, sight: Sight | HostError | DeadlineError) -> SwitchOnHostView:
    if not isinstance(sight, Sight):
        return SwitchOnHostView(host, "no answer")
    if sight.switches.get(switch.name) != switch:
        return SwitchOnHostView(host, "its system.conf is another")
    if not switch.has_bridge:
        return SwitchOnHostView(host, "ready", f"vale{digest(switch.name)}" if switch.kind == "vale" else switch.name)
    bridge = find_bridge(switch, sight.interfaces)
    if bridge is None:
        return SwitchOnHostView(host, "not made" if switch.kind != "manual" else f"no bridge {switch.bridge}")
    different = differences(switch, sight.interfaces)
    return SwitchOnHostView(
        host,
        ", ".join(different) or "ready",
        bridge.name,
        (*bridge.members, *bridge.spans),
        guests_on(bridge, sight.interfaces),
    )
