"""Our own guests, each with something that bhyve can do: what `golden/ours` has the command line and the file of."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from pyvmiscsi.bhyve.configuration.conf_text import ConfText
from pyvmiscsi.bhyve.configuration.config import GuestConfig
from pyvmiscsi.bhyve.configuration.config_text import parse_guest
from pyvmiscsi.bhyve.machine.capabilities import FIRMWARE_DIRECTORY, Capabilities
from pyvmiscsi.bhyve.machine.devices import Devices, FoundDisk
from pyvmiscsi.names import GuestName
from pyvmiscsi.units import SECTOR, Size
from tests.bhyve.guests import CONF, HOST
from tests.lab.bhyve.facts import PaperHost

_OLD_FIRMWARE = ("BHYVE_UEFI_CSM.fd", "BHYVE_UEFI_CODE-devel.fd")
HOST_OF_OLD = replace(HOST, firmware=HOST.firmware | {f"{FIRMWARE_DIRECTORY}/{name}" for name in _OLD_FIRMWARE})
HOST_13 = replace(HOST, release=1302001, max_vcpus=16)
HOST_15 = replace(HOST, release=1500068)
ARM64 = replace(HOST_15, machine="arm64")


@dataclass(frozen=True, slots=True)
class OurGuest:
    """web1 of `guests.py`, with these keys changed (None takes one away), on a host."""

    case: str
    keys: dict[str, str | None] = field(default_factory=dict)
    host: Capabilities = HOST
    physical: int | None = None
    medium: str | None = None
    backends: dict[int, str] = field(default_factory=dict)
    is_pinned: bool = False

    @property
    def guest(self) -> GuestConfig:
        guest = parse_guest(GuestName.parse("web1"), ConfText(CONF).changed(self.keys))
        return guest.pinned() if self.is_pinned else guest

    @property
    def devices(self) -> Devices:
        guest, physical = self.guest, None if self.physical is None else Size(self.physical)
        found = {
            disk.number: FoundDisk(
                disk.name if disk.dev == "custom" else f"/vmconfig/web1/{disk.name}", SECTOR, physical
            )
            for disk in guest.disks
        }
        plugged = {network.number: network.device or f"tap{network.number}" for network in guest.networks}
        return Devices("/vmconfig/web1", found, plugged | self.backends, vnc_port=5900, install_iso=self.medium)


def paper_host(our: OurGuest, files: dict[str, str] | None = None) -> PaperHost:
    """The guest's host, for the judge."""
    return PaperHost(stripe=16384, osreldate=our.host.release, machine=our.host.machine, files=files or {})


def _lun(number: int, emulation: str = "virtio-blk", opts: str | None = None) -> dict[str, str | None]:
    serial = f"3e3e6d4f8a1b-{number:02d}"
    lun = {"type": emulation, "dev": "custom", "name": f"/dev/diskid/DISK-{serial}", "serial": serial, "opts": opts}
    return {f"disk{number}_{key}": value for key, value in lun.items()}


def _luns(count: int, emulation: str = "virtio-blk") -> dict[str, str | None]:
    return {key: value for number in range(count) for key, value in _lun(number, emulation).items()}


def _other_disk(emulation: str, path: str, opts: str) -> dict[str, str | None]:
    return {"disk1_type": emulation, "disk1_dev": "custom", "disk1_name": path, "disk1_opts": opts}


def _networks(count: int, emulation: str = "virtio-net") -> dict[str, str | None]:
    return {
        f"network{number}_{key}": value
        for number in range(count)
        for key, value in {
            "type": emulation,
            "switch": "public",
            "mac": f"58:9c:fc:0a:0b:{number:02x}",
        }.items()
    }


_GRAPHICS: dict[str, str | None] = {"graphics": "yes"}
_VM_BHYVES_PASSTHRU: dict[str, str | None] = {"passthru0": "3/0/0", "passthru1": "3/0/1", "passthru2": "6/0/0=2:0"}

