"""The guests' firmware: FreeBSD's names for it, and OVMF, which stands behind them here.

Both are EDK II; the variables file of one is not the other's, so a host of the lab gets OVMF's template under bhyve's
name, to be copied as the real one is (freebsd.md 4.3).
"""

from __future__ import annotations

from pathlib import Path

from pyvmiscsi.errors import UnsupportedError

DIRECTORY = "/usr/local/share/uefi-firmware"
_CODE = ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_CODE.fd")
_VARS = ("/usr/share/OVMF/OVMF_VARS_4M.fd", "/usr/share/OVMF/OVMF_VARS.fd")


def code() -> Path:
    """OVMF's code; UnsupportedError naming the package when it is not installed."""
    return _first(_CODE)


def variables() -> Path:
    """OVMF's empty variables, of the same build."""
    return _first(_VARS)


def files() -> dict[str, Path]:
    """What a host of the lab has in `DIRECTORY`: name there -> file here."""
    return {"BHYVE_UEFI.fd": code(), "BHYVE_UEFI_CODE.fd": code(), "BHYVE_UEFI_VARS.fd": variables()}


def _first(names: tuple[str, ...]) -> Path:
    for name in names:
        if Path(name).is_file():
            return Path(name)
    raise UnsupportedError("the lab's guests need OVMF", hint="install the package ovmf")
