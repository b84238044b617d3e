"""What the bytes of the disk are: GPT (UEFI specification 2.10, chapter 5), a newc archive (cpio(5)), the lab's line.

block 0      protective MBR                 1 MiB    partition 1: EFI system partition, FAT16
block 1      GPT header, entries            last MiB partition 2: the line that init.sh reads, then its own blocks
…            backup entries and header in the last blocks
"""

from __future__ import annotations

import struct
import uuid
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

MIB = 1 << 20
MAGIC = "PYVMISCSI-BOOTDISK"
_ESP = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
_LINUX_DATA = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")
_ENTRIES = 128
_ENTRY_SIZE = 128


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the two partitions lie on a disk of `size` bytes with logical blocks of `sector` bytes."""

    size: int
    sector: int

    @property
    def esp_start(self) -> int:
        return MIB

    @property
    def esp_size(self) -> int:
        return 32 * MIB

    @property
    def line_start(self) -> int:
        """Byte offset of partition 2, whose first block holds the lab's line."""
        return self.size - 2 * MIB

    @property
    def line_size(self) -> int:
        return MIB


def partition_table(layout: Layout, disk: uuid.UUID) -> tuple[tuple[int, bytes], ...]:
    """The pieces of MBR and GPT, each with its byte offset on the disk."""
    sector = layout.sector
    blocks = layout.size // sector
    entry_blocks = _ENTRIES * _ENTRY_SIZE // sector
    entries = (
        _entry(_ESP, uuid.uuid5(disk, "esp"), _blocks(layout.esp_start, layout.esp_size, sector), "EFI")
        + _entry(_LINUX_DATA, uuid.uuid5(disk, "line"), _blocks(layout.line_start, layout.line_size, sector), "lab")
    ).ljust(_ENTRIES * _ENTRY_SIZE, b"\0")

    def header(here: int, other: int, entries_at: int) -> bytes:
        fields = struct.pack(
            "<8sIIIIQQQQ16sQIII",
            b"EFI PART",
            0x10000,
            92,
            0,
            0,
            here,
            other,
            2 + entry_blocks,
            blocks - entry_blocks - 2,
            disk.bytes_le,
            entries_at,
            _ENTRIES,
            _ENTRY_SIZE,
            zlib.crc32(entries),
        )
        return fields[:16] + struct.pack("<I", zlib.crc32(fields)) + fields[20:]

    last = blocks - 1
    return (
        (0, _protective_mbr(blocks)),
        (sector, header(1, last, 2)),
        (2 * sector, entries),
        ((last - entry_blocks) * sector, entries),
        (last * sector, header(last, 1, last - entry_blocks)),
    )


def _blocks(start: int, size: int, sector: int) -> tuple[int, int]:
    """First and last block of a partition."""
    return start // sector, (start + size) // sector - 1


def _entry(kind: uuid.UUID, identity: uuid.UUID, blocks: tuple[int, int], name: str) -> bytes:
    return struct.pack("<16s16sQQQ72s", kind.bytes_le, identity.bytes_le, *blocks, 0, name.encode("utf-16-le"))


def _protective_mbr(blocks: int) -> bytes:
    partition = struct.pack("<B3sB3sII", 0, b"\0\2\0", 0xEE, b"\xff\xff\xff", 1, min(blocks - 1, 0xFFFFFFFF))
    return b"\0" * 446 + partition + b"\0" * 48 + b"\x55\xaa"


def line(marker: str, behaviour: str, boots: int = 0) -> bytes:
    """The line init.sh looks for: which disk this is, what to do, how often it has booted."""
    return f"{MAGIC} {marker} {behaviour} {boots}\n".encode().ljust(4096, b"\0")


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the archive, by its mode a directory, a program, a link (`data` names its target) or a device."""

    name: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def directory(name: str) -> Entry:
    return Entry(name, 0o040755)


def program(name: str, data: bytes) -> Entry:
    return Entry(name, 0o100755, data)


def link(name: str, target: str) -> Entry:
    return Entry(name, 0o120777, target.encode())


def character_device(name: str, major: int, minor: int) -> Entry:
    return Entry(name, 0o020600, device=(major, minor))


def archive(entries: Iterable[Entry]) -> bytes:
    """A newc archive of these entries, which the kernel unpacks as its first root."""
    out = bytearray()
    for number, entry in enumerate((*entries, Entry("TRAILER!!!", 0)), start=1):
        name = entry.name.encode() + b"\0"
        fields = (number, entry.mode, 0, 0, 1, 0, len(entry.data), 0, 0, *entry.device, len(name), 0)
        out += b"070701" + b"".join(b"%08X" % field for field in fields) + name
        out += b"\0" * (-len(out) % 4)
        out += entry.data
        out += b"\0" * (-len(out) % 4)
    return bytes(out)
