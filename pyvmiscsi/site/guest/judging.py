"""Whether a guest could start, before anything is touched."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from pyvmiscsi.bhyve.hypervisor import Hypervisor
from pyvmiscsi.bhyve.machine.capabilities import Capabilities
from pyvmiscsi.bhyve.networks.taps import Networks
from pyvmiscsi.bhyve.rules.check import problems
from pyvmiscsi.bhyve.rules.surroundings import look_around
from pyvmiscsi.errors import Problem, RuleError
from pyvmiscsi.operations.start import StartRequest, supposed_devices
from pyvmiscsi.operations.switches import system_conf_of
from pyvmiscsi.site.connections import SiteScene
from pyvmiscsi.site.guest.access import GuestAccess


class Judging(GuestAccess):
    """The rules of a start, held against what the host shows now."""

    def _refuse_unstartable(self, request: StartRequest, scene: SiteScene) -> Capabilities:
        """What its host can do; RuleError with everything that keeps the guest from starting there."""
        capabilities, found = self._judge(request, scene)
        if found:
            raise RuleError.of_all(f"guest {self.name}", found)
        return capabilities

    def _judge(self, request: StartRequest, scene: SiteScene) -> tuple[Capabilities, tuple[Problem, ...]]:
        """What the host can do, and everything that keeps the guest from starting there."""
        host, devices = scene.host(request.host), supposed_devices(request)
        with ThreadPoolExecutor(1, thread_name_prefix="networks") as pool:
            networks = pool.submit(Networks(host, system_conf_of(self.datastore)).look)
            capabilities = Hypervisor(host).capabilities(request.config)
            around = look_around(host, request.config, devices, networks.result(), capabilities.machine)
        return capabilities, problems(request.config, capabilities, devices, around)
