"""bhyve's disks: virtio-blk, nvme and AHCI over one way of opening what is behind them (freebsd.md 4.5)."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace

from pyvmiscsi.lab.bhyve.board import Board, Failed, Slot
from pyvmiscsi.lab.bhyve.errno_text import ENOTTY
from pyvmiscsi.lab.bhyve.facts import Found, Kind, Trouble
from pyvmiscsi.lab.bhyve.machine import Disk
from pyvmiscsi.lab.bhyve.tree import Ended
from pyvmiscsi.lab.c_numbers import number_at_front

_LONGEST_SERIAL = 20


def start_virtio_block(board: Board, at: Slot) -> None:
    """A virtio-blk disk, opened; raises Failed."""
    disk = _open_disk(board, at.node, at.place, "virtio-blk")
    if disk is None:
        raise board.failed(f"Could not open backing file: {board.voice.errno}")
    board.take_boot_place(at, "virtio-blk", at.node, below_zero_is_none=True)
    if board.tree.get(f"{at.node}.serial") is None and board.tree.get(f"{at.node}.ser") is None:
        board.read(at.node, "path")  # once more, for the serial
    board.read_virtio()
    board.disks.append(disk)


def start_nvme(board: Board, at: Slot) -> None:
    """An nvme disk, opened, or in memory; raises Failed."""
    board.read(at.node, "maxq", "eui64", "dsm")
    for key, complaint in (("qsz", "nvme: Invalid qsz option"), ("ioslots", "Invalid ioslots option")):
        value = board.tree.get(f"{at.node}.{key}")
        if value is not None and number_at_front(value) <= 0:
            raise board.failed(f"{complaint} {number_at_front(value)}")
    board.take_boot_place(at, "nvme", at.node)
    wanted = number_at_front(board.tree.get(f"{at.node}.sectsz") or "")
    serial = board.tree.get(f"{at.node}.ser") or f"NVME-{at.slot}-{at.func}"
    ram = board.tree.get(f"{at.node}.ram")
    if ram is not None:
        size = number_at_front(ram) << 20
        sector = wanted if wanted in (512, 4096, 8192) else 4096
        board.disks.append(Disk(at.place, "nvme", "", size, sector, sector, serial[:_LONGEST_SERIAL], False))
        return
    disk = _open_disk(board, at.node, at.place, "nvme", serial)
    if disk is None:
        raise board.failed(f"nvme: Could not open backing file: {board.voice.errno}")
    sector = wanted if wanted in (512, 4096, 8192) else disk.logical
    board.disks.append(replace(disk, logical=sector, physical=max(sector, disk.physical)))


def start_ahci(board: Board, at: Slot) -> None:
    """The disks of every port of a controller; raises Failed."""
    for port in range(32):
        port_node = f"{at.node}.port.{port}"
        kind = board.tree.get(f"{port_node}.type")
        if kind is None:
            continue
        emulation = "ahci-hd" if kind == "hd" else "ahci-cd"
        disk = _open_disk(board, port_node, f"{at.place}:{port}", emulation)
        if disk is None:
            raise Failed
        board.take_boot_place(at, "ahci", port_node, below_zero_is_none=True)
        board.read(port_node, "path", "nmrr", "rev", "model")
        board.disks.append(disk)


def _open_disk(board: Board, node: str, place: str, emulation: str, serial: str = "") -> Disk | None:
    """bhyve's block_if: the backing file or device, with the sector sizes the guest will be shown."""
    tree, voice = board.tree, board.voice
    tree.get_bool(f"{node}.nocache", False, shown="nocache")
    if not tree.get_bool(f"{node}.sync", False, shown="sync"):
        tree.get_bool(f"{node}.direct", False, shown="direct")
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
        found = board.facts.look(path, write=not read_only)
    except Trouble as trouble:
        voice.errno = trouble.text
        voice.warn(f"Could not open backing file: {path}: {trouble.text}")
        return None
    if found.kind is not Kind.FILE:
        voice.errno = ENOTTY
    if found.size == 0 and found.kind is Kind.DEVICE:
        voice.say("Assertion failed: (size != 0), function blockif_open, file block_if.c.")
        raise Ended(134)
    shown = _sector_sizes(board, found, *wanted)
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


def _sector_sizes(board: Board, found: Found, logical: int, physical: int) -> tuple[int, int] | None:
    """Logical and physical sector for the guest; None after a complaint (freebsd.md 4.5)."""
    if logical == 0:
        return found.sector, max(found.stripe, found.sector)
    if logical < 512 or logical > physical or _not_power_of_two(logical) or _not_power_of_two(physical):
        board.voice.say(f"Invalid sector size {logical}/{physical}")
        return None
    if found.kind is Kind.DEVICE and logical % found.sector:
        board.voice.say(f"Sector size {logical} incompatible with underlying device sector size {found.sector}")
        return None
    return logical, physical


def _not_power_of_two(number: int) -> bool:
    return number & (number - 1) != 0


def _serial_of_path(path: str) -> str:
    """The serial of a disk without `ser=`: it changes when the path does (freebsd.md 6.3.5)."""
    digest = hashlib.md5(path.encode(), usedforsecurity=False).hexdigest().upper()
    return f"BHYVE-{digest[0:4]}-{digest[4:8]}-{digest[8:12]}"
