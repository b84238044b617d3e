"""Which turn of the crash matrix a test run plays: another one each day, until all of it was played; then again.

`PYVMISCSI_CRASH_TURN=739578 pytest tests/crash` plays the turn of another day. A run says its own at its head.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime

TURN = "PYVMISCSI_CRASH_TURN"


def choose_turn() -> int:
    """The day's number, unless the environment names a turn; workers inherit what is chosen here."""
    return int(os.environ.setdefault(TURN, str(datetime.now(UTC).toordinal())))


def this_turn() -> int:
    """What was chosen when the run began."""
    return int(os.environ[TURN])
