"""Guests that boot from LUNs of a real target, through the session that the host's iscsictl holds."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from pyvmiscsi.errors import DeadlineError
from pyvmiscsi.waiting import wait_for
from tests.initiator import tgtd
from tests.lab.bhyve import roms
from tests.lab.bhyve.stage import FIRMWARE, MINIMAL, Console, Stage

pytestmark = pytest.mark.timeout(400)
UEFI = f"{MINIMAL} -l bootrom,{FIRMWARE}"


def test_a_guest_reboots_with_0_powers_off_with_1_and_leaves_its_traces_on_the_lun(
    stage: Stage, guest: str, console: Console
) -> None:
    lun = stage.boot_disk(guest, "reboot").attach()
    variables = stage.config / f"{guest}-vars.fd"
    stage.ssh(f"cp /usr/local/share/uefi-firmware/BHYVE_UEFI_VARS.fd /vmconfig/{guest}-vars.fd")
    template = variables.read_bytes()
    command = (
        f"{UEFI},/vmconfig/{guest}-vars.fd -l com1,/dev/nmdm-{guest}.1A "
        f"-s 4:0,virtio-blk,{lun.device},sectorsize=512/4096,ser=mine-00"
    )
    stage.start(guest, command)
    assert stage.status(guest) == 0
    stage.start(guest, command)
    assert stage.status(guest) == 1
    said = console.hear(f"GUEST-MARKER {guest}-marker boot=2")
    assert "GUEST-DISK vda logical=512 physical=4096 bytes=67108864 serial=mine-00 readonly=0" in said
    assert f"GUEST-MARKER {guest}-marker boot=1" in said
    assert f"written-by-guest {guest}-marker 2".encode() in lun.disk.path.read_bytes()
    assert variables.read_bytes() != template, "the firmware keeps its variables where it was told to"
    assert "Mode: r0w0e0" in stage.ssh(f"geom disk list {lun.da()}").stdout


def test_with_no_sectorsize_a_guest_on_a_4096_byte_lun_sees_4096_and_512_beside_it(
    stage: Stage, guest: str, console: Console
) -> None:
    lun, other = stage.boot_disk(guest, sector=4096).attach(), stage.boot_disk(stage.name()).attach()
    disks = f"-s 4,virtio-blk,{lun.device} -s 5,nvme,{other.device},ser={other.serial}"
    stage.start(guest, f"{UEFI} -l com1,/dev/nmdm-{guest}.1A {disks}")
    assert stage.status(guest) == 1
    said = console.hear("GUEST-WRITE ok")
    assert "GUEST-DISK vda logical=4096 physical=4096 " in said
    assert re.search(f"GUEST-DISK nvme0n1 logical=512 .* serial={other.serial} readonly=0", said), said
    assert f"GUEST-MARKER {guest}-marker boot=1" in said


def test_a_disk_that_somebody_else_has_for_himself_is_shown_read_only(
    stage: Stage, guest: str, console: Console
) -> None:
    lun = stage.boot_disk(guest).attach()
    other = stage.name()
    (stage.config / "idle.fd").write_bytes(roms.rom(roms.IDLE))
    stage.start(other, f"{MINIMAL} -l bootrom,/vmconfig/idle.fd -s 4,virtio-blk,{lun.device}")
    stage.wait_for_pid(other)
    # open through its label the disk is exclusive: its own node can only be read
    stage.start(guest, f"{UEFI} -l com1,/dev/nmdm-{guest}.1A -s 4,virtio-blk,/dev/{lun.da()}")
    assert stage.status(guest) == 1
    said = console.hear("GUEST-WRITE refused")
    assert f"bytes={lun.disk.size} serial=BHYVE-" in said
    assert "readonly=1" in said
    assert stage.ssh(f"bhyvectl --vm={other} --destroy").status == 0
    assert stage.status(other) == 1


def test_iscsictl_takes_the_disk_from_a_running_guest_which_stays_up_and_obeys_its_button(
    stage: Stage, guest: str, console: Console
) -> None:
    lun = stage.boot_disk(guest, "write").attach()
    stage.ssh("ifconfig tap5 create")
    disk = f"-s 4,virtio-blk,{lun.device},ser={lun.serial} -s 5,virtio-net,tap5,mac=58:9c:fc:00:00:01"
    stage.start(guest, f"{UEFI} -l com1,/dev/nmdm-{guest}.1A {disk}")
    console.hear("GUEST-WROTE 2")
    pid = stage.wait_for_pid(guest)
    assert "Opened by PID" in stage.ssh("ifconfig tap5").stdout
    assert lun.detach().status == 0
    console.hear("GUEST-IO-ERROR")
    assert stage.pid(guest) == pid, "bhyve does not notice"
    assert stage.ssh(f"kill -TERM {pid}").status == 0
    console.hear("GUEST-BUTTON")
    assert stage.status(guest) == 1
    assert "Opened by PID" not in stage.ssh("ifconfig tap5").stdout


def test_a_guest_on_a_dead_target_waits_and_its_end_freezes_the_host_until_the_session_is_taken_away(
    stage: Stage, guest: str, console: Console, tmp_path: Path
) -> None:
    with tgtd.running(tmp_path) as daemon:
        own = Stage(stage.host, daemon, stage.directory, stage.config)
        lun = own.boot_disk(guest, "write").attach()
        stage.start(guest, f"{UEFI} -l com1,/dev/nmdm-{guest}.1A -s 4,virtio-blk,{lun.device}")
        console.hear("GUEST-WROTE 2")
    wait_for(
        lambda: "Connected" not in stage.ssh(f"iscsictl -L | grep {lun.target.iqn}").stdout,
        what="the session is lost",
        deadline=60,
    )
    assert "GUEST-IO-ERROR" not in console.text, "its writes wait, they do not fail"
    assert stage.ssh("sysctl -n kern.geom.conftxt > /dev/null").status == 0, "nobody has closed the disk yet"
    stage.ssh(f"kill -9 {stage.wait_for_pid(guest)}")
    asked = "(sysctl -n kern.geom.conftxt > /tmp/conftxt; echo ended > /tmp/conftxt.status) > /dev/null 2>&1 &"

    def answers() -> bool:
        return stage.ssh("cat /tmp/conftxt.status").status == 0

    def stops() -> bool:
        stage.ssh(f"rm -f /tmp/conftxt.status; {asked}")
        try:
            return not wait_for(answers, what="GEOM answers", deadline=2)
        except DeadlineError:
            return True

    wait_for(stops, what="GEOM stops, once bhyve is dead and its disk is to be closed", deadline=60)
    assert lun.detach().status == 0
    wait_for(answers, what="GEOM answers", deadline=60)
    stage.until_qemu_is_gone(guest)


def test_a_pause_of_the_target_is_a_pause_of_the_guest_and_no_error(
    stage: Stage, guest: str, console: Console, tmp_path: Path
) -> None:
    with tgtd.running(tmp_path) as daemon:
        own = Stage(stage.host, daemon, stage.directory, stage.config)
        lun = own.boot_disk(guest, "write").attach()
        stage.start(guest, f"{UEFI} -l com1,/dev/nmdm-{guest}.1A -s 4,virtio-blk,{lun.device}")
        console.hear("GUEST-WROTE 2")
        daemon.process.send_signal(signal.SIGSTOP)
        wait_for(
            lambda: "Connected" not in stage.ssh(f"iscsictl -L | grep {lun.target.iqn}").stdout,
            what="the session is lost",
            deadline=60,
        )
        last = int(re.findall(r"GUEST-WROTE (\d+)", console.text)[-1])
        daemon.process.send_signal(signal.SIGCONT)
        console.hear(f"GUEST-WROTE {last + 3}\r")
        assert "GUEST-IO-ERROR" not in console.text
        assert stage.ssh(f"kill -TERM {stage.wait_for_pid(guest)}").status == 0
        assert stage.status(guest) == 1
        lun.detach()
