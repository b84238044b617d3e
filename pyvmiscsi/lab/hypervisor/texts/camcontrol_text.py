"""What camcontrol(8) prints. Pure; the originals are among the tests' transcripts (c-luns, m-persist)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyvmiscsi.lab.hypervisor.kernel.cam import Bus, Unit
from pyvmiscsi.lab.hypervisor.kernel.hardware import LOCAL_DISKS
from pyvmiscsi.lab.hypervisor.kernel.lun import Lun
from pyvmiscsi.lab.hypervisor.texts.geom_text import humanized

WILDCARD = "<>                                 at scbus{} target -1 lun ffffffff ({})"

RESERVATION_TYPES = {
    1: "write_exclusive",
    3: "exclusive_access",
    5: "write_exclusive_reg_only",
    6: "exclusive_access_reg_only",
    7: "write_exclusive_all_regs",
    8: "exclusive_access_all_regs",
}
SCOPES = {0: "lun", 1: "extent", 2: "element"}


def device_line(name: str, bus: int, lun: int, peripherals: str) -> str:
    """One line of devlist; the LUN is hexadecimal."""
    shown = f"<{name}>"
    return f"{shown:<33}  at scbus{bus} target 0 lun {lun:x} ({peripherals})\n"


def _devices(bus: Bus) -> str:
    local = [
        device_line(f"{disk.model} {disk.firmware}", disk.bus, 0, f"pass{index},{disk.name}")
        for index, disk in enumerate(LOCAL_DISKS)
        if disk.bus == bus.number
    ]
    found = [
        device_line(unit.lun.full_name, bus.number, lun, unit.peripherals) for lun, unit in sorted(bus.units.items())
    ]
    return "".join(local + found)


def devlist(buses: Sequence[Bus]) -> str:
    """`camcontrol devlist`."""
    return "".join(_devices(bus) for bus in buses)


def devlist_verbose(buses: Sequence[Bus]) -> str:
    """`camcontrol devlist -v`: every bus, with its wildcard line."""
    text = ""
    for bus in buses:
        text += f"scbus{bus.number} on {bus.sim} bus 0:\n{_devices(bus)}{WILDCARD.format(bus.number, '')}\n"
    return text + f"scbus-1 on xpt0 bus 0:\n{WILDCARD.format(-1, 'xpt0')}\n"


def devlist_buses(buses: Sequence[Bus]) -> str:
    """`camcontrol devlist -b`."""
    return "".join(f"scbus{bus.number} on {bus.sim} bus 0\n" for bus in buses) + "scbus-1 on xpt0 bus 0\n"


def inquiry(unit: Unit, lun: Lun) -> str:
    """`camcontrol inquiry da0`; the serial number is as long as the target made it."""
    name = f"pass{unit.pass_number}"
    kind = "Fixed Direct Access" if lun.is_disk else "Fixed Storage Array"
    lines = [f"{name}: <{lun.full_name}> {kind} {lun.specification} SCSI device"]
    if lun.raw_serial:
        lines.append(f"{name}: Serial Number {lun.raw_serial}")
    lines.append(f"{name}: 150.000MB/s transfers, Command Queueing Enabled")
    return "".join(f"{line}\n" for line in lines)


def no_device(name: str) -> str:
    """cam_open_device(3)'s four lines."""
    return (
        "camcontrol: cam_lookup_pass: CAMGETPASSTHRU ioctl failed\n"
        "cam_lookup_pass: No such file or directory\n"
        "cam_lookup_pass: either the pass driver isn't in your kernel\n"
        f"cam_lookup_pass: or {name} doesn't exist\n"
    )


@dataclass(frozen=True)
class ReadcapFlags:
    """Flags of `camcontrol readcap`."""

    block_length_only: bool = False
    human: bool = False
    quiet: bool = False
    size_only: bool = False
    blocks: bool = False


def readcap(sectors: int, sector: int, flags: ReadcapFlags) -> str:
    """`camcontrol readcap`; -b prints only the block length, `-s -N` the number of blocks."""
    length = f"{sector}" if flags.quiet else f"Block Length: {sector} bytes"
    if flags.block_length_only:
        return f"{length}\n"
    if flags.human:
        shown = humanized(sectors * sector)
        size = f"{shown[:-1]} {shown[-1]}"
        last = f"{size}, " if flags.quiet else f"Device Size: {size}, "
    elif flags.blocks:
        last = f"{sectors}, " if flags.quiet else f"Blocks: {sectors}, "
    else:
        last = f"{sectors - 1}, " if flags.quiet else f"Last Block: {sectors - 1}, "
    if flags.size_only:
        return last.rstrip(", ") + "\n"
    return last + length + "\n"


