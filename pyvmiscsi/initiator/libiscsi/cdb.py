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


def lba_status(sector: int, length: int) -> bytes:
    """GET LBA STATUS(16) from `sector` on (SBC-3 5.5)."""
    return struct.pack(">BBQIxx", 0x9E, 0x12, sector, length)


def read(sector: int, count: int) -> bytes:
    """READ(16) (SBC-3 5.13)."""
    return struct.pack(">BBQIxx", 0x88, 0, sector, count)


def write(sector: int, count: int) -> bytes:
    """WRITE(16) (SBC-3 5.34)."""
    return struct.pack(">BBQIxx", 0x8A, 0, sector, count)


def synchronize_cache() -> bytes:
    """SYNCHRONIZE CACHE(10) of the whole disk (SBC-3 5.22)."""
    return struct.pack(">BBIxHx", 0x35, 0, 0, 0)


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
