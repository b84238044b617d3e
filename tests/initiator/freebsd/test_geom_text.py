"""What diskinfo and the kernel's GEOM texts say, as a real host prints them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.errors import HostError
from pyvmiscsi.initiator.freebsd import geom_text
from pyvmiscsi.initiator.freebsd.geom_text import OpenCount, label_of

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.mark.parametrize(
    ("serial", "label"),
    [
        ("WEB01SER", "/dev/diskid/DISK-WEB01SER"),
        ("a b", "/dev/diskid/DISK-a%20b"),
        ("50%", "/dev/diskid/DISK-50%25"),
        ('q"q', "/dev/diskid/DISK-q%22q"),
        ("a/b", "/dev/diskid/DISK-a/b"),
        ("  lead  ", "/dev/diskid/DISK-lead"),
        ("UP_low-1.2:3", "/dev/diskid/DISK-UP_low-1.2:3"),
        ("0123456789abcdefghijklmnopqrstuvwxyz", "/dev/diskid/DISK-0123456789abcdefghijklmnopqrstuvwxyz"),
        ("MYSERIAL   0", "/dev/diskid/DISK-MYSERIAL%20%20%200"),
        ("", None),
        ("    ", None),
        ("x" * 51, "/dev/diskid/DISK-" + "x" * 51),
        ("x" * 52, None),
    ],
)
def test_serials_make_the_labels_that_geom_makes(serial: str, label: str | None) -> None:
    assert label_of(serial) == label


def test_the_labels_are_those_of_a_real_host() -> None:
    xml = (GOLDEN / "confxml-serials.xml").read_bytes()
    for serial in ("a b", "50%", 'q"q', "UP_low-1.2:3", "0123456789abcdefghijklmnop"):
        label = label_of(serial)
        assert label is not None
        assert f"<name>{label.removeprefix('/dev/')}</name>".encode() in xml


@given(st.text(min_size=1))
def test_a_label_never_holds_a_blank_or_a_quote(serial: str) -> None:
    label = label_of(serial)
    assert label is None or not any(sign in label for sign in " \t\n\"'\\") or "'" in serial or "\\" in serial


def test_diskinfo_of_512_and_4096_byte_disks() -> None:
    lines = (GOLDEN / "diskinfo-3.txt").read_text().splitlines()
    assert [geom_text.parse_diskinfo(line) for line in lines] == [
        geom_text.DiskInfo("da0", 512, 67108864, 4096),
        geom_text.DiskInfo("da1", 512, 67108864, 4096),
        geom_text.DiskInfo("da2", 4096, 67108864, 0),
    ]


@pytest.mark.parametrize(
    "line", ["", "diskinfo: da9: No such file or directory", "da0 512 1 2 3 4", "da0\tx\t1\t2\t3\t4"]
)
def test_anything_else_is_no_disk(line: str) -> None:
    with pytest.raises(HostError):
        geom_text.parse_diskinfo(line)


def test_open_counts_of_all_disks_from_xml_with_its_nul() -> None:
    xml = (GOLDEN / "confxml.xml").read_bytes()
    assert xml.endswith(b"\0")
    counts = geom_text.disk_open_counts(xml)
    assert set(counts) == {"da0", "da1", "da2", "ada0", "ada1"}
    assert not counts["da0"].is_open


@pytest.mark.parametrize(
    ("mode", "is_open"), [("r0w0e0", False), ("r1w0e0", True), ("r1w1e1", True), ("r12w3e0", True)]
)
def test_a_mode_tells_whether_somebody_has_it_open(mode: str, is_open: bool) -> None:
    count = OpenCount.parse(mode)
    assert (count.is_open, str(count)) == (is_open, mode)


def test_broken_xml_is_an_error_of_the_host() -> None:
    with pytest.raises(HostError):
        geom_text.disk_open_counts(b"<mesh><class>")
    with pytest.raises(HostError):
        OpenCount.parse("open")


def test_each_disk_has_its_own_label() -> None:
    text = (GOLDEN / "conftxt.txt").read_text()
    found = geom_text.disks_by_label(text)
    assert (found["diskid/DISK-WEB01SER"], found["diskid/DISK-TWO-A"]) == ("da0", "da1")
    assert set(found.values()).isdisjoint({"ada1", "da9"})


def test_of_two_disks_with_one_serial_one_has_the_label() -> None:
    text = "0 DISK da7 1024 512 hd 0 sc 0\n0 DISK da0 1024 512 hd 0 sc 0\n1 LABEL diskid/DISK-X 1024 512 i 0 o 0\n\0"
    assert geom_text.disks_by_label(text) == {"diskid/DISK-X": "da0"}
