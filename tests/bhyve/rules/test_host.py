"""What the host's bhyve must have for a guest: every rule once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyvmiscsi.bhyve.machine.capabilities import Capabilities
from pyvmiscsi.bhyve.rules.host import asks_bhyve, host
from pyvmiscsi.lab.bhyve import usage
from tests.bhyve.guests import CONF, HOST, guest_of
from tests.bhyve.our_guests import OUR_GUESTS, OurGuest, paper_host

ARM64 = replace(HOST, machine="arm64", release=1500000)
FIRST_14 = replace(HOST, release=1400097)
FREEBSD_13 = replace(HOST, release=1302001)
_SCSI = "disk1_type=virtio-scsi\ndisk1_name=/dev/cam/ctl1.0\n"
TELLING = replace(HOST, emulations=frozenset({"virtio-blk", "virtio-net", "hostbridge", "lpc"}))


def told(conf: str, on: Capabilities) -> list[str]:
    return [str(problem) for problem in host(guest_of("web1", conf), on)]


@pytest.mark.parametrize("on", [HOST, ARM64, FIRST_14, FREEBSD_13, TELLING])
def test_an_ordinary_guest_runs_anywhere(on: Capabilities) -> None:
    assert told(CONF, on) == []


@pytest.mark.parametrize(
    ("more", "on", "problem"),
    [
        ("", replace(HOST, machine="riscv"), "host: it is a riscv machine"),
        ("", replace(ARM64, release=1403000), "host: its bhyve does not run on arm64"),
        ("uefi_vars=yes\n", ARM64, "uefi_vars: bhyve on arm64 does not have this"),
        ("tpm_type=passthru\n", ARM64, "tpm_type: bhyve on arm64 does not have this"),
        ("fwcfg=qemu\n", ARM64, "fwcfg: bhyve on arm64 does not have this"),
        ("smbios_system_sku=1\n", ARM64, "smbios: bhyve on arm64 does not have this"),
        ("comports=com1 com2\n", ARM64, "comports: bhyve on arm64 does not have more than one serial port"),
        ("virt_random=yes\n", TELLING, "virt_random: bhyve there has no virtio-rnd"),
        ("graphics=yes\n", TELLING, "graphics: bhyve there has no fbuf"),
        ("xhci_mouse=yes\n", TELLING, "xhci_mouse: bhyve there has no xhci"),
        ("sound=yes\n", TELLING, "sound: bhyve there has no hda"),
        ("virt_console0=a\n", TELLING, "virt_console0: bhyve there has no virtio-console"),
        ("passthru0=3/0/0\n", TELLING, "passthru0: bhyve there has no passthru"),
        ("share0_name=a\nshare0_path=/a\n", TELLING, "share0: bhyve there has no virtio-9p"),
        ("disk1_type=nvme\ndisk1_name=a\n", TELLING, "disk1_type: bhyve there has no nvme"),
        ("disk1_type=ahci-cd\ndisk1_name=a\n", TELLING, "disk1_type: bhyve there has no ahci"),
        ("network1_type=e1000\n", TELLING, "network1_type: bhyve there has no e1000"),
        ("passthru0=ppt0\n", FIRST_14, "passthru0: names such as ppt0 came with FreeBSD 14.1"),
        ("com1_device=tcp=127.0.0.1:1\n", FIRST_14, "com1_device: serial ports over TCP came with FreeBSD 14.1"),
        ("disk0_opts=bootindex=1\n", FREEBSD_13, "disk0_opts: bootindex came with FreeBSD 14.0"),
        ("fwcfg=qemu\n", FREEBSD_13, "fwcfg: bhyve there takes no variables"),
        ("smbios_system_sku=1\n", FREEBSD_13, "smbios_system_sku: bhyve there takes no variables"),
        ("graphics=yes\nvnc_password=x\n", FREEBSD_13, "vnc_password: bhyve there takes no variables"),
        ("tpm_type=passthru\n", FREEBSD_13, "tpm_type: bhyve there has no TPM"),
    ],
)
def test_what_the_host_lacks_is_named(more: str, on: Capabilities, problem: str) -> None:
    (said,) = told(CONF + more, on)
    assert said.startswith(problem)


@pytest.mark.parametrize(
    ("more", "on"),
    [
        ("passthru0=ppt0\n", replace(HOST, release=1401000)),
        ("passthru0=3/0/0\n", FIRST_14),
        ("com1_device=tcp=127.0.0.1:1\n", replace(HOST, release=1401000)),
        ("com1_device=/dev/nmdm7A\n", FIRST_14),
        ("disk0_opts=bootindex=1\n", FIRST_14),
        ("disk0_opts=nocache\n", FREEBSD_13),
        ("graphics=yes\n", FREEBSD_13),
        ("comports=com1\n", ARM64),
    ],
)
def test_what_the_host_has_is_not_held_against_the_guest(more: str, on: Capabilities) -> None:
    assert told(CONF + more, on) == []


def test_graphics_that_nobody_would_see_need_no_frame_buffer() -> None:
    assert told(CONF.replace('"uefi"', '"grub"') + "graphics=yes\n", TELLING) == []


def test_arm64_has_no_loaders_of_amd64() -> None:
    (said,) = told(CONF.replace('"uefi"', '"grub"'), ARM64)
    assert said == "loader: grub is a loader of amd64"


def test_what_bhyve_says_of_itself_goes_before_its_release() -> None:
    patched = replace(FREEBSD_13, options=frozenset("ko"), lpc_devices=frozenset({"tpm"}))
    assert told(CONF + "fwcfg=qemu\ntpm_type=passthru\n", patched) == []


@pytest.mark.parametrize("our", OUR_GUESTS, ids=lambda our: our.case)
def test_a_bhyve_that_was_asked_has_what_its_guests_want(our: OurGuest) -> None:
    asked = paper_host(our)
    said = replace(
        our.host,
        options=frozenset(usage.flags(asked) + usage.with_argument(asked)),
        emulations=frozenset(usage.emulations(asked)),
        lpc_devices=frozenset(usage.lpc_devices(asked) if asked.machine == "amd64" else ()),
    )
    assert list(host(our.guest, said)) == []


@pytest.mark.parametrize("more", ["tpm_type=passthru\n", "fwcfg=qemu\n", "share0_name=a\nshare0_path=/a\n", _SCSI])
def test_bhyve_is_asked_only_for_guests_that_want_more_than_all_have(more: str) -> None:
    assert asks_bhyve(guest_of("web1", CONF + more))
    assert not asks_bhyve(guest_of("web1", CONF))
