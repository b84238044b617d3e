"""Images onto a real LUN and back, through libiscsi and tgtd."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pyvmiscsi.errors import ImageError, IscsiError
from pyvmiscsi.images.filling import fill, read_back
from pyvmiscsi.images.formats import Format
from pyvmiscsi.images.image import open_image
from pyvmiscsi.images.lun import LunContent
from pyvmiscsi.images.saving import save
from pyvmiscsi.initiator.libiscsi import LibiscsiAccess
from pyvmiscsi.names import Iqn, Lun, LunAddress
from pyvmiscsi.waiting import wait_for
from tests.images.packing import SUFFIX, packed
from tests.initiator import tgtd

MIB = 1 << 20
SIZE = 16 * MIB
DISK = os.urandom(MIB) + bytes(4 * MIB) + os.urandom(3 * MIB + 512)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tgtd.Tgtd]:
    with tgtd.running(tmp_path_factory.mktemp("tgtd")) as running:
        yield running


@dataclass
class Disk:
    """A LUN, and the file that the target keeps it in."""

    target: tgtd.Target
    address: LunAddress
    file: Path


@pytest.fixture
def disk(daemon: tgtd.Tgtd) -> Disk:
    return disk_of(daemon)


def disk_of(daemon: tgtd.Tgtd) -> Disk:
    target = daemon.target()
    file = target.lun(1, size=SIZE, serial="S0")
    return Disk(target, LunAddress(daemon.portal, Iqn(target.iqn), Lun(1)), file)


@pytest.mark.parametrize("kind", [Format.RAW, Format.GZIP, Format.ZSTD])
def test_an_image_is_on_a_fresh_lun_and_zeros_take_no_room(kind: Format, disk: Disk, tmp_path: Path) -> None:
    image = tmp_path / f"disk{SUFFIX[kind]}"
    image.write_bytes(packed(kind, DISK))
    with LibiscsiAccess().open(disk.address) as lun, open_image(str(image)) as content:
        read_back(lun, fill(lun, content, fresh=True))
    assert disk.file.read_bytes() == DISK.ljust(SIZE, b"\0")
    assert disk.file.stat().st_blocks * 512 < len(DISK) - 3 * MIB


def test_what_was_on_a_lun_is_gone_and_takes_no_room(disk: Disk, tmp_path: Path) -> None:
    disk.file.write_bytes(os.urandom(SIZE))
    image = tmp_path / "disk.raw"
    image.write_bytes(DISK)
    with LibiscsiAccess().open(disk.address) as lun, open_image(str(image)) as content:
        read_back(lun, fill(lun, content, fresh=False))
    assert disk.file.read_bytes() == DISK.ljust(SIZE, b"\0")
    assert disk.file.stat().st_blocks * 512 < len(DISK) - 3 * MIB


def test_a_lun_is_copied_onto_another_and_saved(daemon: tgtd.Tgtd, disk: Disk, tmp_path: Path) -> None:
    disk.file.write_bytes(DISK.ljust(SIZE, b"\0"))
    other = disk_of(daemon)
    with LibiscsiAccess().open(disk.address) as source, LibiscsiAccess().open(other.address) as lun:
        written = fill(lun, LunContent("disk", source), fresh=True)
        saved = save(LunContent("disk", source), tmp_path / "disk.raw", Format.RAW)
    assert other.file.read_bytes() == disk.file.read_bytes() == (tmp_path / "disk.raw").read_bytes()
    assert written == saved.disk


@pytest.mark.parametrize("data", [packed(Format.GZIP, DISK)[:-9], DISK + b"x", os.urandom(SIZE + 512)])
def test_a_bad_image_is_one_error_and_nobody_stays_logged_in(data: bytes, disk: Disk, tmp_path: Path) -> None:
    image = tmp_path / "disk"
    image.write_bytes(data)
    with pytest.raises(ImageError), LibiscsiAccess().open(disk.address) as lun, open_image(str(image)) as content:
        fill(lun, content, fresh=False)
    wait_for(lambda: "Initiator" not in disk.target.sessions(), what="nobody is logged in", deadline=10)


def test_a_target_that_dies_ends_it_with_an_error(tmp_path: Path) -> None:
    image = tmp_path / "disk.raw"
    image.write_bytes(os.urandom(SIZE))
    (tmp_path / "tgtd").mkdir()
    with tgtd.running(tmp_path / "tgtd") as daemon:
        disk = disk_of(daemon)

        def die(done: int, _total: int | None) -> None:
            if done > MIB:
                daemon.close()

        with pytest.raises(IscsiError), LibiscsiAccess().open(disk.address) as lun, open_image(str(image)) as content:
            fill(lun, content, fresh=True, progress=die)


@dataclass
class SlowContent:
    """A piece, then nothing until `go` is set, then another piece."""

    go: threading.Event
    name: str = "image slow"
    length: int | None = None
    done: int = 0
    total: int | None = None

    def pieces(self, length: int) -> Iterator[bytes | bytearray]:
        yield b"x" * length
        assert self.go.wait(30)
        yield b"y" * length


def test_a_slow_source_does_not_cost_the_session(disk: Disk) -> None:
    """The target drops whoever does not answer two of its pings, one a second."""
    disk.target.ping(interval=1, count=2)
    content = SlowContent(threading.Event())
    with LibiscsiAccess().open(disk.address) as lun:
        fill(lun, content, fresh=True, progress=after(4, content.go.set))
    assert disk.file.read_bytes()[: 2 * lun.longest_piece] == b"x" * lun.longest_piece + b"y" * lun.longest_piece


def after(calls: int, act: Callable[[], None]) -> Callable[[int, int | None], None]:
    """Progress that acts once it has been told so often: while nothing comes it is told every second."""
    left = iter(range(calls))

    def tell(_done: int, _total: int | None) -> None:
        if next(left, None) is None:
            act()

    return tell
