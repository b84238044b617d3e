"""Disks that other hypervisors write are the disk in them; one that would read other files is never opened."""

from __future__ import annotations

import gzip
import os
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.errors import ImageError
from pyvmiscsi.images.formats import vhd, vhdx, vmdk
from pyvmiscsi.images.formats.headers import head_of, header_of
from pyvmiscsi.images.formats.kinds import Foreign, Format, Kind
from pyvmiscsi.images.image import open_image
from pyvmiscsi.images.length import length_of
from tests.images.disks import spelt_out
from tests.images.web_server import Answer, serving

MIB = 1 << 20
DISK = os.urandom(MIB) + bytes(5 * MIB) + os.urandom(64 * 1024) + bytes(9 * MIB + MIB - 64 * 1024)
MADE = {
    "disk.vmdk": ("vmdk",),
    "stream.vmdk": ("vmdk", "-o", "subformat=streamOptimized"),
    "disk.vhd": ("vpc", "-o", "force_size=on"),
    "fixed.vhd": ("vpc", "-o", "subformat=fixed,force_size=on"),
    "disk.vhdx": ("vhdx",),
    "disk.vdi": ("vdi",),
    "fixed.vdi": ("vdi", "-o", "static=on"),
    "disk.qcow2": ("qcow2",),
}


def qemu_img(*words: str | Path) -> None:
    subprocess.run(["/usr/bin/qemu-img", *words], check=True, stdout=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one disk in all of these formats."""
    folder = tmp_path_factory.mktemp("foreign")
    raw = folder / "disk.raw"
    raw.write_bytes(DISK)
    for name, options in MADE.items():
        qemu_img("convert", "-f", "raw", "-O", *options, raw, folder / name)
    return folder


def read(place: Path | str) -> bytes:
    with open_image(str(place)) as content:
        return spelt_out(content.pieces(MIB // 2))


@pytest.mark.parametrize("name", MADE)
def test_is_the_disk_in_it(folder: Path, name: str) -> None:
    with open_image(str(folder / name)) as content:
        assert content.length == content.total == len(DISK) == length_of(str(folder / name))
        assert spelt_out(content.pieces(MIB // 2)) == DISK
        assert content.done == len(DISK)


@pytest.mark.parametrize("name", MADE)
def test_its_format_is_what_it_begins_or_ends_with(folder: Path, name: str, tmp_path: Path) -> None:
    place = tmp_path / "disk"
    place.symlink_to(folder / name)
    assert read(place) == DISK


@pytest.mark.parametrize("name", ["stream.vmdk", "fixed.vhd", "disk.vhd", "disk.vhdx"])
def test_comes_from_the_web(folder: Path, name: str) -> None:
    with serving({f"/{name}": Answer((folder / name).read_bytes())}) as web:
        assert length_of(f"{web}/{name}") == len(DISK)
        assert read(f"{web}/{name}") == DISK


def test_a_fixed_vhd_may_be_packed(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "disk.vhd.gz"
    place.write_bytes(gzip.compress((folder / "fixed.vhd").read_bytes(), 1))
    assert read(place) == DISK
    place.write_bytes(gzip.compress((folder / "fixed.vhd").read_bytes()[512:], 1))
    with pytest.raises(ImageError, match="cut short"):
        read(place)
    place.write_bytes(gzip.compress(DISK, 1))
    with pytest.raises(ImageError, match="checksum"):
        read(place)


def test_what_is_named_a_vhd_must_be_one(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "disk.vhd"
    place.write_bytes(DISK[:MIB])
    with pytest.raises(ImageError, match="is named vhd, and is not"):
        read(place)
    place.write_bytes((folder / "fixed.vhd").read_bytes()[4096:])
    with pytest.raises(ImageError, match="cut short"):
        read(place)


def test_a_vhd_is_as_large_as_it_says_whatever_its_geometry(tmp_path: Path) -> None:
    raw, place = tmp_path / "raw", tmp_path / "disk.vhd"
    raw.write_bytes(DISK + bytes(512 * 7))
    qemu_img("convert", "-f", "raw", "-O", "vpc", "-o", "force_size=on", raw, place)
    data = bytearray(place.read_bytes())
    for at in (0, len(data) - 512):  # as Virtual PC writes it: QEMU would go by the geometry
        footer = data[at : at + 512]
        footer[28:32] = b"vpc "
        footer[64:68] = struct.pack(">I", vhd.checksum_of(bytes(footer)))
        data[at : at + 512] = footer
    place.write_bytes(data)
    assert read(place) == raw.read_bytes()


@pytest.mark.parametrize("subformat", ["monolithicFlat", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat"])
def test_a_vmdk_of_several_files_is_refused(folder: Path, tmp_path: Path, subformat: str) -> None:
    place = tmp_path / "disk.vmdk"
    qemu_img("convert", "-f", "raw", "-O", "vmdk", "-o", f"subformat={subformat}", folder / "disk.raw", place)
    for one in tmp_path.iterdir():
        if "flat" not in one.name and "-f0" not in one.name:
            with pytest.raises(ImageError, match=r"VMware disk's description|in other files"):
                read(one)


def described(change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Change a VMDK's description, which stays as long as it is."""

    def changed(data: bytes) -> bytes:
        return data[:512] + change(data[512 : 21 * 512]).ljust(20 * 512, b"\0")[: 20 * 512] + data[21 * 512 :]

    return changed


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data[:12] + bytes(8) + data[20:], "one of several files"),
        (lambda data: data[:28] + bytes(8) + data[36:], "one of several files"),
        (lambda data: data[:28] + b"\xff" * 8 + data[36:], "no description"),
        (lambda data: data[:4] + b"\x09" + data[5:], "version 9"),
        (described(lambda text: text.replace(b"ffffffff", b"12345678")), "needs a parent"),
        (described(lambda text: text.rstrip(b"\0") + b'parentFileNameHint="/etc/passwd"\n'), "needs a parent"),
        (described(lambda text: text.replace(b"monolithicSparse", b"vmfs")), "in other files"),
        (described(lambda text: text.rstrip(b"\0") + b'RW 8 FLAT "/etc/passwd" 0\n'), "in other files"),
        (described(lambda _text: b""), "in other files"),
    ],
)
def test_a_vmdk_that_needs_other_files_is_never_opened(
    folder: Path, tmp_path: Path, change: Callable[[bytes], bytes], said: str
) -> None:
    place = tmp_path / "disk.vmdk"
    place.write_bytes(change((folder / "disk.vmdk").read_bytes()))
    with pytest.raises(ImageError, match=said):
        read(place)


