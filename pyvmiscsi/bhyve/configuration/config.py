"""The typed guest: what a vm-bhyve guest configuration says, as far as a bhyve(8) command depends on it.

Defaults are vm-bhyve's. `config_text.py` reads it from a text and writes it back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import groupby
from uuid import UUID

from pyvmiscsi.bhyve.configuration.slots import Group, Slot, place
from pyvmiscsi.names import GuestName, Mac, Serial
from pyvmiscsi.secrets import Secret
from pyvmiscsi.units import MIB, Size

LABEL = "/dev/diskid/DISK-"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - vm-bhyve's default, kept for the guests it made
UNNUMBERED = ("virt_random", "graphics", "xhci_mouse", "sound", "virt_consoles")
"""Devices a guest has at most one of, by the key that pins them."""


class Afterwards(StrEnum):
    """What follows when bhyve has ended: vm-bhyve starts it again for `restart`, and for no other word."""

    RESTART = "restart"
    SHUTDOWN = "shutdown"


class Loader(StrEnum):
    BHYVELOAD = "bhyveload"
    GRUB = "grub"
    UEFI = "uefi"
    UEFI_CSM = "uefi-csm"
    UEFI_DEVEL = "uefi-devel"
    UEFI_CUSTOM = "uefi-custom"

    @property
    def is_uefi(self) -> bool:
        return self.value.startswith("uefi")


@dataclass(frozen=True, slots=True)
class Cpu:
    """Virtual processors, and how they are shown to the guest; bhyve wants the product to equal `count`."""

    count: int
    sockets: int | None = None
    cores: int | None = None
    threads: int | None = None

    def __str__(self) -> str:
        """As bhyve(8)'s `-c` takes it: `4,sockets=1,cores=4`."""
        shape = {"sockets": self.sockets, "cores": self.cores, "threads": self.threads}
        return ",".join([str(self.count), *(f"{key}={n}" for key, n in shape.items() if n is not None)])


@dataclass(frozen=True, slots=True)
class CpuPin:
    """A virtual processor, and a processor of the host that it may run on: bhyve(8)'s `-p`."""

    vcpu: int
    host_cpu: int

    def __str__(self) -> str:
        return f"{self.vcpu}:{self.host_cpu}"


@dataclass(frozen=True, slots=True)
class Limits:
    """`limit_*`: what rctl(8) holds bhyve to, amounts as rctl takes them (`50`, `10M`)."""

    pcpu: str | None = None
    """Percent of one processor; more is denied. The others throttle: bytes, then operations, each second."""
    rbps: str | None = None
    wbps: str | None = None
    riops: str | None = None
    wiops: str | None = None


@dataclass(frozen=True, slots=True)
class Disk:
    """`diskN_*`: an emulated disk. `dev` says where `name` is to be found: `custom` is a path as it stands."""

    number: int
    emulation: str
    """`virtio-blk`, `nvme`, `ahci-hd`, `ahci-cd`, or `virtio-scsi` whose name is a port of ctl(4)."""
    name: str
    dev: str = "file"
    opts: tuple[str, ...] = ()
    serial: Serial | None = None
    slot: Slot | None = None

    @property
    def key(self) -> str:
        return f"disk{self.number}"

    @property
    def is_ahci(self) -> bool:
        return self.emulation.startswith("ahci-")

    @property
    def is_lun(self) -> bool:
        """Whether it is a disk of the kind pyvmiscsi attaches: `custom`, by its label."""
        return self.dev == "custom" and self.name.startswith(LABEL)

    @property
    def shown_serial(self) -> str | None:
        """The serial the guest is to see: the LUN's own, whatever path the host has it under."""
        if self.serial is not None:
            return self.serial.text
        return self.name.removeprefix(LABEL) if self.is_lun else None


@dataclass(frozen=True, slots=True)
class Network:
    """`networkN_*`: an emulated interface on a virtual switch; `device` names a tap that exists already."""

    number: int
    emulation: str
    """`virtio-net` or `e1000`."""
    switch: str | None = None
    mac: Mac | None = None
    device: str | None = None
    slot: Slot | None = None
    name: str | None = None
    """What the tap is called, instead of `tapN`."""
    span: bool = False
    """Whether the switch sends it everything that passes (ifconfig's `span`)."""
    mtu: int | None = None
    """What a virtio-net device tells its guest; None lets bhyve say nothing."""

    @property
    def key(self) -> str:
        return f"network{self.number}"


