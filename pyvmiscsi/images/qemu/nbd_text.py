"""The bytes of the NBD protocol, as far as they are used here (github.com/NetworkBlockDevice/nbd, doc/proto.md). Pure.

Fixed newstyle negotiation, then reads, writes and flushes with structured replies: in these a server leaves out what
is zero.
"""

from __future__ import annotations

import struct

HELLO = struct.Struct(">8s8sH")
HELLO_MAGICS = (b"NBDMAGIC", b"IHAVEOPT")
CLIENT_FLAGS = struct.pack(">I", 0x3)  # fixed newstyle, and no 124 zeros after the export's size

OPTION_REPLY = struct.Struct(">QIII")  # magic, option, type, length
OPTION_REPLY_MAGIC = 0x3E889045565A9
ACKNOWLEDGED, EXPORT_INFO, IS_ERROR = 1, 3, 1 << 31
GO, STRUCTURED_REPLIES = 7, 8
INFO_EXPORT = struct.Struct(">HQH")  # type 0, size, flags

REQUEST = struct.Struct(">IHHQQI")  # magic, flags, command, cookie, offset, length
REQUEST_MAGIC = 0x25609513
READ, WRITE, DISCONNECT, FLUSH = 0, 1, 2, 3
IN_ONE_PIECE, CAN_IN_ONE_PIECE = 1 << 2, 1 << 7  # a flag of a read, and that of an export which knows it

MAGIC = struct.Struct(">I")
SIMPLE_MAGIC, STRUCTURED_MAGIC = 0x67446698, 0x668E33EF
SIMPLE_REST = struct.Struct(">IQ")  # error, cookie
STRUCTURED_REST = struct.Struct(">HHQI")  # flags, type, cookie, length
LAST = 1
NOTHING, DATA, HOLE, ERROR = 0, 1, 2, 1 << 15
DATA_HEAD = struct.Struct(">Q")  # offset
HOLE_BODY = struct.Struct(">QI")  # offset, length
ERROR_HEAD = struct.Struct(">IH")  # error number, length of the text


def option(number: int, data: bytes = b"") -> bytes:
    """A client's option during negotiation."""
    return struct.pack(">8sII", b"IHAVEOPT", number, len(data)) + data


def go() -> bytes:
    """Serve the export that has no name, whatever there is to know about it."""
    return option(GO, struct.pack(">IH", 0, 0))


def request(command: int, cookie: int, offset: int = 0, length: int = 0, flags: int = 0) -> bytes:
    """A command; the data of a write follows it."""
    return REQUEST.pack(REQUEST_MAGIC, flags, command, cookie, offset, length)


def error_text(body: bytes) -> str:
    """What an error chunk says."""
    number, length = ERROR_HEAD.unpack_from(body)
    said = body[ERROR_HEAD.size : ERROR_HEAD.size + length].decode(errors="replace")
    return said or f"error {number}"
