"""The initiator of a FreeBSD host, driven over `ports.Host`."""

from pyvmiscsi.initiator.freebsd.initiator import FreebsdInitiator

__all__ = ["FreebsdInitiator"]
