"""Sizes in bytes, written the way zfs(8) and vm-bhyve write them; and how long something is kept."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from pyvmiscsi.errors import InputError

_SUFFIXES = "KMGTPE"
_SPELLING = re.compile(r"(?P<number>\d+)(?:(?P<unit>[KMGTPE])(?:iB|B)?|B)?", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Size:
    """A whole number of bytes, never negative; `20G` is 20 x 1024**3, as zfs(8) reads it."""

    bytes: int

    def __post_init__(self) -> None:
        if self.bytes < 0:
            raise InputError(f"size {self.bytes}: a size cannot be negative")

    @classmethod
    def parse(cls, text: str) -> Self:
        """The size that `text` spells: digits, then K, M, G, T, P or E (binary; `B` and `iB` may follow), or bytes."""
        match = _SPELLING.fullmatch(text.strip())
        if match is None:
            raise InputError(f"size {text!r}: not a size", hint="write a whole number and a unit, such as 20G or 512M")
        unit = match["unit"]
        exponent = _SUFFIXES.index(unit.upper()) + 1 if unit else 0
        return cls(int(match["number"]) * 1024**exponent)

    def is_multiple_of(self, other: Size) -> bool:
        return self.bytes % other.bytes == 0

    def rounded_up_to(self, multiple: Size) -> Size:
        """The smallest size not below this one that is a whole number of `multiple`."""
        return Size(-(-self.bytes // multiple.bytes) * multiple.bytes)

    def __int__(self) -> int:
        return self.bytes

    def __str__(self) -> str:
        """The shortest exact spelling: `20G`, `1536M`, `513` (bytes)."""
        number, unit = self.bytes, ""
        for suffix in _SUFFIXES:
            if number == 0 or number % 1024:
                break
            number, unit = number // 1024, suffix
        return f"{number}{unit}"


KIB = Size(1024)
MIB = Size(1024**2)
GIB = Size(1024**3)
SECTOR = Size(512)
"""The one logical block size that guests get (DESIGN section 2)."""

_DURATIONS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def parse_duration(text: str) -> timedelta:
    """How long `text` says: a whole number of minutes, hours, days or weeks, such as `90m`, `12h`, `7d`, `4w`."""
    match = re.fullmatch(r"([1-9][0-9]{0,4})([mhdw])", text.strip(), re.ASCII)
    if match is None:
        raise InputError(f"duration {text!r}: not a duration", hint="write a whole number and a unit: 90m, 12h, 7d, 4w")
    return int(match[1]) * _DURATIONS[match[2]]
