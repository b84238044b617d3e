"""Ctrl-C stops an operation between two steps; a second one ends the process at once."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyvmiscsi.site.running import Run

    from .frame import Invocation


@contextmanager
def run_of(invocation: Invocation) -> Iterator[Run]:
    """How this command's operation is run: its steps are told, and the first Ctrl-C is honoured between two of them."""
    from pyvmiscsi.plan.events import Event, Phase
    from pyvmiscsi.site.running import Run

    asked = False

    def ask(_signal: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        sys.stderr.write("\npyvmiscsi: stopping after this step; press Ctrl-C again to leave at once\n")

    def listen(event: Event) -> None:
        if event.phase not in (Phase.MAKING, Phase.UNDOING):  # the outcome of each follows
            invocation.listen(event)

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield Run(listen, lambda: asked)
    finally:
        signal.signal(signal.SIGINT, before)
