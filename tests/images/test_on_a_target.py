"""Images onto a real LUN and back, through libiscsi and tgtd."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pyvmiscsi import waiting
from pyvmiscsi.errors import ImageError, InterruptedOperation, IscsiError
from pyvmiscsi.images.blocks.content import Written
from pyvmiscsi.images.filling import fill, read_back
from pyvmiscsi.images.formats.kinds import Format
from pyvmiscsi.images.image import open_image
from pyvmiscsi.images.lun import LunContent
from pyvmiscsi.images.saving import save
from pyvmiscsi.initiator.libiscsi import LibiscsiAccess, access, loop, mending, unflushed
from pyvmiscsi.names import Iqn, Lun, LunAddress
from pyvmiscsi.waiting import wait_for
from tests.images.digests import digest_of
from tests.images.packed_images import SUFFIX, packed
from tests.initiator import tgtd, wire

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
    assert written == saved.disk == Written(SIZE, digest_of(disk.file.read_bytes()))


@pytest.mark.parametrize("data", [packed(Format.GZIP, DISK)[:-9], DISK + b"x", os.urandom(SIZE + 512)])
def test_a_bad_image_is_one_error_and_nobody_stays_logged_in(data: bytes, disk: Disk, tmp_path: Path) -> None:
    image = tmp_path / "disk"
    image.write_bytes(data)
    with pytest.raises(ImageError), LibiscsiAccess().open(disk.address) as lun, open_image(str(image)) as content:
        fill(lun, content, fresh=False)
    wait_for(lambda: "Initiator" not in disk.target.sessions(), what="nobody is logged in", deadline=60)


@pytest.fixture
def restarted(tmp_path: Path) -> Iterator[tgtd.Tgtd]:
    (tmp_path / "tgtd").mkdir()
    with tgtd.running(tmp_path / "tgtd") as running:
        yield running


def test_a_target_that_dies_ends_it_with_how_far_it_got(
    restarted: tgtd.Tgtd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mending, "MEND_SECONDS", 0.1)
    monkeypatch.setattr(unflushed, "FLUSH_EVERY", MIB)
    monkeypatch.setattr(access, "PIECE", 64 * 1024)
    image, disk = tmp_path / "disk.raw", disk_of(restarted)
    image.write_bytes(os.urandom(SIZE))
    told = pytest.raises(IscsiError, match=r"([1-9]|1[0-5]) MiB of 16 MiB are on stable storage")
    with told, LibiscsiAccess().open(disk.address) as lun, open_image(str(image)) as content:
        fill(lun, content, fresh=True, progress=once(15 * MIB, restarted.kill))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int, int | None], None]]:
    """Progress that stops what it is told of after a SIGINT, which comes while a target is waited for."""
    pressed = False

    def press(_signal: int, _frame: object) -> None:
        nonlocal pressed
        pressed = True

    def tell(_done: int, _total: int | None) -> None:
        if pressed:
            raise InterruptedOperation("stopped")

    def waits() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        waiting.heed()

    monkeypatch.setattr(loop, "heed", waits)
    monkeypatch.setattr(mending.MendedSession, "_log_in_again", lambda _self: os.kill(os.getpid(), signal.SIGINT))
    before = signal.signal(signal.SIGINT, press)
    yield tell
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("gone", [signal.SIGKILL, signal.SIGSTOP])
def test_the_first_ctrl_c_ends_the_wait_for_a_target(
    gone: signal.Signals, asked: Callable[[int, int | None], None], restarted: tgtd.Tgtd, tmp_path: Path
) -> None:
    """One that is dead, and one that says nothing any more."""
    image, disk = tmp_path / "disk.raw", disk_of(restarted)
    image.write_bytes(DISK)
    lose = once(2 * MIB, lambda: restarted.process.send_signal(gone))

    def progress(done: int, total: int | None) -> None:
        lose(done, total)
        asked(done, total)

    stopped = pytest.raises(InterruptedOperation)
    with stopped, LibiscsiAccess().open(disk.address) as lun, open_image(str(image)) as content:
        fill(lun, content, fresh=True, progress=progress)


@pytest.mark.parametrize("kind", ["raw", "qcow2"])
def test_a_target_that_is_restarted_again_and_again_ends_up_with_the_whole_image(
    kind: str, restarted: tgtd.Tgtd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "PIECE", 64 * 1024)
    raw, image, disk = tmp_path / "disk", tmp_path / f"disk.{kind}", disk_of(restarted)
    raw.write_bytes(DISK)
    subprocess.run(["/usr/bin/qemu-img", "convert", "-f", "raw", "-O", kind, raw, image], check=True)
    restarts = [once(at * MIB, restarted.restart) for at in (1, 6, 7)]

    def restart(done: int, total: int | None) -> None:
        for each in restarts:
            each(done, total)

    with LibiscsiAccess().open(disk.address) as lun, open_image(str(image)) as content:
        fill(lun, content, fresh=True, progress=restart)
    assert disk.file.read_bytes() == DISK.ljust(SIZE, b"\0")


def test_a_raw_image_that_changes_while_its_target_is_restarted_is_refused(
    restarted: tgtd.Tgtd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What of it has to be sent again is read again: it would not be what the digest is of."""
    monkeypatch.setattr(access, "PIECE", 64 * 1024)
    image, disk = tmp_path / "disk.raw", disk_of(restarted)
    image.write_bytes(os.urandom(SIZE))

    def change_and_restart() -> None:
        with image.open("r+b") as file:
            file.write(bytes(512))
        restarted.restart()

    refused = pytest.raises(ImageError, match="was changed while it was copied")
    with refused, LibiscsiAccess().open(disk.address) as lun, open_image(str(image)) as content:
        fill(lun, content, fresh=True, progress=once(8 * MIB, change_and_restart))


