"""Names: each is valid by construction, parsed once at the door and never checked again inside."""

from __future__ import annotations

import ipaddress
import re
import uuid as _uuid
from dataclasses import dataclass
from typing import Self

from pyvmiscsi.errors import InputError

_MAX_ISCSI_NAME = 223  # bytes, RFC 7143 section 4.2.7.1
_MAX_NAS_NAME = 64  # extent names, TrueNAS 22.12 and later
_MAX_DATASET = 200  # pool.dataset.create, TrueNAS 23.10 and later


@dataclass(frozen=True, slots=True)
class _Name:
    """A name that is one text: shown as it, sorted by it, and never equal to a name of another kind."""

    text: str

    def __lt__(self, other: Self) -> bool:
        return self.text < other.text if type(other) is type(self) else NotImplemented

    def __str__(self) -> str:
        return self.text


class Iqn(_Name):
    """An iSCSI qualified name `iqn.<year>-<month>.<reversed domain>[:<rest>]`, at most 223 bytes, in lower case.

    RFC 3720 section 3.2.6.3.1 gives the form; RFC 3722 folds upper case to lower and leaves letters, digits,
    `-`, `.` and `:` of ASCII.
    """

    __slots__ = ()

    _FORM = re.compile(r"iqn\.[0-9]{4}-(0[1-9]|1[0-2])\.[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[a-z0-9.:-]+)?")

    @classmethod
    def parse(cls, text: str) -> Self:
        name = text.strip().lower()
        # lower() makes a plain k of the Kelvin sign
        if not text.isascii() or cls._FORM.fullmatch(name) is None:
            raise InputError(
                f"IQN {text!r}: not an iSCSI qualified name",
                hint="write iqn.<year>-<month>.<reversed domain>, such as iqn.2005-10.org.freenas.ctl",
            )
        if len(name) > _MAX_ISCSI_NAME:
            raise InputError(f"IQN {text!r}: {len(name)} bytes, the longest allowed is {_MAX_ISCSI_NAME}")
        return cls(name)

    def child(self, name: str) -> Iqn:
        """The name below this basename: `<basename>:<name>`."""
        return Iqn.parse(f"{self.text}:{name}")

    def name_below(self, basename: Iqn) -> str | None:
        """What follows `<basename>:`, or None when this name is not below it."""
        prefix = f"{basename.text}:"
        return self.text[len(prefix) :] if self.text.startswith(prefix) else None


@dataclass(frozen=True, slots=True)
class Portal:
    """Where a target listens: an IP address or a host name, and a TCP port (3260 by default).

    `str()` is the one canonical spelling, always with the port and with IPv6 in brackets: FreeBSD's initiator
    takes `nas1`, `10.0.0.10` and `10.0.0.10:3260` for three portals (iscsi(4); freebsd.md 1.9).
    """

    host: str
    port: int = 3260

    _LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
    _HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
    _ZONE = re.compile(r"[A-Za-z0-9._-]+")

    @classmethod
    def parse(cls, text: str) -> Self:
        word = text.strip()
        bracketed = re.fullmatch(r"\[(?P<host>[^\]]+)\](?::(?P<port>[0-9]+))?", word)
        if bracketed:
            host, port = bracketed["host"], bracketed["port"]
            if ":" not in host:
                raise InputError(f"portal {text!r}: only an IPv6 address is written in brackets")
        elif word.count(":") > 1:
            host, port = word, None
        else:
            host, _, rest = word.partition(":")
            port = rest or None
            if ":" in word and re.fullmatch(r"[0-9]+", rest) is None:
                raise InputError(f"portal {text!r}: the port must be a number")
        number = int(port) if port else 3260
        if not 0 < number < 65536:
            raise InputError(f"portal {text!r}: port {number} is not between 1 and 65535")
        return cls(cls._canonical_host(host, text), number)

    @classmethod
    def _canonical_host(cls, host: str, text: str) -> str:
        _, percent, zone = host.partition("%")
        if not percent or cls._ZONE.fullmatch(zone):
            try:
                return str(ipaddress.ip_address(host))
            except ValueError:
                name = host.lower()
                # lower() makes a plain k of the Kelvin sign; a name of digits alone is a mistyped address
                if host.isascii() and cls._HOST.fullmatch(name) and not re.fullmatch(r"[0-9.]+", name):
                    return name
        raise InputError(
            f"portal {text!r}: {host!r} is neither an IP address nor a host name",
            hint="write 10.0.0.10:3260 or [2001:db8::10]:3260",
        )

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True, order=True)
class Lun:
    """A logical unit number, 0 to 16382 (the range TrueNAS takes; nas-wire.md 2.10)."""

    number: int

    def __post_init__(self) -> None:
        if not 0 <= self.number <= 16382:
            raise InputError(f"LUN {self.number}: not between 0 and 16382")

    def __str__(self) -> str:
        return str(self.number)


