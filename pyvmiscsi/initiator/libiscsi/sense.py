"""Words for what a SCSI command ended with (SPC-4 4.5 and annex F)."""

from __future__ import annotations

GOOD = 0x00
CHECK_CONDITION = 0x02
BUSY = 0x08
RESERVATION_CONFLICT = 0x18
TASK_SET_FULL = 0x28

NOT_READY = 0x02
MEDIUM_ERROR = 0x03
HARDWARE_ERROR = 0x04
ILLEGAL_REQUEST = 0x05
UNIT_ATTENTION = 0x06
DATA_PROTECT = 0x07
MISCOMPARE = 0x0E

STATUSES = {
    0x00: "GOOD",
    0x02: "CHECK CONDITION",
    0x04: "CONDITION MET",
    0x08: "BUSY",
    0x18: "RESERVATION CONFLICT",
    0x28: "TASK SET FULL",
    0x30: "ACA ACTIVE",
    0x40: "TASK ABORTED",
}

KEYS = {
    0x0: "NO SENSE",
    0x1: "RECOVERED ERROR",
    0x2: "NOT READY",
    0x3: "MEDIUM ERROR",
    0x4: "HARDWARE ERROR",
    0x5: "ILLEGAL REQUEST",
    0x6: "UNIT ATTENTION",
    0x7: "DATA PROTECT",
    0x8: "BLANK CHECK",
    0xA: "COPY ABORTED",
    0xB: "ABORTED COMMAND",
    0xD: "VOLUME OVERFLOW",
    0xE: "MISCOMPARE",
}

# As T10 lists them (t10.org/lists/asc-num.txt), of those that a disk may answer.
CODES = {
    (0x00, 0x00): "no additional sense information",
    (0x00, 0x16): "operation in progress",
    (0x00, 0x1D): "ATA pass through information available",
    (0x02, 0x00): "no seek complete",
    (0x03, 0x00): "peripheral device write fault",
    (0x04, 0x00): "logical unit not ready, cause not reportable",
    (0x04, 0x01): "logical unit is in process of becoming ready",
    (0x04, 0x02): "logical unit not ready, initializing command required",
    (0x04, 0x03): "logical unit not ready, manual intervention required",
    (0x04, 0x04): "logical unit not ready, format in progress",
    (0x04, 0x07): "logical unit not ready, operation in progress",
    (0x04, 0x09): "logical unit not ready, self-test in progress",
    (0x04, 0x0A): "logical unit not accessible, asymmetric access state transition",
    (0x04, 0x0B): "logical unit not accessible, target port in standby state",
    (0x04, 0x0C): "logical unit not accessible, target port in unavailable state",
    (0x04, 0x11): "logical unit not ready, notify (enable spinup) required",
    (0x04, 0x12): "logical unit not ready, offline",
    (0x04, 0x14): "logical unit not ready, space allocation in progress",
    (0x04, 0x1B): "logical unit not ready, sanitize in progress",
    (0x05, 0x00): "logical unit does not respond to selection",
    (0x07, 0x00): "multiple peripheral devices selected",
    (0x08, 0x00): "logical unit communication failure",
    (0x08, 0x01): "logical unit communication time-out",
    (0x0A, 0x00): "error log overflow",
    (0x0B, 0x00): "warning",
    (0x0B, 0x01): "warning, specified temperature exceeded",
    (0x0C, 0x00): "write error",
    (0x0C, 0x02): "write error, auto reallocation failed",
    (0x0C, 0x03): "write error, recommend reassignment",
    (0x0E, 0x00): "invalid information unit",
    (0x10, 0x00): "ID CRC or ECC error",
    (0x10, 0x01): "logical block guard check failed",
    (0x11, 0x00): "unrecovered read error",
    (0x11, 0x01): "read retries exhausted",
    (0x11, 0x04): "unrecovered read error, auto reallocate failed",
    (0x11, 0x0B): "unrecovered read error, recommend reassignment",
    (0x11, 0x14): "read error, LBA marked bad by application client",
    (0x14, 0x00): "recorded entity not found",
    (0x15, 0x00): "random positioning error",
    (0x16, 0x00): "data synchronization mark error",
    (0x17, 0x00): "recovered data with no error correction applied",
    (0x18, 0x00): "recovered data with error correction applied",
    (0x1A, 0x00): "parameter list length error",
    (0x1B, 0x00): "synchronous data transfer error",
    (0x1D, 0x00): "miscompare during verify operation",
    (0x1D, 0x01): "miscompare verify of unmapped LBA",
    (0x20, 0x00): "invalid command operation code",
    (0x20, 0x02): "access denied, no access rights",
    (0x21, 0x00): "logical block address out of range",
    (0x22, 0x00): "illegal function",
    (0x24, 0x00): "invalid field in CDB",
    (0x25, 0x00): "logical unit not supported",
    (0x26, 0x00): "invalid field in parameter list",
    (0x26, 0x01): "parameter not supported",
    (0x26, 0x02): "parameter value invalid",
    (0x26, 0x04): "invalid release of persistent reservation",
    (0x27, 0x00): "write protected",
    (0x27, 0x01): "hardware write protected",
    (0x27, 0x02): "logical unit software write protected",
    (0x27, 0x03): "associated write protect",
    (0x27, 0x04): "persistent write protect",
    (0x27, 0x05): "permanent write protect",
    (0x27, 0x06): "conditional write protect",
    (0x27, 0x07): "space allocation failed write protect",
    (0x27, 0x08): "zone is read only",
    (0x28, 0x00): "not ready to ready change, medium may have changed",
    (0x29, 0x00): "power on, reset, or bus device reset occurred",
    (0x29, 0x01): "power on occurred",
    (0x29, 0x02): "SCSI bus reset occurred",
    (0x29, 0x03): "bus device reset function occurred",
    (0x29, 0x04): "device internal reset",
    (0x29, 0x07): "I_T nexus loss occurred",
    (0x2A, 0x00): "parameters changed",
    (0x2A, 0x01): "mode parameters changed",
    (0x2A, 0x02): "log parameters changed",
    (0x2A, 0x03): "reservations preempted",
    (0x2A, 0x04): "reservations released",
    (0x2A, 0x05): "registrations preempted",
    (0x2A, 0x06): "asymmetric access state changed",
    (0x2A, 0x07): "implicit asymmetric access state transition failed",
    (0x2A, 0x09): "capacity data has changed",
    (0x2A, 0x10): "timestamp changed",
    (0x2C, 0x00): "command sequence error",
    (0x2C, 0x09): "previous reservation conflict status",
    (0x2F, 0x00): "commands cleared by another initiator",
    (0x2F, 0x02): "commands cleared by device server",
    (0x30, 0x00): "incompatible medium installed",
    (0x31, 0x00): "medium format corrupted",
    (0x32, 0x00): "no defect spare location available",
    (0x37, 0x00): "rounded parameter",
    (0x38, 0x07): "thin provisioning soft threshold reached",
    (0x39, 0x00): "saving parameters not supported",
    (0x3A, 0x00): "medium not present",
    (0x3D, 0x00): "invalid bits in identify message",
    (0x3E, 0x00): "logical unit has not self-configured yet",
    (0x3E, 0x01): "logical unit failure",
    (0x3E, 0x02): "timeout on logical unit",
    (0x3E, 0x03): "logical unit failed self-test",
    (0x3F, 0x00): "target operating conditions have changed",
    (0x3F, 0x01): "microcode has been changed",
    (0x3F, 0x02): "changed operating definition",
    (0x3F, 0x03): "inquiry data has changed",
    (0x3F, 0x05): "device identifier changed",
    (0x3F, 0x0E): "reported luns data has changed",
    (0x43, 0x00): "message error",
    (0x44, 0x00): "internal target failure",
    (0x45, 0x00): "select or reselect failure",
    (0x47, 0x00): "SCSI parity error",
    (0x47, 0x05): "protocol service CRC error",
    (0x48, 0x00): "initiator detected error message received",
    (0x49, 0x00): "invalid message error",
    (0x4A, 0x00): "command phase error",
    (0x4B, 0x00): "data phase error",
    (0x4C, 0x00): "logical unit failed self-configuration",
    (0x4E, 0x00): "overlapped commands attempted",
    (0x53, 0x02): "medium removal prevented",
    (0x55, 0x00): "system resource failure",
    (0x55, 0x02): "insufficient reservation resources",
    (0x55, 0x03): "insufficient resources",
    (0x55, 0x04): "insufficient registration resources",
    (0x5D, 0x00): "failure prediction threshold exceeded",
    (0x67, 0x0A): "set target port groups command failed",
}

