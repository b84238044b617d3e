"""bhyve's PCI devices as they come up: each reads its keys, opens what it needs, and says what is wrong.

Texts and their order are those of the golden verdicts and of bhyve(8) of FreeBSD 14 (freebsd.md 4.2, 4.5).
A device that fails ends bhyve with status 4 and `device emulation initialization error`.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, replace

from pyvmiscsi.lab.bhyve.errno_text import EINVAL, ENOTTY
from pyvmiscsi.lab.bhyve.facts import Found, HostFacts, Kind, Trouble
from pyvmiscsi.lab.bhyve.machine import Disk, Network
from pyvmiscsi.lab.bhyve.options import COM_PORTS, EMULATIONS
from pyvmiscsi.lab.bhyve.tree import Ended, Tree, Voice

_LEGACY_NAMES = {"ahci-hd": "ahci", "ahci-cd": "ahci", "amd_hostbridge": "hostbridge"}
_USB_DEVICES = ("tablet",)
_LONGEST_SERIAL = 20
_WIDEST, _TALLEST = 1920, 1200
_BIGGEST_ROM = 16 << 20
_PAGE = 4096


class _Failed(Exception):  # noqa: N818 - the device has said why already
    """A device that did not come up."""


@dataclass(slots=True)
class Devices:
    """What came up so far."""

    tree: Tree
    facts: HostFacts
    voice: Voice
    disks: list[Disk] = field(default_factory=list)
    networks: list[Network] = field(default_factory=list)
    consoles: list[tuple[str, str]] = field(default_factory=list)
    random: bool = False
    bootrom: str = ""
    bootvars: str = ""
    _has_lpc: bool = False
    _has_framebuffer: bool = False
    _stdio_taken: bool = False

    def bring_up(self) -> None:
        """Every `pci.B.S.F` in order of its place, not of the command line; raises Ended at the first that fails."""
        for bus in range(256):
            if self.tree.has_node(f"pci.{bus}"):
                for slot in range(32):
                    for func in range(8):
                        self._bring_up_one(bus, slot, func)

    def _bring_up_one(self, bus: int, slot: int, func: int) -> None:
        node = f"pci.{bus}.{slot}.{func}"
        if not self.tree.has_node(node):
            return
        place = f"{bus}:{slot}:{func}"
        emulation = self.tree.get(f"{node}.device")
        try:
            if emulation is None:
                self.voice.say(f'pci slot {place}: missing "device" value')
                raise _Failed
            if emulation not in EMULATIONS:
                self.voice.say(f'pci slot {place}: unknown device "{emulation}"')
                raise _Failed
            if emulation in _LEGACY_NAMES:
                self.voice.say(
                    f'pci slot {place}: legacy device "{emulation}", use "{_LEGACY_NAMES[emulation]}" instead'
                )
                raise _Failed
            self._start(emulation, node, place, bus)
        except _Failed:
            self.voice.say(f"device emulation initialization error: {self.voice.errno}")
            raise Ended(4) from None

    def _start(  # noqa: PLR0912 - one branch per emulation
        self, emulation: str, node: str, place: str, bus: int
    ) -> None:
        match emulation:
            case "virtio-blk":
                self._start_virtio_block(node, place)
            case "nvme":
                self._start_nvme(node, place)
            case "ahci":
                self._start_ahci(node, place)
            case "virtio-net" | "e1000":
                self._start_network(emulation, node, place)
            case "lpc":
                self._start_lpc(bus)
            case "passthru":
                self._start_passthru(node)
            case "fbuf":
                self._start_framebuffer(node)
            case "xhci":
                self._start_usb(node)
            case "virtio-9p":
                self._start_share(node)
            case "virtio-console":
                self._start_console_ports(node)
            case "uart":
                self._start_uart(node, place)
            case "virtio-input":
                self._start_input(node)
            case "virtio-rnd":
                self.random = True
            case "virtio-scsi":
                self._read(node, "dev", "iid")
            case "hda":
                self._read(node, "play", "rec")
            case "hostbridge":
                self._read(node, "vendor", "devid")

    def _read(self, node: str, *keys: str) -> None:
        for key in keys:
            self.tree.get(f"{node}.{key}")

    # disks

    def _start_virtio_block(self, node: str, place: str) -> None:
        disk = self._open_disk(node, place, "virtio-blk")
        if disk is None:
            self.voice.say(f"Could not open backing file: {self.voice.errno}")
            raise _Failed
        self.disks.append(disk)

    def _start_nvme(self, node: str, place: str) -> None:
        self._read(node, "maxq", "eui64", "dsm")
        for key, complaint in (("qsz", "nvme: Invalid qsz option"), ("ioslots", "Invalid ioslots option")):
            value = self.tree.get(f"{node}.{key}")
            if value is not None and _number_at_front(value) <= 0:
                self.voice.say(f"{complaint} {_number_at_front(value)}")
                raise _Failed
        wanted = _number_at_front(self.tree.get(f"{node}.sectsz") or "")
        serial = self.tree.get(f"{node}.ser") or f"NVME-{place.split(':')[1]}-{place.split(':')[2]}"
        ram = self.tree.get(f"{node}.ram")
        if ram is not None:
            size = _number_at_front(ram) << 20
            sector = wanted if wanted in (512, 4096, 8192) else 4096
            self.disks.append(Disk(place, "nvme", "", size, sector, sector, serial[:_LONGEST_SERIAL], False))
            return
        disk = self._open_disk(node, place, "nvme", serial)
        if disk is None:
            self.voice.say(f"nvme: Could not open backing file: {self.voice.errno}")
            raise _Failed
        sector = wanted if wanted in (512, 4096, 8192) else disk.logical
        self.disks.append(replace(disk, logical=sector, physical=max(sector, disk.physical)))

    def _start_ahci(self, node: str, place: str) -> None:
        for port in range(32):
            port_node = f"{node}.port.{port}"
            kind = self.tree.get(f"{port_node}.type")
            if kind is None:
                continue
            self._read(port_node, "nmrr", "rev", "model")
            emulation = "ahci-hd" if kind == "hd" else "ahci-cd"
            disk = self._open_disk(port_node, f"{place}:{port}", emulation)
            if disk is None:
                raise _Failed
            self.disks.append(disk)

    def _open_disk(self, node: str, place: str, emulation: str, serial: str = "") -> Disk | None:
        """bhyve's block_if: the backing file or device, with the sector sizes the guest will be shown."""
        tree, voice = self.tree, self.voice
        for key in ("nocache", "sync", "direct"):
            tree.get_bool(f"{node}.{key}", False, shown=key)
        discard = not tree.get_bool(f"{node}.nodelete", False, shown="nodelete")
        read_only = tree.get_bool(f"{node}.ro", False, shown="ro")
        sectors = tree.get(f"{node}.sectorsize")
        wanted = (0, 0)
        if sectors is not None:
            match = re.fullmatch(r"\s*([+-]?\d+)(?:/\s*([+-]?\d+))?", sectors)
            if match is None:
                voice.say(f'Invalid sector size "{sectors}"')
                return None
            wanted = (int(match[1]), int(match[2] or match[1]))
        path = tree.get(f"{node}.path")
        if path is None:
            voice.say('Missing "path" for block device.')
            return None
        try:
            found = self.facts.look(path, write=not read_only)
        except Trouble as trouble:
            voice.errno = trouble.text
            voice.warn(f"Could not open backing file: {path}: {trouble.text}")
            return None
        if found.kind is not Kind.FILE:
            voice.errno = ENOTTY
        if found.size == 0 and found.kind is Kind.DEVICE:
            voice.say("Assertion failed: (size != 0), function blockif_open, file block_if.c.")
            raise Ended(134)
        shown = self._sector_sizes(found, *wanted)
        if shown is None:
            return None
        given = tree.get(f"{node}.serial") or tree.get(f"{node}.ser") or serial or _serial_of_path(path)
        return Disk(
            place,
            emulation,
            path,
            found.size,
            *shown,
            given[:_LONGEST_SERIAL],
            read_only or not found.writable or emulation == "ahci-cd",
            discard,
        )

    def _sector_sizes(self, found: Found, logical: int, physical: int) -> tuple[int, int] | None:
        """Logical and physical sector for the guest; None after a complaint (freebsd.md 4.5)."""
        if logical == 0:
            return found.sector, max(found.stripe, found.sector)
        if logical < 512 or logical > physical or _not_power_of_two(logical) or _not_power_of_two(physical):
            self.voice.say(f"Invalid sector size {logical}/{physical}")
            return None
        if found.kind is Kind.DEVICE and logical % found.sector:
            self.voice.say(f"Sector size {logical} incompatible with underlying device sector size {found.sector}")
            return None
        return logical, physical

    # networks

    def _start_network(self, emulation: str, node: str, place: str) -> None:
        mac = self.tree.get(f"{node}.mac")
        if mac is not None and not _is_station_address(mac):
            self.voice.say(f"Invalid MAC {mac}")
            raise _Failed
        if emulation == "virtio-net":
            mtu = self.tree.get(f"{node}.mtu")
            if mtu is not None and (not mtu.isdigit() or not 46 <= int(mtu) <= 65535):
                self.voice.errno = EINVAL
                raise _Failed
        backend = self.tree.get(f"{node}.backend")
        if backend is not None:
            self._open_network(node, backend)
        self.networks.append(Network(place, emulation, backend or "", mac or _mac_of_place(place)))

    def _open_network(self, node: str, backend: str) -> None:
        kind = self.tree.get(f"{node}.type") or backend
        if kind.startswith(("tap", "vmnet")):
            try:
                self.facts.open_network(backend)
            except Trouble as trouble:
                self.voice.errno = trouble.text
                self.voice.say(f"open of tap device /dev/{backend} failed")
                raise _Failed from None
        elif kind.startswith("netgraph"):
            self._read(node, "path", "hook", "peerhook", "socket")
        elif kind.startswith("slirp"):
            self._read(node, "hostfwd")
        elif not kind.startswith(("netmap", "vale")):
            raise _Failed

    # the LPC bridge, its firmware and its serial ports

    def _start_lpc(self, bus: int) -> None:
        if self._has_lpc:
            self.voice.say("Only one LPC bridge is allowed.")
            raise _Failed
        if bus != 0:
            self.voice.say("LPC bridge can be present only on bus 0.")
            raise _Failed
        self._has_lpc = True
        self._load_bootrom()
        for port in COM_PORTS:
            backend = self.tree.get(f"lpc.{port}.path")
            if backend is None:
                continue
            if not self._open_serial(backend):
                self.voice.say(f"Unable to initialize backend '{backend}' for LPC device {port}")
                raise _Failed
            self.consoles.append((port, backend))
        self.tree.get_bool("lpc.pc-testdev", False)

    def _load_bootrom(self) -> None:
        bootrom = self.tree.get("lpc.bootrom")
        if bootrom is None:
            return
        rom = self._look_at_rom(bootrom, f'Error opening bootrom "{bootrom}"')
        bootvars = self.tree.get("lpc.bootvars")
        variables = 0
        if bootvars is not None:
            variables = self._look_at_rom(bootvars, f'Error opening bootrom variable file "{bootvars}"').size
            if variables > _BIGGEST_ROM or 0 < variables < _PAGE:
                self.voice.say(f"Invalid bootrom variable size {variables}")
                raise _Failed
        if rom.size + variables > _BIGGEST_ROM:
            self.voice.say(f"Invalid bootrom and variable aggregate size {rom.size + variables}")
            raise _Failed
        if rom.size == 0:
            self.voice.warn("ROM size 0 is invalid")
            raise _Failed
        if rom.size % _PAGE:
            self.voice.warn(f"ROM size {rom.size} is not a multiple of the page size")
            raise _Failed
        self.bootrom, self.bootvars = bootrom, bootvars or ""

    def _look_at_rom(self, path: str, complaint: str) -> Found:
        try:
            return self.facts.look(path)
        except Trouble as trouble:
            self.voice.errno = trouble.text
            self.voice.say(f"{complaint}: {trouble.text}")
            raise _Failed from None

    def _open_serial(self, backend: str) -> bool:
        if backend == "stdio":
            if self._stdio_taken:
                return False
            self._stdio_taken = True
            self.voice.errno = ENOTTY
            return True
        if backend.startswith("tcp="):
            return self.facts.osreldate >= 1401000
        try:
            found = self.facts.look(backend)
        except Trouble as trouble:
            self.voice.errno = trouble.text
            return False
        if found.kind is not Kind.TTY:
            self.voice.errno = ENOTTY
            return False
        return True

    def _start_uart(self, node: str, place: str) -> None:
        backend = self.tree.get(f"{node}.path")
        if backend is not None and not self._open_serial(backend):
            slot, func = place.split(":")[1:]
            self.voice.say(f"Unable to initialize backend '{backend}' for pci uart at {slot}:{func}")
            raise _Failed

    # the rest

    def _start_passthru(self, node: str) -> None:
        if not self.tree.get_bool("memory.wired", False):
            self.voice.warn("passthru requires guest memory to be wired")
            raise _Failed
        self._read(node, "rom", "pptdev")
        if f"{node}.pptdev" in dict(self.tree.items()):
            return
        numbers: list[int] = []
        for key in ("bus", "slot", "func"):
            value = self.tree.get(f"{node}.{key}")
            if value is None:
                self.voice.say(f"passthru: missing required {key} setting")
                raise _Failed
            numbers.append(_number_at_front(value))
        bus, slot, func = numbers
        if not self.facts.has_passthru(bus, slot, func):
            self.voice.warn(f"PCI device at {bus}/{slot}/{func} is not using the ppt(4) driver")
            raise _Failed

    def _start_framebuffer(self, node: str) -> None:
        if self._has_framebuffer:
            self.voice.say("Only one frame buffer device is allowed.")
            raise _Failed
        self._has_framebuffer = True
        self.tree.get_bool(f"{node}.wait", False, shown="wait")
        address = self.tree.get(f"{node}.rfb")
        if address is None:
            address = self.tree.get(f"{node}.tcp")
        complaint = _wrong_with_listener(address) if address is not None else ""
        if complaint:
            self.voice.say(f'fbuf: {complaint}: "{address}"')
            raise _Failed
        vga = self.tree.get(f"{node}.vga")
        if vga is not None and vga not in ("off", "io", "on"):
            self.voice.say(f'fbuf: Invalid vga setting: "{vga}"')
            raise _Failed
        for key, word, largest in (("w", "width", _WIDEST), ("h", "height", _TALLEST)):
            value = self.tree.get(f"{node}.{key}")
            if value is not None and _number_at_front(value) > largest:
                self.voice.say(f"fbuf: {word} {_number_at_front(value)} too large")
                raise _Failed
        self._read(node, "password")
        if vga == "on":
            self.voice.say("pci_fbuf: VGA rendering not enabled")
            raise _Failed

    def _start_usb(self, node: str) -> None:
        for slot in self.tree.children(f"{node}.slot"):
            if not slot.isdigit() or int(slot) == 0:
                self.voice.say(f"pci_xhci: invalid slot '{slot}'")
                raise _Failed
            device = self.tree.get(f"{node}.slot.{slot}.device")
            if device is None:
                self.voice.say(f"pci_xhci: missing \"device\" value for slot '{slot}'")
                raise _Failed
            if device not in _USB_DEVICES:
                self.voice.say(f'pci_xhci: unknown device model "{device}"')
                raise _Failed

    def _start_share(self, node: str) -> None:
        path = self.tree.get(f"{node}.path")
        if path is None:
            self.voice.say("virtio-9p: path required")
            raise _Failed
        try:
            self.facts.look(path)
        except Trouble as trouble:
            self.voice.errno = trouble.text
            self.voice.say(f"virtio-9p: failed to open '{path}': {trouble.text}")
            raise _Failed from None
        if self.tree.get(f"{node}.sharename") is None:
            self.voice.say("virtio-9p: share name required")
            raise _Failed
        self.tree.get_bool(f"{node}.ro", False, shown="ro")

    def _start_console_ports(self, node: str) -> None:
        for port in self.tree.children(f"{node}.port"):
            self._read(f"{node}.port.{port}", "name", "path")

    def _start_input(self, node: str) -> None:
        path = self.tree.get(f"{node}.path")
        if path is None:
            self.voice.say(f"vtinput: missing required path config value: {self.voice.errno}")
            raise _Failed


