"""A disk built here boots in plain QEMU, from a file, with nothing of the lab around it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pyvmiscsi.errors import InputError
from pyvmiscsi.lab.bootdisk import DEFAULT_SIZE, BootDisk, build

_OVMF = Path("/usr/share/OVMF")


def _boot(disk: BootDisk, *, serial: str) -> str:
    """Run the guest until it ends; what it said on its serial console."""
    done = subprocess.run(
        [
            *("qemu-system-x86_64", "-machine", "q35", "-accel", "tcg", "-cpu", "max", "-m", "256"),
            *("-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot", "-snapshot"),
            *("-drive", f"if=pflash,format=raw,readonly=on,file={_OVMF / 'OVMF_CODE_4M.fd'}"),
            *("-drive", f"if=pflash,format=raw,file={_OVMF / 'OVMF_VARS_4M.fd'}"),
            *("-drive", f"if=none,id=d0,format=raw,file={disk.path}"),
            "-device",
            f"virtio-blk-pci,drive=d0,serial={serial},"
            f"logical_block_size={disk.sector},physical_block_size={max(disk.sector, 4096)}",
        ],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
        check=True,
    )
    return done.stdout.decode(errors="replace")


def test_boots_from_4096_byte_blocks_and_says_what_it_sees(tmp_path: Path) -> None:
    disk = build(tmp_path / "disk.img", marker="four-k-1", sector=4096)
    said = _boot(disk, serial="4k-serial-00")
    facts = f"logical=4096 physical=4096 bytes={DEFAULT_SIZE} serial=4k-serial-00 readonly=0"
    assert f"GUEST-DISK vda {facts}" in said
    assert "GUEST-MARKER four-k-1 boot=1 from=/dev/vda2 behaviour=poweroff" in said
    assert "GUEST-WRITE ok" in said
    assert "GUEST-DOWN poweroff" in said


def test_disks_differ_by_their_marker_only_where_they_should(tmp_path: Path) -> None:
    one = build(tmp_path / "one.img", marker="one").path.read_bytes()
    again = build(tmp_path / "again.img", marker="one").path.read_bytes()
    other = build(tmp_path / "other.img", marker="two").path.read_bytes()
    assert one == again
    assert one[1 << 20 : 33 << 20] == other[1 << 20 : 33 << 20], "the same system on both"
    assert b"PYVMISCSI-BOOTDISK two poweroff 0\n" in other


def test_the_image_is_sparse_and_has_the_size_asked_for(tmp_path: Path) -> None:
    disk = build(tmp_path / "disk.img", marker="big", size=1 << 30)
    status = disk.path.stat()
    assert status.st_size == disk.size == 1 << 30
    assert status.st_blocks * 512 < 40 << 20


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"marker": "a b"}, "marker 'a b'"),
        ({"marker": ""}, "marker ''"),
        ({"sector": 1024}, "sector 1024"),
        ({"size": 16 << 20}, "size 16777216"),
        ({"size": (64 << 20) + 512}, "size 67109376"),
        ({"behaviour": "dance"}, "behaviour 'dance'"),
    ],
)
def test_refuses_what_cannot_be(tmp_path: Path, wrong: dict[str, object], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        build(tmp_path / "disk.img", **{"marker": "m", **wrong})  # type: ignore[arg-type]
    assert not (tmp_path / "disk.img").exists()
