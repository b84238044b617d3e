"""What bhyve on a host of the lab refuses, and how it ends: no guest boots here, so it takes seconds."""

from __future__ import annotations

from tests.lab.bhyve import roms
from tests.lab.bhyve.stage import FIRMWARE, MINIMAL, Console, Stage


def _rom(stage: Stage, guest: str, code: bytes) -> str:
    (stage.config / f"{guest}.fd").write_bytes(roms.rom(code))
    return f"{MINIMAL} -l bootrom,/vmconfig/{guest}.fd"


def test_without_firmware_or_loader_nothing_can_boot_and_the_machine_stays_behind(stage: Stage, guest: str) -> None:
    done = stage.ssh(f"{MINIMAL} {guest}")
    assert (done.status, done.said) == (4, ["virtual machine cannot be booted"])
    assert stage.ssh(f"test -c /dev/vmm/{guest}").status == 0


def test_firmware_that_is_not_there(stage: Stage, guest: str) -> None:
    done = stage.ssh(f"{MINIMAL} -l bootrom,/nowhere.fd {guest}")
    assert done.status == 4
    assert done.said[0] == 'Error opening bootrom "/nowhere.fd": No such file or directory'


def test_a_disk_that_is_not_there(stage: Stage, guest: str) -> None:
    done = stage.ssh(f"{MINIMAL} -l bootrom,{FIRMWARE} -s 4,virtio-blk,/dev/diskid/DISK-none {guest}")
    assert done.status == 4
    assert done.said == [
        "bhyve: Could not open backing file: /dev/diskid/DISK-none: No such file or directory",
        "Could not open backing file: No such file or directory",
        "device emulation initialization error: No such file or directory",
    ]


def test_512_bytes_are_refused_on_a_disk_of_4096(stage: Stage, guest: str) -> None:
    lun = stage.boot_disk(guest, sector=4096).attach()
    done = stage.ssh(f"{MINIMAL} -l bootrom,{FIRMWARE} -s 4,virtio-blk,{lun.device},sectorsize=512 {guest}")
    assert done.status == 4
    assert done.said[0] == "Sector size 512 incompatible with underlying device sector size 4096"
    assert "Mode: r0w0e0" in stage.ssh(f"geom disk list {lun.da()}").stdout


def test_without_their_kernel_modules_there_is_neither_machine_nor_console(stage: Stage, guest: str) -> None:
    command = f"{_rom(stage, guest, roms.HALT)} -l com1,/dev/nmdm-{guest}.1A {guest}"
    assert stage.ssh("kldunload nmdm").status == 0
    done = stage.ssh(command)
    assert (done.status, done.said[0]) == (
        4,
        f"Unable to initialize backend '/dev/nmdm-{guest}.1A' for LPC device com1",
    )
    assert stage.ssh("kldunload vmm").status == 0
    done = stage.ssh(f"bhyvectl --vm={guest} --destroy; {command}")
    assert (done.status, done.said) == (4, ["vm_create: No such file or directory"])
    assert stage.ssh(f"kldload nmdm && kldload vmm && {command}").status == 2


def test_a_network_needs_its_interface(stage: Stage, guest: str) -> None:
    command = f"{_rom(stage, guest, roms.HALT)} -s 5,virtio-net,tap77 {guest}"
    done = stage.ssh(command)
    assert done.status == 4
    assert done.stdout == "open of tap device /dev/tap77 failed\n"
    assert stage.ssh("ifconfig tap77 create").status == 0
    assert stage.ssh(command).status == 2


def test_config_dump_shows_what_was_understood_and_ends_with_1(stage: Stage, guest: str) -> None:
    (stage.config / "bhyve.conf").write_text("# a comment\ncpus=2\npci.0.4.0.device=virtio-rnd\n")
    done = stage.ssh(f"bhyve -k /vmconfig/bhyve.conf -o config.dump=1 {guest}")
    assert done.status == 1
    assert "cpus=2\npci.0.4.0.device=virtio-rnd\n" in done.stdout
    assert f"name={guest}\n" in done.stdout


def test_a_halted_guest_ends_with_2_and_a_triple_fault_with_3(stage: Stage, guest: str) -> None:
    assert stage.ssh(f"{_rom(stage, guest, roms.HALT)} {guest}").status == 2
    assert stage.ssh(f"{_rom(stage, guest, roms.TRIPLE_FAULT)} {guest}").status == 3


def test_com1_on_stdio_is_bhyves_own_input_and_output(stage: Stage, guest: str) -> None:
    command = f"{_rom(stage, guest, roms.PRINT + roms.ECHO)} -l com1,stdio {guest}"
    console = Console(stage.ssh_argv(command))
    console.hear("hello")
    console.type("round trip")
    console.hear("round trip")
    assert stage.ssh(f"bhyvectl --vm={guest} --force-reset").status == 0
    assert console.wait() == 0
    console.close()


