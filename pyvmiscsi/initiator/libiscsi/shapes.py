"""What a LUN says about itself: its answers to INQUIRY, REPORT LUNS, READ CAPACITY and PERSISTENT RESERVE IN.

Answers may be cut short by the target; a field that did not come is 0, empty or None. SPC-4 and SBC-3.
"""

from __future__ import annotations

from dataclasses import dataclass


def _text(data: bytes) -> str:
    return data.decode("ascii", errors="replace").strip(" \0")


def _number(data: bytes, start: int, length: int) -> int:
    return int.from_bytes(data[start : start + length].ljust(length, b"\0"), "big")


@dataclass(frozen=True, slots=True)
class Inquiry:
    """Standard INQUIRY data (SPC-4 6.6.2)."""

    device_type: int
    """0 disk, 12 (0x0c) storage array controller, 31 (0x1f) nothing there."""
    qualifier: int
    """0 connected, 1 not connected, 3 no such logical unit."""
    version: int
    vendor: str
    product: str
    revision: str

    @property
    def is_disk(self) -> bool:
        return self.device_type == 0 and self.qualifier == 0

    @classmethod
    def parse(cls, data: bytes) -> Inquiry:
        first = _number(data, 0, 1)
        return cls(
            device_type=first & 0x1F,
            qualifier=first >> 5,
            version=_number(data, 2, 1),
            vendor=_text(data[8:16]),
            product=_text(data[16:32]),
            revision=_text(data[32:36]),
        )


def page_body(data: bytes) -> bytes:
    """A vital product data page without its header of four bytes, as long as the header says at most."""
    return data[4 : 4 + _number(data, 2, 2)]


def supported_pages(data: bytes) -> tuple[int, ...]:
    """Page 00h: the pages there are."""
    return tuple(page_body(data))


def unit_serial(data: bytes) -> str:
    """Page 80h: the serial number without the blanks around it, as CAM trims them."""
    return _text(page_body(data))


@dataclass(frozen=True, slots=True)
class Designator:
    """One name of page 83h (SPC-4 7.8.5): `kind` 1 is T10 vendor, 2 EUI-64, 3 NAA, 8 SCSI name string."""

    kind: int
    association: int
    """0 the logical unit, 1 the target port, 2 the target device."""
    text: str
    """Hexadecimal digits of a binary designator, else the text itself."""

    @property
    def is_naa(self) -> bool:
        return self.kind == 3 and self.association == 0


def designators(data: bytes) -> tuple[Designator, ...]:
    """Page 83h: the names of the logical unit and of the way to it."""
    body, found = page_body(data), []
    while len(body) >= 4:
        code_set, kind, length = body[0] & 0x0F, body[1], body[3]
        raw = body[4 : 4 + length]
        text = raw.hex() if code_set == 1 else raw.decode("utf-8", errors="replace").rstrip(" \0")
        found.append(Designator(kind & 0x0F, kind >> 4 & 0x03, text))
        body = body[4 + length :]
    return tuple(found)


@dataclass(frozen=True, slots=True)
class BlockLimits:
    """Page B0h (SBC-3 6.6.3), in logical blocks; 0 means that no limit is given."""

    optimal_granularity: int
    max_transfer: int
    optimal_transfer: int
    max_unmap: int
    max_unmap_ranges: int
    max_write_same: int

    @classmethod
    def parse(cls, data: bytes) -> BlockLimits:
        return cls(
            optimal_granularity=_number(data, 6, 2),
            max_transfer=_number(data, 8, 4),
            optimal_transfer=_number(data, 12, 4),
            max_unmap=_number(data, 20, 4),
            max_unmap_ranges=_number(data, 24, 4),
            max_write_same=_number(data, 36, 8),
        )


def rotation_rate(data: bytes) -> int:
    """Page B1h: turns per minute; 1 means that nothing turns, 0 that it is not told (SBC-3 6.6.2)."""
    return _number(data, 4, 2)


@dataclass(frozen=True, slots=True)
class Provisioning:
    """Page B2h (SBC-3 6.6.4): what the LUN lets go of, and how."""

    unmap: bool
    write_same_unmap: bool
    reads_zeros: bool
    thin: bool

    @classmethod
    def parse(cls, data: bytes) -> Provisioning:
        flags = _number(data, 5, 1)
        return cls(
            unmap=bool(flags & 0x80),
            write_same_unmap=bool(flags & 0x40),
            reads_zeros=bool(flags & 0x1C),
            thin=_number(data, 6, 1) & 0x07 == 2,
        )


@dataclass(frozen=True, slots=True)
class Capacity:
    """READ CAPACITY(16) (SBC-3 5.16.2)."""

    sectors: int
    sector: int
    """Bytes per logical block."""
    physical: int
    """Bytes per physical block, at least `sector`."""
    first_aligned: int
    """The first logical block that begins a physical one."""
    thin: bool
    """Logical block provisioning management is enabled (LBPME)."""
    reads_zeros: bool
    """Unmapped blocks read as zeros (LBPRZ)."""
    is_narrow: bool = False
    """Told by READ CAPACITY(10): the LUN knows no 16-byte commands."""

    @property
    def size(self) -> int:
        return self.sectors * self.sector

    @classmethod
    def parse(cls, data: bytes) -> Capacity:
        sector, low = _number(data, 8, 4), _number(data, 14, 2)
        return cls(
            sectors=_number(data, 0, 8) + 1,
            sector=sector,
            physical=sector << (_number(data, 13, 1) & 0x0F),
            first_aligned=low & 0x3FFF,
            thin=bool(low & 0x8000),
            reads_zeros=bool(low & 0x4000),
        )


