"""bhyve's PCI devices as they come up: each reads its keys, opens what it needs, and says what is wrong.

Texts and their order are those of the golden verdicts and of bhyve(8) of FreeBSD 14 (freebsd.md 4.2, 4.5).
A device that fails ends bhyve with status 4 and `device emulation initialization error`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable

from pyvmiscsi.lab.bhyve.board import Board, Failed, Slot
from pyvmiscsi.lab.bhyve.disks import start_ahci, start_nvme, start_virtio_block
from pyvmiscsi.lab.bhyve.errno_text import EINVAL
from pyvmiscsi.lab.bhyve.facts import Trouble
from pyvmiscsi.lab.bhyve.lpc import start_lpc, start_uart
from pyvmiscsi.lab.bhyve.machine import Network
from pyvmiscsi.lab.bhyve.tree import Ended
from pyvmiscsi.lab.c_numbers import DIGITS, integer, number_at_front

_LEGACY_NAMES = {"ahci-hd": "ahci", "ahci-cd": "ahci", "amd_hostbridge": "hostbridge"}
_USB_DEVICES = ("tablet",)
MOST_USB_DEVICES = 4
_WIDEST, _TALLEST = 1920, 1200
_CONSOLE_PORTS = 16
FIRST_WITH_SLIRP = 1401000


def bring_up(board: Board) -> None:
    """Every `pci.B.S.F` in order of its place, not of the command line; raises Ended at the first that fails."""
    for bus in range(256):
        if board.tree.has_node(f"pci.{bus}"):
            for slot in range(32):
                for func in range(8):
                    _bring_up_one(board, Slot(bus, slot, func))


def _bring_up_one(board: Board, at: Slot) -> None:
    if not board.tree.has_node(at.node):
        return
    emulation = board.tree.get(f"{at.node}.device")
    try:
        if emulation is None:
            raise board.failed(f'pci slot {at.place}: missing "device" value')
        if emulation in _LEGACY_NAMES:
            instead = _LEGACY_NAMES[emulation]
            raise board.failed(f'pci slot {at.place}: legacy device "{emulation}", use "{instead}" instead')
        if emulation not in _STARTERS:
            raise board.failed(f'pci slot {at.place}: unknown device "{emulation}"')
        _STARTERS[emulation](board, at)
    except Failed:
        board.voice.say(f"device emulation initialization error: {board.voice.errno}")
        raise Ended(4) from None


def _start_network(board: Board, at: Slot) -> None:
    emulation = board.tree.get(f"{at.node}.device") or ""
    mac = board.tree.get(f"{at.node}.mac")
    if mac is not None and not _is_station_address(mac):
        raise board.failed(f"Invalid MAC {mac}")
    if emulation == "virtio-net":
        mtu = board.tree.get(f"{at.node}.mtu")
        if mtu is not None and not _is_mtu(mtu):
            board.voice.errno = EINVAL
            raise Failed
    backend = board.tree.get(f"{at.node}.backend")
    if backend is not None:
        _open_network(board, at.node, backend)
    if emulation == "virtio-net":
        board.read_virtio()
    board.networks.append(Network(at.place, emulation, backend or "", mac or _mac_of_place(at.place)))


def _open_network(board: Board, node: str, backend: str) -> None:
    kind = board.tree.get(f"{node}.type") or backend
    if kind.startswith(("tap", "vmnet")):
        try:
            board.facts.open_network(backend)
        except Trouble as trouble:
            board.voice.errno = trouble.text
            board.voice.print(f"open of tap device /dev/{backend} failed")
            raise Failed from None
    elif kind.startswith("netgraph"):
        board.read(node, "hook")
        for key, name in (("path", "path"), ("peerhook", "peer hook")):
            if board.tree.get(f"{node}.{key}") is None:
                board.voice.print(f"{name} must be provided")
                raise Failed
        board.read(node, "socket")
    elif kind.startswith("slirp") and board.facts.osreldate >= FIRST_WITH_SLIRP:
        board.read(node, "hostfwd")
    elif not kind.startswith(("netmap", "vale")):
        raise Failed


def _start_passthru(board: Board, at: Slot) -> None:
    if not board.tree.get_bool("memory.wired", False):
        board.voice.warn("passthru requires guest memory to be wired")
        raise Failed
    board.read(at.node, "rom")
    board.take_boot_place(at, "passthru", at.node)
    if board.tree.get(f"{at.node}.pptdev") is not None:
        return
    numbers: list[int] = []
    for key in ("bus", "slot", "func"):
        value = board.tree.get(f"{at.node}.{key}")
        if value is None:
            raise board.failed(f"passthru: missing required {key} setting")
        numbers.append(number_at_front(value))
    bus, slot, func = numbers
    if not board.facts.has_passthru(bus, slot, func):
        board.voice.warn(f"PCI device at {bus}/{slot}/{func} is not using the ppt(4) driver")
        raise Failed


def _start_framebuffer(board: Board, at: Slot) -> None:
    if board.has_framebuffer:
        raise board.failed("Only one frame buffer device is allowed.")
    board.has_framebuffer = True
    board.tree.get_bool(f"{at.node}.wait", False, shown="wait")
    address = board.tree.get(f"{at.node}.rfb")
    if address is None:
        address = board.tree.get(f"{at.node}.tcp")
    complaint = _wrong_with_listener(address) if address is not None else ""
    if complaint:
        raise board.failed(f'fbuf: {complaint}: "{address}"')
    vga = board.tree.get(f"{at.node}.vga")
    if vga is not None and vga not in ("off", "io", "on"):
        raise board.failed(f'fbuf: Invalid vga setting: "{vga}"')
    for key, word, largest in (("w", "width", _WIDEST), ("h", "height", _TALLEST)):
        value = board.tree.get(f"{at.node}.{key}")
        number = number_at_front(value or "") & 0xFFFF
        if number > largest:
            raise board.failed(f"fbuf: {word} {number} too large")
    board.read(at.node, "password")
    if vga == "on":
        board.voice.say("pci_fbuf: VGA rendering not enabled")  # it goes on, with no frame buffer behind the device


def _start_usb(board: Board, at: Slot) -> None:
    for number, slot in enumerate(board.tree.children(f"{at.node}.slot")):
        if number == MOST_USB_DEVICES:
            board.voice.print(f"pci_xhci max number of USB 2 or 3 devices reached, max {MOST_USB_DEVICES}")
            raise Failed
        if not slot.isdigit() or int(slot) == 0:
            raise board.failed(f"pci_xhci: invalid slot '{slot}'")
        device = board.tree.get(f"{at.node}.slot.{slot}.device")
        if device is None:
            raise board.failed(f"pci_xhci: missing \"device\" value for slot '{slot}'")
        if device not in _USB_DEVICES:
            raise board.failed(f'pci_xhci: unknown device model "{device}"')


def _start_share(board: Board, at: Slot) -> None:
    board.tree.get_bool(f"{at.node}.ro", False, shown="ro")
    path = board.tree.get(f"{at.node}.path")
    if path is None:
        raise board.failed("virtio-9p: path required")
    try:
        board.facts.look(path)
    except Trouble as trouble:
        board.voice.errno = trouble.text
        raise board.failed(f"virtio-9p: failed to open '{path}': {trouble.text}") from None
    if board.tree.get(f"{at.node}.sharename") is None:
        raise board.failed("virtio-9p: share name required")
    board.read_virtio()


def _start_console_ports(board: Board, at: Slot) -> None:
    board.read_virtio()
    for port in board.tree.children(f"{at.node}.port"):
        node = f"{at.node}.port.{port}"
        if not board.tree.has_node(node):
            continue
        complaint = ""
        if not port.isdigit() or int(port) >= _CONSOLE_PORTS:
            complaint = f"vtcon: Invalid port {port}"
        elif board.tree.get(f"{node}.path") is None:
            complaint = f"vtcon: required path missing for port {port}"
        elif board.tree.get(f"{node}.name") is None:
            complaint = f"vtcon: required name missing for port {port}"
        if complaint:
            board.voice.say(complaint)
            raise board.failed(f"cannot create port {port}: {board.voice.errno}")


def _start_input(board: Board, at: Slot) -> None:
    path = board.tree.get(f"{at.node}.path")
    if path is None:
        raise board.failed(f"vtinput: missing required path config value: {board.voice.errno}")
    try:
        board.facts.look(path, write=True)
    except Trouble as trouble:
        board.voice.errno = trouble.text
        raise Failed from None
    board.read_virtio()


def _start_scsi(board: Board, at: Slot) -> None:
    board.read(at.node, "iid")
    board.take_boot_place(at, "virtio-scsi", at.node)
    path = board.tree.get(f"{at.node}.dev")
    try:
        board.facts.look("/dev/cam/ctl" if path is None else path, write=True)
    except Trouble as trouble:
        board.voice.errno = trouble.text
        board.voice.print(f"cannot open {path}: {trouble.text}")
        raise Failed from None
    board.read_virtio()


def _start_random(board: Board, _at: Slot) -> None:
    board.read_virtio()
    board.random = True


def _reader_of(*keys: str) -> Callable[[Board, Slot], None]:
    """A device that asks for these keys and always comes up."""

    def start(board: Board, at: Slot) -> None:
        board.read(at.node, *keys)

    return start


def _is_mtu(text: str) -> bool:
    match = re.fullmatch(rf"\s*\+?{DIGITS}", text)
    return match is not None and 46 <= integer(match[1]) <= 65535


def _is_station_address(text: str) -> bool:
    """ether_aton(3) takes it, and it is neither a multicast address nor all zeros.

    Of each number it keeps the last eight bits, and what follows the sixth it does not look at.
    """
    match = re.match(":".join([r"\s*([+-]?(?:0[xX])?[0-9a-fA-F]+)"] * 6), text)
    octets = [int(number, 16) & 0xFF for number in match.groups()] if match else [1]
    return octets[0] & 1 == 0 and any(octets)


def _wrong_with_listener(address: str) -> str:
    if address.startswith("["):
        host, bracket, rest = address[1:].partition("]")
        if not bracket or not host or (rest and not rest.startswith(":")):
            return "Invalid IPv6 address"
        return "Missing port number" if rest == ":" else ""
    return "Missing port number" if address.endswith(":") and address.count(":") == 1 else ""


def _mac_of_place(place: str) -> str:
    """An address below 58:9c:fc for an interface without `mac=`; bhyve, too, derives it from its place."""
    digest = hashlib.md5(place.encode(), usedforsecurity=False).hexdigest()
    return f"58:9c:fc:0{digest[0]}:{digest[1:3]}:{digest[3:5]}"


_STARTERS: dict[str, Callable[[Board, Slot], None]] = {
    "ahci": start_ahci,
    "dummy": _reader_of(),
    "e1000": _start_network,
    "fbuf": _start_framebuffer,
    "hda": _reader_of("play", "rec"),
    "hostbridge": _reader_of("vendor", "devid", "pcireg.vendor", "pcireg.device"),
    "lpc": start_lpc,
    "nvme": start_nvme,
    "passthru": _start_passthru,
    "uart": start_uart,
    "virtio-9p": _start_share,
    "virtio-blk": start_virtio_block,
    "virtio-console": _start_console_ports,
    "virtio-input": _start_input,
    "virtio-net": _start_network,
    "virtio-rnd": _start_random,
    "virtio-scsi": _start_scsi,
    "xhci": _start_usb,
}
