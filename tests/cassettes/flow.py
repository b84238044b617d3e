"""A guest's life through the SDK: the one body that runs on a lab, is recorded there, and is replayed."""

from __future__ import annotations

import itertools
import os
from datetime import UTC, datetime, tzinfo
from types import SimpleNamespace
from uuid import UUID

import pytest

from pyvmiscsi.names import GuestName
from pyvmiscsi.operations.create import CreateRequest, DiskRequest
from pyvmiscsi.site import Site, running
from pyvmiscsi.units import Size

GUEST = CreateRequest(
    GuestName.parse("web1"), (DiskRequest(Size.parse("64M")),), uuid=UUID("6d4f0c52-9f0e-4a57-8e0a-0242ac120002")
)


def guest_life(site: Site) -> None:
    """Create, start, stop and destroy a guest with a disk and CHAP; nothing of it is left."""
    datastore = site.datastore("iscsi1")
    guest = datastore.create(GUEST)
    view = guest.info()
    assert [(disk.name, disk.size, disk.sector, disk.lun) for disk in view.disks] == [("disk0", 64 * 1024**2, 512, 1)]
    assert view.operations == ()
    assert view.state == "Stopped"

    assert guest.start("hv1") == "hv1"
    view = guest.info()
    assert (view.state, view.host) == ("Running", "hv1")
    assert len(view.disks[0].sessions) == 1

    guest.stop(deadline=0, force=True)
    view = guest.info()
    assert view.state == "Stopped"
    assert view.disks[0].sessions == ()

    guest.destroy()
    assert not guest.exists()
    assert datastore.records() == ()


def nothing_by_chance(patch: pytest.MonkeyPatch) -> None:
    """Operations get the ids 1, 2, … and one author and date, so that they say the same each time."""
    numbers = itertools.count(1)

    class TheDay:
        @staticmethod
        def now(zone: tzinfo) -> datetime:
            return datetime(2026, 1, 1, tzinfo=zone or UTC)

    patch.setattr(running, "secrets", SimpleNamespace(token_hex=lambda _: f"{next(numbers):012x}"))
    patch.setattr(running, "datetime", TheDay)
    patch.setattr(running, "getpass", SimpleNamespace(getuser=lambda: "admin"))
    patch.setattr(running, "socket", SimpleNamespace(gethostname=lambda: "control"))
    patch.setattr(running, "os", SimpleNamespace(getpid=lambda: 1, kill=os.kill))
