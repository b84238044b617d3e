"""vm-bhyve's `system.conf` on a host: read, and changed only while it says what was read."""

from __future__ import annotations

from pyvmiscsi.bhyve.configuration.conf_text import ConfText
from pyvmiscsi.bhyve.exchange import exchange_file
from pyvmiscsi.ports import Host


def read_system_conf(host: Host, path: str) -> ConfText | None:
    """What it says; None where there is none yet."""
    found = host.read_file(path)
    return None if found is None else ConfText.from_bytes(found)


def replace_system_conf(host: Host, path: str, before: ConfText | None, after: ConfText) -> bool:
    """Put a new text in place of the one that was read; False, and nothing is done, as `exchange_file`."""
    return exchange_file(host, path, None if before is None else before.as_bytes(), after.as_bytes(), mode=0o644)
