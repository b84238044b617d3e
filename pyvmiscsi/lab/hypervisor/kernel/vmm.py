"""vmm(4): the virtual machines that exist, and which process runs each."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable


class Vmm:
    """The nodes below /dev/vmm."""

    def __init__(self, *, make_node: Callable[[str], None], remove_node: Callable[[str], None]) -> None:
        self._make_node = make_node
        self._remove_node = remove_node
        self._lock = threading.Condition()
        self._guests: dict[str, int] = {}
        self._killed: set[str] = set()
        self._loaded: dict[str, int] = {}

    def names(self) -> list[str]:
        with self._lock:
            return sorted(self._guests)

    def create(self, name: str) -> None:
        with self._lock:
            if name in self._guests:
                raise OSError(errno.EEXIST, os.strerror(errno.EEXIST), name)
            self._make_node(f"/dev/vmm/{name}")
            self._guests[name] = 0

    def run(self, name: str, pid: int) -> None:
        with self._lock:
            if name not in self._guests:
                raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), name)
            if self._guests[name] not in (0, pid) or name in self._killed:
                raise OSError(errno.EBUSY, "Device busy", name)
            self._guests[name] = pid

    def load(self, name: str, memory: int) -> None:
        """A loader has put a system into the machine's memory."""
        with self._lock:
            if name not in self._guests:
                raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), name)
            self._loaded[name] = memory

    def loaded(self, name: str) -> int:
        """The bytes of memory it was loaded with; 0 when nothing was loaded since its last run."""
        with self._lock:
            return self._loaded.get(name, 0)

    def is_busy(self, name: str) -> bool:
        """A guest runs in it, or was killed in it: its processors were never told to stop."""
        with self._lock:
            return self._guests.get(name, 0) != 0 or name in self._killed

    def ended(self, name: str, pid: int) -> None:
        """The guest has ended by itself, so that another may run in the same machine."""
        with self._lock:
            if self._guests.get(name) == pid:
                self._guests[name] = 0
                self._loaded.pop(name, None)
                self._lock.notify_all()

    def stopped(self, name: str, pid: int) -> None:
        """The process that ran it is gone; unless its guest had ended, only destroying it helps."""
        with self._lock:
            if self._guests.get(name) == pid:
                self._guests[name] = 0
                self._killed.add(name)
                self._lock.notify_all()

    def destroy(self, name: str) -> None:
        """The node goes; whoever ran the guest finds its processors gone (bhyvectl tells it so)."""
        with self._lock:
            if name not in self._guests:
                raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), name)
            del self._guests[name]
            self._killed.discard(name)
            self._loaded.pop(name, None)
            self._remove_node(f"/dev/vmm/{name}")