# persist


def _generation(generation: int) -> str:
    return f"PRgeneration: {f'0x{generation:x}' if generation else '0'}\n"


def read_keys(generation: int, keys: Sequence[int]) -> str:
    """`-i read_keys`."""
    text = _generation(generation) + f"{len(keys)} key{'' if len(keys) == 1 else 's'}{':' if keys else '.'}\n"
    return text + "".join(f"{index}: 0x{key:x}\n" for index, key in enumerate(keys))


def read_reservation(generation: int, key: int | None, scope: int, kind: int) -> str:
    """`-i read_res`."""
    if key is None:
        return "No reservations.\n"
    return (
        _generation(generation)
        + f"Reservation Key: 0x{key:x}\nScope address: 0\nScope: {SCOPES.get(scope, 'unknown')} ({scope})\n"
        + f"Type: {RESERVATION_TYPES.get(kind, 'unknown')} (0x{kind:x})\nExtent length: 0\n"
    )


ALLOWED = {
    0: "    No information is provided about whether certain commands are allowed\n"
    "    through certain types of persistent reservations.\n",
}


def report_capabilities(data: bytes) -> str:
    """`-i report_cap`, from the parameter data (SPC-4 6.15.4)."""
    flags, more, mask, mask2 = data[2], data[3], data[4], data[5]
    allow = more >> 4 & 7
    types = (
        ("Write Exclusive - All Registrants (WR_EX_AR)", mask >> 7 & 1),
        ("Exclusive Access - Registrants Only (EX_AC_RO)", mask >> 6 & 1),
        ("Write Exclusive - Registrants Only (WR_EX_RO)", mask >> 5 & 1),
        ("Exclusive Access (EX_AC)", mask >> 3 & 1),
        ("Write Exclusive (WR_EX)", mask >> 1 & 1),
        ("Exclusive Access - All Registrants (EX_AC_AR)", mask2 & 1),
    )
    return (
        f"Replace Lost Reservation Capable (RLR_C): {flags >> 7 & 1}\n"
        f"Compatible Reservation Handling (CRH): {flags >> 4 & 1}\n"
        f"Specify Initiator Ports Capable (SIP_C): {flags >> 3 & 1}\n"
        f"All Target Ports Capable (ATP_C): {flags >> 2 & 1}\n"
        f"Persist Through Power Loss Capable (PTPL_C): {flags & 1}\n"
        f"ALLOW COMMANDS field: ({allow})\n{ALLOWED.get(allow, '')}"
        f"Persist Through Power Loss Activated (PTPL_A): {more & 1}\n"
        "Supported Persistent Reservation Types:\n" + "".join(f"    {name}: {value}\n" for name, value in types)
    )


COMMANDS = {0x5E: "PERSISTENT RESERVE IN", 0x5F: "PERSISTENT RESERVE OUT", 0x00: "TEST UNIT READY", 0x12: "INQUIRY"}


@dataclass(frozen=True)
class Failure:
    """How a command ended that did not end well."""

    cdb: bytes
    status: int
    key: int = 0
    asc: int = 0
    ascq: int = 0


KEYS = {2: "NOT READY", 5: "ILLEGAL REQUEST", 6: "UNIT ATTENTION", 7: "DATA PROTECT"}
CODES = {
    (0x24, 0): "Invalid field in CDB",
    (0x25, 0): "Logical unit not supported",
    (0x26, 0): "Invalid field in parameter list",
    (0x29, 0): "Power on, reset, or bus device reset occurred",
    (0x29, 7): "I_T nexus loss occurred",
    (0x2A, 3): "Reservations preempted",
    (0x2A, 4): "Reservations released",
    (0x2A, 5): "Registrations preempted",
    (0x2A, 9): "Capacity data has changed",
    (0x3F, 0xE): "Reported LUNs data has changed",
}


def failure(address: str, failed: Failure) -> str:
    """What `-v` prints of it (cam_error_print(3))."""
    name = COMMANDS.get(failed.cdb[0], f"command {failed.cdb[0]:02x}")
    cdb = "".join(f"{byte:02x} " for byte in failed.cdb)
    lines = [f"{name}. CDB: {cdb}", "CAM status: SCSI Status Error"]
    if failed.status == 0x18:
        lines.append("SCSI status: Reservation Conflict")
    else:
        what = CODES.get((failed.asc, failed.ascq), "Vendor Specific")
        key = KEYS.get(failed.key, f"KEY {failed.key:x}")
        lines += ["SCSI status: Check Condition", f"SCSI sense: {key} asc:{failed.asc:x},{failed.ascq:x} ({what})"]
    return "".join(f"{address}: {line}\n" for line in lines)
