"""What stands around a guest on its host: files and bridges it needs, and guests it could collide with.

One question to the host, and its answer read. No command here opens a disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from pyvmiscsi.bhyve.configuration.conf_text import ConfText, is_true
from pyvmiscsi.bhyve.configuration.config import LABEL, GuestConfig, Loader
from pyvmiscsi.bhyve.machine.devices import Devices
from pyvmiscsi.bhyve.machine.loader import BHYVELOAD, GRUB_BHYVE, bootrom, vars_file
from pyvmiscsi.bhyve.networks.bridges import find_bridge
from pyvmiscsi.bhyve.networks.taps import Sight
from pyvmiscsi.bhyve.rules.places import Places, look_at_places
from pyvmiscsi.names import GuestName
from pyvmiscsi.ports import Host
from pyvmiscsi.units import Size

_FIRMWARE_PACKAGES = {"amd64": "edk2-bhyve", "arm64": "u-boot-bhyve-arm64"}

SECTORS = """
BEGIN { count = split(wanted, names, " "); for (i = 1; i <= count; i++) is_wanted[names[i]] = 1 }
/<name>/ { gsub(/.*<name>|<[/]name>.*/, ""); name = $0 }
/<sectorsize>/ { gsub(/.*<sectorsize>|<[/]sectorsize>.*/, ""); if (name in is_wanted) print "sector /dev/" name " " $0 }
"""
"""awk: the logical blocks of the `wanted` providers, out of kern.geom.confxml, which opens none of them."""

_QUESTION = rf"""# look around a guest
config_path=$1
echo "hostname $(/bin/hostname)"
shift
devices=
for path do
    [ -e "$path" ] || echo "missing $path"
    if [ -c "$path" ]; then devices="$devices ${{path#/dev/}}"; fi
done
if [ -n "$devices" ]; then
    /sbin/sysctl -n kern.geom.confxml | /usr/bin/awk -v wanted="$devices" '{SECTORS}'
fi
[ -d "$config_path" ] || exit 0
/usr/bin/find "$config_path" -mindepth 2 -maxdepth 2 -name '*.conf' -type f -exec /usr/bin/awk '
    /^(network[0-9]+_mac|graphics|graphics_port)=|^disk[0-9]+_(type|dev|name|opts)=/ {{
        print "conf " FILENAME " " $0
    }}' {{}} + 2>/dev/null
# a neighbour that stops meanwhile takes its lock away
/usr/bin/find "$config_path" -mindepth 2 -maxdepth 2 -name run.lock -type f 2>/dev/null | while IFS= read -r lock; do
    if IFS= read -r hostname <"$lock"; then echo "lock $lock $hostname"; fi
done 2>/dev/null
exit 0
"""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another guest whose configuration is in the same config path."""

    name: str
    macs: frozenset[str] = frozenset()
    vnc_port: int | None = None
    runs_on: str | None = None
    """The hostname in its `run.lock`."""
    disks: frozenset[str] = frozenset()
    """The files and devices that it writes to, as its host calls them."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What was found; nothing is held against a guest that nobody looked for."""

    hostname: str = ""
    missing_files: frozenset[str] = frozenset()
    missing_switches: frozenset[str] = frozenset()
    neighbours: tuple[Neighbour, ...] = ()
    sectors: Mapping[str, Size] = field(default_factory=dict)
    """The logical blocks of disks that are no LUNs of ours, by path."""
    has_variables: bool = False
    """Whether the guest has firmware variables of its own already."""
    places: Places = field(default_factory=dict)
    """What the disks that are no LUNs of ours really are, the guest's own and its neighbours'."""


@dataclass(frozen=True, slots=True)
class NeededFile:
    """A path that a guest cannot start without, the key that says so, and what to do where it is not there."""

    where: str
    path: str
    remedy: str


def needed_files(guest: GuestConfig, devices: Devices, machine: str = "amd64") -> Iterator[NeededFile]:
    """Everything the guest needs on its host but its LUNs, which are there only while they are attached."""
    rom = bootrom(guest, devices.directory, machine)
    if rom is not None:
        remedy = f"install the package {_FIRMWARE_PACKAGES.get(machine, 'edk2-bhyve')} there"
        if guest.loader is Loader.UEFI_CUSTOM:
            remedy = "put the firmware there, or set loader=uefi"
        yield NeededFile("loader", rom, remedy)
    if guest.loader is Loader.GRUB:
        yield NeededFile("loader", GRUB_BHYVE, "install the package grub2-bhyve there")
    if guest.loader is Loader.BHYVELOAD:
        yield NeededFile("loader", BHYVELOAD, "bhyveload belongs to FreeBSD's base system")
    for disk in guest.disks:
        found = devices.disks.get(disk.number)
        if found is not None and not disk.is_lun:
            yield NeededFile(disk.key, found.path, f"correct {disk.key}_name, or make it")
    for share in guest.shares:
        yield NeededFile(share.key, share.path, "make the directory, or correct the path")
    if guest.tpm is not None:
        yield NeededFile("tpm_path", guest.tpm.path, "load tpm(4), or start swtpm, or correct the path")
    if devices.install_iso is not None:
        yield NeededFile("installation medium", devices.install_iso, "correct the path")