def _number_at_front(text: str) -> int:
    """atoi(3)."""
    match = re.match(r"\s*[+-]?\d+", text)
    return int(match[0]) if match else 0


def _not_power_of_two(number: int) -> bool:
    return number & (number - 1) != 0


def _is_station_address(text: str) -> bool:
    """ether_aton(3) takes it, and it is neither a multicast address nor all zeros."""
    parts = text.split(":")
    if len(parts) != 6 or any(re.fullmatch(r"[0-9a-fA-F]{1,2}", part) is None for part in parts):
        return False
    octets = [int(part, 16) for part in parts]
    return octets[0] & 1 == 0 and any(octets)


def _wrong_with_listener(address: str) -> str:
    if address.startswith("["):
        host, bracket, rest = address[1:].partition("]")
        if not bracket or not host or (rest and not rest.startswith(":")):
            return "Invalid IPv6 address"
        return "Missing port number" if rest == ":" else ""
    return "Missing port number" if address.endswith(":") and address.count(":") == 1 else ""


def _serial_of_path(path: str) -> str:
    """The serial of a disk without `ser=`: it changes when the path does (freebsd.md 6.3.5)."""
    digest = hashlib.md5(path.encode(), usedforsecurity=False).hexdigest().upper()
    return f"BHYVE-{digest[0:4]}-{digest[4:8]}-{digest[8:12]}"


def _mac_of_place(place: str) -> str:
    """An address below 58:9c:fc for an interface without `mac=`; bhyve, too, derives it from its place."""
    digest = hashlib.md5(place.encode(), usedforsecurity=False).hexdigest()
    return f"58:9c:fc:0{digest[0]}:{digest[1:3]}:{digest[3:5]}"
