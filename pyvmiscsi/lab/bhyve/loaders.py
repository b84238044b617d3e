"""bhyveload(8) and grub-bhyve: boot loaders the lab has no program for. They say so and fail as the real ones do."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyvmiscsi.lab.hypervisor.applets import Call


def refuse(call: Call) -> int:
    """Load nothing and make no virtual machine; exit status 1, on which a supervisor gives up."""
    return call.fail('the lab cannot run this loader: give the guest loader="uefi"')
