from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.errors import HostError
from pyvmiscsi.initiator.linux.disk_text import Identity, differences, parse_identity, parse_serial_page, uses_of
from pyvmiscsi.model import DiskProof
from pyvmiscsi.names import Iqn, Lun, LunAddress, Portal, Serial
from pyvmiscsi.units import Size

GOLDEN = Path(__file__).parent / "golden"
PROOF = DiskProof(LunAddress(Portal("10.0.0.10"), Iqn("iqn.2000-01.x:y"), Lun(0)), Serial("5c4ae0d1b2f7-00"), Size(512))
PAGE = b"\0\x80\0\x0f5c4ae0d1b2f7-00"
ASKED = f"size\t8\nlogical_block_size\t4096\nphysical_block_size\t16384\nserial\t{PAGE.hex()}\n"


def test_reads_what_linux_answered() -> None:
    identity = parse_identity((GOLDEN / "linux-6.1-ask.txt").read_text())
    assert identity == Identity("5c4ae0d1b2f7-00", 64 * 1024 * 1024, 512, 4096)
    uses = (GOLDEN / "linux-6.1-uses.txt").read_text()
    assert uses_of(uses, ["sda", "sdb"]) == ("/dev/sda is mounted on /mnt/x", "/dev/sdb is swap space")
    uses = (GOLDEN / "linux-6.1-uses-open.txt").read_text()
    assert uses_of(uses, ["sda", "sdb"]) == ("/dev/sdb is behind loop0", "/dev/sdb is open by process 600 (sleep)")


class TestIdentity:
    def test_sizes_are_bytes(self) -> None:
        # sysfs counts the size in 512-byte units also where the disk's own blocks are longer
        assert parse_identity(ASKED) == Identity("5c4ae0d1b2f7-00", 4096, 4096, 16384)

    @pytest.mark.parametrize("cut", range(4))
    def test_what_is_missing_is_an_error(self, cut: int) -> None:
        with pytest.raises(HostError):
            parse_identity("".join(line for n, line in enumerate(ASKED.splitlines(keepends=True)) if n != cut))

    def test_every_difference_is_told(self) -> None:
        told = list(differences(PROOF, Identity("", 1024, 4096, 4096)))
        assert told == [
            "its serial is 'empty', not '5c4ae0d1b2f7-00'",
            "it has 1024 bytes, not 512",
            "its logical blocks have 4096 bytes, not 512",
        ]
        assert list(differences(PROOF, Identity("5c4ae0d1b2f7-00", 512, 512, 0))) == []


class TestSerialPage:
    @pytest.mark.parametrize(
        ("page", "serial"),
        [
            (PAGE, "5c4ae0d1b2f7-00"),
            (b"\0\x80\0\x14" + b"     5c4ae0d1b2f7-00", "5c4ae0d1b2f7-00"),
            (b"\0\x80\0\x12" + b"5c4ae0d1b2f7-00\0\0\0", "5c4ae0d1b2f7-00"),
            (PAGE + b"what follows the page", "5c4ae0d1b2f7-00"),
            (b"\0\x83\0\x0f5c4ae0d1b2f7-00", ""),
            (b"", ""),
        ],
        ids=["ours", "blanks before", "NULs behind", "longer answer", "another page", "no page"],
    )
    def test_holds_the_serial(self, page: bytes, serial: str) -> None:
        assert parse_serial_page(page) == serial

    @given(st.binary(max_size=40))
    def test_any_bytes_are_read(self, page: bytes) -> None:
        parse_serial_page(page)


MOUNTINFO = """\
27 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
40 27 {mount}
"""
NOBODY = "40 27 0:23 / /dev/shm rw,relatime - tmpfs tmpfs rw"


def told(
    *,
    head: str = "",
    mount: str = NOBODY.removeprefix("40 27 "),
    swap: str = "/dev/sda2",
    processes: str = "1 (systemd) S 0 1 1\n812 (fsck) D 1 812 812\n",
    link: str = "/dev/sda1",
) -> str:
    files = f"/proc/1/fd:\nlrwx------ 1 root root 64 Nov 22 21:00 0 -> /dev/null\n/proc/812/fd:\n… 9 -> {link}\n"
    swaps = f"Filename\tType\tSize\tUsed\tPriority\n{swap}   partition\t975868\t0\t-2\n"
    numbers, mounts = "number\tsdb\t8:16\nnumber\tsdb\t8:17\n", MOUNTINFO.format(mount=mount)
    return f"{numbers}{head}mounts\n{mounts}swaps\n{swaps}processes\n{processes}files\n{files}"


