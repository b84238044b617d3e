"""A guest and what can be done with it, a module for each family of verbs."""

from __future__ import annotations

from pyvmiscsi.site.guest.attaching import Attaching
from pyvmiscsi.site.guest.chap import Chap
from pyvmiscsi.site.guest.configuring import Configuring
from pyvmiscsi.site.guest.copies import Copies
from pyvmiscsi.site.guest.devices import Devices
from pyvmiscsi.site.guest.first_boot import FirstBoot
from pyvmiscsi.site.guest.foreground import Foreground
from pyvmiscsi.site.guest.imaging import Imaging
from pyvmiscsi.site.guest.installing import Installing
from pyvmiscsi.site.guest.naming import Naming
from pyvmiscsi.site.guest.parking import Parking
from pyvmiscsi.site.guest.power import Power
from pyvmiscsi.site.guest.removal import Removal
from pyvmiscsi.site.guest.resizing import Resizing
from pyvmiscsi.site.guest.snapshots import Snapshots
from pyvmiscsi.site.guest.watching import Watching


class Guest(
    Installing,
    Foreground,
    Power,
    Watching,
    Attaching,
    Configuring,
    Devices,
    FirstBoot,
    Resizing,
    Chap,
    Snapshots,
    Copies,
    Imaging,
    Naming,
    Parking,
    Removal,
):
    """One guest of a datastore, by name; nothing of it is kept here, so every answer is fresh."""


__all__ = ["Guest"]