def capacity10(data: bytes) -> Capacity:
    """READ CAPACITY(10) (SBC-3 5.15.2); 2**32 sectors mean that there are more than it can tell."""
    sector = _number(data, 4, 4)
    return Capacity(_number(data, 0, 4) + 1, sector, sector, 0, thin=False, reads_zeros=False, is_narrow=True)


@dataclass(frozen=True, slots=True)
class LbaExtent:
    """Sectors that follow each other and are stored in the same way (SBC-3 5.5.2, a descriptor of GET LBA STATUS)."""

    sector: int
    count: int
    status: int
    """0 mapped, or not known; 1 deallocated; 2 anchored, which has a place but no data."""

    @property
    def allocated(self) -> bool:
        """Whether there may be data."""
        return self.status not in (1, 2)


def lba_extents(data: bytes) -> tuple[LbaExtent, ...]:
    """GET LBA STATUS: the extents from the sector that was asked for, as many as the target told and the answer holds.

    Its length counts from behind itself, so it is 4 more than the descriptors.
    """
    end = min(4 + _number(data, 0, 4), len(data))
    return tuple(
        LbaExtent(_number(data, at, 8), _number(data, at + 8, 4), _number(data, at + 12, 1) & 0x0F)
        for at in range(8, end - 15, 16)
    )


def luns(data: bytes) -> tuple[int, ...]:
    """REPORT LUNS: the numbers, in the order the target lists them (SAM-5 4.7: peripheral and flat addresses)."""
    end = 8 + _number(data, 0, 4)
    entries = (data[at : at + 8] for at in range(8, min(end, len(data)) - 7, 8))
    return tuple(_lun(entry) for entry in entries if entry[0] >> 6 in (0, 1))


def _lun(entry: bytes) -> int:
    return entry[1] if entry[0] >> 6 == 0 else (entry[0] & 0x3F) << 8 | entry[1]


def lun_field(lun: int) -> int:
    """The two bytes that address `lun`: peripheral up to 255, flat from 256 on (SAM-5 4.7.3)."""
    return lun if lun < 256 else 0x4000 | lun


@dataclass(frozen=True, slots=True)
class Registrations:
    """PERSISTENT RESERVE IN, READ KEYS (SPC-4 6.15.2)."""

    generation: int
    keys: tuple[int, ...]

    @classmethod
    def parse(cls, data: bytes) -> Registrations:
        end = min(8 + _number(data, 4, 4), len(data))
        return cls(_number(data, 0, 4), tuple(_number(data, at, 8) for at in range(8, end - 7, 8)))


@dataclass(frozen=True, slots=True)
class Reservation:
    """PERSISTENT RESERVE IN, READ RESERVATION (SPC-4 6.15.3); `key` None means that nobody holds one."""

    generation: int
    key: int | None
    scope: int
    kind: int
    """1 write exclusive, 3 exclusive access, 5 and 6 the same for registrants only, 7 and 8 for all registrants."""

    @classmethod
    def parse(cls, data: bytes) -> Reservation:
        if _number(data, 4, 4) < 16:
            return cls(_number(data, 0, 4), None, 0, 0)
        scope_and_kind = _number(data, 21, 1)
        return cls(_number(data, 0, 4), _number(data, 8, 8), scope_and_kind >> 4, scope_and_kind & 0x0F)


@dataclass(frozen=True, slots=True)
class ReservationSupport:
    """PERSISTENT RESERVE IN, REPORT CAPABILITIES (SPC-4 6.15.4)."""

    survives_power_loss: bool
    """Registrations can be made to outlive a power loss (PTPL_C)."""
    is_kept: bool
    """They do so now (PTPL_A)."""
    all_ports: bool
    """One registration can be for all ports of the target (ATP_C)."""
    kinds: tuple[int, ...]
    """The kinds of reservation, numbered as in `Reservation`; empty when the target does not tell."""

    @classmethod
    def parse(cls, data: bytes) -> ReservationSupport:
        able, now = _number(data, 2, 1), _number(data, 3, 1)
        mask = _number(data, 4, 1) | _number(data, 5, 1) << 8 if now & 0x80 else 0
        return cls(
            survives_power_loss=bool(able & 0x01),
            is_kept=bool(now & 0x01),
            all_ports=bool(able & 0x04),
            kinds=tuple(kind for kind in range(16) if mask >> kind & 1),
        )


@dataclass(frozen=True, slots=True)
class Registrant:
    """Who registered a key, and through which port (SPC-4 6.15.5, a descriptor of READ FULL STATUS)."""

    key: int
    initiator: str
    """Its TransportID's text (SPC-4 7.6.4.6): `iqn…`, with `,i,0x<ISID>` where the target tells it."""
    port: int
    """Relative target port identifier."""
    all_ports: bool
    is_holder: bool
    kind: int
    """Of the reservation it holds; 0 without one."""


def registrants(data: bytes) -> tuple[Registrant, ...]:
    """PERSISTENT RESERVE IN, READ FULL STATUS."""
    body, found = data[8 : 8 + _number(data, 4, 4)], []
    while len(body) >= 24:
        end = 24 + _number(body, 20, 4)
        flags, transport = _number(body, 12, 1), body[24:end]
        found.append(
            Registrant(
                key=_number(body, 0, 8),
                initiator=_text(transport[4:].split(b"\0")[0]) if transport[:1] and transport[0] & 0x0F == 5 else "",
                port=_number(body, 18, 2),
                all_ports=bool(flags & 0x02),
                is_holder=bool(flags & 0x01),
                kind=_number(body, 13, 1) & 0x0F if flags & 0x01 else 0,
            )
        )
        body = body[end:]
    return tuple(found)
