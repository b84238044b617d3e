"""Command descriptor blocks: the bytes of each SCSI command that pyvmiscsi sends (SPC-4, SBC-3)."""

from __future__ import annotations

import struct

TEST_UNIT_READY = bytes(6)


def inquiry(length: int = 252) -> bytes:
    """INQUIRY: the standard data (SPC-4 6.6)."""
    return struct.pack(">BBBHB", 0x12, 0, 0, length, 0)


def inquiry_page(page: int, length: int = 1024) -> bytes:
    """INQUIRY for a vital product data page (SPC-4 6.6)."""
    return struct.pack(">BBBHB", 0x12, 1, page, length, 0)


def report_luns(length: int) -> bytes:
    """REPORT LUNS: all that this initiator may use (SPC-4 6.33)."""
    return struct.pack(">BxB3xIxx", 0xA0, 0, length)


def read_capacity(length: int = 32) -> bytes:
    """READ CAPACITY(16) (SBC-3 5.16)."""
    return struct.pack(">BBQIBx", 0x9E, 0x10, 0, length, 0)


def read_capacity10() -> bytes:
    """READ CAPACITY(10), for a LUN that knows no 16-byte commands (SBC-3 5.15)."""
    return struct.pack(">BBI4x", 0x25, 0, 0)


def lba_status(sector: int, length: int) -> bytes:
    """GET LBA STATUS(16) from `sector` on (SBC-3 5.5)."""
    return struct.pack(">BBQIxx", 0x9E, 0x12, sector, length)


def read(sector: int, count: int) -> bytes:
    """READ(16) (SBC-3 5.13)."""
    return struct.pack(">BBQIxx", 0x88, 0, sector, count)


def write(sector: int, count: int) -> bytes:
    """WRITE(16) (SBC-3 5.34)."""
    return struct.pack(">BBQIxx", 0x8A, 0, sector, count)


def read10(sector: int, count: int) -> bytes:
    """READ(10): the first 2 TiB, up to 65,535 sectors at once (SBC-3 5.11)."""
    return struct.pack(">BBIxHx", 0x28, 0, sector, count)


def write10(sector: int, count: int) -> bytes:
    """WRITE(10): the first 2 TiB, up to 65,535 sectors at once (SBC-3 5.32)."""
    return struct.pack(">BBIxHx", 0x2A, 0, sector, count)


def compare_and_write(sector: int, count: int) -> bytes:
    """COMPARE AND WRITE of up to 255 sectors: what is expected there, then what takes its place (SBC-3 5.3)."""
    return struct.pack(">BBQxxxBxx", 0x89, 0, sector, count)


def first_sector(cdb: bytes) -> int:
    """Where a READ or WRITE of 10 or 16 bytes, or a WRITE SAME(16), begins."""
    return int.from_bytes(cdb[2:6] if len(cdb) == 10 else cdb[2:10], "big")


def synchronize_cache() -> bytes:
    """SYNCHRONIZE CACHE(10) of the whole disk (SBC-3 5.22)."""
    return struct.pack(">BBIxHx", 0x35, 0, 0, 0)


def synchronize_cache16() -> bytes:
    """SYNCHRONIZE CACHE(16) of the whole disk (SBC-3 5.23)."""
    return struct.pack(">BBQIxx", 0x91, 0, 0, 0)


def unmap(length: int) -> bytes:
    """UNMAP with a parameter list of `length` bytes (SBC-3 5.28)."""
    return struct.pack(">BBIBHx", 0x42, 0, 0, 0, length)


def unmap_list(ranges: tuple[tuple[int, int], ...]) -> bytes:
    """The parameter list of UNMAP: pairs of first sector and count (SBC-3 5.28.2)."""
    blocks = b"".join(struct.pack(">QIxxxx", sector, count) for sector, count in ranges)
    return struct.pack(">HHxxxx", len(blocks) + 6, len(blocks)) + blocks


def write_same(sector: int, count: int, *, unmap: bool) -> bytes:
    """WRITE SAME(16) of one block of data to `count` sectors (SBC-3 5.44)."""
    return struct.pack(">BBQIxx", 0x93, 0x08 if unmap else 0, sector, count)


def persistent_reserve_in(action: int, length: int) -> bytes:
    """PERSISTENT RESERVE IN (SPC-4 6.15): 0 read keys, 1 read reservation, 2 report capabilities, 3 full status."""
    return struct.pack(">BB5xHx", 0x5E, action, length)


def persistent_reserve_out(action: int, *, scope: int, kind: int, length: int) -> bytes:
    """PERSISTENT RESERVE OUT (SPC-4 6.16).

    Actions: 0 register, 1 reserve, 2 release, 3 clear, 4 preempt, 5 preempt and abort, 6 register and ignore.
    """
    return struct.pack(">BBBxxIx", 0x5F, action, scope << 4 | kind, length)


def persistent_reserve_out_list(key: int, service_key: int, *, aptpl: bool = False) -> bytes:
    """The basic parameter list of PERSISTENT RESERVE OUT, 24 bytes (SPC-4 6.16.3)."""
    return struct.pack(">QQ4xBxxx", key, service_key, 0x01 if aptpl else 0)


_NAMES = {
    0x00: "TEST UNIT READY",
    0x12: "INQUIRY",
    0x25: "READ CAPACITY(10)",
    0x28: "READ(10)",
    0x2A: "WRITE(10)",
    0x35: "SYNCHRONIZE CACHE(10)",
    0x42: "UNMAP",
    0x5E: "PERSISTENT RESERVE IN",
    0x5F: "PERSISTENT RESERVE OUT",
    0x88: "READ(16)",
    0x89: "COMPARE AND WRITE",
    0x8A: "WRITE(16)",
    0x91: "SYNCHRONIZE CACHE(16)",
    0x93: "WRITE SAME(16)",
    0xA0: "REPORT LUNS",
}
_SERVICE_ACTIONS = {0x10: "READ CAPACITY(16)", 0x12: "GET LBA STATUS"}


def words(block: bytes) -> str:
    """What a command is, for messages: `WRITE(16) of 8 sectors at 2048`."""
    verb = block[0]
    name = _NAMES.get(verb, f"command {verb:#04x}")
    if verb == 0x9E:
        return _SERVICE_ACTIONS.get(block[1] & 0x1F, name)
    if verb in (0x88, 0x8A, 0x93):
        sector, count = struct.unpack_from(">QI", block, 2)
    elif verb in (0x28, 0x2A):
        sector, count = struct.unpack_from(">IxH", block, 2)
    elif verb == 0x89:
        sector, count = struct.unpack_from(">QxxxB", block, 2)
    else:
        return name
    return f"{name} of {count} sector{'' if count == 1 else 's'} at {sector}"
