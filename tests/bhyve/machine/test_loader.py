"""Loaders that run before bhyve, held against what vm-bhyve ran, and UEFI firmware."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyvmiscsi.bhyve.command.settings import uuid_of
from pyvmiscsi.bhyve.configuration.config import Loader, Passthru
from pyvmiscsi.bhyve.machine.loader import (
    bootrom,
    console,
    grub_file_after_installation,
    grub_files,
    loader_argv,
    serial_ports,
    vars_file,
    viewers,
)
from pyvmiscsi.errors import RuleError
from tests.bhyve.golden_runs import Ran, generated_runs, release_runs, upstream_runs
from tests.bhyve.guests import web1, with_iso

_RUNS = [*upstream_runs(), *release_runs(), *generated_runs()]
_LOADED = [ran for ran in _RUNS if ran.loader is not None]
_NOT_LOADED = [ran for ran in _RUNS if ran.loader is None]


@pytest.mark.parametrize("ran", _LOADED, ids=lambda ran: f"{ran.set}/{ran.case}")
def test_the_loader_is_run_as_vm_bhyve_runs_it(ran: Ran) -> None:
    ours = loader_argv(ran.guest, ran.devices, uuid_of(ran.guest))
    assert ours is not None
    assert ran.loader is not None
    assert ours[0].rpartition("/")[2] == ran.loader[0]
    assert ours[1:] == ran.loader[1:]


@pytest.mark.parametrize("ran", _NOT_LOADED, ids=lambda ran: f"{ran.set}/{ran.case}")
def test_uefi_guests_have_no_loader(ran: Ran) -> None:
    assert loader_argv(ran.guest, ran.devices, uuid_of(ran.guest)) is None


@pytest.mark.parametrize("ran", [ran for ran in _LOADED if ran.grub_files], ids=lambda ran: f"{ran.set}/{ran.case}")
def test_grub_reads_what_vm_bhyve_writes_for_it(ran: Ran) -> None:
    assert grub_files(ran.guest, ran.devices) == ran.grub_files


def test_maps_and_menus_are_among_them() -> None:
    names = [name for ran in _LOADED for name in ran.grub_files]
    assert names.count("device.map") >= 15
    assert names.count("grub.cfg") >= 5


def test_after_an_installation_grub_reads_the_commands_for_the_disk() -> None:
    guest = replace(web1(), loader=Loader.GRUB, grub_install=("linux /install",), grub_run=("linux /run",))
    files = grub_files(guest, with_iso("/iso/os.iso"))
    assert "linux /install" in files["grub.cfg"]
    (later_file,) = grub_file_after_installation(guest, with_iso("/iso/os.iso")).items()
    assert later_file[0] == "grub-run.cfg"
    assert "    root=hd0,1\n    linux /run\n" in later_file[1]
    first = loader_argv(guest, with_iso("/iso/os.iso"), uuid_of(guest)) or ()
    later = loader_argv(guest, with_iso(None), uuid_of(guest), installed=True) or ()
    assert first[-5:] == ("-r", "host", "-d", "/vmconfig/web1", "web1")
    assert later[-7:] == ("-r", "host", "-d", "/vmconfig/web1", "-g", "grub-run.cfg", "web1")


def test_an_installation_is_booted_from_its_medium() -> None:
    guest = replace(web1(), loader=Loader.GRUB, grub_run_dir="/grub2")
    argv = loader_argv(guest, with_iso("/iso/os.iso"), uuid_of(guest))
    assert argv is not None
    assert argv[-3:] == ("-r", "cd0", "web1")
    assert grub_files(guest, with_iso("/iso/os.iso")) == {
        "device.map": "(cd0) /iso/os.iso\n(hd0) /dev/diskid/DISK-3e3e6d4f8a1b-00\n"
    }


def test_commands_of_the_configuration_become_a_menu_of_one_entry() -> None:
    guest = replace(web1(), loader=Loader.GRUB, grub_run=("linux /vmlinuz", "initrd /initrd", "boot"), loader_timeout=0)
    argv = loader_argv(guest, with_iso(None), uuid_of(guest))
    assert argv is not None
    assert argv[-5:] == ("-r", "host", "-d", "/vmconfig/web1", "web1")
    assert grub_files(guest, with_iso(None))["grub.cfg"] == (
        "timeout=0\nmenuentry 'web1 (bhyve run)' {\n    root=hd0,1\n    linux /vmlinuz\n    initrd /initrd\n}\n"
    )


def test_a_loader_wires_the_memory_that_bhyve_will_wire() -> None:
    guest = replace(web1(), loader=Loader.BHYVELOAD, passthrus=(Passthru(0, "3/0/0"),))
    assert "-S" in (loader_argv(guest, with_iso(None), uuid_of(guest)) or ())


def test_a_loader_without_a_disk_is_refused() -> None:
    guest = replace(web1(), loader=Loader.BHYVELOAD, disks=())
    with pytest.raises(RuleError, match="needs a disk"):
        loader_argv(guest, with_iso(None), uuid_of(guest))


def test_own_firmware_is_where_vm_bhyve_keeps_it() -> None:
    guest = replace(web1(), loader=Loader.UEFI_CUSTOM)
    assert bootrom(guest, "/vmconfig/web1") == "/vmconfig/.config/BHYVE_UEFI.fd"


def test_variables_are_kept_only_where_asked() -> None:
    assert vars_file(web1(), "/vmconfig/web1") is None
    assert vars_file(replace(web1(), uefi_vars=True), "/vmconfig/web1") == "/vmconfig/web1/uefi-vars.fd"


def test_consoles_are_named_as_vm_bhyve_names_them() -> None:
    assert console(web1()) == "/dev/nmdm-web1.1A"
    assert console(web1(), 2, "B") == "/dev/nmdm-web1.2B"


def test_serial_ports_are_counted_in_the_order_they_are_listed() -> None:
    guest = replace(web1(), comports=("com2", "com1"))
    assert serial_ports(guest) == {"com2": "/dev/nmdm-web1.1A", "com1": "/dev/nmdm-web1.2A"}
    assert viewers(guest) == (("com2", "/dev/nmdm-web1.1B"), ("com1", "/dev/nmdm-web1.2B"))


def test_a_serial_port_that_is_wired_elsewhere_has_no_viewer_and_is_no_loaders_console() -> None:
    guest = replace(web1(), loader=Loader.BHYVELOAD, com_devices={"com1": "tcp=127.0.0.1:4555"})
    assert viewers(guest) == ()
    assert "-c" not in (loader_argv(guest, with_iso(None), uuid_of(guest)) or ())
