"""A LUN as a block device of this process, against a real tgtd."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyvmiscsi.errors import InputError, LunReadOnlyError, ProofError, ScsiError
from pyvmiscsi.initiator.libiscsi import LibiscsiAccess, LibiscsiDevice, cdb
from pyvmiscsi.names import Iqn, Lun, LunAddress
from pyvmiscsi.ports import BlockAccess, Span
from pyvmiscsi.units import Size
from tests.initiator.tgtd import Target, Tgtd

MIB = 1024 * 1024


def address_of(target: Target, lun: int) -> LunAddress:
    return LunAddress(target.daemon.portal, Iqn(target.iqn), Lun(lun))


@pytest.fixture
def target(daemon: Tgtd) -> Target:
    return daemon.target()


@pytest.fixture
def file(target: Target) -> Path:
    return target.lun(1, size=16 * MIB, serial="5c4ae0d1b2f7-00")


@pytest.fixture
def device(target: Target, file: Path) -> Iterator[LibiscsiDevice]:
    assert file.exists()
    access: BlockAccess = LibiscsiAccess()
    with access.open(address_of(target, 1)) as device:
        assert isinstance(device, LibiscsiDevice)
        yield device


def test_knows_size_sector_and_serial(device: LibiscsiDevice) -> None:
    assert (device.size, device.sector, device.serial) == (Size(16 * MIB), Size(512), "5c4ae0d1b2f7-00")


@pytest.mark.parametrize(
    ("offset", "length"), [(0, 512), (512, 3 * MIB + 512), (MIB - 512, 10 * MIB), (16 * MIB - 512, 512)]
)
def test_writes_and_reads_any_whole_sectors(device: LibiscsiDevice, file: Path, offset: int, length: int) -> None:
    data = os.urandom(length)
    assert device.pwrite(data, offset) == length
    device.flush()
    assert device.pread(length, offset) == data
    assert file.read_bytes() == bytes(offset) + data + bytes(16 * MIB - offset - length)


def test_a_stream_gives_each_buffer_back_in_order(device: LibiscsiDevice, file: Path) -> None:
    pieces = [bytes([number]) * MIB for number in range(1, 17)]
    parts = [
        (at, piece[: device.longest_piece])
        for number, piece in enumerate(pieces)
        for at in range(number * MIB, (number + 1) * MIB, device.longest_piece)
    ]
    returned = list(device.write_stream(parts, depth=4))
    assert [bytes(buffer[:1]) for buffer in returned] == [piece[:1] for _, piece in parts]
    device.flush()
    assert file.read_bytes() == b"".join(pieces)


@pytest.mark.parametrize(("length", "offset"), [(511, 0), (512, 1), (1024, 16 * MIB - 512), (512, -512)])
def test_refuses_half_sectors_and_what_is_beyond_the_end(device: LibiscsiDevice, length: int, offset: int) -> None:
    with pytest.raises(InputError):
        device.pwrite(bytes(length), offset)
    with pytest.raises(InputError):
        device.pread(length, offset)


def test_counts_in_the_luns_own_sectors(target: Target) -> None:
    file = target.lun(2, size=4 * MIB, serial="big", sector=4096)
    data = os.urandom(MIB)
    with LibiscsiAccess().open(address_of(target, 2)) as device:
        assert device.sector == Size(4096)
        device.pwrite(data, 2 * MIB)
        with pytest.raises(InputError):
            device.pread(512, 0)
    assert file.read_bytes()[2 * MIB : 3 * MIB] == data


def test_a_controller_is_no_disk(target: Target, file: Path) -> None:
    assert file.exists()
    with pytest.raises(ProofError, match="no disk"), LibiscsiAccess().open(address_of(target, 0)):
        pass


def test_two_openings_see_each_others_bytes(target: Target, device: LibiscsiDevice) -> None:
    with LibiscsiAccess().open(address_of(target, 1)) as other:
        device.pwrite(b"x" * 512, 0)
        assert other.pread(512, 0) == b"x" * 512


@pytest.mark.parametrize(("offset", "length"), [(0, 16 * MIB), (MIB, 5 * MIB), (512, 3 * MIB), (16 * MIB - 512, 512)])
def test_zeros_take_the_place_of_what_was_there(device: LibiscsiDevice, file: Path, offset: int, length: int) -> None:
    data = os.urandom(16 * MIB)
    device.pwrite(data, 0)
    device.write_zeros(length, offset)
    assert file.read_bytes() == data[:offset] + bytes(length) + data[offset + length :]


@pytest.mark.parametrize("lie", ["it refuses", "it does nothing"])
def test_zeros_are_written_where_a_lun_does_not_keep_its_word(
    device: LibiscsiDevice, file: Path, lie: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    instead = bytes([0x93, 0xFF]) + bytes(14) if lie == "it refuses" else bytes(6)  # a reserved bit; TEST UNIT READY
    monkeypatch.setattr(cdb, "write_same", lambda _sector, _count, *, unmap: instead if unmap else b"")
    device.pwrite(os.urandom(16 * MIB), 0)
    device.write_zeros(16 * MIB, 0)
    assert file.read_bytes() == bytes(16 * MIB)


def test_zeros_are_written_where_only_a_part_of_a_large_block_is_let_go_of(
    device: LibiscsiDevice, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ZFS leaves it as it is; what is looked at first of it may be zero by itself."""
    write_same, block = cdb.write_same, 128 * 1024 // 512

    def whole_blocks(sector: int, count: int, *, unmap: bool) -> bytes:
        first, end = -(-sector // block) * block, (sector + count) // block * block
        return write_same(first, end - first, unmap=unmap)

    monkeypatch.setattr(cdb, "write_same", whole_blocks)
    start = 16 * 1024
    device.pwrite(bytes(start + 64 * 1024) + b"x" * (16 * MIB - start - 64 * 1024), 0)
    device.write_zeros(16 * MIB - start, start)
    assert file.read_bytes() == bytes(16 * MIB)


def test_tells_what_has_data_in_as_few_parts_as_can_be(device: LibiscsiDevice, file: Path) -> None:
    assert list(device.allocation(16 * MIB, 0)) == [Span(0, 16 * MIB, allocated=False)]
    device.pwrite(os.urandom(2 * MIB), 4 * MIB)
    device.pwrite(os.urandom(4096), 16 * MIB - 4096)
    whole = list(device.allocation(16 * MIB, 0))
    assert whole == [
        Span(0, 4 * MIB, allocated=False),
        Span(4 * MIB, 2 * MIB, allocated=True),
        Span(6 * MIB, 10 * MIB - 4096, allocated=False),
        Span(16 * MIB - 4096, 4096, allocated=True),
    ]
    assert list(device.allocation(MIB, 5 * MIB + 512)) == [
        Span(5 * MIB + 512, MIB - 512, allocated=True),
        Span(6 * MIB, 512, allocated=False),
    ]
    assert list(device.allocation(0, 0)) == []
    assert file.read_bytes()[: 4 * MIB] == bytes(4 * MIB)


def test_all_has_data_where_the_lun_refuses_to_tell(
    device: LibiscsiDevice, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert file.stat().st_blocks == 0
    asked: list[int] = []

    def unknown(sector: int, _length: int) -> bytes:
        asked.append(sector)
        return bytes([0x9E, 0x1F]) + bytes(14)

    monkeypatch.setattr(cdb, "lba_status", unknown)
    for _ in range(2):
        assert list(device.allocation(16 * MIB, 0)) == [Span(0, 16 * MIB, allocated=True)]
    assert asked == [0]


def test_reads_ahead_in_order(device: LibiscsiDevice) -> None:
    data = os.urandom(5 * MIB + 512)
    device.pwrite(data, MIB)
    pieces = list(device.read_stream(len(data), MIB))
    assert b"".join(pieces) == data
    assert max(len(piece) for piece in pieces) <= device.longest_piece


class TestALunThatTheNasChangesUnderItsUser:
    """On a real target; what tgtd cannot be brought to do, a puppet does in test_odd_targets.py."""

    def test_turned_read_only_says_so_and_is_still_read(self, target: Target, device: LibiscsiDevice) -> None:
        device.pwrite(b"x" * 512, 0)
        target.update(1, "readonly=1")
        with pytest.raises(LunReadOnlyError, match="the extent is read-only on the nas"):
            device.pwrite(b"y" * 512, 0)
        assert device.pread(512, 0) == b"x" * 512

    def test_made_smaller_says_so_for_what_is_gone(self, target: Target, device: LibiscsiDevice) -> None:
        target.grow(1, 8 * MIB)
        with pytest.raises(ScsiError, match="it has become smaller"):
            device.pwrite(b"y" * 512, 12 * MIB)

    def test_made_larger_is_gone_on_with(self, target: Target, device: LibiscsiDevice, file: Path) -> None:
        target.grow(1, 24 * MIB)
        device.pwrite(b"y" * 512, 12 * MIB)
        device.flush()
        assert file.read_bytes()[12 * MIB : 12 * MIB + 512] == b"y" * 512
        assert file.stat().st_size == 24 * MIB
