"""A qcow2 is the disk in it, and one that would read other files is never opened."""

from __future__ import annotations

import hashlib
import os
import struct
import subprocess
from pathlib import Path

import pytest

from pyvmiscsi.errors import ImageError, UnsupportedError
from pyvmiscsi.images.image import open_image
from pyvmiscsi.images.qcow2 import Qcow2Header
from tests.images.disks import spelt_out
from tests.images.web import Answer, serving

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


def test_is_copied_from_the_web_first_and_the_copy_goes(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    data = (folder / "packed.qcow2").read_bytes()
    told: list[tuple[int, int | None]] = []
    with (
        serving({"/disk.qcow2": Answer(data)}) as web,
        open_image(f"{web}/disk.qcow2", progress=lambda *now: told.append(now)) as content,
    ):
        assert list(tmp_path.rglob("*.qcow2"))
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
