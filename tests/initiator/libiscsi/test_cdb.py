"""Command bytes against the tables of SPC-4 and SBC-3."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.initiator.libiscsi import cdb


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (cdb.TEST_UNIT_READY, "00 00 00 00 00 00"),
        (cdb.inquiry(96), "12 00 00 00 60 00"),
        (cdb.inquiry_page(0x83, 0x0400), "12 01 83 04 00 00"),
        (cdb.report_luns(0x1000), "a0 00 00 00 00 00 00 00 10 00 00 00"),
        (cdb.read_capacity(32), "9e 10 00 00 00 00 00 00 00 00 00 00 00 20 00 00"),
        (cdb.lba_status(0x0102030405060708, 0x1008), "9e 12 01 02 03 04 05 06 07 08 00 00 10 08 00 00"),
        (cdb.read(0x0102030405060708, 0x0A0B), "88 00 01 02 03 04 05 06 07 08 00 00 0a 0b 00 00"),
        (cdb.write(0x0102030405060708, 0x0A0B), "8a 00 01 02 03 04 05 06 07 08 00 00 0a 0b 00 00"),
        (cdb.synchronize_cache(), "35 00 00 00 00 00 00 00 00 00"),
        (cdb.unmap(24), "42 00 00 00 00 00 00 00 18 00"),
        (cdb.unmap_list(((0x10, 0x20),)), "00 16 00 10 00 00 00 00 00 00 00 00 00 00 00 10 00 00 00 20 00 00 00 00"),
        (cdb.write_same(0x10, 0x20, unmap=True), "93 08 00 00 00 00 00 00 00 10 00 00 00 20 00 00"),
        (cdb.persistent_reserve_in(1, 256), "5e 01 00 00 00 00 00 01 00 00"),
        (cdb.persistent_reserve_out(4, scope=0, kind=5, length=24), "5f 04 05 00 00 00 00 00 18 00"),
        (
            cdb.persistent_reserve_out_list(0x11, 0x22, aptpl=True),
            "00 00 00 00 00 00 00 11 00 00 00 00 00 00 00 22 00 00 00 00 01 00 00 00",
        ),
    ],
)
def test_bytes_stand_where_the_standard_puts_them(made: bytes, expected: str) -> None:
    assert made.hex(" ") == expected


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1))
def test_reads_and_writes_keep_any_sector_and_count(sector: int, count: int) -> None:
    for made in (cdb.read(sector, count), cdb.write(sector, count)):
        assert len(made) == 16
        assert int.from_bytes(made[2:10], "big") == sector
        assert int.from_bytes(made[10:14], "big") == count
