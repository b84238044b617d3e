"""rctl(8), as a kernel answers that was booted without kern.racct.enable=1, which is how GENERIC boots."""

from __future__ import annotations

from pyvmiscsi.lab.hypervisor.applets import Call


def rctl(call: Call) -> int:
    """Every request ends the same way: nothing is accounted for, so nothing can be limited (rctl.c)."""
    return call.fail("RACCT/RCTL present, but disabled; enable using kern.racct.enable=1 tunable")
