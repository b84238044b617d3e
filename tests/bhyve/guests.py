"""Guests of our own, as pyvmiscsi writes them down, and the host they are to run on."""

from __future__ import annotations

from dataclasses import dataclass

from pyvmiscsi.bhyve.capabilities import FIRMWARE_DIRECTORY, Capabilities
from pyvmiscsi.bhyve.config import GuestConfig
from pyvmiscsi.bhyve.config_text import parse_guest
from pyvmiscsi.bhyve.devices import Devices, FoundDisk
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


@dataclass(frozen=True, slots=True)
class OurGuest:
    case: str
    guest: GuestConfig
    devices: Devices


def guest_of(name: str, text: str) -> GuestConfig:
    return parse_guest(GuestName.parse(name), text)


def web1() -> GuestConfig:
    """A UEFI guest with one LUN and one interface, nothing pinned."""
    return guest_of("web1", CONF)


def with_iso(path: str | None) -> Devices:
    """web1's devices, and an installation medium."""
    found = FoundDisk("/dev/diskid/DISK-3e3e6d4f8a1b-00", SECTOR)
    return Devices("/vmconfig/web1", {0: found}, {0: "tap0"}, install_iso=path)


def _our(case: str, more: str = "", physical: int | None = None) -> OurGuest:
    guest = guest_of("web1", CONF + more)
    disks = {
        disk.number: FoundDisk(disk.name, SECTOR, None if physical is None else Size(physical)) for disk in guest.disks
    }
    backends = {network.number: f"tap{network.number}" for network in guest.networks}
    return OurGuest(case, guest, Devices("/vmconfig/web1", disks, backends, vnc_port=5900))


_SECOND_DISK = """\
disk1_type="nvme"
disk1_dev="custom"
disk1_name="/dev/diskid/DISK-3e3e6d4f8a1b-01"
disk1_serial="3e3e6d4f8a1b-01"
"""
_PINS = 'disk0_slot="0:4:0"\nnetwork0_slot="0:5:0"\n'

OUR_GUESTS = (
    _our("one-disk"),
    _our("uefi-variables", 'uefi_vars="yes"\n'),
    _our("found-sectors", physical=16384),
    _our("pinned-then-second-disk", _PINS + _SECOND_DISK),
    _our(
        "ahci-e1000",
        'disk1_type="ahci-hd"\ndisk1_dev="custom"\ndisk1_name="/dev/da3"\n'
        'network1_type="e1000"\nnetwork1_switch="public"\nnetwork1_mac="58:9c:fc:0a:0b:0d"\n',
    ),
    _our("graphics", 'graphics="yes"\ngraphics_listen="::1"\nxhci_mouse="yes"\nvirt_random="yes"\n'),
    _our("topology-wired", 'cpu_sockets="1"\ncpu_cores="2"\nwired_memory="yes"\nutctime="no"\ncomports="com1 com2"\n'),
)
