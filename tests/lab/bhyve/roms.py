"""Firmware of a few bytes, so that a guest can do one thing within a second: print, halt, fault, idle."""

from __future__ import annotations

import struct

PRINT = b"".join(b"\xba\xf8\x03\xb0" + bytes((char,)) + b"\xee" for char in b"hello\n")  # mov dx,3f8h; mov al,c; out
HALT = b"\xfa\xf4"  # cli; hlt
TRIPLE_FAULT = b"\x0f\x01\x1e\x00\x70\xcd\x03"  # lidt [7000h], where the table's length is 0; int 3
IDLE = b"\xb0\xff\xe6\x21\xe6\xa1\xfb\xf4\xeb\xfd"  # mask every interrupt line; sti; hlt, for ever
# wait until the port has something, send it back, again and again
ECHO = b"\xba\xfd\x03\xec\xa8\x01\x74\xf8\xba\xf8\x03\xec\xee\xeb\xf1"

# place the PM registers at 600h, as EDK II does (mov eax; mov dx,0cf8h; out; …), and enable the global lock's event
ENABLE_EVENTS = (
    b"\x66\xb8\x40\xf8\x00\x80\xba\xf8\x0c\x66\xef\x66\xb8\x01\x06\x00\x00\xba\xfc\x0c\x66\xef"
    b"\x66\xb8\x44\xf8\x00\x80\xba\xf8\x0c\x66\xef\xb0\x80\xba\xfc\x0c\xee\xb8\x20\x00\xba\x02\x06\xef"
)


def rom(code: bytes) -> bytes:
    """A firmware image whose reset vector leads to `code`, in real mode."""
    size, start = 0x10000, 0xF000
    image = bytearray(b"\xf4" * size)
    image[start : start + len(code)] = code
    image[0xFFF0:0xFFF3] = b"\xe9" + struct.pack("<h", start - 0xFFF3)
    return bytes(image)
