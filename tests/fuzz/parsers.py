"""What reads bytes or text that comes from elsewhere, each with a few that are as they should be.

Whatever it is given, a parser answers or raises one of our errors.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pyvmiscsi.bhyve import hypervisor_text
from pyvmiscsi.bhyve.configuration import config_text
from pyvmiscsi.bhyve.configuration.conf_text import ConfText
from pyvmiscsi.bhyve.networks import interfaces_text
from pyvmiscsi.config.rc_conf import read_rc_conf
from pyvmiscsi.errors import PyvmiscsiError
from pyvmiscsi.images.blocks.extents import extents_of, runs
from pyvmiscsi.images.formats import kinds as formats
from pyvmiscsi.images.formats import layout, vhd
from pyvmiscsi.images.formats.headers import header_of
from pyvmiscsi.images.formats.kinds import Foreign, Format
from pyvmiscsi.images.packed import unpacking, xz, zstd_frames
from pyvmiscsi.images.qemu import nbd
from pyvmiscsi.images.source import checksum
from pyvmiscsi.initiator.freebsd import geom_text, iscsictl_text
from pyvmiscsi.initiator.libiscsi import login_text, refusals, shapes
from pyvmiscsi.initiator.linux import disk_text, iscsiadm_text
from pyvmiscsi.names import GuestName
from tests.fuzz import seeds
from tests.images.packed_images import packed

_HERE = Path(__file__).parents[1]
_MOST = 1 << 20
"""How many bytes of what is unpacked are looked at."""


@dataclass(frozen=True, slots=True)
class Parser:
    """`read` is given any bytes; `seeds` are some that it was made for, or nearly."""

    read: Callable[[bytes], object]
    seeds: tuple[bytes, ...]

    def feed(self, data: bytes) -> None:
        """Raises what should never be raised."""
        with contextlib.suppress(PyvmiscsiError):
            self.read(data)


def _text(read: Callable[[str], object]) -> Callable[[bytes], object]:
    """What hosts print is decoded like this before anybody reads it."""
    return lambda data: read(data.decode(errors="replace"))


def _golden(*patterns: str) -> tuple[bytes, ...]:
    return tuple(file.read_bytes() for pattern in patterns for file in sorted(_HERE.glob(pattern)) if file.is_file())


def _head(kind: Format | Foreign) -> Callable[[bytes], object]:
    return lambda data: header_of(kind, data, "disk")


def _kind(data: bytes) -> None:
    for name in ("disk", "disk.vhd", "disk.raw.xz"):
        with contextlib.suppress(PyvmiscsiError):
            formats.format_of(data, name)
    layout.layout_of(data)
    formats.refuse_packed(data, "disk")


def _unpacked(kind: Format) -> Callable[[bytes], object]:
    def read(data: bytes) -> None:
        length = 0
        for chunk in unpacking.unpacked(iter((data[:100], data[100:])), kind, "disk"):
            assert 0 < len(chunk) <= unpacking.LARGEST
            length += len(chunk)
            if length > _MOST:
                return

    return read


def _xz_index(data: bytes) -> None:
    xz.XzIndex.size_in(data[-xz.FOOTER :])
    index = xz.XzIndex.parse(data[: -xz.FOOTER], data[-xz.FOOTER :], len(data) + 64)
    if index is not None:
        assert index.length >= 0
        assert index.workers(4) >= 1


def _zstd_size(data: bytes) -> None:
    size = zstd_frames.content_size(lambda at, length: data[at : at + length], len(data))
    assert size is None or size >= 0


def _extents(data: bytes) -> None:
    at = 0
    for run in runs(extents_of(data.split(b"\n"), 1 << 20, 1 << 16, "disk"), 4096):
        assert run.start == at
        at += run.length
    assert at == 1 << 20


class _Said(socket.socket):
    """A server that has said all it will say."""

    def __init__(self, data: bytes) -> None:
        ours, theirs = socket.socketpair()
        super().__init__(fileno=ours.detach())
        theirs.sendall(data[: 64 * 1024])
        theirs.shutdown(socket.SHUT_WR)
        self._theirs = theirs

    def close(self) -> None:
        self._theirs.close()
        super().close()


def _nbd(data: bytes) -> None:
    into = bytearray(4096)
    with contextlib.closing(_Said(data)) as connected, nbd.Served(connected, "disk") as served:
        served.finish(served.ask(8192, memoryview(into)))
        assert len(into) == 4096


_SHAPES: tuple[Callable[[bytes], object], ...] = (
    shapes.Inquiry.parse, shapes.BlockLimits.parse, shapes.Provisioning.parse, shapes.Capacity.parse,
    shapes.Registrations.parse, shapes.Reservation.parse, shapes.ReservationSupport.parse, shapes.supported_pages,
    shapes.unit_serial, shapes.designators, shapes.rotation_rate, shapes.capacity10, shapes.lba_extents,
    shapes.luns, shapes.registrants,
)  # fmt: skip


def _answers(data: bytes) -> None:
    for read in _SHAPES:
        with contextlib.suppress(PyvmiscsiError):
            read(data)


def _sense(data: bytes) -> None:
    status, key, asc, ascq = data.ljust(4, b"\0")[:4]
    assert str(refusals.refusal("LUN 1", status=status, key=key, asc=asc, ascq=ascq))


_DISK = bytes(range(256)) + bytes(3000) + b"text " * 400
PARSERS: dict[str, Parser] = {
    "what an image is": Parser(_kind, (bytes(4096), seeds.QCOW2, b"\x1f\x8b\x08", b"conectix")),
    "qcow2 header": Parser(_head(Format.QCOW2), (seeds.QCOW2,)),
    "VMDK header": Parser(_head(Foreign.VMDK), (seeds.VMDK,)),
    "VHD header": Parser(_head(Foreign.VHD), (seeds.vhd_footer(3),)),
    "VHD footer": Parser(lambda data: (vhd.is_footer(data), vhd.VhdHeader.fixed(data, "disk")), (seeds.vhd_footer(2),)),
    "VHDX header": Parser(lambda data: _head(Foreign.VHDX)(bytes(seeds.BEFORE_VHDX) + data), (seeds.VHDX,)),
    "VDI header": Parser(_head(Foreign.VDI), (seeds.VDI,)),
    "gzip": Parser(_unpacked(Format.GZIP), (packed(Format.GZIP, _DISK),)),
    "xz": Parser(_unpacked(Format.XZ), (packed(Format.XZ, _DISK),)),
    "zstd": Parser(_unpacked(Format.ZSTD), (packed(Format.ZSTD, _DISK),)),
    "index of an xz": Parser(_xz_index, (packed(Format.XZ, _DISK)[-40:],)),
    "frames of a zstd": Parser(_zstd_size, (packed(Format.ZSTD, _DISK),)),
    "qemu-img map": Parser(_extents, (seeds.MAP,)),
    "NBD": Parser(_nbd, (seeds.NBD,)),
    "list of checksums": Parser(_text(lambda text: checksum.listed(text, "a.raw")), (seeds.CHECKSUMS,)),
    "checksum": Parser(_text(checksum.Checksum.parse), (b"0" * 64, b"F" * 128)),
    "answers of a LUN": Parser(_answers, (bytes(96), seeds.DESIGNATORS)),
    "sense data": Parser(_sense, (b"\2\6\x29\0", b"\x18")),
    "libiscsi's words": Parser(_text(login_text.login_reason), (b"Failed to log in to target. Status: Busy",)),
    "iscsictl": Parser(_text(iscsictl_text.parse_listing), _golden("initiator/golden/L*.json")),
    "geom's tree": Parser(_text(geom_text.disks_by_label), _golden("initiator/golden/conftxt.txt")),
    "who has disks open": Parser(geom_text.disk_open_counts, _golden("initiator/golden/confxml*")),
    "diskinfo": Parser(
        _text(geom_text.parse_diskinfo), tuple(b"".join(_golden("initiator/golden/diskinfo*")).splitlines())
    ),
    "reservations": Parser(_text(geom_text.parse_reservation), (b"PGR 1 reservation: Write Exclusive\n",)),
    "a Linux host's sessions": Parser(_text(iscsiadm_text.parse_sight), _golden("initiator/linux/golden/*look*")),
    "a portal's targets": Parser(_text(iscsiadm_text.parse_targets), (b"10.0.0.10:3260,1 iqn.2000-01.org:x\n",)),
    "a Linux disk": Parser(_text(disk_text.parse_identity), _golden("initiator/linux/golden/*ask*")),
    "its serial": Parser(disk_text.parse_serial_page, (b"\0\x80\0\x0f5c4ae0d1b2f7-00",)),
    "who uses it": Parser(
        _text(lambda text: disk_text.uses_of(text, ["sda", "sdb"])),
        (*_golden("initiator/linux/golden/*uses*"), b"files\npools\n" + _golden("initiator/linux/golden/zpool*")[0]),
    ),
    "a guest's configuration": Parser(
        _text(lambda text: config_text.parse_guest(GuestName("web1"), ConfText(text))), (seeds.GUEST,)
    ),
    "rc.conf": Parser(_text(lambda text: read_rc_conf([("/etc/rc.conf", text)])), (seeds.RC_CONF,)),
    "what a hypervisor says": Parser(_text(hypervisor_text.parse_guests), (seeds.HYPERVISOR,)),
    "ifconfig": Parser(_text(interfaces_text.parse_interfaces), (seeds.IFCONFIG,)),
}