def test_a_differencing_vhd_is_never_opened(folder: Path, tmp_path: Path) -> None:
    data = bytearray((folder / "disk.vhd").read_bytes())
    data[60:64] = struct.pack(">I", 4)
    place = tmp_path / "disk.vhd"
    place.write_bytes(data)
    with pytest.raises(ImageError, match="checksum"):
        read(place)
    data[64:68] = struct.pack(">I", vhd.checksum_of(bytes(data[:512])))
    place.write_bytes(data)
    with pytest.raises(ImageError, match="needs a parent"):
        read(place)


@pytest.mark.parametrize(
    ("item", "value", "said"),
    [
        ("37 67 a1 ca 36 fa 43 4d b3 b6 33 f0 aa 44 e7 6b", (4, b"\x02"), "needs a parent"),
        ("1d bf 41 81 6f a9 09 47 ba 47 f2 33 a8 fa ab 5f", (0, b"\0\x10"), "sectors of 4096"),
        ("24 42 a5 2f 1b cd 76 48 b2 11 5d be d8 3b f4 b8", (0, b"\x01"), "not whole sectors"),
    ],
)
def test_a_vhdx_that_cannot_be_a_disk_is_never_opened(
    folder: Path, item: str, value: tuple[int, bytes], said: str
) -> None:
    head = bytearray((folder / "disk.vhdx").read_bytes()[: vhdx.HEAD])
    entry = head.index(bytes.fromhex(item))
    table = head.index(b"metadata")
    at = table + struct.unpack_from("<I", head, entry + 16)[0] + value[0]
    head[at : at + len(value[1])] = value[1]
    with pytest.raises(ImageError, match=said):
        vhdx.VhdxHeader.parse(bytes(head), "disk.vhdx")


