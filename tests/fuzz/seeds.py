"""The smallest of each that is as it should be."""

from __future__ import annotations

import struct

from pyvmiscsi.images.formats import vdi, vhd, vhdx
from pyvmiscsi.images.qemu import nbd_text as nbd

QCOW2 = struct.pack(">4sIQIIQIIQQ", b"QFI\xfb", 3, 0, 0, 16, 1 << 20, 0, 1, 0, 0).ljust(200, b"\0")

_DESCRIPTION = b'# Disk DescriptorFile\nCID=fffffffe\ncreateType="monolithicSparse"\nRW 8 SPARSE "x"\n'
VMDK = struct.pack("<4sIIQQQQ", b"KDMV", 1, 3, 8, 128, 1, 1).ljust(512, b"\0") + _DESCRIPTION.ljust(512, b"\0")


def vhd_footer(kind: int) -> bytes:
    """A footer of a disk of 4 KiB; 2 is a fixed one, 3 a dynamic."""
    bare = vhd.MAGIC.ljust(48, b"\0") + struct.pack(">Q4xI4x", 4096, kind)
    bare = bare.ljust(vhd.FOOTER, b"\0")
    return bare[:64] + struct.pack(">I", vhd.checksum_of(bare)) + bare[68:]


def _vhdx() -> bytes:
    items = (
        (vhdx._PARAMETERS, struct.pack("<II", 1 << 20, 0)),
        (vhdx._SIZE, struct.pack("<Q", 1 << 20)),
        (vhdx._SECTOR, struct.pack("<I", 512)),
    )
    regions = struct.pack("<4s4xI4x", b"regi", 1) + struct.pack("<16sQ8x", vhdx._METADATA.bytes_le, BEFORE_VHDX + 64)
    table = struct.pack("<8s2xH20x", b"metadata", len(items))
    for number, (which, _) in enumerate(items):
        table += struct.pack("<16sI12x", which.bytes_le, 128 + 8 * number)
    return regions.ljust(64, b"\0") + table.ljust(128, b"\0") + b"".join(value.ljust(8, b"\0") for _, value in items)


BEFORE_VHDX = 192 * 1024
"""How many bytes of a VHDX nobody looks at before those of the seed."""
VHDX = _vhdx()

VDI = (bytes(64) + vdi.MAGIC + struct.pack("<I4xI", 0x10001, 1)).ljust(368, b"\0") + struct.pack("<Q", 4096) + bytes(96)

MAP = b"""[{"start": 0, "length": 4096, "depth": 0, "zero": false, "data": true, "offset": 512},
{"start": 4096, "length": 1044480, "depth": 0, "zero": true, "data": false}]
"""

CHECKSUMS = f"{'0' * 64}  a.raw\n{'1' * 128} *b.raw\nSHA256 (a.raw) = {'0' * 64}\n".encode()

DESIGNATORS = b"\0\x83\0\x14\x01\x03\0\x10" + bytes(16)

GUEST = b"""loader="uefi"
cpu=2
memory=1G # of RAM
disk0_type="virtio-blk"
disk0_dev="custom"
disk0_name="/dev/diskid/DISK-5c4ae0d1b2f7-00"
network0_type="virtio-net"
network0_switch="public"
"""

RC_CONF = b"""vm_enable="YES" # here
vm_dir="zfs:tank/vm"
vm_list="web1 web2"
vm_delay='5'
"""

HYPERVISOR = b"vmm web1\nprocess web1 812\nstatus web1 state=running\nstatus web1 exit=0\nrefused web2 reason=no disk\n"

IFCONFIG = b"""bridge0: flags=8843<UP,BROADCAST> metric 0 mtu 1500
\tinet 10.0.0.1 netmask 0xffffff00 broadcast 10.0.0.255
\tmember: tap0 flags=143<LEARNING,DISCOVER>
\tgroups: bridge vm-switch
"""


def _nbd() -> bytes:
    """A server that serves 1 MiB, and then answers one read of 4 KiB at 8 KiB."""
    info = nbd.INFO_EXPORT.pack(0, 1 << 20, nbd.CAN_IN_ONE_PIECE)
    body = nbd.DATA_HEAD.pack(8192) + bytes(range(256)) * 16
    return b"".join((
        nbd.HELLO.pack(*nbd.HELLO_MAGICS, 3),
        nbd.OPTION_REPLY.pack(nbd.OPTION_REPLY_MAGIC, nbd.STRUCTURED_REPLIES, nbd.ACKNOWLEDGED, 0),
        nbd.OPTION_REPLY.pack(nbd.OPTION_REPLY_MAGIC, nbd.GO, nbd.EXPORT_INFO, len(info)) + info,
        nbd.OPTION_REPLY.pack(nbd.OPTION_REPLY_MAGIC, nbd.GO, nbd.ACKNOWLEDGED, 0),
        nbd.MAGIC.pack(nbd.STRUCTURED_MAGIC),
        nbd.STRUCTURED_REST.pack(nbd.LAST, nbd.DATA, 1, len(body)) + body,
    ))  # fmt: skip


NBD = _nbd()
