"""The embedded initiator: the system's libiscsi, through cffi, in this process."""

from pyvmiscsi.initiator.libiscsi.access import LibiscsiAccess, LibiscsiDevice
from pyvmiscsi.initiator.libiscsi.disk import RawDisk, open_lun
from pyvmiscsi.initiator.libiscsi.nouns import Digests, Found, Task
from pyvmiscsi.initiator.libiscsi.session import Session, default_initiator, discover

__all__ = [
    "Digests",
    "Found",
    "LibiscsiAccess",
    "LibiscsiDevice",
    "RawDisk",
    "Session",
    "Task",
    "default_initiator",
    "discover",
    "open_lun",
]
