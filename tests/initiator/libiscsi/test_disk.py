"""A LUN as a file: what Python's own code for files does with it, and a file in memory as the judge."""

from __future__ import annotations

import errno
import io
import os
import shutil
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.errors import InputError, LunReadOnlyError
from pyvmiscsi.initiator.libiscsi import RawDisk, open_lun
from tests.fakes.luns import MemoryLun
from tests.initiator.puppet import Disk, Puppet, sense
from tests.initiator.tgtd import Target, Tgtd

MIB = 1024 * 1024


@pytest.fixture
def target(daemon: Tgtd) -> Target:
    return daemon.target()


@pytest.fixture(params=[512, 4096])
def file(target: Target, request: pytest.FixtureRequest) -> Path:
    return target.lun(1, size=4 * MIB, serial="5c4ae0d1b2f7-00", sector=request.param)


@pytest.fixture
def disk(target: Target, file: Path) -> Iterator[RawDisk]:
    assert file.exists()
    with open_lun(target.daemon.portal, target.iqn, 1) as disk:
        yield disk


def test_has_the_luns_size_and_serial(disk: RawDisk) -> None:
    assert (disk.size.bytes, disk.serial) == (4 * MIB, "5c4ae0d1b2f7-00")
    assert disk.seek(0, os.SEEK_END) == 4 * MIB
    assert disk.tell() == 4 * MIB
    assert disk.read(1) == b""


def test_copies_to_and_from_other_files(disk: RawDisk, file: Path, tmp_path: Path) -> None:
    data = os.urandom(4 * MIB)
    shutil.copyfileobj(io.BytesIO(data), disk)
    disk.flush()
    assert file.read_bytes() == data
    disk.seek(0)
    with (tmp_path / "copy").open("wb") as copy:
        shutil.copyfileobj(disk, copy)
    assert (tmp_path / "copy").read_bytes() == data


def test_keeps_a_zip_archive_with_buffers_around_it(disk: RawDisk) -> None:
    disk.pwrite(b"boot", 0)
    with io.BufferedRandom(disk, 64 * 1024) as buffered:
        buffered.seek(3 * MIB + 7)
        with zipfile.ZipFile(buffered, "w") as archive:
            archive.writestr("notes.txt", "whatever" * 1000)
        end = buffered.tell()
        buffered.seek(3 * MIB + 7)
        kept = io.BytesIO(buffered.read(end - buffered.tell()))
        with zipfile.ZipFile(kept) as archive:
            assert archive.read("notes.txt") == b"whatever" * 1000
    assert disk.closed


def test_what_was_written_is_in_the_file_once_the_block_has_ended(target: Target, file: Path) -> None:
    with open_lun(str(target.daemon.portal), target.iqn, 1) as disk:
        disk.seek(-100, os.SEEK_END)
        assert disk.write(b"x" * 200) == 100
        with pytest.raises(OSError, match="No space left") as caught:
            disk.write(b"x")
        assert caught.value.errno == errno.ENOSPC
    assert file.read_bytes() == bytes(4 * MIB - 100) + b"x" * 100


def test_lets_go_of_any_bytes(disk: RawDisk, file: Path) -> None:
    data = os.urandom(4 * MIB)
    disk.pwrite(data, 0)
    expected = bytearray(data)
    for offset, length in ((0, 0), (1000, 10), (5000, 100), (8192, 4096), (MIB + 1, 2 * MIB), (4 * MIB - 5, 500)):
        disk.discard(length, offset)
        end = min(offset + length, 4 * MIB)
        expected[offset:end] = bytes(end - offset)
    disk.flush()
    assert file.read_bytes() == bytes(expected)


def test_refuses_what_no_lun_can_do_as_files_do() -> None:
    disk = RawDisk(MemoryLun(bytearray(8192)))
    assert (disk.readable(), disk.writable(), disk.seekable()) == (True, True, True)
    with pytest.raises(io.UnsupportedOperation):
        disk.truncate(100)
    with pytest.raises(io.UnsupportedOperation):
        disk.fileno()
    for wrong in (lambda: disk.seek(-1), lambda: disk.pread(1, -1), lambda: disk.pwrite(b"x", -1)):
        with pytest.raises(OSError, match="Invalid argument"):
            wrong()
    with pytest.raises(ValueError, match="whence 9"):
        disk.seek(0, 9)
    disk.close()
    for closed in (lambda: disk.read(1), lambda: disk.write(b"x"), lambda: disk.seek(0), disk.readable):
        with pytest.raises(ValueError, match="closed"):
            closed()


