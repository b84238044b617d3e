"""What our own parsers say of a LUN, beside what libiscsi's tools say of it."""

from __future__ import annotations

import re
import subprocess

import pytest

from pyvmiscsi.initiator.libiscsi import Session
from tests.initiator.tgtd import Target, Tgtd


def told(tool: str, target: Target, lun: int, *options: str) -> str:
    url = f"iscsi://{target.daemon.portal}/{target.iqn}/{lun}"
    return subprocess.run([tool, *options, url], capture_output=True, text=True, check=True).stdout


def field(text: str, name: str) -> str:
    match = re.search(rf"^\s*{re.escape(name)}\s*:\s*(.*?)\s*$", text, re.MULTILINE)
    assert match, f"{name} is not in:\n{text}"
    return match[1].strip("[]").strip()


@pytest.mark.parametrize(("size", "sector"), [(8 * 1024 * 1024, 512), (64 * 1024 * 1024, 4096)])
def test_capacity(daemon: Tgtd, size: int, sector: int) -> None:
    target = daemon.target()
    target.lun(1, size=size, serial="x", sector=sector)
    shown = told("iscsi-readcapacity16", target, 1)
    with Session.login(daemon.portal, target.iqn) as session:
        capacity = session.capacity(1)
    assert str(capacity.sectors - 1) == field(shown, "RETURNED LOGICAL BLOCK ADDRESS")
    assert str(capacity.sector) == field(shown, "LOGICAL BLOCK LENGTH IN BYTES")
    physical = 1 << int(re.findall(r"LOGICAL BLOCKS PER PHYSICAL BLOCK EXPONENT\s*:\s*(\d+)", shown)[0])
    assert capacity.physical == capacity.sector * physical
    assert (capacity.thin, capacity.reads_zeros) == tuple("1" in part for part in re.findall(r"LBP\w+\D*(\d)", shown))


@pytest.fixture
def target(daemon: Tgtd) -> Target:
    made = daemon.target()
    made.lun(1, size=1024 * 1024, serial="5c4ae0d1b2f7-00")
    return made


def page(target: Target, number: int) -> str:
    return told("iscsi-inq", target, 1, "-e", "1", "-c", str(number))


def test_inquiry(daemon: Tgtd, target: Target) -> None:
    shown = told("iscsi-inq", target, 1)
    with Session.login(daemon.portal, target.iqn) as session:
        session.settle(1)
        inquiry = session.inquiry(1)
    assert inquiry.vendor == field(shown, "Vendor")
    assert inquiry.product == field(shown, "Product")
    assert inquiry.revision == field(shown, "Revision")
    assert inquiry.is_disk == (field(shown, "Peripheral Device Type") == "DIRECT_ACCESS")


def test_pages(daemon: Tgtd, target: Target) -> None:
    with Session.login(daemon.portal, target.iqn) as session:
        session.settle(1)
        assert list(session.pages(1)) == [int(each, 16) for each in re.findall(r"Page:0x(\w\w)", page(target, 0))]
        assert session.serial(1) == field(page(target, 0x80), "Unit Serial Number")
        limits, shown = session.block_limits(1), page(target, 0xB0)
    assert str(limits.max_transfer) == field(shown, "maximum transfer length")
    assert str(limits.optimal_granularity) == field(shown, "optimal transfer length granularity")
    assert str(limits.max_unmap) == field(shown, "maximum unmap lba count")
    assert str(limits.max_unmap_ranges) == field(shown, "maximum unmap block descriptor count")
    assert str(limits.max_write_same) == field(shown, "maximum write same length")