@dataclass(frozen=True, slots=True)
class Passthru:
    """`passthruN`: a host device `bus/slot/function`, at a slot of its own when vm-bhyve's `=slot:func` says so."""

    number: int
    device: str
    slot: Slot | None = None
    options: str | None = None
    """Further words of the device for bhyve(8), such as `rom=/path`."""

    @property
    def key(self) -> str:
        return f"passthru{self.number}"


@dataclass(frozen=True, slots=True)
class Share:
    """`shareN_*`: a directory of the host that the guest mounts by its name (virtio-9p)."""

    number: int
    name: str
    path: str
    read_only: bool = False
    slot: Slot | None = None

    @property
    def key(self) -> str:
        return f"share{self.number}"


@dataclass(frozen=True, slots=True)
class Tpm:
    """A trusted platform module: a device of the host (`passthru`), or the socket of a swtpm process."""

    kind: str
    path: str


@dataclass(frozen=True, slots=True)
class Graphics:
    """The frame buffer: a VNC server on `listen`; port None takes the first free one from 5900."""

    listen: str = EVERYWHERE
    port: int | None = None
    width: int | None = None
    height: int | None = None
    vga: str | None = None
    wait: str = "auto"
    password: Secret | None = None

    @property
    def listen_word(self) -> str:
        """The address as bhyve and vm-bhyve write it: IPv6 in brackets."""
        return f"[{self.listen}]" if ":" in self.listen else self.listen


MEMORY_WORD = re.compile(r"[0-9]+[KMGT]?", re.IGNORECASE | re.ASCII)  # vm_parse_memsize(3) and expand_number(3)


def parse_memory(text: str) -> Size:
    """`1024M`, `2g`; a bare number below a mebibyte counts mebibytes, as bhyve(8) has it. Raises InputError."""
    size = Size.parse(text)
    return Size(size.bytes * MIB.bytes) if text.isdecimal() and size < MIB else size


