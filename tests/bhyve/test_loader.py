"""Loaders that run before bhyve, held against what vm-bhyve ran, and UEFI firmware."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyvmiscsi.bhyve.argv import uuid_of
from pyvmiscsi.bhyve.config import Loader
from pyvmiscsi.bhyve.loader import bootrom, console, device_map, loader_argv, vars_file
from pyvmiscsi.errors import RuleError, UnsupportedError
from tests.bhyve.guests import web1, with_iso
from tests.bhyve.vm_bhyve import Ran, release_runs, upstream_runs

_LOADED = [ran for ran in (*upstream_runs(), *release_runs()) if ran.loader is not None]
_NOT_LOADED = [ran for ran in (*upstream_runs(), *release_runs()) if ran.loader is None]


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


def test_the_device_map_is_vm_bhyves() -> None:
    mapped = [ran for ran in _LOADED if ran.device_map is not None]
    assert len(mapped) == 2
    for ran in mapped:
        assert device_map(ran.guest, ran.devices) == ran.device_map


def test_an_installation_is_booted_from_its_medium() -> None:
    guest = replace(web1(), loader=Loader.GRUB, grub_run_dir="/grub2")
    argv = loader_argv(guest, with_iso("/iso/os.iso"), uuid_of(guest))
    assert argv is not None
    assert argv[-3:] == ("-r", "cd0", "web1")
    assert device_map(guest, with_iso("/iso/os.iso")).endswith("(cd0) /iso/os.iso\n")


def test_a_loader_without_a_disk_is_refused() -> None:
    guest = replace(web1(), loader=Loader.BHYVELOAD, disks=())
    with pytest.raises(RuleError, match="needs a disk"):
        loader_argv(guest, with_iso(None), uuid_of(guest))


def test_own_firmware_is_where_vm_bhyve_keeps_it() -> None:
    guest = replace(web1(), loader=Loader.UEFI_CUSTOM)
    assert bootrom(guest, "/vmconfig/web1") == "/vmconfig/.config/BHYVE_UEFI.fd"


def test_firmware_that_no_package_has_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="uefi-devel"):
        bootrom(replace(web1(), loader=Loader.UEFI_DEVEL), "/vmconfig/web1")


def test_variables_are_kept_only_where_asked() -> None:
    assert vars_file(web1(), "/vmconfig/web1") is None
    assert vars_file(replace(web1(), uefi_vars=True), "/vmconfig/web1") == "/vmconfig/web1/uefi-vars.fd"


def test_consoles_are_named_as_vm_bhyve_names_them() -> None:
    assert console(web1()) == "/dev/nmdm-web1.1A"
    assert console(web1(), 2, "B") == "/dev/nmdm-web1.2B"
