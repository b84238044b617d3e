"""The emulated PCI devices of a guest, each once: the words of its `-s`, and its keys of bhyve_config(5)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from pyvmiscsi.bhyve.configuration.conf_text import is_true
from pyvmiscsi.bhyve.configuration.config import Disk, Graphics, GuestConfig, Loader, Network, Passthru, Share
from pyvmiscsi.bhyve.configuration.slots import HOST_BRIDGE, LPC, Slot
from pyvmiscsi.secrets import Secret
from pyvmiscsi.units import Size

HOST_BRIDGES = {
    "standard": ("hostbridge", {"device": "hostbridge"}),
    # the name exists for -s only; a file says what it stands for: registers, since 14.0 (pci_hostbridge.c)
    "amd": ("amd_hostbridge", {"device": "hostbridge", "pcireg.vendor": "0x1022", "pcireg.device": "0x7432"}),
}
"""vm-bhyve's words for the host bridge: bhyve's word, and its keys."""


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
    """The medium a guest is installed from: a CD image (`.iso`), or that of a disk."""


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


def emulated(guest: GuestConfig, devices: Devices, machine: str = "amd64") -> tuple[Emulated, ...]:
    """Every PCI device of the guest, in the order vm-bhyve 1.7 names them; `machine` is the host's (`uname -m`)."""
    slots = guest.layout()
    found: list[Emulated] = []
    if not guest.hostbridge.startswith("no"):
        found.append(Emulated(HOST_BRIDGE, *HOST_BRIDGES[guest.hostbridge], short="0"))
    if machine == "amd64":
        found.append(Emulated(LPC, "lpc", {"device": "lpc"}, short="31"))
    found += _disks(guest, devices, slots)
    found += [_network(slots[network.key], network, devices.backends[network.number]) for network in guest.networks]
    if guest.virt_random:
        found.append(_device(slots["virt_random"], "virtio-rnd"))
    found += [_passthru(slots[passthru.key], passthru) for passthru in guest.passthrus]
    if "graphics" in slots and guest.graphics is not None:
        found.append(_frame_buffer(slots["graphics"], guest.graphics, devices))
    if guest.xhci_mouse:
        found.append(Emulated(slots["xhci_mouse"], "xhci,tablet", {"device": "xhci", "slot.1.device": "tablet"}))
    if guest.sound:
        record = [f"rec={guest.sound_rec}"] if guest.sound_rec else []
        found.append(_device(slots["sound"], "hda", f"play={guest.sound_play}", *record))
    if guest.virt_consoles:
        found.append(_console(slots["virt_consoles"], guest.virt_consoles, devices.directory))
    found += [_share(slots[share.key], share) for share in guest.shares]
    return tuple(found)


def install_medium(guest: GuestConfig, devices: Devices) -> Iterator[Emulated]:
    """The medium a guest is installed from, which firmware tries first; or the empty CD of `nulliso_fix`."""
    slot, short = Slot(0, guest.install_slot), f"{guest.install_slot}:0"
    medium = devices.install_iso
    options: tuple[str, ...] = ()
    if medium is not None:
        kind, options = ("cd", ("ro", "bootindex=1")) if medium.lower().endswith(".iso") else ("hd", ("ro",))
    elif guest.nulliso_fix and guest.loader is Loader.UEFI:
        kind, medium = "cd", f"{devices.directory.rpartition('/')[0]}/.config/null.iso"
    else:
        return
    yield Emulated(slot, ",".join((f"ahci-{kind}", medium, *options)), _ahci([(kind, medium, options)]), short=short)


def disk_options(disk: Disk, found: FoundDisk) -> tuple[str, ...]:
    """The options of a disk: those of its `diskN_opts`, then `ser=` and `sectorsize=` unless they are among them.

    Without `ser=` the guest would see a serial made from the path's name, another one after every change of path
    (pci_virtio_block.c; freebsd.md 4.2); a CD shows none.
    """
    if disk.emulation == "virtio-scsi":
        return disk.opts  # ctl(4) answers for its LUNs
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


