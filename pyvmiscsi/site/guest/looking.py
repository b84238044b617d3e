"""A guest looked at."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from pyvmiscsi.site.guest.access import GuestAccess
from pyvmiscsi.site.overview import autostarts, guest_view
from pyvmiscsi.site.survey import survey_hosts
from pyvmiscsi.site.views import GuestView


class Looking(GuestAccess):
    """What nas and hosts show of it."""

    def info(self) -> GuestView:
        """Guest, disks, volumes, extents, targets, sessions and devices in one view."""
        with ThreadPoolExecutor(2, thread_name_prefix="record") as pool:
            record = pool.submit(self.record)
            lists = pool.submit(autostarts, self.datastore, self._connections)
            hosts = survey_hosts(self.datastore, self._connections)
            return guest_view(str(self.name), self.datastore, record.result(), hosts, lists.result())
