"""A guest run with its console on this terminal, from the first line that it prints to its end."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat

from pyvmiscsi.bhyve.hypervisor import Hypervisor
from pyvmiscsi.bhyve.hypervisor_text import GuestOnHost
from pyvmiscsi.bhyve.machine.loader import viewers
from pyvmiscsi.bhyve.supervision.console import terminal_argv
from pyvmiscsi.errors import GuestError, HostUnreachableError
from pyvmiscsi.operations.pending import PlannedOperation
from pyvmiscsi.operations.start import StartRequest
from pyvmiscsi.site.connections import SiteScene
from pyvmiscsi.site.guest.life import Life
from pyvmiscsi.site.running import Run
from pyvmiscsi.waiting import wait_for

_LOOK_EVERY = 1.0  # seconds between two looks at a guest that runs


class Foreground(Life):
    """The guest is its supervisor's, as after any start: no terminal and no connection takes it along."""

    def start_in_foreground(self, host: str | None = None, run: Run | None = None) -> str | None:
        """Start it, and stay at its first serial port until it ends; in words how, None when the terminal was left.

        The port is joined before the guest starts, so nothing it prints is lost. Every key goes to the guest, Ctrl-C
        too; `~.` leaves it running. GuestError when it failed; what `start` raises; HostUnreachableError when the
        connection broke, and the guest goes on.
        """
        scene = self._scene()
        return self._in_foreground(self._start_request(host or scene.host_names(self.datastore)[0], scene), scene, run)

    def _in_foreground(self, request: StartRequest, scene: SiteScene, run: Run | None) -> str | None:
        operation = self._new_start(request, scene)
        there = scene.host(request.host)
        hypervisor = Hypervisor(there)
        hypervisor.prepared(request.config)
        joined = terminal_argv(self.name, dict(viewers(request.config)))
        left, ended = threading.Event(), threading.Event()
        with ThreadPoolExecutor(1, thread_name_prefix="guest") as pool:
            life = pool.submit(self._live, operation, hypervisor, run, left, ended)
            try:
                there.interact(joined, until=ended.is_set)
            except KeyboardInterrupt:  # without a terminal there is no `~.`
                pass
            except HostUnreachableError as error:
                error.hint = f"the guest goes on: pyvmiscsi vm console {self.name}"
                raise
            finally:
                left.set()
            last = life.result()
        if last is None or last.status is None or not last.status.is_final:
            return None
        if last.status.phase == "failed":
            raise GuestError(f"guest {self.name}: {last.status.reason}", hint=f"pyvmiscsi vm log {self.name}")
        return last.status.reason

    def _live(
        self,
        operation: PlannedOperation,
        hypervisor: Hypervisor,
        run: Run | None,
        left: threading.Event,
        ended: threading.Event,
    ) -> GuestOnHost | None:
        """Start it and see it to its end, or to the end of anybody's looking."""

        def look() -> GuestOnHost | None:
            found = hypervisor.guest(self.name)
            return found if left.is_set() or _is_over(found, operation.intent.id) else None

        try:
            self._execute(operation, run)
            what = f"guest {self.name} ended"
            return wait_for(look, what=what, deadline=float("inf"), pauses=repeat(_LOOK_EVERY))
        finally:
            ended.set()


def _is_over(found: GuestOnHost, operation: str) -> bool:
    return found.status is None or not found.is_made_by(operation) or found.status.is_final
