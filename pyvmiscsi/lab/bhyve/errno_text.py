"""strerror(3) as FreeBSD words it: several of its texts differ from Linux's."""

from __future__ import annotations

import errno
import os

ENOENT = "No such file or directory"
ENXIO = "Device not configured"
EACCES = "Permission denied"
EBUSY = "Device busy"
EINVAL = "Invalid argument"
ENOTTY = "Inappropriate ioctl for device"

_TEXTS = {
    errno.ENOENT: ENOENT,
    errno.ENXIO: ENXIO,
    errno.EACCES: EACCES,
    errno.EBUSY: EBUSY,
    errno.EINVAL: EINVAL,
    errno.ENOTTY: ENOTTY,
    errno.EOPNOTSUPP: "Operation not supported",
}


def freebsd_text(number: int) -> str:
    """What FreeBSD says for an error number of the machine underneath."""
    return _TEXTS.get(number, os.strerror(number))