OUR_GUESTS = (
    OurGuest("one-disk"),
    OurGuest("pinned-then-second-disk", _lun(1, "nvme") | {"disk0_slot": "0:4:0", "network0_slot": "0:5:0"}),
    OurGuest("pinned-wholly", _GRAPHICS | _lun(1) | {"virt_random": "yes", "xhci_mouse": "yes"}, is_pinned=True),
    OurGuest("start-slot", {"start_slot": "8"}),
    # sectors
    OurGuest("sectors-found", physical=16384),
    OurGuest("sectors-found-plain", physical=512),
    OurGuest("sectors-said", _lun(0, opts="sectorsize=512/8192"), physical=4096),
    OurGuest("sectors-said-512", _lun(0, opts="sectorsize=512"), physical=4096),
    # disks
    OurGuest("disk-options", _lun(0, opts="nocache,direct,nodelete") | _lun(1, opts="ro")),
    OurGuest("disk-serial-said", _lun(0, opts="ser=MINE")),
    OurGuest("disk-file", {"disk1_type": "virtio-blk", "disk1_name": "disk1.img"}),
    OurGuest("nvme", _lun(0, "nvme", "maxq=8,qsz=1024,ioslots=4,dsm=enable")),
    OurGuest("nvme-eui64", _lun(0, "nvme", "eui64=0x589cfc0000000001"), physical=4096),
    OurGuest("nvme-sectors", _lun(0, "nvme", "sectsz=512"), physical=4096),
    OurGuest("ahci-hd", _lun(0, "ahci-hd", "nmrr=1,rev=2,model=LUN"), physical=4096),
    OurGuest("ahci-cd", _other_disk("ahci-cd", "/iso/a.iso", "ro")),
    OurGuest("ahci-each-its-own", _luns(3, "ahci-hd")),
    OurGuest("ahci-shared", _luns(3, "ahci-hd") | {"ahci_device_limit": "8"}),
    OurGuest("ahci-shared-by-two", _luns(5, "ahci-hd") | {"ahci_device_limit": "2"}),
    OurGuest("ahci-shared-among-others", _luns(4, "ahci-hd") | _lun(1) | {"ahci_device_limit": "2"}),
    OurGuest("scsi", _other_disk("virtio-scsi", "/dev/cam/ctl1.0", "iid=3")),
    OurGuest("boot-order", _lun(0, opts="bootindex=2") | _lun(1, "nvme", "bootindex=1") | {"fwcfg": "qemu"}),
    OurGuest("disks-beyond-a-bus", _luns(28)),
    OurGuest("disks-in-functions", _luns(9) | {"loader": "bhyveload"}),
    # networks
    OurGuest("e1000", _networks(2, "e1000")),
    OurGuest("eight-networks", _networks(8)),
    OurGuest("nine-networks", _networks(9)),
    OurGuest("network-of-its-own-tap", {"network0_device": "tap77"}),
    OurGuest("network-mtu", {"network0_mtu": "9000"}),
    OurGuest("network-vale", backends={0: "vale4c9f1:0a3b2"}),
    OurGuest("network-netgraph", backends={0: "netgraph,path=public:,peerhook=link2"}),
    OurGuest("no-network", {"network0_type": None}),
    # processors and memory
    OurGuest("topology", {"cpu": "8", "cpu_sockets": "2", "cpu_cores": "2", "cpu_threads": "2"}),
    OurGuest("topology-cores", {"cpu": "4", "cpu_sockets": "1", "cpu_cores": "4"}),
    OurGuest("pinned-processors", {"cpu_pins": "0:2 1:3"}),
    OurGuest("pinned-to-several", {"cpu_pins": "0:2 0:3 1:4"}),
    OurGuest("memory-in-mebibytes", {"memory": "1024"}),
    OurGuest("memory-in-small-letters", {"memory": "2g"}),
    OurGuest("memory-wired", {"wired_memory": "yes"}),
    OurGuest("unknown-registers", {"ignore_msr": "yes"}),
    OurGuest("local-time", {"utctime": "no"}),
    # firmware and loaders
    OurGuest("uefi-variables", {"uefi_vars": "yes"}),
    OurGuest("uefi-csm", {"loader": "uefi-csm"}, HOST_OF_OLD),
    OurGuest("uefi-devel", {"loader": "uefi-devel"}, HOST_OF_OLD),
    OurGuest("uefi-custom", {"loader": "uefi-custom", "uefi_vars": "yes"}),
    OurGuest("bhyveload", {"loader": "bhyveload"}),
    OurGuest("grub", {"loader": "grub", "grub_run_partition": "msdos1"}),
    OurGuest("fwcfg", {"fwcfg": "qemu"}),
    OurGuest("fwcfg-of-bhyve", {"fwcfg": "bhyve"}),
    OurGuest("host-bridge-amd", {"hostbridge": "amd"}),
    OurGuest("host-bridge-none", {"hostbridge": "none"}),
    OurGuest("smbios", {"smbios_system_serial_number": "SN 1", "smbios_chassis_asset_tag": "rack 4, top"}),
    OurGuest("tpm-of-the-host", {"tpm_type": "passthru", "tpm_path": "/dev/tpm0"}),
    OurGuest("tpm-in-software", {"tpm_type": "swtpm", "tpm_path": "/vmconfig/web1/tpm.sock"}),
    # serial ports
    OurGuest("two-serial-ports", {"comports": "com1 com2"}),
    OurGuest("four-serial-ports", {"comports": "com1 com2 com3 com4"}),
    OurGuest("serial-ports-turned-round", {"comports": "com2 com1"}),
    OurGuest("serial-on-stdio", {"com1_device": "stdio"}),
    OurGuest("serial-on-tcp", {"comports": "com1 com2", "com2_device": "tcp=127.0.0.1:4555"}),
    OurGuest("serial-on-a-line", {"com1_device": "/dev/nmdm9A"}),
    # graphics, sound, and what goes with them
    OurGuest("graphics", _GRAPHICS),
    OurGuest(
        "graphics-wholly",
        _GRAPHICS
        | {"graphics_listen": "127.0.0.1", "graphics_port": "5999", "graphics_res": "1920x1080", "graphics_vga": "io"},
    ),
    OurGuest("graphics-ipv6", _GRAPHICS | {"graphics_listen": "::1", "xhci_mouse": "yes"}),
    OurGuest("graphics-waiting", _GRAPHICS | {"graphics_wait": "yes"}),
    OurGuest("sound", {"sound": "yes"}),
    OurGuest("sound-both-ways", {"sound": "yes", "sound_play": "/dev/dsp1", "sound_rec": "/dev/dsp2"}),
    OurGuest("random", {"virt_random": "yes"}),
    OurGuest("consoles", {"virt_console0": "org.qemu.guest_agent.0", "virt_console1": "yes"}),
    OurGuest("sixteen-consoles", {f"virt_console{number}": f"port{number}" for number in range(16)}),
    OurGuest("share", {"share0_name": "data", "share0_path": "/srv/data"}),
    OurGuest(
        "shares",
        {
            **{"share0_name": "data", "share0_path": "/srv/data"},
            **{"share1_name": "iso", "share1_path": "/iso", "share1_ro": "yes"},
        },
    ),
    # devices of the host
    OurGuest("passthru", {"passthru0": "3/0/0"}),
    OurGuest("passthru-as-vm-bhyve-has-it", _VM_BHYVES_PASSTHRU),
    OurGuest("passthru-wired", _VM_BHYVES_PASSTHRU | {"wired_memory": "yes"}),
    OurGuest("passthru-at-a-slot", {"passthru0": "6/0/0=2:0", "virt_random": "yes"}),
    OurGuest("passthru-with-a-rom", {"passthru0": "3/0/0", "passthru0_options": "rom=/roms/gpu.rom"}),
    OurGuest("passthru-by-name", {"passthru0": "ppt0"}),
    OurGuest("passthru-by-selector", {"passthru0": "pci0:3:0:0"}),
    # words of its own
    OurGuest("options", {"bhyve_options": "-p 0:2 -p 1:3 -o x86.verbosemsr=true"}),
    OurGuest("options-with-a-device", {"bhyve_options": "-s 29,virtio-rnd -D"}),
    OurGuest("options-for-a-debugger", {"bhyve_options": "-G w127.0.0.1:1234"}),
    # installation
    OurGuest("install", medium="/vmconfig/.iso/os.iso"),
    OurGuest("install-from-an-image", medium="/vmconfig/.img/os.img"),
    OurGuest("install-at-a-slot", {"install_slot": "2"}, medium="/vmconfig/.iso/os.iso"),
    OurGuest("install-watched", _GRAPHICS, medium="/vmconfig/.iso/os.iso"),
    OurGuest("empty-cd", {"nulliso_fix": "yes"}),
    # other releases
    OurGuest("13-uefi", _lun(1, "nvme") | {"uefi_vars": "yes"}, HOST_13),
    OurGuest("13-bhyveload", {"loader": "bhyveload", "virt_random": "yes"}, HOST_13),
    OurGuest("13-graphics", _GRAPHICS | {"xhci_mouse": "yes", "sound": "yes"}, HOST_13),
    OurGuest("13-passthru", _VM_BHYVES_PASSTHRU, HOST_13),
    OurGuest("15-uefi", _lun(1, "nvme") | {"uefi_vars": "yes"}, HOST_15),
    OurGuest("15-bhyveload", {"loader": "bhyveload"}, HOST_15),
    OurGuest("15-tpm", {"tpm_type": "passthru", "tpm_path": "/dev/tpm0"}, HOST_15),
    OurGuest("15-install", medium="/vmconfig/.iso/os.iso", host=HOST_15),
    # arm64
    OurGuest("arm64-one-disk", host=ARM64),
    OurGuest("arm64-two-disks-two-networks", _luns(2, "nvme") | _networks(2), ARM64, physical=4096),
    OurGuest("arm64-wired", {"wired_memory": "yes", "cpu_pins": "0:2 1:3"}, ARM64),
    OurGuest("arm64-own-firmware", {"loader": "uefi-custom"}, ARM64),
    OurGuest("arm64-serial-on-tcp", {"com1_device": "tcp=127.0.0.1:4555"}, ARM64),
    OurGuest("arm64-devices", {"virt_random": "yes", "xhci_mouse": "yes", "virt_console0": "agent"}, ARM64),
    OurGuest("arm64-share", {"share0_name": "data", "share0_path": "/srv/data"}, ARM64),
    OurGuest("arm64-install", medium="/vmconfig/.iso/os.iso", host=ARM64),
)
