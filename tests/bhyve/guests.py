"""Guests of our own, as pyvmiscsi writes them down, and the host they are to run on."""

from __future__ import annotations

from pyvmiscsi.bhyve.configuration.config import GuestConfig
from pyvmiscsi.bhyve.configuration.config_text import parse_guest
from pyvmiscsi.bhyve.machine.capabilities import FIRMWARE_DIRECTORY, Capabilities
from pyvmiscsi.bhyve.machine.devices import Devices, FoundDisk
from pyvmiscsi.names import GuestName
from pyvmiscsi.units import GIB, SECTOR, Size

UUID = "3e3e6d4f-8a1b-11ef-a000-589cfc010203"
HOST = Capabilities(
    release=1403000,
    cpus=8,
    memory=Size(64 * GIB.bytes),
    max_vcpus=8,
    modules=frozenset({"vmm", "nmdm"}),
    firmware=frozenset(f"{FIRMWARE_DIRECTORY}/{name}" for name in ("BHYVE_UEFI.fd", "BHYVE_UEFI_VARS.fd")),
)
CONF = f"""\
loader="uefi"
cpu="2"
memory="512M"
uuid="{UUID}"
network0_type="virtio-net"
network0_switch="public"
network0_mac="58:9c:fc:0a:0b:0c"
disk0_type="virtio-blk"
disk0_dev="custom"
disk0_name="/dev/diskid/DISK-3e3e6d4f8a1b-00"
disk0_serial="3e3e6d4f8a1b-00"
"""


def guest_of(name: str, text: str) -> GuestConfig:
    return parse_guest(GuestName.parse(name), text)


def web1() -> GuestConfig:
    """A UEFI guest with one LUN and one interface, nothing pinned."""
    return guest_of("web1", CONF)


def with_iso(path: str | None) -> Devices:
    """web1's devices, and an installation medium."""
    found = FoundDisk("/dev/diskid/DISK-3e3e6d4f8a1b-00", SECTOR)
    return Devices("/vmconfig/web1", {0: found}, {0: "tap0"}, install_iso=path)
