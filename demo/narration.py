"""Tells the story a line at a time, each with the seconds since it began; a claim that is not so ends it."""

from __future__ import annotations

import sys
import time

from pyvmiscsi.errors import PyvmiscsiError
from pyvmiscsi.plan.events import Event, Phase


class NotSoError(PyvmiscsiError):
    """Something the demo shows is not so."""

    code = "demo"


class Narration:
    """The clock of one demo."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def tell(self, text: str) -> None:
        sys.stdout.write(f"{self.seconds:7.2f} s  {text}\n")
        sys.stdout.flush()

    def hear(self, event: Event) -> None:
        """An operation's step, as a line of the story."""
        if event.phase in (Phase.MADE, Phase.FOUND):
            self.tell(f"    {event.title}")

    def prove(self, claim: str, is_so: bool) -> None:
        """Tell what was proven; NotSoError when it was not."""
        if not is_so:
            raise NotSoError(f"not so: {claim}")
        self.tell(f"  proven: {claim}")
