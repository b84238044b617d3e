"""A guest's life on a hypervisor of the lab, from real LUNs through the session that the host holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pyvmiscsi.bhyve.hypervisor import Hypervisor
from pyvmiscsi.bhyve.machine.devices import Devices, FoundDisk
from pyvmiscsi.bhyve.machine.loader import console
from pyvmiscsi.bhyve.rules.check import problems
from pyvmiscsi.bhyve.rules.places import look_at_places, overlap
from pyvmiscsi.bhyve.supervision.supervisor import Supervision
from pyvmiscsi.errors import BusyError, GuestError, NotFoundError
from pyvmiscsi.initiator.freebsd.geom_text import disks_by_label
from pyvmiscsi.lab import Lab
from pyvmiscsi.lab.bootdisk import Behaviour
from pyvmiscsi.lab.hypervisor.control import Control
from pyvmiscsi.names import GuestName
from pyvmiscsi.ports import Host
from pyvmiscsi.units import SECTOR, Size
from pyvmiscsi.waiting import wait_for
from tests.bhyve.guests import CONF, guest_of
from tests.bhyve.on_lab.conftest import OPERATION, QUICK, LabLun, Start, connected

_MANY_DEVICES = """\
uefi_vars="yes"
virt_random="yes"
xhci_mouse="yes"
virt_console0="org.qemu.guest_agent.0"
comports="com1 com2"
wired_memory="yes"
cpu_pins="0:0"
smbios_system_serial_number="SN 1"
share0_name="data"
share0_path="/tmp"
fwcfg="qemu"
"""


def test_tells_a_disk_by_each_of_its_names(host: Host, attached: Callable[[Behaviour, Size], LabLun]) -> None:
    lun = attached("stay", SECTOR)
    disks = disks_by_label(host.run(["/sbin/sysctl", "-b", "kern.geom.conftxt"]).text)
    disk, link = f"/dev/{disks[lun.device.removeprefix('/dev/')]}", f"/tmp/{lun.serial}"
    host.run(["/bin/ln", "-s", disk, link])
    names = (link, lun.device, disk, "/dev/ada0")
    places = look_at_places(host, names)
    assert [overlap(lun.device, name, places) for name in names] == [True, True, True, False]


def test_says_what_it_can_do(host: Host) -> None:
    hypervisor = Hypervisor(host)
    hypervisor.load_modules()
    found = hypervisor.capabilities()
    assert found.release >= 1400000
    assert found.machine == "amd64"
    assert {"vmm", "nmdm"} <= found.modules
    assert "/usr/local/share/uefi-firmware/BHYVE_UEFI.fd" in found.firmware
    assert found.emulations == frozenset()
    assert hypervisor.machine().hostname == "hv1.lab"


def test_asks_bhyve_itself_for_a_guest_that_wants_more_than_any_has(host: Host) -> None:
    found = Hypervisor(host).capabilities(guest_of("web1", CONF + 'fwcfg="qemu"\n'))
    assert found.reads_config_files
    assert found.has_tpm
    assert {"k", "o", "s"} <= found.options
    assert not found.lacks_emulation("virtio-9p")
    assert found.lacks_emulation("virtio-gpu")


def test_a_guest_boots_from_its_lun_with_512_byte_sectors_and_powers_off(start: Start) -> None:
    running = start("poweroff", physical=Size(4096))
    ended = running.hypervisor.wait_stopped(running.guest.name, deadline=120)
    assert ended.status is not None
    assert (ended.status.phase, ended.status.exit_status) == ("stopped", 1)
    assert running.disk_seen() == ("512", "4096", running.guest.disks[0].shown_serial)
    running.until_said("GUEST-WRITE ok")
    assert running.is_clean()


def test_a_lun_of_4096_bytes_is_refused_because_a_guest_would_see_them(start: Start) -> None:
    running = start("poweroff", sector=Size(4096))
    assert running.lun is not None
    devices = Devices(running.directory, {0: FoundDisk(running.lun.device, Size(4096))}, {0: "tap0"})
    (problem,) = problems(running.guest, running.hypervisor.capabilities(), devices)
    assert "logical blocks of 4096 bytes" in problem.what
    running.hypervisor.wait_stopped(running.guest.name, deadline=120)
    assert running.disk_seen()[:2] == ("4096", "4096")


def test_a_guest_that_reboots_is_started_again_on_the_same_disk(host: Host, start: Start) -> None:
    running = start("reboot", emulation="nvme", by_file=True, more=_MANY_DEVICES)
    ended = running.hypervisor.wait_stopped(running.guest.name, deadline=150)
    running.until_said(f"GUEST-MARKER {running.guest.name} boot=2")
    assert f"GUEST-MARKER {running.guest.name} boot=1" in running.said()
    assert ended.status is not None
    assert ended.status.reason == "guest powered off"
    assert (
        f"GUEST-DISK nvme0n1 logical=512 physical=512 bytes=67108864 serial={running.guest.name}-00" in running.said()
    )
    assert "uefi-vars.fd" in host.list_directory(running.directory)
    assert running.is_clean()


def test_the_power_button_ends_a_guest_that_stays(start: Start) -> None:
    running = start("stay")
    running.until_said("GUEST-READY")
    assert running.hypervisor.running() == (str(running.guest.name),)
    assert (
        running.host.read_file(f"{running.directory}/console") == f"com1={console(running.guest, end='B')}\n".encode()
    )
    running.hypervisor.ask_to_stop(running.guest.name)
    running.hypervisor.wait_stopped(running.guest.name, deadline=90)
    running.until_said("GUEST-BUTTON")
    assert running.is_clean()


def test_a_guest_without_a_disk_is_forced_off(start: Start) -> None:
    running = start(None)
    running.hypervisor.force_poweroff(running.guest.name)
    ended = running.hypervisor.wait_stopped(running.guest.name, deadline=90)
    assert ended.status is not None
    assert ended.status.phase == "stopped"
    assert running.is_clean()


def test_a_killed_bhyve_leaves_nothing_behind(start: Start) -> None:
    running = start(None)
    process = running.hypervisor.guest(running.guest.name).process
    running.host.run(["/bin/kill", "-KILL", str(process)])
    ended = running.hypervisor.wait_stopped(running.guest.name, deadline=90)
    assert ended.status is not None
    assert (ended.status.phase, ended.status.exit_status) == ("failed", 137)
    assert running.is_clean()


def test_a_guest_whose_supervisor_was_killed_can_still_be_ended(host: Host, start: Start) -> None:
    running = start(None)
    name = running.guest.name
    status = running.hypervisor.guest(name).status
    assert status is not None
    host.run(["/bin/kill", "-KILL", str(status.supervisor)])
    assert running.hypervisor.guest(name).is_running
    running.hypervisor.force_poweroff(name)
    ended = running.hypervisor.wait_stopped(name, deadline=90)
    assert ended.status is not None
    assert (ended.status.phase, ended.status.reason) == ("stopped", "ended by force")
    assert running.is_clean()


def test_a_guest_hears_nothing_of_sshd(lab: Lab, start: Start) -> None:
    running = start(None)
    with Control(Path(lab.info.hypervisors["hv1"].control_socket)) as control:
        control.restart_sshd()
    found = running.hypervisor.guest(running.guest.name)
    assert found.is_running
    assert found.is_supervised
    running.hypervisor.force_poweroff(running.guest.name)
    running.hypervisor.wait_stopped(running.guest.name, deadline=90)
    assert running.is_clean()


def test_a_virtual_machine_that_an_accident_left_does_not_stand_in_the_way(
    host: Host, guest_name: GuestName, start: Start
) -> None:
    Hypervisor(host).load_modules()
    host.run(["/usr/sbin/bhyvectl", f"--vm={guest_name}", "--create"])
    running = start(None)
    assert running.hypervisor.guest(running.guest.name).is_running


def test_a_running_guest_is_locked_for_others_and_for_other_hosts(lab: Lab, start: Start) -> None:
    running = start(None)
    with pytest.raises(BusyError, match="it runs on hv1 already"):
        running.hypervisor.run_lock(running.guest.name, running.directory).take("ffff")
    elsewhere = connected(lab, "hv2")
    with pytest.raises(BusyError, match=r"it runs on hv1\.lab"):
        Hypervisor(elsewhere).run_lock(running.guest.name, running.directory).take("ffff")
    elsewhere.close()


def test_a_bhyve_that_refuses_is_quoted(host: Host, guest_name: GuestName) -> None:
    hypervisor = Hypervisor(host)
    directory = f"/vmconfig/{guest_name}"
    host.make_directory(directory)
    hypervisor.run_lock(guest_name, directory).take(OPERATION)
    rom = "bootrom,/usr/local/share/uefi-firmware/BHYVE_UEFI.fd"
    devices = ("-s", "0,hostbridge", "-s", "31,lpc", "-s", "4,virtio-blk,/dev/none")
    missing = ("/usr/sbin/bhyve", "-m", "512M", *devices, "-l", rom, str(guest_name))
    with pytest.raises(GuestError, match="Could not open backing file"):
        hypervisor.start(Supervision(guest_name, OPERATION, directory, missing, patience=QUICK))
    hypervisor.wait_stopped(guest_name, deadline=90)
    assert host.list_directory(directory) == ()


def test_somebody_elses_bhyve_of_the_same_name_is_left_alone(host: Host, guest_name: GuestName) -> None:
    hypervisor = Hypervisor(host)
    hypervisor.load_modules()
    rom = "bootrom,/usr/local/share/uefi-firmware/BHYVE_UEFI.fd"
    theirs = ("/usr/sbin/bhyve", "-m", "512M", "-s", "0,hostbridge", "-s", "31,lpc", "-l", rom, str(guest_name))
    host.run(["/usr/sbin/daemon", "-f", *theirs])
    wait_for(lambda: hypervisor.guest(guest_name).is_running, what="their bhyve", deadline=90)
    with pytest.raises(GuestError, match="running already"):
        hypervisor.start(Supervision(guest_name, OPERATION, f"/vmconfig/{guest_name}", theirs, patience=QUICK))
    hypervisor.end(guest_name)
    assert hypervisor.guest(guest_name).is_running
    host.run(["/usr/sbin/bhyvectl", f"--vm={guest_name}", "--force-poweroff"])
    hypervisor.wait_stopped(guest_name, deadline=90)


def test_a_guest_that_does_not_run_cannot_be_stopped(host: Host, guest_name: GuestName) -> None:
    with pytest.raises(NotFoundError, match="does not run on hv1"):
        Hypervisor(host).ask_to_stop(guest_name)
