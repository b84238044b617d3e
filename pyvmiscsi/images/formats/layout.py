"""How a raw disk is laid out, by its first bytes: so that whoever imports an ISO is told that it is one. Pure.

ECMA-119 section 8.4 (ISO 9660), UEFI specification section 5.3 (GPT).
"""

from __future__ import annotations

HEAD = 34 * 1024
"""How many bytes tell it."""

_ISO_AT, _ISO = 32769, b"CD001"
_GPT_AT, _GPT = (512, 4096), b"EFI PART"
_ENTRIES_AT, _ENTRY, _TYPE_AT = 446, 16, 4
_STATUS = (0x00, 0x80)
_SIGNATURE_AT, _SIGNATURE = 510, b"\x55\xaa"


def layout_of(head: bytes) -> str | None:
    """`ISO 9660`, `GPT` or `MBR`, or the first with one of the others, as an ISO has that boots from a disk as well."""
    found = ["ISO 9660"] if head[_ISO_AT:].startswith(_ISO) else []
    if any(head[at:].startswith(_GPT) for at in _GPT_AT):
        found.append("GPT")
    elif _has_partitions(head):
        found.append("MBR")
    return ", ".join(found) or None


def _has_partitions(head: bytes) -> bool:
    """Whether there is a table with something in it; a file system's boot sector has code in that place."""
    table = head[_ENTRIES_AT:_SIGNATURE_AT]
    is_table = head[_SIGNATURE_AT:].startswith(_SIGNATURE) and all(status in _STATUS for status in table[::_ENTRY])
    return is_table and any(table[_TYPE_AT::_ENTRY])
