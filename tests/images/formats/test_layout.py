"""A raw disk is told by its partition table, an ISO by its volume descriptor, and one that is both by both."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from pyvmiscsi.images.formats.layout import HEAD, layout_of
from pyvmiscsi.images.length import layout_in


def disk(*parts: tuple[int, bytes]) -> bytes:
    head = bytearray(HEAD)
    for at, data in parts:
        head[at : at + len(data)] = data
    return bytes(head)


ISO, GPT, GPT_4K = (32769, b"CD001\x01"), (512, b"EFI PART"), (4096, b"EFI PART")
SIGNATURE, PARTITION, PROTECTIVE = (510, b"\x55\xaa"), (462, b"\x80\0\0\0\xa5"), (446, b"\0\0\0\0\xee")


@pytest.mark.parametrize(
    ("head", "layout"),
    [
        (disk(), None),
        (b"", None),
        (disk(SIGNATURE), None),
        (disk(PARTITION), None),
        (disk(SIGNATURE, PARTITION, (446, b"boot code")), None),
        (disk(SIGNATURE, PARTITION), "MBR"),
        (disk(SIGNATURE, PROTECTIVE, GPT), "GPT"),
        (disk(SIGNATURE, PROTECTIVE, GPT_4K), "GPT"),
        (disk(ISO), "ISO 9660"),
        (disk(ISO, SIGNATURE, PARTITION), "ISO 9660, MBR"),
        (disk(ISO, SIGNATURE, PROTECTIVE, GPT), "ISO 9660, GPT"),
    ],
)
def test_layout(head: bytes, layout: str | None) -> None:
    assert layout_of(head) == layout


def test_only_a_raw_disk_shows_its_layout_before_it_is_read(tmp_path: Path) -> None:
    place = tmp_path / "disk"
    place.write_bytes(disk(ISO))
    assert layout_in(str(place)) == "ISO 9660"
    place.write_bytes(gzip.compress(disk(ISO)))
    assert layout_in(str(place)) is None
    assert layout_in("-") is None
