"""Whether a guest could start, before anything is touched."""

from __future__ import annotations

from pyvmiscsi.bhyve.capabilities import Capabilities
from pyvmiscsi.bhyve.hypervisor import Hypervisor
from pyvmiscsi.bhyve.network import Networks
from pyvmiscsi.bhyve.rules import problems
from pyvmiscsi.bhyve.surroundings import Surroundings, look_around
from pyvmiscsi.errors import Problem, RuleError
from pyvmiscsi.operations.start import StartRequest, supposed_devices
from pyvmiscsi.operations.switches import system_conf_of
from pyvmiscsi.site.connections import SiteScene
from pyvmiscsi.site.guest.access import GuestAccess


class Judging(GuestAccess):
    """The rules of a start, held against what the host shows now."""

    def _refuse_unstartable(self, request: StartRequest, scene: SiteScene) -> Capabilities:
        """What its host can do; RuleError with everything that keeps the guest from starting there."""
        capabilities, around = self._look(request, scene)
        found = problems(request.config, capabilities, supposed_devices(request), around)
        if found:
            raise RuleError.of_all(f"guest {self.name}", found)
        return capabilities

    def _problems(self, request: StartRequest, scene: SiteScene) -> tuple[Problem, ...]:
        capabilities, around = self._look(request, scene)
        return problems(request.config, capabilities, supposed_devices(request), around)

    def _look(self, request: StartRequest, scene: SiteScene) -> tuple[Capabilities, Surroundings]:
        host = scene.host(request.host)
        capabilities = Hypervisor(host).capabilities(request.config)
        networks = Networks(host, system_conf_of(self.datastore)).look()
        devices = supposed_devices(request)
        return capabilities, look_around(host, request.config, devices, networks, capabilities.machine)