class GuestName(_Name):
    """A guest's name: `^[a-z0-9][a-z0-9.-]*$`, so short that `<name>-disk99` fits the NAS's 64 characters."""

    __slots__ = ()

    _FORM = re.compile(r"[a-z0-9][a-z0-9.-]*")

    @classmethod
    def parse(cls, text: str) -> Self:
        if cls._FORM.fullmatch(text) is None:
            raise InputError(
                f"guest name {text!r}: not a guest name",
                hint="use lower-case letters, digits, '.' and '-', and begin with a letter or a digit",
            )
        longest = _MAX_NAS_NAME - len("-disk99")
        if len(text) > longest:
            raise InputError(f"guest name {text!r}: {len(text)} characters, the longest allowed is {longest}")
        return cls(text)


class ImageName(_Name):
    """An image's name: `^[a-z0-9][a-z0-9._-]*$`, at most 64 characters."""

    __slots__ = ()

    _FORM = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")

    @classmethod
    def parse(cls, text: str) -> Self:
        if cls._FORM.fullmatch(text) is None:
            raise InputError(
                f"image name {text!r}: not an image's name",
                hint="use up to 64 lower-case letters, digits, '.', '_' and '-', and begin with a letter or a digit",
            )
        return cls(text)


@dataclass(frozen=True, slots=True, order=True)
class DiskName:
    """`disk0`, `disk1`, … `disk99`: a guest's disk, as vm-bhyve's keys `diskN_*` number it."""

    number: int

    def __post_init__(self) -> None:
        if not 0 <= self.number <= 99:
            raise InputError(f"disk{self.number}: a guest has disk0 to disk99")

    @classmethod
    def parse(cls, text: str) -> Self:
        match = re.fullmatch(r"disk(0|[1-9][0-9]?)", text)
        if match is None:
            raise InputError(f"disk name {text!r}: not a disk name", hint="write disk0, disk1, …")
        return cls(int(match[1]))

    def of(self, guest: GuestName) -> str:
        """`<guest>-diskN`: the name of this disk's target and extent."""
        return f"{guest}-{self}"

    def __str__(self) -> str:
        return f"disk{self.number}"


class Serial(_Name):
    """A LUN's unit serial number, 1 to 20 printable characters without blanks or quotes.

    Ours have 15, the longest that every TrueNAS release accepts; the ancestor's have 16; SCALE takes 20.
    """

    __slots__ = ()

    _FORM = re.compile(r"[!#-~]{1,20}")

    @classmethod
    def parse(cls, text: str) -> Self:
        if cls._FORM.fullmatch(text) is None:
            raise InputError(f"serial {text!r}: not 1 to 20 printable characters without blanks and quotes")
        return cls(text)

    @classmethod
    def of_disk(cls, guest: _uuid.UUID, disk: DiskName) -> Self:
        """`<uuid time_low><uuid time_mid>-NN`, 15 characters (DESIGN section 3)."""
        return cls(f"{guest.time_low:08x}{guest.time_mid:04x}-{disk.number:02d}")

    def disk_of(self, guest: _uuid.UUID) -> DiskName | None:
        """Which disk of this guest has it, in our form or the ancestor's; None when it is neither."""
        match = re.fullmatch(rf"{guest.time_low:08x}-?{guest.time_mid:04x}-(\d\d)", self.text.lower())
        return DiskName(int(match[1])) if match else None


