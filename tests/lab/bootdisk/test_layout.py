"""The bytes of the boot disk: partition table, archive, the lab's line."""

from __future__ import annotations

import struct
import uuid
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.lab.bootdisk.layout import (
    MIB,
    Entry,
    Layout,
    archive,
    character_device,
    directory,
    line,
    link,
    partition_table,
    program,
)

_SECTORS = pytest.mark.parametrize("sector", [512, 4096])
_DISK = uuid.UUID("11111111-2222-3333-4444-555555555555")


def _disk(layout: Layout) -> bytes:
    image = bytearray(layout.size)
    for offset, piece in partition_table(layout, _DISK):
        image[offset : offset + len(piece)] = piece
    return bytes(image)


def _header(image: bytes, sector: int, block: int) -> tuple[object, ...]:
    raw = image[block * sector :][:92]
    fields = struct.unpack("<8sIIIIQQQQ16sQIII", raw)
    blanked = raw[:16] + b"\0\0\0\0" + raw[20:]
    assert fields[3] == zlib.crc32(blanked), "the header's own checksum"
    return fields


@_SECTORS
def test_both_partition_tables_are_sound_and_name_each_other(sector: int) -> None:
    image = _disk(Layout(64 * MIB, sector))
    last = len(image) // sector - 1
    first, backup = _header(image, sector, 1), _header(image, sector, last)
    assert (first[0], first[5], first[6]) == (b"EFI PART", 1, last)
    assert (backup[0], backup[5], backup[6]) == (b"EFI PART", last, 1)
    for header in (first, backup):
        at = header[10]
        assert isinstance(at, int)
        assert zlib.crc32(image[at * sector :][: 128 * 128]) == header[13]


@_SECTORS
def test_partitions_keep_clear_of_the_tables_and_of_each_other(sector: int) -> None:
    layout = Layout(64 * MIB, sector)
    image = _disk(layout)
    usable_first, usable_last = (int(str(n)) for n in _header(image, sector, 1)[7:9])
    extents = [struct.unpack_from("<QQ", image, 2 * sector + 128 * n + 32) for n in range(2)]
    assert [first * sector for first, _ in extents] == [layout.esp_start, layout.line_start]
    assert usable_first <= extents[0][0] <= extents[0][1] < extents[1][0] <= extents[1][1] <= usable_last


def test_the_first_block_carries_a_protective_partition() -> None:
    image = _disk(Layout(64 * MIB, 512))
    assert image[510:512] == b"\x55\xaa"
    assert image[446 + 4] == 0xEE


def test_the_line_is_one_block_that_a_shell_can_read() -> None:
    text = line("web1", "stay")
    assert text.startswith(b"PYVMISCSI-BOOTDISK web1 stay 0\n")
    assert len(text) == 4096


def _unpack(data: bytes) -> list[Entry]:
    """A reader of newc archives, after cpio(5)."""
    entries: list[Entry] = []
    at = 0
    while True:
        assert data[at : at + 6] == b"070701"
        fields = [int(data[at + 6 + 8 * n :][:8], 16) for n in range(13)]
        name = data[at + 110 :][: fields[11] - 1].decode()
        body = at + (110 + fields[11] + 3) // 4 * 4
        if name == "TRAILER!!!":
            return entries
        entries.append(Entry(name, fields[1], data[body : body + fields[6]], (fields[9], fields[10])))
        at = body + (fields[6] + 3) // 4 * 4


@given(
    st.lists(
        st.one_of(
            st.builds(directory, st.from_regex(r"[a-z]{1,12}", fullmatch=True)),
            st.builds(program, st.from_regex(r"[a-z/.]{1,20}", fullmatch=True), st.binary(max_size=40)),
            st.builds(link, st.from_regex(r"[a-z]{1,9}", fullmatch=True), st.just("busybox")),
            st.builds(character_device, st.just("dev/console"), st.integers(0, 255), st.integers(0, 255)),
        )
    )
)
def test_an_archive_reads_back_as_what_went_in(entries: list[Entry]) -> None:
    assert _unpack(archive(entries)) == entries
