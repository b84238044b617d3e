"""Hosts: the machines that run guests, reached by SSH or being this very one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

from pyvmiscsi.model import HostRecord
from pyvmiscsi.ports import Host


def connect(record: HostRecord) -> Host:
    """The host of this record. Nothing is sent before its first command."""
    if record.address is None:
        from pyvmiscsi.hosts.local import LocalHost

        return LocalHost(record)
    with _later("invoke"):  # paramiko has it for `Match exec` of ssh_config(5), and it takes as long as paramiko itself
        from pyvmiscsi.hosts.ssh import SshHost

    return SshHost(record)


class _Later(ModuleType):
    """Stands for a module, which is imported when something of it is used."""

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self.__name__), name)


@contextmanager
def _later(name: str) -> Iterator[None]:
    """Who imports this module now is given one that stands for it."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = _Later(name)
    try:
        yield
    finally:
        del sys.modules[name]
