"""A guest installed from a medium."""

from __future__ import annotations

from pyvmiscsi.bhyve.installation.iso_store import get_iso, iso_stores
from pyvmiscsi.operations.start import StartRequest, start_plan
from pyvmiscsi.plan.engine import Preview
from pyvmiscsi.site.connections import SiteScene
from pyvmiscsi.site.guest.foreground import Foreground
from pyvmiscsi.site.running import Run


class Installing(Foreground):
    """A start with a medium in the guest's drive."""

    def install(self, iso: str, host: str | None = None, run: Run | None = None) -> str:
        """Run the guest with this medium in its drive until it reboots; the name of the host.

        `iso` is a name in one of that host's stores, or an absolute path there. NotFoundError when it has no such
        medium; otherwise as `start`.
        """
        scene = self._scene()
        return self._begin(self._install_request(iso, host, scene), scene, run)

    def install_in_foreground(self, iso: str, host: str | None = None, run: Run | None = None) -> str | None:
        """The same, staying at the guest's first serial port, as `start_in_foreground` does."""
        scene = self._scene()
        return self._in_foreground(self._install_request(iso, host, scene), scene, run)

    def preview_install(self, iso: str, host: str | None = None) -> Preview:
        """The steps that `install` would take; nothing is changed."""
        scene = self._scene()
        request = self._install_request(iso, host, scene)
        return Run().engine().preview(start_plan(request, self.datastore, scene, ""))

    def _install_request(self, iso: str, host: str | None, scene: SiteScene) -> StartRequest:
        name = host or scene.host_names(self.datastore)[0]
        there = scene.host(name)
        medium = get_iso(there, iso, iso_stores(there, self.datastore.name, self.datastore.config_path))
        return self._start_request(name, scene, medium.path)
