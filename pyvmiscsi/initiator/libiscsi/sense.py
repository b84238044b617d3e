"""Words for what a SCSI command ended with (SPC-4 4.5 and annex F)."""

from __future__ import annotations

GOOD = 0x00
CHECK_CONDITION = 0x02
BUSY = 0x08
RESERVATION_CONFLICT = 0x18
TASK_SET_FULL = 0x28

UNIT_ATTENTION = 0x06
ILLEGAL_REQUEST = 0x05

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

CODES = {
    (0x04, 0x00): "logical unit not ready, cause not reportable",
    (0x04, 0x01): "logical unit is becoming ready",
    (0x0C, 0x00): "write error",
    (0x11, 0x00): "unrecovered read error",
    (0x1A, 0x00): "parameter list length error",
    (0x1D, 0x00): "miscompare during verify operation",
    (0x20, 0x00): "invalid command operation code",
    (0x21, 0x00): "logical block address out of range",
    (0x24, 0x00): "invalid field in CDB",
    (0x25, 0x00): "logical unit not supported",
    (0x26, 0x00): "invalid field in parameter list",
    (0x27, 0x00): "write protected",
    (0x27, 0x07): "space allocation failed write protect",
    (0x29, 0x00): "power on, reset, or bus device reset occurred",
    (0x29, 0x07): "I_T nexus loss occurred",
    (0x2A, 0x03): "reservations preempted",
    (0x2A, 0x04): "reservations released",
    (0x2A, 0x05): "registrations preempted",
    (0x2A, 0x09): "capacity data has changed",
    (0x2C, 0x00): "command sequence error",
    (0x3A, 0x00): "medium not present",
    (0x3F, 0x0E): "reported luns data has changed",
    (0x44, 0x00): "internal target failure",
    (0x49, 0x00): "invalid message error",
    (0x55, 0x04): "insufficient registration resources",
}


def words(status: int, key: int, asc: int, ascq: int) -> str:
    """The end of a command in one line: `UNIT ATTENTION asc:29,0 (power on, …)`, or the status when it has no sense."""
    if status != CHECK_CONDITION:
        return STATUSES.get(status, f"status {status:#x}")
    name = KEYS.get(key, f"sense key {key:#x}")
    code = CODES.get((asc, ascq))
    return f"{name} asc:{asc:x},{ascq:x}" + (f" ({code})" if code else "")
