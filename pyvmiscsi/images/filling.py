"""A disk's bytes onto a LUN: read ahead, hashed beside, many commands in flight."""

from __future__ import annotations

from collections.abc import Iterator

from pyvmiscsi.errors import ImageError, ProofError
from pyvmiscsi.images.ahead import Ahead
from pyvmiscsi.images.content import Content, Written, Zeros
from pyvmiscsi.images.digest import Digest
from pyvmiscsi.images.pieces import is_zero
from pyvmiscsi.plan.step import Progress, silent
from pyvmiscsi.ports import BlockDevice
from pyvmiscsi.units import GIB, Size

_TEND_SECONDS = 1.0
"""How long the session is left alone while the source has nothing: targets ping every few seconds."""


def fill(device: BlockDevice, content: Content, *, fresh: bool, progress: Progress = silent) -> Written:
    """Write all of `content` to the beginning of the LUN, and leave zeros behind it; on stable storage at the end.

    `fresh` says that the whole LUN reads as zeros: zeros of the content are then not written. Otherwise the LUN is
    made so first. ImageError when the content has no bytes, or more than the LUN: before anything is written if its
    length is known, else at the first byte that has no room.
    """
    if content.length is not None:
        _refuse_larger(content, content.length, device)
    if not fresh:
        _clear(device, content, progress)
    length = 0
    with Digest() as digest, Ahead(content.pieces(device.longest_piece)) as ahead:

        def burst() -> Iterator[tuple[int, bytes | bytearray]]:
            nonlocal length
            for piece in ahead.ready():
                _refuse_larger(content, length + len(piece), device)
                progress(content.done, content.total)
                digest.add(piece)
                offset, length = length, length + len(piece)
                if not isinstance(piece, Zeros) and not is_zero(piece):
                    yield offset, piece

        while not ahead.is_over:
            if ahead.wait(_TEND_SECONDS):
                for _ in device.write_stream(burst()):
                    pass
            else:
                progress(content.done, content.total)
                device.tend()
        if not length:
            raise ImageError(f"{content.name}: is empty")
        device.flush()
        return Written(length, digest.hexdigest())


def read_back(device: BlockDevice, written: Written, *, progress: Progress = silent) -> None:
    """Read what was written, and all behind it; ProofError when it is not the same, or not zeros."""
    with Digest() as digest:
        for _, piece in _read(device, 0, written.length, progress):
            digest.add(piece)
        if digest.hexdigest() != written.sha256:
            raise ProofError("the LUN gives back other bytes than were written to it", hint="check the nas's pool")
    for at, piece in _read(device, written.length, device.size.bytes, progress):
        if not is_zero(piece):
            raise ProofError(f"the LUN has something behind the image, at byte {at}", hint="check the nas's pool")


def _refuse_larger(content: Content, length: int, device: BlockDevice) -> None:
    if length > device.size.bytes:
        least = f"{Size(length)}" if content.length is not None else "more"
        raise ImageError(f"{content.name}: it has {least}, and the disk {device.size}", hint="ask for a larger disk")


def _clear(device: BlockDevice, content: Content, progress: Progress) -> None:
    size = device.size.bytes
    for offset in range(0, size, GIB.bytes):
        progress(0, content.total)
        device.write_zeros(min(GIB.bytes, size - offset), offset)


def _read(device: BlockDevice, start: int, end: int, progress: Progress) -> Iterator[tuple[int, bytearray]]:
    at = start
    for piece in device.read_stream(end - start, start):
        progress(at, device.size.bytes)
        yield at, piece
        at += len(piece)