class TestUses:
    def test_nobody(self) -> None:
        assert uses_of(told(), ["sdb"]) == ()

    @pytest.mark.parametrize(
        ("text", "use"),
        [
            (told(head="held\tsdb\tdm-3\n"), "sdb is part of dm-3"),
            (told(head="loop\tloop0\t/dev/sdb2\n"), "/dev/sdb2 is behind loop0"),
            (told(mount="8:17 / /mnt rw - ext4 /dev/disk/by-label/x rw"), "/dev/disk/by-label/x is mounted on /mnt"),
            (told(mount="0:52 /@ /mnt rw shared:1 - btrfs /dev/sdb rw"), "/dev/sdb is mounted on /mnt"),
            (told(swap="/dev/sdb2"), "/dev/sdb2 is swap space"),
            (told(link="/dev/sdb"), "/dev/sdb is open by process 812 (fsck)"),
            (told(link="/dev/sdb1"), "/dev/sdb1 is open by process 812 (fsck)"),
        ],
        ids=["device-mapper", "loop", "mount by number", "mount by name", "swap", "process", "process on a partition"],
    )
    def test_somebody(self, text: str, use: str) -> None:
        assert uses_of(text, ["sdb"]) == (use,)

    @pytest.mark.parametrize(
        ("disk", "use"),
        [
            ("sdb", "/dev/sdb1 is part of the pool tank"),
            ("sdc", "/dev/sdc1 is part of the pool backup"),
            ("sdd", "/dev/sdd2 is part of the pool backup"),
            ("sde", "/dev/sde1 is part of the pool backup"),
        ],
        ids=["alone", "in a mirror", "for logs", "as a spare"],
    )
    def test_a_pool_of_openzfs(self, disk: str, use: str) -> None:
        pools = (GOLDEN / "zpool-status.txt").read_text()
        assert uses_of(f"{told()}pools\n{pools}", [disk]) == (use,)

    def test_other_disks_and_no_pools(self) -> None:
        pools = (GOLDEN / "zpool-status.txt").read_text()
        assert uses_of(f"{told()}pools\n{pools}", ["sdg"]) == ()
        assert uses_of(f"{told()}pools\nno pools available\n", ["sdb"]) == ()

    def test_pools_that_do_not_tell(self) -> None:
        text = "mounts\nswaps\nprocesses\nfiles\npools\nThe ZFS modules cannot be auto-loaded.\nunknown: 1\n"
        assert uses_of(text, ["sdb"]) == ("whether a pool of OpenZFS has it, zpool status does not tell",)

    @pytest.mark.parametrize(
        "processes",
        [
            "812 ((udev-worker)) S 99 99 99\n",
            "812 (systemd-udevd) D 1 812 812\n",
            "99 ((udev-worker)) S 1 99 99\n811 (sh) S 99 99 99\n812 (scsi_id) D 811 99 99\n",
        ],
        ids=["udev", "older udev", "what udev runs"],
    )
    def test_udev_that_looks_into_every_disk_is_nobody(self, processes: str) -> None:
        assert uses_of(told(link="/dev/sdb", processes=processes), ["sdb"]) == ()

    @pytest.mark.parametrize(
        ("processes", "name"),
        [
            ("", "which has ended"),
            ("812 (a) b (c) S 812 812 812\n", "a) b (c"),
            ("811 (x) S 812 0\n812 (y) S 811 0\n", "y"),
            ("812", "which has ended"),
        ],
        ids=["gone", "brackets", "a loop", "cut short"],
    )
    def test_whatever_proc_says_of_processes_is_read(self, processes: str, name: str) -> None:
        assert uses_of(told(link="/dev/sdb", processes=processes), ["sdb"]) == (
            f"/dev/sdb is open by process 812 ({name})",
        )

    @pytest.mark.parametrize("other", ["/dev/sdba", "/dev/sdb1/x", "/dev/sd", "/tmp/dev/sdb"])
    def test_of_another_disk_is_none_of_this(self, other: str) -> None:
        assert uses_of(told(link=other, swap=other, head=f"loop\tloop0\t{other}\n"), ["sdb"]) == ()
