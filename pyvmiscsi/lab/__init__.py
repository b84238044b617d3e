"""The lab: an emulated TrueNAS with a real iSCSI target, and emulated hypervisors behind a real sshd.

with Lab.up(Path("lab")) as lab:
    print(lab.info.site_file)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyvmiscsi.lab.info import LabInfo
    from pyvmiscsi.lab.life import Lab, LabError, LabStatus

__all__ = ["Lab", "LabError", "LabInfo", "LabStatus"]


def __getattr__(name: str) -> Any:
    """Loaded on first use: the hypervisors' own programs import this package hundreds of times."""
    if name == "LabInfo":
        from pyvmiscsi.lab.info import LabInfo

        return LabInfo
    if name in __all__:
        from pyvmiscsi.lab import life

        return getattr(life, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
