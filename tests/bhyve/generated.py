"""Guests by the thousand, of everything a configuration can say: the same ones for the same seed, all of them sound.

`hypothesis` looks for the odd case and takes its time over each; these are many, and quick.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from random import Random
from typing import TypeVar

from pyvmiscsi.bhyve.configuration.config import (
    Afterwards,
    Cpu,
    CpuPin,
    Disk,
    Graphics,
    GuestConfig,
    Limits,
    Loader,
    Network,
    Passthru,
    Share,
    Tpm,
)
from pyvmiscsi.bhyve.configuration.keys import SMBIOS
from pyvmiscsi.bhyve.machine.devices import Devices, FoundDisk
from pyvmiscsi.names import GuestName, Mac, Serial
from pyvmiscsi.secrets import Secret
from pyvmiscsi.units import MIB, SECTOR, Size

T = TypeVar("T")

_LOADERS = (Loader.UEFI, Loader.UEFI, Loader.UEFI_CUSTOM, Loader.BHYVELOAD, Loader.GRUB)
_SHAPES = (Cpu(1), Cpu(2), Cpu(8), Cpu(4, 1, 4), Cpu(4, 2, threads=2), Cpu(8, 2, 2, 2), Cpu(3, sockets=3))
_DISK_OPTIONS = ("ro", "nocache", "direct", "nodelete", "sectorsize=512", "sectorsize=512/4096")


def guests(count: int, *, seed: int = 5, passwords: bool = True) -> Iterator[GuestConfig]:
    """So many guests; without `passwords` none has a VNC password, which an argument list cannot hold."""
    draw = Random(seed)  # noqa: S311 - reproducible, and no secret
    return (_guest(draw, number, passwords=passwords) for number in range(count))


def devices_of(guest: GuestConfig) -> Devices:
    """What a host would have found for it: LUNs of 512-byte blocks, and taps."""
    directory = f"/vmconfig/{guest.name}"
    physical = (None, Size(4096), Size(16384))
    return Devices(
        directory,
        {
            disk.number: FoundDisk(
                disk.name if disk.dev == "custom" else f"{directory}/{disk.name}", SECTOR, physical[disk.number % 3]
            )
            for disk in guest.disks
        },
        {network.number: network.device or f"tap{network.number}" for network in guest.networks},
        vnc_port=5900,
    )


def _guest(draw: Random, number: int, *, passwords: bool) -> GuestConfig:
    loader = draw.choice(_LOADERS)
    identity = uuid.UUID(int=draw.getrandbits(128), version=4)
    cpu = draw.choice(_SHAPES)
    guest = GuestConfig(
        name=GuestName.parse(f"guest{number}"),
        cpu=cpu,
        memory=Size(draw.randint(1, 512) * 64 * MIB.bytes),
        loader=loader,
        uuid=identity,
        disks=tuple(_disk(draw, n, identity) for n in range(draw.randint(0 if loader.is_uefi else 1, 9))),
        networks=tuple(_network(draw, n, identity) for n in range(draw.randint(0, 3))),
        passthrus=tuple(Passthru(n, f"{3 + n}/0/0", options=_maybe(draw, "rom=/r")) for n in range(_few(draw))),
        graphics=_graphics(draw, passwords=passwords) if loader.is_uefi and draw.random() < 0.4 else None,
        xhci_mouse=draw.random() < 0.3,
        sound=draw.random() < 0.1,
        sound_play=draw.choice(("/dev/dsp0", "/dev/dsp1")),
        sound_rec=_maybe(draw, "/dev/dsp0"),
        virt_random=draw.random() < 0.5,
        virt_consoles=("org.qemu.guest_agent.0", "1")[: _few(draw)],
        comports=draw.choice((("com1",), ("com1", "com2"), ("com2", "com1"), ("com1", "com3", "com4"))),
        com_devices=draw.choice(({}, {}, {"com2": "tcp=127.0.0.1:4555"}, {"com1": "stdio"})),
        hostbridge=draw.choice(("standard", "standard", "amd", "none")),
        uefi_vars=loader.is_uefi and draw.random() < 0.3,
        utctime=draw.random() < 0.8,
        wired_memory=draw.random() < 0.2,
        ignore_msr=draw.random() < 0.2,
        bhyve_options=draw.choice(("", "", "-o bios.version=x")),
        bhyveload_args=draw.choice(("", "-e a=b")) if loader is Loader.BHYVELOAD else "",
        loader_timeout=draw.choice((3, 0, 10)),
        grub_run_partition=_maybe(draw, "msdos1"),
        grub_run=draw.choice(((), (), ("linux /vmlinuz root=/dev/vda1", "initrd /initrd"))),
        grub_install=draw.choice(((), (), ("linux /casper/vmlinuz",))),
        start_slot=draw.choice((4, 4, 5)),
        ahci_device_limit=draw.choice((1, 1, 2, 8, 32)),
        on_restart=draw.choice(tuple(Afterwards)),
        on_fault=draw.choice(tuple(Afterwards)),
        prestart=_maybe(draw, "warm-up.sh"),
        priority=_maybe(draw, draw.randint(-20, 20)),
        limits=Limits(_maybe(draw, "150"), _maybe(draw, "10M"), None, _maybe(draw, "500"), None),
        debug=draw.random() < 0.1,
        tags=draw.choice(((), (), ("web", "production"))),
        cpu_pins=tuple(CpuPin(n, draw.randint(0, 7)) for n in range(cpu.count)) if draw.random() < 0.2 else (),
        shares=tuple(Share(n, f"data{n}", f"/srv/{n}", draw.random() < 0.5) for n in range(_few(draw))),
        tpm=_maybe(draw, Tpm("passthru", "/dev/tpm0"), 0.1),
        smbios={name: f"{name} of mine" for name in draw.sample(SMBIOS, _few(draw))},
    )
    return guest.pinned() if draw.random() < 0.5 else guest


def _disk(draw: Random, number: int, guest: uuid.UUID) -> Disk:
    opts = tuple(draw.sample(_DISK_OPTIONS[:4], _few(draw))) + draw.choice(((), (), _DISK_OPTIONS[4:5]))
    emulation = draw.choice(("virtio-blk", "virtio-blk", "nvme", "ahci-hd", "ahci-cd"))
    if draw.random() < 0.2:
        return Disk(number, emulation, f"disk{number}.img", opts=opts)
    serial = Serial.parse(f"{guest.hex[:12]}-{number:02d}")
    return Disk(number, emulation, f"/dev/diskid/DISK-{serial}", "custom", opts, _maybe(draw, serial))


def _network(draw: Random, number: int, guest: uuid.UUID) -> Network:
    emulation = draw.choice(("virtio-net", "virtio-net", "e1000"))
    return Network(
        number,
        emulation,
        switch=draw.choice(("public", "lan")),
        mac=_maybe(draw, Mac.of_network(guest, number), 0.8),
        device=_maybe(draw, f"tap{number + 40}", 0.1),
        name=_maybe(draw, f"lan{number}", 0.1),
        span=draw.random() < 0.1,
        mtu=_maybe(draw, 9000, 0.1) if emulation == "virtio-net" else None,
    )


def _graphics(draw: Random, *, passwords: bool) -> Graphics:
    width, height = draw.choice(((None, None), (1024, 768), (1920, 1080)))
    return Graphics(
        listen=draw.choice(("0.0.0.0", "127.0.0.1", "::1")),  # noqa: S104 - vm-bhyve's default is among them
        port=_maybe(draw, draw.randint(5900, 5999)),
        width=width,
        height=height,
        vga=draw.choice((None, "io", "off")),
        wait=draw.choice(("auto", "yes", "no")),
        password=Secret("sesame") if passwords and draw.random() < 0.3 else None,
    )


def _maybe(draw: Random, value: T, chance: float = 0.3) -> T | None:
    return value if draw.random() < chance else None


def _few(draw: Random) -> int:
    return draw.choice((0, 0, 0, 1, 2))
