"""What holds a running bhyve back: vm-bhyve's `limit_*` as rules of rctl(8)."""

from __future__ import annotations

from pyvmiscsi.bhyve.configuration.config import Limits

_RULES = {
    "pcpu": "pcpu:deny",
    "rbps": "readbps:throttle",
    "wbps": "writebps:throttle",
    "riops": "readiops:throttle",
    "wiops": "writeiops:throttle",
}


def rctl_rules(limits: Limits) -> tuple[str, ...]:
    """The rules without their subject, in vm-bhyve's order: `pcpu:deny=50`, `readbps:throttle=10M`, …"""
    given = ((rule, getattr(limits, name)) for name, rule in _RULES.items())
    return tuple(f"{rule}={amount}" for rule, amount in given if amount is not None)
