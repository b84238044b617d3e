"""Everything a bhyve command says of a guest, each thing once: as words, and as keys of bhyve_config(5).

`argv.py` strings the words together, `bhyve_conf.py` writes the keys down. Words and their order are vm-bhyve 1.7's
(freebsd.md 5.3); what vm-bhyve has no key for stands where the guest's `bhyve_options` can still override it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from pyvmiscsi.bhyve.configuration.config import GuestConfig
from pyvmiscsi.bhyve.machine.devices import Devices, Emulated, emulated, install_medium
from pyvmiscsi.bhyve.machine.loader import bootrom, serial_ports, vars_file
from pyvmiscsi.errors import RuleError
from pyvmiscsi.secrets import Secret


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing said of a guest, in both languages."""

    words: tuple[str, ...]
    keys: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    """Keys for a file of mode 0600 only: no words say them."""


@dataclass(frozen=True, slots=True)
class Settings:
    """A guest's settings, in vm-bhyve's order."""

    before: tuple[Setting, ...]
    """What the guest's `bhyve_options` may override."""
    after: tuple[Setting, ...]
    """What they may not."""
    medium: tuple[Setting, ...]
    """The installation medium, which is gone after the first reboot: no file says it."""
    ports: tuple[Setting, ...]
    """The serial ports, which `bhyve_options` may not override either."""

    def in_file(self) -> tuple[Setting, ...]:
        """What a configuration file says."""
        return (*self.before, *self.after, *self.ports)


def settings_of(guest: GuestConfig, devices: Devices, machine: str = "amd64") -> Settings:
    """The settings of a guest whose rules were checked already, for a host of this kind (`uname -m`)."""
    return (_arm64 if machine == "arm64" else _amd64)(guest, devices)


def uuid_of(guest: GuestConfig) -> UUID:
    """The guest's uuid; RuleError when it has none yet, since bhyve would make another one on every host."""
    if guest.uuid is None:
        raise RuleError(f"guest {guest.name}: it has no uuid", hint="write one into its configuration: uuid=…")
    return guest.uuid


def _amd64(guest: GuestConfig, devices: Devices) -> Settings:
    machine = emulated(guest, devices)
    before = (*map(_device, machine), _cpus(guest), _memory(guest), _traits(guest))
    after = (
        *((_WIRED,) if guest.wired_memory else ()),
        _uuid(guest),
        *((_UTC,) if guest.utctime else ()),
        *((_WIRED,) if guest.passthrus else ()),
        *((_NO_MP_TABLE,) if any(device.slot.bus for device in machine) else ()),
    )
    ports = (
        Setting(("-l", f"{port},{backend}"), {f"lpc.{port}.path": backend})
        for port, backend in serial_ports(guest).items()
    )
    return Settings(
        before=(*before, *_firmware(guest, devices.directory), *_ours(guest)),
        after=after,
        medium=tuple(map(_device, install_medium(guest, devices))),
        ports=tuple(ports),
    )


def _arm64(guest: GuestConfig, devices: Devices) -> Settings:
    """No LPC bridge, no tables and so no uuid, no exits to ask for; firmware and the one serial port are variables.

    FreeBSD 15, usr.sbin/bhyve/aarch64/bhyverun_machdep.c.
    """
    rom = bootrom(guest, devices.directory, "arm64")
    return Settings(
        before=(
            *map(_device, emulated(guest, devices, "arm64")),
            *(_cpus(guest), _memory(guest)),
            *((_variable("bootrom", rom),) if rom else ()),
            *_ours(guest),
        ),
        after=(_WIRED,) if guest.wired_memory or guest.passthrus else (),
        medium=tuple(map(_device, install_medium(guest, devices))),
        ports=tuple(_variable("console", backend) for backend in list(serial_ports(guest).values())[:1]),
    )


_WIRED = Setting(("-S",), {"memory.wired": "true"})
_UTC = Setting(("-u",), {"rtc.use_localtime": "false"})
_NO_MP_TABLE = Setting(("-Y",), {"x86.mptable": "false"})  # it knows bus 0 only


def _device(device: Emulated) -> Setting:
    node = f"pci.{device.slot.bus}.{device.slot.slot}.{device.slot.function}"
    return Setting(
        ("-s", f"{device.short or device.slot},{device.words}"),
        {f"{node}.{key}": value for key, value in device.keys.items()},
        {f"{node}.{key}": secret for key, secret in device.secrets.items()},
    )


def _cpus(guest: GuestConfig) -> Setting:
    shape = {"cpus": guest.cpu.count, "sockets": guest.cpu.sockets, "cores": guest.cpu.cores}
    shape |= {"threads": guest.cpu.threads}
    return Setting(("-c", str(guest.cpu)), {key: str(number) for key, number in shape.items() if number is not None})


def _memory(guest: GuestConfig) -> Setting:
    return Setting(("-m", guest.memory_word), {"memory.size": guest.memory_word})


def _traits(guest: GuestConfig) -> Setting:
    """ACPI tables (before 15.0 there are none unasked), idle processors given back, unknown registers passed over."""
    keys = {"acpi_tables": "true", "x86.vmexit_on_hlt": "true", "x86.vmexit_on_pause": "true"}
    return Setting(("-AHPww" if guest.ignore_msr else "-AHPw",), keys | {"x86.strictmsr": "false"})


def _firmware(guest: GuestConfig, directory: str) -> Iterator[Setting]:
    rom = bootrom(guest, directory)
    if rom is not None:
        variables = vars_file(guest, directory)
        kept = {"lpc.bootvars": variables} if variables else {}
        yield Setting(("-l", ",".join(("bootrom", rom, *kept.values()))), {"lpc.bootrom": rom} | kept)
    if guest.fwcfg:
        # vm-bhyve writes it behind `31,lpc`, where bhyve never looks for it (pci_lpc.c: lpc_fwcfg)
        yield _variable("lpc.fwcfg", guest.fwcfg)


def _ours(guest: GuestConfig) -> Iterator[Setting]:
    """What vm-bhyve's users have to write as `bhyve_options`."""
    places: dict[int, list[str]] = {}
    for pin in guest.cpu_pins:
        places.setdefault(pin.vcpu, []).append(str(pin.host_cpu))
    for vcpu, cpus in places.items():
        words = (word for cpu in cpus for word in ("-p", f"{vcpu}:{cpu}"))
        yield Setting(tuple(words), {f"vcpu.{vcpu}.cpuset": ",".join(cpus)})
    if guest.tpm is not None:
        kind, path = guest.tpm.kind, guest.tpm.path
        yield Setting(("-l", f"tpm,{kind},{path}"), {"tpm.type": kind, "tpm.path": path, "tpm.version": "2.0"})
    for key, value in guest.smbios.items():
        yield _variable(key, value)


def _uuid(guest: GuestConfig) -> Setting:
    return Setting(("-U", str(uuid_of(guest))), {"uuid": str(uuid_of(guest))})


def _variable(key: str, value: str) -> Setting:
    return Setting(("-o", f"{key}={value}"), {key: value})
