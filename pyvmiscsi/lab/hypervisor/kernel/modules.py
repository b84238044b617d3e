"""Kernel modules: which are loaded, and which can be."""

from __future__ import annotations

import errno
import os
import threading
from dataclasses import dataclass


@dataclass(frozen=True)
class Loaded:
    """A file as kldstat(8) lists it."""

    number: int
    file: str
    address: int
    size: int
    modules: tuple[str, ...]


AVAILABLE = {
    "iscsi.ko": ("iscsi", "icl", "icl_soft"),
    "ctl.ko": ("ctl", "cfiscsi"),
    "vmm.ko": ("vmm",),
    "nmdm.ko": ("nmdm",),
    "if_bridge.ko": ("if_bridge", "bridgestp"),
    "if_tuntap.ko": ("if_tuntap", "if_tap", "if_tun"),
    "if_vlan.ko": ("if_vlan",),
    "zfs.ko": ("zfs",),
    "geom_multipath.ko": ("g_multipath",),
    "fusefs.ko": ("fusefs",),
}
KERNEL_MODULES = ("kernel", "g_label", "g_part", "cam", "da", "pass", "ahci", "virtio", "if_lo", "if_ethersubr")
BASE = 0xFFFFFFFF80200000


class Modules:
    """The loaded files, the kernel first."""

    def __init__(self, loaded: tuple[str, ...]) -> None:
        self._lock = threading.Lock()
        self._files: list[Loaded] = [Loaded(1, "kernel", BASE, 0x1D34D58, KERNEL_MODULES)]
        self._next = 2
        for name in loaded:
            self.load(name)

    def files(self) -> list[Loaded]:
        with self._lock:
            return list(self._files)

    def load(self, name: str) -> Loaded:
        """ENOENT for an unknown one, EEXIST for one that is there."""
        file = _file(name)
        with self._lock:
            if file not in AVAILABLE:
                raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), name)
            if any(found.file == file for found in self._files):
                raise OSError(errno.EEXIST, "module already loaded or in kernel", name)
            size = 0x2000 + 0x1000 * len(file)
            address = BASE + 0x1F00000 + 0x100000 * self._next
            loaded = Loaded(self._next, file, address, size, AVAILABLE[file])
            self._files.append(loaded)
            self._next += 1
            return loaded

    def unload(self, name: str) -> None:
        """ENOENT when it is not loaded, EBUSY for the kernel."""
        with self._lock:
            found = next((entry for entry in self._files if entry.file == _file(name)), None)
            if found is None:
                raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), name)
            self._files.remove(found)

    def is_loaded(self, module: str) -> bool:
        """By the name of a module in a file, as `kldstat -m`."""
        return any(module in entry.modules for entry in self.files())

    def find_file(self, name: str) -> Loaded | None:
        """By the file's name, with or without `.ko`, as `kldstat -n`."""
        return next((entry for entry in self.files() if entry.file in (name, _file(name))), None)


def _file(name: str) -> str:
    return name if name.endswith(".ko") or name == "kernel" else f"{name}.ko"