class Mac(_Name):
    """An Ethernet address of one station, `58:9c:fc:0a:0b:0c`, in lower case."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        word = text.strip().lower().replace("-", ":")
        if re.fullmatch(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", word) is None:
            raise InputError(f"MAC address {text!r}: not six pairs of hexadecimal digits")
        if int(word[:2], 16) & 1:
            raise InputError(f"MAC address {text!r}: a multicast address")
        return cls(word)

    @classmethod
    def of_network(cls, guest: _uuid.UUID, number: int) -> Self:
        """A stable address for the guest's network `number`, below 58:9c:fc, FreeBSD's own prefix.

        The fourth byte's upper half is zero, as in the addresses bhyve and vm-bhyve generate.
        """
        digest = _uuid.uuid5(guest, f"network{number}").bytes
        return cls(f"58:9c:fc:{digest[0] & 0x0F:02x}:{digest[1]:02x}:{digest[2]:02x}")


class DatasetPath(_Name):
    """A ZFS dataset by its full name, `pool/parent/leaf`: at most 200 characters of those every release takes."""

    __slots__ = ()

    _COMPONENT = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.:-]*")

    @classmethod
    def parse(cls, text: str) -> Self:
        if not text or any(cls._COMPONENT.fullmatch(part) is None for part in text.split("/")):
            raise InputError(
                f"dataset {text!r}: not a dataset name", hint="write pool/parent/leaf without a leading slash"
            )
        if len(text) > _MAX_DATASET:
            raise InputError(f"dataset {text!r}: {len(text)} characters, the longest allowed is {_MAX_DATASET}")
        return cls(text)

    def child(self, name: str) -> DatasetPath:
        return DatasetPath.parse(f"{self.text}/{name}")

    @property
    def pool(self) -> str:
        return self.text.partition("/")[0]

    @property
    def leaf(self) -> str:
        return self.text.rpartition("/")[2]

    @property
    def parent(self) -> DatasetPath | None:
        head, slash, _ = self.text.rpartition("/")
        return DatasetPath(head) if slash else None

    def is_below(self, other: DatasetPath) -> bool:
        return self.text.startswith(f"{other.text}/")


class SnapshotName(_Name):
    """What follows the `@` in a snapshot's name: letters, digits, blanks and `-_.:`, at most 255 (zfs(8))."""

    __slots__ = ()

    _FORM = re.compile(r"[A-Za-z0-9_.: -]{1,255}")

    @classmethod
    def parse(cls, text: str) -> Self:
        if cls._FORM.fullmatch(text) is None:
            raise InputError(
                f"snapshot {text!r}: not a snapshot name", hint="use letters, digits, '-', '_', '.' and ':'"
            )
        return cls(text)


@dataclass(frozen=True, slots=True, order=True)
class SnapshotPath:
    """A snapshot by its full name, as ZFS writes it and a clone's `origin` names it: `tank/vm/web1/disk0@monday`."""

    dataset: DatasetPath
    name: SnapshotName

    @classmethod
    def parse(cls, text: str) -> Self:
        dataset, at, name = text.partition("@")
        if not at:
            raise InputError(f"snapshot {text!r}: names no snapshot", hint="write pool/parent/leaf@name")
        return cls(DatasetPath.parse(dataset), SnapshotName.parse(name))

    def __str__(self) -> str:
        return f"{self.dataset}@{self.name}"


@dataclass(frozen=True, slots=True)
class DatastoreSpec:
    """The ancestor's `iscsi:<nas>:<iqn basename>[:<config path>]`.

    The basename may hold colons: the config path is the first part that begins with `/`, which no IQN can hold.
    """

    nas: str
    basename: Iqn
    config_path: str | None = None

    _FORM = re.compile(r"iscsi:(?P<nas>[A-Za-z0-9][A-Za-z0-9_.-]*):(?P<basename>[^/]+?)(?::(?P<path>/.*))?")

    @classmethod
    def parse(cls, text: str) -> Self:
        match = cls._FORM.fullmatch(text.strip())
        if match is None:
            raise InputError(
                f"datastore {text!r}: not a datastore",
                hint="write iscsi:<nas>:<iqn basename>[:<config path>]",
            )
        path = match["path"]
        if path is not None and re.search(r'[\s"#]|//|/\.{1,2}(/|$)', path):
            raise InputError(f"datastore {text!r}: {path!r} is not a plain absolute path")
        return cls(match["nas"], Iqn.parse(match["basename"]), path.rstrip("/") or "/" if path else None)

    def __str__(self) -> str:
        path = f":{self.config_path}" if self.config_path else ""
        return f"iscsi:{self.nas}:{self.basename}{path}"


@dataclass(frozen=True, slots=True)
class LunAddress:
    """Where a LUN is reached: portal, target and LUN."""

    portal: Portal
    target: Iqn
    lun: Lun

    def uri(self) -> str:
        """The form of RFC 4173 section 5, `iscsi:server:protocol:port:LUN:target`, LUN in hexadecimal; output only."""
        host = f"[{self.portal.host}]" if ":" in self.portal.host else self.portal.host
        return f"iscsi:{host}:6:{self.portal.port}:{self.lun.number:x}:{self.target}"

    def __str__(self) -> str:
        return f"{self.target} LUN {self.lun} at {self.portal}"
