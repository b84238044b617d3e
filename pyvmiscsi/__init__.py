"""FreeBSD bhyve guests whose disks are iSCSI LUNs on a NAS."""

__version__ = "0.1.0"
