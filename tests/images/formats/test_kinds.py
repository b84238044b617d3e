"""What a file is, by its first bytes."""

from __future__ import annotations

import pytest

from pyvmiscsi.errors import ImageError
from pyvmiscsi.images.formats.kinds import HEAD, Foreign, Format, format_named, format_of, refuse_packed
from tests.images.packed_images import PACKED, SUFFIX, packed

MBR = bytes(510) + b"\x55\xaa"


@pytest.mark.parametrize("kind", PACKED)
def test_knows_what_is_packed_whatever_its_name(kind: Format) -> None:
    assert format_of(packed(kind, MBR), "disk") is kind
    assert format_of(packed(kind, MBR), f"disk{SUFFIX[kind]}") is kind


@pytest.mark.parametrize("head", [MBR, bytes(HEAD), b"x", b"\xeb\x3c\x90MSDOS5.0"])
def test_takes_for_a_raw_disk_what_has_no_magic(head: bytes) -> None:
    assert format_of(head, "disk.img") is Format.RAW


def test_knows_a_zstd_file_that_begins_with_a_skippable_frame() -> None:
    assert format_of(b"\x50\x2a\x4d\x18" + bytes(8), "disk") is Format.ZSTD


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"KDMV" + bytes(508), Foreign.VMDK),
        (b"vhdxfile" + bytes(504), Foreign.VHDX),
        (b"conectix" + bytes(504), Foreign.VHD),
        (bytes(64) + b"\x7f\x10\xda\xbe" + bytes(64), Foreign.VDI),
    ],
)
def test_knows_what_others_write(head: bytes, kind: Foreign) -> None:
    assert format_of(head, "disk.img") is kind


def test_takes_for_a_vhd_what_is_named_so_and_begins_like_a_raw_disk() -> None:
    assert format_of(MBR, "disk.vhd") is Foreign.VHD


@pytest.mark.parametrize("name", ["disk.gz", "disk.XZ", "disk.raw.zst", "disk.qcow2", "disk.vmdk"])
def test_refuses_a_file_that_is_not_what_its_name_says(name: str) -> None:
    with pytest.raises(ImageError, match="is named"):
        format_of(MBR, name)
    assert format_named(name) is not Format.RAW


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (b"# Disk DescriptorFile\n", "VMware disk's description"),
        (b"COWD" + bytes(508), "VMware disk of old"),
        (b"PK\x03\x04" + bytes(508), "zip"),
        (bytes(257) + b"ustar\0", "tar"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"\n  <HTML><head>", "web page"),
    ],
)
def test_refuses_what_is_no_disk_for_us_by_its_name(head: bytes, what: str) -> None:
    with pytest.raises(ImageError, match=what):
        format_of(head, "disk.img")


@pytest.mark.parametrize("inside", [b"QFI\xfb" + bytes(500), packed(Format.GZIP, MBR), bytes(257) + b"ustar\0"])
def test_refuses_what_is_packed_twice(inside: bytes) -> None:
    with pytest.raises(ImageError, match=r"disk\.gz"):
        refuse_packed(inside, "disk.gz")


def test_takes_a_raw_disk_out_of_a_packed_file() -> None:
    refuse_packed(MBR, "disk.gz")
