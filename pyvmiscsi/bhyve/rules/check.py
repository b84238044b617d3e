"""Everything that must be so before a guest may start: all problems at once, each with its remedy.

bhyve itself is no judge to rely on: it accepts and ignores a misspelt option, silently opens a disk read-only, and
shows a guest whatever block size the disk happens to have (freebsd.md 4.5, 6.3; `golden/bhyve`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress

from pyvmiscsi.bhyve.configuration.config import GuestConfig
from pyvmiscsi.bhyve.configuration.keys import COM_PORTS, smbios_key
from pyvmiscsi.bhyve.configuration.slots import HOST_BRIDGE, LPC, Slot
from pyvmiscsi.bhyve.machine.capabilities import FIRMWARE_DIRECTORY, Capabilities
from pyvmiscsi.bhyve.machine.devices import HOST_BRIDGES, Devices
from pyvmiscsi.bhyve.machine.loader import VARS_TEMPLATE, bootrom
from pyvmiscsi.bhyve.rules import devices as device_rules
from pyvmiscsi.bhyve.rules import host as host_rules
from pyvmiscsi.bhyve.rules.broken import listed_as_one_of, twins
from pyvmiscsi.bhyve.rules.surroundings import Surroundings, needed_files
from pyvmiscsi.errors import InputError, Problem, RuleError

_NICENESS = range(-20, 21)  # setpriority(2)
_FIRST_SLOTS = range(1, LPC.slot)
_AMOUNT = re.compile(r"[0-9]{1,18}[KMGTPE]?", re.IGNORECASE | re.ASCII)  # expand_number(3), as rctl(8) reads amounts
_WIDEST, _HIGHEST = 1920, 1200  # pci_fbuf.c
_ALONE = Surroundings()


def check(guest: GuestConfig, capabilities: Capabilities, devices: Devices, around: Surroundings = _ALONE) -> None:
    """Raise RuleError with all the problems, if there are any."""
    found = problems(guest, capabilities, devices, around)
    if found:
        raise RuleError.of_all(f"guest {guest.name}", found)


def problems(
    guest: GuestConfig, capabilities: Capabilities, devices: Devices, around: Surroundings = _ALONE
) -> tuple[Problem, ...]:
    """Every rule the guest breaks on this host with these devices, the gravest first."""
    return (
        *device_rules.sectors(guest, devices, around),
        *_machine(guest, capabilities),
        *_processors(guest, capabilities),
        *_firmware(guest, capabilities, devices, around),
        *device_rules.disks(guest, devices),
        *device_rules.shared_disks(guest, devices, around),
        *device_rules.networks(guest, devices, around),
        *device_rules.others(guest, devices),
        *_files(guest, capabilities, devices, around),
        *_words(guest, devices),
        *_references(guest, devices),
        *_places(guest, devices),
        *_display(guest, devices, around),
        *_limits(guest, capabilities),
    )


def _machine(guest: GuestConfig, capabilities: Capabilities) -> Iterator[Problem]:
    yield from host_rules.host(guest, capabilities)
    if guest.uuid is None:
        yield Problem("uuid", "missing", "write uuid=… (uuidgen(1)): else the guest has another one on every host")
    if guest.hostbridge not in HOST_BRIDGES and not guest.hostbridge.startswith("no"):
        yield listed_as_one_of("hostbridge", guest.hostbridge, (*HOST_BRIDGES, "none"))
    for port in guest.comports:
        if port not in COM_PORTS:
            yield Problem("comports", f"{port!r} is not a serial port", "write com1, com2, com3 or com4")
    if not guest.comports and not guest.loader.is_uefi:
        yield Problem("comports", "empty: without UEFI the loader needs a serial port", "write com1")
    yield from twins("port", ((f"comports, {n}", port) for n, port in enumerate(guest.comports, 1)))
    for port, device in guest.com_devices.items():
        if re.fullmatch(r"stdio|tcp=[^\x00-\x20,]+:[0-9]{1,5}|/[^\x00-\x20,]+", device) is None:
            yield Problem(f"{port}_device", f"{device!r} is not known", "write stdio, tcp=ADDRESS:PORT or /dev/…")


def _processors(guest: GuestConfig, capabilities: Capabilities) -> Iterator[Problem]:
    cpu = guest.cpu
    if not 0 < cpu.count <= capabilities.max_vcpus:
        yield Problem(
            "cpu",
            f"{cpu.count} processors; this host gives a guest 1 to {capabilities.max_vcpus}",
            "ask for fewer, or raise hw.vmm.maxcpu in loader.conf",
        )
    # left out, cores and threads are 1, and sockets is all of them (calc_topology in bhyverun.c)
    product = (cpu.count if cpu.sockets is None else cpu.sockets) * (cpu.cores or 1) * (cpu.threads or 1)
    if product != cpu.count:
        yield Problem("cpu", f"sockets x cores x threads is {product}, not {cpu.count}", "write cpu_sockets=… to match")
    for pin in guest.cpu_pins:
        if pin.vcpu >= cpu.count or pin.host_cpu >= capabilities.cpus:
            yield Problem(
                "cpu_pins",
                f"{pin}: the guest's processors are 0 to {cpu.count - 1}, the host's 0 to {capabilities.cpus - 1}",
                "write VCPU:HOSTCPU",
            )
    if guest.memory > capabilities.memory:
        yield Problem("memory", f"{guest.memory}; the host has {capabilities.memory}", "ask for less memory")
    if not guest.memory.bytes:
        yield Problem("memory", "none", "write memory=512M or more")


def _firmware(
    guest: GuestConfig, capabilities: Capabilities, devices: Devices, around: Surroundings
) -> Iterator[Problem]:
    if not guest.loader.is_uefi:
        if not guest.disks and not devices.install_iso:
            yield Problem("loader", f"{guest.loader} needs a disk to boot from", "add disk0, or use UEFI firmware")
        return
    rom = bootrom(guest, devices.directory, capabilities.machine)
    template = VARS_TEMPLATE if guest.uefi_vars and not around.has_variables else None
    for path in (rom, template):
        if path is not None and path.startswith(f"{FIRMWARE_DIRECTORY}/") and path not in capabilities.firmware:
            yield Problem("loader", f"the host has no {path}", "install the package edk2-bhyve there")


def _files(guest: GuestConfig, capabilities: Capabilities, devices: Devices, around: Surroundings) -> Iterator[Problem]:
    for needed in needed_files(guest, devices, capabilities.machine):
        if needed.path in around.missing_files and not needed.path.startswith(f"{FIRMWARE_DIRECTORY}/"):
            yield Problem(needed.where, f"the host has no {needed.path}", needed.remedy)


def _words(guest: GuestConfig, devices: Devices) -> Iterator[Problem]:
    """bhyve splits a device's words at commas and knows no quoting."""
    paths = [(f"disk{number}", found.path) for number, found in devices.disks.items()]
    paths += [("installation medium", devices.install_iso)] if devices.install_iso else []
    named = [
        *paths,
        ("directory", devices.directory),
        ("sound_play", guest.sound_play),
        ("sound_rec", guest.sound_rec or "-"),
        ("fwcfg", guest.fwcfg or "-"),
        ("graphics_listen", guest.graphics.listen if guest.graphics else "-"),
    ]
    for where, word in named:
        if not word or re.search(r"[,\x00-\x20\x7f]", word):
            yield Problem(where, f"{word!r} is empty, or holds a comma, blank or line break", "use a plainer name")
    for where, path in (*paths, ("directory", devices.directory)):
        if not path.startswith("/"):
            yield Problem(where, f"{path!r} is not an absolute path", "give the whole path")


