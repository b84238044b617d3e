"""What iscsictl(8) prints and what it reads: the session listing, and the configuration file with the secrets.

The listing is that of `iscsictl --libxo json -L -v`. It holds CHAP secrets in clear: they are dropped while it is
read and live in nothing that this module returns.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyvmiscsi.errors import HostError, InputError
from pyvmiscsi.model import Credential
from pyvmiscsi.names import Iqn, Lun

WAITING = "Waiting for iscsid(8)"
"""The reason the kernel shows from the moment it wants a login until iscsid takes it up."""

NICKNAME = "disk"
LONGEST_SECRET = 16  # the kernel silently keeps 16 bytes (iscsi_ioctl.h); the target then refuses
LONGEST_NAME = 223
LONGEST_PORTAL = 45

_DISK = re.compile(r"da\d+")


@dataclass(frozen=True, slots=True)
class Row:
    """One session as the kernel has it, with the exact spellings that a later `-R` must repeat."""

    number: int
    """The session id; the N of `iscsiN` in dmesg."""
    target: str
    """Empty for a discovery session."""
    portal: str
    connected: bool
    enabled: bool
    reason: str
    """Why it is not connected, as far as the kernel was told; visible until its next try, a minute later."""
    devices: Mapping[int, str]
    """LUN to device: `da0`, or `probe0` while the bus is still being scanned."""
    initiator: str = ""

    @property
    def is_usable(self) -> bool:
        return self.connected and self.enabled

    def disk(self, lun: Lun) -> str | None:
        """`daN` of this LUN once the scan has come to it."""
        device = self.devices.get(lun.number, "")
        return device if _DISK.fullmatch(device) else None


def parse_listing(text: str) -> tuple[Row, ...]:
    """The sessions of `--libxo json -L -v`, oldest first; HostError when it is no such listing.

    With and without the top-level `__version` (it came after 14.0), and without `session` when there is none.
    Control characters stand unescaped in libxo's strings, so the reader is not strict.
    """
    try:
        top = json.loads(text, strict=False)["iscsictl"]
        return tuple(_row(entry) for entry in top.get("session", ()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        # Neither the text nor the cause goes further: both can hold secrets.
        raise HostError(f"iscsictl: not a session listing ({type(error).__name__})") from None


def _row(entry: Mapping[str, Any]) -> Row:
    target = entry["target"]
    return Row(
        number=int(entry["sessionId"]),
        target=str(target["name"]),
        portal=str(target["portal"]),
        connected=entry["state"] == "Connected",
        enabled=entry.get("enable", "Yes") == "Yes",
        reason=str(entry.get("failureReason", "")),
        devices={int(lun["lun"]): str(lun["device"]) for lun in entry.get("devices", {}).get("lun", ())},
        initiator=str(entry.get("initiator", {}).get("name", "")),
    )


def target_name(row: Row) -> Iqn | None:
    """The target as a name of ours; None for a discovery session and for names that are no canonical IQN."""
    try:
        name = Iqn.parse(row.target)
    except InputError:
        return None
    return name if name.text == row.target else None


def render_conf(target: str, portal: str, credential: Credential | None) -> bytes:
    """An iscsi.conf(5) with one entry, nicknamed `disk`; InputError for what the file or the kernel cannot hold.

    Every value is quoted, because a bare one that equals a keyword is read as the keyword; quoted ones have no
    escapes, so `"` cannot stand in any.
    """
    fields = {"TargetName": target, "TargetAddress": portal}
    longest = {"TargetName": LONGEST_NAME, "TargetAddress": LONGEST_PORTAL}
    if credential is not None:
        fields |= {
            "AuthMethod": "CHAP",
            "chapIName": credential.user,
            "chapSecret": credential.secret.reveal(),
        }
        if credential.is_mutual:
            fields |= {"tgtChapName": credential.peer_user, "tgtChapSecret": credential.peer_secret.reveal()}
        longest |= {
            "chapIName": LONGEST_NAME,
            "tgtChapName": LONGEST_NAME,
            "chapSecret": LONGEST_SECRET,
            "tgtChapSecret": LONGEST_SECRET,
        }
    for key, value in fields.items():
        if re.fullmatch(r'[^"\x00-\x1f\x7f]+', value) is None:
            raise InputError(f'iscsi.conf: {key} is empty or holds a character that cannot be written there, such as "')
        if len(value.encode()) > longest.get(key, LONGEST_NAME):
            raise InputError(
                f"iscsi.conf: {key} has {len(value.encode())} bytes, FreeBSD's initiator keeps {longest[key]}",
                hint="give the guest a new CHAP secret of 12 to 16 characters" if "Secret" in key else "",
            )
    lines = "".join(f'\t{key} = "{value}"\n' for key, value in fields.items())
    return f"{NICKNAME} {{\n{lines}}}\n".encode()
