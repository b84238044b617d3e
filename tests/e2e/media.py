"""A CD and a disk that firmware boots in no time: all that their program does is to reset the machine, or to switch it
off.

The program is a PE32+ file of one section (UEFI specification 2.10, section 2.1.1); the CD has it behind an El Torito
entry (13.3.2.1), the disk in a FAT file system without partitions.
"""

from __future__ import annotations

import struct
import subprocess
from enum import IntEnum
from pathlib import Path

import pycdlib

_PAGE, _BLOCK = 0x1000, 0x200
_FLOPPY = 1440 * 1024
_EFI = 0xEF


class Reset(IntEnum):
    """EFI_RESET_TYPE (UEFI specification 2.10, section 8.5.1)."""

    COLD = 0
    SHUTDOWN = 2


def bootable_cd(path: Path, then: Reset) -> Path:
    """A CD of 2 MiB whose program does `then`."""
    esp = bootable_disk(path.with_suffix(".esp"), then)
    cd = pycdlib.PyCdlib()
    cd.new(vol_ident="INSTALL")
    cd.add_file(str(esp), "/EFI.IMG;1")
    # with less than two blocks of 512 bytes to load, firmware takes all that follows on the CD
    cd.add_eltorito("/EFI.IMG;1", "/BOOT.CAT;1", boot_load_size=1, platform_id=_EFI, efi=True)
    cd.write(str(path))
    cd.close()
    return path


def bootable_disk(path: Path, then: Reset) -> Path:
    """A disk of 1,440 KiB whose program does `then`."""
    with path.open("wb") as disk:
        disk.truncate(_FLOPPY)
    program = path.with_suffix(".efi")
    program.write_bytes(_program(then))
    for words in (
        ["mkfs.fat", str(path)],
        ["mmd", "-i", str(path), "::/EFI", "::/EFI/BOOT"],
        ["mcopy", "-i", str(path), str(program), "::/EFI/BOOT/BOOTX64.EFI"],
    ):
        subprocess.run(words, check=True, capture_output=True)
    return path


def _program(then: Reset) -> bytes:
    """`SystemTable->RuntimeServices->ResetSystem (then, 0, 0, NULL)`, in x86-64 code that runs at any address."""
    code = bytes.fromhex(
        "48 8b 42 58"  # mov rax, [rdx + 0x58]
        f"b9 {then:02x} 00 00 00"  # mov ecx, then
        "31 d2 45 31 c0 45 31 c9"  # xor edx, edx; xor r8d, r8d; xor r9d, r9d
        "48 83 ec 28"  # sub rsp, 0x28
        "ff 50 68"  # call [rax + 0x68]
        "f4 eb fd"  # hlt, for ever
    )
    machine, sections, optional, flags = 0x8664, 1, 240, 0x22
    coff = struct.pack("<4sHHIIIHH", b"PE", machine, sections, 0, 0, 0, optional, flags)
    standard = struct.pack("<HBBIIIII", 0x20B, 0, 0, _BLOCK, 0, 0, _PAGE, _PAGE)
    versions, application = (0,) * 6, 10
    windows = struct.pack("<QII6HIIIIHH", 0, _PAGE, _BLOCK, *versions, 0, 2 * _PAGE, _BLOCK, 0, application, 0)
    rest = struct.pack("<QQQQII", 0, 0, 0, 0, 0, 16).ljust(40 + 16 * 8, b"\0")
    section = struct.pack("<8sIIIIIIHHI", b".text", len(code), _PAGE, _BLOCK, _BLOCK, 0, 0, 0, 0, 0x60000020)
    dos = b"MZ".ljust(60, b"\0") + struct.pack("<I", 64)
    return (dos + coff + standard + windows + rest + section).ljust(_BLOCK, b"\0") + code.ljust(_BLOCK, b"\0")