def _references(guest: GuestConfig, devices: Devices) -> Iterator[Problem]:
    """bhyve expands `%(…)` in every value; of any other `%` it complains aloud, with the value (config.c)."""
    password = guest.graphics.password if guest.graphics else None
    values = {
        **{f"disk{number}": found.path for number, found in devices.disks.items()},
        **{f"{disk.key}_opts": ",".join(disk.opts) for disk in guest.disks},
        **{f"{passthru.key}_options": passthru.options or "" for passthru in guest.passthrus},
        **{share.key: f"{share.name}={share.path}" for share in guest.shares},
        **{f"virt_console{number}": name for number, name in enumerate(guest.virt_consoles)},
        **{f"{port}_device": device for port, device in guest.com_devices.items()},
        **{smbios_key(name): said for name, said in guest.smbios.items()},
        "vnc_password": password.reveal() if password else "",
        "tpm_path": guest.tpm.path if guest.tpm else "",
        "sound_play": guest.sound_play,
        "sound_rec": guest.sound_rec or "",
        "installation medium": devices.install_iso or "",
        "directory": devices.directory,
    }
    for where, value in values.items():
        if "%" in value:
            yield Problem(where, "bhyve takes its '%' for a reference to one of its variables", "use a value without")


def _places(guest: GuestConfig, devices: Devices) -> Iterator[Problem]:
    for key in ("start_slot", "install_slot"):
        if getattr(guest, key) not in _FIRST_SLOTS:
            yield Problem(key, f"{getattr(guest, key)}", f"write {_FIRST_SLOTS.start} to {_FIRST_SLOTS.stop - 1}")
    if guest.start_slot not in _FIRST_SLOTS:
        return
    try:
        layout = guest.layout()
    except InputError as full:
        yield Problem("PCI slots", full.message, "use fewer devices")
        return
    kept = {"lpc": LPC} | ({} if guest.hostbridge == "none" else {"hostbridge": HOST_BRIDGE})
    if (devices.install_iso or guest.nulliso_fix) and guest.install_slot in _FIRST_SLOTS:
        kept["the installation medium"] = Slot(0, guest.install_slot)
    said = [("bhyve_options", slot) for slot in _said_slots(guest.bhyve_options)]
    yield from twins("PCI slot", ((key, str(slot)) for key, slot in (*kept.items(), *layout.items(), *said)))
    taken = {*layout.values(), *kept.values(), *(slot for _, slot in said)}
    for key, slot in layout.items():
        if slot.function and not any(other.place == slot.place and other.function == 0 for other in taken):
            yield Problem(key, f"PCI slot {slot} has no function 0", "give its slot a device at function 0")