def _disks(guest: GuestConfig, devices: Devices, slots: Mapping[str, Slot]) -> Iterator[Emulated]:
    for ports in guest.controllers():
        first = ports[0]
        slot, path = slots[first.key], devices.disks[first.number].path
        options = [disk_options(port, devices.disks[port.number]) for port in ports]
        if not first.is_ahci:
            by_place = "dev" if first.emulation == "virtio-scsi" else "path"
            yield _device(slot, first.emulation, *options[0], first=(by_place, path))
            continue
        kinds = [port.emulation.removeprefix("ahci-") for port in ports]
        paths = [devices.disks[port.number].path for port in ports]
        if guest.shares_controllers:
            listed = (",".join((f"{k}:{p}", *o)) for k, p, o in zip(kinds, paths, options, strict=True))
            words = ",".join(("ahci", *listed))
        else:
            words = ",".join((first.emulation, path, *options[0]))
        yield Emulated(slot, words, _ahci(list(zip(kinds, paths, options, strict=True))))


def _network(slot: Slot, network: Network, plugged_into: str) -> Emulated:
    mac = [f"mac={network.mac}"] if network.mac else []
    mtu = [f"mtu={network.mtu}"] if network.mtu and network.emulation == "virtio-net" else []
    backend, *options = plugged_into.split(",")
    return _device(slot, network.emulation, *options, *mac, *mtu, first=("backend", backend))


def _ahci(ports: list[tuple[str, str, tuple[str, ...]]]) -> dict[str, str]:
    keys = {"device": "ahci"}
    for number, (kind, path, options) in enumerate(ports):
        port = {"type": kind, "path": path} | _keys(options)
        keys |= {f"port.{number}.{key}": value for key, value in port.items()}
    return keys


def _passthru(slot: Slot, passthru: Passthru) -> Emulated:
    """`3/0/0`, `pci0:3:0:0` or `ppt0` (14.1): pci_passthru.c."""
    device, options = passthru.device, passthru.options.split(",") if passthru.options else []
    place = re.fullmatch(r"(?:pci(?:0:)?)?([0-9]+)[/:]([0-9]+)[/:]([0-9]+)", device)
    by_place = dict(zip(("bus", "slot", "func"), place.groups(), strict=True)) if place else {"pptdev": device}
    keys = {"device": "passthru"} | by_place | _keys(options)
    return Emulated(slot, ",".join(("passthru", device, *options)), keys)


def _frame_buffer(slot: Slot, graphics: Graphics, devices: Devices) -> Emulated:
    port = graphics.port or devices.vnc_port
    options = [f"tcp={graphics.listen_word}:{port}"]
    if graphics.width and graphics.height:
        options += [f"w={graphics.width}", f"h={graphics.height}"]
    if graphics.vga:
        options.append(f"vga={graphics.vga}")
    if devices.install_iso is not None if graphics.wait == "auto" else is_true(graphics.wait):
        options.append("wait")
    device = _device(slot, "fbuf", *options)
    secrets = {"password": graphics.password} if graphics.password else {}
    return Emulated(slot, device.words, device.keys, secrets)


def _console(slot: Slot, ports: Iterable[str], directory: str) -> Emulated:
    """Ports that are sockets beside the guest's configuration."""
    paths = {name: f"{directory}/vtcon.{name}" for name in ports}
    keys = {"device": "virtio-console"}
    for number, (name, path) in enumerate(paths.items()):
        keys |= {f"port.{number}.name": name, f"port.{number}.path": path}
    return Emulated(slot, ",".join(("virtio-console", *(f"{name}={path}" for name, path in paths.items()))), keys)


def _share(slot: Slot, share: Share) -> Emulated:
    keys = {"device": "virtio-9p", "sharename": share.name, "path": share.path}
    read_only = ["ro"] if share.read_only else []
    return Emulated(slot, ",".join(("virtio-9p", f"{share.name}={share.path}", *read_only)), keys | _keys(read_only))


def _device(slot: Slot, emulation: str, *options: str, first: tuple[str, str] | None = None) -> Emulated:
    """A device whose `-s` options are its keys; `first` is the one that `-s` gives by place."""
    by_place = [first[1]] if first else []
    keys = {"device": emulation} | dict([first] if first else []) | _keys(options)
    return Emulated(slot, ",".join((emulation, *by_place, *options)), keys)


def _keys(options: Iterable[str]) -> dict[str, str]:
    """`ser=x` is the key ser; a bare `ro` is a boolean."""
    pairs = (option.partition("=") for option in options)
    return {key: value if equals else "true" for key, equals, value in pairs}