def test_killed_with_9_the_machine_stays_busy_until_it_is_destroyed(stage: Stage, guest: str) -> None:
    command = _rom(stage, guest, roms.IDLE)
    stage.start(guest, command)
    pid = stage.wait_for_pid(guest)
    assert stage.ssh(f"{command} {guest}").said == ["vm_create: Device busy"], "somebody runs in it"
    stage.ssh(f"kill -9 {pid}")
    assert stage.status(guest) == 137
    stage.until_qemu_is_gone(guest)
    refused = stage.ssh(f"{command} {guest}")
    assert (refused.status, refused.said) == (4, ["vm_create: Device busy"])
    assert stage.ssh(f"bhyvectl --vm={guest} --destroy").status == 0
    assert stage.ssh(f"test -e /dev/vmm/{guest}").status == 1
    assert stage.ssh(f"bhyvectl --vm={guest} --destroy").stdout == f"VM:{guest} is not created.\n"


def test_of_two_at_once_one_runs(stage: Stage, guest: str) -> None:
    one = f"({_rom(stage, guest, roms.IDLE)} {guest}; echo $? >>/tmp/{guest}.two) &"
    end = f"bhyvectl --vm={guest} --force-poweroff 2>/dev/null"
    done = stage.ssh(
        f"{one} {one} until grep -qsx 4 /tmp/{guest}.two; do sleep 0.05; done; "
        f"until grep -qsx 1 /tmp/{guest}.two; do {end}; sleep 0.05; done; wait; cat /tmp/{guest}.two"
    )
    assert done.stdout.split() == ["4", "1"]
    assert done.said == ["vm_create: Device busy"]


def test_destroying_a_running_machine_ends_its_guest(stage: Stage, guest: str) -> None:
    stage.start(guest, _rom(stage, guest, roms.IDLE))
    stage.wait_for_pid(guest)
    assert stage.ssh(f"bhyvectl --vm={guest} --destroy").status == 0
    assert stage.status(guest) == 1
    assert stage.ssh(f"cat /tmp/{guest}.log").stdout == "vm_run error -1, errno 6\n"
    stage.until_qemu_is_gone(guest)


def test_one_reader_of_a_console_and_tilde_dot_lets_go(stage: Stage, guest: str) -> None:
    first = stage.console(guest)
    second = stage.ssh(f"cu -l /dev/nmdm-{guest}.1B")
    assert (second.status, second.said) == (1, [f"cu: /dev/nmdm-{guest}.1B: Line in use"])
    stage.start(guest, f"{_rom(stage, guest, roms.PRINT + roms.IDLE)} -l com1,/dev/nmdm-{guest}.1A")
    first.hear("hello")
    first.type("\r~.")
    assert first.wait() == 0
    first.close()
    terminal = Console(stage.ssh_argv(f"cu -l nmdm-{guest}.1B -s 115200", terminal=True))
    terminal.hear("Connected")
    terminal.type("~~ is one tilde\r~.")
    assert terminal.wait() == 0
    assert terminal.text.endswith("[EOT]\r\n"), "and no echo of what was typed"
    terminal.close()


def test_bhyvectl_makes_a_machine_once_and_looks_at_it(stage: Stage, guest: str) -> None:
    assert stage.ssh(f"bhyvectl --vm={guest} --create").status == 0
    again = stage.ssh(f"bhyvectl --vm={guest} --create")
    assert (again.status, again.stdout) == (255, "errno = 17\n")
    idle = stage.ssh(f"bhyvectl --vm={guest} --get-all").stdout
    stage.start(guest, _rom(stage, guest, roms.IDLE))
    stage.wait_for_pid(guest)
    busy = stage.ssh(f"bhyvectl --get-active-cpus --vm {guest}").stdout
    assert ("active cpus:\t (none)\n" in idle, busy) == (True, "active cpus:\t 0\n")
    assert stage.ssh("bhyvectl --destroy").status == 1, "which one?"
    assert stage.ssh(f"bhyvectl --vm={guest} --explode").status == 1
    assert stage.ssh(f"bhyvectl --vm={guest} --force-poweroff").status == 0
    assert stage.status(guest) == 1
    assert stage.ssh(f"test -e /dev/vmm/{guest}").status == 0, "until somebody destroys it"


def test_a_machine_goes_with_its_guest_when_that_was_asked_for(stage: Stage, guest: str) -> None:
    stage.start(guest, f"{_rom(stage, guest, roms.IDLE)} -D")
    stage.wait_for_pid(guest)
    assert stage.ssh(f"bhyvectl --vm={guest} --force-poweroff").status == 0
    assert stage.status(guest) == 1
    assert stage.ssh(f"test -e /dev/vmm/{guest}").status == 1
