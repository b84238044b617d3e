"""How many sessions one process logs in and out: one after the other, and from several threads at once."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from bench import measure
from pyvmiscsi.initiator.libiscsi.session import Session
from tests.initiator import tgtd

COUNT, THREADS = 200, 8


def report(rounds: int) -> Iterator[str]:
    """The lines of the table."""
    with tempfile.TemporaryDirectory() as folder, tgtd.running(Path(folder)) as daemon:
        target = daemon.target()
        target.lun(1, size=1 << 20, serial="bench")

        def log_in(count: int = COUNT) -> None:
            for _ in range(count):
                Session.login(daemon.portal, target.iqn).close()

        def log_in_at_once() -> None:
            threads = [threading.Thread(target=log_in, args=(COUNT // THREADS,)) for _ in range(THREADS)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        times = measure.side_by_side(
            {"one after the other": log_in, f"from {THREADS} threads": log_in_at_once}, rounds=rounds
        )
    yield f"### {COUNT} sessions, logged in and out"
    yield ""
    yield "| | median (least .. most) | sessions a second |"
    yield "|---|---|--:|"
    for name, one in times.items():
        yield f"| {name} | {one} | {COUNT / one.median:.0f} |"