def test_a_lun_is_saved_while_its_target_is_restarted(restarted: tgtd.Tgtd, tmp_path: Path) -> None:
    disk = disk_of(restarted)
    disk.file.write_bytes(DISK.ljust(SIZE, b"\0"))
    saved = tmp_path / "disk.raw"
    with LibiscsiAccess().open(disk.address) as lun:
        save(LunContent("disk", lun), saved, Format.RAW, progress=once(6 * MIB, restarted.restart))
    assert saved.read_bytes() == disk.file.read_bytes()


def test_a_connection_that_is_reset_costs_nothing(disk: Disk, tmp_path: Path) -> None:
    image = tmp_path / "disk.raw"
    image.write_bytes(DISK)
    with (
        wire.to(disk.address.portal) as line,
        LibiscsiAccess().open(line.address(disk.address)) as lun,
        open_image(str(image)) as content,
    ):
        fill(lun, content, fresh=True, progress=once(2 * MIB, line.reset))
        assert line.connections == 2
    assert disk.file.read_bytes() == DISK.ljust(SIZE, b"\0")


def test_no_more_goes_over_the_wire_than_qemu_sends(daemon: tgtd.Tgtd, tmp_path: Path) -> None:
    """In both directions, and of holes nothing at all."""
    image = tmp_path / "disk.raw"
    with image.open("wb") as file:
        for at in (1, 5, 6, 11):
            file.seek(at * MIB)
            file.write(os.urandom(MIB))
        file.truncate(SIZE)
    ours, theirs = disk_of(daemon), disk_of(daemon)
    with wire.to(daemon.portal) as line:
        with LibiscsiAccess().open(line.address(ours.address)) as lun, open_image(str(image)) as content:
            fill(lun, content, fresh=True)
        there = line.count()
        qemu_img("-n", "-f", "raw", "-O", "raw", str(image), line.url(theirs.address))
        assert there <= line.count()
        with LibiscsiAccess().open(line.address(ours.address)) as lun:
            save(LunContent("disk", lun), tmp_path / "ours.raw", Format.RAW)
        back = line.count()
        qemu_img("-f", "raw", "-O", "raw", line.url(ours.address), str(tmp_path / "theirs.raw"))
        assert back <= line.count()
    assert ours.file.read_bytes() == theirs.file.read_bytes() == image.read_bytes()


def qemu_img(*words: str) -> None:
    subprocess.run(["qemu-img", "convert", *words], check=True)  # noqa: S607 - the qemu-img of the system


def once(at: int, act: Callable[[], object]) -> Callable[[int, int | None], None]:
    """Progress that acts the first time it is told of more than so many bytes."""
    left = [act]

    def tell(done: int, _total: int | None) -> None:
        if done > at and left:
            with waiting.heeding(lambda: None):  # it may wait itself
                left.pop()()

    return tell
