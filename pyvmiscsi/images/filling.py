"""A disk's bytes onto a LUN: read ahead, hashed as they are read, many commands in flight."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

from pyvmiscsi.errors import DeadlineError, ImageError, InputError, InterruptedOperation, IscsiError, ProofError
from pyvmiscsi.images.blocks.ahead import Ahead
from pyvmiscsi.images.blocks.content import Content, Written, Zeros
from pyvmiscsi.images.blocks.digest import DiskHash, hashed_by
from pyvmiscsi.images.blocks.pieces import is_zero
from pyvmiscsi.images.reached import AnotherSourceError, Milestone, Reached, split_at, unmarked
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
MILESTONE_EVERY = 64 * MIB.bytes
"""How far apart the places are, at least, from which a copy that is cut short can be gone on with."""
TOLD_SECONDS = 10.0
"""How often it is told which of them was reached, at most, until the copy ends."""


def fill(
    device: BlockDevice,
    content: Content,
    *,
    fresh: bool,
    hashed: bool = True,
    progress: Progress = silent,
    milestone: Milestone = unmarked,
    after: Reached | None = None,
) -> Written:
    """Write all of `content` to the beginning of the LUN, and leave zeros behind it; on stable storage at the end.

    `fresh` says that the whole LUN reads as zeros: zeros of the content are then not written. Otherwise the LUN is
    made so first. ImageError when the content has no bytes, or more than the LUN: before anything is written if its
    length is known, else at the first byte that has no room. An IscsiError says how far the LUN has got, and so do
    a DeadlineError and the InterruptedOperation that `progress` raises.

    `milestone` is told how far a copy that is `hashed` has come: every ten seconds, and once more when it is cut short.
    Given as `after` to another copy of the same, to the same LUN, that one writes only what is behind it. The content
    is still read from its beginning: AnotherSourceError when it begins with other bytes.
    """
    if content.length is not None:
        _refuse_larger(content, content.length, device)
    if after is not None and not hashed:
        raise InputError("a copy goes on only where a digest tells that it is of the same")
    begun = after.length if after else 0
    with (
        _Filling(
            device,
            content,
            digest=DiskHash() if hashed else None,
            progress=progress,
            milestone=milestone,
            after=after,
        ).watched() as filling,
        heeding(lambda: progress(content.done, content.total)),
    ):
        if not fresh:
            _clear(device, begun, content, progress)
        return filling.run()


class _Filling:
    """One content on its way onto one LUN."""

    def __init__(
        self,
        device: BlockDevice,
        content: Content,
        *,
        digest: DiskHash | None,
        progress: Progress,
        milestone: Milestone,
        after: Reached | None,
    ) -> None:
        self._device = device
        self._content = content
        self._digest = digest
        self._progress = progress
        self._milestone = milestone
        self._after = after
        self._begun = after.length if after else 0
        """How far an earlier copy has come, if this one goes on with it."""
        self._milestones: deque[Reached] = deque()
        """Those that were read, and may not be on stable storage."""
        self._told = time.monotonic()
        self._length = 0
        """How far the content was taken."""
        self._ends: deque[int] = deque()
        """Where the pieces end that are being written."""
        self._written = self._begun
        """How far all of it was written."""

    def run(self) -> Written:
        with Ahead(self._data(), depth=_AHEAD) as ahead:
            while not ahead.is_over:
                if ahead.wait(_TEND_SECONDS):
                    for _ in self._device.write_stream(self._burst(ahead), again=self._content.again):
                        self._written = self._ends.popleft()
                        self._tell_when_due()
                else:
                    self._progress(self._content.done, self._content.total)
                    self._tell_when_due()
                    self._device.tend()
        if not self._length:
            raise ImageError(f"{self._content.name}: is empty")
        self._device.flush()
        return Written(self._length, self._digest.hexdigest() if self._digest is not None else None)

    @contextmanager
    def watched(self) -> Iterator[_Filling]:
        """Whatever cuts it short, it is told how far it came; an error of the LUN, and a stop, tell so themselves."""
        try:
            yield self
        except (IscsiError, DeadlineError, InterruptedOperation) as error:
            whole = self._content.length
            of = f" of {_mib(whole)}" if whole is not None else ""
            told = f"{_mib(self._stable())}{of} are on stable storage, and the volume is unfinished"
            error.hint = f"{error.hint}; {told}" if error.hint else told
            self._tell()
            raise
        except BaseException:
            self._tell()
            raise

    def _stable(self) -> int:
        """How much of the content outlives a crash of the nas."""
        unflushed = self._device.unflushed_from
        return self._written if unflushed is None else min(unflushed, self._written)

    def _tell_when_due(self) -> None:
        if time.monotonic() - self._told >= TOLD_SECONDS:
            self._tell()

    def _tell(self) -> None:
        """Tell of the last milestone that is on stable storage, unless it was told of."""
        self._told, stable, reached = time.monotonic(), self._stable(), None
        while self._milestones and self._milestones[0].length <= stable:
            reached = self._milestones.popleft()
        if reached is not None:
            self._milestone(reached)

    def _data(self) -> Iterator[_Data]:
        """All that is to be written, as it is read by a thread of its own, which hashes it and passes over zeros."""
        last = self._begun
        for piece in hashed_by(self._digest, split_at(self._content.pieces(self._device.longest_piece), self._begun)):
            _refuse_larger(self._content, self._length + len(piece), self._device)
            offset, self._length = self._length, self._length + len(piece)
            if self._length == self._begun:
                self._refuse_another()
            if isinstance(piece, Zeros) or offset < self._begun:
                continue
            yield offset, piece
            if self._digest is not None and self._length - last >= MILESTONE_EVERY:
                reached = Reached(*self._digest.of_whole_parts())
                last = reached.length
                self._milestones.append(reached)
        if self._length < self._begun:
            raise self._another()

    def _refuse_another(self) -> None:
        """AnotherSourceError unless what was read so far is what an earlier copy had read."""
        if self._after is not None and self._digest is not None and self._digest.hexdigest() != self._after.digest:
            raise self._another()

    def _another(self) -> AnotherSourceError:
        return AnotherSourceError(
            f"{self._content.name}: its first {_mib(self._begun)} are not those that were copied before",
            hint="nothing of it was written",
        )

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


def _clear(device: BlockDevice, begun: int, content: Content, progress: Progress) -> None:
    size = device.size.bytes
    for offset in range(begun, size, GIB.bytes):
        progress(0, content.total)
        device.write_zeros(min(GIB.bytes, size - offset), offset)


def _read(device: BlockDevice, start: int, end: int, progress: Progress) -> Iterator[tuple[int, bytearray]]:
    at = start
    for piece in device.read_stream(end - start, start):
        progress(at, device.size.bytes)
        yield at, piece
        at += len(piece)
