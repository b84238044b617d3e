"""How bhyvectl(8) reaches a running guest: one word over a socket in the sandbox, where the real one asks vmm(4)."""

from __future__ import annotations

import contextlib
import hashlib
import socket
from pathlib import Path

VMS = Path("/libexec/lab/vms")
WORDS = ("poweroff", "reset", "destroy")


def listen(name: str, *, vms: Path = VMS) -> socket.socket:
    """The socket on which the guest `name` takes words; it replaces one left by a guest that was killed."""
    vms.mkdir(parents=True, exist_ok=True)
    path = _path(name, vms)
    path.unlink(missing_ok=True)
    link = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    link.bind(str(path))
    link.setblocking(False)
    return link


def forget(name: str, *, vms: Path = VMS) -> None:
    _path(name, vms).unlink(missing_ok=True)


def tell(name: str, word: str, *, vms: Path = VMS) -> bool:
    """Say a word to the guest; False when none runs under that name."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link, contextlib.suppress(OSError):
        link.sendto(word.encode(), str(_path(name, vms)))
        return True
    return False


def _path(name: str, vms: Path) -> Path:
    # a guest's name may be longer than a socket's
    return vms / f"{hashlib.sha256(name.encode()).hexdigest()[:24]}.sock"
