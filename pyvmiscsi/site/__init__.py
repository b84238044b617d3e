"""The SDK's front door.

    from pyvmiscsi.site import Site

    with Site.load("site.toml") as site:
        disk = DiskRequest(Size.parse("20G"))
        guest = site.datastore("iscsi1").create(CreateRequest(GuestName.parse("web1"), (disk,)))
        guest.start("hv1")

Nothing is connected before it is used, and what nobody uses is not imported. Long operations tell `listen` of every
step.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pyvmiscsi.site.datastore import Datastore
from pyvmiscsi.site.guest import Guest
from pyvmiscsi.site.site import Site

if TYPE_CHECKING:
    from pyvmiscsi.site.guest.attaching import AttachedView
    from pyvmiscsi.site.guest.configuring import Configured
    from pyvmiscsi.site.images import Image
    from pyvmiscsi.site.isos import IsoView
    from pyvmiscsi.site.many import AutostartView, OutcomeView
    from pyvmiscsi.site.pending import PendingOperation
    from pyvmiscsi.site.session_views import SessionView, TargetView
    from pyvmiscsi.site.switches import Switches, SwitchView
    from pyvmiscsi.site.views import (
        CloneView,
        DatastoreView,
        DiskView,
        GuestView,
        ImageView,
        OperationView,
        ResizedView,
    )
    from pyvmiscsi.steps.first_boot import CloudInit

__all__ = [
    "AttachedView",
    "AutostartView",
    "CloneView",
    "CloudInit",
    "Configured",
    "Datastore",
    "DatastoreView",
    "DiskView",
    "Guest",
    "GuestView",
    "Image",
    "ImageView",
    "IsoView",
    "OperationView",
    "OutcomeView",
    "PendingOperation",
    "ResizedView",
    "SessionView",
    "Site",
    "SwitchView",
    "Switches",
    "TargetView",
]

_HOMES = {
    "AttachedView": "pyvmiscsi.site.guest.attaching",
    "AutostartView": "pyvmiscsi.site.many",
    "CloneView": "pyvmiscsi.site.views",
    "CloudInit": "pyvmiscsi.steps.first_boot",
    "Configured": "pyvmiscsi.site.guest.configuring",
    "DatastoreView": "pyvmiscsi.site.views",
    "DiskView": "pyvmiscsi.site.views",
    "GuestView": "pyvmiscsi.site.views",
    "Image": "pyvmiscsi.site.images",
    "ImageView": "pyvmiscsi.site.views",
    "IsoView": "pyvmiscsi.site.isos",
    "OperationView": "pyvmiscsi.site.views",
    "OutcomeView": "pyvmiscsi.site.many",
    "PendingOperation": "pyvmiscsi.site.pending",
    "ResizedView": "pyvmiscsi.site.views",
    "SessionView": "pyvmiscsi.site.session_views",
    "SwitchView": "pyvmiscsi.site.switches",
    "Switches": "pyvmiscsi.site.switches",
    "TargetView": "pyvmiscsi.site.session_views",
}
"""Names that are imported when somebody asks for them (PEP 562) -> where from."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return found