LUNS_CHANGED = (0x3F, 0x0E)
_LUN_CHANGED = {(0x2A, 0x09), (0x3F, 0x03), (0x3F, 0x05), LUNS_CHANGED}
_PREEMPTED = {(0x2A, 0x03), (0x2A, 0x05)}
_UNKNOWN = {(0x20, 0x00), (0x24, 0x00)}
_SOON_READY = {(0x04, 0x01), (0x04, 0x0A)}


def is_change(asc: int, ascq: int) -> bool:
    """A unit attention after which the LUN may be larger, smaller, or another disk: look at it again."""
    return (asc, ascq) in _LUN_CHANGED


def is_preemption(asc: int, ascq: int) -> bool:
    """A unit attention that says another initiator took the LUN away from this one: it must not go on."""
    return (asc, ascq) in _PREEMPTED


def is_unknown(key: int, asc: int, ascq: int) -> bool:
    """Whether the LUN does not know the command, or the service action of it."""
    return key == ILLEGAL_REQUEST and (asc, ascq) in _UNKNOWN


def is_later(status: int, key: int, asc: int, ascq: int) -> bool:
    """The command was not executed and can be sent again in a moment: busy, becoming ready, or failing over."""
    if status == CHECK_CONDITION:
        return key == NOT_READY and (asc, ascq) in _SOON_READY
    return status in (BUSY, TASK_SET_FULL)


def words(status: int, key: int, asc: int, ascq: int) -> str:
    """The end of a command in one line: `UNIT ATTENTION asc:29,0 (power on, …)`, or the status when it has no sense."""
    if status != CHECK_CONDITION:
        return STATUSES.get(status, f"status {status:#x}")
    name = KEYS.get(key, f"sense key {key:#x}")
    code = CODES.get((asc, ascq))
    return f"{name} asc:{asc:x},{ascq:x}" + (f" ({code})" if code else "")
