"""A disk's bytes onto a LUN: read ahead, hashed as they are read, many commands in flight."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

from pyvmiscsi.errors import ImageError, InputError, IscsiError, ProofError
from pyvmiscsi.images.ahead import Ahead
from pyvmiscsi.images.content import Content, Written, Zeros
from pyvmiscsi.images.digest import DiskHash, hashed_by
from pyvmiscsi.images.pieces import is_zero
from pyvmiscsi.plan.step import Progress, silent
from pyvmiscsi.ports import BlockDevice
from pyvmiscsi.units import GIB, MIB, Size
from pyvmiscsi.waiting import heeding

_Data: TypeAlias = tuple[int, bytes | bytearray]
"""Where it belongs, and what it is."""

_TEND_SECONDS = 1.0
"""How long the session is left alone while the source has nothing: targets ping every few seconds."""
_AHEAD = 6
"""How many pieces are read before they can be sent: as many as a LUN takes at a time, so that it never runs dry.

No more, so that they are still in the processor's cache then.
"""


def fill(
    device: BlockDevice, content: Content, *, fresh: bool, hashed: bool = True, progress: Progress = silent
) -> Written:
    """Write all of `content` to the beginning of the LUN, and leave zeros behind it; on stable storage at the end.

    `fresh` says that the whole LUN reads as zeros: zeros of the content are then not written. Otherwise the LUN is
    made so first. ImageError when the content has no bytes, or more than the LUN: before anything is written if its
    length is known, else at the first byte that has no room. An IscsiError says how far the LUN has got.
    """
    if content.length is not None:
        _refuse_larger(content, content.length, device)
    with (
        _Filling(device, content, DiskHash() if hashed else None, progress).whose_errors_tell() as filling,
        heeding(lambda: progress(content.done, content.total)),
    ):
        if not fresh:
            _clear(device, content, progress)
        return filling.run()


class _Filling:
    """One content on its way onto one LUN."""

    def __init__(self, device: BlockDevice, content: Content, digest: DiskHash | None, progress: Progress) -> None:
        self._device = device
        self._content = content
        self._digest = digest
        self._progress = progress
        self._length = 0
        """How far the content was taken."""
        self._ends: deque[int] = deque()
        """Where the pieces end that are being written."""
        self._written = 0
        """How far all of it was written."""

    def run(self) -> Written:
        with Ahead(self._data(), depth=_AHEAD) as ahead:
            while not ahead.is_over:
                if ahead.wait(_TEND_SECONDS):
                    for _ in self._device.write_stream(self._burst(ahead), again=self._content.again):
                        self._written = self._ends.popleft()
                else:
                    self._progress(self._content.done, self._content.total)
                    self._device.tend()
        if not self._length:
            raise ImageError(f"{self._content.name}: is empty")
        self._device.flush()
        return Written(self._length, self._digest.hexdigest() if self._digest is not None else None)

    @contextmanager
    def whose_errors_tell(self) -> Iterator[_Filling]:
        """An IscsiError also tells how much of the content outlives a crash of the nas."""
        try:
            yield self
        except IscsiError as error:
            unflushed = self._device.unflushed_from
            stable = self._written if unflushed is None else min(unflushed, self._written)
            whole = self._content.length
            of = f" of {_mib(whole)}" if whole is not None else ""
            told = f"{_mib(stable)}{of} are on stable storage, and the volume is unfinished"
            error.hint = f"{error.hint}; {told}" if error.hint else told
            raise

    def _data(self) -> Iterator[_Data]:
        """All that is to be written, as it is read by a thread of its own, which hashes it and passes over zeros."""
        for piece in hashed_by(self._digest, self._content.pieces(self._device.longest_piece)):
            _refuse_larger(self._content, self._length + len(piece), self._device)
            offset, self._length = self._length, self._length + len(piece)
            if not isinstance(piece, Zeros):
                yield offset, piece

    def _burst(self, ahead: Ahead[_Data]) -> Iterator[_Data]:
        """What there is to be written now; it does not wait, for nobody answers the target's pings meanwhile."""
        for offset, piece in ahead.ready():
            self._progress(self._content.done, self._content.total)
            self._ends.append(offset + len(piece))
            yield offset, piece


def read_back(device: BlockDevice, written: Written, *, progress: Progress = silent) -> None:
    """Read what was written, and all behind it; ProofError when it is not the same, or not zeros."""
    if written.digest is None:
        raise InputError("no digest was taken of what was written: it cannot be compared")
    digest = DiskHash()
    with heeding(lambda: progress(0, device.size.bytes)):
        for _, piece in _read(device, 0, written.length, progress):
            digest.add(Zeros(len(piece)) if is_zero(piece) else piece)
        if digest.hexdigest() != written.digest:
            raise ProofError("the LUN gives back other bytes than were written to it", hint="check the nas's pool")
        for at, piece in _read(device, written.length, device.size.bytes, progress):
            if not is_zero(piece):
                raise ProofError(f"the LUN has something behind the image, at byte {at}", hint="check the nas's pool")


def _mib(length: int) -> str:
    return f"{length // MIB.bytes} MiB"


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
