"""Which parts of a LUN have data, out of its answers to GET LBA STATUS. Pure.

What a LUN does not clearly say to be without data counts as data: whoever asks would leave out the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pyvmiscsi.initiator.libiscsi.shapes import LbaExtent
from pyvmiscsi.ports import Span

Ask = Callable[[int], tuple[LbaExtent, ...]]
"""The extents from a sector on."""


def spans(ask: Ask, first: int, end: int, sector: int) -> Iterator[Span]:
    """All from sector `first` to `end` in order, in as few spans as can be; `sector` is how many bytes one has."""
    begun: Span | None = None
    for start, stop, allocated in _runs(ask, first, end):
        span = Span(start * sector, (stop - start) * sector, allocated)
        if begun is not None and begun.allocated == allocated:
            begun = Span(begun.offset, begun.length + span.length, allocated)
            continue
        if begun is not None:
            yield begun
        begun = span
    if begun is not None:
        yield begun


def _runs(ask: Ask, first: int, end: int) -> Iterator[tuple[int, int, bool]]:
    at = first
    while at < end:
        asked = at
        for extent in ask(at):
            stop = min(extent.sector + extent.count, end)
            if extent.sector > at or stop <= at:  # SBC-3 5.5.2: they follow each other, without a gap
                break
            yield at, stop, extent.allocated
            at = stop
        if at == asked:
            yield at, end, True
            return