def look_around(
    host: Host, guest: GuestConfig, devices: Devices, networks: Sight, machine: str = "amd64"
) -> Surroundings:
    """What `host`, whose networks were seen, has around the guest now; one more call, or two for disks beside LUNs."""
    variables = vars_file(guest, devices.directory)
    paths = [*(needed.path for needed in needed_files(guest, devices, machine)), *([variables] if variables else [])]
    said = host.script(_QUESTION, devices.directory.rpartition("/")[0], *paths).text
    around = parse_surroundings(said, guest.name, variables)
    places = look_at_places(host, _doubtful_disks(guest, devices, around))
    return replace(around, missing_switches=missing_switches(guest, networks), places=places)


def _doubtful_disks(guest: GuestConfig, devices: Devices, around: Surroundings) -> Iterator[str]:
    """The guest's disks and its running neighbours', if any of them goes by a name that may not be its only one.

    That of a LUN is, and a file beside its configuration is nobody else's.
    """
    own = {disk.number: disk for disk in guest.disks}
    mine = [found.path for number, found in devices.disks.items() if number in own]
    others = [path for one in around.neighbours if one.runs_on for path in one.disks]
    is_doubtful = any(disk.dev == "custom" and not disk.is_lun for disk in guest.disks)
    if is_doubtful or any(path.startswith("/dev/") and not path.startswith(LABEL) for path in others):
        yield from (*mine, *others)


def missing_switches(guest: GuestConfig, networks: Sight) -> frozenset[str]:
    """The switches that the guest names and the host lacks; what `system.conf` tells how to make is not missing."""
    named = {network.switch for network in guest.networks if network.switch}
    unmade = (one for one in map(networks.switch, named) if find_bridge(one, networks.interfaces) is None)
    return frozenset(
        one.name for one in unmade if one.has_bridge and (one.kind == "manual" or one.name not in networks.switches)
    )


def parse_surroundings(text: str, guest: GuestName, variables: str | None = None) -> Surroundings:
    """The host's answer about this guest, whose firmware's variables would be at `variables`."""
    hostname, missing = "", set[str]()
    confs: dict[str, list[str]] = {}
    directories: dict[str, str] = {}
    locks: dict[str, str] = {}
    sectors: dict[str, Size] = {}
    for line in text.splitlines():
        kind, _, rest = line.partition(" ")
        said = re.fullmatch(r"(?P<directory>.*?/(?P<guest>[^/ ]+))/(?P<file>[^/ ]+) (?P<line>.*)", rest)
        if kind == "hostname":
            hostname = rest
        elif kind == "missing":
            missing.add(rest)
        elif kind == "sector":
            path, _, size = rest.rpartition(" ")
            sectors[path] = Size(int(size))
        elif kind == "lock" and said:
            locks[said["guest"]] = said["line"].strip()
        elif kind == "conf" and said and said["file"] == f"{said['guest']}.conf":
            confs.setdefault(said["guest"], []).append(said["line"])
            directories[said["guest"]] = said["directory"]
    others = (
        _neighbour(name, "\n".join(lines), locks.get(name), directories[name])
        for name, lines in confs.items()
        if name != str(guest)
    )
    return Surroundings(
        hostname,
        frozenset(missing),
        neighbours=tuple(others),
        sectors=sectors,
        has_variables=variables is not None and variables not in missing,
    )


def _neighbour(name: str, text: str, runs_on: str | None, directory: str) -> Neighbour:
    pairs = ConfText(text).pairs()
    port = pairs.get("graphics_port", "")
    shown = is_true(pairs.get("graphics")) and port.isdecimal()
    macs = frozenset(value.lower() for key, value in pairs.items() if key.endswith("_mac") and value)
    return Neighbour(name, macs, int(port) if shown else None, runs_on, frozenset(_written(pairs, directory)))


def _written(pairs: Mapping[str, str], directory: str) -> Iterator[str]:
    """What a guest's disks are, where they are no pool's and no CD's; counted as vm-bhyve counts."""
    number = 0
    while (kind := pairs.get(f"disk{number}_type")) and (name := pairs.get(f"disk{number}_name")):
        dev, opts = pairs.get(f"disk{number}_dev") or "file", (pairs.get(f"disk{number}_opts") or "").split(",")
        if dev in ("custom", "file") and is_writer(kind, opts):
            yield name if dev == "custom" else f"{directory}/{name}"
        number += 1


def is_writer(emulation: str, opts: Iterable[str]) -> bool:
    """Whether a guest with such a disk, and these options of bhyve's, may write to it."""
    said = dict(option.partition("=")[::2] for option in opts)
    return emulation != "ahci-cd" and not ("ro" in said and is_true(said["ro"] or "yes"))
