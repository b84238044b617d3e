"""The machine that a guest gets, once bhyve has accepted everything."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk of the guest, with the sizes the guest is shown, in bytes."""

    place: str
    """`bus:slot:func`, or `bus:slot:func:port` on an AHCI controller."""
    emulation: str
    """`virtio-blk`, `nvme`, `ahci-hd` or `ahci-cd`."""
    path: str
    """On the host; empty for nvme's `ram=`."""
    size: int
    logical: int
    physical: int
    serial: str
    read_only: bool
    discard: bool = True
    """The guest may give blocks back (TRIM), where the disk takes it."""


@dataclass(frozen=True, slots=True)
class Network:
    """A network interface of the guest and the host's interface behind it (empty: none)."""

    place: str
    emulation: str
    backend: str
    mac: str


@dataclass(frozen=True, slots=True)
class Machine:
    """What bhyve would now run."""

    name: str
    cpus: int
    sockets: int
    cores: int
    threads: int
    memory: int
    """Bytes."""
    uuid: str
    bootrom: str
    """The firmware in memory; empty where no lpc device is there to load it."""
    bootvars: str
    disks: tuple[Disk, ...] = ()
    networks: tuple[Network, ...] = ()
    consoles: tuple[tuple[str, str], ...] = ()
    """`(com1, /dev/nmdm…)`, `(com2, stdio)`: those with a backend."""
    random: bool = False
    destroy_on_poweroff: bool = False
