"""What bhyve says of itself and takes, release by release and on either machine."""

from __future__ import annotations

import re

import pytest

from pyvmiscsi.lab.bhyve import usage
from pyvmiscsi.lab.bhyve.verdict import Accepted, Refused, judge
from tests.lab.bhyve.facts import PaperHost

V13, V14, V15 = PaperHost(osreldate=1302001), PaperHost(osreldate=1403000), PaperHost(osreldate=1500068)
ARM64 = PaperHost(osreldate=1500068, machine="arm64")
_BOOTROM = ("-s", "31,lpc", "-l", "bootrom,/rom.fd")


def _tree(host: PaperHost, *words: str) -> dict[str, str]:
    verdict = judge(("bhyve", *words, "vm"), host)
    assert isinstance(verdict, Accepted), verdict
    assert verdict.never_read == ()
    return verdict.tree


def _refused(host: PaperHost, *words: str) -> Refused:
    verdict = judge(("bhyve", *words, "vm"), host)
    assert isinstance(verdict, Refused), verdict
    return verdict


@pytest.mark.parametrize("host", [V13, V14, V15, ARM64], ids=["13", "14", "15", "arm64"])
def test_every_option_that_the_usage_tells_of_is_taken(host: PaperHost) -> None:
    refused = _refused(host, "-h")
    assert (refused.status, refused.stdout) == (0, "")
    told = set(re.findall(r"^ +-([A-Za-z]): ", refused.usage, re.MULTILINE))
    assert told <= set(usage.flags(host) + usage.with_argument(host))


def test_tables_are_asked_for_until_15_and_made_unasked_from_then_on() -> None:
    assert "-A: create ACPI tables" in _refused(V14, "-h").usage
    assert "-A:" not in _refused(V15, "-h").usage
    assert _tree(V14)["acpi_tables"] == "false"
    assert _tree(V15)["acpi_tables"] == _tree(V15, "-A")["acpi_tables"] == "true"
    assert _tree(V15, "-o", "acpi_tables=false", "-A")["acpi_tables"] == "false"


@pytest.mark.parametrize("words", [("-k", "/x"), ("-o", "a=b"), ("-K", "de"), ("-f", "a,string=b")])
def test_files_and_variables_came_with_14(words: tuple[str, str]) -> None:
    assert f"illegal option -- {words[0][1]}" in _refused(V13, *words).message[0]


@pytest.mark.parametrize("words", [("-A",), ("-H",), ("-w",), ("-Y",), ("-u",), ("-l", "com1,stdio")])
def test_what_belongs_to_a_pc_is_no_option_on_arm64(words: tuple[str, ...]) -> None:
    assert "illegal option" in _refused(ARM64, *words).message[0]


@pytest.mark.parametrize("device", ["lpc", "fbuf", "passthru"])
def test_devices_of_a_pc_are_unknown_on_arm64(device: str) -> None:
    assert device not in _refused(ARM64, "-s", "help").stdout.split()
    assert f'unknown device "{device}"' in _refused(ARM64, "-s", f"4,{device}").message[0]


def test_arm64_needs_firmware_and_may_have_a_console() -> None:
    assert _refused(ARM64).message == ("bhyve: no bootrom specified",)
    tree = _tree(ARM64, "-o", "bootrom=/u-boot.bin", "-o", "console=stdio", "-s", "0,hostbridge")
    assert tree["console"] == "stdio"
    missing = PaperHost(osreldate=1500068, machine="arm64", missing=frozenset({"/u-boot.bin"}))
    assert _refused(missing, "-o", "bootrom=/u-boot.bin").status == 1


def test_nobody_reads_a_uuid_on_arm64() -> None:
    words = ("bhyve", "-o", "bootrom=/u-boot.bin", "-U", "3e3e6d4f-8a1b-11ef-a000-589cfc010203", "vm")
    verdict = judge(words, ARM64)
    assert isinstance(verdict, Accepted)
    assert [line.partition("=")[0] for line in verdict.never_read] == ["uuid"]


def test_the_firmwares_interface_is_a_variable_and_no_option_of_the_bridge() -> None:
    assert _tree(V14, *_BOOTROM)["lpc.fwcfg"] == "bhyve"
    assert _tree(V14, *_BOOTROM, "-o", "lpc.fwcfg=qemu")["lpc.fwcfg"] == "qemu"
    assert _tree(V14, "-s", "31,lpc", "-l", "bootrom,/rom.fd,fwcfg=qemu")["lpc.fwcfg"] == "qemu"
    unread = judge(("bhyve", "-s", "31,lpc,fwcfg=qemu", "-l", "bootrom,/rom.fd", "vm"), V14)
    assert isinstance(unread, Accepted)
    assert unread.never_read == ("pci.0.31.0.fwcfg=qemu",)


def test_a_tpm_came_with_14() -> None:
    tree = _tree(V14, *_BOOTROM, "-l", "tpm,passthru,/dev/tpm0")
    assert (tree["tpm.type"], tree["tpm.path"], tree["tpm.version"]) == ("passthru", "/dev/tpm0", "2.0")
    assert "tpm" in _refused(V14, "-l", "help").stdout.split()
    assert _refused(V13, "-l", "tpm,passthru,/dev/tpm0").status == 64
    assert _refused(V14, "-l", "tpm,passthru").status == 4
    assert _refused(V14, *_BOOTROM, "-l", "tpm,real,/dev/tpm0").status == 4
    assert (
        _refused(PaperHost(osreldate=1403000, missing=frozenset({"/dev/tpm0"})), "-l", "tpm,swtpm,/dev/tpm0").status
        == 4
    )


def test_a_boot_order_is_read_from_14_on() -> None:
    words = ("-s", "4,virtio-blk,/dev/da0,bootindex=1")
    assert _tree(V14, *words)["pci.0.4.0.bootindex"] == "1"
    old = judge(("bhyve", *words, "vm"), V13)
    assert isinstance(old, Accepted)
    assert old.never_read == ("pci.0.4.0.bootindex=1",)


def test_devices_passed_through_have_names_from_14_1_on() -> None:
    words = ("-S", "-s", "4,passthru,ppt0")
    assert _tree(V14, *words)["pci.0.4.0.pptdev"] == "ppt0"
    assert "invalid options" in _refused(V13, *words).message[0]
