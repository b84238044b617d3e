"""How a command's operation is run: Ctrl-C stops it where it is safe, a second one ends the process at once."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from .meter import Bar

if TYPE_CHECKING:
    from pyvmiscsi.site.running import Run

    from .frame import Invocation


@contextmanager
def run_of(invocation: Invocation) -> Iterator[Run]:
    """Its steps are told, and those that copy data show how far they are.

    The first Ctrl-C is honoured between two steps, or in the middle of one that copies data or waits for a guest.
    """
    from pyvmiscsi.plan.events import Event, Phase
    from pyvmiscsi.site.running import Run

    asked = False
    bar = Bar(shown=not invocation.quiet)

    def ask(_signal: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        sys.stderr.write("\npyvmiscsi: stopping as soon as it is safe; press Ctrl-C again to leave at once\n")

    def listen(event: Event) -> None:
        bar.close()
        if event.phase not in (Phase.MAKING, Phase.UNDOING):  # the outcome of each follows
            invocation.listen(event)

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield Run(listen, lambda: asked, bar)
    finally:
        bar.close()
        signal.signal(signal.SIGINT, before)
