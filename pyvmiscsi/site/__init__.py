"""The SDK's front door.

    from pyvmiscsi.site import Site

    with Site.load("site.toml") as site:
        disk = DiskRequest(Size.parse("20G"))
        guest = site.datastore("iscsi1").create(CreateRequest(GuestName.parse("web1"), (disk,)))
        guest.start("hv1")

Nothing is connected before it is used. Long operations tell `listen` of every step.
"""

from pyvmiscsi.site.datastore import Datastore
from pyvmiscsi.site.guest import Guest
from pyvmiscsi.site.guest.attaching import AttachedView
from pyvmiscsi.site.guest.configuring import Configured
from pyvmiscsi.site.images import Image
from pyvmiscsi.site.isos import IsoView
from pyvmiscsi.site.many import AutostartView, OutcomeView
from pyvmiscsi.site.pending import PendingOperation
from pyvmiscsi.site.session_views import SessionView, TargetView
from pyvmiscsi.site.site import Site
from pyvmiscsi.site.switches import Switches, SwitchView
from pyvmiscsi.site.views import CloneView, DatastoreView, DiskView, GuestView, ImageView, OperationView, ResizedView
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
