"""A qcow2 is the disk in it, and one that would read other files is never opened."""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyvmiscsi.errors import ImageError, UnsupportedError
from pyvmiscsi.images.blocks.content import Zeros
from pyvmiscsi.images.formats.kinds import HEAD
from pyvmiscsi.images.formats.qcow2 import Qcow2Header
from pyvmiscsi.images.image import image_of, open_image
from pyvmiscsi.images.source.given import opened
from tests.images.disks import spelt_out
from tests.images.web_server import Answer, serving

MIB = 1 << 20
DISK = os.urandom(MIB) + bytes(5 * MIB) + os.urandom(MIB + 512) + bytes(9 * MIB)


def qemu_img(*words: str | Path) -> None:
    subprocess.run(["/usr/bin/qemu-img", *words], check=True, stdout=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one disk as raw, and as qcow2 in several ways."""
    folder = tmp_path_factory.mktemp("qcow2")
    raw = folder / "disk.raw"
    raw.write_bytes(DISK)
    for name, options in (
        ("disk.qcow2", ()),
        ("packed.qcow2", ("-c",)),
        ("zstd.qcow2", ("-c", "-o", "compression_type=zstd")),
        ("old.qcow2", ("-o", "compat=0.10")),
        ("small.qcow2", ("-o", "cluster_size=512")),
        ("extended.qcow2", ("-o", "extended_l2=on")),
        ("odd, name: json:{}.qcow2", ()),
    ):
        qemu_img("convert", "-f", "raw", "-O", "qcow2", *options, raw, f"file:{folder / name}")
    return folder


def read(place: Path | str, length: int = MIB // 2, sha256: str | None = None) -> bytes:
    with open_image(str(place), sha256=sha256) as content:
        return spelt_out(content.pieces(length))


@pytest.mark.parametrize(
    "name",
    [
        "disk.qcow2",
        "packed.qcow2",
        "zstd.qcow2",
        "old.qcow2",
        "small.qcow2",
        "extended.qcow2",
        "odd, name: json:{}.qcow2",
    ],
)
def test_is_the_disk_in_it(folder: Path, name: str) -> None:
    with open_image(str(folder / name)) as content:
        assert content.length == content.total == len(DISK)
        assert spelt_out(content.pieces(MIB // 2)) == DISK
        assert content.done == len(DISK)


@pytest.mark.parametrize("name", ["disk.raw", "disk.qcow2", "packed.qcow2"])
def test_gives_any_of_its_bytes_again_while_it_is_read(folder: Path, name: str) -> None:
    with open_image(str(folder / name)) as content:
        assert content.again is not None
        at = 0
        for piece in content.pieces(MIB // 4):
            assert content.again(at, len(piece)) == DISK[at : at + len(piece)]
            at += len(piece)
        assert content.again(MIB - 512, 2 * MIB) == DISK[MIB - 512 : 3 * MIB - 512]


def test_a_raw_image_with_a_checksum_gives_its_bytes_again(folder: Path) -> None:
    with open_image(str(folder / "disk.raw"), sha256=hashlib.sha256(DISK).hexdigest()) as content:
        assert spelt_out(content.pieces(MIB)) == DISK
        assert content.again is not None
        assert content.again(512, MIB) == DISK[512 : MIB + 512]


def test_gives_nothing_again_once_it_was_changed(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "disk.qcow2"
    place.write_bytes((folder / "disk.qcow2").read_bytes())
    os.utime(place, ns=(0, 0))
    with open_image(str(place)) as content:
        assert content.again is not None
        os.utime(place)
        with pytest.raises(ImageError, match=r"image disk\.qcow2: was changed while it was copied"):
            content.again(0, 512)


def test_is_copied_from_the_web_first_into_a_file_that_nothing_can_leave_behind(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    data = (folder / "packed.qcow2").read_bytes()
    told: list[tuple[int, int | None]] = []
    with (
        serving({"/disk.qcow2": Answer(data)}) as web,
        open_image(f"{web}/disk.qcow2", progress=lambda *now: told.append(now)) as content,
    ):
        assert not any(path.is_file() for path in tmp_path.rglob("*"))
        assert spelt_out(content.pieces(MIB)) == DISK
    assert told[-1] == (len(data), len(data))
    assert list(tmp_path.iterdir()) == []


def test_its_sha256_is_that_of_the_file(folder: Path) -> None:
    place = folder / "disk.qcow2"
    assert read(place, sha256=hashlib.sha256(place.read_bytes()).hexdigest()) == DISK
    with pytest.raises(ImageError, match="SHA-256"):
        read(place, sha256=hashlib.sha256(DISK).hexdigest())


def test_a_backing_file_is_never_opened(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "above.qcow2"
    qemu_img("create", "-f", "qcow2", "-b", folder / "disk.raw", "-F", "raw", place)
    with pytest.raises(ImageError, match="needs a backing file"):
        read(place)


@pytest.mark.parametrize("name", ["disk.qcow2", "packed.qcow2", "disk.raw"])
def test_is_the_file_that_was_looked_at_whatever_takes_its_place(folder: Path, tmp_path: Path, name: str) -> None:
    place, other = tmp_path / name, tmp_path / "other.qcow2"
    shutil.copyfile(folder / name, place)
    (tmp_path / "secret").write_bytes(b"a file of this machine".ljust(MIB))
    qemu_img("create", "-f", "qcow2", "-o", f"data_file={tmp_path}/secret,data_file_raw=on", other, str(len(DISK)))
    with opened(str(place)) as file:
        file.head(HEAD)
        other.replace(place)
        with image_of(file) as content:
            assert spelt_out(content.pieces(MIB)) == DISK


def test_an_external_data_file_is_never_opened(tmp_path: Path) -> None:
    place = tmp_path / "outside.qcow2"
    qemu_img("create", "-f", "qcow2", "-o", f"data_file={tmp_path}/secret,data_file_raw=on", place, "1M")
    with pytest.raises(ImageError, match="keeps its data in another file"):
        read(place)


@pytest.mark.parametrize(
    ("at", "field", "what"),
    [
        (4, struct.pack(">I", 4), "version 4"),
        (32, struct.pack(">I", 2), "is encrypted"),
        (72, struct.pack(">Q", 2), "is marked corrupt"),
        (24, struct.pack(">Q", 0), "a disk of no bytes"),
        (24, struct.pack(">Q", MIB + 1), "not whole sectors"),
    ],
)
def test_refuses_by_its_header_what_it_cannot_be(folder: Path, at: int, field: bytes, what: str) -> None:
    head = bytearray((folder / "disk.qcow2").read_bytes()[:512])
    head[at : at + len(field)] = field
    with pytest.raises(ImageError, match=what):
        Qcow2Header.parse(bytes(head), "disk.qcow2")


def test_a_file_cut_short_is_one_error(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "short.qcow2"
    place.write_bytes((folder / "packed.qcow2").read_bytes()[: MIB + MIB // 2])
    with pytest.raises(ImageError, match=r"image short\.qcow2: "):
        read(place)
    place.write_bytes((folder / "packed.qcow2").read_bytes()[:60])
    with pytest.raises(ImageError, match="cut short"):
        read(place)


def test_a_file_that_is_garbage_behind_its_header_is_one_error(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "garbage.qcow2"
    place.write_bytes((folder / "disk.qcow2").read_bytes()[:104] + b"\xff" * MIB)
    with pytest.raises(ImageError, match=r"image garbage\.qcow2: "):
        read(place)


def test_qemu_is_gone_when_the_image_is_left_in_the_middle(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []

    class Kept(subprocess.Popen[bytes]):
        def __init__(self, *given: object, **named: object) -> None:
            super().__init__(*given, **named)  # type: ignore[call-overload]
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Kept)
    with pytest.raises(ZeroDivisionError), open_image(str(folder / "disk.qcow2")) as content:
        next(iter(content.pieces(512)))
        raise ZeroDivisionError
    assert [process.poll() is not None for process in started] == [True]


def test_says_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(UnsupportedError, match="qemu-utils"):
        read(folder / "disk.qcow2")


WRITES = (
    "write -P {byte} {at} {length}",
    "write -z {at} {length}",
    "discard {at} {length}",
    "write -c -P {byte} {at} {cluster}",
)


@st.composite
def written(draw: st.DrawFn) -> tuple[list[str], int, list[str]]:
    """Options of a qcow2, its size, and what `qemu-io` writes to it."""
    bits = draw(st.sampled_from([9, 12, 16, 21]))
    cluster = 1 << bits
    size = max(64 * cluster, MIB) + draw(st.sampled_from([0, 512, 4096]))
    new = draw(st.booleans())
    options = [f"cluster_size={cluster}", "compat=1.1" if new else "compat=0.10"]
    if new and bits >= 14 and draw(st.booleans()):
        options.append("extended_l2=on")
    commands = []
    for _ in range(draw(st.integers(1, 8))):
        at = draw(st.integers(0, size // 512 - 1)) * 512
        length = min(draw(st.integers(1, 4 * cluster // 512)) * 512, size - at)
        how = draw(st.sampled_from(WRITES))
        if "-c" in how:
            at = at // cluster * cluster
            length = min(cluster, size - at)
        commands.append(how.format(byte=draw(st.integers(1, 255)), at=at, length=length, cluster=length))
    return options, size, commands


@settings(max_examples=12, deadline=None)
@given(made=written(), kept=st.booleans())
def test_is_byte_for_byte_what_qemu_img_convert_makes_of_it(
    tmp_path_factory: pytest.TempPathFactory, made: tuple[list[str], int, list[str]], kept: bool
) -> None:
    options, size, commands = made
    folder = tmp_path_factory.mktemp("any")
    place, raw = folder / "disk.qcow2", folder / "disk.raw"
    qemu_img("create", "-f", "qcow2", "-o", ",".join(options), place, str(size))
    for number, command in enumerate(commands):
        subprocess.run(
            ["/usr/bin/qemu-io", "-f", "qcow2", "-c", command, place], check=False, stdout=subprocess.DEVNULL
        )
        if kept and number == 1:
            qemu_img("snapshot", "-c", "before", place)
    qemu_img("convert", "-f", "qcow2", "-O", "raw", place, raw)
    assert read(place, 64 * 1024) == raw.read_bytes()


def test_only_what_is_data_is_read(folder: Path) -> None:
    with open_image(str(folder / "disk.qcow2")) as content:
        found = list(content.pieces(MIB))
    assert sum(piece.length for piece in found if isinstance(piece, Zeros)) >= 13 * MIB


def test_data_outside_of_the_file_is_a_file_cut_short(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "short.qcow2"
    place.write_bytes((folder / "disk.qcow2").read_bytes()[: -64 * 1024])
    with pytest.raises(ImageError, match=r"image short\.qcow2: .*cut short"):
        read(place)


def test_a_disk_of_a_few_bytes_that_says_it_is_huge_takes_no_time(tmp_path: Path) -> None:
    place = tmp_path / "huge.qcow2"
    qemu_img("create", "-f", "qcow2", place, "32T")
    with open_image(str(place)) as content:
        assert sum(map(len, content.pieces(MIB))) == 32 << 40


def test_tables_that_point_anywhere_are_a_disk_or_one_error(folder: Path, tmp_path: Path) -> None:
    """Loops, overlaps, clusters outside of the file: never bytes that QEMU itself would not read there."""
    whole = (folder / "disk.qcow2").read_bytes()
    place, raw = tmp_path / "hostile.qcow2", tmp_path / "disk.raw"
    (tables,) = struct.unpack_from(">Q", whole, 40)  # of the first level
    (second,) = struct.unpack_from(">Q", whole, tables)
    second &= (1 << 56) - 1
    for at, pointer in (
        (tables, 1 << 63 | tables),
        (tables, 1 << 63 | second << 3),
        (tables, 1 << 63 | 513),
        (second, 1 << 63 | tables),
        (second, 1 << 63 | second),
        (second + 8, 1 << 63 | 5 << 16),
        (second, 1 << 63 | 1 << 50),
        (second, 1 << 62 | 1 << 50),
        (second, 1 << 62 | 5 << 16),
        (second, (1 << 64) - 1),
    ):
        place.write_bytes(whole[:at] + struct.pack(">Q", pointer) + whole[at + 8 :])
        try:
            found = read(place)
        except ImageError:
            continue
        qemu_img("convert", "-f", "qcow2", "-O", "raw", place, raw)
        assert found == raw.read_bytes()