def test_a_vdi_that_needs_its_parent_is_never_opened(folder: Path, tmp_path: Path) -> None:
    data = (folder / "disk.vdi").read_bytes()
    place = tmp_path / "disk.vdi"
    for changed, said in (
        (data[:76] + b"\x04" + data[77:], "needs a parent"),
        (data[:440] + b"\x04" + data[441:], "needs a parent"),
        (data[:68] + b"\x04" + data[69:], "version"),
        (data[:368] + b"\x01" + data[369:], "whole sectors"),
        (data[:400], "cut short"),
    ):
        place.write_bytes(changed)
        with pytest.raises(ImageError, match=said):
            read(place)


@pytest.mark.parametrize("name", ["disk.vmdk", "stream.vmdk", "disk.vhd", "disk.vhdx", "disk.vdi"])
def test_what_is_cut_short_is_one_error(folder: Path, tmp_path: Path, name: str) -> None:
    data = (folder / name).read_bytes()
    place = tmp_path / name
    for length in (100, 511, 4096, MIB // 2):
        place.write_bytes(data[:length])
        with pytest.raises(ImageError, match=f"image {name}: "):
            read(place)


HEADS: dict[str, tuple[Kind, list[tuple[int, int]]]] = {
    "disk.vmdk": (Foreign.VMDK, [(0, 80), (512, 1024)]),
    "disk.vhd": (Foreign.VHD, [(0, 512)]),
    "disk.vhdx": (Foreign.VHDX, [(192 << 10, (192 << 10) + 96)]),  # and its metadata, wherever that is
    "disk.vdi": (Foreign.VDI, [(64, 512)]),
    "disk.qcow2": (Format.QCOW2, [(0, 128)]),
}


@pytest.mark.parametrize("name", HEADS)
def test_any_header_is_whole_sectors_or_one_error(folder: Path, name: str) -> None:
    kind, places = HEADS[name]
    with (folder / name).open("rb") as file:
        whole = file.read(min(head_of(kind), 4 * MIB))
    if kind is Foreign.VHDX:
        at = whole.index(b"metadata")
        places = [*places, (at, at + 256), (at + (64 << 10), at + (64 << 10) + 64)]

    @given(
        st.lists(
            st.tuples(st.sampled_from(places), st.integers(0, 1 << 20), st.binary(min_size=1, max_size=8)), max_size=4
        )
    )
    def check(changes: list[tuple[tuple[int, int], int, bytes]]) -> None:
        head = bytearray(whole)
        for (start, end), where, data in changes:
            at = start + where % (end - start)
            head[at : at + len(data)] = data
        try:
            header = header_of(kind, bytes(head), name)
        except ImageError:
            return
        assert header.size
        assert header.size % 512 == 0

    check()
    assert header_of(kind, whole, name).size == len(DISK)


@given(text=st.text(max_size=300), keyed=st.sampled_from(["", "createType=", "parentCID=", "RW 1 FLAT "]))
def test_any_description_more_is_no_other_file(text: str, keyed: str) -> None:
    mine = 'parentCID=ffffffff\ncreateType="monolithicSparse"\nRW 8 SPARSE "disk.vmdk"\n'
    head = struct.pack("<4sIIQQQQ", b"KDMV", 1, 0, 2048, 128, 1, 20).ljust(512, b"\0")
    assert vmdk.VmdkHeader.parse(head + mine.encode().ljust(20 * 512, b"\0"), "disk").size == MIB
    try:
        vmdk.VmdkHeader.parse(head + (mine + keyed + text).encode().ljust(20 * 512, b"\0")[: 20 * 512], "disk")
    except ImageError:
        return
    assert not keyed.startswith("RW")
