"""Finds libiscsi, proves that it is laid out as we believe, and keeps it loaded."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from typing import Any

from pyvmiscsi.errors import MissingLibraryError

SONAMES = (
    "libiscsi.so.11",
    "libiscsi.so.10",
    "libiscsi.so.9",
    "libiscsi.so.8",
    "libiscsi.so.7",
    "libiscsi.so.4",
    "libiscsi.so",
)
"""Upstream and the distributions number it differently: libiscsi 1.19 is `.so.9` upstream and `.so.7` in Debian."""

CHOSEN = "PYVMISCSI_LIBISCSI"
"""The environment variable that names another one."""

_RELEASES = (
    ("scsi_alua_state_to_str", "1.20.3 or later"),
    ("iscsi_set_data_digest", "1.20.1 or 1.20.2"),
    ("iscsi_force_reconnect", "1.20.0"),
    ("iscsi_extended_copy_sync", "1.19"),
    ("iscsi_free_discovery_data", "1.18"),
    ("iscsi_out_queue_length", "1.16 or 1.17"),
)
"""The newest function of a release that those before it lack."""

_CDB = bytes(range(0x60, 0x70))
_SENTINEL = 0x5CA5_1DEA
_LONGEST_PREFIX = 128  # the pointer after the sense data stood at 88 or 96 in every release from 1.15 on


@dataclass(frozen=True, slots=True)
class Library:
    """libiscsi, loaded: `ffi` makes and reads C values, `lib` has the functions, `soname` is what it was found as."""

    ffi: Any
    lib: Any
    soname: str

    @property
    def releases(self) -> str:
        """Which releases it can be, by the functions it has: `1.20.1 or 1.20.2`. It does not tell by itself."""
        return next((releases for name, releases in _RELEASES if self.has(name)), "older than 1.16")

    @property
    def has_header_digest(self) -> bool:
        """Before 1.19 there are functions for it, but the first write ends the session."""
        return self.has("iscsi_extended_copy_sync")

    @property
    def has_data_digest(self) -> bool:
        """1.20.1 has the function, 1.20.3 is the first to make the digests of all that it sends (commit a81eacc)."""
        return self.has("scsi_alua_state_to_str")

    @property
    def has_mutual_chap(self) -> bool:
        """1.20.1 and 1.20.2 expect a wrong answer of the target (commit a57f517 mends it)."""
        return self.has("scsi_alua_state_to_str") or not self.has("iscsi_set_data_digest")

    def has(self, function: str) -> bool:
        """Whether the library has a function that is declared, but is not in all of them."""
        try:
            getattr(self.lib, function)
        except (AttributeError, self.ffi.error):
            return False
        return True

    @property
    def words(self) -> str:
        """What was found, for people: `libiscsi.so.7, libiscsi 1.19`."""
        return f"{self.soname}, libiscsi {self.releases}"


@functools.cache
def load() -> Library:
    """libiscsi, loaded once per process; MissingLibraryError when there is none that can be used.

    The one that the environment variable PYVMISCSI_LIBISCSI names, by path or soname, and no other; without it the
    first of SONAMES that is installed.
    """
    from pyvmiscsi.initiator.libiscsi._binding import ffi

    chosen = os.environ.get(CHOSEN, "")
    return open_library(ffi, (chosen,) if chosen else SONAMES)


def open_library(ffi: Any, sonames: tuple[str, ...]) -> Library:
    """The first of `sonames` that loads; MissingLibraryError when none does, or when it is not laid out as declared."""
    why = ""
    for soname in sonames:
        try:
            lib = ffi.dlopen(soname)
        except OSError as error:
            why = str(error)
            continue
        check_layout(ffi, lib, soname)
        return Library(ffi, lib, soname)
    if sonames != SONAMES:
        raise MissingLibraryError(f"libiscsi, as {CHOSEN} names it: {why}", hint="name a file that is there, or none")
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
