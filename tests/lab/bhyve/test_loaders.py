"""bhyveload and grub-bhyve on a host of the lab: what a caller sees of them, and a guest that boots by each."""

from __future__ import annotations

import pytest

from pyvmiscsi.waiting import wait_for
from tests.lab.bhyve.stage import MINIMAL, Console, Stage

pytestmark = pytest.mark.timeout(300)


def _bhyveload(guest: str, disk: str, *more: str) -> str:
    return f"bhyveload -c /dev/nmdm-{guest}.1A -m 256M -e autoboot_delay=0 {' '.join(more)} -d {disk} {guest}"


def test_bhyveload_makes_the_machine_and_bhyve_boots_the_disk_in_it(stage: Stage, guest: str, console: Console) -> None:
    lun = stage.boot_disk(guest).attach()
    loaded = stage.ssh(_bhyveload(guest, lun.device))
    assert (loaded.status, loaded.stderr) == (0, "")
    assert stage.ssh(f"test -c /dev/vmm/{guest}").status == 0
    assert "Booting [/boot/kernel/kernel]..." in console.text
    disk = f"-s 4,virtio-blk,{lun.device}"
    other_size = stage.ssh(f"{MINIMAL} -m 512M {disk} {guest}")
    assert (other_size.status, other_size.said[-1]) == (4, "Unable to setup memory (22)")
    stage.start(guest, f"{MINIMAL} -l com1,/dev/nmdm-{guest}.1A {disk}")
    assert stage.status(guest) == 1
    console.hear(f"GUEST-MARKER {guest}-marker boot=1")
    assert stage.ssh(f"{MINIMAL} {disk} {guest}").status == 3, "what was loaded has run: there is nothing to run now"


def test_bhyveload_uses_a_machine_whose_guest_has_ended_and_none_whose_guest_was_killed(
    stage: Stage, guest: str
) -> None:
    disk = f"/vmconfig/{guest}.img"
    (stage.config / f"{guest}.img").write_bytes(bytes(510) + b"\x55\xaa")
    for _ in range(2):
        assert stage.ssh(_bhyveload(guest, disk)).status == 0
    stage.start(guest, f"{MINIMAL} -s 4,virtio-blk,{disk}")
    stage.ssh(f"kill -9 {stage.wait_for_pid(guest)}")
    stage.until_qemu_is_gone(guest)
    refused = stage.ssh(_bhyveload(guest, disk))
    assert (refused.status, refused.said) == (1, ["vm_reinit: Device busy"])


def test_without_a_system_bhyveload_stands_at_its_prompt(stage: Stage, guest: str, console: Console) -> None:
    (stage.config / f"{guest}.img").write_bytes(bytes(512))
    disk = f"/vmconfig/{guest}.img"
    for word, status in (("quit", 1), ("reboot", 2)):
        stage.start_command(guest, _bhyveload(guest, disk))
        console.hear("OK ")
        console.type(f"{word}\r")
        assert stage.status(guest) == status
        console.forget()


def test_a_key_stops_the_countdown_and_boot_goes_on(stage: Stage, guest: str, console: Console) -> None:
    (stage.config / f"{guest}.img").write_bytes(bytes(510) + b"\x55\xaa")
    stage.start_command(guest, f"bhyveload -c /dev/nmdm-{guest}.1A -d /vmconfig/{guest}.img {guest}")
    console.hear("or any other key for command prompt.")
    console.type(" ")
    console.hear("OK ")
    console.type("boot\r")
    assert stage.status(guest) == 0


def test_what_bhyveload_refuses(stage: Stage, guest: str) -> None:
    for words, status, said in (
        (f"-d /dev/diskid/DISK-none {guest}", 64, "bhyveload: Could not open '/dev/diskid/DISK-none'"),
        (f"-m lots {guest}", 64, "bhyveload: Invalid memsize 'lots'"),
        ("-m 256M", 1, "usage: bhyveload [-S][-c <console-device>] [-d <disk-path>] [-e <name=value>]"),
        (f"-q {guest}", 1, "bhyveload: illegal option -- q"),
    ):
        done = stage.ssh(f"bhyveload {words}")
        assert (done.status, done.said[0]) == (status, said)
    assert stage.ssh(f"test -e /dev/vmm/{guest}").status == 1


def test_grub_bhyve_loads_from_the_disk_that_its_map_names(stage: Stage, guest: str, console: Console) -> None:
    (stage.config / f"{guest}.img").write_bytes(bytes(510) + b"\x55\xaa")
    (stage.config / f"{guest}.map").write_text(f"(hd0) /vmconfig/{guest}.img\n")
    words = f"grub-bhyve -c /dev/nmdm-{guest}.1A -m /vmconfig/{guest}.map -M 512M"
    assert stage.ssh(f"{words} -r hd0,1 {guest}").status == 0
    assert stage.ssh(f"{MINIMAL} {guest}").said[-1] == "Unable to setup memory (22)", "it was loaded with 512M"
    stage.start_command(guest, f"{words} -r hd7,1 {guest}")
    console.hear("grub> ")
    console.type("exit\r")
    assert stage.status(guest) == 0, "whatever was loaded"


def test_a_loader_ends_by_a_signal_like_any_program(stage: Stage, guest: str) -> None:
    (stage.config / f"{guest}.img").write_bytes(bytes(512))
    stage.start_command(guest, _bhyveload(guest, f"/vmconfig/{guest}.img"))
    pid = wait_for(
        lambda: stage.ssh(f"pgrep -f '^bhyveload .*{guest}'").stdout.strip() or None,
        what="bhyveload runs",
        deadline=60,
    )
    stage.ssh(f"kill -TERM {pid}")
    assert stage.status(guest) == 143
