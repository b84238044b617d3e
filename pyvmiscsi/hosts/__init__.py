"""Hosts: the machines that run guests, reached by SSH or being this very one."""

from __future__ import annotations

from pyvmiscsi.model import HostRecord
from pyvmiscsi.ports import Host


def connect(record: HostRecord) -> Host:
    """The host of this record. Nothing is sent before its first command."""
    if record.address is None:
        from pyvmiscsi.hosts.local import LocalHost

        return LocalHost(record)
    from pyvmiscsi.hosts.ssh import SshHost

    return SshHost(record)