@dataclass(frozen=True, slots=True)
class GuestConfig:
    """A guest as its configuration describes it."""

    name: GuestName
    cpu: Cpu
    memory: Size
    loader: Loader = Loader.UEFI
    uuid: UUID | None = None
    disks: tuple[Disk, ...] = ()
    networks: tuple[Network, ...] = ()
    passthrus: tuple[Passthru, ...] = ()
    graphics: Graphics | None = None
    xhci_mouse: bool = False
    sound: bool = False
    sound_play: str = "/dev/dsp0"
    sound_rec: str | None = None
    virt_random: bool = False
    virt_consoles: tuple[str, ...] = ()
    comports: tuple[str, ...] = ("com1",)
    hostbridge: str = "standard"
    uefi_vars: bool = False
    utctime: bool = True
    wired_memory: bool = False
    ignore_msr: bool = False
    fwcfg: str | None = None
    bhyve_options: str = ""
    bhyveload_loader: str | None = None
    bhyveload_args: str = ""
    loader_timeout: int = 3
    grub_run_partition: str | None = None
    grub_run_dir: str | None = None
    grub_run_file: str | None = None
    grub_run: tuple[str, ...] = ()
    """Commands for grub-bhyve, in place of a configuration on the guest's disk."""
    grub_install: tuple[str, ...] = ()
    """The same for a start from an installation medium."""
    start_slot: int = 4
    install_slot: int = 3
    ahci_device_limit: int = 1
    nulliso_fix: bool = False
    """Whether a CD drive with an empty medium stands where an installation medium would."""
    on_restart: Afterwards = Afterwards.RESTART
    on_fault: Afterwards = Afterwards.SHUTDOWN
    prestart: str | None = None
    """A program to run on the host before each start of bhyve; in the guest's directory unless a whole path."""
    priority: int | None = None
    """bhyve's niceness on the host."""
    limits: Limits = Limits()
    debug: bool = False
    """Whether what bhyve prints is kept in `bhyve.log` in the guest's directory."""
    tags: tuple[str, ...] = ()
    zfs_dataset_opts: str = ""
    zfs_zvol_opts: str = ""
    cpu_pins: tuple[CpuPin, ...] = ()
    com_devices: Mapping[str, str] = field(default_factory=dict)
    """What a serial port (`com1`, …) is wired to instead of nmdm(4): `stdio`, `tcp=ADDRESS:PORT`, or a device."""
    shares: tuple[Share, ...] = ()
    tpm: Tpm | None = None
    smbios: Mapping[str, str] = field(default_factory=dict)
    """What the guest's firmware tables say, by bhyve_config(5)'s names: `system.serial_number`, …"""
    memory_text: str = field(default="", compare=False, repr=False)
    """How the configuration spells `memory`; see `memory_word`."""
    pins: Mapping[str, Slot] = field(default_factory=dict)
    """Slots written down for what has no number: `virt_random`, `graphics`, `xhci_mouse`, `sound`, `virt_consoles`."""

    @property
    def memory_word(self) -> str:
        """The memory as bhyve and the loaders get it: as the configuration spells it, as long as it says so."""
        said = self.memory_text
        return said if MEMORY_WORD.fullmatch(said) and parse_memory(said) == self.memory else str(self.memory)

    def layout(self) -> dict[str, Slot]:
        """The PCI slot of every emulated device, by its key: `disk0`, `network0`, `virt_random`, …

        Disks on a shared AHCI controller have one slot, under the key of the first of them.
        """
        return place(self._groups(), self._pinned_slots(), self.start_slot)

    def pinned(self) -> GuestConfig:
        """The same guest with every device's slot written down, so that a later device moves none of them."""
        slots = self.layout()
        return replace(
            self,
            disks=tuple(replace(disk, slot=slots.get(disk.key)) for disk in self.disks),
            networks=tuple(replace(network, slot=slots[network.key]) for network in self.networks),
            passthrus=tuple(replace(passthru, slot=slots[passthru.key]) for passthru in self.passthrus),
            shares=tuple(replace(share, slot=slots[share.key]) for share in self.shares),
            pins={key: slots[key] for key in UNNUMBERED if key in slots},
        )

    def with_disk(self, disk: Disk) -> GuestConfig:
        """The guest with one disk more (or that disk changed)."""
        others = (other for other in self.disks if other.number != disk.number)
        return replace(self, disks=tuple(sorted((*others, disk), key=lambda one: one.number)))

    def with_network(self, network: Network) -> GuestConfig:
        """The guest with one network more."""
        return replace(self, networks=(*self.networks, network))

    @property
    def shares_controllers(self) -> bool:
        """Whether AHCI disks share controllers, `ahci_device_limit` to each."""
        return self.ahci_device_limit > 1

    def controllers(self) -> tuple[tuple[Disk, ...], ...]:
        """The disks of each controller, in the order vm-bhyve places them: a shared one when it is full, or last."""
        placed: list[tuple[Disk, ...]] = []
        filling: tuple[Disk, ...] = ()
        for disk in self.disks:
            if not (self.shares_controllers and disk.is_ahci):
                placed.append((disk,))
            elif len(filling) + 1 < self.ahci_device_limit:
                filling += (disk,)
            else:
                placed.append((*filling, disk))
                filling = ()
        return tuple(placed) + ((filling,) if filling else ())

    def _groups(self) -> tuple[Group, ...]:
        """The devices in the order vm-bhyve places them."""
        return (
            Group(tuple(disks[0].key for disks in self.controllers()), alone=self.loader.is_uefi),
            Group(tuple(network.key for network in self.networks), alone=False),
            Group(("virt_random",) if self.virt_random else ()),
            *self._passthru_groups(),
            Group(("graphics",) if self.graphics and self.loader.is_uefi else ()),
            Group(("xhci_mouse",) if self.xhci_mouse else ()),
            Group(("sound",) if self.sound else ()),
            Group(("virt_consoles",) if self.virt_consoles else ()),
            Group(tuple(share.key for share in self.shares)),
        )

    def _passthru_groups(self) -> Iterator[Group]:
        """Devices of one host bus that follow one another share a slot; those that have one do not count."""
        unplaced = [passthru for passthru in self.passthrus if passthru.slot is None]
        for _, run in groupby(unplaced, lambda passthru: passthru.device.partition("/")[0]):
            yield Group(tuple(passthru.key for passthru in run), alone=False)
        yield Group(tuple(passthru.key for passthru in self.passthrus if passthru.slot is not None))
        yield Group((), leaves_gap=bool(self.passthrus) and not unplaced)

    def _pinned_slots(self) -> dict[str, Slot]:
        numbered: tuple[Disk | Network | Passthru, ...] = (*self.disks, *self.networks, *self.passthrus)
        return (
            {one.key: one.slot for one in numbered if one.slot is not None}
            | {share.key: share.slot for share in self.shares if share.slot is not None}
            | dict(self.pins)
        )
