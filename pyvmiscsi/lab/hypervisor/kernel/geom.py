"""GEOM: providers, their labels, who has them open, and the one lock over all of it.

The topology lock is a real lock here. Whoever opens a disk holds it while the disk answers READ CAPACITY, whoever
closes a written one holds it while the cache is flushed, and every query takes it: so a disk whose session is dead
stops all of GEOM, as it does on FreeBSD, and whatever lets its waiters go lets everybody go.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol

from pyvmiscsi.lab.hypervisor.kernel.console import Console
from pyvmiscsi.lab.hypervisor.kernel.delays import Delays
from pyvmiscsi.lab.hypervisor.kernel.hardware import LOCAL_DISKS, LocalDisk
from pyvmiscsi.lab.hypervisor.kernel.lun import Lun, mangled

LONGEST_NAME = 63  # SPECNAMELEN
LABEL_PREFIX = "diskid/DISK-"


class Backend(Protocol):
    """How GEOM reaches the disk under a provider; OSError as the disk driver would answer."""

    def reprobe(self) -> Lun:
        """The disk as it is now; blocks while its session is not connected."""
        ...

    def flush(self) -> None: ...


@dataclass
class Mode:
    """Open counts: readers, writers, exclusive."""

    r: int = 0
    w: int = 0
    e: int = 0

    def __str__(self) -> str:
        return f"r{self.r}w{self.w}e{self.e}"

    @property
    def is_open(self) -> bool:
        return bool(self.r or self.w)


@dataclass
class Label:
    """A provider of class LABEL on top of a disk."""

    name: str
    mode: Mode = field(default_factory=Mode)
    order: int = 0


@dataclass
class Provider:
    """A provider of class DISK."""

    name: str
    ident: str
    size: int
    sector: int
    stripesize: int
    heads: int
    track: int
    description: str
    rotation: str
    lunid: str = ""
    lunname: str = ""
    mode: Mode = field(default_factory=Mode)
    label: Label | None = None
    backend: Backend | None = None
    written: bool = False
    attachment: str = ""
    unmap: bool = False
    order: int = 0


@dataclass
class Opened:
    """One open of a device node."""

    provider: Provider
    label: Label | None
    write: bool
    read: bool = True
    orphaned: bool = False

    @property
    def name(self) -> str:
        return self.label.name if self.label else self.provider.name


class Geom:
    """The providers of one host."""

    def __init__(
        self,
        console: Console,
        *,
        make_node: Callable[[str], None],
        remove_node: Callable[[str], None],
        delays: Delays,
        sysctl: Callable[[str], str],
    ) -> None:
        self._console = console
        self._make_node = make_node
        self._remove_node = remove_node
        self._delays = delays
        self._sysctl = sysctl
        self._topology = threading.RLock()
        self._providers: dict[str, Provider] = {}
        self._opened: list[Opened] = []
        self._order = itertools.count(1)
        self._pending = 0
        self._counting = threading.Lock()
        self._events: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        for disk in LOCAL_DISKS:
            self._add(_local(disk))
        self._taste(self._providers["ada0"])
        threading.Thread(target=self._event_loop, name="geom", daemon=True).start()

    @contextmanager
    def topology(self) -> Iterator[None]:
        """Hold the topology lock: how long that takes is up to every other disk of the host."""
        with self._topology:
            yield

    # disks come and go

    def new_disk(self, provider: Provider) -> None:
        """A disk has been announced: its node and its label appear when GEOM comes to it."""
        self._post(lambda: self._arrive(provider))

    def gone(self, provider: Provider) -> None:
        """The disk is gone: node, label and name go when GEOM comes to it; open descriptors are dead."""
        for opened in list(self._opened):
            if opened.provider is provider:
                opened.orphaned = True
        self._post(lambda: self._depart(provider))

    @property
    def is_under_way(self) -> bool:
        """Whether something that came or went has not been dealt with yet."""
        with self._counting:
            return self._pending > 0

    def settle(self, deadline: float | None) -> None:
        """Wait until all that came in so far is done, for so long at most."""
        done = threading.Event()
        self._post(done.set)
        done.wait(deadline)

    def taste(self, provider: Provider) -> None:
        """Let the label class look at it again."""
        self._post(lambda: self._retaste(provider))

    # opening

    def open(self, node: str, *, write: bool, read: bool = True) -> Opened:
        """Open `da0` or `diskid/DISK-…`; OSError ENOENT, ENXIO, EPERM. Blocks while its session is not connected."""
        with self._topology:
            provider, label = self._find(node)
            mode = provider.mode
            exclusive = label is not None and not label.mode.is_open
            if label is None and write and mode.e:
                raise OSError(errno.EPERM, os.strerror(errno.EPERM), node)
            if exclusive and (mode.w or mode.e):
                raise OSError(errno.EPERM, os.strerror(errno.EPERM), node)
            if provider.backend is not None:
                self._resize(provider, provider.backend.reprobe())
            opened = Opened(provider, label, write, read)
            self._count(opened, 1, exclusive=exclusive)
            self._opened.append(opened)
            if label is None and write and provider.label is not None:
                self._spoil(provider)
            return opened

    def close(self, opened: Opened) -> None:
        """Close it; the last close of a written disk flushes it, and blocks while its session is not connected."""
        with self._topology:
            if opened not in self._opened:
                return
            self._opened.remove(opened)
            provider, label = opened.provider, opened.label
            last = label is not None and label.mode.r + label.mode.w == int(opened.read) + int(opened.write)
            self._count(opened, -1, exclusive=last)
            if opened.orphaned:
                return
            if not provider.mode.is_open and provider.written and provider.backend is not None:
                with contextlib.suppress(OSError):  # close(2) of a device tells nobody
                    provider.backend.flush()
                provider.written = False
            if label is None and opened.write and provider.mode.w == 0:
                self.taste(provider)

    def reprobe(self, node: str) -> None:
        """Ask the disk for its size again (camcontrol reprobe)."""
        with self._topology:
            provider, _ = self._find(node)
            if provider.backend is not None:
                self._resize(provider, provider.backend.reprobe())

    # looking

    def providers(self) -> list[Provider]:
        """All disks, the oldest first, after everything that has come and gone is dealt with."""
        while True:
            with self._topology:
                if not self._pending:
                    return sorted(self._providers.values(), key=lambda provider: provider.order)
            self.settle(None)

    def find(self, node: str) -> Provider | None:
        """The disk under a node's name, without any lock."""
        for provider in list(self._providers.values()):
            if node == provider.name or (provider.label is not None and node == provider.label.name):
                return provider
        return None

    # inside

    def _post(self, event: Callable[[], None]) -> None:
        with self._counting:
            self._pending += 1
        self._events.put(event)

    def _event_loop(self) -> None:
        while (event := self._events.get()) is not None:
            try:
                event()
            except OSError as error:
                self._console.print(f"lab: {error}")
            finally:
                with self._counting:
                    self._pending -= 1

    def _arrive(self, provider: Provider) -> None:
        with self._topology:
            self._add(provider)
        self._delays.pause("label")
        self._retaste(provider)

    def _depart(self, provider: Provider) -> None:
        with self._topology:
            if self._providers.get(provider.name) is not provider:
                return
            self._drop_label(provider)
            del self._providers[provider.name]
            self._remove_node(f"/dev/{provider.name}")

    def _add(self, provider: Provider) -> None:
        provider.order = next(self._order)
        self._providers[provider.name] = provider
        self._make_node(f"/dev/{provider.name}")

    def _retaste(self, provider: Provider) -> None:
        with self._topology:
            if self._providers.get(provider.name) is provider:
                self._taste(provider)

    def _taste(self, provider: Provider) -> None:
        if provider.label or provider.mode.w or self._sysctl("kern.geom.label.disk_ident.enable") == "0":
            return
        name = LABEL_PREFIX + mangled(provider.ident)
        if not provider.ident or len(name) > LONGEST_NAME:
            return
        if any(found.label and found.label.name == name for found in self._providers.values()):
            self._debug(f"Label {name.removeprefix('diskid/')}({name}) already exists ({provider.name}).")
            return
        if provider.backend is not None:
            self._debug(f"MSDOSFS: {provider.name}: no FAT signature found.")
        self._debug(f"Label for provider {provider.name} is {name}.")
        provider.label = Label(name, order=next(self._order))
        self._make_node(f"/dev/{name}")

    def _spoil(self, provider: Provider) -> None:
        label = provider.label
        if label is not None and not label.mode.is_open:
            self._drop_label(provider)
            self._debug(f"Label {label.name} removed.")

    def _drop_label(self, provider: Provider) -> None:
        if provider.label is not None:
            self._remove_node(f"/dev/{provider.label.name}")
            provider.label = None

    def _debug(self, text: str) -> None:
        if int(self._sysctl("kern.geom.label.debug")) >= 1:
            self._console.print(f"GEOM_LABEL[1]: {text}")

    def _find(self, node: str) -> tuple[Provider, Label | None]:
        for provider in self._providers.values():
            if provider.name == node:
                return provider, None
            if provider.label is not None and provider.label.name == node:
                return provider, provider.label
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), node)

    def _resize(self, provider: Provider, lun: Lun) -> None:
        if (provider.size, provider.sector) != (lun.size, lun.sector):
            provider.size, provider.sector = lun.size, lun.sector
            provider.stripesize, provider.heads, provider.track = lun.stripesize, lun.heads, lun.track

    @staticmethod
    def _count(opened: Opened, step: int, *, exclusive: bool) -> None:
        for mode in [opened.provider.mode] + ([opened.label.mode] if opened.label else []):
            mode.r += step if opened.read else 0
            mode.w += step if opened.write else 0
        if exclusive:
            opened.provider.mode.e += step


def disk_provider(name: str, lun: Lun, backend: Backend, *, attachment: str) -> Provider:
    """The provider that da(4) makes of a logical unit."""
    return Provider(
        name=name,
        ident=lun.serial,
        size=lun.size,
        sector=lun.sector,
        stripesize=lun.stripesize,
        heads=lun.heads,
        track=lun.track,
        description=lun.name,
        rotation=lun.rotation_text,
        lunid=lun.lunid,
        lunname=lun.lunname,
        backend=backend,
        attachment=attachment,
        unmap=lun.unmap,
    )


def snapshot(provider: Provider) -> Provider:
    """A copy that a text can be made of after the lock is given back."""
    label = replace(provider.label, mode=replace(provider.label.mode)) if provider.label else None
    return replace(provider, mode=replace(provider.mode), label=label)


def _local(disk: LocalDisk) -> Provider:
    mode = Mode(1, 1, 1) if disk.mounted else Mode()
    return Provider(
        name=disk.name,
        ident=disk.ident,
        size=disk.size,
        sector=disk.sector,
        stripesize=0,
        heads=disk.heads,
        track=disk.track,
        description=disk.model,
        rotation="unknown",
        mode=mode,
        attachment=f"ahcich{disk.bus}",
    )
