"""The embedded initiator: the system's libiscsi, through cffi, in this process."""

from pyvmiscsi.initiator.libiscsi.access import LibiscsiAccess, LibiscsiDevice
from pyvmiscsi.initiator.libiscsi.connection import Found, Task
from pyvmiscsi.initiator.libiscsi.session import Session, default_initiator, discover

__all__ = ["Found", "LibiscsiAccess", "LibiscsiDevice", "Session", "Task", "default_initiator", "discover"]
