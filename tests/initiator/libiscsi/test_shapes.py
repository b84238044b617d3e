"""Answers of LUNs, whole, short and strange."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.initiator.libiscsi import shapes

TRUENAS = (
    bytes([0, 0, 6, 0x12, 31, 0, 0, 2])
    + b"TrueNAS ".ljust(8)
    + b"iSCSI Disk".ljust(16)
    + b"0123"
)  # fmt: skip


def test_inquiry_strings_lose_their_padding() -> None:
    inquiry = shapes.Inquiry.parse(TRUENAS)
    assert (inquiry.vendor, inquiry.product, inquiry.revision) == ("TrueNAS", "iSCSI Disk", "0123")
    assert inquiry.is_disk


def test_a_controller_and_a_lun_that_is_not_there_are_no_disks() -> None:
    assert not shapes.Inquiry.parse(bytes([0x0C]) + TRUENAS[1:]).is_disk
    assert not shapes.Inquiry.parse(bytes([0x7F]) + TRUENAS[1:]).is_disk


def test_a_serial_loses_the_blanks_around_it_but_not_inside() -> None:
    assert shapes.unit_serial(b"\0\x80\0\x10" + b"      MY SERIAL ") == "MY SERIAL"


def test_a_page_ends_where_its_header_says() -> None:
    assert shapes.unit_serial(b"\0\x80\0\x04" + b"ABCDEFGH") == "ABCD"


def test_designators_come_in_order_with_their_kind() -> None:
    naa = bytes.fromhex("6589cfc000000a1b2c3d4e5f60718293")
    name = b"iqn.2005-10.org.freenas.ctl:web1-disk0\0\0"
    body = bytes([1, 3, 0, 16]) + naa + bytes([0x53, 0x98, 0, len(name)]) + name
    data = b"\0\x83" + struct.pack(">H", len(body)) + body
    lun, port = shapes.designators(data)
    assert (lun.is_naa, lun.text) == (True, naa.hex())
    assert (port.kind, port.association, port.text) == (8, 1, "iqn.2005-10.org.freenas.ctl:web1-disk0")


def test_capacity_counts_logical_and_physical_sectors() -> None:
    data = struct.pack(">QIBBH", 41943039, 512, 0, 0x05, 0xC000) + bytes(16)
    capacity = shapes.Capacity.parse(data)
    assert (capacity.size, capacity.sector, capacity.physical) == (20 * 1024**3, 512, 16384)
    assert (capacity.thin, capacity.reads_zeros, capacity.first_aligned) == (True, True, 0)


def test_lba_extents_end_where_the_length_or_the_answer_ends() -> None:
    extents = [
        struct.pack(">QIBxxx", 0, 2048, 1),
        struct.pack(">QIBxxx", 2048, 8, 0xF0),
        struct.pack(">QIBxxx", 9, 1, 2),
    ]
    data = struct.pack(">I4x", 4 + 16 * 3) + b"".join(extents)
    found = shapes.lba_extents(data)
    assert found == (shapes.LbaExtent(0, 2048, 1), shapes.LbaExtent(2048, 8, 0), shapes.LbaExtent(9, 1, 2))
    assert [extent.allocated for extent in found] == [False, True, False]
    assert shapes.lba_extents(data + bytes(64)) == found
    assert shapes.lba_extents(data[:-1]) == found[:2]


def test_luns_are_read_in_both_addressing_forms() -> None:
    entries = [bytes([0, 0]), bytes([0, 7]), bytes([0x41, 0x2C]), bytes([0xC1, 0x01])]
    data = struct.pack(">I4x", 8 * len(entries)) + b"".join(entry.ljust(8, b"\0") for entry in entries)
    assert shapes.luns(data) == (0, 7, 300)


@given(st.integers(0, 16382))
def test_every_lun_survives_its_two_bytes(lun: int) -> None:
    field = shapes.lun_field(lun).to_bytes(2, "big")
    assert shapes.luns(struct.pack(">I4x", 8) + field.ljust(8, b"\0")) == (lun,)


def test_nobody_holds_an_empty_reservation() -> None:
    assert shapes.Reservation.parse(struct.pack(">II", 7, 0)) == shapes.Reservation(7, None, 0, 0)


def test_a_reservation_names_its_key_and_kind() -> None:
    data = struct.pack(">IIQ4xBBxx", 9, 16, 0xABCD, 0, 0x05)
    assert shapes.Reservation.parse(data) == shapes.Reservation(9, 0xABCD, 0, 5)


def test_registrations_list_their_keys() -> None:
    assert shapes.Registrations.parse(struct.pack(">IIQQ", 3, 16, 1, 2)) == shapes.Registrations(3, (1, 2))


def test_the_kinds_of_reservation_are_counted_from_a_mask_of_two_bytes() -> None:
    all_kinds = bytes([0, 8, 0x05, 0x81, 0xEA, 0x01, 0, 0])
    support = shapes.ReservationSupport.parse(all_kinds)
    assert support.kinds == (1, 3, 5, 6, 7, 8)
    assert (support.survives_power_loss, support.is_kept, support.all_ports) == (True, True, True)
    not_told = shapes.ReservationSupport.parse(bytes([0, 8, 0x04, 0x00, 0xEA, 0x01, 0, 0]))
    assert (not_told.kinds, not_told.survives_power_loss, not_told.is_kept) == ((), False, False)


def test_registrants_are_named_by_their_transport_id() -> None:
    def descriptor(key: int, flags: int, scope_and_kind: int, transport: bytes) -> bytes:
        return struct.pack(">Q4xBB4xHI", key, flags, scope_and_kind, 7, len(transport)) + transport

    name = b"iqn.1994-09.org.freebsd:hv1,i,0x80123456abcd\0\0\0\0"
    iscsi = bytes([0x45, 0]) + struct.pack(">H", len(name)) + name
    sas = bytes([0x06, 0, 0, 0]) + bytes(20)
    body = descriptor(0x11, 0x01, 0x05, iscsi) + descriptor(0x22, 0x02, 0x00, sas)
    data = struct.pack(">II", 3, len(body)) + body
    holder, other = shapes.registrants(data)
    assert holder == shapes.Registrant(
        0x11, "iqn.1994-09.org.freebsd:hv1,i,0x80123456abcd", 7, all_ports=False, is_holder=True, kind=5
    )
    assert other == shapes.Registrant(0x22, "", 7, all_ports=True, is_holder=False, kind=0)
    assert len(shapes.registrants(data[:-20])) == 2
    assert len(shapes.registrants(data[:70])) == 1


def test_a_small_capacity_is_all_that_10_bytes_tell() -> None:
    capacity = shapes.capacity10(struct.pack(">II", 2047, 512))
    assert (capacity.size, capacity.sector, capacity.physical, capacity.is_narrow) == (1024 * 1024, 512, 512, True)


@given(st.binary(max_size=80))
def test_no_answer_however_short_breaks_a_reader(data: bytes) -> None:
    shapes.Inquiry.parse(data)
    shapes.supported_pages(data)
    shapes.unit_serial(data)
    shapes.designators(data)
    shapes.BlockLimits.parse(data)
    shapes.rotation_rate(data)
    shapes.Provisioning.parse(data)
    shapes.Capacity.parse(data)
    shapes.luns(data)
    shapes.lba_extents(data)
    shapes.Registrations.parse(data)
    shapes.Reservation.parse(data)
    shapes.ReservationSupport.parse(data)
    shapes.registrants(data)
    shapes.capacity10(data)
