"""A guest installed from a medium through the SDK, on hypervisors in memory; tests/e2e does it on the lab."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyvmiscsi.errors import BusyError, InputError, InterruptedOperation, NotFoundError, RuleError
from pyvmiscsi.names import GuestName
from pyvmiscsi.operations.create import settings_of
from pyvmiscsi.site import Guest
from pyvmiscsi.site.running import Run
from tests.model.hypervisor import RUN
from tests.model.worlds import CONFIG_PATH, MemoryWorld
from tests.site.worlds import web1

ISO = f"{CONFIG_PATH}/.iso/os.iso"
MEDIUM = f"3:0,ahci-cd,{ISO},ro,bootindex=1"


@pytest.fixture
def world() -> MemoryWorld:
    world = MemoryWorld()
    world.shared.make_directory(f"{CONFIG_PATH}/.iso")
    world.shared.write_file(ISO, b"a medium")
    world.site().datastore().create(web1())
    return world


@pytest.fixture
def guest(world: MemoryWorld) -> Guest:
    return world.site().datastore().guest("web1")


def script_of(world: MemoryWorld, guest: str = "web1") -> dict[str, str]:
    """The supervisor's commands, by their names."""
    script = world.hosts["hv1"].files[f"{RUN}/{guest}/supervisor.sh"].decode()
    commands = (line.partition("() { exec ") for line in script.splitlines() if "() { exec " in line)
    return {name: words.removesuffix("; }") for name, _, words in commands}


def test_the_medium_is_in_the_drive_until_the_guest_reboots(world: MemoryWorld, guest: Guest) -> None:
    assert guest.install("os.iso") == "hv1"
    commands = script_of(world)
    assert MEDIUM in commands["first_bhyve"]
    assert commands["first_bhyve"].replace(f" -s {MEDIUM}", "") == commands["bhyve"]


def test_a_start_has_one_command_only(world: MemoryWorld, guest: Guest) -> None:
    guest.start()
    assert "first_bhyve" not in script_of(world)


@pytest.mark.parametrize("loader", ["bhyveload", "grub"])
def test_a_guest_of_a_template_is_made_and_started_by_the_templates_loader(world: MemoryWorld, loader: str) -> None:
    template = f'loader="{loader}"\ncpu=2\nmemory=256M\ndisk0_type="ahci-hd"\ndisk0_name="disk0.img"\n'
    settings = settings_of(template, cpu=None, memory=None, switches=())
    made = world.site().datastore().create(replace(web1(settings=settings), guest=GuestName.parse("db1")))
    made.start()
    commands = script_of(world, "db1")
    assert {"bhyveload": "bhyveload -", "grub": "grub-bhyve "}[loader] in commands["loader"]
    assert "ahci" in commands["bhyve"]
    assert "bootrom" not in commands["bhyve"]


@pytest.mark.parametrize("loader", ["bhyveload", "grub"])
def test_a_loader_reads_the_medium_first_and_the_disk_afterwards(world: MemoryWorld, guest: Guest, loader: str) -> None:
    conf = f"{CONFIG_PATH}/web1/web1.conf"
    text = (world.shared.read_file(conf) or b"").replace(b'loader="uefi"', f'loader="{loader}"'.encode())
    world.shared.write_file(conf, text)
    guest.install(ISO)
    commands = script_of(world)
    first, then = {"bhyveload": (f"-d {ISO}", "-d /dev/diskid/DISK-"), "grub": ("-r cd0", "-r hd0,1")}[loader]
    assert first in commands["first_loader"]
    assert then in commands["loader"]
    assert first not in commands["loader"]


def test_a_medium_that_is_not_there_is_told_before_anything_is_touched(world: MemoryWorld, guest: Guest) -> None:
    for name in ("other.iso", "/nowhere/os.iso"):
        with pytest.raises(NotFoundError, match="not on hv1"):
            guest.install(name)
    with pytest.raises(InputError, match="neither a name in a store nor an absolute path"):
        guest.install("isos/os.iso")
    assert world.census().host_sessions == 0


def test_a_path_that_bhyve_would_take_apart_is_refused(world: MemoryWorld, guest: Guest) -> None:
    world.shared.write_file(f"{CONFIG_PATH}/.iso/a,b.iso", b"")
    with pytest.raises(RuleError, match="installation medium"):
        guest.install("a,b.iso")
    assert world.census().host_sessions == 0


def test_a_guest_that_runs_is_not_installed(guest: Guest) -> None:
    guest.start("hv2")
    with pytest.raises(BusyError, match="hv2"):
        guest.install("os.iso", "hv1")


@pytest.mark.parametrize("steps", range(1, 3))
def test_one_that_is_cut_short_is_found_with_its_medium(world: MemoryWorld, guest: Guest, steps: int) -> None:
    asked = iter([False] * steps + [True] * 9)
    with pytest.raises(InterruptedOperation, match="ops resume"):
        guest.install("os.iso", run=Run(interrupted=lambda: next(asked)))
    (found,) = world.site().operations()
    assert (found.intent.verb, found.intent.request["iso"]) == ("install", ISO)
    found.resume()
    assert MEDIUM in script_of(world)["first_bhyve"]
    assert world.site().operations() == ()


def test_once_the_guest_runs_no_accident_begins_its_installation_anew(world: MemoryWorld, guest: Guest) -> None:
    guest.install("os.iso")
    world.hosts["hv1"].running.clear()  # a power failure: its lock stays
    (found,) = world.site().operations()
    assert (found.intent.verb, found.intent.request.get("iso")) == ("start", None)


def test_or_is_taken_back(world: MemoryWorld, guest: Guest) -> None:
    asked = iter([False, False, True])
    with pytest.raises(InterruptedOperation):
        guest.install("os.iso", run=Run(interrupted=lambda: next(asked)))
    (found,) = world.site().operations()
    found.rewind()
    assert world.census().host_sessions == 0
    assert guest.info().state == "Stopped"


def test_its_console_is_joined_before_the_guest_says_its_first_word(world: MemoryWorld, guest: Guest) -> None:
    assert guest.install_in_foreground("os.iso") is None
    assert MEDIUM in script_of(world)["first_bhyve"]
    assert world.hosts["hv1"].interacted == [("/usr/bin/cu", "-l", "/dev/nmdm-web1.1B")]


def test_a_preview_changes_nothing(world: MemoryWorld, guest: Guest) -> None:
    steps = guest.preview_install("os.iso").steps
    assert steps[-1] == (f"guest web1 running from {ISO}", False)
    assert world.census().host_sessions == 0
