"""Images packed by the libraries that everybody uses, for tests to read."""

from __future__ import annotations

import gzip
import lzma

from backports import zstd

from pyvmiscsi.images.formats.kinds import Format

PACKED = (Format.GZIP, Format.XZ, Format.ZSTD)
SUFFIX = {Format.RAW: ".raw", Format.GZIP: ".raw.gz", Format.XZ: ".raw.xz", Format.ZSTD: ".raw.zst"}


def packed(kind: Format, data: bytes) -> bytes:
    """`data` as one frame with a checksum."""
    if kind is Format.GZIP:
        return gzip.compress(data, mtime=0)
    if kind is Format.XZ:
        return lzma.compress(data)
    if kind is Format.ZSTD:
        return bytes(zstd.compress(data, options={zstd.CompressionParameter.checksum_flag: 1}))
    return data
