"""Our command bytes beside those that libiscsi itself makes: two hands, one standard."""

from __future__ import annotations

from typing import Any

import cffi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.initiator.libiscsi import cdb, library

THEIRS = """
struct scsi_task { int status; int cdb_size; int xfer_dir; int expxferlen; unsigned char cdb[16]; };
struct scsi_task *scsi_cdb_testunitready(void);
struct scsi_task *scsi_cdb_inquiry(int evpd, int page_code, int alloc_len);
struct scsi_task *scsi_reportluns_cdb(int report_type, int alloc_len);
struct scsi_task *scsi_cdb_readcapacity10(int lba, int pmi);
struct scsi_task *scsi_cdb_readcapacity16(void);
struct scsi_task *scsi_cdb_get_lba_status(uint64_t lba, uint32_t alloc_len);
struct scsi_task *scsi_cdb_read10(uint32_t lba, uint32_t bytes, int sector, int, int, int, int, int group);
struct scsi_task *scsi_cdb_read16(uint64_t lba, uint32_t bytes, int sector, int, int, int, int, int group);
struct scsi_task *scsi_cdb_write10(uint32_t lba, uint32_t bytes, int sector, int, int, int, int, int group);
struct scsi_task *scsi_cdb_write16(uint64_t lba, uint32_t bytes, int sector, int, int, int, int, int group);
struct scsi_task *scsi_cdb_compareandwrite(uint64_t lba, uint32_t bytes, int sector, int, int, int, int, int group);
struct scsi_task *scsi_cdb_synchronizecache10(int lba, int count, int syncnv, int immed);
struct scsi_task *scsi_cdb_synchronizecache16(uint64_t lba, uint32_t count, int syncnv, int immed);
struct scsi_task *scsi_cdb_unmap(int anchor, int group, uint16_t bytes);
struct scsi_task *scsi_cdb_writesame16(int, int anchor, int unmap, uint64_t lba, int group, uint32_t count, uint32_t);
struct scsi_task *scsi_cdb_persistent_reserve_in(int action, uint16_t alloc_len);
struct scsi_persistent_reserve_out_basic {
  uint64_t key; uint64_t service_key; uint8_t spec_i_pt; uint8_t all_tg_pt; uint8_t aptpl;
};
struct scsi_task *scsi_cdb_persistent_reserve_out(int action, int scope, int kind, void *params);
void scsi_free_scsi_task(struct scsi_task *);
"""

sectors = st.integers(0, 2**64 - 1)
sectors10 = st.integers(0, 2**32 - 1)
counts = st.integers(0, 2**20)
lengths = st.integers(0, 2**16 - 1)
tails = (0, 0, 0, 0, 0)  # protection, DPO, FUA, FUA_NV, group


class Judge:
    """libiscsi's encoders; `made(name, …)` is the CDB that one makes."""

    def __init__(self) -> None:
        self.ffi = cffi.FFI()
        self.ffi.cdef(THEIRS)  # the task is only read by its head, through a pointer
        self.lib: Any = self.ffi.dlopen(library.load().soname)

    def made(self, name: str, *words: Any) -> bytes:
        task = getattr(self.lib, name)(*words)
        assert task != self.ffi.NULL
        try:
            return bytes(task.cdb)[: task.cdb_size]
        finally:
            self.lib.scsi_free_scsi_task(task)


JUDGE = Judge()
made = JUDGE.made


def test_what_has_no_number_in_it() -> None:
    assert made("scsi_cdb_testunitready") == cdb.TEST_UNIT_READY
    assert made("scsi_cdb_readcapacity10", 0, 0) == cdb.read_capacity10()
    assert made("scsi_cdb_synchronizecache10", 0, 0, 0, 0) == cdb.synchronize_cache()
    assert made("scsi_cdb_synchronizecache16", 0, 0, 0, 0) == cdb.synchronize_cache16()
    theirs = made("scsi_cdb_readcapacity16")
    assert theirs == cdb.read_capacity(int.from_bytes(theirs[10:14], "big"))


@given(lengths, st.integers(0, 255))
def test_inquiries(length: int, page: int) -> None:
    assert made("scsi_cdb_inquiry", 0, 0, length) == cdb.inquiry(length)
    assert made("scsi_cdb_inquiry", 1, page, length) == cdb.inquiry_page(page, length)


@given(st.integers(0, 2**31 - 1))
def test_report_luns(length: int) -> None:
    assert made("scsi_reportluns_cdb", 0, length) == cdb.report_luns(length)


@given(sectors, counts)
def test_reads_and_writes_of_16_bytes(sector: int, count: int) -> None:
    assert made("scsi_cdb_read16", sector, count * 512, 512, *tails) == cdb.read(sector, count)
    assert made("scsi_cdb_write16", sector, count * 512, 512, *tails) == cdb.write(sector, count)


@given(sectors10, lengths)
def test_reads_and_writes_of_10_bytes(sector: int, count: int) -> None:
    assert made("scsi_cdb_read10", sector, count * 512, 512, *tails) == cdb.read10(sector, count)
    assert made("scsi_cdb_write10", sector, count * 512, 512, *tails) == cdb.write10(sector, count)


@given(sectors, st.integers(0, 255))
def test_compare_and_write(sector: int, count: int) -> None:
    both = 2 * count * 512  # what is expected, and what takes its place
    assert made("scsi_cdb_compareandwrite", sector, both, 512, *tails) == cdb.compare_and_write(sector, count)


@given(sectors, st.integers(0, 2**32 - 1), st.booleans())
def test_letting_go(sector: int, count: int, unmap: bool) -> None:
    theirs = made("scsi_cdb_writesame16", 0, 0, int(unmap), sector, 0, count, 512)
    assert theirs == cdb.write_same(sector, count, unmap=unmap)


@given(lengths)
def test_unmap(length: int) -> None:
    assert made("scsi_cdb_unmap", 0, 0, length) == cdb.unmap(length)


@given(sectors, st.integers(0, 2**32 - 1))
def test_lba_status(sector: int, length: int) -> None:
    assert made("scsi_cdb_get_lba_status", sector, length) == cdb.lba_status(sector, length)


@given(st.integers(0, 3), lengths)
def test_persistent_reserve_in(action: int, length: int) -> None:
    assert made("scsi_cdb_persistent_reserve_in", action, length) == cdb.persistent_reserve_in(action, length)


@pytest.mark.parametrize("action", range(7))
@pytest.mark.parametrize("kind", [0, 1, 3, 5, 6, 7, 8])
def test_persistent_reserve_out(action: int, kind: int) -> None:
    params = JUDGE.ffi.new("struct scsi_persistent_reserve_out_basic *")
    ours = cdb.persistent_reserve_out(action, scope=0, kind=kind, length=24)
    assert made("scsi_cdb_persistent_reserve_out", action, 0, kind, params) == ours