def _display(guest: GuestConfig, devices: Devices, around: Surroundings) -> Iterator[Problem]:
    graphics = guest.graphics
    if graphics is None:
        return
    if not guest.loader.is_uefi:
        yield Problem(
            "graphics", f"loader {guest.loader} shows nothing there", "set graphics=no, or loader=uefi: VNC needs UEFI"
        )
        return
    if graphics.port is None and devices.vnc_port is None:
        yield Problem("graphics_port", "no port is named, and no free one was found", "write graphics_port=5900 or so")
    if graphics.port is not None and not 0 < graphics.port < 65536:
        yield Problem("graphics_port", f"{graphics.port}", "write 5900 or so")
    for other in around.neighbours:
        if graphics.port is not None and other.vnc_port == graphics.port and other.runs_on == around.hostname:
            yield Problem("graphics_port", f"{other.name} listens on {graphics.port} there", "give each its own port")
    if (graphics.width or 0) > _WIDEST or (graphics.height or 0) > _HIGHEST:
        yield Problem("graphics_res", f"{graphics.width}x{graphics.height}", f"at most {_WIDEST}x{_HIGHEST}")
    if graphics.vga == "on":
        yield Problem(
            "graphics_vga", "with 'on' bhyve draws no VGA, and the guest has no screen (pci_fbuf.c)", "write io or off"
        )
    elif graphics.vga not in (None, "io", "off"):
        yield listed_as_one_of("graphics_vga", graphics.vga, ("io", "off"))


def _limits(guest: GuestConfig, capabilities: Capabilities) -> Iterator[Problem]:
    if guest.priority is not None and guest.priority not in _NICENESS:
        yield Problem("priority", f"{guest.priority}", f"write {_NICENESS.start} to {_NICENESS.stop - 1}")
    for name in ("pcpu", "rbps", "wbps", "riops", "wiops"):
        amount = getattr(guest.limits, name)
        if amount is not None and _AMOUNT.fullmatch(amount) is None:
            yield Problem(f"limit_{name}", f"{amount!r} is not an amount", "write a number, or one such as 10M")
        if amount is not None and not capabilities.limits_processes:
            remedy = "write kern.racct.enable=1 into /boot/loader.conf there and boot it, or take the limit away"
            yield Problem(f"limit_{name}", "rctl(8) is switched off on this host, so it would have no effect", remedy)


def _said_slots(options: str) -> Iterator[Slot]:
    """The slots that `-s` of `bhyve_options` takes; what cannot be read is left for bhyve to refuse."""
    for spelled in re.findall(r"(?:^|\s)-s\s*([0-9:]+),", options):
        with suppress(InputError):
            yield Slot.parse(spelled if ":" in spelled else f"{spelled}:0")
