"""The initiator of a Linux host, driven over `ports.Host`."""

from pyvmiscsi.initiator.linux.initiator import LinuxInitiator

__all__ = ["LinuxInitiator"]