def test_is_flushed_once_for_what_was_written_and_not_for_what_was_read() -> None:
    lun = MemoryLun(bytearray(8192))
    with RawDisk(lun) as disk:
        disk.read(10)
    assert not lun.flushed
    with RawDisk(lun) as disk:
        disk.write(b"x")
    assert lun.flushed


def test_a_flush_that_failed_is_tried_again() -> None:
    class Failing(MemoryLun):
        def flush(self) -> None:
            failing.pop()
            super().flush()

    failing, lun = [True], Failing(bytearray(8192))
    disk = RawDisk(lun)
    disk.write(b"x")
    failing.clear()
    with pytest.raises(IndexError):
        disk.flush()
    failing.append(True)
    disk.close()
    assert lun.flushed


def test_a_write_that_ends_after_somebody_elses_flush_is_flushed_as_well() -> None:
    class Slow(MemoryLun):
        def pwrite(self, data: bytes | bytearray | memoryview, offset: int) -> int:
            shared.flush()  # another thread's, while this write is on its way
            return super().pwrite(data, offset)

    lun = Slow(bytearray(8192))
    shared = RawDisk(lun)
    shared.write(b"x" * 512)
    shared.flush()
    assert lun.flushed


def test_a_flush_waits_for_one_that_is_on_its_way() -> None:
    class Slow(MemoryLun):
        def flush(self) -> None:
            begun.set()
            assert end.wait(10)
            super().flush()

    begun, end = threading.Event(), threading.Event()
    lun = Slow(bytearray(8192))
    disk = RawDisk(lun)
    disk.write(b"x" * 512)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(disk.flush)
        assert begun.wait(10)
        second = pool.submit(disk.flush)
        with pytest.raises(TimeoutError):
            second.result(timeout=0.1)
        end.set()
        first.result(timeout=10)
        second.result(timeout=10)
    assert lun.flushed


steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(0, 8300), st.binary(max_size=1500)),
        st.tuples(st.just("read"), st.integers(0, 8300), st.integers(0, 2000)),
        st.tuples(st.just("discard"), st.integers(0, 8300), st.integers(0, 2000)),
    ),
    max_size=12,
)


@given(steps, st.integers(0, 3))
def test_any_reads_and_writes_are_those_of_a_file_of_its_size(
    todo: list[tuple[str, int, bytes | int]], buffered: int
) -> None:
    lun, judge = MemoryLun(bytearray(range(256)) * 32), bytearray(range(256)) * 32
    raw = RawDisk(lun)
    disk = io.BufferedRandom(raw, 700) if buffered == 0 else raw
    for what, at, how in todo:
        end = min(at + (len(how) if isinstance(how, bytes) else how), 8192)
        length = max(end - at, 0)
        if isinstance(how, bytes):
            disk.seek(min(at, 8192))
            assert disk.write(how[:length]) == length
            judge[at:end] = how[:length]
        elif what == "read":
            disk.seek(at)
            assert disk.read(how) == bytes(judge[at : at + how])
        else:
            disk.flush()
            raw.discard(how, at)
            judge[at:end] = bytes(length)
    disk.flush()
    assert lun.data == judge


def test_what_the_lun_refuses_is_told_and_the_session_is_closed() -> None:
    with Puppet(disk=Disk(), refuse=lambda block: sense(7, 0x27, 0) if block[0] == 0x8A else None) as puppet:
        with pytest.raises(LunReadOnlyError), open_lun(puppet.portal, "iqn.2026-01.org.example:ro", 1) as disk:
            disk.write(b"x")
        assert puppet.cdbs[-1][0] in (0x8A, 0x35)
    with pytest.raises(InputError), open_lun("10.0.0.1", "no target"):
        pass
