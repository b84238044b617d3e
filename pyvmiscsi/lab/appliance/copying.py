"""Copies of sparse files: shared blocks where the file system can, data without the holes where it cannot."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

_FICLONE = 0x40049409
"""ioctl_ficlone(2): the destination shares all of the source's blocks."""

_NO_REFLINK = frozenset({errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS})


def copy_sparse(source: Path, target: Path) -> None:
    """Give `target` the contents and holes of `source`, keeping the inode of a target that others have open."""
    reading = os.open(source, os.O_RDONLY)
    try:
        writing = os.open(target, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.ftruncate(writing, 0)
            try:
                fcntl.ioctl(writing, _FICLONE, reading)
            except OSError as error:
                if error.errno not in _NO_REFLINK:
                    raise
                _copy_data(reading, writing)
        finally:
            os.close(writing)
    finally:
        os.close(reading)


def _copy_data(reading: int, writing: int) -> None:
    size = os.fstat(reading).st_size
    os.ftruncate(writing, size)
    position = 0
    while position < size:
        try:
            start = os.lseek(reading, position, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # lseek(2): only a hole is left
                return
            raise
        end = os.lseek(reading, start, os.SEEK_HOLE)
        position = start
        while position < end:
            position += os.copy_file_range(reading, writing, end - position, position, position)
