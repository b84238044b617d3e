"""Finds libiscsi, proves that it is laid out as we believe, and keeps it loaded."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from pyvmiscsi.errors import MissingLibraryError

SONAMES = (
    "libiscsi.so.11",
    "libiscsi.so.10",
    "libiscsi.so.9",
    "libiscsi.so.8",
    "libiscsi.so.7",
    "libiscsi.so",
)
"""Upstream and the distributions number it differently: libiscsi 1.19 is `.so.9` upstream and `.so.7` in Debian."""

_CDB = bytes(range(0x60, 0x70))
_SENTINEL = 0x5CA5_1DEA
_LONGEST_PREFIX = 128  # the pointer after the sense data stood at 88 or 96 in every release from 1.15 on


class Library(NamedTuple):
    """The two halves of a cffi binding: `ffi` makes and reads C values, `lib` has the functions."""

    ffi: Any
    lib: Any


@functools.cache
def load() -> Library:
    """libiscsi, loaded once per process; MissingLibraryError when there is none that can be used."""
    from pyvmiscsi.initiator.libiscsi._binding import ffi

    return Library(ffi, open_library(ffi, SONAMES))


def open_library(ffi: Any, sonames: tuple[str, ...]) -> Any:
    """The first of `sonames` that loads; MissingLibraryError when none does, or when it is not laid out as declared."""
    for soname in sonames:
        try:
            lib = ffi.dlopen(soname)
        except OSError:
            continue
        check_layout(ffi, lib, soname)
        return lib
    raise MissingLibraryError(
        "libiscsi is not installed",
        hint="apt install libiscsi7 (Debian, Ubuntu), dnf install libiscsi (Fedora), pkg install libiscsi (FreeBSD)",
    )


def check_layout(ffi: Any, lib: Any, soname: str) -> None:
    """MissingLibraryError unless `struct scsi_task` begins as declared in `generate.py`.

    A task is made with known values and read back; a pointer stored through libiscsi must be found just
    behind the prefix. Nothing is sent anywhere.
    """
    task = lib.scsi_create_task(len(_CDB), ffi.from_buffer(_CDB), 1, 0x1234)
    try:
        lib.scsi_set_task_private_ptr(task, ffi.cast("void *", _SENTINEL))
        shown = (task.cdb_size, task.xfer_dir, task.expxferlen, bytes(task.cdb))
        behind = bytes(ffi.buffer(task, _LONGEST_PREFIX))[ffi.sizeof("struct scsi_task") :]
    finally:
        lib.scsi_free_scsi_task(task)
    pointer = _SENTINEL.to_bytes(ffi.sizeof("void *"), "little")
    if shown != (len(_CDB), 1, 0x1234, _CDB) or pointer not in behind:
        raise MissingLibraryError(
            f"{soname}: its tasks are laid out differently from every libiscsi known to pyvmiscsi",
            hint="install a released libiscsi, 1.15 or later",
        )
