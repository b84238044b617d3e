"""The emulated PCI devices of a guest, once as the words of `-s` and once as keys of bhyve_config(5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pyvmiscsi.bhyve.config import Disk, Graphics, GuestConfig
from pyvmiscsi.bhyve.slots import HOST_BRIDGE, LPC, Slot
from pyvmiscsi.secrets import Secret
from pyvmiscsi.units import Size

HOST_BRIDGES = {
    "standard": ("hostbridge", {"device": "hostbridge"}),
    # the name exists for -s only; a file says what it stands for (pci_hostbridge.c)
    "amd": ("amd_hostbridge", {"device": "hostbridge", "vendor": "0x1022", "devid": "0x7432"}),
}
"""vm-bhyve's words for the host bridge: bhyve's word, and its keys."""
INSTALL_SLOT = Slot(0, 3)


@dataclass(frozen=True, slots=True)
class FoundDisk:
    """The device behind a guest's disk, as the host shows it now.

    With `physical` known, the sectors are spelled out to bhyve, which then refuses another disk that might take
    this one's place at a guest's reboot, rather than show the guest other sectors than before.
    """

    path: str
    sector: Size
    """Its logical block, which a guest counts in."""
    physical: Size | None = None
    """Its physical block (GEOM's stripe size); None when nobody looked."""


@dataclass(frozen=True, slots=True)
class Devices:
    """What the host offers a guest: nothing in here is known before the guest is about to start."""

    directory: str
    """The guest's own, which holds its configuration."""
    disks: Mapping[int, FoundDisk] = field(default_factory=dict)
    backends: Mapping[int, str] = field(default_factory=dict)
    """What each network number is plugged into: `tap0`, or another backend of bhyve(8)."""
    vnc_port: int | None = None
    """A free port, for a frame buffer that does not name its own."""
    install_iso: str | None = None


@dataclass(frozen=True, slots=True)
class Emulated:
    """A device at its slot: `words` follow the slot in `-s`, `keys` follow `pci.<slot>.` in a configuration file."""

    slot: Slot
    words: str
    keys: Mapping[str, str]
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    """Keys that are said in a file of mode 0600 only, never in `words`."""
    short: str | None = None
    """How vm-bhyve spells the slot, where that is not `bus:slot:function`."""

    @property
    def option(self) -> tuple[str, str]:
        """The two words `-s` and its argument."""
        return "-s", f"{self.short or self.slot},{self.words}"


def emulated(guest: GuestConfig, devices: Devices) -> tuple[Emulated, ...]:
    """Every PCI device of the guest, in the order vm-bhyve 1.6 and later name them."""
    slots = guest.layout()
    found: list[Emulated] = []
    if guest.hostbridge != "none":
        found.append(Emulated(HOST_BRIDGE, *HOST_BRIDGES[guest.hostbridge], short="0"))
    firmware_config = [f"fwcfg={guest.fwcfg}"] if guest.fwcfg else []
    found.append(Emulated(LPC, ",".join(("lpc", *firmware_config)), _lpc_keys(guest), short="31"))
    found += _disks(guest, devices, slots)
    for network in guest.networks:
        mac = [f"mac={network.mac}"] if network.mac else []
        backend, *options = devices.backends[network.number].split(",")
        found.append(_device(slots[network.key], network.emulation, *options, *mac, first=("backend", backend)))
    if guest.virt_random:
        found.append(_device(slots["virt_random"], "virtio-rnd"))
    found += [_passthru(slots[passthru.key], passthru.device) for passthru in guest.passthrus]
    if "graphics" in slots and guest.graphics is not None:
        found.append(_frame_buffer(slots["graphics"], guest.graphics, devices.vnc_port))
    if guest.xhci_mouse:
        found.append(Emulated(slots["xhci_mouse"], "xhci,tablet", {"device": "xhci", "slot.1.device": "tablet"}))
    if guest.sound:
        record = [f"rec={guest.sound_rec}"] if guest.sound_rec else []
        found.append(_device(slots["sound"], "hda", f"play={guest.sound_play}", *record))
    if guest.virt_consoles:
        found.append(_console(slots["virt_consoles"], guest.virt_consoles, devices.directory))
    return tuple(found)


def install_medium(path: str) -> Emulated:
    """The CD that a guest is installed from: the firmware tries it first."""
    options = ("ro", "bootindex=1")
    words = ",".join(("ahci-cd", path, *options))
    return Emulated(INSTALL_SLOT, words, _ahci([("cd", path, options)]), short="3:0")


def disk_options(disk: Disk, found: FoundDisk) -> tuple[str, ...]:
    """The options of a disk: those of its `diskN_opts`, then `ser=` and `sectorsize=` unless they are among them.

    Without `ser=` the guest would see a serial made from the path's name, another one after every change of path
    (pci_virtio_block.c; freebsd.md 4.2); a CD shows none.
    """
    said = {option.partition("=")[0] for option in disk.opts}
    options = list(disk.opts)
    if disk.shown_serial is not None and "ser" not in said and disk.emulation != "ahci-cd":
        options.append(f"ser={disk.shown_serial}")
    if found.physical is not None and not said & {"sectorsize", "sectsz"}:
        options.append(f"sectorsize={_sector_size(found.sector, found.physical)}")
    return tuple(options)


def _sector_size(logical: Size, physical: Size) -> str:
    """`512/4096`, or `512` when the physical block adds nothing that bhyve would take (block_if.c)."""
    is_power_of_two = physical.bytes & (physical.bytes - 1) == 0
    return f"{int(logical)}/{int(physical)}" if physical > logical and is_power_of_two else f"{int(logical)}"


def _disks(guest: GuestConfig, devices: Devices, slots: Mapping[str, Slot]) -> Iterable[Emulated]:
    ports_of = {disk.key: ports for ports in guest.ahci_controllers() for disk in ports}
    for disk in guest.disks:
        ports = ports_of.get(disk.key, (disk,))
        if disk is not ports[0]:
            continue
        paths = [devices.disks[port.number].path for port in ports]
        options = [disk_options(port, devices.disks[port.number]) for port in ports]
        if not disk.is_ahci:
            yield _device(slots[disk.key], disk.emulation, *options[0], first=("path", paths[0]))
            continue
        kinds = [port.emulation.removeprefix("ahci-") for port in ports]
        keys = _ahci(list(zip(kinds, paths, options, strict=True)))
        if disk.key in ports_of:
            listed = (",".join((f"{k}:{p}", *o)) for k, p, o in zip(kinds, paths, options, strict=True))
            yield Emulated(slots[disk.key], ",".join(("ahci", *listed)), keys)
        else:
            yield Emulated(slots[disk.key], ",".join((disk.emulation, paths[0], *options[0])), keys)


def _lpc_keys(guest: GuestConfig) -> dict[str, str]:
    # fwcfg sits on the slot's node in `-s 31,lpc,fwcfg=qemu` and is read there (pci_lpc.c)
    return {"device": "lpc"} | ({"fwcfg": guest.fwcfg} if guest.fwcfg else {})


def _ahci(ports: list[tuple[str, str, tuple[str, ...]]]) -> dict[str, str]:
    keys = {"device": "ahci"}
    for number, (kind, path, options) in enumerate(ports):
        port = {"type": kind, "path": path} | _keys(options)
        keys |= {f"port.{number}.{key}": value for key, value in port.items()}
    return keys


def _passthru(slot: Slot, device: str) -> Emulated:
    bus, number, function = device.split("/")
    keys = {"device": "passthru", "bus": bus, "slot": number, "func": function}
    return Emulated(slot, f"passthru,{device}", keys)


def _frame_buffer(slot: Slot, graphics: Graphics, free_port: int | None) -> Emulated:
    port = graphics.port or free_port
    listen = f"[{graphics.listen}]" if ":" in graphics.listen else graphics.listen
    options = [f"tcp={listen}:{port}"]
    if graphics.width and graphics.height:
        options += [f"w={graphics.width}", f"h={graphics.height}"]
    if graphics.vga:
        options.append(f"vga={graphics.vga}")
    if graphics.wait == "yes":
        options.append("wait")
    device = _device(slot, "fbuf", *options)
    secrets = {"password": graphics.password} if graphics.password else {}
    return Emulated(slot, device.words, device.keys, secrets)


def _console(slot: Slot, ports: Iterable[str], directory: str) -> Emulated:
    paths = [(port, f"{directory}/vtcon.{port}") for port in ports]
    keys = {"device": "virtio-console"}
    for number, (port, path) in enumerate(paths):
        keys |= {f"port.{number}.name": port, f"port.{number}.path": path}
    return Emulated(slot, ",".join(("virtio-console", *(f"{port}={path}" for port, path in paths))), keys)


def _device(slot: Slot, emulation: str, *options: str, first: tuple[str, str] | None = None) -> Emulated:
    """A device whose `-s` options are its keys; `first` is the one that `-s` gives by place."""
    by_place = [first[1]] if first else []
    keys = {"device": emulation} | dict([first] if first else []) | _keys(options)
    return Emulated(slot, ",".join((emulation, *by_place, *options)), keys)


def _keys(options: Iterable[str]) -> dict[str, str]:
    """`ser=x` is the key ser; a bare `ro` is a boolean."""
    pairs = (option.partition("=") for option in options)
    return {key: value if equals else "true" for key, equals, value in pairs}
