"""A bar on a terminal while data is copied: how much, how fast, how long still. Nothing where nobody looks."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Bar:
    """Call it with a step's title, the bytes that are done, and of how many; `close` takes it off the screen."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown and sys.stderr.isatty()
        self._drawn: tuple[Progress, TaskID] | None = None
        self._what: tuple[str, int | None] = ("", None)

    def __call__(self, title: str, done: int, total: int | None) -> None:
        if not self._shown:
            return
        if self._drawn is None or self._what != (title, total):
            self.close()
            self._drawn, self._what = _drawn(title, total), (title, total)
        progress, task = self._drawn
        progress.update(task, completed=done)  # which draws nothing itself: rich does ten times a second

    def close(self) -> None:
        """Take it off the screen; another call draws a new one."""
        if self._drawn is not None:
            self._drawn[0].stop()
            self._drawn = None


def _drawn(title: str, total: int | None) -> tuple[Progress, TaskID]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.table import Column

    progress = Progress(
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
        BarColumn(bar_width=20),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(compact=True),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
        expand=True,
    )
    progress.start()
    return progress, progress.add_task(title, total=total)
